-- additive: what keys stand at, for processes that hold some in memory
-- One row. Its number is another one after every change of what verification reads: random, so that a file that was restored from a
-- copy never counts up to a number that stood for something else. A new key changes nothing that anybody can have read.

create table {prefix}keys_version (
  number integer primary key check (number = 1),
  version integer not null
) strict;

insert into {prefix}keys_version (number, version) values (1, random() >> 11);

create trigger {index}keys_version_key_updated after update of
  account_number, key_hash, pepper_id, version, label, environment, access, scopes, allowed_origins, allowed_ips, disabled_by, metadata,
  expires_at, retires_at, revoked_at, revoked_reason, default_slot
on {prefix}api_keys begin update {prefix}keys_version set version = random() >> 11; end;

create trigger {index}keys_version_key_deleted after delete on {prefix}api_keys begin update {prefix}keys_version set version = random() >> 11; end;

create trigger {index}keys_version_site_inserted after insert on {prefix}sites begin update {prefix}keys_version set version = random() >> 11; end;

create trigger {index}keys_version_site_updated after update on {prefix}sites begin update {prefix}keys_version set version = random() >> 11; end;

create trigger {index}keys_version_site_deleted after delete on {prefix}sites begin update {prefix}keys_version set version = random() >> 11; end
