-- breaking: the first step
-- Accounts, keys and their versions, usage events with hour and day totals. Times are ms since the epoch.

create table {prefix}accounts (
  -- never given again: usage under way may still refer to an account that was erased
  number bigint generated always as identity primary key,
  id text collate "C" not null unique,
  next_sequence bigint not null
);

create table {prefix}api_keys (
  number bigint generated always as identity primary key,
  public_id text collate "C" not null unique,
  account_number bigint not null references {prefix}accounts (number),
  -- order of lists; given under the account's lock
  sequence bigint not null,
  -- lower-case hex; HMAC-SHA-256 under pepper_id, SHA-256 where that is null
  key_hash text collate "C" not null unique,
  pepper_id text collate "C",
  -- counts the versions of this key, see api_key_versions
  version integer not null,
  label text collate "C" not null,
  environment text collate "C" not null check (environment in ('live', 'test')),
  access text collate "C" not null check (access in ('secret', 'publishable')),
  scopes text collate "C",
  allowed_origins text collate "C" not null,
  allowed_ips text collate "C" not null,
  -- the environment while this is the account's default key for it, else null
  default_slot text collate "C" check (default_slot = environment),
  prefix text collate "C" not null,
  first8 text collate "C" not null,
  last4 text collate "C" not null,
  -- who issued it: the name that is shown, and their id in the host's auth
  created_by text collate "C",
  creator_id text collate "C",
  disabled_by text collate "C" check (disabled_by in ('account', 'host')),
  metadata text collate "C",
  created_at bigint not null,
  last_used_at bigint,
  expires_at bigint,
  retires_at bigint,
  revoked_at bigint,
  revoked_reason text collate "C",
  rotated_from text collate "C",
  -- the earliest of the three ends; the largest safe integer while there is none
  ends_at bigint not null,
  unique (account_number, sequence),
  unique (account_number, default_slot)
);

create index {index}api_keys_by_end on {prefix}api_keys (account_number, ends_at);
create index {index}api_keys_to_prune on {prefix}api_keys (ends_at);

-- Label, environment and scopes as they were at the time of an event, kept once and referred to.
create table {prefix}api_key_versions (
  key_number bigint not null references {prefix}api_keys (number),
  version integer not null,
  label text collate "C" not null,
  environment text collate "C" not null,
  scopes text collate "C",
  primary key (key_number, version)
);

create table {prefix}usage_routes (
  number bigint generated always as identity primary key,
  method text collate "C" not null,
  route text collate "C" not null,
  unique (method, route)
);

-- A flush that is repeated finds its id here and changes nothing.
create table {prefix}usage_batches (
  number bigint generated always as identity primary key,
  id text collate "C" not null unique,
  recorded_at bigint not null
);

create index {index}usage_batches_to_prune on {prefix}usage_batches (recorded_at);

-- Found by owner, newest first; removed by hour, for which places in the table and hours go together.
create table {prefix}usage_events (
  hour integer not null,
  account_number bigint not null,
  -- ms into the hour
  "offset" integer not null,
  -- batch number × 8192 + place in the batch
  sequence bigint not null,
  key_number bigint not null,
  key_version integer not null,
  route_number bigint not null,
  status integer not null,
  duration_us bigint not null,
  failure_code text collate "C",
  request_id text collate "C"
);

create index {index}usage_events_by_account on {prefix}usage_events (account_number, hour desc, "offset" desc, sequence desc);

create index {index}usage_failures on {prefix}usage_events (account_number, hour desc, "offset" desc, sequence desc)
  where status >= 400;
create index {index}usage_events_to_prune on {prefix}usage_events using brin (hour);

-- Minutes are kept for two hours only, for the window of an hour.
create table {prefix}usage_minutes (
  minute integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, minute, key_number)
);

create index {index}usage_minutes_to_prune on {prefix}usage_minutes (minute);

create table {prefix}usage_hours (
  hour integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, hour, key_number)
);

create index {index}usage_hours_to_prune on {prefix}usage_hours (hour);

create table {prefix}usage_days (
  day integer not null,
  account_number bigint not null,
  key_number bigint not null,
  requests bigint not null,
  failures bigint not null,
  primary key (account_number, day, key_number)
);

create index {index}usage_days_to_prune on {prefix}usage_days (day)
