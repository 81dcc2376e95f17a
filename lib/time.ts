// Clock, durations and time limits: everything here is in milliseconds.

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Where the library reads time from; tests hand in their own. */
export interface Clock {
  /** Wall clock, ms since the epoch. May step back. */
  now (): number
  /** Milliseconds that only ever grow, from any origin. */
  monotonic (): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now()
}

/** A positive integer of ms, or text such as `'90 days'`, `'1 minute'`, `'30s'`. */
export type Duration = number | string

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  msec: 1,
  s: SECOND,
  sec: SECOND,
  m: MINUTE,
  min: MINUTE,
  h: HOUR,
  hr: HOUR,
  hrs: HOUR,
  d: DAY,
  w: 7 * DAY,
  wk: 7 * DAY,
  wks: 7 * DAY,
  y: 365 * DAY,
  yr: 365 * DAY,
  yrs: 365 * DAY,
  millisecond: 1,
  second: SECOND,
  minute: MINUTE,
  hour: HOUR,
  day: DAY,
  week: 7 * DAY,
  year: 365 * DAY
}

/** Milliseconds of a duration, or null if it is not one. */
export function parseDuration (value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? value : null
  if (typeof value !== 'string') return null
  const match = /^(\d{1,9}) ?([a-z]+)$/.exec(value)
  if (match === null) return null
  const name = match[2]!
  const unit = UNITS[name] ?? (name.length > 3 && name.endsWith('s') ? UNITS[name.slice(0, -1)] : undefined)
  const ms = unit === undefined ? 0 : Number(match[1]) * unit
  return ms > 0 ? ms : null
}

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** ms since the epoch of an RFC 3339 time, whatever its offset; null for what is none, a 30th of February included. */
export function parseTime (value: unknown): number | null {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null
  if (match === null) return null
  const ms = Date.parse(match[0].toUpperCase())
  const day = Date.parse(`${match[1]!}T00:00:00Z`)
  if (Number.isNaN(ms) || Number.isNaN(day) || toIso(day).slice(0, 10) !== match[1] || match[2] === '24') return null
  // An offset may lead out of the years that have four digits, which is all that RFC 3339 can write.
  return /^\d{4}-/.test(toIso(ms)) ? ms : null
}

export function toIso (ms: number): string {
  return new Date(ms).toISOString()
}

export function toIsoOrNull (ms: number | null): string | null {
  return ms === null ? null : toIso(ms)
}

export function isPromise (value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** ms. A process that waits for an answer lives to be told that it is late; longer, and a part that hangs would hold up its end. */
const KEEP_ALIVE = 2500

/**
 * What `work` gives, or a rejection with `late()` when it takes longer than `ms`.
 */
export async function within<T> (ms: number, work: PromiseLike<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(late()) }, ms)
    if (ms > KEEP_ALIVE) timer.unref()
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}
