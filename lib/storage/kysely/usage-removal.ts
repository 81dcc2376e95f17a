// Removes usage that is past its retention.
import { slotNumber } from '../slots.js'
import type { On } from './databases/database.js'

/** Removes at most `limit` rows: events of hours before `before`, then totals of hours and days before it. */
export async function pruneUsage ({ db, database }: On, before: number, limit: number): Promise<number> {
  let removed = await database.pruneEvents(db, slotNumber(before, 'hour'), limit)
  for (const unit of ['hour', 'day'] as const) {
    if (removed >= limit) break
    removed += await database.pruneTotals(db, unit, slotNumber(before, unit), limit - removed)
  }
  return removed
}
