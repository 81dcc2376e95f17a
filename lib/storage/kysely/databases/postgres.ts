// PostgreSQL: rows are locked one by one, and usage is found by owner.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { HOUR } from '../../../time.js'
import { slotNumber } from '../../slots.js'
import type { Tables } from '../tables.js'
import type { Database } from './database.js'
import { toRecordedEvent, type RecentRow } from './recent-row.js'

type Db = Kysely<Tables>

/** Of the advisory lock that migrations hold, in a space of its own. */
const MIGRATION_LOCK = sql`hashtext('fastify-self-serve-keys'), 1`

const USAGE = ['usage_events', 'usage_minutes', 'usage_hours', 'usage_days'] as const

export const postgresDatabase: Database = {
  type: 'postgres',

  async tableExists (db, name, schema) {
    const path = schema === null ? sql`quote_ident(${name})` : sql`quote_ident(${schema}) || '.' || quote_ident(${name})`
    const { rows } = await sql<{ found: boolean }>`select to_regclass(${path}) is not null as found`.execute(db)
    return rows[0]!.found
  },
  fileOf: async () => null,

  async lockForMigration (db) {
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(db)
  },

  locking: (query) => query.forUpdate(),

  contains: (column, text) => sql<boolean>`strpos(lower(${sql.ref(column)} collate "C"), ${text}) > 0`,

  async touchKeys (db, last) {
    await sql`update ${sql.table('api_keys')} as used_key set last_used_at = used.time
      from unnest(${[...last.keys()]}::bigint[], ${[...last.values()]}::bigint[]) as used (number, time)
      where used_key.number = used.number and (used_key.last_used_at is null or used_key.last_used_at < used.time)`.execute(db)
  },

  countsOf (account, { unit, start, end }) {
    const column = (name: string): RawBuilder<unknown> => sql.ref(`usage_${unit}s.${name}`)
    // Rows of a pruned key count for nothing.
    return sql`(select ${column(unit)} as slot, ${column('key_number')} as key_number, ${column('requests')} as requests, ${column('failures')} as failures
      from ${sql.table(`usage_${unit}s`)} join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${column('key_number')}
      where ${column('account_number')} = ${account} and ${column(unit)} >= ${slotNumber(start, unit)} and ${column(unit)} < ${slotNumber(end, unit)})`
  },

  async readRecent (db, account, { start, end, recentLimit }, failuresOnly) {
    const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
    const { rows } = await sql<RecentRow>`
      select ${event('hour')} as hour, ${event('offset')} as "offset", ${event('status')} as status,
        ${event('duration_us')} as duration_us, ${event('failure_code')} as failure_code, ${event('request_id')} as request_id,
        ${sql.ref('usage_routes.method')} as method, ${sql.ref('usage_routes.route')} as route,
        ${sql.ref('api_keys.public_id')} as public_id, ${sql.ref('api_key_versions.label')} as label,
        ${sql.ref('api_key_versions.environment')} as environment, ${sql.ref('api_key_versions.scopes')} as scopes
      from ${sql.table('usage_events')}
      join ${sql.table('usage_routes')} on ${sql.ref('usage_routes.number')} = ${event('route_number')}
      join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${event('key_number')}
      join ${sql.table('api_key_versions')} on ${sql.ref('api_key_versions.key_number')} = ${event('key_number')}
        and ${sql.ref('api_key_versions.version')} = ${event('key_version')}
      where ${event('account_number')} = ${account}
        and ${event('hour')} >= ${slotNumber(start, 'hour')} and ${event('hour')} <= ${slotNumber(end - 1, 'hour')}
        and ${event('hour')} * ${sql.lit(HOUR)}::bigint + ${event('offset')} >= ${start} and ${event('hour')} * ${sql.lit(HOUR)}::bigint + ${event('offset')} < ${end}
        ${failuresOnly ? sql`and ${event('status')} >= 400` : sql``}
      order by ${event('hour')} desc, ${event('offset')} desc, ${event('sequence')} desc
      limit ${recentLimit}`.execute(db)
    return rows.map(toRecordedEvent)
  },

  pruneEvents: async (db, hour, limit) => await deleteSome(db, 'usage_events', 'hour', sql`< ${hour}`, limit),
  pruneTotals: async (db, unit, slot, limit) => await deleteSome(db, `usage_${unit}s`, unit, sql`< ${slot}`, limit),
  pruneAudit: async (db, time, limit) => await deleteSome(db, 'audit_entries', 'time', sql`< ${time}`, limit),

  async eraseUsage (db, account, limit) {
    for (const table of USAGE) {
      const removed = await deleteSome(db, table, 'account_number', sql`= ${account}`, limit)
      if (removed > 0) return removed
    }
    return 0
  }
}

/** Deletes at most `limit` rows, by their places: what has no key need not have one for this. */
async function deleteSome (db: Db, table: string, column: string, condition: RawBuilder<unknown>, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ctid = any (array(
    select ctid from ${sql.table(table)} where ${sql.ref(`${table}.${column}`)} ${condition} limit ${limit}))`.execute(db)
  return Number(numAffectedRows)
}
