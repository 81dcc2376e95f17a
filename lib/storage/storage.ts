// The storage port: what the library asks of a storage, and what each answer must guarantee.
//
// Terminology: an *intention* is one method that changes something. Each is atomic: all of it is durable when its promise
// resolves, none of it happened when it rejects. Account ids compare as bytes. Times are ms since the epoch and always
// come from the caller. A storage that cannot do what is asked rejects; it never answers "not found" instead.
// `storageContract` (fastify-self-serve-keys/testing) is the executable form of this page.
import type { Audited, NewAuditEntry, StoredAuditEntry } from '../audit/audit-entry.js'
import type { Environment, FoundKey, KeyStatus, StoredKey } from '../keys/api-key.js'
import type {
  ImportKeyInput, IssueKeyInput, KeyRefusal, RenewKeyInput, Replayed, RevokeKeyInput, RevokeKeysInput, RotateKeyInput, UpdateKeyInput
} from '../keys/key-changes.js'
import type { AddSiteInput, RefusedSite, RemoveSiteInput, StoredSite } from '../sites/site-changes.js'
import { DAY } from '../time.js'
import type { KeyUsageQuery, KeyUsageRows, UsageBatch, UsageQuery, UsageRows } from './usage-rows.js'

export type * from './usage-rows.js'

/** ms that a storage remembers the id of a recorded batch, at least. No flush is retried for longer. */
export const BATCH_MEMORY = DAY

/**
 * Events of a batch, at most. A full one is not waited for: at load many requests of a key fall into one batch, and cost one row
 * of each total, one last use and one commit.
 */
export const BATCH_EVENTS = 8000

/** What a storage may use, given once. */
export interface StorageContext {
  readonly log: { warn (details: object, message: string): void }
  /** ms that a lock may be waited for before the intention rejects. */
  readonly timeout: number
}

/** Where keys and usage are kept: `kyselyStorage`, `memoryStorage`, or your own. */
export interface Storage {
  /** May instances on other machines use it too? @default false */
  readonly server?: boolean
  /** Called once, before anything else. Rejects if the schema is missing or cannot be used. */
  open (context: StorageContext): Promise<void>
  /** Called once, last. Closes what the storage opened, never what the host handed in. */
  close (): Promise<void>

  /**
   * On every request to a protected route. The key stored under the first of these digests that one is stored under, in one round trip, from the
   * primary: a revocation that was answered before this call began must be seen, and so must sites. Revoked and expired keys are found too.
   */
  findKeyByHash (digests: ReadonlyArray<{ hash: string, pepperId: string | null }>): FoundKey | null | Promise<FoundKey | null>
  /**
   * Only where it costs much less than finding a key, and is known at once. On every request to a protected route instead: a number that is
   * another one after each change, by anyone, of what `findKeyByHash` has answered. `lastUsedAt` and the order of keys do not count.
   */
  keysVersion?: (() => number) | undefined
  /** The key of any account, for the host. */
  findKey (publicId: string): Promise<StoredKey | null>
  /** The key if it belongs to the account. */
  getKey (accountId: string, publicId: string): Promise<StoredKey | null>
  listKeys (query: ListKeysQuery): Promise<KeyPage>
  /** `active`: keys neither revoked nor expired at `now`. */
  countKeys (accountId: string, now: number): Promise<{ total: number, active: number }>

  // Changes of keys. Each holds the account's lock from reading the rows its intention wants (`keyIntentions`) to the commit,
  // does what the intention decides on them, and writes the audit entries in the same transaction.
  /** Stores a key; a default one replaces the holder of its slot. A request that is remembered is replayed, and changes nothing. */
  issueKey (input: IssueKeyInput): Promise<KeyOutcome>
  /** Replaces a key by a successor, at once or with an overlap. A request that is remembered is replayed, and changes nothing. */
  rotateKey (input: RotateKeyInput): Promise<KeyOutcome>
  /** Moves a key's expiry. */
  renewKey (input: RenewKeyInput): Promise<KeyOutcome>
  /** Changes what a key is called and may do, and switches it off and on. A changed label or scope is a new version. */
  updateKey (input: UpdateKeyInput): Promise<KeyOutcome>
  /** Ends a key for good. One that is revoked already stays as it is: same `revokedAt`, `unchanged`. */
  revokeKey (input: RevokeKeyInput): Promise<KeyOutcome>
  /** Ends all keys of an account, or all that one person issued. */
  revokeKeys (input: RevokeKeysInput): Promise<KeyOutcome>
  /** Stores a key with the hash of another system, unless a key has that hash, or was imported with it before it was moved. */
  importKey (input: ImportKeyInput): Promise<KeyOutcome>
  /** Replaces hashes, each only if the key still has the old one and no key has the new one. Changes nothing else. Runs beside requests. */
  rehashKeys (moves: readonly RehashMove[]): Promise<void>
  /** Removes at most `limit` keys that ended before `endedBefore`; answers how many. */
  pruneKeys (endedBefore: number, limit: number): Promise<number>
  /** Forgets at most `limit` remembered requests whose time is over at `now`; answers how many. */
  pruneRequests (now: number, limit: number): Promise<number>

  /** Adds a site under the account's lock, unless the account has it already or has as many as it may have. */
  addSite (input: AddSiteInput): Promise<SiteOutcome>
  /** Removes a site of the account; `null` if it has no such site. */
  removeSite (input: RemoveSiteInput): Promise<SiteOutcome | null>
  /** Newest first. */
  listSites (accountId: string, limit: number): Promise<readonly StoredSite[]>

  /** Adds an entry of the host's own; ids ascend by account. */
  recordAudit (accountId: string, entry: NewAuditEntry): Promise<StoredAuditEntry>
  /** Newest first, with the exact number of all that match. */
  listAudit (query: AuditQuery): Promise<{ readonly entries: readonly StoredAuditEntry[], readonly total: number }>
  /** Removes at most `limit` entries from before `before`; answers how many. */
  pruneAudit (before: number, limit: number): Promise<number>

  /**
   * Removes at most `limit` rows of an account, its keys first, and at the end the account itself; answers how many, 0 when
   * nothing is left. Numbers of keys and accounts are never given again.
   */
  eraseAccount (accountId: string, limit: number): Promise<number>

  /**
   * Adds events, hour totals, day totals and `lastUsedAt` in one transaction. A batch whose id was recorded before
   * changes nothing, so that a retry after a lost answer never counts twice. Events of pruned keys are dropped.
   */
  recordUsage (batch: UsageBatch): Promise<void>
  readUsage (query: UsageQuery): Promise<UsageRows>
  /** What one key did, for somebody about to revoke it; `null` if the account has no such key. Its newest request is that of `lastUsedAt`: no search. */
  readKeyUsage (query: KeyUsageQuery): Promise<KeyUsageRows | null>
  /** Removes at most `limit` usage rows from before `before` (a whole UTC hour); answers how many. */
  pruneUsage (before: number, limit: number): Promise<number>
}

/** Where a list goes on: after this key, or at the newest key that has ended. */
export type ListStart = { readonly publicId: string } | 'start'

export interface ListKeysQuery {
  readonly accountId: string
  readonly now: number
  readonly environment?: Environment | undefined
  readonly status?: KeyStatus | undefined
  /** Absent: the first page. */
  readonly before?: ListStart | undefined
  /** How many keys a page is filled up to. */
  readonly limit: number
}

/**
 * Newest first by sequence. The first page holds every key that is neither revoked nor expired, however many, filled
 * up to `limit` with the newest of the rest; later pages hold ended keys older than `before`. `null`: `before` names no
 * key of the account. `before` is where the next page goes on, `null` when there is none.
 */
export type KeyPage = { readonly keys: readonly StoredKey[], readonly before: string | null } | null

/** What became of a change of keys. */
export type KeyOutcome =
  | { readonly outcome: 'refused', readonly refusal: KeyRefusal }
  /** `key`: as it stands; null where a change of several keys found none. */
  | { readonly outcome: 'unchanged', readonly key: StoredKey | null }
  | Replayed
  /** `key`: the one stored, else the first updated. `updated`: the rows that changed, as they are now. */
  | {
    readonly outcome: 'changed'
    readonly key: StoredKey
    readonly updated: readonly StoredKey[]
    readonly entries: ReadonlyArray<Audited<StoredAuditEntry>>
  }

export type SiteOutcome =
  | RefusedSite
  | { readonly outcome: 'limit' }
  | { readonly outcome: 'unchanged', readonly site: StoredSite }
  | { readonly outcome: 'changed', readonly site: StoredSite, readonly entries: ReadonlyArray<Audited<StoredAuditEntry>> }

export interface AuditQuery {
  readonly accountId: string
  readonly limit: number
  readonly offset: number
  /** Exactly this. */
  readonly action?: string | undefined
  /** Somewhere in action, target type, target id or detail; `%` and `_` are characters like any other, see `foldCase`. */
  readonly search?: string | undefined
}

export interface RehashMove {
  readonly publicId: string
  readonly fromHash: string
  readonly hash: string
  readonly pepperId: string | null
}
