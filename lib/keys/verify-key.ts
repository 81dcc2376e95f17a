// Is this a key, and may it do what is asked? Looks up the key, its account's policy and its origins; the judgement is pure.
import { sameDigest } from '../crypto.js'
import { makeError, type SelfServeKeysError } from '../errors.js'
import type { Policy } from '../policy/account-policy.js'
import type { Policies } from '../policy/policies.js'
import type { Storage } from '../storage/storage.js'
import { isPromise, type Clock } from '../time.js'
import type { StoredKey } from './api-key.js'
import { judgeStatus, judgeUse, type KeyRefusalCode, type KeyRequirement, type RequestSource } from './judge-key.js'
import type { KeyShape } from './key-format.js'
import type { KeyHasher } from './key-hash.js'

/** Sites that are looked at for a publishable key without origins of its own: all that an account may have. */
const MAX_SITES = 1000

export type Verification =
  | { readonly refusal: null, readonly key: StoredKey, readonly policy: Policy }
  /** `key`: the secret matched this stored key, which may not be used (for this). */
  | { readonly refusal: SelfServeKeysError<KeyRefusalCode>, readonly key: StoredKey | null }

export interface KeyVerifier {
  /** The key that was stored for this plaintext, whatever its status; null if there is none. @throws STORAGE_UNAVAILABLE */
  find (plaintext: string): Promise<StoredKey | null>
  /** May the key that was found do this? @throws STORAGE_UNAVAILABLE; every other outcome is an answer */
  judge (key: StoredKey, plaintext: string, requirement: KeyRequirement, source: RequestSource): Promise<Verification>
}

export interface KeyVerifierParts {
  readonly storage: Pick<Storage, 'findKeyByHash' | 'listSites'>
  readonly hasher: KeyHasher
  readonly policies: Pick<Policies, 'current'>
  readonly isKeyShaped: KeyShape
  readonly originsRequired: boolean
  readonly clock: Clock
  /** Called for a good key that is stored under an older digest than the current one. */
  readonly onOldHash: (key: StoredKey, plaintext: string) => void
}

export function keyVerifier (parts: KeyVerifierParts): KeyVerifier {
  const { storage, hasher, policies, isKeyShaped, originsRequired, clock, onOldHash } = parts

  const originsOf = async (key: StoredKey): Promise<readonly string[]> => {
    if (key.access === 'secret' || key.allowedOrigins.length > 0) return key.allowedOrigins
    return (await storage.listSites(key.accountId, MAX_SITES)).map(({ origin }) => origin)
  }

  return {
    async find (plaintext) {
      if (typeof plaintext !== 'string' || !isKeyShaped(plaintext)) return null
      const candidates = hasher.candidates(plaintext)
      const found = storage.findKeyByHash(candidates)
      const key = isPromise(found) ? await found : found
      if (key === null) return null
      // The database compared already; a column that ignores case must not widen what was asked.
      return candidates.some(({ hash, pepperId }) => pepperId === key.pepperId && sameDigest(hash, key.hash)) ? key : null
    },

    async judge (key, plaintext, requirement, source) {
      const dead = judgeStatus(key, clock.now())
      if (dead !== null) return { refusal: dead, key }
      const known = policies.current(key.accountId)
      const policy = isPromise(known) ? await known : known
      const origins = requirement.allowPublishable === true ? await originsOf(key) : []
      const refusal = judgeUse({ key, policy, requirement, source, origins, originsRequired })
      if (refusal !== null) return { refusal, key }
      if (key.pepperId !== hasher.pepperId) onOldHash(key, plaintext)
      return { refusal: null, key, policy }
    }
  }
}

/** The refusal of what is no key of ours. */
export function unknownKey (): SelfServeKeysError<'INVALID_API_KEY'> {
  return makeError('INVALID_API_KEY', { details: {} })
}
