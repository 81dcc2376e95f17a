// Counts rate limits in this process, by a clock that never steps back. Bounded.
import type { Clock } from '../time.js'
import { admit, standingOf, type LimitState, type RateLimitStore, type Window } from './rate-limit.js'

/** Buckets held at most. Only verified keys and signed-in accounts have one, so strangers cannot fill it. */
const MAX_BUCKETS = 200_000
/** ms between two looks at every bucket: a full store must not be walked for each request. */
const SWEEP_INTERVAL = 1000

export function memoryRateLimitStore (clock: Clock, maxBuckets = MAX_BUCKETS): RateLimitStore & { readonly size: number } {
  const windows = new Map<string, Window>()
  let sweptAt = -Infinity

  const makeRoom = (now: number): void => {
    if (now - sweptAt >= SWEEP_INTERVAL) {
      sweptAt = now
      for (const [id, window] of windows) {
        if (window.endsAt <= now) windows.delete(id)
      }
    }
    // All are open, or were at the last sweep: the one that opened first goes, and its owner gets a new window early.
    for (const id of windows.keys()) {
      if (windows.size < maxBuckets) break
      windows.delete(id)
    }
  }

  return {
    get size () { return windows.size },

    consume (buckets) {
      const now = clock.monotonic()
      const admitted = buckets.map(({ id, limit }) => admit(windows.get(id), limit, now))
      const allowed = !admitted.includes(null)
      if (allowed) {
        buckets.forEach(({ id }, place) => {
          const window = admitted[place]!
          // A window that opens goes behind the others: the map's order is that of opening.
          if (window.used === 1) windows.delete(id)
          if (!windows.has(id) && windows.size >= maxBuckets) makeRoom(now)
          windows.set(id, window)
        })
      }
      const states = buckets.map(({ id, limit }) => standingOf(windows.get(id), limit, now))
      const refusing = states.filter((_state, place) => admitted[place] === null)
      return { allowed, states, refusedBy: last(refusing) }
    },

    peek (buckets) {
      const now = clock.monotonic()
      return buckets.map(({ id, limit }) => standingOf(windows.get(id), limit, now))
    }
  }
}

function last (states: readonly LimitState[]): LimitState | null {
  return states.reduce<LimitState | null>((latest, state) => latest === null || state.resetMs > latest.resetMs ? state : latest, null)
}
