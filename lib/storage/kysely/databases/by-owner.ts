// What Postgres and MySQL do alike: usage is found by its owner, and what is removed is what meets a condition.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { HOUR } from '../../../time.js'
import { slotNumber, type SlotUnit } from '../../slots.js'
import type { RecordedEvent } from '../../storage.js'
import type { Tables } from '../tables.js'
import type { Database } from './database.js'
import { toRecordedEvent, type RecentRow } from './recent-row.js'

type Db = Kysely<Tables>
/** Deletes at most `limit` rows whose column meets the condition; answers how many. */
type DeleteSome = (db: Db, table: keyof Tables, column: string, condition: RawBuilder<unknown>, limit: number) => Promise<number>

interface RecentWords {
  /** The columns of NAMES, and how they are joined to the events. */
  readonly names: RawBuilder<unknown>
  readonly joined: RawBuilder<unknown>
  /** A condition that failures meet, and that their index is for. */
  readonly failed: RawBuilder<unknown>
  /** Only the first rows in descending order of hour and offset: as many, or more that are of the same millisecond as the last. */
  first (limit: number): RawBuilder<unknown>
}

type RecentList = 'recentRequests' | 'recentFailures'

/** Both lists in one statement: each that is under way takes a processor from the others, and from the event loop. */
export function recentByOwner ({ names, joined, failed, first }: RecentWords): Database['readRecent'] {
  const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
  const place = sql`(${event('hour')}, ${event('offset')})`
  const placeOf = (time: number): RawBuilder<unknown> => sql`(${slotNumber(time, 'hour')}, ${time % HOUR})`
  return async (db, account, { start, end, recentLimit }) => {
    const newest = (list: RecentList, only: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
      select ${sql.lit(list)} as list, ${event('hour')} as hour, ${event('offset')} as ${sql.ref('offset')}, ${event('sequence')} as sequence,
        ${event('status')} as status, ${event('duration_us')} as duration_us, ${event('failure_code')} as failure_code,
        ${event('request_id')} as request_id, ${names}
      from ${sql.table('usage_events')} ${joined}
      where ${event('account_number')} = ${account}
        and ${event('hour')} >= ${slotNumber(start, 'hour')} and ${event('hour')} <= ${slotNumber(end - 1, 'hour')}
        and ${place} >= ${placeOf(start)} and ${place} < ${placeOf(end)} ${only}
      order by ${event('hour')} desc, ${event('offset')} desc ${first(recentLimit)})`
    const { rows } = await sql<RecentRow & { list: RecentList, sequence: number }>`
      ${newest('recentRequests', sql``)} union all ${newest('recentFailures', sql`and ${failed}`)}`.execute(db)
    rows.sort((a, b) => b.hour - a.hour || b.offset - a.offset || b.sequence - a.sequence)
    const listed = (wanted: RecentList): RecordedEvent[] => rows.filter(({ list }) => list === wanted).slice(0, recentLimit).map(toRecordedEvent)
    return { recentRequests: listed('recentRequests'), recentFailures: listed('recentFailures') }
  }
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
