// The statements that write usage. Layout: events clustered by hour, totals by hour and by day (docs/performance.md says why).
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { HOUR } from '../../time.js'
import { slotNumber } from '../slots.js'
import { BATCH_MEMORY, type UsageBatch, type UsageEvent } from '../storage.js'
import type { On } from './databases/database.js'
import type { Tables } from './tables.js'
import { BATCH_SPACE, lastUses, MINUTE_MEMORY, totals } from './usage-batch.js'

type Db = Kysely<Tables>

export async function recordUsage ({ db, database }: On, batch: UsageBatch): Promise<void> {
  const before = await db.selectFrom('usage_batches').select('number').where('id', '=', batch.id).executeTakeFirst()
  if (before !== undefined) return
  const number = await database.insertedNumber(db.insertInto('usage_batches').values({ id: batch.id, recorded_at: batch.sealedAt }))
  await db.deleteFrom('usage_batches').where('recorded_at', '<', batch.sealedAt - BATCH_MEMORY).execute()

  const events = await eventsOfKeptKeys(db, batch.events)
  if (events.length === 0) return
  const routes = await routeNumbers({ db, database }, events)
  const first = number * BATCH_SPACE
  await inSlices(database.slice, events, async (slice, start) => {
    await database.addEvents(db, slice.map((event, place) => ({
      hour: slotNumber(event.time, 'hour'),
      account_number: event.key.account,
      offset: event.time % HOUR,
      sequence: first + start + place,
      key_number: event.key.key,
      key_version: event.key.version,
      route_number: routes.get(routeName(event))!,
      status: event.status,
      duration_us: Math.round(event.durationMs * 1000),
      failure_code: event.failureCode,
      request_id: event.requestId
    })))
  })
  for (const unit of ['minute', 'hour', 'day'] as const) {
    await inSlices(database.slice, totals(events, unit), async (slice) => { await database.addTotals(db, unit, slice) })
  }
  await db.deleteFrom('usage_minutes').where('minute', '<', slotNumber(batch.sealedAt - MINUTE_MEMORY, 'minute')).execute()
  await database.touchKeys(db, lastUses(events))
}

/** Writes rows a slice at a time with a turn of the event loop between: SQLite's driver works on it. One transaction all the same. */
async function inSlices<T> (size: number, rows: readonly T[], write: (slice: readonly T[], start: number) => Promise<void>): Promise<void> {
  for (let start = 0; start < rows.length; start += size) {
    if (start > 0) await nextTurn()
    await write(rows.slice(start, start + size), start)
  }
}

/** A key may be pruned between its last request and the flush. */
async function eventsOfKeptKeys (db: Db, events: readonly UsageEvent[]): Promise<UsageEvent[]> {
  const rows = await db.selectFrom('api_keys').select('number').where('number', 'in', [...new Set(events.map(({ key }) => key.key))])
    .execute()
  const kept = new Set(rows.map(({ number }) => number))
  return events.filter(({ key }) => kept.has(key.key))
}

function routeName ({ method, route }: { method: string, route: string }): string {
  return `${method} ${route}`
}

/** Routes are few and never removed: what is written at all is written once. */
async function routeNumbers ({ db, database }: On, events: readonly UsageEvent[]): Promise<Map<string, number>> {
  const routes = new Map(events.map(({ method, route }) => [routeName({ method, route }), { method, route }]))
  const known = await numbersOf(db, [...routes.values()])
  const missing = [...routes].filter(([name]) => !known.has(name)).sort(([a], [b]) => a < b ? -1 : 1).map(([, route]) => route)
  if (missing.length === 0) return known
  await database.insertMissing(db.insertInto('usage_routes').values(missing))
  return await numbersOf(db, [...routes.values()])
}

async function numbersOf (db: Db, routes: ReadonlyArray<{ method: string, route: string }>): Promise<Map<string, number>> {
  const rows = await db.selectFrom('usage_routes').select(['number', 'method', 'route'])
    .where('route', 'in', [...new Set(routes.map(({ route }) => route))]).execute()
  return new Map(rows.map((row) => [routeName(row), row.number]))
}
