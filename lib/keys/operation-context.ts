// What every operation that changes keys goes through: who acts, under which policy, and what became of it.
import { makeError } from '../errors.js'
import type { Audited, StoredAuditEntry, Wording } from '../audit/audit-entry.js'
import { NO_POLICY, type Policy } from '../policy/account-policy.js'
import type { Policies } from '../policy/policies.js'
import type { KeyOutcome, Storage } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { auditBy, checkActor, type Actor } from './actor.js'
import { isPublicId, type StoredKey } from './api-key.js'
import type { ChangeContext } from './key-changes.js'
import type { ExpiryRules } from './key-input.js'
import { refusalError } from './key-refusals.js'
import { maxLifetimeUnder, type KeySettings } from './key-settings.js'

export interface OperationContextParts {
  readonly storage: Pick<Storage, 'getKey'>
  readonly settings: KeySettings
  readonly policies: Policies
  readonly clock: Clock
  readonly wording: Wording
  /** Called after the commit. */
  readonly announce: (accountId: string, entries: ReadonlyArray<Audited<StoredAuditEntry>>) => void
}

export interface OperationContext {
  /** For what an account may not do while it is suspended. @throws ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE */
  activePolicy (by: Actor): Promise<Policy>
  /** For what is only shown, or must work whatever becomes of the policy. */
  anyPolicy (by: Actor): Promise<Policy>
  contextOf (by: Actor, policy: Policy): ChangeContext
  /** @throws the error of a refusal */
  committed (by: Actor, outcome: KeyOutcome, policy: Policy): Exclude<KeyOutcome, { outcome: 'refused' }>
  /** For what of a key never changes. @throws API_KEY_NOT_FOUND */
  keyOf (by: Actor, publicId: string): Promise<StoredKey>
  /** @throws API_KEY_NOT_FOUND for what is no public id */
  knownId (publicId: string): string
  expiryRules (lifetime: number | null, policy: Policy, now: number): ExpiryRules
}

export function operationContext ({ storage, settings, policies, clock, wording, announce }: OperationContextParts): OperationContext {
  const knownId = (publicId: string): string => {
    if (!isPublicId(publicId)) throw makeError('API_KEY_NOT_FOUND', {})
    return publicId
  }
  return {
    knownId,

    async activePolicy (by) {
      checkActor(by)
      const policy = await policies.fresh(by.accountId)
      if (policy.suspended) throw makeError('ACCOUNT_SUSPENDED', {})
      return policy
    },

    async anyPolicy (by) {
      checkActor(by)
      try {
        return await policies.current(by.accountId)
      } catch {
        return NO_POLICY
      }
    },

    contextOf (by, policy) {
      checkActor(by)
      const acting = by.credential === 'api_key' ? { publicId: by.apiKey!, maxLifetime: maxLifetimeUnder(settings, policy) } : null
      return { now: clock.now(), acting, audit: { by: auditBy(by), wording } }
    },

    committed (by, outcome, policy) {
      if (outcome.outcome === 'refused') throw refusalError(outcome.refusal, policy.maxKeys)
      if (outcome.outcome === 'changed') announce(by.accountId, outcome.entries)
      return outcome
    },

    async keyOf (by, publicId) {
      checkActor(by)
      const key = await storage.getKey(by.accountId, knownId(publicId))
      if (key === null) throw makeError('API_KEY_NOT_FOUND', {})
      return key
    },

    expiryRules: (lifetime, policy, now) =>
      ({ now, lifetime, maxLifetime: maxLifetimeUnder(settings, policy), requireExpiry: policy.requireExpiry })
  }
}
