// What Postgres and MySQL do alike: usage is found by its owner, and what is removed is what meets a condition.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { HOUR } from '../../../time.js'
import { slotNumber, type SlotUnit } from '../../slots.js'
import type { RecordedEvent, UsageQuery } from '../../storage.js'
import type { Tables } from '../tables.js'
import type { Database } from './database.js'
import { toRecordedEvent, type RecentRow } from './recent-row.js'

type Db = Kysely<Tables>
/** Deletes at most `limit` rows whose column meets the condition; answers how many. */
type DeleteSome = (db: Db, table: keyof Tables, column: string, condition: RawBuilder<unknown>, limit: number) => Promise<number>

/**
 * @param join the word that joins what belongs to an event to it
 * @param only which of the account's events
 */
export async function recentByOwner (
  db: Db, account: number, { start, end, recentLimit }: UsageQuery, join: RawBuilder<unknown>, only: RawBuilder<unknown>
): Promise<RecordedEvent[]> {
  const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
  const place = sql`(${event('hour')}, ${event('offset')})`
  const placeOf = (time: number): RawBuilder<unknown> => sql`(${slotNumber(time, 'hour')}, ${time % HOUR})`
  const { rows } = await sql<RecentRow>`
    select ${event('hour')} as hour, ${event('offset')} as ${sql.ref('offset')}, ${event('status')} as status,
      ${event('duration_us')} as duration_us, ${event('failure_code')} as failure_code, ${event('request_id')} as request_id,
      ${sql.ref('usage_routes.method')} as method, ${sql.ref('usage_routes.route')} as route,
      ${sql.ref('api_keys.public_id')} as public_id, ${sql.ref('api_key_versions.label')} as label,
      ${sql.ref('api_key_versions.environment')} as environment, ${sql.ref('api_key_versions.scopes')} as scopes
    from ${sql.table('usage_events')}
    ${join} ${sql.table('usage_routes')} on ${sql.ref('usage_routes.number')} = ${event('route_number')}
    ${join} ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${event('key_number')}
    ${join} ${sql.table('api_key_versions')} on ${sql.ref('api_key_versions.key_number')} = ${event('key_number')}
      and ${sql.ref('api_key_versions.version')} = ${event('key_version')}
    where ${event('account_number')} = ${account}
      and ${event('hour')} >= ${slotNumber(start, 'hour')} and ${event('hour')} <= ${slotNumber(end - 1, 'hour')}
      and ${place} >= ${placeOf(start)} and ${place} < ${placeOf(end)}
      ${only}
    order by ${event('hour')} desc, ${event('offset')} desc, ${event('sequence')} desc
    limit ${recentLimit}`.execute(db)
  return rows.map(toRecordedEvent)
}

/** @param slots a condition, besides that of the account, by which the totals of a unit are sought */
export function removals (deleteSome: DeleteSome, slots: (unit: SlotUnit) => RawBuilder<unknown>): Pick<Database, 'pruneEvents' | 'pruneTotals' | 'pruneAudit' | 'eraseUsage'> {
  return {
    pruneEvents: async (db, hour, limit) => await deleteSome(db, 'usage_events', 'hour', sql`< ${hour}`, limit),
    pruneTotals: async (db, unit, slot, limit) => await deleteSome(db, `usage_${unit}s`, unit, sql`< ${slot}`, limit),
    pruneAudit: async (db, time, limit) => await deleteSome(db, 'audit_entries', 'time', sql`< ${time}`, limit),

    async eraseUsage (db, account, limit) {
      const events = await deleteSome(db, 'usage_events', 'account_number', sql`= ${account}`, limit)
      if (events > 0) return events
      for (const unit of ['minute', 'hour', 'day'] as const) {
        const removed = await deleteSome(db, `usage_${unit}s`, 'account_number', sql`= ${account} ${slots(unit)}`, limit)
        if (removed > 0) return removed
      }
      return 0
    }
  }
}
