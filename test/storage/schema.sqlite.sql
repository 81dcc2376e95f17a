-- The schema after every migration step, written by `npx tap --snapshot test/storage/kysely.test.ts`.

CREATE TABLE "self_serve_migrations" (
    step integer primary key, name text not null, breaking integer not null, applied_at bigint not null);

CREATE TABLE self_serve_accounts (
  -- never given again: usage under way may still refer to an account that was erased
  number integer primary key autoincrement,
  id text not null unique,
  next_sequence integer not null
, next_entry integer not null default 1) strict;

CREATE TABLE self_serve_api_keys (
  number integer primary key autoincrement,
  public_id text not null unique,
  account_number integer not null references self_serve_accounts (number),
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
  ends_at integer not null, imported_hash text,
  unique (account_number, sequence),
  unique (account_number, default_slot)
) strict;

CREATE INDEX self_serve_api_keys_by_end on self_serve_api_keys (account_number, ends_at);

CREATE INDEX self_serve_api_keys_to_prune on self_serve_api_keys (ends_at);

CREATE TABLE self_serve_api_key_versions (
  key_number integer not null references self_serve_api_keys (number),
  version integer not null,
  label text not null,
  environment text not null,
  scopes text,
  primary key (key_number, version)
) strict, without rowid;

CREATE TABLE self_serve_usage_routes (
  number integer primary key,
  method text not null,
  route text not null,
  unique (method, route)
) strict;

CREATE TABLE self_serve_usage_batches (
  number integer primary key autoincrement,
  id text not null unique,
  recorded_at integer not null
) strict;

CREATE INDEX self_serve_usage_batches_to_prune on self_serve_usage_batches (recorded_at);

CREATE TABLE self_serve_usage_events (
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

CREATE INDEX self_serve_usage_failures on self_serve_usage_events (hour desc, account_number, offset desc, sequence desc)
  where status >= 400;

CREATE TABLE self_serve_usage_minutes (
  minute integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (minute desc, account_number, key_number)
) strict, without rowid;

CREATE TABLE self_serve_usage_hours (
  hour integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (hour desc, account_number, key_number)
) strict, without rowid;

CREATE TABLE self_serve_usage_days (
  day integer not null,
  account_number integer not null,
  key_number integer not null,
  requests integer not null,
  failures integer not null,
  primary key (day desc, account_number, key_number)
) strict, without rowid;

CREATE TABLE self_serve_sites (
  number integer primary key autoincrement,
  site_id text not null unique,
  account_number integer not null references self_serve_accounts (number),
  origin text not null,
  created_at integer not null,
  unique (account_number, origin)
) strict;

CREATE INDEX self_serve_api_keys_by_imported_hash on self_serve_api_keys (imported_hash) where imported_hash is not null;

CREATE TABLE self_serve_audit_entries (
  account_number integer not null references self_serve_accounts (number),
  id integer not null,
  time integer not null,
  action text not null,
  actor_id text,
  actor_name text,
  credential text not null check (credential in ('bearer', 'cookie', 'api_key', 'host')),
  target_type text,
  target_id text,
  detail text not null,
  ip text,
  request_id text,
  primary key (account_number, id)
) strict, without rowid;

CREATE INDEX self_serve_audit_entries_to_prune on self_serve_audit_entries (time);

CREATE TABLE self_serve_remembered_requests (
  number integer primary key,
  account_number integer not null,
  -- of the idempotency key, and of all that makes the request this one: SHA-256 in lower-case hex
  hash text not null,
  request_hash text not null,
  -- the key that was made
  key_number integer not null,
  revoked_public_ids text not null,
  expires_at integer not null,
  unique (account_number, hash)
) strict;

CREATE INDEX self_serve_remembered_requests_to_prune on self_serve_remembered_requests (expires_at);

CREATE TABLE self_serve_keys_version (
  number integer primary key check (number = 1),
  version integer not null
) strict;

CREATE TRIGGER self_serve_keys_version_key_updated after update of
  account_number, key_hash, pepper_id, version, label, environment, access, scopes, allowed_origins, allowed_ips, disabled_by, metadata,
  expires_at, retires_at, revoked_at, revoked_reason, default_slot
on self_serve_api_keys begin update self_serve_keys_version set version = random() >> 11; end;

CREATE TRIGGER self_serve_keys_version_key_deleted after delete on self_serve_api_keys begin update self_serve_keys_version set version = random() >> 11; end;

CREATE TRIGGER self_serve_keys_version_site_inserted after insert on self_serve_sites begin update self_serve_keys_version set version = random() >> 11; end;

CREATE TRIGGER self_serve_keys_version_site_updated after update on self_serve_sites begin update self_serve_keys_version set version = random() >> 11; end;

CREATE TRIGGER self_serve_keys_version_site_deleted after delete on self_serve_sites begin update self_serve_keys_version set version = random() >> 11; end;
