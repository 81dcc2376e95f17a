// Counts rate limits in this process, by a clock that never steps back. Bounded.
import type { Clock } from '../time.js'
import { admit, stateOf, type LimitState, type RateLimitStore, type Window } from './rate-limit.js'

/** Buckets held at most. Only verified keys and signed-in accounts have one, so strangers cannot fill it. */
const MAX_BUCKETS = 200_000

export function memoryRateLimitStore (clock: Clock, maxBuckets = MAX_BUCKETS): RateLimitStore & { readonly size: number } {
  const windows = new Map<string, Window>()

  const makeRoom = (now: number): void => {
    for (const [id, window] of windows) {
      if (window.endsAt <= now) windows.delete(id)
    }
    // All are open: the one that opened first goes, and its owner gets a new window early.
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
          if (!windows.has(id) && windows.size >= maxBuckets) makeRoom(now)
          windows.set(id, admitted[place]!)
        })
      }
      const states = buckets.map(({ id, limit }) => stateOf(windows.get(id), limit, now))
      const refusing = states.filter((_state, place) => admitted[place] === null)
      return { allowed, states, refusedBy: last(refusing) }
    },

    peek (buckets) {
      const now = clock.monotonic()
      return buckets.map(({ id, limit }) => stateOf(windows.get(id), limit, now))
    }
  }
}

function last (states: readonly LimitState[]): LimitState | null {
  return states.reduce<LimitState | null>((latest, state) => latest === null || state.resetMs > latest.resetMs ? state : latest, null)
}
