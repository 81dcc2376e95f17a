-- additive: sites and the audit log
-- Times are ms since the epoch.

create table {prefix}sites (
  number integer primary key autoincrement,
  site_id text not null unique,
  account_number integer not null references {prefix}accounts (number),
  origin text not null,
  created_at integer not null,
  unique (account_number, origin)
) strict;

-- What an imported key was hashed to: imported again, it is known by that after its hash was moved.
alter table {prefix}api_keys add column imported_hash text;

create index {index}api_keys_by_imported_hash on {prefix}api_keys (imported_hash) where imported_hash is not null;

-- given under the account's lock
alter table {prefix}accounts add column next_entry integer not null default 1;

create table {prefix}audit_entries (
  account_number integer not null references {prefix}accounts (number),
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

create index {index}audit_entries_to_prune on {prefix}audit_entries (time)
