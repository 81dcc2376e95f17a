-- additive: usage found with smaller indexes
-- On Postgres. Here they are as they should be.

select 1
