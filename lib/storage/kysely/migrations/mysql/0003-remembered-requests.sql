-- additive: requests that are known again by their idempotency key
-- Times are ms since the epoch. Nothing is referred to: a version that does not know this table removes keys and accounts.

create table {prefix}remembered_requests (
  number bigint not null auto_increment primary key,
  account_number bigint not null,
  -- of the idempotency key, and of all that makes the request this one: SHA-256 in lower-case hex
  hash char(64) character set ascii collate ascii_bin not null,
  request_hash char(64) character set ascii collate ascii_bin not null,
  -- the key that was made
  key_number bigint not null,
  revoked_public_ids mediumtext not null,
  expires_at bigint not null,
  unique key by_hash (account_number, hash),
  key to_prune (expires_at)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin
