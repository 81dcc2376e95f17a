-- additive: sites and the audit log
-- Times are ms since the epoch.

create table {prefix}sites (
  number bigint not null auto_increment primary key,
  site_id varbinary(255) not null unique,
  account_number bigint not null,
  origin varbinary(1024) not null,
  created_at bigint not null,
  unique key by_origin (account_number, origin),
  foreign key (account_number) references {prefix}accounts (number)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin;

-- What an imported key was hashed to: imported again, it is known by that after its hash was moved.
alter table {prefix}api_keys add column imported_hash varbinary(255), add key by_imported_hash (imported_hash);

-- given under the account's lock
alter table {prefix}accounts add column next_entry bigint not null default 1;

create table {prefix}audit_entries (
  account_number bigint not null,
  id bigint not null,
  time bigint not null,
  action varbinary(255) not null,
  actor_id mediumtext,
  actor_name mediumtext,
  credential varchar(16) character set ascii collate ascii_bin not null check (credential in ('bearer', 'cookie', 'api_key', 'host')),
  target_type mediumtext,
  target_id mediumtext,
  detail mediumtext not null,
  ip mediumtext,
  request_id mediumtext,
  primary key (account_number, id),
  key to_prune (time),
  foreign key (account_number) references {prefix}accounts (number)
) engine = innodb row_format = dynamic default character set utf8mb4 collate utf8mb4_bin
