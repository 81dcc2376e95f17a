// The statements about the audit log.
import type { Kysely, RawBuilder } from 'kysely'
import { foldCase, type Audited, type NewAuditEntry, type StoredAuditEntry } from '../../audit/audit-entry.js'
import type { AuditQuery } from '../storage.js'
import { accountNumber, makeAccount, type AccountRow } from './account-rows.js'
import type { On } from './databases/database.js'
import type { Tables } from './tables.js'

type Db = Kysely<Tables>

/**
 * Writes the entries of a change, and the account's counters. It is locked: nobody else gives these ids.
 * @param keys how many sequences of keys the change has given
 */
export async function writeEntries (
  db: Db, { number, next_entry: first, next_sequence: sequence }: AccountRow, audited: readonly Audited[], keys = 0
): Promise<Array<Audited<StoredAuditEntry>>> {
  const stored = audited.map(({ change, entry }, place) => ({ change, entry: { ...entry, id: first + place } }))
  await db.updateTable('accounts').set({ next_entry: first + stored.length, next_sequence: sequence + keys }).where('number', '=', number).execute()
  for (const { entry } of stored) await insertEntry(db, number, entry)
  return stored
}

/** Writes an entry of the host's own. */
export async function recordAudit (on: On, accountId: string, entry: NewAuditEntry): Promise<StoredAuditEntry> {
  const { db } = on
  const { number, next_entry: id } = await makeAccount(on, accountId)
  await db.updateTable('accounts').set({ next_entry: id + 1 }).where('number', '=', number).execute()
  const stored = { ...entry, id }
  await insertEntry(db, number, stored)
  return stored
}

async function insertEntry (db: Db, account: number, entry: StoredAuditEntry): Promise<void> {
  const { id, time, action, actorId, actorName, credential, targetType, targetId, detail, ip, requestId } = entry
  await db.insertInto('audit_entries').values({
    account_number: account,
    id,
    time,
    action,
    actor_id: actorId,
    actor_name: actorName,
    credential,
    target_type: targetType,
    target_id: targetId,
    detail,
    ip,
    request_id: requestId
  }).execute()
}

export async function listAudit (
  { db, database }: On, { accountId, limit, offset, action, search }: AuditQuery
): Promise<{ entries: StoredAuditEntry[], total: number }> {
  const account = await accountNumber(db, accountId)
  // No text of ours holds NUL, and Postgres takes none.
  if (account === null || `${action}${search}`.includes('\0')) return { entries: [], total: 0 }
  let matching = db.selectFrom('audit_entries').where('account_number', '=', account)
  if (action !== undefined) matching = matching.where('action', '=', action)
  if (search !== undefined) {
    // Not `like`, for which % and _ are wildcards.
    const found = (column: string): RawBuilder<boolean> => database.contains(column, foldCase(search))
    matching = matching.where((eb) => eb.or([found('action'), found('target_type'), found('target_id'), found('detail')]))
  }
  const number = matching.select((eb) => eb.fn.countAll<number>().as('total'))
  const page = matching.select([
    'id', 'time', 'action', 'actor_id', 'actor_name', 'credential', 'target_type', 'target_id', 'detail', 'ip', 'request_id'
  ]).orderBy('id', 'desc').limit(limit).offset(offset)
  // In one statement: what is written meanwhile is in both or in none. There is a number where the page is empty, too.
  const rows = await db.selectFrom(number.as('number')).leftJoin(page.as('page'), (join) => join.onTrue()).selectAll().orderBy('page.id', 'desc').execute()
  return {
    total: Number(rows[0]!.total),
    entries: rows.filter(hasEntry).map((row) => ({
      id: row.id,
      time: row.time,
      action: row.action,
      actorId: row.actor_id,
      actorName: row.actor_name,
      credential: row.credential,
      targetType: row.target_type,
      targetId: row.target_id,
      detail: row.detail,
      ip: row.ip,
      requestId: row.request_id
    }))
  }
}

function hasEntry<R extends { readonly id: number | null }> (row: R): row is R & Omit<Tables['audit_entries'], 'account_number'> {
  return row.id !== null
}
