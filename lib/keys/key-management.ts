// The operations that change a key that is there: renew, update, revoke, and giving it its rate limits back.
import { NO_POLICY } from '../policy/account-policy.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'
import type { Storage } from '../storage/storage.js'
import { checkActor, creatorIdOf } from './actor.js'
import type { OperationContext } from './operation-context.js'
import type { UpdateKeyInput } from './key-changes.js'
import { readFields, readOneOf, refuseField } from '../fields.js'
import { readExpiry, readLabel, readMetadata, readOrigins, readRanges, readScopes } from './key-input.js'
import type { KeyOperations, RevocationReason } from './key-operations.js'
import type { KeySettings } from './key-settings.js'
import type { KeyView } from './key-view.js'

export interface KeyManagementParts {
  readonly storage: Pick<Storage, 'renewKey' | 'updateKey' | 'revokeKey' | 'revokeKeys'>
  readonly settings: KeySettings
  readonly view: KeyView
  readonly operation: OperationContext
  readonly limiter: Pick<KeyLimiter, 'reset'>
}

const REASONS: readonly RevocationReason[] = ['revoked', 'leaked']

type Managing = Pick<KeyOperations, 'renew' | 'update' | 'revoke' | 'revokeAll' | 'resetRateLimits'>

export function keyManagement ({ storage, settings, view, operation, limiter }: KeyManagementParts): Managing {
  const { activePolicy, anyPolicy, contextOf, committed, keyOf, knownId, expiryRules } = operation
  return {
    async renew (by, publicId, options = {}) {
      const { expiresAt } = readFields(options, ['expiresAt'])
      const policy = await activePolicy(by)
      const { isDefault } = await keyOf(by, publicId)
      const context = contextOf(by, policy)
      const expiryIn = (lifetime: number | null): number | null => readExpiry(expiresAt, expiryRules(lifetime, policy, context.now))
      const { lifetime } = settings.defaultKey
      const outcome = await storage.renewKey({
        ...context,
        accountId: by.accountId,
        publicId,
        // A default key may lose its place before it is renewed. What must expire then, and has no lifetime of its own, keeps that one.
        expiresAt: expiryIn(isDefault && policy.requireExpiry ? settings.lifetime ?? lifetime : settings.lifetime),
        defaultExpiresAt: isDefault ? expiryIn(lifetime) : null,
        expiryGiven: expiresAt !== undefined,
        maxKeys: policy.maxKeys
      })
      return await view.show(committed(by, outcome, policy).key!, policy)
    },

    async update (by, publicId, input, host = {}) {
      checkActor(by)
      const { metadata } = readFields(host, ['metadata'], 'host')
      const given = readFields(input, ['label', 'scopes', 'allowedOrigins', 'allowedIps', 'enabled'])
      const { enabled } = given
      if (enabled !== undefined && typeof enabled !== 'boolean') refuseField('enabled', 'must be true or false')
      knownId(publicId)
      const set: { -readonly [P in keyof UpdateKeyInput['set']]: UpdateKeyInput['set'][P] } = {
        ...(given.label !== undefined && { label: readLabel(given.label) }),
        ...(given.allowedOrigins !== undefined && { allowedOrigins: readOrigins(given.allowedOrigins) }),
        ...(given.allowedIps !== undefined && { allowedIps: readRanges(given.allowedIps) }),
        ...(metadata !== undefined && { metadata: readMetadata(metadata) })
      }
      if (given.scopes !== undefined) readScopes(given.scopes, settings.catalogue, null)
      // What gives a key more asks the policy, and so does a key that acts: its account may be suspended. What stops it waits for nothing.
      const stops = enabled === false && Object.keys(set).length === 0 && given.scopes === undefined
      const gives = enabled === true || given.scopes !== undefined || (by.credential === 'api_key' && !stops)
      const policy = gives ? await activePolicy(by) : stops ? NO_POLICY : await anyPolicy(by)
      if (given.scopes !== undefined) {
        if ((await keyOf(by, publicId)).access === 'publishable') refuseField('scopes', 'must be left out: a publishable key has none')
        set.scopes = readScopes(given.scopes, settings.catalogue, policy.grantable)
      }
      const outcome = await storage.updateKey({ ...contextOf(by, policy), accountId: by.accountId, publicId, set, enabled })
      return await view.show(committed(by, outcome, policy).key!, stops ? await anyPolicy(by) : policy)
    },

    async revoke (by, publicId, options = {}) {
      const reason = readOneOf('reason', readFields(options, ['reason']).reason, 'revoked', REASONS)
      knownId(publicId)
      const outcome = await storage.revokeKey({ ...contextOf(by, NO_POLICY), accountId: by.accountId, publicId, reason })
      return await view.show(committed(by, outcome, NO_POLICY).key!, await anyPolicy(by))
    },

    async resetRateLimits (by, publicId) {
      const { accountId } = await keyOf(by, publicId)
      await limiter.reset({ key: { publicId, accountId }, limits: (await activePolicy(by)).rateLimits })
    },

    async revokeAll (by, options = {}) {
      const given = readFields(options, ['actorId'])
      const { actorId } = given
      // An id that somebody forgot to look up must not end every key.
      const ofOne = 'actorId' in given
      if (ofOne && typeof actorId !== 'string') refuseField('actorId', 'must be text')
      const outcome = await storage.revokeKeys({
        ...contextOf(by, NO_POLICY), accountId: by.accountId, reason: 'revoked', creatorId: ofOne ? creatorIdOf(actorId as string) : null
      })
      const done = committed(by, outcome, NO_POLICY)
      return { revokedPublicIds: done.outcome === 'changed' ? done.updated.map(({ publicId }) => publicId) : [] }
    }
  }
}
