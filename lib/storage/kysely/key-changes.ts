// The statements that change keys: rows read under the account's lock, a pure decision on them, and what it says written.
import type { Kysely } from 'kysely'
import type { NewKey, StoredKey } from '../../keys/api-key.js'
import type { ChangeContext, KeyIntention, KeyRows, KeyUpdate, WantedRows } from '../../keys/key-changes.js'
import { firstState } from '../../keys/key-lifecycle.js'
import type { KeyOutcome } from '../storage.js'
import { lockAccount, makeAccount, type AccountRow } from './account-rows.js'
import { writeEntries } from './audit-queries.js'
import type { On } from './databases/database.js'
import { countCurrent, selectKeys } from './key-queries.js'
import { readRequest, writeRequest } from './request-queries.js'
import { FIRST_VERSION, toKeyRow, toStoredKey, type Tables } from './tables.js'
import { formatScopes } from './text-lists.js'

type Db = Kysely<Tables>

const NO_ROWS: KeyRows = { target: null, predecessor: null, acting: null, sameHash: null, all: [], current: 0, remembered: null }

/** Runs in a transaction that the caller owns. */
export async function changeKeys<I extends ChangeContext> (on: On, { wants, decide }: KeyIntention<I>, input: I): Promise<KeyOutcome> {
  const { db } = on
  const wanted = wants(input)
  const known = await lockAccount(on, wanted.accountId)
  if (known === null) {
    const decision = decide(input, await readRows(db, null, wanted, input.now))
    if (decision.outcome !== 'changed') return decision
  }
  // What was decided without the lock says only that there is something to do: another first change may come before.
  const account = known ?? await makeAccount(on, wanted.accountId)
  const decision = decide(input, await readRows(db, account, wanted, input.now))
  if (decision.outcome !== 'changed') return decision

  const { insert, importedHash, remember = null, updates, entries } = decision
  const updated: StoredKey[] = []
  for (const update of updates) updated.push(await updateKey(db, update))
  const inserted = insert === null ? null : await insertKey(on, account, insert, importedHash)
  if (remember !== null) await writeRequest(db, account.number, inserted!.ref.key, remember)
  const written = await writeEntries(db, account, entries, inserted === null ? 0 : 1)
  return { outcome: 'changed', key: (inserted ?? updated[0])!, updated, entries: written }
}

async function readRows (db: Db, account: AccountRow | null, wanted: WantedRows, now: number): Promise<KeyRows> {
  const { publicId, slot, hash, all, actingId, remembered } = wanted
  const sameHash = hash === undefined
    ? null
    : await oneKey(selectKeys(db).where((eb) => eb.or([eb('api_keys.key_hash', '=', hash), eb('api_keys.imported_hash', '=', hash)])))
  if (account === null) return { ...NO_ROWS, sameHash }
  const keys = selectKeys(db).where('api_keys.account_number', '=', account.number)
  const named = async (id: string | null | undefined): Promise<StoredKey | null> =>
    typeof id === 'string' ? await oneKey(keys.where('api_keys.public_id', '=', id)) : null
  const target = slot === undefined ? await named(publicId) : await oneKey(keys.where('api_keys.default_slot', '=', slot))
  const current = all === true
    ? await keys.where('api_keys.ends_at', '>', now).where('api_keys.revoked_at', 'is', null).orderBy('api_keys.sequence', 'desc').execute()
    : []
  return {
    target,
    predecessor: await named(target?.rotatedFrom),
    acting: await named(actingId),
    sameHash,
    all: current.map(toStoredKey),
    current: await countCurrent(db, account.number, now),
    remembered: remembered === undefined ? null : await readRequest(db, account.number, remembered)
  }
}

async function oneKey (query: ReturnType<typeof selectKeys>): Promise<StoredKey | null> {
  const row = await query.executeTakeFirst()
  return row === undefined ? null : toStoredKey(row)
}

async function updateKey (db: Db, { key, set }: KeyUpdate): Promise<StoredKey> {
  const renamed = 'label' in set || 'scopes' in set
  const ref = { ...key.ref, version: key.ref.version + (renamed ? 1 : 0) }
  const next: StoredKey = { ...key, ...set, ref }
  // What usage and rehashing write beside us is left out: it may have moved on since the row was read.
  const { key_hash: _hash, pepper_id: _pepper, last_used_at: _used, ...columns } = toKeyRow(next)
  await db.updateTable('api_keys').set({ ...columns, version: ref.version }).where('number', '=', ref.key).execute()
  if (renamed) await insertVersion(db, next)
  return next
}

async function insertKey ({ db, database }: On, account: AccountRow, key: NewKey, importedHash: string | null = null): Promise<StoredKey> {
  const stored = { ...firstState(key), sequence: account.next_sequence }
  const number = await database.insertedNumber(db.insertInto('api_keys')
    .values({ ...toKeyRow(stored), imported_hash: importedHash, account_number: account.number, version: FIRST_VERSION }))
  const inserted = { ...stored, ref: { account: account.number, key: number, version: FIRST_VERSION } }
  await insertVersion(db, inserted)
  return inserted
}

async function insertVersion (db: Db, { ref, label, environment, scopes }: StoredKey): Promise<void> {
  await db.insertInto('api_key_versions')
    .values({ key_number: ref.key, version: ref.version, label, environment, scopes: formatScopes(scopes) }).execute()
}
