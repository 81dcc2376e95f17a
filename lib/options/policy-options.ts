// The options that say what accounts and actors may do, as a host writes them: rate limits, policies, audit, authorize.
import type { FastifyRequest } from 'fastify'
import type { Change } from '../audit/audit-entry.js'
import type { VerifiedApiKey } from '../keys/api-key.js'
import type { RateLimitStore } from '../rate-limit/rate-limit.js'
import type { Scope } from '../register.js'
import type { Account } from '../sessions/session.js'
import type { Duration } from '../time.js'

/** At most `max` requests in a window. */
export interface RateLimitOption {
  /** Shown in headers and lists. @default 'default' */
  name?: string
  /** Requests a window admits. */
  max: number
  /** How long a window lasts, from its first request; at least a second. */
  timeWindow: Duration
}

/** Rate limits, and how they are counted and told. */
export interface RateLimitSettings {
  /** Of every key, by key, unless the account's policy has its own. @default false */
  limits?: false | RateLimitOption | RateLimitOption[]
  /**
   * Where requests are counted: `redisRateLimitStore({ client })` for several instances, or your own.
   * @default memoryRateLimitStore(): each instance counts by itself
   */
  store?: RateLimitStore
  /**
   * While the store fails: count in this instance alone (`local`), answer 503 (`deny`), or let everything through (`allow`).
   * @default 'local'
   */
  onStoreError?: 'local' | 'deny' | 'allow'
  /** Adds `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds from now), of the limit that has least left. @default false */
  legacyHeaders?: boolean
  /**
   * At most so many keys that are refused with `INVALID_API_KEY`, by client address, as Fastify's `trustProxy` resolves it; an
   * IPv6 network of 64 bits counts as one. More are 429. Good keys are never held up. Counted by instance. @default false
   */
  failedVerifications?: false | Omit<RateLimitOption, 'name'>
}

/** What an account may do. What is left out is not limited, or has the default named. */
export interface AccountPolicy {
  /** Keys that are active, disabled or retiring, 1 to 100. @default 100 */
  maxKeys?: number
  /** Sites, 0 to 100. @default 100 */
  maxSites?: number
  /** Scopes its keys may have, issued ones too: a key has what it was given of these. @default the whole catalogue */
  grantableScopes?: Scope[]
  /** How long a key may live. The shorter of this and `keys.maxLifetime` holds. @default no limit */
  maxLifetime?: Duration
  /** Does every key need an expiry? @default false */
  requireExpiry?: boolean
  /** In place of `rateLimit`. @default that */
  rateLimits?: RateLimitOption | RateLimitOption[] | false
  /** Stops every key of the account, for as long as it is so. @default false */
  suspended?: boolean
}

/** How policies are resolved. */
export interface PolicyOptions {
  /** The policy of an account, now. What is no policy, and a rejection, is a failure. */
  resolve: (accountId: string) => AccountPolicy | Promise<AccountPolicy>
  /** How old a policy may be on protected routes; changes ask anew. @default '30 seconds' */
  cacheFor?: Duration
  /** When resolving fails on a protected route: go on with the last one, if there is one, or answer 503. @default 'stale' */
  onError?: 'stale' | 'deny'
}

/** How the audit log is worded and kept. */
export interface AuditOptions {
  /**
   * Other words for changes. `{name}`, `{id}`, `{successor}` and `{fields}` in `detail` stand for the change's own.
   * @default action: the change; detail: a sentence
   */
  names?: Partial<Record<Change, { action?: string, detail?: string }>>
  /** How long entries are kept. @default '400 days' */
  retention?: Duration
}

/** What `authorize` is asked about. */
export type AccountAction =
  | 'profile:read' | 'keys:read' | 'keys:issue' | 'keys:update' | 'keys:rotate' | 'keys:renew' | 'keys:revoke' | 'usage:read'
  | 'sites:read' | 'sites:add' | 'sites:remove' | 'audit:read' | 'policy:read'

/** @returns true if it may. A throw, or no answer in time, is 503. */
export type Authorize = (ask: {
  /** Who is signed in; null where a key acts. */
  account: Account | null
  /** The key that acts; null where a session does. */
  apiKey: VerifiedApiKey | null
  action: AccountAction
  request: FastifyRequest
}) => boolean | Promise<boolean>
