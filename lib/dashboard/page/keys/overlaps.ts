// How long a rotated key may go on working: what is offered.

const HOUR = 60 * 60
const USUAL = [HOUR, 24 * HOUR, 3 * 24 * HOUR, 7 * 24 * HOUR] as const

/** Seconds, from none to the most that is allowed. */
export function overlapsUpTo (most: number): number[] {
  return [...new Set([0, ...USUAL.filter((seconds) => seconds < most), most])]
}
