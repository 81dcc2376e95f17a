// Counts rate limits in this process, by a clock that never steps back. Bounded.
import { readPart } from '../part-options.js'
import { systemClock, type Clock } from '../time.js'
import { decide, NONE, stateOf, type Window } from './decision.js'
import type { Bucket, Consumed, LimitState, RateLimitStore } from './rate-limit.js'

/** ms between two looks at every bucket: a full store must not be walked for each request. */
const SWEEP_INTERVAL = 1000

export interface MemoryRateLimitStoreOptions {
  /** Buckets held at most, some 200 bytes each. Where all are in use, the one that opened first is forgotten. @default 200000 */
  maxBuckets?: number
  /** @default the system's */
  clock?: Pick<Clock, 'monotonic'>
}

/** `endsAt` is in monotonic time; `id` is the bucket's. */
interface Held { readonly id: string, used: number, endsAt: number }

/** Answers at once, unlike a store elsewhere. */
export interface MemoryRateLimitStore extends RateLimitStore {
  consume (buckets: readonly Bucket[], cost: number): Consumed
  peek (buckets: readonly Bucket[]): readonly LimitState[]
  reset (buckets: readonly Bucket[]): void
  /** Buckets held. */
  readonly size: number
}

/** The store that counts where no other is named: by instance, so that two of them admit twice as many. @throws INVALID_OPTION */
export function memoryRateLimitStore (options: MemoryRateLimitStoreOptions = {}): MemoryRateLimitStore {
  const { maxBuckets, clock } = readOptions(options)
  const held = new Map<string, Held>()
  let sweptAt = -Infinity

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

  /**
   * A window that opens goes behind the others: the map's order is that of opening. One that ended is opened anew as it is, its id
   * included: by the hundred thousand they would be old garbage every minute.
   */
  const open = (id: string, known: Held | undefined, { used, left }: Window, now: number): void => {
    held.delete(id)
    if (held.size >= maxBuckets) makeRoom(now)
    const window = known ?? { id, used, endsAt: 0 }
    window.used = used
    window.endsAt = now + left
    held.set(window.id, window)
  }

  return {
    get size () { return held.size },

    consume (buckets, cost) {
      const now = clock.monotonic()
      const before = buckets.map(({ id }) => held.get(id))
      const { allowed, states, refusedBy, windows } = decide(buckets.map(({ limit }) => limit), before.map((window) => windowOf(window, now)), cost)
      windows.forEach((window, place) => {
        const { used, left } = window
        const known = before[place]
        if (known !== undefined && !(allowed && used === cost)) {
          // A window that its limit now cuts short is cut for who is refused too: what he was told to wait for must come.
          known.used = used
          known.endsAt = now + left
        } else if (allowed) {
          open(buckets[place]!.id, known, window, now)
        }
      })
      return { allowed, states, refusedBy }
    },

    peek (buckets) {
      const now = clock.monotonic()
      return buckets.map(({ id, limit }) => stateOf(limit, windowOf(held.get(id), now)))
    },

    reset (buckets) {
      for (const { id } of buckets) held.delete(id)
    }
  }
}

function readOptions (options: MemoryRateLimitStoreOptions): Required<MemoryRateLimitStoreOptions> {
  const { given: { maxBuckets = 200_000, clock }, refuse, methodsOf } = readPart('memoryRateLimitStore', options, ['maxBuckets', 'clock'])
  if (!Number.isSafeInteger(maxBuckets) || (maxBuckets as number) < 1) refuse('maxBuckets', 'must be an integer from 1')
  return { maxBuckets: maxBuckets as number, clock: clock === undefined ? systemClock : methodsOf('clock', ['monotonic']) }
}

function windowOf (held: Held | undefined, now: number): Window {
  return held === undefined ? NONE : { used: held.used, left: held.endsAt - now }
}
