// What `app.selfServeKeys` offers a host: the library's operations, in process.
import type { VerifiedApiKey } from '../keys/api-key.js'
import type { AuditLog } from '../audit/audit-log.js'
import type { EffectivePolicy } from '../keys/effective-policy.js'
import type { KeyRequirement, RequestSource } from '../keys/judge-key.js'
import type { KeyOperations } from '../keys/key-operations.js'
import type { SiteOperations } from '../sites/site-operations.js'
import type { ErrorCode } from '../errors.js'
import type { KeyUsage } from '../usage/key-usage.js'
import type { UsageSnapshot } from '../usage/snapshot.js'
import type { UsageWindow } from '../usage/windows.js'
import type { ListedRoute } from './route-rules.js'

/** Outcome of `verify`. `message` may be shown to whoever presented the key. */
export type VerifyResult =
  | { readonly ok: true, readonly apiKey: VerifiedApiKey }
  | { readonly ok: false, readonly code: ErrorCode, readonly message: string }

/** `app.selfServeKeys`. */
export interface SelfServeKeys {
  readonly keys: KeyOperations
  readonly usage: {
    /** What `GET /v1/me/usage` shows. @param options.window default '24h' */
    snapshot (accountId: string, options?: { window?: UsageWindow | undefined }): Promise<UsageSnapshot>
    /** What `GET /v1/me/api-keys/:publicId/usage` shows. @throws API_KEY_NOT_FOUND, STORAGE_UNAVAILABLE */
    ofKey (accountId: string, publicId: string): Promise<KeyUsage>
  }
  readonly sites: SiteOperations
  readonly audit: AuditLog
  readonly policy: {
    /** What `GET /v1/me/policy` shows. @throws STORAGE_UNAVAILABLE, also where the policy cannot be resolved */
    of (accountId: string): Promise<EffectivePolicy>
    /** Makes a changed plan hold at once, in this process. */
    invalidate (accountId: string): void
  }
  readonly accounts: {
    /**
     * Removes everything of an account, keys first, in bounded steps: keys, usage, sites, audit log. Call it again if it fails.
     * @throws STORAGE_UNAVAILABLE
     */
    erase (accountId: string): Promise<void>
  }
  /**
   * Is this a good key for what is required? Charges no rate limit and records no usage.
   * A key that is bound to addresses or origins is good only for a source that is named.
   * @throws INVALID_REQUEST for a requirement with unknown members or scopes, STORAGE_UNAVAILABLE
   */
  verify (plaintext: string, requirement?: KeyRequirement & RequestSource): Promise<VerifyResult>
  /**
   * The routes declared after the plugin with the rule each has, for a test that pins which are public.
   * `complete: false`: some were declared before it. They are guarded all the same, they are only not listed.
   */
  routes (): { complete: boolean, routes: ListedRoute[] }
  /** Writes buffered usage now. @throws STORAGE_UNAVAILABLE; what was not written stays buffered */
  flush (): Promise<void>
  /** Removes what is past its retention, in bounded steps. Runs by itself every hour unless `usage.prune` is off. */
  prune (): Promise<void>
  /** Events that wait in memory, and since the start those that found no room, and those that `usage.sink` did not take. */
  stats (): { usageBuffered: number, usageDropped: number, usageSinkDropped: number }
}
