// The statements that remove usage: what is past its retention, and all of an account that is erased.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { slotNumber } from '../slots.js'
import type { Tables } from './tables.js'

type Db = Kysely<Tables>

/** Removes at most `limit` rows: events of hours before `before`, then totals of hours and days before it. */
export async function pruneUsage (db: Db, before: number, limit: number): Promise<number> {
  const hour = slotNumber(before, 'hour')
  const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
  const key = sql`(${event('hour')}, ${event('account_number')}, ${event('offset')}, ${event('sequence')})`
  const events = await sql`delete from ${sql.table('usage_events')} where ${key} in (
    select ${sql.join([event('hour'), event('account_number'), event('offset'), event('sequence')])}
    from ${sql.table('usage_events')} where ${event('hour')} < ${hour} limit ${limit})`.execute(db)
  let removed = Number(events.numAffectedRows)
  for (const [table, slot, end] of [['usage_hours', 'hour', hour], ['usage_days', 'day', slotNumber(before, 'day')]] as const) {
    if (removed >= limit) break
    const column = (name: string): RawBuilder<unknown> => sql.ref(`${table}.${name}`)
    const columns = sql.join([column(slot), column('account_number'), column('key_number')])
    const totals = await sql`delete from ${sql.table(table)} where (${columns}) in (
      select ${columns} from ${sql.table(table)} where ${column(slot)} < ${end} limit ${limit - removed})`.execute(db)
    removed += Number(totals.numAffectedRows)
  }
  return removed
}

/** Usage by the slot that its table's key begins with, and the rest of that key. */
const BY_SLOT = [
  ['usage_events', 'hour', ['offset', 'sequence']],
  ['usage_minutes', 'minute', ['key_number']],
  ['usage_hours', 'hour', ['key_number']],
  ['usage_days', 'day', ['key_number']]
] as const

/** Removes at most `limit` rows of an account; 0 when none is left. */
export async function eraseUsage (db: Db, account: number, limit: number): Promise<number> {
  for (const [table, slot, rest] of BY_SLOT) {
    const column = (name: string): RawBuilder<unknown> => sql.ref(`${table}.${name}`)
    const columns = sql.join([column(slot), column('account_number'), ...rest.map(column)])
    // Slot after slot, each one seek: the key begins with the slot, and a search for the account alone would read it all.
    const { numAffectedRows } = await sql`delete from ${sql.table(table)} where (${columns}) in (
      with recursive slots (slot) as (
        select min(${column(slot)}) from ${sql.table(table)}
        union all select slot + 1 from slots where slot < (select max(${column(slot)}) from ${sql.table(table)}))
      select ${columns} from slots cross join ${sql.table(table)} on ${column(slot)} = slots.slot and ${column('account_number')} = ${account}
      limit ${limit})`.execute(db)
    if (Number(numAffectedRows) > 0) return Number(numAffectedRows)
  }
  return 0
}
