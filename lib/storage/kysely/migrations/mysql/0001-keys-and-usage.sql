-- breaking: the first step
-- Accounts, keys and their versions, usage events with hour and day totals. Times are ms since the epoch.
-- What is compared is varbinary: MySQL and MariaDB have no collation in common that keeps `a` and `a ` apart. Words of our
-- own are ascii, all other text is utf8mb4 of any length: a server that is not strict would cut what does not fit.
-- Each statement is all or nothing, and one that is repeated changes nothing: there is no transaction around them.

create table {prefix}accounts (
  -- never given again: usage under way may still refer to an account that was erased
  number bigint not null auto_increment primary key,
  id varbinary(255) not null unique,
  next_sequence bigint not null
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

create table {prefix}api_keys (
  number bigint not null auto_increment primary key,
  public_id varbinary(255) not null unique,
  account_number bigint not null,
  -- order of lists; given under the account's lock
  sequence bigint not null,
  -- lower-case hex; HMAC-SHA-256 under pepper_id, SHA-256 where that is null
  key_hash varbinary(255) not null unique,
  pepper_id mediumtext,
  -- counts the versions of this key, see api_key_versions
  version integer not null,
  label mediumtext not null,
  environment varchar(16) character set ascii collate ascii_bin not null check (environment in ('live', 'test')),
  access varchar(16) character set ascii collate ascii_bin not null check (access in ('secret', 'publishable')),
  scopes mediumtext,
  allowed_origins mediumtext not null,
  allowed_ips mediumtext not null,
  -- the environment while this is the account's default key for it, else null
  default_slot varchar(16) character set ascii collate ascii_bin,
  prefix mediumtext not null,
  first8 mediumtext not null,
  last4 mediumtext not null,
  -- who issued it: the name that is shown, and their id in the host's auth
  created_by mediumtext,
  creator_id mediumtext,
  disabled_by varchar(16) character set ascii collate ascii_bin check (disabled_by in ('account', 'host')),
  metadata mediumtext,
  created_at bigint not null,
  last_used_at bigint,
  expires_at bigint,
  retires_at bigint,
  revoked_at bigint,
  revoked_reason mediumtext,
  rotated_from mediumtext,
  -- the earliest of the three ends; the largest safe integer while there is none
  ends_at bigint not null,
  unique key by_sequence (account_number, sequence),
  unique key by_default_slot (account_number, default_slot),
  key by_end (account_number, ends_at),
  key to_prune (ends_at),
  check (default_slot = environment),
  foreign key (account_number) references {prefix}accounts (number)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Label, environment and scopes as they were at the time of an event, kept once and referred to.
create table {prefix}api_key_versions (
  key_number bigint not null,
  version integer not null,
  label mediumtext not null,
  environment varchar(16) character set ascii collate ascii_bin not null,
  scopes mediumtext,
  primary key (key_number, version),
  foreign key (key_number) references {prefix}api_keys (number)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

create table {prefix}usage_routes (
  number bigint not null auto_increment primary key,
  method varbinary(255) not null,
  route mediumblob not null,
  -- a key of an index has an end, a route's pattern has none
  digest binary(32) generated always as (unhex(sha2(concat(method, 0x20, route), 256))) stored,
  unique key by_digest (digest)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- A flush that is repeated finds its id here and changes nothing.
create table {prefix}usage_batches (
  number bigint not null auto_increment primary key,
  id varbinary(255) not null unique,
  recorded_at bigint not null,
  key to_prune (recorded_at)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- In the order in which they are found: by owner and time.
create table {prefix}usage_events (
  hour integer not null,
  account_number bigint not null,
  -- ms into the hour
  `offset` integer not null,
  -- batch number × 8192 + place in the batch
  sequence bigint not null,
  key_number bigint not null,
  key_version integer not null,
  route_number bigint not null,
  status integer not null,
  duration_us bigint not null,
  failure_code mediumtext,
  request_id mediumtext,
  failed integer generated always as (status >= 400) virtual,
  primary key (account_number, hour, `offset`, sequence),
  key failures (account_number, failed, hour, `offset`, sequence),
  key to_prune (hour)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- Minutes are kept for two hours only, for the window of an hour.
create table {prefix}usage_minutes (
  minute integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, minute, key_number),
  key to_prune (minute)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

create table {prefix}usage_hours (
  hour integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, hour, key_number),
  key to_prune (hour)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

create table {prefix}usage_days (
  day integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, day, key_number),
  key to_prune (day)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin
