// Is this a key, and may it do what is asked? Looks up the key and its account's policy; the judgement is pure.
import { refusalOf, type Refusal } from '../errors.js'
import type { Policy } from '../policy/account-policy.js'
import type { Policies } from '../policy/policies.js'
import { andThen, type Clock } from '../time.js'
import type { IdentifiedKey, VerifiableKey } from './api-key.js'
import { judgeStatus, judgeUse, type KeyRefusalCode, type KeyRequirement, type RequestSource } from './judge-key.js'
import { keyLookup, type KeyLookup, type KeyLookupParts } from './key-lookup.js'

export type Verification =
  | { readonly refusal: null, readonly key: VerifiableKey, readonly policy: Policy }
  /** `key`: the secret matched this stored key, which may not be used (for this). */
  | { readonly refusal: Refusal<KeyRefusalCode>, readonly key: VerifiableKey | null }

export interface KeyVerifier {
  readonly find: KeyLookup
  /** May the key that was found do this? @throws STORAGE_UNAVAILABLE; every other outcome is an answer */
  judge (found: IdentifiedKey, plaintext: string, requirement: KeyRequirement, source: RequestSource): Verification | Promise<Verification>
}

export interface KeyVerifierParts extends KeyLookupParts {
  readonly policies: Pick<Policies, 'current'>
  readonly originsRequired: boolean
  readonly clock: Clock
  /** Called for a good key that is stored under an older digest than the current one. */
  readonly onOldHash: (key: VerifiableKey, plaintext: string) => void
}

export function keyVerifier (parts: KeyVerifierParts): KeyVerifier {
  const { hasher, policies, originsRequired, clock, onOldHash } = parts
  return {
    find: keyLookup(parts),

    judge ({ key, siteOrigins }, plaintext, requirement, source) {
      const dead = judgeStatus(key, clock.now())
      if (dead !== null) return { refusal: dead, key }
      return andThen(policies.current(key.accountId), (policy): Verification => {
        const origins = key.allowedOrigins.length > 0 ? key.allowedOrigins : siteOrigins
        const refusal = judgeUse({ key, policy, requirement, source, origins, originsRequired })
        if (refusal !== null) return { refusal, key }
        if (key.pepperId !== hasher.pepperId) onOldHash(key, plaintext)
        return { refusal: null, key, policy }
      })
    }
  }
}

/** The refusal of what is no key of ours. */
export function unknownKey (): Refusal<'INVALID_API_KEY'> {
  return refusalOf('INVALID_API_KEY', {})
}
