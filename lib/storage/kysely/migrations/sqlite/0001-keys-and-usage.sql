-- breaking: the first step
-- Accounts, keys and their versions, usage events with hour and day totals. Times are ms since the epoch.

create table {prefix}accounts (
  -- never given again: usage under way may still refer to an account that was erased
  number integer primary key autoincrement,
  id text not null unique,
  next_sequence integer not null
) strict;

create table {prefix}api_keys (
  number integer primary key autoincrement,
  public_id text not null unique,
  account_number integer not null references {prefix}accounts (number),
  -- order of lists; given under the account's lock
  sequence integer not null,
  -- lower-case hex; HMAC-SHA-256 under pepper_id, SHA-256 where that is null
  key_hash text not null unique,
  pepper_id text,
  -- counts the versions of this key, see api_key_versions
  version integer not null,
  label text not null,
  environment text not null check (environment in ('live', 'test')),
  access text not null check (access in ('secret', 'publishable')),
  scopes text,
  allowed_origins text not null,
  allowed_ips text not null,
  -- the environment while this is the account's default key for it, else null
  default_slot text check (default_slot = environment),
  prefix text not null,
  first8 text not null,
  last4 text not null,
  -- who issued it: the name that is shown, and their id in the host's auth
  created_by text,
  creator_id text,
  disabled_by text check (disabled_by in ('account', 'host')),
  metadata text,
  created_at integer not null,
  last_used_at integer,
  expires_at integer,
  retires_at integer,
  revoked_at integer,
  revoked_reason text,
  rotated_from text,
  -- the earliest of the three ends; the largest safe integer while there is none
  ends_at integer not null,
  unique (account_number, sequence),
  unique (account_number, default_slot)
) strict;

create index {index}api_keys_by_end on {prefix}api_keys (account_number, ends_at);
create index {index}api_keys_to_prune on {prefix}api_keys (ends_at);

-- Label, environment and scopes as they were at the time of an event, kept once and referred to.
create table {prefix}api_key_versions (
  key_number integer not null references {prefix}api_keys (number),
  version integer not null,
  label text not null,
  environment text not null,
  scopes text,
  primary key (key_number, version)
) strict, without rowid;

create table {prefix}usage_routes (
  number integer primary key,
  method text not null,
  route text not null,
  unique (method, route)
) strict;

-- A flush that is repeated finds its id here and changes nothing.
create table {prefix}usage_batches (
  number integer primary key autoincrement,
  id text not null unique,
  recorded_at integer not null
) strict;

create index {index}usage_batches_to_prune on {prefix}usage_batches (recorded_at);

-- Clustered by hour, so that a flush writes neighbouring pages and a whole hour is removed at once.
create table {prefix}usage_events (
  hour integer not null,
  account_number integer not null,
  -- ms into the hour
  offset integer not null,
  -- batch number × 8192 + place in the batch
  sequence integer not null,
  key_number integer not null,
  key_version integer not null,
  route_number integer not null,
  status integer not null,
  duration_us integer not null,
  failure_code text,
  request_id text,
  primary key (hour desc, account_number, offset desc, sequence desc)
) strict, without rowid;

create index {index}usage_failures on {prefix}usage_events (hour desc, account_number, offset desc, sequence desc)
  where status >= 400;

-- Minutes are kept for two hours only, for the window of an hour.
create table {prefix}usage_minutes (
  minute integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (minute desc, account_number, key_number)
) strict, without rowid;

create table {prefix}usage_hours (
  hour integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (hour desc, account_number, key_number)
) strict, without rowid;

create table {prefix}usage_days (
  day integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (day desc, account_number, key_number)
) strict, without rowid
