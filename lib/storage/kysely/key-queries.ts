// The statements that find, list, count, rehash and prune keys: each takes the connection it runs on, so that the caller owns the transaction.
import { sql, type Kysely, type RawBuilder, type SelectQueryBuilder } from 'kysely'
import { hasEnded, type StoredKey } from '../../keys/api-key.js'
import { assemblePage } from '../key-page.js'
import type { KeyPage, ListKeysQuery, RehashMove } from '../storage.js'
import { accountNumber } from './account-rows.js'
import { KEY_COLUMNS, OWN_COLUMNS, toStoredKey, type FoundRow, type KeyRow, type Tables } from './tables.js'

type Db = Kysely<Tables>
type KeyQuery = SelectQueryBuilder<Tables, 'api_keys' | 'accounts', KeyRow>

export function selectKeys (db: Db): KeyQuery {
  return db.selectFrom('api_keys').innerJoin('accounts', 'accounts.number', 'api_keys.account_number').select(KEY_COLUMNS)
}

export function keyByHash (db: Db, hashes: readonly string[]): SelectQueryBuilder<Tables, 'api_keys' | 'accounts' | 'sites', FoundRow> {
  return selectKeys(db)
    .leftJoin('sites', (join) => join.onRef('sites.account_number', '=', 'api_keys.account_number')
      .on('api_keys.access', '=', sql.lit('publishable')).on('api_keys.allowed_origins', '=', sql.lit('[]')))
    .select('sites.origin as site_origin')
    .where('api_keys.key_hash', 'in', hashes)
}

export async function findKey (db: Db, publicId: string): Promise<StoredKey | null> {
  const row = await selectKeys(db).where('api_keys.public_id', '=', publicId).executeTakeFirst()
  return row === undefined ? null : toStoredKey(row)
}

export async function getKey (db: Db, accountId: string, publicId: string): Promise<StoredKey | null> {
  const row = await selectKeys(db).where('api_keys.public_id', '=', publicId).where('accounts.id', '=', accountId)
    .executeTakeFirst()
  return row === undefined ? null : toStoredKey(row)
}

/** In one statement: a round trip to a server takes as long as a page does, and no key ends between what has ended and what has not. */
export async function listKeys (db: Db, query: ListKeysQuery): Promise<KeyPage> {
  const { accountId, now, environment, status, before, limit } = query
  const account = db.selectFrom('accounts').select('number').where('id', '=', accountId)
  let matching = db.selectFrom('api_keys').select('api_keys.number').where('api_keys.account_number', '=', account)
  if (environment !== undefined) matching = matching.where('api_keys.environment', '=', environment)
  if (status !== undefined) matching = matching.where(statusAt(now), '=', status)
  // A revoked key has ended even where the clock was set back behind its revocation.
  let ended = matching.where((eb) => eb.or([eb('api_keys.ends_at', '<=', now), eb('api_keys.revoked_at', 'is not', null)]))
    .orderBy('api_keys.sequence', 'desc').limit(limit + 1)
  if (before !== undefined && before !== 'start') {
    ended = ended.where('api_keys.sequence', '<', db.selectFrom('api_keys as last').select('last.sequence')
      .where('last.public_id', '=', before.publicId).where('last.account_number', '=', account))
  }
  const current = matching.where('api_keys.ends_at', '>', now).where('api_keys.revoked_at', 'is', null)
  const mayHaveEnded = status === undefined || status === 'expired' || status === 'revoked'
  const page = before !== undefined ? ended : mayHaveEnded ? current.unionAll(db.selectFrom(ended.as('ended')).select('ended.number')) : current
  const rows = await db.selectFrom(page.as('page')).innerJoin('api_keys', 'api_keys.number', 'page.number').select(OWN_COLUMNS)
    .select(sql<string>`${accountId}`.as('account_id')).execute()
  // Nothing comes before a key that is not there either.
  if (rows.length === 0 && before !== undefined && before !== 'start' && await getKey(db, accountId, before.publicId) === null) return null
  const found = { current: [] as StoredKey[], ended: [] as StoredKey[] }
  for (const key of rows.map(toStoredKey).sort((a, b) => b.sequence - a.sequence)) found[hasEnded(key, now) ? 'ended' : 'current'].push(key)
  return assemblePage(query, found.current, found.ended)
}

/** `statusOf` of keys/api-key.ts, in SQL; the storage contract holds the two together. */
function statusAt (now: number): RawBuilder<string> {
  const column = (name: string): RawBuilder<unknown> => sql.ref(`api_keys.${name}`)
  return sql<string>`case
    when ${column('revoked_at')} is not null or ${column('retires_at')} <= ${now} then 'revoked'
    when ${column('expires_at')} <= ${now} then 'expired'
    when ${column('disabled_by')} is not null then 'disabled'
    when ${column('retires_at')} is not null then 'retiring'
    else 'active' end`
}

/** In one statement: no key comes or ends between the two counts. */
export async function countKeys (db: Db, accountId: string, now: number): Promise<{ total: number, active: number }> {
  const account = await accountNumber(db, accountId)
  if (account === null) return { total: 0, active: 0 }
  const { total, active } = await db.selectNoFrom([keysOf(db, account).as('total'), currentOf(db, account, now).as('active')]).executeTakeFirstOrThrow()
  return { total: Number(total), active: Number(active) }
}

export async function countCurrent (db: Db, account: number, now: number): Promise<number> {
  const { count } = await currentOf(db, account, now).executeTakeFirstOrThrow()
  return Number(count)
}

/** How many there are. */
function keysOf (db: Db, account: number): SelectQueryBuilder<Tables, 'api_keys', { count: number }> {
  return db.selectFrom('api_keys').select((eb) => eb.fn.countAll<number>().as('count')).where('account_number', '=', account)
}

function currentOf (db: Db, account: number, now: number): ReturnType<typeof keysOf> {
  return keysOf(db, account).where('ends_at', '>', now).where('revoked_at', 'is', null)
}

/** Moves each hash if it is still the old one: compare and swap, in one statement a key. */
export async function rehashKeys (db: Db, moves: readonly RehashMove[]): Promise<void> {
  for (const { publicId, fromHash, hash, pepperId } of moves) {
    await db.updateTable('api_keys')
      .set({ key_hash: hash, pepper_id: pepperId })
      .where('public_id', '=', publicId).where('key_hash', '=', fromHash)
      // In a table of its own, with a limit that keeps it one: MySQL refuses to read what it updates.
      .where(({ not, exists, selectFrom }) => not(exists(selectFrom(
        (from) => from.selectFrom('api_keys as other').select('other.number').where('other.key_hash', '=', hash).limit(1).as('taken')
      ).select('taken.number'))))
      .execute()
  }
}

export async function pruneKeys (db: Db, endedBefore: number, limit: number): Promise<number> {
  const rows = await db.selectFrom('api_keys').select('number').where('ends_at', '<', endedBefore).limit(limit).execute()
  if (rows.length === 0) return 0
  await deleteKeys(db, rows.map(({ number }) => number))
  return rows.length
}

export async function deleteKeys (db: Db, numbers: readonly number[]): Promise<void> {
  await db.deleteFrom('api_key_versions').where('key_number', 'in', numbers).execute()
  await db.deleteFrom('api_keys').where('number', 'in', numbers).execute()
}
