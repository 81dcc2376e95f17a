// Keys that were found a moment ago, by the SHA-256 of their plaintext: bounded in number and in age.
import type { Clock } from '../time.js'
import type { FoundKey } from './api-key.js'

/** Evictions that are remembered at most; more than that, and everything that is held goes. */
const MAX_EVICTIONS = 10_000

export interface KeyCache {
  /** What `put` was given under this digest, unless it is too old or was evicted since it was asked for. */
  get (digest: string): FoundKey | undefined
  /** @param askedAt monotonic time before the storage was asked: what changed from then on is not in the answer */
  put (digest: string, found: FoundKey, askedAt: number): void
  evictKey (publicId: string): void
  /** All keys of the account. */
  evictAccount (accountId: string): void
  evictAll (): void
  /** Keys held, those that nobody gets any more included. */
  readonly size: number
}

export interface KeyCacheParts {
  /** ms from the question that an answer may serve. */
  readonly maxAge: number
  /** Keys held at most, from 2. */
  readonly maxSize: number
  readonly clock: Pick<Clock, 'monotonic'>
}

interface Entry { readonly found: FoundKey, readonly askedAt: number }

/**
 * An eviction is a note of when it came, and an answer serves only if it was asked for after that. So a question that was
 * under way fills nothing, and a note is done with as soon as everything from before it is too old anyway.
 */
export function keyCache ({ maxAge, maxSize, clock }: KeyCacheParts): KeyCache {
  // Two generations: when the young one is full the old one is dropped whole, which costs no search for what to drop.
  let young = new Map<string, Entry>()
  let old = new Map<string, Entry>()
  const evictedKeys = new Map<string, number>()
  const evictedAccounts = new Map<string, number>()
  let evictedAll = -Infinity

  const evictAll = (): void => {
    evictedAll = clock.monotonic()
    evictedKeys.clear()
    evictedAccounts.clear()
    young = new Map()
    old = new Map()
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

  const after = (askedAt: number, evictedAt: number | undefined): boolean => evictedAt === undefined || askedAt > evictedAt

  const serves = ({ found: { key }, askedAt }: Entry): boolean =>
    clock.monotonic() - askedAt < maxAge && askedAt > evictedAll &&
    after(askedAt, evictedKeys.get(key.publicId)) && after(askedAt, evictedAccounts.get(key.accountId))

  return {
    get (digest) {
      const entry = young.get(digest) ?? old.get(digest)
      return entry !== undefined && serves(entry) ? entry.found : undefined
    },
    put (digest, found, askedAt) {
      const held = young.get(digest)
      if (held !== undefined && held.askedAt > askedAt) return
      if (held === undefined && young.size >= Math.floor(maxSize / 2)) {
        old = young
        young = new Map()
      }
      young.set(digest, { found, askedAt })
    },
    evictKey (publicId) { evict(evictedKeys, publicId) },
    evictAccount (accountId) { evict(evictedAccounts, accountId) },
    evictAll,
    get size () { return young.size + old.size }
  }
}
