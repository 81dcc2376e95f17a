// The operations that make a secret: issue the default key or a named one, and rotate.
import type { Policy } from '../policy/account-policy.js'
import type { KeyOutcome, Storage } from '../storage/storage.js'
import type { Actor } from './actor.js'
import { ACCESSES, ENVIRONMENTS, type NewKey, type StoredKey } from './api-key.js'
import { idempotencyOf } from './idempotency.js'
import type { OperationContext } from './operation-context.js'
import type { KeyHasher } from './key-hash.js'
import { readFields, readOneOf, refuseField } from '../fields.js'
import { SECOND, toSeconds } from '../time.js'
import { readExpiry, readLabel, readMetadata, readOrigins, readRanges, readScopes } from './key-input.js'
import type { Issued, KeyOperations } from './key-operations.js'
import { revokedAmong } from './key-rotation.js'
import { defaultScopesUnder, type KeySettings } from './key-settings.js'
import type { KeyView } from './key-view.js'
import { newSecret } from './new-key.js'

export interface KeyIssuingParts {
  readonly storage: Pick<Storage, 'issueKey' | 'rotateKey'>
  readonly settings: KeySettings
  readonly hasher: KeyHasher
  readonly view: KeyView
  readonly operation: OperationContext
}

export function keyIssuing ({ storage, settings, hasher, view, operation }: KeyIssuingParts): Pick<KeyOperations, 'issueDefault' | 'issue' | 'rotate'> {
  const { defaultKey, catalogue } = settings
  const { activePolicy, contextOf, keyOf, expiryRules } = operation

  const secretOf = (by: Actor, access: StoredKey['access'], environment: StoredKey['environment'], now: number): ReturnType<typeof newSecret> =>
    newSecret({ prefix: settings.prefix, hasher, by, now }, access, environment)

  const issued = async (by: Actor, outcome: KeyOutcome, policy: Policy, plaintext: string): Promise<Issued> => {
    // A new key is always a change, or was one.
    const done = operation.committed(by, outcome, policy) as Extract<KeyOutcome, { outcome: 'changed' | 'replayed' }>
    const action = done.key.rotatedFrom === null ? 'issued' : 'rotated'
    const apiKey = await view.show(done.key, policy)
    return done.outcome === 'replayed'
      ? { action, plaintextKey: null, apiKey, revokedPublicIds: [...done.revokedPublicIds], replayed: true }
      : { action, plaintextKey: plaintext, apiKey, revokedPublicIds: revokedAmong(done.updated), replayed: false }
  }

  return {
    async issueDefault (by, options = {}) {
      const { idempotencyKey, ...given } = readFields(options, ['environment', 'idempotencyKey'])
      const environment = readOneOf('environment', given.environment, defaultKey.environment, ENVIRONMENTS)
      const policy = await activePolicy(by)
      const context = contextOf(by, policy)
      const { access, label } = defaultKey
      const { secret, plaintext } = secretOf(by, access, environment, context.now)
      const key: NewKey = {
        ...secret,
        accountId: by.accountId,
        label,
        environment,
        access,
        scopes: defaultScopesUnder(settings, access, policy),
        allowedOrigins: [],
        allowedIps: [],
        isDefault: true,
        disabledBy: null,
        metadata: null,
        expiresAt: readExpiry(undefined, expiryRules(defaultKey.lifetime, policy, context.now)),
        rotatedFrom: null
      }
      const idempotency = idempotencyOf(idempotencyKey, by, 'issueDefault', given)
      const outcome = await storage.issueKey({ ...context, key, maxKeys: policy.maxKeys, expiryGiven: false, idempotency })
      return await issued(by, outcome, policy, plaintext)
    },

    async issue (by, input, host = {}) {
      const { metadata = null, idempotencyKey } = readFields(host, ['metadata', 'idempotencyKey'], 'host')
      const given = readFields(input, ['label', 'environment', 'access', 'scopes', 'allowedOrigins', 'allowedIps', 'expiresAt'])
      const label = readLabel(given.label)
      const environment = readOneOf('environment', given.environment, defaultKey.environment, ENVIRONMENTS)
      const access = readOneOf('access', given.access, 'secret', ACCESSES)
      if (access === 'publishable' && given.scopes !== undefined) refuseField('scopes', 'must be left out: a publishable key has none')
      const allowedOrigins = readOrigins(given.allowedOrigins)
      const allowedIps = readRanges(given.allowedIps)
      if (given.scopes !== undefined) readScopes(given.scopes, catalogue, null)
      const kept = readMetadata(metadata)
      const policy = await activePolicy(by)
      const context = contextOf(by, policy)
      const { secret, plaintext } = secretOf(by, access, environment, context.now)
      const key: NewKey = {
        ...secret,
        accountId: by.accountId,
        label,
        environment,
        access,
        scopes: given.scopes === undefined ? defaultScopesUnder(settings, access, policy) : readScopes(given.scopes, catalogue, policy.grantable),
        allowedOrigins,
        allowedIps,
        isDefault: false,
        disabledBy: null,
        metadata: kept,
        expiresAt: readExpiry(given.expiresAt, expiryRules(settings.lifetime, policy, context.now)),
        rotatedFrom: null
      }
      const idempotency = idempotencyOf(idempotencyKey, by, 'issue', { ...given, metadata: kept })
      const outcome = await storage.issueKey({ ...context, key, maxKeys: policy.maxKeys, expiryGiven: given.expiresAt !== undefined, idempotency })
      return await issued(by, outcome, policy, plaintext)
    },

    async rotate (by, publicId, options = {}) {
      const { idempotencyKey, ...given } = readFields(options, ['overlapSeconds', 'idempotencyKey'])
      const { overlapSeconds = 0 } = given
      const most = toSeconds(settings.maxOverlap)
      if (!Number.isInteger(overlapSeconds) || (overlapSeconds as number) < 0 || (overlapSeconds as number) > most) {
        refuseField('overlapSeconds', `must be an integer from 0 to ${most}`)
      }
      const policy = await activePolicy(by)
      const { access, environment, isDefault } = await keyOf(by, publicId)
      const context = contextOf(by, policy)
      const { secret, plaintext } = secretOf(by, access, environment, context.now)
      const outcome = await storage.rotateKey({
        ...context,
        accountId: by.accountId,
        publicId,
        secret,
        overlap: (overlapSeconds as number) * SECOND,
        defaultExpiresAt: isDefault ? readExpiry(undefined, expiryRules(defaultKey.lifetime, policy, context.now)) : null,
        idempotency: idempotencyOf(idempotencyKey, by, 'rotate', { ...given, publicId })
      })
      return await issued(by, outcome, policy, plaintext)
    }
  }
}
