// The operation that stores keys of another system, known by their hashes alone.
import { ulid } from '../crypto.js'
import type { Storage } from '../storage/storage.js'
import { ACCESSES, ENVIRONMENTS } from './api-key.js'
import type { OperationContext } from './operation-context.js'
import { isText, readFields, readOneOf, refuseField } from '../fields.js'
import { readLabel, readMetadata, readOrigins, readRanges, readScopes, readTime } from './key-input.js'
import type { KeyOperations } from './key-operations.js'
import type { KeySettings } from './key-settings.js'
import type { KeyView } from './key-view.js'
import { creatorOf } from './new-key.js'

export interface KeyImportParts {
  readonly storage: Pick<Storage, 'importKey'>
  readonly settings: KeySettings
  readonly view: KeyView
  readonly operation: OperationContext
}

export function keyImport ({ storage, settings, view, operation }: KeyImportParts): Pick<KeyOperations, 'importHashed'> {
  return {
    async importHashed (by, input, host = {}) {
      const { metadata = null } = readFields(host, ['metadata'], 'host')
      const given = readFields(input, [
        'hash', 'label', 'environment', 'access', 'scopes', 'allowedOrigins', 'allowedIps', 'expiresAt', 'createdAt', 'prefix',
        'first8', 'last4', 'disabledBy'
      ])
      const policy = await operation.anyPolicy(by)
      const context = operation.contextOf(by, policy)
      const { now } = context
      const access = readOneOf('access', given.access, 'secret', ACCESSES)
      const scopes = given.scopes === undefined ? settings.defaultKey.scopes : readScopes(given.scopes, settings.catalogue, null)
      const outcome = await storage.importKey({
        ...context,
        key: {
          publicId: `key_${ulid(now)}`,
          accountId: by.accountId,
          label: readLabel(given.label),
          environment: readOneOf('environment', given.environment, settings.defaultKey.environment, ENVIRONMENTS),
          access,
          scopes: access === 'publishable' ? [] : scopes,
          allowedOrigins: readOrigins(given.allowedOrigins),
          allowedIps: readRanges(given.allowedIps),
          isDefault: false,
          prefix: shown('prefix', given.prefix, 64),
          first8: shown('first8', given.first8, 8),
          last4: shown('last4', given.last4, 4),
          hash: readHash(given.hash),
          // Hashed without a pepper: moved under the current one by its first use.
          pepperId: null,
          ...creatorOf(by),
          disabledBy: given.disabledBy === undefined || given.disabledBy === null
            ? null
            : readOneOf('disabledBy', given.disabledBy, 'host', ['account', 'host'] as const),
          metadata: readMetadata(metadata),
          createdAt: given.createdAt === undefined ? now : readTime('createdAt', given.createdAt) ?? now,
          expiresAt: given.expiresAt === undefined ? null : readTime('expiresAt', given.expiresAt),
          rotatedFrom: null
        }
      })
      return await view.show(operation.committed(by, outcome, policy).key!, policy)
    }
  }
}

/** Text that is shown of a key. */
function shown (field: string, value: unknown, most: number): string {
  if (value === undefined) return ''
  return isText(value, most) ? value : refuseField(field, `must be text of at most ${most} characters`)
}

/** SHA-256 in lower-case hex, from hex, base64 or base64url. */
function readHash (value: unknown): string {
  if (typeof value === 'string') {
    if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase()
    if (/^[A-Za-z0-9+/_-]{43}=?$/.test(value)) return Buffer.from(value, 'base64').toString('hex')
  }
  refuseField('hash', 'must be a SHA-256 in hex, base64 or base64url')
}
