// The statements that write a batch of usage on a SQLite connection of its own: what usage-writes.ts does, at a fraction of its cost.
import type { Database as Handle } from 'better-sqlite3'
import { HOUR } from '../../time.js'
import { slotNumber, type SlotUnit } from '../slots.js'
import { BATCH_MEMORY, type UsageBatch, type UsageEvent } from '../storage.js'
import { BATCH_SPACE, lastUses, MINUTE_MEMORY, totals } from './usage-batch.js'

/** Rows of one statement: a call costs half of what a row does. */
const ROWS = 32

type Write = (values: readonly unknown[]) => number

/** @returns what records a batch. A transaction is open around it, and is rolled back if it throws */
export function usageStatements (db: Handle, prefix: string): (batch: UsageBatch) => void {
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
  const totalsOf = (unit: SlotUnit): Write => inRows(db, 5, (rows) => `insert or fail into ${prefix}usage_${unit}s as total
    (${unit}, account_number, key_number, requests, failures) values ${rows} on conflict (${unit}, account_number, key_number)
    do update set requests = total.requests + excluded.requests, failures = total.failures + excluded.failures`)
  const addTotals = { minute: totalsOf('minute'), hour: totalsOf('hour'), day: totalsOf('day') }

  /** Moves last uses forward. A key may be pruned between its last request and the flush. */
  const touchedEvents = (events: readonly UsageEvent[]): readonly UsageEvent[] => {
    const last = lastUses(events)
    if (touchKeys([...last].flat()) === last.size) return events
    const kept = new Set([...last.keys()].filter((key) => findKey.get(key) !== undefined))
    return events.filter(({ key }) => kept.has(key.key))
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
    const order = Float64Array.from(events, ({ key }, place) => key.account * BATCH_SPACE + place).sort().reverse()
    const rows: unknown[] = []
    for (const one of order) {
      const place = one % BATCH_SPACE
      const { key, time, method, route, status, durationMs, failureCode, requestId } = events[place]!
      rows.push(
        slotNumber(time, 'hour'), key.account, time % HOUR, first + place, key.key, key.version, routeNumber(method, route), status,
        Math.round(durationMs * 1000), failureCode, requestId
      )
    }
    insertEvents(rows)
    for (const unit of ['minute', 'hour', 'day'] as const) {
      addTotals[unit](totals(events, unit).flatMap(({ slot, account, key, requests, failures }) => [slot, account, key, requests, failures]))
    }
    forgetMinutes.run(slotNumber(sealedAt - MINUTE_MEMORY, 'minute'))
  }
}

/** @returns what runs the statement for all rows of so many values, and counts the rows that changed */
function inRows (db: Handle, columns: number, statementOf: (rows: string) => string): Write {
  const row = `(${Array(columns).fill('?').join()})`
  const one = db.prepare(statementOf(row))
  const many = db.prepare(statementOf(Array(ROWS).fill(row).join()))
  return (values) => {
    let changes = 0
    for (let at = 0; at < values.length;) {
      const length = values.length - at >= columns * ROWS ? columns * ROWS : columns
      changes += (length === columns ? one : many).run(values.slice(at, at + length)).changes
      at += length
    }
    return changes
  }
}
