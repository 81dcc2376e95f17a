// Keys held in memory for as long as the storage says that none has changed: no revocation is ever missed.
import { TwoGenerations, type HeldKeys } from './held-keys.js'

export interface VersionedKeysParts {
  /** `keysVersion` of the storage. */
  readonly version: () => number
  /** Keys held at most, from 2. */
  readonly maxSize: number
}

/** The storage is asked for its version on each request, and for a key only where that has moved since it was asked last. */
export function versionedKeys ({ version, maxSize }: VersionedKeysParts): HeldKeys {
  const keys = new TwoGenerations(maxSize)
  return {
    stamp: version,
    get (digest, stamp) {
      const held = keys.get(digest)
      return held !== undefined && held.stamp === stamp ? held.found : undefined
    },
    put (digest, found, stamp) { keys.put(digest, found, stamp) },
    get size () { return keys.size }
  }
}
