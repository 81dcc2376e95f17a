-- additive: sites and the audit log
-- Times are ms since the epoch.

create table {prefix}sites (
  number bigint generated always as identity primary key,
  site_id text collate "C" not null unique,
  account_number bigint not null references {prefix}accounts (number),
  origin text collate "C" not null,
  created_at bigint not null,
  unique (account_number, origin)
);

-- What an imported key was hashed to: imported again, it is known by that after its hash was moved.
alter table {prefix}api_keys add column imported_hash text collate "C";

create index {index}api_keys_by_imported_hash on {prefix}api_keys (imported_hash) where imported_hash is not null;

-- given under the account's lock
alter table {prefix}accounts add column next_entry bigint not null default 1;

create table {prefix}audit_entries (
  account_number bigint not null references {prefix}accounts (number),
  id bigint not null,
  time bigint not null,
  action text collate "C" not null,
  actor_id text collate "C",
  actor_name text collate "C",
  credential text collate "C" not null check (credential in ('bearer', 'cookie', 'api_key', 'host')),
  target_type text collate "C",
  target_id text collate "C",
  detail text collate "C" not null,
  ip text collate "C",
  request_id text collate "C",
  primary key (account_number, id)
);

create index {index}audit_entries_to_prune on {prefix}audit_entries (time)
