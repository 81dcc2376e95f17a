// What may be done with keys, in process: the operations that the account routes and a host's own code are made of.
import type { Actor } from './actor.js'
import type { Access, ApiKey, Environment, KeyStatus } from './api-key.js'
import type { Metadata, Scope } from '../register.js'

/** The answer to an issue or a rotation. `replayed` tells the two kinds apart; without an idempotency key it is always false. */
export type Issued = IssuedKey & (
  /** `plaintextKey`: the full secret, here and nowhere else, ever. */
  | { replayed: false, plaintextKey: string }
  /** The same request was answered before, and nothing was changed: the secret was in that answer alone. */
  | { replayed: true, plaintextKey: null }
)

interface IssuedKey {
  action: 'issued' | 'rotated'
  /** As it is now. */
  apiKey: ApiKey
  /** Keys that ended with it: none while an overlap lasts. */
  revokedPublicIds: string[]
}

/** What makes it safe to ask again where an answer was lost. */
export interface Repeatable {
  /**
   * 1–255 visible ASCII characters, chosen by whoever asks and used for this request alone. For 24 hours the same request
   * with it is answered by what became of the first, in parallel too; a refused one is tried anew.
   */
  idempotencyKey?: string | undefined
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

/** A named key, as whoever wants it asks for it: safe to fill from a request's body. */
export interface IssueInput {
  /** 1–100 code points, kept byte for byte. */
  label: string
  /** @default that of `keys.defaultKey` */
  environment?: Environment | undefined
  /** @default 'secret' */
  access?: Access | undefined
  /** null: all that the account may grant. A publishable key has none. @default those of the default key */
  scopes?: Scope[] | null | undefined
  /** Origins that browsers may use it from. @default none: a publishable key follows the account's sites */
  allowedOrigins?: string[] | undefined
  /** Addresses and ranges that it may be used from. @default any */
  allowedIps?: string[] | undefined
  /** RFC 3339; null: never. @default now + `keys.lifetime` */
  expiresAt?: string | null | undefined
}

/** Changes of a key; what is left out stays. Safe to fill from a request's body. */
export interface UpdateInput {
  label?: string | undefined
  scopes?: Scope[] | null | undefined
  allowedOrigins?: string[] | undefined
  allowedIps?: string[] | undefined
  /** A key that the host disabled, by an actor with the credential `host`, is the host's to enable. */
  enabled?: boolean | undefined
}

/** Why a key was ended by somebody. */
export type RevocationReason = 'revoked' | 'leaked'

/** What the host alone decides: an argument of its own, so that no body can reach it. */
export interface HostInput {
  /** JSON of at most 4 KiB, on `request.apiKey` and in no answer; null for none. A successor takes it over. */
  metadata?: Metadata | null | undefined
}

/** A key of another system, known by its hash alone. */
export interface ImportInput extends Omit<IssueInput, 'expiresAt'> {
  /** SHA-256 of the whole key, in hex, base64 or base64url. Its shape must be among `keys.accept`. */
  hash: string
  /** What is shown of it: what it begins with, the first characters of its secret part, its last characters. @default '' */
  prefix?: string | undefined
  first8?: string | undefined
  last4?: string | undefined
  /** @default null: never */
  expiresAt?: string | null | undefined
  /** @default now */
  createdAt?: string | undefined
  /** @default null: it works */
  disabledBy?: 'account' | 'host' | null | undefined
}

/** What `app.selfServeKeys.keys` does. Refusals throw the errors of `docs/errors.md`; a change that is refused changes nothing. */
export interface KeyOperations {
  /**
   * Issues the account's default key of an environment, or rotates it: the one before ends in the same transaction.
   * @param options.environment default: that of `keys.defaultKey`
   * @throws KEY_LIMIT_REACHED, API_KEY_NOT_ACTIVE (the host disabled the key), IDEMPOTENCY_KEY_REUSED, ACCOUNT_SUSPENDED,
   *   STORAGE_UNAVAILABLE
   */
  issueDefault (by: Actor, options?: Repeatable & { environment?: Environment | undefined }): Promise<Issued>
  /**
   * Issues a named key.
   * @throws INVALID_REQUEST, FORBIDDEN (a scope the account may not grant, or more than the acting key has),
   *   KEY_LIMIT_REACHED, IDEMPOTENCY_KEY_REUSED, ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE
   */
  issue (by: Actor, input: IssueInput, host?: HostInput & Repeatable): Promise<Issued>
  /**
   * Replaces an active key by a successor that keeps label, scopes, origins, addresses and expiry.
   * @param options.overlapSeconds how long the old key goes on working, at most `keys.maxOverlap`; default 0
   * @throws API_KEY_NOT_FOUND, API_KEY_NOT_ACTIVE, INVALID_REQUEST, FORBIDDEN, IDEMPOTENCY_KEY_REUSED, ACCOUNT_SUSPENDED,
   *   STORAGE_UNAVAILABLE
   */
  rotate (by: Actor, publicId: string, options?: Repeatable & { overlapSeconds?: number | undefined }): Promise<Issued>
  /**
   * Moves a key's expiry, also of one that has expired.
   * @param options.expiresAt RFC 3339, null for never; default: now + the lifetime such a key has
   * @throws API_KEY_NOT_FOUND, API_KEY_NOT_ACTIVE, KEY_LIMIT_REACHED, INVALID_REQUEST, FORBIDDEN, ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE
   */
  renew (by: Actor, publicId: string, options?: { expiresAt?: string | null | undefined }): Promise<ApiKey>
  /**
   * Changes what a key is called and may do, or switches it off and on.
   * @throws API_KEY_NOT_FOUND, API_KEY_NOT_ACTIVE, INVALID_REQUEST, FORBIDDEN, ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE
   */
  update (by: Actor, publicId: string, input: UpdateInput, host?: HostInput): Promise<ApiKey>
  /**
   * Ends a key for good; its answer is the key as it then is. Again: the same answer, nothing changes.
   * @param options.reason what its `revokedReason` says; default 'revoked'
   * @throws API_KEY_NOT_FOUND, for another account's key too; INVALID_REQUEST, FORBIDDEN, STORAGE_UNAVAILABLE
   */
  revoke (by: Actor, publicId: string, options?: { reason?: RevocationReason | undefined }): Promise<ApiKey>
  /**
   * Ends all keys of the account, for example when a person leaves. In one transaction.
   * @param options.actorId only those that this person issued, or made with keys of theirs; without the member, all
   */
  revokeAll (by: Actor, options?: { actorId?: string }): Promise<{ revokedPublicIds: string[] }>
  /**
   * Gives the key its whole rate limits back, for the host's own support tools. Limits of single routes stay.
   * @throws API_KEY_NOT_FOUND, ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE
   */
  resetRateLimits (by: Actor, publicId: string): Promise<void>
  /**
   * Stores a key of another system by its hash; the hash is moved under the current pepper after the key's first use.
   * The same hash again changes nothing. Neither `maxKeys` nor the policy is asked.
   * @throws INVALID_REQUEST, STORAGE_UNAVAILABLE
   */
  importHashed (by: Actor, input: ImportInput, host?: HostInput): Promise<ApiKey>
  /** The account's keys, newest first. @throws INVALID_REQUEST if `before` is no key of the account */
  list (accountId: string, options?: ListOptions): Promise<ApiKeyList>
  /** @throws API_KEY_NOT_FOUND, for another account's key too */
  get (accountId: string, publicId: string): Promise<ApiKey>
  /** Any account's key, for the host's own support tools; null if there is none. */
  find (publicId: string): Promise<{ accountId: string, apiKey: ApiKey } | null>
  /** `active`: neither revoked nor expired. */
  count (accountId: string): Promise<{ total: number, active: number }>
}
