// The changes a key can go through: what each is asked with, which rows it is decided on, and what a decision says.
import type { Audited, AuditNote } from '../audit/audit-entry.js'
import type { ActingKey } from './acting-key.js'
import type { Environment, KeyStatus, NewKey, StoredKey } from './api-key.js'

/** What every change brings with it. */
export interface ChangeContext {
  readonly now: number
  /** The API key that asks; null where a session or the host does. */
  readonly acting: ActingKey | null
  readonly audit: AuditNote
}

/**
 * What a request that may be sent again is known by in its account, and what tells it from any other: SHA-256 in lower-case
 * hex, so that neither the idempotency key nor what was asked can be read.
 */
export interface Idempotency { readonly hash: string, readonly requestHash: string }

/** What is remembered of such a request from its commit on. */
export interface RememberedRequest extends Idempotency {
  /** The keys that ended with it. */
  readonly revokedPublicIds: readonly string[]
  /** From then on it is as if it had never been sent. */
  readonly expiresAt: number
}

/** Stores a key. With `key.isDefault` it replaces the holder of the account's default slot for its environment. */
export interface IssueKeyInput extends ChangeContext {
  readonly key: NewKey
  readonly maxKeys: number
  /** False: nobody chose the expiry, and it is cut to what the acting key may give. */
  readonly expiryGiven: boolean
  /** null: the request came without an idempotency key. */
  readonly idempotency: Idempotency | null
}
/** The parts of a successor that are new. */
export type NewSecret = Pick<NewKey,
  'publicId' | 'prefix' | 'first8' | 'last4' | 'hash' | 'pepperId' | 'createdBy' | 'creatorId' | 'createdAt'>

/** A change of one key that is there. */
export interface OneKey extends ChangeContext { readonly accountId: string, readonly publicId: string }

/** Replaces a key by a successor that is like it. */
export interface RotateKeyInput extends OneKey {
  readonly secret: NewSecret
  /** ms that the old key goes on working; 0: it ends now. */
  readonly overlap: number
  /** Expiry of a successor to the default key; others keep their predecessor's. */
  readonly defaultExpiresAt: number | null
  /** null: the request came without an idempotency key. */
  readonly idempotency: Idempotency | null
}
export interface RenewKeyInput extends OneKey {
  readonly expiresAt: number | null
  /** For the default key, if it still is one. */
  readonly defaultExpiresAt: number | null
  readonly expiryGiven: boolean
  readonly maxKeys: number
}
export interface UpdateKeyInput extends OneKey {
  readonly set: Partial<Pick<StoredKey, 'label' | 'scopes' | 'allowedOrigins' | 'allowedIps' | 'metadata'>>
  readonly enabled: boolean | undefined
}
export interface RevokeKeyInput extends OneKey { readonly reason: string }
/** Revokes every key of the account, or those that one person issued. */
export interface RevokeKeysInput extends ChangeContext {
  readonly accountId: string
  readonly reason: string
  /** null: whoever issued them. */
  readonly creatorId: string | null
}
/** Stores a key whose hash comes from another system; the same hash again changes nothing. */
export interface ImportKeyInput extends ChangeContext { readonly key: NewKey }

/** Rows that a decision needs. */
export interface WantedRows {
  readonly accountId: string
  readonly publicId?: string
  /** The holder of this default slot. */
  readonly slot?: Environment | undefined
  readonly hash?: string
  readonly all?: boolean
  readonly actingId?: string | undefined
  /** The `hash` of a request that the account may have sent before. */
  readonly remembered?: string | undefined
}

/** What was found of them; null for what is not there or was not asked for. All belong to the account but `sameHash`. */
export interface KeyRows {
  /** The key of `publicId`, or the holder of `slot`. */
  readonly target: StoredKey | null
  /** The key that the target replaced. */
  readonly predecessor: StoredKey | null
  readonly acting: StoredKey | null
  readonly sameHash: StoredKey | null
  /** Every key that is neither revoked nor expired, newest first; empty unless `all`. */
  readonly all: readonly StoredKey[]
  /** How many keys of the account are neither revoked nor expired. */
  readonly current: number
  /** Whether its time is over is the decision's to say. `key`: the one it made, as it is now; null: it is gone. */
  readonly remembered: RememberedRequest & { readonly key: StoredKey | null } | null
}

/** Why nothing was changed. */
export type KeyRefusal =
  | { readonly reason: 'not_found' | 'limit' | 'hash_taken' | 'acting_key_ended' | 'idempotency_key_reused' }
  | { readonly reason: 'not_active', readonly status: KeyStatus, readonly byHost: boolean }
  | { readonly reason: 'beyond_acting_key', readonly field: 'environment' | 'scopes' | 'allowedIps' | 'expiresAt' }

/** What changes in a row. */
export interface KeyUpdate { readonly key: StoredKey, readonly set: Partial<StoredKey> }

/** The request was answered before, and nothing changes. `key`: the one it made, as it is now. */
export interface Replayed { readonly outcome: 'replayed', readonly key: StoredKey, readonly revokedPublicIds: readonly string[] }

export type KeyDecision =
  | { readonly outcome: 'refused', readonly refusal: KeyRefusal }
  | { readonly outcome: 'unchanged', readonly key: StoredKey | null }
  | Replayed
  | ChangedKeys

/** Make the updates in this order, then insert, then remember the request, then write the entries. */
export interface ChangedKeys {
  readonly outcome: 'changed'
  readonly updates: readonly KeyUpdate[]
  readonly insert: NewKey | null
  /** Kept beside the inserted key for good: an import knows the key by it, wherever its hash is moved. */
  readonly importedHash?: string
  /** What to remember with the inserted key, in the place of what has the same hash. */
  readonly remember?: RememberedRequest | null
  readonly entries: readonly Audited[]
}

/** A change of keys: which rows its decision needs, and the decision. */
export interface KeyIntention<I extends ChangeContext> {
  wants (input: I): WantedRows
  decide (input: I, rows: KeyRows): KeyDecision
}
