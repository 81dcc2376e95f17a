-- additive: requests that are known again by their idempotency key
-- Times are ms since the epoch. Nothing is referred to: a version that does not know this table removes keys and accounts.

create table {prefix}remembered_requests (
  number bigint generated always as identity primary key,
  account_number bigint not null,
  -- of the idempotency key, and of all that makes the request this one: SHA-256 in lower-case hex
  hash text collate "C" not null,
  request_hash text collate "C" not null,
  -- the key that was made
  key_number bigint not null,
  revoked_public_ids text collate "C" not null,
  expires_at bigint not null,
  unique (account_number, hash)
);

create index {index}remembered_requests_to_prune on {prefix}remembered_requests (expires_at)
