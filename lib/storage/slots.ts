// Slots of time in UTC, in which usage is counted: whole minutes, hours and days.
import { DAY, HOUR, MINUTE } from '../time.js'

export type SlotUnit = 'minute' | 'hour' | 'day'

export const SLOT_MS: Readonly<Record<SlotUnit, number>> = { minute: MINUTE, hour: HOUR, day: DAY }

/** Which slot `time` falls in, counted from the epoch. */
export function slotNumber (time: number, unit: SlotUnit): number {
  return Math.floor(time / SLOT_MS[unit])
}

/** Start of the slot that `time` falls in, in ms. */
export function slotStart (time: number, unit: SlotUnit): number {
  return slotNumber(time, unit) * SLOT_MS[unit]
}
