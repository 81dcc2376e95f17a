// The plugin's options, as a host writes them.
import type { FastifyPluginAsync } from 'fastify'
import type { Access, Environment } from '../keys/api-key.js'
import type { Peppers } from '../keys/key-hash.js'
import type { Scope } from '../register.js'
import type { SessionResolver } from '../sessions/session.js'
import type { Storage } from '../storage/storage.js'
import type { Clock, Duration } from '../time.js'

/** Options of `app.register(selfServeKeys, …)`. What is not understood fails at `ready()`, naming the option. */
export interface SelfServeKeysOptions {
  /** Who is signed in, by the host's own auth: `betterAuthSession(auth)`, `jwtSession({ … })` or your own. */
  session: SessionResolver
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
  /** The catalogue of scopes, name → description. A route or key that names another is refused. @default {} */
  scopes?: Record<Scope, string>
  keys?: KeyOptions
  /** One or several rate limits of every key, by key. @default false */
  rateLimit?: false | RateLimitOption | RateLimitOption[]
  /** `false`: nothing is recorded. @default on */
  usage?: false | UsageOptions
  accountRoutes?: {
    /** Of authenticated mutations, by account. `false`: none. @default { max: 60, timeWindow: '1 minute' } */
    rateLimit?: false | Omit<RateLimitOption, 'name'>
  }
  /**
   * Lets a session cookie make changes where the browser says that the request comes from this site: `Sec-Fetch-Site`
   * is `same-origin`, or `Origin` is one of these. @default false: changes need a bearer token
   */
  cookieMutations?: false | { origins: string[] }
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
  /** How long storage and session resolver may take before the answer is 503. @default 2000 (ms) */
  timeout?: Duration
}

/** Which of the standard account routes there are. */
export interface StandardRouteSwitches {
  /** `POST /api-keys`. @default true */
  defaultKey?: boolean
  /** `GET /api-keys`, `GET` and `DELETE /api-keys/:publicId`. @default true */
  keys?: boolean
  /** `GET /usage`. @default true */
  usage?: boolean
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
    /** @default the `*:read` scopes of the catalogue; null, all, when the catalogue is empty */
    scopes?: Scope[] | null
    /** @default null: never expires */
    lifetime?: Duration | null
  }
  /** How long revoked and expired keys are kept; at least as long as usage. @default '400 days' */
  retention?: Duration
}

/** At most `max` requests in a window. */
export interface RateLimitOption {
  /** Shown in headers and lists. @default 'default' */
  name?: string
  /** Requests a window admits. */
  max: number
  /** How long a window lasts, from its first request; at least a second. */
  timeWindow: Duration
}

/** How usage is recorded and kept. */
export interface UsageOptions {
  /** How long events and totals are kept; at least 31 days, which the longest window shows. @default '31 days' */
  retention?: Duration
  /** How often buffered events are written. @default '1 second' */
  flushInterval?: Duration
  /** Events in memory at most; what finds no room is counted as dropped. @default 10000 */
  maxBuffered?: number
  /** Does this instance remove what is past its retention? @default true */
  prune?: boolean
}
