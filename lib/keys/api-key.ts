// What an API key is: the stored record, its status, and the shape customers see.
import type { Metadata, Scope } from '../register.js'
import { toIso, toIsoOrNull } from '../time.js'

/** Which of the host's worlds a key is for; the word *live* means only this. */
export type Environment = 'live' | 'test'
/** `secret` for servers; `publishable` may be seen by anyone, and works only where a route allows it. */
export type Access = 'secret' | 'publishable'
/** `retiring`: works until `retiresAt`; of several states the first of revoked, expired, disabled, retiring, active holds. */
export type KeyStatus = 'active' | 'retiring' | 'disabled' | 'expired' | 'revoked'

export const ACCESSES: readonly Access[] = ['secret', 'publishable']
export const ENVIRONMENTS: readonly Environment[] = ['live', 'test']
export const STATUSES: readonly KeyStatus[] = ['active', 'retiring', 'disabled', 'expired', 'revoked']

/**
 * How the storage refers to a key in usage. The storage gives these numbers; the library hands them back
 * with each usage event and never looks inside. `version` changes when label or scopes do.
 */
export interface KeyRef { readonly account: number, readonly key: number, readonly version: number }

/** A key as it is stored. Times are ms since the epoch. */
export interface StoredKey {
  readonly publicId: string
  readonly accountId: string
  /** Grows with every key of the account, given under the account's lock: the order of lists. */
  readonly sequence: number
  readonly ref: KeyRef
  readonly label: string
  readonly environment: Environment
  readonly access: Access
  /** `null`: all that the account may grant. */
  readonly scopes: readonly string[] | null
  readonly allowedOrigins: readonly string[]
  readonly allowedIps: readonly string[]
  readonly isDefault: boolean
  readonly prefix: string
  readonly first8: string
  readonly last4: string
  /** Digest of the plaintext, lower-case hex; HMAC-SHA-256 under `pepperId`, plain SHA-256 where that is null. */
  readonly hash: string
  readonly pepperId: string | null
  /** Display name of who issued it, and their id in the host's auth, which is never shown. */
  readonly createdBy: string | null
  readonly creatorId: string | null
  readonly disabledBy: 'account' | 'host' | null
  readonly metadata: Metadata | null
  readonly createdAt: number
  readonly lastUsedAt: number | null
  readonly expiresAt: number | null
  readonly retiresAt: number | null
  readonly revokedAt: number | null
  readonly revokedReason: string | null
  readonly rotatedFrom: string | null
}

/** A key as verification finds it. */
export interface FoundKey {
  readonly key: StoredKey
  /** Origins of its account's sites, where it is a publishable key without origins of its own; else none. */
  readonly siteOrigins: readonly string[]
}

/** What verification needs of a key: all that is held of it in memory. */
export type VerifiableKey = Pick<StoredKey,
  'publicId' | 'accountId' | 'ref' | 'label' | 'environment' | 'access' | 'scopes' | 'allowedOrigins' | 'allowedIps' | 'hash' | 'pepperId' |
  'disabledBy' | 'metadata' | 'expiresAt' | 'retiresAt' | 'revokedAt'>

/** The key of a plaintext, read for one request or held in memory. */
export interface IdentifiedKey {
  readonly key: VerifiableKey
  readonly siteOrigins: FoundKey['siteOrigins']
  /** Is `key` the same object request after request? @default false */
  readonly held?: boolean
}

/** A key about to be stored: all but what the storage gives. */
export type NewKey = Omit<StoredKey, 'sequence' | 'ref' | 'lastUsedAt' | 'retiresAt' | 'revokedAt' | 'revokedReason'>

/** Has this text the form of a public id? What has not is no key's, and is never looked up. */
export function isPublicId (value: unknown): value is string {
  return typeof value === 'string' && /^key_[0-9A-HJKMNP-TV-Z]{26}$/.test(value)
}

/** The status at `now`: the first that holds of revoked, expired, disabled, retiring, active. A clock that is no number ends keys. */
export function statusOf (key: Pick<StoredKey, 'revokedAt' | 'retiresAt' | 'expiresAt' | 'disabledBy'>, now: number): KeyStatus {
  if (key.revokedAt !== null || (key.retiresAt !== null && !(now < key.retiresAt))) return 'revoked'
  if (key.expiresAt !== null && !(now < key.expiresAt)) return 'expired'
  if (key.disabledBy !== null) return 'disabled'
  return key.retiresAt !== null ? 'retiring' : 'active'
}

/** When the key stops working for good, `null` for never: the earliest of its three ends. */
export function endOf (key: Pick<StoredKey, 'revokedAt' | 'retiresAt' | 'expiresAt'>): number | null {
  const ends = [key.revokedAt, key.retiresAt, key.expiresAt].filter((end) => end !== null)
  return ends.length === 0 ? null : Math.min(...ends)
}

/** Has the key ended at `now`: is it revoked or expired? */
export function hasEnded (key: StoredKey, now: number): boolean {
  const end = endOf(key)
  return key.revokedAt !== null || (end !== null && end <= now)
}

/** Where one rate limit of a key stands. `resetSeconds` is the time until the window ends, 0 when none is open. */
export interface RateLimitState { name: string, max: number, windowSeconds: number, remaining: number, resetSeconds: number }

/** A key as its owner sees it. Times are RFC 3339, UTC. Never the hash, the plaintext or the account id. */
export interface ApiKey {
  publicId: string
  label: string
  environment: Environment
  access: Access
  scopes: Scope[] | null
  allowedOrigins: string[]
  allowedIps: string[]
  status: KeyStatus
  isDefault: boolean
  maskedKey: string
  prefix: string
  first8: string
  last4: string
  rateLimits: RateLimitState[]
  createdBy: string | null
  disabledBy: 'account' | 'host' | null
  createdAt: string
  /** Of the last request that presented it, refused ones included; late by up to a flush interval. */
  lastUsedAt: string | null
  expiresAt: string | null
  retiresAt: string | null
  revokedAt: string | null
  /** `revoked` by its owner, or `rotated`. */
  revokedReason: string | null
  /** Public id of the key that this one replaced. */
  rotatedFrom: string | null
}

/** The owner's view of `key` at `now`. */
export function toApiKey (key: StoredKey, rateLimits: RateLimitState[], now: number): ApiKey {
  const retired = key.revokedAt === null && key.retiresAt !== null && key.retiresAt <= now
  return {
    publicId: key.publicId,
    label: key.label,
    environment: key.environment,
    access: key.access,
    scopes: key.scopes === null ? null : [...key.scopes] as Scope[],
    allowedOrigins: [...key.allowedOrigins],
    allowedIps: [...key.allowedIps],
    status: statusOf(key, now),
    isDefault: key.isDefault,
    maskedKey: `${key.prefix}…${key.last4}`,
    prefix: key.prefix,
    first8: key.first8,
    last4: key.last4,
    rateLimits,
    createdBy: key.createdBy,
    disabledBy: key.disabledBy,
    createdAt: toIso(key.createdAt),
    lastUsedAt: toIsoOrNull(key.lastUsedAt),
    expiresAt: toIsoOrNull(key.expiresAt),
    retiresAt: toIsoOrNull(key.retiresAt),
    revokedAt: toIsoOrNull(retired ? key.retiresAt : key.revokedAt),
    revokedReason: retired ? 'rotated' : key.revokedReason,
    rotatedFrom: key.rotatedFrom
  }
}

/** A verified key, on `request.apiKey`. */
export interface VerifiedApiKey {
  readonly publicId: string
  readonly accountId: string
  readonly label: string
  readonly environment: Environment
  readonly access: Access
  /** What the key may do now, cut to what its account may grant; `null` for everything. */
  readonly scopes: readonly Scope[] | null
  /** What the host attached; never shown to the customer. */
  readonly metadata: Metadata | null
}

/** @param granted the key's scopes, cut to what its account may grant */
export function toVerifiedApiKey (key: VerifiableKey, granted: readonly string[] | null): VerifiedApiKey {
  const { publicId, accountId, label, environment, access } = key
  // Copies: what a handler does to them must not reach the storage.
  const scopes = granted === null ? null : [...granted] as Scope[]
  const metadata = key.metadata === null ? null : structuredClone(key.metadata)
  return { publicId, accountId, label, environment, access, scopes, metadata }
}
