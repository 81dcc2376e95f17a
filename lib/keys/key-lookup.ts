// From a plaintext to the stored key: the shape first, then the cache where there is one, then the storage.
import { sameDigest, sha256 } from '../crypto.js'
import type { Storage } from '../storage/storage.js'
import { isPromise, type Clock } from '../time.js'
import type { FoundKey } from './api-key.js'
import type { KeyCache } from './key-cache.js'
import type { KeyShape } from './key-format.js'
import type { KeyDigest, KeyHasher } from './key-hash.js'

/** The key that was stored for this plaintext, whatever its status; null if there is none. @throws STORAGE_UNAVAILABLE */
export type KeyLookup = (plaintext: string) => FoundKey | null | Promise<FoundKey | null>

export interface KeyLookupParts {
  readonly storage: Pick<Storage, 'findKeyByHash'>
  readonly hasher: KeyHasher
  readonly isKeyShaped: KeyShape
  /** null: the storage is asked for every request. */
  readonly cache: Pick<KeyCache, 'get' | 'put'> | null
  readonly clock: Pick<Clock, 'monotonic'>
}

export function keyLookup ({ storage, hasher, isKeyShaped, cache, clock }: KeyLookupParts): KeyLookup {
  const ask: KeyLookup = (plaintext) => {
    const candidates = hasher.candidates(plaintext)
    const found = storage.findKeyByHash(candidates)
    return isPromise(found) ? found.then((one) => oneOf(one, candidates)) : oneOf(found, candidates)
  }

  const askAndKeep = (plaintext: string, known: Pick<KeyCache, 'get' | 'put'>): ReturnType<KeyLookup> => {
    const digest = sha256(plaintext)
    const held = known.get(digest)
    if (held !== undefined) return held
    // Each request asks for itself: an answer that another one waits for may have been asked for before a revocation.
    const askedAt = clock.monotonic()
    const keep = (found: FoundKey | null): FoundKey | null => {
      // What is not there is not kept: whoever makes keys up must find no memory to fill.
      if (found !== null) known.put(digest, found, askedAt)
      return found
    }
    const found = ask(plaintext)
    return isPromise(found) ? found.then(keep) : keep(found)
  }

  return (plaintext) => {
    if (typeof plaintext !== 'string' || !isKeyShaped(plaintext)) return null
    return cache === null ? ask(plaintext) : askAndKeep(plaintext, cache)
  }
}

/** The database compared already; a column that ignores case must not widen what was asked. */
function oneOf (found: FoundKey | null, candidates: readonly KeyDigest[]): FoundKey | null {
  if (found === null) return null
  const { hash, pepperId } = found.key
  return candidates.some((one) => one.pepperId === pepperId && sameDigest(one.hash, hash)) ? found : null
}
