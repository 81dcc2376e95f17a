// What the account routes answer, in the library's own types.
export type { ApiKey, Environment, Access, KeyStatus, RateLimitState } from '../../keys/api-key.js'
export type { ApiKeyList, Issued, IssueInput, UpdateInput } from '../../keys/key-operations.js'
export type { AuditEntry, AuditPage } from '../../audit/audit-log.js'
export type { Site } from '../../sites/site-operations.js'
export type { UsageRequest, UsageSnapshot } from '../../usage/snapshot.js'
export type { UsageWindow } from '../../usage/windows.js'
import type { Access, Environment } from '../../keys/api-key.js'
import type { UsageRequest } from '../../usage/snapshot.js'

/** What the account may do. */
export interface AccountPolicy {
  readonly scopes: ReadonlyArray<{ readonly name: string, readonly description: string, readonly grantable: boolean }>
  readonly environments: readonly Environment[]
  readonly defaultKey: {
    readonly label: string
    readonly environment: Environment
    readonly access: Access
    readonly scopes: readonly string[] | null
    readonly lifetimeSeconds: number | null
  }
  readonly keys: { readonly max: number, readonly active: number }
  readonly maxSites: number
  readonly lifetimeSeconds: number | null
  readonly maxLifetimeSeconds: number | null
  readonly requireExpiry: boolean
  readonly maxOverlapSeconds: number
  readonly originsRequired: boolean
  readonly suspended: boolean
}

/** What one key did in the last 24 hours. */
export interface KeyUsage {
  readonly publicId: string
  readonly windowStart: string
  readonly windowEnd: string
  readonly requests: number
  readonly failures: number
  readonly lastRequest: UsageRequest | null
}
