// Options checked, then completed: from here on only the completed object is used.
import type { FastifyPluginAsync } from 'fastify'
import type { AccountEvent } from '../audit/account-event.js'
import { ACTION, CHANGES, type Wording } from '../audit/audit-entry.js'
import type { PolicySettings } from '../policy/policies.js'
import type { RevocationChannel } from '../revocation/channel.js'
import type { SessionResolver } from '../sessions/session.js'
import type { Storage } from '../storage/storage.js'
import { DAY, HOUR, SECOND, systemClock, type Clock } from '../time.js'
import type { UsageSinkBatch } from '../usage/sink.js'
import { readAccountRoutes, readCookieMutations, readRoutes, type CompleteAccountRoutes } from './complete-account-routes.js'
import { readDashboard, type CompleteDashboard } from './complete-dashboard.js'
import { readKeys, readScopeCatalogue, type CompleteKeyOptions } from './complete-keys.js'
import { readRateLimitOption, type CompleteRateLimit } from './complete-limits.js'
import { readPolicyOption } from './complete-policy.js'
import type { SelfServeKeysOptions, StandardRouteSwitches } from './options.js'
import { readSecretScanning, type CompleteSecretScanning } from './complete-secret-scanning.js'
import type { Authorize } from './policy-options.js'
import {
  lookAt, readBoolean, readDuration, readFunction, readInteger, readList, readMethods, readObject, readOptionalObject, readString, readText,
  refuseOption
} from './reader.js'

export interface CompleteOptions {
  /** null: nobody signs in, keys alone open the account routes. */
  readonly session: SessionResolver | null
  /** null: the default storage. */
  readonly storage: Storage | null
  readonly routePrefix: string
  readonly routes: false | Required<StandardRouteSwitches> | FastifyPluginAsync
  readonly headers: readonly string[]
  /** The names of the catalogue. */
  readonly scopes: ReadonlySet<string>
  readonly scopeDescriptions: ReadonlyMap<string, string>
  readonly keys: CompleteKeyOptions
  /** null: no plans, every account may do everything. */
  readonly policy: PolicySettings | null
  readonly rateLimit: CompleteRateLimit
  readonly usage: null | {
    readonly retention: number
    readonly flushInterval: number
    readonly maxBuffered: number
    readonly prune: boolean
    /** null: none. */
    readonly sink: ((batch: UsageSinkBatch) => unknown) | null
  }
  readonly audit: { readonly wording: Wording, /** ms */ readonly retention: number }
  /** null: every actor may do everything. */
  readonly authorize: Authorize | null
  readonly onEvent: ((event: AccountEvent) => unknown) | null
  readonly revocation: { /** ms */ readonly maxDelay: number, /** null: none. */ readonly channel: RevocationChannel | null }
  readonly accountRoutes: CompleteAccountRoutes
  /** null: a cookie never makes changes. */
  readonly cookieMutationOrigins: readonly string[] | null
  /** null: no page. */
  readonly dashboard: CompleteDashboard | null
  /** null: no reports are taken. */
  readonly secretScanning: CompleteSecretScanning | null
  readonly openapi: { readonly sessionScheme: string | null, readonly hide: boolean }
  readonly realm: string
  readonly logBindings: boolean
  readonly clock: Clock
  readonly timeout: number
}

const STORAGE_METHODS = [
  'open', 'close', 'findKeyByHash', 'findKey', 'getKey', 'listKeys', 'countKeys', 'issueKey', 'rotateKey', 'renewKey',
  'updateKey', 'revokeKey', 'revokeKeys', 'importKey', 'rehashKeys', 'pruneKeys', 'pruneRequests', 'addSite',
  'removeSite', 'listSites', 'recordAudit', 'listAudit', 'pruneAudit', 'eraseAccount', 'recordUsage', 'readUsage',
  'readKeyUsage', 'pruneUsage'
] as const satisfies ReadonlyArray<keyof Storage>

/** Node's timers take no more; longer intervals would fire at once. */
const MAX_TIMER = 2_147_483_647
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
/** Headers that HTTP itself needs, the one that carries sessions, and the one that tells where a request comes from. */
const TAKEN_HEADERS: ReadonlySet<string> = new Set(['cookie', 'origin', 'host', 'content-length', 'content-type', 'connection', 'transfer-encoding'])

/** @throws INVALID_OPTION */
export function completeOptions (options: SelfServeKeysOptions): CompleteOptions {
  const given = readObject('', options, [
    'prefix',
    'session', 'storage', 'routePrefix', 'routes', 'headers', 'scopes', 'keys', 'policy', 'rateLimit', 'usage', 'audit',
    'authorize', 'onEvent', 'revocation', 'accountRoutes', 'cookieMutations', 'dashboard', 'secretScanning', 'openapi', 'realm', 'logBindings', 'clock', 'timeout'
  ])
  if ('prefix' in given) {
    refuseOption('prefix', 'has no effect on this plugin (Fastify ignores it on fastify-plugin plugins); use routePrefix')
  }
  const scopeDescriptions = readScopeCatalogue(given.scopes)
  const scopes = new Set(scopeDescriptions.keys())
  const usage = readUsage(given.usage)
  const accountRoutes = readAccountRoutes(given.accountRoutes, scopes)
  const session = given.session === undefined && accountRoutes.apiKeys !== null ? null : readSession(given.session)
  const routePrefix = readString('routePrefix', given.routePrefix, '/v1/me', /^(\/[^/?#\s]+)+$/, 'must be a path such as \'/v1/me\'')
  const routes = readRoutes(given.routes)
  const cookieMutationOrigins = readCookieMutations(given.cookieMutations)
  return {
    session,
    storage: given.storage === undefined ? null : readMethods<Storage>('storage', given.storage, STORAGE_METHODS),
    routePrefix,
    routes,
    headers: readHeaders(given.headers),
    scopes,
    scopeDescriptions,
    keys: readKeys(given.keys, scopes, usage?.retention ?? 1),
    policy: readPolicyOption(given.policy, scopes),
    rateLimit: readRateLimitOption(given.rateLimit),
    usage,
    audit: readAudit(given.audit),
    authorize: readFunction('authorize', given.authorize),
    onEvent: readFunction('onEvent', given.onEvent),
    revocation: readRevocation(given.revocation),
    accountRoutes,
    cookieMutationOrigins,
    dashboard: readDashboard(given.dashboard, { routePrefix, routes, usage, session, cookieMutationOrigins }),
    secretScanning: readSecretScanning(given.secretScanning),
    openapi: readOpenapi(given.openapi),
    realm: readString('realm', given.realm, 'api', /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'must be printable ASCII without " and \\'),
    logBindings: readBoolean('logBindings', given.logBindings, true),
    clock: given.clock === undefined ? systemClock : readMethods<Clock>('clock', given.clock, ['now', 'monotonic']),
    timeout: readDuration('timeout', given.timeout, 2000, { max: MAX_TIMER })
  }
}

function readSession (value: unknown): SessionResolver {
  const resolver = readMethods<SessionResolver>('session', value, ['bearer'])
  for (const name of ['cookie', 'token'] as const) {
    readFunction(`session.${name}`, lookAt(`session.${name}`, () => resolver[name]))
  }
  return resolver
}

function readHeaders (value: unknown): string[] {
  if (value === undefined) return ['x-api-key', 'authorization']
  const names = readList('headers', value, (option, name) =>
    readText(option, typeof name === 'string' ? name.toLowerCase() : name, HEADER_NAME, 'must be the name of a header'))
  if (names.length === 0) refuseOption('headers', 'must name at least one header')
  const taken = names.find((name) => TAKEN_HEADERS.has(name))
  if (taken !== undefined) refuseOption('headers', `must not name ${taken}: an API key is never read from there`)
  return [...new Set(names)]
}

function readUsage (value: unknown): CompleteOptions['usage'] {
  if (value === false) return null
  const given = readOptionalObject('usage', value, ['retention', 'flushInterval', 'maxBuffered', 'prune', 'sink'])
  return {
    retention: readDuration('usage.retention', given.retention, 31 * DAY, { min: 31 * DAY }),
    flushInterval: readDuration('usage.flushInterval', given.flushInterval, SECOND, { max: MAX_TIMER }),
    maxBuffered: readInteger('usage.maxBuffered', given.maxBuffered, 20_000, 10_000_000),
    prune: readBoolean('usage.prune', given.prune, true),
    sink: readFunction('usage.sink', given.sink)
  }
}

function readAudit (value: unknown): CompleteOptions['audit'] {
  const given = readOptionalObject('audit', value, ['names', 'retention'])
  const names = given.names === undefined ? {} : readObject('audit.names', given.names, Object.keys(CHANGES))
  const wording = Object.fromEntries(Object.entries(CHANGES).map(([change, sentence]) => {
    const name = `audit.names["${change}"]`
    const { action, detail } = readOptionalObject(name, names[change], ['action', 'detail'])
    return [change, {
      action: readString(`${name}.action`, action, change, ACTION, 'must be 1 to 64 letters, digits, _, ., : and -'),
      detail: readString(`${name}.detail`, detail, sentence, /^.{1,200}$/u, 'must be text of 1 to 200 characters')
    }]
  })) as Wording
  return { wording, retention: readDuration('audit.retention', given.retention, 400 * DAY) }
}

function readRevocation (value: unknown): CompleteOptions['revocation'] {
  const { maxDelay, channel } = readOptionalObject('revocation', value, ['maxDelay', 'channel'])
  return {
    maxDelay: maxDelay === 0 ? 0 : readDuration('revocation.maxDelay', maxDelay, 0, { max: HOUR }),
    channel: channel === undefined ? null : readMethods<RevocationChannel>('revocation.channel', channel, ['open', 'publish', 'close'])
  }
}

function readOpenapi (value: unknown): CompleteOptions['openapi'] {
  const given = readOptionalObject('openapi', value, ['sessionScheme', 'hide'])
  const rule = 'must be the name of a security scheme'
  return {
    sessionScheme: readString('openapi.sessionScheme', given.sessionScheme, null, /^[A-Za-z0-9._-]+$/, rule),
    hide: readBoolean('openapi.hide', given.hide, false)
  }
}
