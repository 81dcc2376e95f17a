// The statements about remembered requests.
import type { Kysely } from 'kysely'
import type { KeyRows, RememberedRequest } from '../../keys/key-changes.js'
import { selectKeys } from './key-queries.js'
import { toStoredKey, type Tables } from './tables.js'

type Db = Kysely<Tables>

export async function readRequest (db: Db, account: number, hash: string): Promise<KeyRows['remembered']> {
  const row = await db.selectFrom('remembered_requests').select(['request_hash', 'key_number', 'revoked_public_ids', 'expires_at'])
    .where('account_number', '=', account).where('hash', '=', hash).executeTakeFirst()
  if (row === undefined) return null
  const key = await selectKeys(db).where('api_keys.number', '=', row.key_number).executeTakeFirst()
  return {
    hash,
    requestHash: row.request_hash,
    revokedPublicIds: JSON.parse(row.revoked_public_ids) as string[],
    expiresAt: row.expires_at,
    key: key === undefined ? null : toStoredKey(key)
  }
}

/** @param key the number of the key that the request made */
export async function writeRequest (db: Db, account: number, key: number, request: RememberedRequest): Promise<void> {
  const { hash, requestHash, revokedPublicIds, expiresAt } = request
  // One whose time is over may not be pruned yet.
  await db.deleteFrom('remembered_requests').where('account_number', '=', account).where('hash', '=', hash).execute()
  await db.insertInto('remembered_requests').values({
    account_number: account,
    hash,
    request_hash: requestHash,
    key_number: key,
    revoked_public_ids: JSON.stringify(revokedPublicIds),
    expires_at: expiresAt
  }).execute()
}

export async function pruneRequests (db: Db, now: number, limit: number): Promise<number> {
  const rows = await db.selectFrom('remembered_requests').select('number').where('expires_at', '<=', now).limit(limit).execute()
  return await deleteRequests(db, rows)
}

export async function eraseRequests (db: Db, account: number, limit: number): Promise<number> {
  const rows = await db.selectFrom('remembered_requests').select('number').where('account_number', '=', account).limit(limit).execute()
  return await deleteRequests(db, rows)
}

async function deleteRequests (db: Db, rows: ReadonlyArray<{ number: number }>): Promise<number> {
  if (rows.length > 0) await db.deleteFrom('remembered_requests').where('number', 'in', rows.map(({ number }) => number)).execute()
  return rows.length
}
