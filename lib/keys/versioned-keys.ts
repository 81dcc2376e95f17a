// Keys held in memory for as long as the storage says that none has changed.
import type { Clock } from '../time.js'
import { TwoGenerations, type EvictableKeys } from './held-keys.js'

export interface VersionedKeysParts {
  /** `keysVersion` of the storage. */
  readonly version: () => number
  /** ms that its answer may serve, unless somebody says that something has changed; 0: each request asks. */
  readonly maxAge: number
  /** Keys held at most, from 2. */
  readonly maxSize: number
  readonly clock: Pick<Clock, 'monotonic'>
}

/** A stamp is a version. The storage is asked for a key only where that has moved since it was asked last. */
export function versionedKeys ({ version, maxAge, maxSize, clock }: VersionedKeysParts): EvictableKeys {
  const keys = new TwoGenerations(maxSize)
  let known = 0
  let askedAt = -Infinity

  const askAgain = (): void => { askedAt = -Infinity }
  const recent = (): number => {
    const now = clock.monotonic()
    if (now - askedAt >= maxAge) {
      known = version()
      askedAt = now
    }
    return known
  }

  return {
    stamp: maxAge === 0 ? version : recent,
    get (digest, stamp) {
      const held = keys.get(digest)
      return held !== undefined && held.stamp === stamp ? held.found : undefined
    },
    put (digest, found, stamp) { keys.put(digest, found, stamp) },
    evictKey: askAgain,
    evictAccount: askAgain,
    evictAll: askAgain,
    get size () { return keys.size }
  }
}
