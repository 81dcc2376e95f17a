// SQLite: statements that seek, which its planner has to be told, and tables that are clustered by their keys.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { HOUR } from '../../../time.js'
import { slotNumber } from '../../slots.js'
import type { RecordedEvent, UsageQuery } from '../../storage.js'
import type { Tables } from '../tables.js'
import type { Database } from './database.js'
import { NAMES, toRecordedEvent, type RecentRow } from './recent-row.js'
import { sqliteCounts } from './sqlite-counts.js'
import { eventInserts, upserts } from './upserts.js'

type Db = Kysely<Tables>

/** Usage by the slot that its table's key begins with, and the rest of that key. */
const BY_SLOT = [
  ['usage_events', 'hour', ['offset', 'sequence']],
  ['usage_minutes', 'minute', ['key_number']],
  ['usage_hours', 'hour', ['key_number']],
  ['usage_days', 'day', ['key_number']]
] as const

export const sqliteDatabase: Database = {
  type: 'sqlite',
  transactions: null,
  unfit: async () => null,

  async tableExists (db, name) {
    const { rows } = await sql`select 1 from sqlite_schema where type = 'table' and name = ${name}`.execute(db)
    return rows.length > 0
  },
  async fileOf (db) {
    const { rows } = await sql<{ file: string }>`select file from pragma_database_list where name = 'main'`.execute(db)
    return rows[0]!.file
  },

  // The transaction holds the one write lock there is.
  migrating: async (_db, work) => await work(),
  carriedOut: new Set(),
  takeTurn: async () => {},
  locking: (query) => query,
  ...upserts,
  ...eventInserts,
  async addTotals (db, unit, totals) {
    const rows = totals.map((row) => sql`(${row.slot}, ${row.account}, ${row.key}, ${row.requests}, ${row.failures})`)
    await sql`insert into ${sql.table(`usage_${unit}s`)} as totals (${sql.ref(unit)}, account_number, key_number, requests, failures)
      values ${sql.join(rows)}
      on conflict (${sql.ref(unit)}, account_number, key_number)
      do update set requests = totals.requests + excluded.requests, failures = totals.failures + excluded.failures`.execute(db)
  },

  contains: (column, text) => sql<boolean>`instr(lower(${sql.ref(column)}), ${text}) > 0`,

  async touchKeys (db, last) {
    await db.updateTable('api_keys')
      .from(sql<{ number: number, time: number }>`(select json_extract(value, '$[0]') as number, json_extract(value, '$[1]') as time
        from json_each(${JSON.stringify([...last])}))`.as('used'))
      .set((eb) => ({ last_used_at: eb.ref('used.time') }))
      .whereRef('api_keys.number', '=', 'used.number')
      .where((eb) => eb.or([eb('api_keys.last_used_at', 'is', null), eb('api_keys.last_used_at', '<', eb.ref('used.time'))]))
      .execute()
  },

  readCounts: sqliteCounts,

  async readRecent (db, account, query) {
    const [recentRequests, recentFailures] = await Promise.all([newest(db, account, query, false), newest(db, account, query, true)])
    return { recentRequests, recentFailures }
  },

  pruneEvents: async (db, hour, limit) => await deleteSome(db, 'usage_events', ['hour', 'account_number', 'offset', 'sequence'], 'hour', hour, limit),
  pruneTotals: async (db, unit, slot, limit) => await deleteSome(db, `usage_${unit}s`, [unit, 'account_number', 'key_number'], unit, slot, limit),
  pruneAudit: async (db, time, limit) => await deleteSome(db, 'audit_entries', ['account_number', 'id'], 'time', time, limit),

  async eraseUsage (db, account, limit) {
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
}

/**
 * One seek an hour, newest hour first, until there are enough: that depends on `hours` being the outer loop (cross join
 * keeps it there) and on the keys' descending order. The index of failures has to be named: SQLite would rather read
 * every event of an hour than look each failure up in its table.
 */
async function newest (
  db: Db, account: RawBuilder<unknown>, { start, end, recentLimit }: UsageQuery, failuresOnly: boolean
): Promise<RecordedEvent[]> {
  const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
  const { rows } = await sql<RecentRow>`with recursive hours (hour) as (
      select ${slotNumber(end - 1, 'hour')} union all select hour - 1 from hours where hour > ${slotNumber(start, 'hour')})
    select ${event('hour')} as hour, ${event('offset')} as offset, ${event('status')} as status,
      ${event('duration_us')} as duration_us, ${event('failure_code')} as failure_code, ${event('request_id')} as request_id,
      ${NAMES}
    from hours
    cross join ${sql.table('usage_events')} ${failuresOnly ? sql`indexed by ${sql.table('usage_failures')}` : sql``}
      on ${event('hour')} = hours.hour and ${event('account_number')} = ${account}
      ${failuresOnly ? sql`and ${event('status')} >= 400` : sql``}
      and ${event('hour')} * ${HOUR} + ${event('offset')} >= ${start}
      and ${event('hour')} * ${HOUR} + ${event('offset')} < ${end}
    cross join ${sql.table('usage_routes')} on ${sql.ref('usage_routes.number')} = ${event('route_number')}
    cross join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${event('key_number')}
    cross join ${sql.table('api_key_versions')} on ${sql.ref('api_key_versions.key_number')} = ${event('key_number')}
      and ${sql.ref('api_key_versions.version')} = ${event('key_version')}
    limit ${recentLimit}`.execute(db)
  return rows.map(toRecordedEvent)
}

/** Deletes at most `limit` rows with `column` below `below`, found by the key of their table. */
async function deleteSome (db: Db, table: string, key: readonly string[], column: string, below: number, limit: number): Promise<number> {
  const columns = sql.join(key.map((name) => sql.ref(`${table}.${name}`)))
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where (${columns}) in (
    select ${columns} from ${sql.table(table)} where ${sql.ref(`${table}.${column}`)} < ${below} limit ${limit})`.execute(db)
  return Number(numAffectedRows)
}
