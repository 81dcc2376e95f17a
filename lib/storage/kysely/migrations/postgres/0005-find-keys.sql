-- additive: a function that finds keys
-- Postgres plans a statement anew for each request, which takes longer than to carry it out; what a function says is planned once
-- a connection, whatever driver or pooler is before it. One digest at a time: for a list of them it would plan anew again.

create function {prefix}find_keys (hashes text[]) returns setof text language plpgsql stable as $$
  declare
    wanted text; found_key record; site_origins json;
  begin
    foreach wanted in array hashes loop
      select api_keys.number, api_keys.public_id, api_keys.account_number, api_keys.sequence, api_keys.key_hash, api_keys.pepper_id,
        api_keys.version, api_keys.label, api_keys.environment, api_keys.access, api_keys.scopes, api_keys.allowed_origins,
        api_keys.allowed_ips, api_keys.default_slot, api_keys.prefix, api_keys.first8, api_keys.last4, api_keys.created_by,
        api_keys.creator_id, api_keys.disabled_by, api_keys.metadata, api_keys.created_at, api_keys.last_used_at, api_keys.expires_at,
        api_keys.retires_at, api_keys.revoked_at, api_keys.revoked_reason, api_keys.rotated_from,
        (select accounts.id from {prefix}accounts accounts where accounts.number = api_keys.account_number) as account_id
        into found_key from {prefix}api_keys api_keys where api_keys.key_hash = wanted; continue when not found;
      site_origins := null; if found_key.access = 'publishable' and found_key.allowed_origins = '[]' then
        select json_agg(sites.origin) into site_origins from {prefix}sites sites where sites.account_number = found_key.account_number; end if;
      return next json_build_array(row_to_json(found_key), site_origins)::text;
    end loop;
  end
$$
