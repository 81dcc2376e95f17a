// Is this a key, and may it do what is asked? The decision is pure; the lookup is one call to the storage.
import type { Clock } from '../time.js'
import type { Storage } from '../storage/storage.js'
import { sameDigest } from '../crypto.js'
import { makeError, type SelfServeKeysError } from '../errors.js'
import type { Environment, StoredKey } from './api-key.js'
import { statusOf } from './api-key.js'
import { hasKeyShape } from './key-format.js'
import type { KeyHasher } from './key-hash.js'
import { missingScopes, type ScopeRequirement } from './scopes.js'

/** What a caller asks of a key. */
export interface KeyRequirement extends ScopeRequirement {
  /** One of these. @default any */
  readonly environments?: readonly Environment[] | undefined
}

export type Verification =
  | { readonly refusal: null, readonly key: StoredKey }
  /** `key`: the secret matched this stored key, which may not be used (for this). */
  | { readonly refusal: SelfServeKeysError<'INVALID_API_KEY' | 'INSUFFICIENT_SCOPE' | 'FORBIDDEN'>, readonly key: StoredKey | null }

export interface KeyVerifier {
  /** Rejects with STORAGE_UNAVAILABLE; every other outcome is an answer. */
  verify (plaintext: string, requirement: KeyRequirement): Promise<Verification>
}

export interface KeyVerifierParts {
  readonly storage: Pick<Storage, 'findKeyByHash'>
  readonly hasher: KeyHasher
  readonly clock: Clock
  /** Called for a good key that is stored under an older digest than the current one. */
  readonly onOldHash: (key: StoredKey, plaintext: string) => void
}

export function keyVerifier ({ storage, hasher, clock, onOldHash }: KeyVerifierParts): KeyVerifier {
  return {
    async verify (plaintext, requirement) {
      if (typeof plaintext !== 'string' || !hasKeyShape(plaintext)) return { refusal: unknownKey(), key: null }
      const candidates = hasher.candidates(plaintext)
      const key = await storage.findKeyByHash(candidates)
      // The database compared already; a column that ignores case must not widen what was asked.
      const match = key === null ? undefined : candidates.find(({ hash }) => sameDigest(hash, key.hash))
      if (key === null || match === undefined || match.pepperId !== key.pepperId) return { refusal: unknownKey(), key: null }
      const refusal = judgeKey(key, requirement, clock.now())
      if (refusal !== null) return { refusal, key }
      if (match !== candidates[0]) onOldHash(key, plaintext)
      return { refusal: null, key }
    }
  }
}

/** Why `key` may not do what is asked at `now`; null if it may. Status first: a dead key says nothing of its scopes. */
export function judgeKey (key: StoredKey, requirement: KeyRequirement, now: number): Exclude<Verification['refusal'], null> | null {
  const status = statusOf(key, now)
  if (status === 'revoked' || status === 'expired' || status === 'disabled') {
    return makeError('INVALID_API_KEY', { message: DEAD[status], details: { reason: status } })
  }
  if (key.access === 'publishable') {
    return makeError('FORBIDDEN', { message: 'A publishable API key may not be used here.' })
  }
  if (requirement.environments !== undefined && !requirement.environments.includes(key.environment)) {
    return makeError('FORBIDDEN', { message: `A ${key.environment} API key may not be used here.` })
  }
  const missing = missingScopes(key.scopes, requirement)
  if (missing !== null) {
    return makeError('INSUFFICIENT_SCOPE', {
      message: `The API key lacks a scope this route asks for: ${missing.join(', ')}.`,
      details: { requiredScopes: missing }
    })
  }
  return null
}

const DEAD = {
  revoked: 'The API key was revoked.',
  expired: 'The API key has expired.',
  disabled: 'The API key is disabled.'
} as const

function unknownKey (): SelfServeKeysError<'INVALID_API_KEY'> {
  return makeError('INVALID_API_KEY', { details: {} })
}
