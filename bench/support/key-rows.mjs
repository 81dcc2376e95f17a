// Accounts and keys as SQL that SQLite and Postgres both understand: thousands at once, in the order of their numbers.

/** The numbers from `first` to `last`, for a `with recursive`. */
export function numbers (first, last) {
  return `numbers (i) as (select ${first} union all select i + 1 from numbers where i < ${last})`
}

export const accountId = (number) => `account_${number}`

/** Accounts 1 to `count`. */
export function accountRows (count) {
  return `insert into self_serve_accounts (id, next_sequence) with recursive ${numbers(1, count)} select 'account_' || i, 1000000 from numbers order by i`
}

/** The public id of the key with this number. */
export const publicId = (number) => `key_${String(number).padStart(26, '0')}`

/**
 * Keys `first` to `last`, each with its version.
 * @param account SQL for the number of the account of key `i`
 * @param revoked were they revoked, an hour after they were made?
 */
export function keyRows ({ first, last, account, createdAt, lastUsedAt = 'null', revoked = false }) {
  const padded = (length) => `substr('${'0'.repeat(length)}' || i, length('' || i) + 1)`
  const revokedAt = createdAt + 3_600_000
  return [
    `insert into self_serve_api_keys (public_id, account_number, sequence, key_hash, version, label, environment, access, scopes, allowed_origins, allowed_ips,
        prefix, first8, last4, created_by, creator_id, created_at, last_used_at, revoked_at, ends_at)
      with recursive ${numbers(first, last)}
      select 'key_' || ${padded(26)}, ${account}, i, ${padded(64)}, 1, 'Server ' || i, 'live', 'secret', '["blocks:read"]', '[]', '[]',
        'sk_live_', 'aB3dE6gH', '9z8a', 'Ada Example', 'person_1', ${createdAt}, ${lastUsedAt}, ${revoked ? revokedAt : 'null'}, ${revoked ? revokedAt : Number.MAX_SAFE_INTEGER}
      from numbers order by i`,
    `insert into self_serve_api_key_versions (key_number, version, label, environment, scopes)
      select number, version, label, environment, scopes from self_serve_api_keys where number between ${first} and ${last} order by number`
  ]
}
