// Options checked, then completed: from here on only the completed object is used.
import type { FastifyPluginAsync } from 'fastify'
import {
  readBoolean, readDuration, readInteger, readMethods, readObject, readOptionalObject, readString, readStrings, refuseOption
} from './reader.js'
import { readKeys, readScopeCatalogue, type CompleteKeyOptions } from './complete-keys.js'
import type { SelfServeKeysOptions, StandardRouteSwitches } from './options.js'
import type { RateLimit } from '../rate-limit/rate-limit.js'
import type { SessionResolver } from '../sessions/session.js'
import type { Storage } from '../storage/storage.js'
import { DAY, MINUTE, SECOND, systemClock, type Clock } from '../time.js'

export interface CompleteOptions {
  readonly session: SessionResolver
  /** null: the default storage. */
  readonly storage: Storage | null
  readonly routePrefix: string
  readonly routes: false | Required<StandardRouteSwitches> | FastifyPluginAsync
  readonly headers: readonly string[]
  readonly scopes: ReadonlySet<string>
  readonly keys: CompleteKeyOptions
  readonly rateLimits: readonly RateLimit[]
  readonly usage: null | {
    readonly retention: number
    readonly flushInterval: number
    readonly maxBuffered: number
    readonly prune: boolean
  }
  readonly mutationLimit: RateLimit | null
  /** null: a cookie never makes changes. */
  readonly cookieMutationOrigins: readonly string[] | null
  readonly openapi: { readonly sessionScheme: string | null, readonly hide: boolean }
  readonly realm: string
  readonly logBindings: boolean
  readonly clock: Clock
  readonly timeout: number
}

const STORAGE_METHODS = [
  'open', 'close', 'findKeyByHash', 'findKey', 'getKey', 'listKeys', 'countKeys', 'issueKey', 'revokeKey', 'rehashKeys',
  'pruneKeys', 'recordUsage', 'readUsage', 'pruneUsage'
] as const satisfies ReadonlyArray<keyof Storage>

/** Node's timers take no more; longer intervals would fire at once. */
const MAX_TIMER = 2_147_483_647
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
/** Headers that HTTP itself needs, and the one that carries sessions. */
const TAKEN_HEADERS: ReadonlySet<string> = new Set(['cookie', 'host', 'content-length', 'content-type', 'connection', 'transfer-encoding'])

/** @throws INVALID_OPTION */
export function completeOptions (options: SelfServeKeysOptions): CompleteOptions {
  if ('prefix' in options) {
    refuseOption('prefix', 'has no effect on this plugin (Fastify ignores it on fastify-plugin plugins); use routePrefix')
  }
  const given = readObject('', options, [
    'session', 'storage', 'routePrefix', 'routes', 'headers', 'scopes', 'keys', 'rateLimit', 'usage', 'accountRoutes',
    'cookieMutations', 'openapi', 'realm', 'logBindings', 'clock', 'timeout'
  ])
  const scopes = readScopeCatalogue(given.scopes)
  const usage = readUsage(given.usage)
  return {
    session: readSession(given.session),
    storage: given.storage === undefined ? null : readMethods<Storage>('storage', given.storage, STORAGE_METHODS),
    routePrefix: readString('routePrefix', given.routePrefix, '/v1/me', /^(\/[^/?#\s]+)+$/, 'must be a path such as \'/v1/me\''),
    routes: readRoutes(given.routes),
    headers: readHeaders(given.headers),
    scopes,
    keys: readKeys(given.keys, scopes, usage?.retention ?? 1),
    rateLimits: readRateLimits(given.rateLimit),
    usage,
    mutationLimit: readMutationLimit(given.accountRoutes),
    cookieMutationOrigins: readCookieMutations(given.cookieMutations),
    openapi: readOpenapi(given.openapi),
    realm: readString('realm', given.realm, 'api', /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'must be printable ASCII without " and \\'),
    logBindings: readBoolean('logBindings', given.logBindings, true),
    clock: given.clock === undefined ? systemClock : readMethods<Clock>('clock', given.clock, ['now', 'monotonic']),
    timeout: readDuration('timeout', given.timeout, 2000, { max: MAX_TIMER })
  }
}

function readSession (value: unknown): SessionResolver {
  const resolver = readMethods<SessionResolver>('session', value, ['bearer'])
  if (resolver.cookie !== undefined && typeof resolver.cookie !== 'function') refuseOption('session.cookie', 'must be a function')
  return resolver
}

function readRoutes (value: unknown): CompleteOptions['routes'] {
  if (value === false) return false
  if (typeof value === 'function') return value as FastifyPluginAsync
  const given = value === undefined || value === true ? {} : readObject('routes', value, ['defaultKey', 'keys', 'usage'])
  return {
    defaultKey: readBoolean('routes.defaultKey', given.defaultKey, true),
    keys: readBoolean('routes.keys', given.keys, true),
    usage: readBoolean('routes.usage', given.usage, true)
  }
}

function readHeaders (value: unknown): string[] {
  if (value === undefined) return ['x-api-key', 'authorization']
  const lower = Array.isArray(value) ? value.map((name: unknown) => typeof name === 'string' ? name.toLowerCase() : name) : value
  const names = readStrings('headers', lower, HEADER_NAME, 'must be the name of a header')
  if (names.length === 0) refuseOption('headers', 'must name at least one header')
  const taken = names.find((name) => TAKEN_HEADERS.has(name))
  if (taken !== undefined) refuseOption('headers', `must not name ${taken}: an API key is never read from there`)
  return [...new Set(names)]
}

function readRateLimits (value: unknown): RateLimit[] {
  if (value === undefined || value === false) return []
  const several = Array.isArray(value)
  const limits = Array.from(several ? value : [value], (limit: unknown, place) =>
    readRateLimit(several ? `rateLimit[${place}]` : 'rateLimit', limit))
  if (new Set(limits.map(({ name }) => name)).size < limits.length) refuseOption('rateLimit', 'must have a different name for each limit')
  return limits
}

function readRateLimit (option: string, value: unknown): RateLimit {
  const given = readObject(option, value, ['name', 'max', 'timeWindow'])
  if (given.max === undefined) refuseOption(`${option}.max`, 'is required')
  if (given.timeWindow === undefined) refuseOption(`${option}.timeWindow`, 'is required')
  return {
    name: readString(`${option}.name`, given.name, 'default', /^[a-z][a-z0-9_-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits, _ and -'),
    max: readInteger(`${option}.max`, given.max, 0),
    windowMs: readDuration(`${option}.timeWindow`, given.timeWindow, 0, { min: SECOND })
  }
}

function readUsage (value: unknown): CompleteOptions['usage'] {
  if (value === false) return null
  const given = readOptionalObject('usage', value, ['retention', 'flushInterval', 'maxBuffered', 'prune'])
  return {
    retention: readDuration('usage.retention', given.retention, 31 * DAY, { min: 31 * DAY }),
    flushInterval: readDuration('usage.flushInterval', given.flushInterval, SECOND, { max: MAX_TIMER }),
    maxBuffered: readInteger('usage.maxBuffered', given.maxBuffered, 10_000, 10_000_000),
    prune: readBoolean('usage.prune', given.prune, true)
  }
}

function readMutationLimit (value: unknown): RateLimit | null {
  const { rateLimit } = readOptionalObject('accountRoutes', value, ['rateLimit'])
  if (rateLimit === false) return null
  if (rateLimit === undefined) return { name: 'account', max: 60, windowMs: MINUTE }
  const option = 'accountRoutes.rateLimit'
  return { ...readRateLimit(option, readObject(option, rateLimit, ['max', 'timeWindow'])), name: 'account' }
}

function readCookieMutations (value: unknown): readonly string[] | null {
  if (value === undefined || value === false) return null
  const { origins } = readObject('cookieMutations', value, ['origins'])
  const rule = 'must be an origin as browsers send it, such as \'https://example.com\''
  const list = readStrings('cookieMutations.origins', origins, /^https?:/, rule)
  list.forEach((origin, place) => {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || origin.includes('*')) refuseOption(`cookieMutations.origins[${place}]`, rule)
  })
  return list
}

function readOpenapi (value: unknown): CompleteOptions['openapi'] {
  const given = readOptionalObject('openapi', value, ['sessionScheme', 'hide'])
  const rule = 'must be the name of a security scheme'
  return {
    sessionScheme: readString('openapi.sessionScheme', given.sessionScheme, null, /^[A-Za-z0-9._-]+$/, rule),
    hide: readBoolean('openapi.hide', given.hide, false)
  }
}
