// The plugin's options, as a host writes them.
import type { FastifyPluginAsync } from 'fastify'
import type { AccountEvent } from '../audit/account-event.js'
import type { Access, Environment } from '../keys/api-key.js'
import type { Peppers } from '../keys/key-hash.js'
import type { Scope } from '../register.js'
import type { RevocationChannel } from '../revocation/channel.js'
import type { SessionResolver } from '../sessions/session.js'
import type { Storage } from '../storage/storage.js'
import type { Clock, Duration } from '../time.js'
import type { UsageSinkBatch } from '../usage/sink.js'
import type { DashboardOptions } from './dashboard-options.js'
import type { AuditOptions, Authorize, PolicyOptions, RateLimitOption, RateLimitSettings } from './policy-options.js'
import type { SecretScanningOptions } from './secret-scanning-options.js'

/** Options of `app.register(selfServeKeys, …)`. What is not understood fails at `ready()`, naming the option. */
export interface SelfServeKeysOptions {
  /**
   * Who is signed in, by the host's own auth: `betterAuthSession(auth)`, `jwtSession({ … })` or your own. May be left out
   * only where `accountRoutes.apiKeys` opens the account routes to keys.
   */
  session?: SessionResolver
  /** Where keys and usage are kept. @default kyselyStorage(): the SQLite file ./self-serve-keys.db */
  storage?: Storage
  /** Where the account routes live; may hold parameters. @default '/v1/me' */
  routePrefix?: string
  /**
   * `false`: no account routes. An object switches single ones; those left out stay on. A Fastify plugin runs in their
   * place, under the same session rule and no-store. @default all on
   */
  routes?: boolean | StandardRouteSwitches | FastifyPluginAsync
  /** Request headers that carry API keys; `authorization` means `Bearer <key>`. @default ['x-api-key', 'authorization'] */
  headers?: string[]
  /** The catalogue of scopes, name → description for customers. A route or key that names another is refused. @default {} */
  scopes?: Record<Scope, string>
  keys?: KeyOptions
  /** What each account may do: its plan. @default none: every account may do everything */
  policy?: PolicyOptions
  /** One or several rate limits of every key, by key, unless the account's policy has its own; or these with more. @default false */
  rateLimit?: false | RateLimitOption | RateLimitOption[] | RateLimitSettings
  /** `false`: nothing is recorded. @default on */
  usage?: false | UsageOptions
  audit?: AuditOptions
  /** May this actor do this on the standard account routes? `false` is 403, no clear answer 503. @default every actor may do all */
  authorize?: Authorize
  /** Called after the commit of every change. What it throws is logged; the answer does not wait for it. @default none */
  onEvent?: (event: AccountEvent) => unknown
  revocation?: RevocationOptions
  accountRoutes?: {
    /** Of authenticated mutations, by account. `false`: none. @default { max: 60, timeWindow: '1 minute' } */
    rateLimit?: false | Omit<RateLimitOption, 'name'>
    /**
     * Opens the account routes to secret API keys: the scope that a key needs to read, and to change. A key never gives
     * away more than it has. @default false: sessions alone
     */
    apiKeys?: false | { read: Scope, write: Scope }
  }
  /**
   * Lets a session cookie make changes where the browser says that the request comes from this site: `Sec-Fetch-Site`
   * is `same-origin`, or `Origin` is one of these. @default false: changes need a bearer token
   */
  cookieMutations?: false | { origins: string[] }
  /**
   * A page where whoever is signed in manages keys and sees usage. Needs a session with `cookie()`, and `token()` or
   * `cookieMutations`. @default false
   */
  dashboard?: boolean | DashboardOptions
  /** Takes reports of keys that were found in public. @default false */
  secretScanning?: false | SecretScanningOptions
  openapi?: {
    /** Name of the host's security scheme for sessions; documents it on the account routes. Checked at `ready()`. */
    sessionScheme?: string
    /** Leaves the account routes out of the document. @default false */
    hide?: boolean
  }
  /** `realm` of `WWW-Authenticate`. @default 'api' */
  realm?: string
  /** Adds `apiKeyId`, the public id, to the log lines of requests whose secret matched a stored key. @default true */
  logBindings?: boolean
  /** Where time is read from. @default the system's */
  clock?: Clock
  /** How long storage, session and policy resolver and `authorize` may take before the answer is 503. @default 2000 (ms) */
  timeout?: Duration
}

/** Which of the standard account routes there are. `GET /policy` is there while `defaultKey` or `keys` is on. */
export interface StandardRouteSwitches {
  /** `GET` of the prefix itself: the session's profile. @default false */
  profile?: boolean
  /** `POST /api-keys` for the default key. @default true */
  defaultKey?: boolean
  /** `POST /api-keys` for named keys, and everything else under `/api-keys`. @default true */
  keys?: boolean
  /** `GET /usage`; with `keys`, `GET /api-keys/:publicId/usage`. @default true */
  usage?: boolean
  /** Everything under `/sites`. @default true */
  sites?: boolean
  /** `GET /audit`. @default true */
  audit?: boolean
}

/** How keys look, are hashed and kept. */
export interface KeyOptions {
  /**
   * A brand, `acme` for keys that begin `acme_sk_live_`, or the whole prefix by access and environment.
   * @default none: `sk_live_…`
   */
  prefix?: string | ((access: Access, environment: Environment) => string)
  /**
   * Secrets for HMAC-SHA-256: all in `keys` verify, `current` hashes. Keys of older ones are moved as they are used.
   * @default none: SHA-256
   */
  peppers?: Peppers
  /** What issue-or-rotate makes. */
  defaultKey?: {
    /** 1–100 code points. @default 'Default' */
    label?: string
    /** When the request names none. @default 'live' */
    environment?: Environment
    /** @default 'secret' */
    access?: Access
    /** @default the `*:read` scopes of the catalogue; null, all, when the catalogue is empty */
    scopes?: Scope[] | null
    /** @default null: never expires */
    lifetime?: Duration | null
  }
  /** How long a named key lives unless its expiry is chosen. @default null: it never expires */
  lifetime?: Duration | null
  /** How long a key may live. @default null: no limit */
  maxLifetime?: Duration | null
  /** How long a rotated key may go on working beside its successor. @default '7 days' */
  maxOverlap?: Duration
  /**
   * A publishable key that names no origins, of an account without sites: refused (`required`), or good from anywhere.
   * @default 'required'
   */
  origins?: 'required' | 'optional'
  /** Shapes of keys that another system issued, for those that are imported. The pattern matches the whole key. @default none */
  accept?: Array<{ pattern: RegExp, maxLength: number, hash: 'sha256' }>
  /** How long revoked and expired keys are kept; at least as long as usage. @default '400 days' */
  retention?: Duration
  /** Keys held in memory at most, some 2 kB each, with a SQLite `file` or where `revocation.maxDelay` allows that; from 2. @default 10000 */
  cacheSize?: number
}

/** How soon a change of a key holds on other instances. */
export interface RevocationOptions {
  /**
   * How long another instance may still accept a key that was revoked, or let it do what it may no longer do. `0`: not at
   * all, the storage is asked for every request. More: this long, keys are held in memory. At most an hour.
   * @default 0
   */
  maxDelay?: 0 | Duration
  /** Tells other instances of changes at once: `postgresChannel`, `redisChannel`. `maxDelay` holds also where it fails. @default none */
  channel?: RevocationChannel
}

/** How usage is recorded and kept. */
export interface UsageOptions {
  /** How long events and totals are kept; at least 31 days, which the longest window shows. @default '31 days' */
  retention?: Duration
  /** How often buffered events are written. @default '1 second' */
  flushInterval?: Duration
  /** Events in memory at most; what finds no room is counted as dropped. @default 20000 */
  maxBuffered?: number
  /** Does this instance remove what is past its retention? @default true */
  prune?: boolean
  /**
   * Given every batch after it was recorded, for the host's own analytics: one at a time, each once. What it throws is
   * logged, and the batch is not offered again. @default none
   */
  sink?: (batch: UsageSinkBatch) => unknown
}
