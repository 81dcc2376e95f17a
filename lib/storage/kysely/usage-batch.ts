// What a batch of usage comes to: its rows' numbers, totals by slot of time, and the last use of each key. Pure.
import { HOUR } from '../../time.js'
import { slotNumber, type SlotUnit } from '../slots.js'
import type { UsageBatch, UsageEvent } from '../storage.js'
import type { Total } from './databases/database.js'

/** Batches hold fewer events than this, so that batch number × this + place is unique. */
export const BATCH_SPACE = 8192
/** ms that totals by minute are kept: the longest window that shows minutes, and as much again for late flushes. */
export const MINUTE_MEMORY = 2 * HOUR

/** Events one after another: an array, or what makes them as they are asked for. */
export interface EventList extends Iterable<UsageEvent> {
  readonly length: number
  /** @param place from 0 to below `length` */
  at (place: number): UsageEvent | undefined
}

export type ReadBatch = Omit<UsageBatch, 'events'> & { readonly events: EventList }

/** In one order everywhere, so that two that write at once wait for each other and never in a circle. */
export function totals (events: Iterable<UsageEvent>, unit: SlotUnit): Total[] {
  const bySlot = new Map<number, Map<number, Total>>()
  for (const { key: { account, key }, time, status } of events) {
    const slot = slotNumber(time, unit)
    let byKey = bySlot.get(slot)
    if (byKey === undefined) bySlot.set(slot, byKey = new Map())
    let total = byKey.get(key)
    if (total === undefined) byKey.set(key, total = { slot, account, key, requests: 0, failures: 0 })
    total.requests++
    if (status >= 400) total.failures++
  }
  return [...bySlot.values()].flatMap((byKey) => [...byKey.values()])
    .sort((a, b) => a.slot - b.slot || a.account - b.account || a.key - b.key)
}

/** The last use of each key, in the order of their numbers. */
export function lastUses (events: Iterable<UsageEvent>): Map<number, number> {
  const last = new Map<number, number>()
  for (const { key, time } of events) last.set(key.key, Math.max(time, last.get(key.key) ?? 0))
  return new Map([...last].sort(([a], [b]) => a - b))
}
