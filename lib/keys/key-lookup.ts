// From a plaintext to the stored key: the shape first, then what is held in memory where anything is, then the storage.
import { fingerprint, sameDigest } from '../crypto.js'
import type { Storage } from '../storage/storage.js'
import { andThen } from '../time.js'
import type { FoundKey, IdentifiedKey } from './api-key.js'
import type { HeldKeys } from './held-keys.js'
import type { KeyShape } from './key-format.js'
import type { KeyDigest, KeyHasher } from './key-hash.js'

/** The key that was stored for this plaintext, whatever its status; null if there is none. @throws STORAGE_UNAVAILABLE */
export type KeyLookup = (plaintext: string) => IdentifiedKey | null | Promise<IdentifiedKey | null>

export interface KeyLookupParts {
  readonly storage: Pick<Storage, 'findKeyByHash'>
  readonly hasher: KeyHasher
  readonly isKeyShaped: KeyShape
  /** null: the storage is asked for every request. */
  readonly held: HeldKeys | null
}

export function keyLookup ({ storage, hasher, isKeyShaped, held }: KeyLookupParts): KeyLookup {
  const ask = (plaintext: string): FoundKey | null | Promise<FoundKey | null> => {
    const candidates = hasher.candidates(plaintext)
    return andThen(storage.findKeyByHash(candidates), (found) => oneOf(found, candidates))
  }

  const askAndHold = (plaintext: string, keys: HeldKeys): ReturnType<KeyLookup> => {
    const digest = fingerprint(plaintext)
    const stamp = keys.stamp()
    // Each request asks for itself: an answer that another one waits for may have been asked for before a revocation.
    return keys.get(digest, stamp) ?? andThen(ask(plaintext), (found) => {
      // What is not there is not kept: whoever makes keys up must find no memory to fill.
      if (found !== null) keys.put(digest, found, stamp)
      return found
    })
  }

  return (plaintext) => {
    if (typeof plaintext !== 'string' || !isKeyShaped(plaintext)) return null
    return held === null ? ask(plaintext) : askAndHold(plaintext, held)
  }
}

/** The database compared already; a column that ignores case must not widen what was asked. */
function oneOf (found: FoundKey | null, candidates: readonly KeyDigest[]): FoundKey | null {
  if (found === null) return null
  const { hash, pepperId } = found.key
  return candidates.some((one) => one.pepperId === pepperId && sameDigest(one.hash, hash)) ? found : null
}
