// The statements about keys: each takes the connection it runs on, so that the caller owns the transaction.
import { sql, type Kysely, type RawBuilder, type SelectQueryBuilder } from 'kysely'
import type { Environment, NewKey, StoredKey } from '../../keys/api-key.js'
import { assemblePage, decideIssue, decideRevoke, firstState } from '../decide.js'
import type {
  IssueKeyInput, IssueKeyResult, KeyPage, ListKeysQuery, RehashMove, RevokeKeyInput, RevokeKeyResult
} from '../storage.js'
import { endsAt, FIRST_VERSION, formatScopes, KEY_COLUMNS, toKeyRow, toStoredKey, type KeyRow, type Tables } from './tables.js'

type Db = Kysely<Tables>
type KeyQuery = SelectQueryBuilder<Tables, 'api_keys' | 'accounts', KeyRow>

function selectKeys (db: Db): KeyQuery {
  return db.selectFrom('api_keys').innerJoin('accounts', 'accounts.number', 'api_keys.account_number').select(KEY_COLUMNS)
}

export function keyByHash (db: Db, hashes: readonly string[]): KeyQuery {
  return selectKeys(db).where('api_keys.key_hash', 'in', hashes)
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

export async function listKeys (db: Db, query: ListKeysQuery): Promise<KeyPage> {
  const { accountId, now, environment, status, before, limit } = query
  const account = await db.selectFrom('accounts').select('number').where('id', '=', accountId).executeTakeFirst()
  if (account === undefined) return before === undefined || before === 'start' ? { keys: [], before: null } : null

  let matching = selectKeys(db).where('api_keys.account_number', '=', account.number).orderBy('api_keys.sequence', 'desc')
  if (environment !== undefined) matching = matching.where('api_keys.environment', '=', environment)
  if (status !== undefined) matching = matching.where(statusAt(now), '=', status)
  const mayHaveEnded = status === undefined || status === 'expired' || status === 'revoked'
  // A revoked key has ended even where the clock was set back behind its revocation.
  let ended = matching.where((eb) => eb.or([eb('api_keys.ends_at', '<=', now), eb('api_keys.revoked_at', 'is not', null)]))
    .limit(limit + 1)
  if (before !== undefined && before !== 'start') {
    const from = await getKey(db, accountId, before.publicId)
    if (from === null) return null
    ended = ended.where('api_keys.sequence', '<', from.sequence)
  }
  const current = before !== undefined
    ? []
    : await matching.where('api_keys.ends_at', '>', now).where('api_keys.revoked_at', 'is', null).execute()
  // A key that ends between the two statements is in both answers: it is shown once, as it was.
  const shown = new Set(current.map(({ number }) => number))
  const rest = (mayHaveEnded ? await ended.execute() : []).filter(({ number }) => !shown.has(number))
  return assemblePage(query, current.map(toStoredKey), rest.map(toStoredKey))
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

export async function countKeys (db: Db, accountId: string, now: number): Promise<{ total: number, active: number }> {
  const account = await db.selectFrom('accounts').select('number').where('id', '=', accountId).executeTakeFirst()
  if (account === undefined) return { total: 0, active: 0 }
  const { total } = await db.selectFrom('api_keys').select((eb) => eb.fn.countAll<number>().as('total'))
    .where('account_number', '=', account.number).executeTakeFirstOrThrow()
  return { total: Number(total), active: await countCurrent(db, account.number, now) }
}

async function countCurrent (db: Db, account: number, now: number): Promise<number> {
  const { current } = await db.selectFrom('api_keys').select((eb) => eb.fn.countAll<number>().as('current'))
    .where('account_number', '=', account).where('ends_at', '>', now).where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(current)
}

export async function issueKey (db: Db, { key, maxKeys, now }: IssueKeyInput): Promise<IssueKeyResult> {
  const account = await lockAccount(db, key.accountId)
  const holder = key.isDefault ? await slotHolder(db, account.number, key.environment) : null
  const current = await countCurrent(db, account.number, now)
  const decision = decideIssue({ holder, current, maxKeys, now })
  if (decision.outcome === 'limit' || decision.outcome === 'disabled_by_host') return decision

  if (decision.outcome === 'issued') {
    if (decision.vacates !== null) {
      await db.updateTable('api_keys').set({ default_slot: null }).where('number', '=', decision.vacates.ref.key).execute()
    }
    return { outcome: 'issued', key: await insertKey(db, account, key), replaced: null }
  }
  const { key: replaced } = await revoke(db, decision.revokes, 'rotated', now)
  const successor = await insertKey(db, account, { ...key, rotatedFrom: replaced.publicId })
  return { outcome: 'rotated', key: successor, replaced }
}

export async function revokeKey (
  db: Db, { accountId, publicId, reason, now }: RevokeKeyInput
): Promise<RevokeKeyResult | null> {
  const key = await getKey(db, accountId, publicId)
  return key === null ? null : await revoke(db, key, reason, now)
}

async function revoke (db: Db, key: StoredKey, reason: string, now: number): Promise<RevokeKeyResult> {
  const change = decideRevoke(key, reason, now)
  if (change === null) return { key, changed: false }
  const revoked = { ...key, ...change }
  await db.updateTable('api_keys')
    .set({ revoked_at: change.revokedAt, revoked_reason: change.revokedReason, default_slot: null, ends_at: endsAt(revoked) })
    .where('number', '=', key.ref.key).execute()
  return { key: revoked, changed: true }
}

/** Moves each hash if it is still the old one: compare and swap, in one statement a key. */
export async function rehashKeys (db: Db, moves: readonly RehashMove[]): Promise<void> {
  for (const { publicId, fromHash, hash, pepperId } of moves) {
    await db.updateTable('api_keys').set({ key_hash: hash, pepper_id: pepperId })
      .where('public_id', '=', publicId).where('key_hash', '=', fromHash).execute()
  }
}

export async function pruneKeys (db: Db, endedBefore: number, limit: number): Promise<number> {
  const rows = await db.selectFrom('api_keys').select('number').where('ends_at', '<', endedBefore).limit(limit).execute()
  if (rows.length === 0) return 0
  const numbers = rows.map(({ number }) => number)
  await db.deleteFrom('api_key_versions').where('key_number', 'in', numbers).execute()
  await db.deleteFrom('api_keys').where('number', 'in', numbers).execute()
  return rows.length
}

async function slotHolder (db: Db, account: number, environment: Environment): Promise<StoredKey | null> {
  const row = await selectKeys(db).where('api_keys.account_number', '=', account)
    .where('api_keys.default_slot', '=', environment).executeTakeFirst()
  return row === undefined ? null : toStoredKey(row)
}

interface AccountRow { readonly number: number, readonly next_sequence: number }

/** The account's row, made where there is none and locked by the transaction until it ends. */
async function lockAccount (db: Db, accountId: string): Promise<AccountRow> {
  await db.insertInto('accounts').values({ id: accountId, next_sequence: 1 }).onConflict((conflict) => conflict.doNothing())
    .execute()
  return await db.selectFrom('accounts').select(['number', 'next_sequence']).where('id', '=', accountId)
    .executeTakeFirstOrThrow()
}

async function insertKey (db: Db, account: AccountRow, key: NewKey): Promise<StoredKey> {
  const stored = { ...firstState(key), sequence: account.next_sequence }
  await db.updateTable('accounts').set({ next_sequence: account.next_sequence + 1 }).where('number', '=', account.number)
    .execute()
  const { insertId } = await db.insertInto('api_keys').values(toKeyRow(stored, account.number)).executeTakeFirstOrThrow()
  const ref = { account: account.number, key: Number(insertId), version: FIRST_VERSION }
  const { label, environment, scopes } = key
  await db.insertInto('api_key_versions')
    .values({ key_number: ref.key, version: ref.version, label, environment, scopes: formatScopes(scopes) }).execute()
  return { ...stored, ref }
}
