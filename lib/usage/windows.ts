// The windows of time a customer may look at.
import { SLOT_MS, slotStart, type SlotUnit } from '../storage/slots.js'

/** Each window with the slots of its timeline. */
export const WINDOWS = {
  '1h': { unit: 'minute', slots: 60 },
  '24h': { unit: 'hour', slots: 24 },
  '7d': { unit: 'hour', slots: 168 },
  '30d': { unit: 'day', slots: 30 }
} as const satisfies Record<string, { unit: SlotUnit, slots: number }>

export type UsageWindow = keyof typeof WINDOWS
export const USAGE_WINDOWS = Object.keys(WINDOWS) as readonly UsageWindow[]

export interface SlotRange {
  readonly unit: SlotUnit
  /** Start of the first slot, ms. */
  readonly start: number
  /** End of the last slot, ms, exclusive. */
  readonly end: number
}

/** The slots of a window that ends now: the last one is the slot under way. */
export function slotsOf (window: UsageWindow, now: number): SlotRange {
  const { unit, slots } = WINDOWS[window]
  const end = slotStart(now, unit) + SLOT_MS[unit]
  return { unit, start: end - slots * SLOT_MS[unit], end }
}
