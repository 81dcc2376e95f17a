// Counts rate limits in this process, by a clock that never steps back. Bounded.
import { makeError } from '../errors.js'
import { systemClock, type Clock } from '../time.js'
import { decide, stateOf, type Window } from './decision.js'
import type { Bucket, Consumed, LimitState, RateLimitStore } from './rate-limit.js'

/** ms between two looks at every bucket: a full store must not be walked for each request. */
const SWEEP_INTERVAL = 1000

export interface MemoryRateLimitStoreOptions {
  /** Buckets held at most, some 200 bytes each. Where all are in use, the one that opened first is forgotten. @default 200000 */
  maxBuckets?: number
  /** @default the system's */
  clock?: Pick<Clock, 'monotonic'>
}

/** `endsAt` is in monotonic time. */
interface Held { readonly used: number, readonly endsAt: number }

/** Answers at once, unlike a store elsewhere. */
export interface MemoryRateLimitStore extends RateLimitStore {
  consume (buckets: readonly Bucket[], cost: number): Consumed
  peek (buckets: readonly Bucket[]): readonly LimitState[]
  reset (buckets: readonly Bucket[]): void
  /** Buckets held. */
  readonly size: number
}

/** The store that counts where no other is named: by instance, so that two of them admit twice as many. @throws INVALID_OPTION */
export function memoryRateLimitStore ({ maxBuckets = 200_000, clock = systemClock }: MemoryRateLimitStoreOptions = {}): MemoryRateLimitStore {
  if (!Number.isSafeInteger(maxBuckets) || maxBuckets < 1) {
    throw makeError('INVALID_OPTION', { message: 'memoryRateLimitStore: "maxBuckets" must be an integer from 1.', details: { option: 'maxBuckets' } })
  }
  const held = new Map<string, Held>()
  let sweptAt = -Infinity

  const windowOf = ({ id }: Bucket, now: number): Window => {
    const window = held.get(id)
    return window === undefined ? { used: 0, left: 0 } : { used: window.used, left: window.endsAt - now }
  }

  const makeRoom = (now: number): void => {
    if (now - sweptAt >= SWEEP_INTERVAL) {
      sweptAt = now
      for (const [id, { endsAt }] of held) {
        if (endsAt <= now) held.delete(id)
      }
    }
    // All are open, or were at the last sweep: the one that opened first goes, and its owner gets a new window early.
    for (const id of held.keys()) {
      if (held.size < maxBuckets) break
      held.delete(id)
    }
  }

  const hold = (id: string, { used, left }: Window, cost: number, now: number): void => {
    // A window that opens goes behind the others: the map's order is that of opening.
    if (used === cost) held.delete(id)
    if (!held.has(id) && held.size >= maxBuckets) makeRoom(now)
    held.set(id, { used, endsAt: now + left })
  }

  return {
    get size () { return held.size },

    consume (buckets, cost) {
      const now = clock.monotonic()
      const { windows, ...consumed } = decide(buckets.map(({ limit }) => limit), buckets.map((bucket) => windowOf(bucket, now)), cost)
      buckets.forEach(({ id }, place) => {
        const window = windows[place]!
        if (consumed.allowed) hold(id, window, cost, now)
        // A window that its limit now cuts short is cut for who is refused too: what he was told to wait for must come.
        else if (window.left > 0) held.set(id, { used: window.used, endsAt: now + window.left })
      })
      return consumed
    },

    peek (buckets) {
      const now = clock.monotonic()
      return buckets.map((bucket) => stateOf(bucket.limit, windowOf(bucket, now)))
    },

    reset (buckets) {
      for (const { id } of buckets) held.delete(id)
    }
  }
}
