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

/** Every word for a unit, as @fastify/rate-limit takes them too. */
const UNITS: ReadonlyMap<string, number> = new Map([
  [1, 'ms msec msecs millisecond milliseconds'],
  [SECOND, 's sec secs second seconds'],
  [MINUTE, 'm min mins minute minutes'],
  [HOUR, 'h hr hrs hour hours'],
  [DAY, 'd day days'],
  [7 * DAY, 'w wk wks week weeks'],
  [365 * DAY, 'y yr yrs year years']
].flatMap(([ms, words]) => (words as string).split(' ').map((word): [string, number] => [word, ms as number])))

/** Milliseconds of a duration, or null if it is not one. */
export function parseDuration (value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? value : null
  if (typeof value !== 'string') return null
  const match = /^(\d{1,9}) ?([a-z]+)$/.exec(value)
  if (match === null) return null
  const ms = Number(match[1]) * (UNITS.get(match[2]!) ?? 0)
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

/** Whole seconds: no more than there is. */
export function toSeconds (ms: number): number {
  return Math.floor(ms / SECOND)
}

export function toSecondsOrNull (ms: number | null): number | null {
  return ms === null ? null : toSeconds(ms)
}

/** Of two lengths of time, or points in it; null for none. */
export function shorterOf (a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.min(a, b)
}

export function isPromise (value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Goes on at once where the value is there, else when it comes: what need not wait makes no promise. */
export function andThen<T, U> (value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return isPromise(value) ? value.then(next) : next(value)
}

/** ms. A process that waits for an answer lives to be told that it is late; longer, and a part that hangs would hold up its end. */
const KEEP_ALIVE = 2500

/**
 * What `work` gives, or a rejection with `late()` when it takes longer than `ms`.
 */
export async function within<T> (ms: number, work: PromiseLike<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    // An event loop that was blocked so long runs its timers before it reads the answer that has come: that is not late.
    timer = setTimeout(() => { setImmediate(() => { reject(late()) }) }, ms)
    if (ms > KEEP_ALIVE) timer.unref()
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}
