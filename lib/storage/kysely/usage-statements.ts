// The statements that write a batch of usage on a SQLite connection of its own: what usage-writes.ts does, at a fraction of its cost.
import type { Database as Handle } from 'better-sqlite3'
import { HOUR } from '../../time.js'
import { slotNumber, type SlotUnit } from '../slots.js'
import { BATCH_MEMORY } from '../storage.js'
import { BATCH_SPACE, lastUses, MINUTE_MEMORY, totals, type EventList, type ReadBatch } from './usage-batch.js'

/** Rows of one statement: a call costs half of what a row does. */
const ROWS = 32

/** Runs a statement for rows that come one by one, many at a time. */
interface Rows {
  add (...row: unknown[]): void
  /** Runs it for those that are left. @returns how many rows it changed */
  end (): number
}

/** @returns what records a batch. A transaction is open around it, and is rolled back if it throws */
export function usageStatements (db: Handle, prefix: string): (batch: ReadBatch) => void {
  // A statement that fails ends the transaction. Without `or fail` SQLite would copy every page first, to undo the one statement.
  const insertBatch = db.prepare(`insert or ignore into ${prefix}usage_batches (id, recorded_at) values (?, ?)`)
  const forgetBatches = db.prepare(`delete from ${prefix}usage_batches where recorded_at < ?`)
  const forgetMinutes = db.prepare(`delete from ${prefix}usage_minutes where minute < ?`)
  const findKey = db.prepare(`select 1 from ${prefix}api_keys where number = ?`).pluck()
  const touchKeys = inRows(db, 2, (rows) => `update or fail ${prefix}api_keys set last_used_at = used.column2 from (values ${rows}) as used
    where number = used.column1 and (last_used_at is null or last_used_at < used.column2)`)
  const findRoute = db.prepare(`select number from ${prefix}usage_routes where method = ? and route = ?`).pluck()
  const insertRoute = db.prepare(`insert into ${prefix}usage_routes (method, route) values (?, ?)`)
  const insertEvents = inRows(db, 11, (rows) => `insert or fail into ${prefix}usage_events (hour, account_number, offset, sequence,
    key_number, key_version, route_number, status, duration_us, failure_code, request_id) values ${rows}`)
  const totalsOf = (unit: SlotUnit): (() => Rows) => inRows(db, 5, (rows) => `insert or fail into ${prefix}usage_${unit}s as total
    (${unit}, account_number, key_number, requests, failures) values ${rows} on conflict (${unit}, account_number, key_number)
    do update set requests = total.requests + excluded.requests, failures = total.failures + excluded.failures`)
  const addTotals = { minute: totalsOf('minute'), hour: totalsOf('hour'), day: totalsOf('day') }

  /** Moves last uses forward. A key may be pruned between its last request and the flush. */
  const touchedEvents = (events: EventList): EventList => {
    const last = lastUses(events)
    const touched = touchKeys()
    for (const [key, time] of last) touched.add(key, time)
    if (touched.end() === last.size) return events
    const kept = new Set([...last.keys()].filter((key) => findKey.get(key) !== undefined))
    return [...events].filter(({ key }) => kept.has(key.key))
  }

  return ({ id, sealedAt, events: sent }) => {
    const { changes, lastInsertRowid } = insertBatch.run(id, sealedAt)
    if (changes === 0) return
    forgetBatches.run(sealedAt - BATCH_MEMORY)
    const events = touchedEvents(sent)

    const routes = new Map<string, Map<string, number>>()
    const routeNumber = (method: string, route: string): number => {
      let ofMethod = routes.get(method)
      if (ofMethod === undefined) routes.set(method, ofMethod = new Map())
      let number = ofMethod.get(route)
      if (number === undefined) {
        number = findRoute.get(method, route) as number | undefined ?? Number(insertRoute.run(method, route).lastInsertRowid)
        ofMethod.set(route, number)
      }
      return number
    }
    const first = Number(lastInsertRowid) * BATCH_SPACE
    // What is near in the table goes in together: by account, the newest first.
    const order = new Float64Array(events.length)
    let place = 0
    for (const { key } of events) {
      order[place] = key.account * BATCH_SPACE + place
      place++
    }
    order.sort().reverse()
    const inserted = insertEvents()
    for (const one of order) {
      const place = one % BATCH_SPACE
      const { key, time, method, route, status, durationMs, failureCode, requestId } = events.at(place)!
      inserted.add(
        slotNumber(time, 'hour'), key.account, time % HOUR, first + place, key.key, key.version, routeNumber(method, route), status,
        Math.round(durationMs * 1000), failureCode, requestId
      )
    }
    inserted.end()
    for (const unit of ['minute', 'hour', 'day'] as const) {
      const added = addTotals[unit]()
      for (const { slot, account, key, requests, failures } of totals(events, unit)) added.add(slot, account, key, requests, failures)
      added.end()
    }
    forgetMinutes.run(slotNumber(sealedAt - MINUTE_MEMORY, 'minute'))
  }
}

/** @returns what begins to run the statement, written for so many rows as it needs, for rows of so many columns */
function inRows (db: Handle, columns: number, statementOf: (rows: string) => string): () => Rows {
  const row = `(${Array(columns).fill('?').join()})`
  const one = db.prepare(statementOf(row))
  const many = db.prepare(statementOf(Array(ROWS).fill(row).join()))
  return () => {
    const values: unknown[] = []
    let changes = 0
    return {
      add (...row) {
        values.push(...row)
        if (values.length < columns * ROWS) return
        changes += many.run(values).changes
        values.length = 0
      },
      end () {
        for (let at = 0; at < values.length; at += columns) changes += one.run(values.slice(at, at + columns)).changes
        return changes
      }
    }
  }
}
