// Keys held in memory until they are too old, or somebody says that they have changed.
import type { Clock } from '../time.js'
import { TwoGenerations, type EvictableKeys, type HeldKey } from './held-keys.js'

/** Evictions that are remembered at most; more than that, and everything that is held goes. */
const MAX_EVICTIONS = 10_000

export interface KeyCacheParts {
  /** ms from the question that an answer may serve. */
  readonly maxAge: number
  /** Keys held at most, from 2. */
  readonly maxSize: number
  readonly clock: Pick<Clock, 'monotonic'>
}

/**
 * A stamp is the monotonic time. An eviction is a note of when it came, and an answer serves only if it was asked for after that. So a question that was
 * under way fills nothing, and a note is done with as soon as everything from before it is too old anyway.
 */
export function keyCache ({ maxAge, maxSize, clock }: KeyCacheParts): EvictableKeys {
  const keys = new TwoGenerations(maxSize)
  const evictedKeys = new Map<string, number>()
  const evictedAccounts = new Map<string, number>()
  let evictedAll = -Infinity

  const evictAll = (): void => {
    evictedAll = clock.monotonic()
    evictedKeys.clear()
    evictedAccounts.clear()
    keys.clear()
  }

  const evict = (evicted: Map<string, number>, id: string): void => {
    const now = clock.monotonic()
    // In the order of time: what is done with comes first.
    evicted.delete(id)
    evicted.set(id, now)
    for (const [one, at] of evicted) {
      if (now - at <= maxAge) break
      evicted.delete(one)
    }
    if (evicted.size > MAX_EVICTIONS) evictAll()
  }

  const after = (askedAt: number, evicted: Map<string, number>, id: string): boolean => {
    const evictedAt = evicted.size === 0 ? undefined : evicted.get(id)
    return evictedAt === undefined || askedAt > evictedAt
  }

  const serves = ({ found: { key }, stamp: askedAt }: HeldKey, now: number): boolean =>
    now - askedAt < maxAge && askedAt > evictedAll &&
    after(askedAt, evictedKeys, key.publicId) && after(askedAt, evictedAccounts, key.accountId)

  return {
    stamp: () => clock.monotonic(),
    get (digest, now) {
      const held = keys.get(digest)
      return held !== undefined && serves(held, now) ? held.found : undefined
    },
    put (digest, found, askedAt) {
      const held = keys.get(digest)
      // What was asked for later may know more.
      if (held === undefined || held.stamp <= askedAt) keys.put(digest, found, askedAt)
    },
    evictKey (publicId) { evict(evictedKeys, publicId) },
    evictAccount (accountId) { evict(evictedAccounts, accountId) },
    evictAll,
    get size () { return keys.size }
  }
}
