// What may be done with keys: issue or rotate the default one, list, get, count and revoke.
import { ulid } from '../crypto.js'
import { makeError } from '../errors.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'
import type { Storage } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { checkActor, displayName, type Actor } from './actor.js'
import { ENVIRONMENTS, isPublicId, STATUSES, toApiKey, type Access, type ApiKey, type Environment, type KeyStatus, type NewKey, type StoredKey } from './api-key.js'
import { displayParts, generateKey } from './key-format.js'
import type { KeyHasher } from './key-hash.js'

/** Keys of an account that are neither revoked nor expired, at most. */
const MAX_KEYS = 100
/** Keys a page is filled up to. */
const PAGE = 100

/** The answer to an issue or a rotation. */
export interface Issued {
  action: 'issued' | 'rotated'
  /** The full secret, here and nowhere else, ever. */
  plaintextKey: string | null
  apiKey: ApiKey
  revokedPublicIds: string[]
  replayed: boolean
}

/** One page of an account's keys. */
export interface ApiKeyList {
  apiKeys: ApiKey[]
  /** Are there older, ended keys than the ones shown? */
  truncated: boolean
  /** Pass it as `before` to see them; null if there are none. */
  before: string | null
}

/** Which keys of an account to list; nothing: the first page of all. */
export interface ListOptions {
  environment?: Environment | undefined
  status?: KeyStatus | undefined
  /** What the last page gave as `before`. */
  before?: string | undefined
}

/** What `app.selfServeKeys.keys` does. Refusals throw the errors of `docs/errors.md`. */
export interface KeyOperations {
  /**
   * Issues the account's default key of an environment, or rotates it: the one before ends in the same transaction.
   * @param options.environment default: that of `keys.defaultKey`
   * @throws KEY_LIMIT_REACHED, API_KEY_NOT_ACTIVE (the host disabled the key), STORAGE_UNAVAILABLE
   */
  issueDefault (by: Actor, options?: { environment?: Environment | undefined }): Promise<Issued>
  /**
   * Ends a key for good; its answer is the key as it then is. Again: the same answer, nothing changes.
   * @throws API_KEY_NOT_FOUND, for another account's key too; STORAGE_UNAVAILABLE
   */
  revoke (by: Actor, publicId: string): Promise<ApiKey>
  /** The account's keys, newest first. @throws INVALID_REQUEST if `before` is no key of the account */
  list (accountId: string, options?: ListOptions): Promise<ApiKeyList>
  /** @throws API_KEY_NOT_FOUND, for another account's key too */
  get (accountId: string, publicId: string): Promise<ApiKey>
  /** Any account's key, for the host's own support tools; null if there is none. */
  find (publicId: string): Promise<{ accountId: string, apiKey: ApiKey } | null>
  /** `active`: neither revoked nor expired. */
  count (accountId: string): Promise<{ total: number, active: number }>
}

/** How default keys are made. */
export interface DefaultKeySettings {
  readonly label: string
  readonly environment: Environment
  readonly access: Access
  readonly scopes: readonly string[] | null
  /** ms; null: never expires. */
  readonly lifetime: number | null
}

export interface KeyOperationsParts {
  readonly storage: Storage
  readonly hasher: KeyHasher
  readonly limiter: KeyLimiter
  readonly clock: Clock
  readonly prefix: (access: Access, environment: Environment) => string
  readonly defaultKey: DefaultKeySettings
}

export function keyOperations (parts: KeyOperationsParts): KeyOperations {
  const { storage, limiter, clock } = parts

  const shown = async (keys: readonly StoredKey[]): Promise<ApiKey[]> => {
    const now = clock.now()
    const limits = await limiter.peek(keys.map((key) => key.publicId))
    return keys.map((key, place) => toApiKey(key, limits[place]!, now))
  }
  const show = async (key: StoredKey): Promise<ApiKey> => (await shown([key]))[0]!

  return {
    async issueDefault (by, { environment = parts.defaultKey.environment } = {}) {
      checkActor(by)
      checkOneOf('environment', environment, ENVIRONMENTS)
      const now = clock.now()
      const { key, plaintext } = newDefaultKey(parts, by, environment, now)
      const result = await storage.issueKey({ key, maxKeys: MAX_KEYS, now })
      if (result.outcome === 'limit') {
        throw makeError('KEY_LIMIT_REACHED', { details: { maxKeys: MAX_KEYS } })
      }
      if (result.outcome === 'disabled_by_host') {
        throw makeError('API_KEY_NOT_ACTIVE', {
          message: 'The default API key was disabled by the operator of this API and cannot be replaced here.',
          details: { status: 'disabled' }
        })
      }
      return {
        action: result.outcome,
        plaintextKey: plaintext,
        apiKey: await show(result.key),
        revokedPublicIds: result.replaced === null ? [] : [result.replaced.publicId],
        replayed: false
      }
    },

    async revoke (by, publicId) {
      checkActor(by)
      const result = isPublicId(publicId)
        ? await storage.revokeKey({ accountId: by.accountId, publicId, reason: 'revoked', now: clock.now() })
        : null
      if (result === null) throw makeError('API_KEY_NOT_FOUND', {})
      return await show(result.key)
    },

    async list (accountId, { environment, status, before } = {}) {
      checkOneOf('environment', environment, ENVIRONMENTS)
      checkOneOf('status', status, STATUSES)
      const start = before === undefined || before === 'start' ? before : { publicId: before }
      const page = typeof start === 'object' && !isPublicId(start.publicId)
        ? null
        : await storage.listKeys({ accountId, now: clock.now(), environment, status, before: start, limit: PAGE })
      if (page === null) {
        throw makeError('INVALID_REQUEST', { message: 'before: is not a key of this account', details: { field: 'before' } })
      }
      return { apiKeys: await shown(page.keys), truncated: page.before !== null, before: page.before }
    },

    async get (accountId, publicId) {
      const key = isPublicId(publicId) ? await storage.getKey(accountId, publicId) : null
      if (key === null) throw makeError('API_KEY_NOT_FOUND', {})
      return await show(key)
    },

    async find (publicId) {
      const key = isPublicId(publicId) ? await storage.findKey(publicId) : null
      return key === null ? null : { accountId: key.accountId, apiKey: await show(key) }
    },

    async count (accountId) {
      return await storage.countKeys(accountId, clock.now())
    }
  }
}

function checkOneOf (field: string, value: string | undefined, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value)) return
  throw makeError('INVALID_REQUEST', { message: `${field}: must be one of ${allowed.join(', ')}`, details: { field } })
}

function newDefaultKey (
  { prefix, hasher, defaultKey }: KeyOperationsParts, by: Actor, environment: Environment, now: number
): { key: NewKey, plaintext: string } {
  const plaintext = generateKey(prefix(defaultKey.access, environment))
  const key: NewKey = {
    publicId: `key_${ulid(now)}`,
    accountId: by.accountId,
    label: defaultKey.label,
    environment,
    access: defaultKey.access,
    scopes: defaultKey.scopes === null ? null : [...defaultKey.scopes],
    allowedOrigins: [],
    allowedIps: [],
    isDefault: true,
    ...displayParts(plaintext),
    ...hasher.current(plaintext),
    createdBy: displayName(by),
    metadata: null,
    createdAt: now,
    expiresAt: defaultKey.lifetime === null ? null : now + defaultKey.lifetime,
    rotatedFrom: null
  }
  return { key, plaintext }
}
