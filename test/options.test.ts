// Options: what is not understood fails at ready(), by name; what is left out has its default.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import t from 'tap'
import { isSelfServeKeysError, memoryRateLimitStore, memoryStorage, selfServeKeys, type SelfServeKeysOptions } from '../lib/index.js'
import { hasKeyShape } from '../lib/keys/key-format.js'
import { completeOptions } from '../lib/options/complete.js'
import { isPlainObject } from '../lib/plain-object.js'
import { DAY, HOUR, MINUTE, SECOND, systemClock } from '../lib/time.js'
import { tokenSession } from './helpers/app.js'
import { WORDING } from './helpers/keys.js'

const SECRET = 'SECRET-SECRET-SECRET-SECRET-SECRET'
/** A session that the page can do with. */
const session = { ...tokenSession, cookie: () => null, token: () => null }
const base = { session, storage: memoryStorage() }

/** The object with one member, at a path such as `keys.peppers`, set. */
function withOption (path: string, value: unknown): SelfServeKeysOptions {
  const options: Record<string, unknown> = { ...base }
  const names = path.split('.')
  let place: Record<string, unknown> = options
  names.slice(0, -1).forEach((name, i) => { place = place[name] = { ...(siblings[`${name}.${names[i + 1]!}`] ?? siblings[name]) } })
  place[names.at(-1)!] = value
  return options as unknown as SelfServeKeysOptions
}
/** What must stand beside an option for it to be the only fault. */
const siblings: Record<string, Record<string, unknown>> = {
  rateLimit: { max: 1, timeWindow: '1 minute' },
  limits: { max: 1, timeWindow: '1 minute' },
  failedVerifications: { max: 1, timeWindow: '1 minute' },
  // Limits stand alone, or as a member beside these.
  ...Object.fromEntries(['limits', 'store', 'onStoreError', 'legacyHeaders', 'failedVerifications'].map((name) => [`rateLimit.${name}`, {}])),
  peppers: { current: 'p1', keys: { p1: SECRET } },
  policy: { resolve: () => ({}) }
}

/** What `ready()` says to these options: null, or the option and the message. */
async function faultOf (options: unknown): Promise<{ option: string, message: string } | null> {
  const app = Fastify()
  app.register(selfServeKeys, options as SelfServeKeysOptions)
  try {
    await app.ready()
    return null
  } catch (error) {
    if (!isSelfServeKeysError(error, 'INVALID_OPTION')) throw error
    return { option: error.details.option, message: error.message }
  } finally {
    await app.close()
  }
}

t.test('every rule refuses by name, with what it asks for', async (t) => {
  const rateLimit = { max: 1, timeWindow: '1 minute' }
  const shape = { pattern: /^rst_/, maxLength: 64, hash: 'sha256' }
  const policy = { resolve: () => ({}) }
  const table: Array<[options: object, option: string, rule: string]> = [
    [{ prefix: '/x' }, 'prefix', 'has no effect on this plugin (Fastify ignores it on fastify-plugin plugins); use routePrefix'],
    [{ rateLimits: [] }, 'rateLimits', 'is not an option'],
    [{ session: undefined }, 'session', 'must be an object with bearer()'],
    [{ session: { bearer: () => null, cookie: true } }, 'session.cookie', 'must be a function'],
    [{ session: { bearer: () => null, token: 'x' } }, 'session.token', 'must be a function'],
    [{ storage: { ...memoryStorage(), pruneUsage: undefined } }, 'storage',
      'must be an object with open(), close(), findKeyByHash(), findKey(), getKey(), listKeys(), countKeys(), issueKey(), rotateKey(), renewKey(), updateKey(), revokeKey(), revokeKeys(), importKey(), rehashKeys(), pruneKeys(), pruneRequests(), addSite(), removeSite(), listSites(), recordAudit(), listAudit(), pruneAudit(), eraseAccount(), recordUsage(), readUsage(), readKeyUsage(), pruneUsage()'],
    [{ routePrefix: 'v1' }, 'routePrefix', 'must be a path such as \'/v1/me\''],
    ...['/v1/*', '/*', '/:id(', '/:id([)', '/:id((a+)+)'].map((routePrefix): [object, string, string] => [{ routePrefix }, 'routePrefix', 'is not a path that the router can take']),
    [{ routes: class {} }, 'routes', 'must be a Fastify plugin and not a class'],
    [{ routes: { profiles: true } }, 'routes.profiles', 'is not an option'],
    [{ routes: { keys: 1 } }, 'routes.keys', 'must be true or false'],
    [{ headers: 'x-api-key' }, 'headers', 'must be a list'],
    [{ headers: [] }, 'headers', 'must name at least one header'],
    [{ headers: ['x-api-key', 'x key'] }, 'headers[1]', 'must be the name of a header'],
    ...['Cookie', 'Origin', 'Host', 'content-length', 'Content-Type', 'connection', 'Transfer-Encoding'].map((name): [object, string, string] =>
      [{ headers: ['x-api-key', name] }, 'headers', `must not name ${name.toLowerCase()}: an API key is never read from there`]),
    [{ scopes: { blocks: 'Read' } }, 'scopes["blocks"]', 'must have the form resource:action'],
    [{ scopes: { 'blocks:read': 1 } }, 'scopes["blocks:read"]', 'must be its description'],
    [{ keys: { brand: 'acme' } }, 'keys.brand', 'is not an option'],
    [{ keys: { prefix: 'Acme' } }, 'keys.prefix', 'must be a brand of 1 to 16 lower-case letters and digits that begins with a letter, or a function'],
    [{ keys: { prefix () { throw new Error('no prefix') } } }, 'keys.prefix', 'threw an error'],
    [{ keys: { prefix: () => 'a b' } }, 'keys.prefix', 'must give 1 to 64 letters, digits, _ and -'],
    [{ keys: { peppers: { current: 'p1', keys: { 'p 1': SECRET } } } }, 'keys.peppers.keys', 'must name each secret by 1 to 32 letters, digits, _ and -'],
    [{ keys: { peppers: { current: 'p1', keys: { p1: 'short' } } } }, 'keys.peppers.keys["p1"]', 'must be a secret of at least 32 characters'],
    [{ keys: { peppers: { current: 'p2', keys: { p1: SECRET } } } }, 'keys.peppers.current', 'must be the name of one of keys.peppers.keys, or null'],
    [{ keys: { peppers: { current: 'toString', keys: { p1: SECRET } } } }, 'keys.peppers.current', 'must be the name of one of keys.peppers.keys, or null'],
    [{ keys: { peppers: { current: 'p1', keys: { p1: SECRET }, old: 'p0' } } }, 'keys.peppers.old', 'is not an option'],
    [{ keys: { defaultKey: { label: ' \t' } } }, 'keys.defaultKey.label', 'must have 1 to 100 printable characters'],
    [{ keys: { defaultKey: { access: 'public' } } }, 'keys.defaultKey.access', 'must be one of secret, publishable'],
    [{ keys: { defaultKey: { rights: 'all' } } }, 'keys.defaultKey.rights', 'is not an option'],
    [{ keys: { defaultKey: { environment: 'prod' } } }, 'keys.defaultKey.environment', 'must be one of live, test'],
    [{ keys: { defaultKey: { scopes: [] } } }, 'keys.defaultKey.scopes', 'must name at least one scope, or be null for all'],
    [{ keys: { defaultKey: { scopes: ['blocks:read'] } } }, 'keys.defaultKey.scopes', 'names "blocks:read", which is not in scopes'],
    [{ keys: { defaultKey: { scopes: [1] } } }, 'keys.defaultKey.scopes[0]', 'must be a scope'],
    [{ keys: { defaultKey: { lifetime: '101 years' } } }, 'keys.defaultKey.lifetime', 'must be from 1 to 3153600000000 milliseconds'],
    [{ keys: { retention: '30 days' } }, 'keys.retention', `must be from ${31 * DAY} to ${Number.MAX_SAFE_INTEGER} milliseconds`],
    [{ keys: { retention: '31 days' }, usage: { retention: '32 days' } }, 'keys.retention', `must be from ${32 * DAY} to ${Number.MAX_SAFE_INTEGER} milliseconds`],
    ...['lifetime', 'maxLifetime', 'maxOverlap'].map((name): [object, string, string] =>
      [{ keys: { [name]: '101 years' } }, `keys.${name}`, 'must be from 1 to 3153600000000 milliseconds']),
    [{ keys: { maxOverlap: null } }, 'keys.maxOverlap', 'must be a positive integer of milliseconds or text such as \'90 days\''],
    [{ keys: { origins: 'none' } }, 'keys.origins', 'must be one of required, optional'],
    [{ keys: { accept: {} } }, 'keys.accept', 'must be a list'],
    [{ keys: { accept: [shape, 1] } }, 'keys.accept[1]', 'must be an object'],
    [{ keys: { accept: [{ ...shape, prefix: 'rst_' }] } }, 'keys.accept[0].prefix', 'is not an option'],
    [{ keys: { accept: [{ ...shape, pattern: '^rst_' }] } }, 'keys.accept[0].pattern', 'must be a regular expression'],
    [{ keys: { accept: [{ ...shape, maxLength: undefined }] } }, 'keys.accept[0].maxLength', 'is required'],
    [{ keys: { accept: [{ ...shape, maxLength: 257 }] } }, 'keys.accept[0].maxLength', 'must be an integer from 1 to 256'],
    [{ keys: { accept: [{ ...shape, hash: 'md5' }] } }, 'keys.accept[0].hash', 'must be \'sha256\''],
    [{ policy: {} }, 'policy.resolve', 'is required'],
    [{ policy: { resolve: 'free' } }, 'policy.resolve', 'must be a function'],
    [{ policy: { ...policy, cache: 1 } }, 'policy.cache', 'is not an option'],
    [{ policy: { ...policy, cacheFor: 0 } }, 'policy.cacheFor', 'must be a positive integer of milliseconds or text such as \'90 days\''],
    [{ policy: { ...policy, onError: 'allow' } }, 'policy.onError', 'must be one of stale, deny'],
    [{ audit: false }, 'audit', 'must be an object'],
    [{ keys: { cacheSize: 0 } }, 'keys.cacheSize', 'must be an integer from 1 to 10000000'],
    [{ keys: { cacheSize: 1 } }, 'keys.cacheSize', 'must be at least 2'],
    [{ revocation: { delay: 1 } }, 'revocation.delay', 'is not an option'],
    [{ revocation: { maxDelay: -1 } }, 'revocation.maxDelay', 'must be a positive integer of milliseconds or text such as \'90 days\''],
    [{ revocation: { maxDelay: '2 hours' } }, 'revocation.maxDelay', 'must be from 1 to 3600000 milliseconds'],
    [{ revocation: { channel: { open () {}, publish () {} } } }, 'revocation.channel', 'must be an object with open(), publish(), close()'],
    [{ audit: { retention: '0 days' } }, 'audit.retention', 'must be a positive integer of milliseconds or text such as \'90 days\''],
    [{ audit: { names: { 'api_key.made': {} } } }, 'audit.names.api_key.made', 'is not an option'],
    [{ audit: { names: { 'api_key.issued': 'created' } } }, 'audit.names["api_key.issued"]', 'must be an object'],
    [{ audit: { names: { 'api_key.issued': { action: 'a b' } } } }, 'audit.names["api_key.issued"].action', 'must be 1 to 64 letters, digits, _, ., : and -'],
    [{ audit: { names: { 'api_key.issued': { detail: '' } } } }, 'audit.names["api_key.issued"].detail', 'must be text of 1 to 200 characters'],
    [{ audit: { names: { 'api_key.issued': { detail: 'two\nlines' } } } }, 'audit.names["api_key.issued"].detail', 'must be text of 1 to 200 characters'],
    [{ authorize: true }, 'authorize', 'must be a function'],
    [{ onEvent: [] }, 'onEvent', 'must be a function'],
    [{ rateLimit: true }, 'rateLimit', 'must be an object'],
    [{ rateLimit: { timeWindow: '1 minute' } }, 'rateLimit.max', 'is required'],
    [{ rateLimit: { max: 1 } }, 'rateLimit.timeWindow', 'is required'],
    [{ rateLimit: { ...rateLimit, max: '5' } }, 'rateLimit.max', 'must be an integer from 1 to 999999999999999'],
    [{ rateLimit: { ...rateLimit, timeWindow: 'a minute' } }, 'rateLimit.timeWindow', 'must be a positive integer of milliseconds or text such as \'90 days\''],
    [{ rateLimit: { ...rateLimit, timeWindow: 999 } }, 'rateLimit.timeWindow', `must be from 1000 to ${Number.MAX_SAFE_INTEGER} milliseconds`],
    [{ rateLimit: { ...rateLimit, name: 'A' } }, 'rateLimit.name', 'must be 1 to 32 lower-case letters, digits, _ and -'],
    [{ rateLimit: { ...rateLimit, ban: 3 } }, 'rateLimit.ban', 'is not an option'],
    [{ rateLimit: [rateLimit, { ...rateLimit, name: 'b', max: 0 }] }, 'rateLimit[1].max', 'must be an integer from 1 to 999999999999999'],
    [{ rateLimit: [rateLimit, rateLimit] }, 'rateLimit', 'must have a different name for each limit'],
    [{ rateLimit: [{ ...rateLimit, name: 'default' }, rateLimit] }, 'rateLimit', 'must have a different name for each limit'],
    [{ rateLimit: [rateLimit, { limits: rateLimit }] }, 'rateLimit[1].limits', 'is not an option'],
    // One limit, or settings with limits in them: the two are not mixed.
    ...[{ limits: rateLimit }, { limits: false }, { store: memoryRateLimitStore() }, { onStoreError: 'deny' }, { legacyHeaders: true }, { failedVerifications: rateLimit }].map(
      (settings): [object, string, string] => [{ rateLimit: { ...rateLimit, ...settings } }, 'rateLimit.max', 'is not an option']),
    [{ rateLimit: { limits: rateLimit, name: 'burst' } }, 'rateLimit.name', 'is not an option'],
    [{ rateLimit: { limits: rateLimit, redis: {} } }, 'rateLimit.redis', 'is not an option'],
    [{ rateLimit: { limits: true } }, 'rateLimit.limits', 'must be an object'],
    [{ rateLimit: { limits: { max: 1 } } }, 'rateLimit.limits.timeWindow', 'is required'],
    [{ rateLimit: { limits: { limits: rateLimit } } }, 'rateLimit.limits.limits', 'is not an option'],
    [{ rateLimit: { limits: [rateLimit, { ...rateLimit, timeWindow: '999 ms' }] } }, 'rateLimit.limits[1].timeWindow', `must be from 1000 to ${Number.MAX_SAFE_INTEGER} milliseconds`],
    [{ rateLimit: { limits: [rateLimit, rateLimit] } }, 'rateLimit.limits', 'must have a different name for each limit'],
    [{ rateLimit: { store: 'redis' } }, 'rateLimit.store', 'must be an object with consume(), peek(), reset()'],
    [{ rateLimit: { store: { ...memoryRateLimitStore(), peek: undefined } } }, 'rateLimit.store', 'must be an object with consume(), peek(), reset()'],
    [{ rateLimit: { onStoreError: 'ignore' } }, 'rateLimit.onStoreError', 'must be one of local, deny, allow'],
    [{ rateLimit: { legacyHeaders: 'yes' } }, 'rateLimit.legacyHeaders', 'must be true or false'],
    [{ rateLimit: { failedVerifications: true } }, 'rateLimit.failedVerifications', 'must be an object'],
    [{ rateLimit: { failedVerifications: [rateLimit] } }, 'rateLimit.failedVerifications', 'must be an object'],
    [{ rateLimit: { failedVerifications: { ...rateLimit, name: 'x' } } }, 'rateLimit.failedVerifications.name', 'is not an option'],
    [{ rateLimit: { failedVerifications: { timeWindow: '1 minute' } } }, 'rateLimit.failedVerifications.max', 'is required'],
    [{ usage: true }, 'usage', 'must be an object'],
    [{ usage: { sink: {} } }, 'usage.sink', 'must be a function'],
    [{ usage: { retention: '30 days' } }, 'usage.retention', `must be from ${31 * DAY} to ${Number.MAX_SAFE_INTEGER} milliseconds`],
    [{ usage: { flushInterval: '25 days' } }, 'usage.flushInterval', 'must be from 1 to 2147483647 milliseconds'],
    [{ usage: { maxBuffered: 10_000_001 } }, 'usage.maxBuffered', 'must be an integer from 1 to 10000000'],
    [{ usage: { prune: 'yes' } }, 'usage.prune', 'must be true or false'],
    [{ accountRoutes: { limit: 1 } }, 'accountRoutes.limit', 'is not an option'],
    [{ accountRoutes: { rateLimit: { max: 1 } } }, 'accountRoutes.rateLimit.timeWindow', 'is required'],
    [{ accountRoutes: { rateLimit: { limits: rateLimit } } }, 'accountRoutes.rateLimit.limits', 'is not an option'],
    [{ accountRoutes: { apiKeys: true } }, 'accountRoutes.apiKeys', 'must be an object'],
    [{ accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' } } }, 'accountRoutes.apiKeys.read', 'must be one of the scopes named in scopes'],
    [{ scopes: { 'account:read': 'Read' }, accountRoutes: { apiKeys: { read: 'account:read' } } }, 'accountRoutes.apiKeys.write', 'must be one of the scopes named in scopes'],
    [{ session: undefined, accountRoutes: { apiKeys: false } }, 'session', 'must be an object with bearer()'],
    [{ cookieMutations: true }, 'cookieMutations', 'must be an object'],
    [{ cookieMutations: {} }, 'cookieMutations.origins', 'must be a list'],
    ...[
      'https://a.example/', 'https://a.example/path', 'https://A.example', 'HTTPS://a.example', 'https://a.example:443', 'http://a.example:80', 'https://*.a.example',
      'https://*', '*', 'null', 'a.example', 'ftp://a.example', 'https://user@a.example', 'https://a.example?x', 'https://', 'https://münchen.example'
    ].map((origin): [object, string, string] => [
      { cookieMutations: { origins: ['https://a.example', origin] } }, 'cookieMutations.origins[1]', 'must be an origin as browsers send it, such as \'https://example.com\''
    ]),
    [{ dashboard: true, routes: false }, 'dashboard', 'needs the account routes, which "routes" switches off'],
    ...[tokenSession, { ...tokenSession, token: () => null }].map((session): [object, string, string] =>
      [{ dashboard: true, cookieMutations: { origins: [] }, session }, 'dashboard', 'needs a session with cookie(): a browser comes with nothing else']),
    [{ dashboard: {}, session: undefined, scopes: { 'account:read': 'Read' }, accountRoutes: { apiKeys: { read: 'account:read', write: 'account:read' } } },
      'dashboard', 'needs a session with cookie(): a browser comes with nothing else'],
    [{ dashboard: true, session: { ...tokenSession, cookie: () => null } }, 'dashboard', 'needs a session with token(), or cookieMutations: the page could change nothing'],
    ...['api-key', '/', '/api-key/', '//api-key', '/api key', '/schlüssel', '/a/../b', '/.', '/api-key?x', '/*', '/:a-:b', '/:id(\\d+)', '/a:id', '/a"b', '/%41'].map((path): [object, string, string] =>
      [{ dashboard: { path } }, 'dashboard.path', 'must be a path such as \'/api-key\' of letters, digits, -, ., _, ~ and whole parameters']),
    ...['/v1/me/usage', '/v1/me/api-keys'].map((path): [object, string, string] => [{ dashboard: { path } }, 'dashboard.path', 'is the path of another route']),
    [{ dashboard: { path: '/:workspaceId/api-key' } }, 'dashboard.path', 'must have the parameters of routePrefix: none'],
    ...['/api-key', '/:workspaceId', '/:workspaceId/:other', '/:workspaceId/:userId/:more'].map((path): [object, string, string] =>
      [{ dashboard: { path }, routePrefix: '/v1/:workspaceId/:userId' }, 'dashboard.path', 'must have the parameters of routePrefix: :workspaceId, :userId']),
    ...['/v1/:id(\\d+)', '/v1/:a-:b', '/v1/*', '/v1/::me'].map((routePrefix): [object, string, string] =>
      [{ dashboard: true, routePrefix }, 'routePrefix', 'must have parameters that are whole segments, such as \'/:workspaceId\', where there is a dashboard']),
    ...['', ' ', 'x'.repeat(61), 'a\nb', '\ud800'].map((title): [object, string, string] => [{ dashboard: { title } }, 'dashboard.title', 'must have 1 to 60 printable characters']),
    ...['red', '#0a7', '#0a7e5', '#0a7e5c80', '#0a7e5g', '#0a7e5c}', ' #0a7e5c', '#0a7e5c\n'].map((accentColor): [object, string, string] =>
      [{ dashboard: { accentColor } }, 'dashboard.accentColor', 'must be a colour such as \'#0a7e5c\'']),
    ...[
      'logo.svg', '//cdn.example/logo.svg', '/\\cdn.example/logo.svg', '/a b.svg', '/\t/cdn.example/a.svg', 'https://cdn.example/logo.svg', 'data:image/gif;base64,AAAA', 'data:text/html;base64,AAAA',
      'data:image/svg+xml,<svg/>', 'data:image/png;base64,', 'data:image/png;base64,A"A', `data:image/png;base64,${'A'.repeat(64_000)}`
    ].map((logo): [object, string, string] => [
      { dashboard: { logo } }, 'dashboard.logo', 'must be a path on this origin, or a PNG, SVG, WebP or JPEG image as data:image/…;base64,… of at most 64000 characters'
    ]),
    [{ dashboard: { links: new Array(9).fill({ text: 'Docs', url: '/docs' }) } }, 'dashboard.links', 'must be a list of at most 8'],
    [{ dashboard: { links: ['/docs'] } }, 'dashboard.links[0]', 'must be an object'],
    [{ dashboard: { links: [{ text: 'Docs', url: '/docs', target: '_blank' }] } }, 'dashboard.links[0].target', 'is not an option'],
    [{ dashboard: { links: [{ text: 'Docs', url: '/docs' }, { url: '/docs' }] } }, 'dashboard.links[1].text', 'must have 1 to 60 printable characters'],
    ...[undefined, '', 'docs', '//evil.example', '/\\evil.example', '/\n/evil.example', 'javascript:alert(1)', 'http://a.example', 'https://', 'https:a.example', 'https://a b.example', 'HTTPS://a.example', 'data:,'].flatMap(
      (url): Array<[object, string, string]> => [
        [{ dashboard: { links: [{ text: 'Docs', url }] } }, 'dashboard.links[0].url', 'must be a path on this origin such as \'/sign-in\', or an https URL'],
        ...(url === undefined
          ? []
          : (['signInUrl', 'exampleUrl'] as const).map((name): [object, string, string] =>
              [{ dashboard: { [name]: url } }, `dashboard.${name}`, 'must be a path on this origin such as \'/sign-in\', or an https URL']))
      ]),
    [{ openapi: { sessionScheme: 'a b' } }, 'openapi.sessionScheme', 'must be the name of a security scheme'],
    [{ openapi: { hide: 0 } }, 'openapi.hide', 'must be true or false'],
    [{ realm: 'a"b' }, 'realm', 'must be printable ASCII without " and \\'],
    [{ logBindings: 1 }, 'logBindings', 'must be true or false'],
    [{ clock: { now: Date.now } }, 'clock', 'must be an object with now(), monotonic()'],
    [{ timeout: '25 days' }, 'timeout', 'must be from 1 to 2147483647 milliseconds']
  ]
  for (const [options, option, rule] of table) {
    t.same(await faultOf({ ...base, ...options }), { option, message: `Option "${option}" ${rule}.` })
  }
})

t.test('no option takes a value of another kind: each is refused by its own name', async (t) => {
  const wrong: unknown[] = [
    '5', '', NaN, -1, 0, 1.5, Infinity, null, true, false, [], [1], [null], [undefined], new Array(1), {}, { unknown: 1 }, () => 1, Symbol('s'), 1n, new Date(NaN),
    // What has no members to be seen reads as "nothing set" to whoever only looks for members.
    Object.create(null), Promise.resolve({}), new Map([['max', 1]]), new (class Settings {})()
  ]
  const duration = (): boolean => false
  /** The values of `wrong` that are right for an option after all. */
  const right: Record<string, (value: unknown) => boolean> = {
    session: () => false,
    storage: () => false,
    routePrefix: () => false,
    routes: (value) => typeof value === 'boolean' || typeof value === 'function' || isEmpty(value),
    'routes.defaultKey': (value) => typeof value === 'boolean',
    'routes.keys': (value) => typeof value === 'boolean',
    'routes.usage': (value) => typeof value === 'boolean',
    'routes.profile': (value) => typeof value === 'boolean',
    'routes.sites': (value) => typeof value === 'boolean',
    'routes.audit': (value) => typeof value === 'boolean',
    headers: () => false,
    scopes: isEmpty,
    keys: isEmpty,
    'keys.prefix': () => false,
    'keys.peppers': () => false,
    'keys.peppers.current': (value) => value === null,
    'keys.peppers.keys': () => false,
    'keys.defaultKey': isEmpty,
    'keys.defaultKey.label': (value) => value === '5',
    'keys.defaultKey.environment': () => false,
    'keys.defaultKey.access': () => false,
    'keys.defaultKey.scopes': (value) => value === null,
    'keys.defaultKey.lifetime': (value) => value === null,
    'keys.lifetime': (value) => value === null,
    'keys.maxLifetime': (value) => value === null,
    'keys.maxOverlap': duration,
    'keys.origins': () => false,
    'keys.accept': (value) => Array.isArray(value) && value.length === 0,
    'keys.retention': duration,
    'keys.cacheSize': () => false,
    policy: () => false,
    'policy.resolve': (value) => typeof value === 'function',
    'policy.cacheFor': duration,
    'policy.onError': () => false,
    audit: isEmpty,
    'audit.names': isEmpty,
    'audit.retention': duration,
    authorize: (value) => typeof value === 'function',
    onEvent: (value) => typeof value === 'function',
    revocation: isEmpty,
    'revocation.maxDelay': (value) => value === 0,
    'revocation.channel': () => false,
    rateLimit: (value) => value === false || (Array.isArray(value) && value.length === 0),
    'rateLimit.name': () => false,
    'rateLimit.max': () => false,
    'rateLimit.timeWindow': duration,
    'rateLimit.limits': (value) => value === false || (Array.isArray(value) && value.length === 0),
    'rateLimit.limits.name': () => false,
    'rateLimit.limits.max': () => false,
    'rateLimit.limits.timeWindow': duration,
    'rateLimit.store': () => false,
    'rateLimit.onStoreError': () => false,
    'rateLimit.legacyHeaders': (value) => typeof value === 'boolean',
    'rateLimit.failedVerifications': (value) => value === false,
    'rateLimit.failedVerifications.max': () => false,
    'rateLimit.failedVerifications.timeWindow': duration,
    usage: (value) => value === false || isEmpty(value),
    'usage.retention': duration,
    'usage.flushInterval': duration,
    'usage.maxBuffered': () => false,
    'usage.prune': (value) => typeof value === 'boolean',
    'usage.sink': (value) => typeof value === 'function',
    accountRoutes: isEmpty,
    'accountRoutes.apiKeys': (value) => value === false,
    'accountRoutes.rateLimit': (value) => value === false,
    'accountRoutes.rateLimit.max': () => false,
    'accountRoutes.rateLimit.timeWindow': duration,
    cookieMutations: (value) => value === false,
    'cookieMutations.origins': (value) => Array.isArray(value) && value.length === 0,
    dashboard: (value) => typeof value === 'boolean' || isEmpty(value),
    'dashboard.path': () => false,
    'dashboard.title': (value) => value === '5',
    'dashboard.accentColor': () => false,
    'dashboard.logo': () => false,
    'dashboard.links': (value) => Array.isArray(value) && value.length === 0,
    'dashboard.signInUrl': () => false,
    'dashboard.exampleUrl': () => false,
    'dashboard.features': isEmpty,
    ...Object.fromEntries(['defaultKey', 'keys', 'usage', 'sites', 'audit'].map((name) => [`dashboard.features.${name}`, (value: unknown) => typeof value === 'boolean'])),
    openapi: isEmpty,
    'openapi.sessionScheme': (value) => value === '5',
    'openapi.hide': (value) => typeof value === 'boolean',
    realm: (value) => value === '5',
    logBindings: (value) => typeof value === 'boolean',
    clock: () => false,
    timeout: duration
  }
  for (const [path, isRight] of Object.entries(right)) {
    for (const value of wrong) {
      const shown = `${path} = ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`
      const fault = await faultOf(withOption(path, value))
      if (isRight(value)) t.equal(fault, null, shown)
      else if (path === 'keys.peppers.keys' && isEmpty(value)) t.equal(fault?.option, 'keys.peppers.current', 'no pepper is there to be current')
      else t.match(fault?.option, new RegExp(`^${path.replaceAll('.', '\\.')}($|[.[])`), shown)
    }
    // Without a storage the default one would write into the working directory: a test of its own does that elsewhere.
    if (path === 'storage') continue
    if (!REQUIRED.includes(path)) t.equal(await faultOf(withOption(path, undefined)), null, `${path} left out`)
    else t.match(await faultOf(withOption(path, undefined)), { option: path }, `${path} is required`)
  }
})

const REQUIRED = [
  'session', 'keys.peppers.current', 'keys.peppers.keys', 'rateLimit.max', 'rateLimit.timeWindow', 'accountRoutes.rateLimit.max',
  'accountRoutes.rateLimit.timeWindow', 'rateLimit.limits.max', 'rateLimit.limits.timeWindow', 'rateLimit.failedVerifications.max',
  'rateLimit.failedVerifications.timeWindow', 'cookieMutations.origins', 'policy.resolve'
]

/** An object literal without members, or one that inherits nothing. */
function isEmpty (value: unknown): boolean {
  return typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value)) && Object.keys(value).length === 0
}

t.test('only an object literal is plain, of whichever realm', async (t) => {
  class Settings { max = 1 }
  const plain: unknown[] = [{}, { max: 1 }, { constructor: 1 }, Object.create(null), JSON.parse('{"__proto__":1}'), runInNewContext('({ max: 1 })'), runInNewContext('Object.create(null)')]
  const others: unknown[] = [
    undefined, null, true, 1, 'text', Symbol('s'), () => {}, class {}, [], Promise.resolve({}), new Map(), new Set(), new Date(), new Error('x'), /x/, new Settings(),
    Object.create({ max: 1 }), Object.create(Settings.prototype), new URL('http://a.example'), new Uint8Array(1), Buffer.from('x'),
    runInNewContext('[]'), runInNewContext('new Map()'), runInNewContext('Promise.resolve()'), runInNewContext('new (class Settings {})()')
  ]
  for (const value of plain) t.equal(isPlainObject(value), true)
  for (const value of others) t.equal(isPlainObject(value), false, Object.prototype.toString.call(value))
})

t.test('options that are no object literal themselves are refused, not taken for none', async (t) => {
  class Options { session = tokenSession }
  for (const options of [new Options(), Promise.resolve(base), new Map(Object.entries(base)), Object.create(base)]) {
    t.throws(() => completeOptions(options as SelfServeKeysOptions), { code: 'INVALID_OPTION', details: { option: 'options' }, message: 'Option "options" must be an object.' })
  }
  t.equal(completeOptions(Object.assign(Object.create(null), base)).storage, base.storage)
})

t.test('names that are not options are refused at each level, those of Object.prototype too', async (t) => {
  for (const path of ['', 'routes.', 'keys.', 'keys.peppers.', 'keys.defaultKey.', 'rateLimit.', 'rateLimit.limits.', 'rateLimit.failedVerifications.', 'usage.', 'accountRoutes.', 'accountRoutes.rateLimit.', 'cookieMutations.', 'dashboard.', 'dashboard.features.', 'openapi.', 'policy.', 'audit.', 'audit.names.']) {
    for (const name of ['unknown', 'constructor', 'toString', 'hasOwnProperty']) {
      t.match(await faultOf(withOption(`${path}${name}`, undefined)), { option: `${path}${name}`, message: `Option "${path}${name}" is not an option.` })
    }
  }
})

t.test('what throws when it is read is refused by name, with what it threw as the cause', async (t) => {
  const cause = new Error('not set')
  const throwing = (name: string): object => Object.defineProperty({}, name, { enumerable: true, get () { throw cause } })
  const unreadable = new Proxy({}, { get () { throw cause }, ownKeys () { throw cause } })
  const table: Array<[options: object, option: string]> = [
    [throwing('timeout'), 'timeout'], [{ keys: throwing('maxLifetime') }, 'keys.maxLifetime'], [{ rateLimit: [throwing('max')] }, 'rateLimit[0].max'], [{ scopes: throwing('a:read') }, 'scopes'],
    [{ keys: { peppers: { current: null, keys: throwing(SECRET) } } }, 'keys.peppers.keys'], [{ headers: Object.defineProperty([1], 0, { get () { throw cause } }) }, 'headers[0]'],
    [{ usage: unreadable }, 'usage'], [{ storage: unreadable }, 'storage'], [{ session: unreadable }, 'session'], [{ rateLimit: unreadable }, 'rateLimit']
  ]
  for (const [options, option] of table) {
    const given = Object.defineProperties({ ...base }, Object.getOwnPropertyDescriptors(options)) as SelfServeKeysOptions
    t.throws(() => completeOptions(given), { code: 'INVALID_OPTION', message: `Option "${option}" threw an error.`, details: { option }, cause })
  }
})

t.test('a member is read once: what a getter answers the second time is not asked for', async (t) => {
  let reads = 0
  const usage = { get maxBuffered () { return reads++ === 0 ? 5 : '5' } }
  t.equal(completeOptions({ ...base, usage } as SelfServeKeysOptions).usage?.maxBuffered, 5)
  t.equal(reads, 1)
})

t.test('no message repeats a value: it may be a secret', async (t) => {
  const values: unknown[] = [
    { session: SECRET }, { storage: SECRET }, { routePrefix: SECRET }, { headers: [`${SECRET} `] }, { keys: { prefix: SECRET } }, { keys: { prefix: () => `${SECRET} ` } },
    { keys: { peppers: SECRET } }, { keys: { peppers: { current: SECRET, keys: { p1: SECRET } } } }, { keys: { peppers: { current: 'p1', keys: SECRET } } },
    { keys: { peppers: { current: 'p1', keys: { p1: SECRET.slice(0, 31) } } } }, { keys: { peppers: { current: 'p1', keys: { p1: { secret: SECRET } } } } },
    { keys: { peppers: { current: 'p1', keys: { [SECRET]: 'p1' } } } }, { rateLimit: SECRET }, { rateLimit: { limits: [SECRET] } },
    { rateLimit: { store: { url: SECRET } } }, { rateLimit: { onStoreError: SECRET } }, { rateLimit: { failedVerifications: SECRET } },
    { rateLimit: { max: 1, timeWindow: '1 minute', name: SECRET } }, { timeout: SECRET }, { realm: `${SECRET}"` }, { clock: SECRET }, { dashboard: SECRET },
    { dashboard: { logo: SECRET } }, { dashboard: { signInUrl: SECRET } }, { dashboard: { links: [{ text: 'a', url: SECRET }] } }
  ]
  for (const value of values) {
    const fault = await faultOf({ ...base, ...value as object })
    t.type(fault?.message, 'string')
    t.notMatch(fault?.message, SECRET.slice(0, 31))
  }
})

t.test('options left out are complete with their documented defaults', async (t) => {
  t.same(completeOptions({ session: tokenSession }), {
    session: tokenSession,
    storage: null,
    routePrefix: '/v1/me',
    routes: { profile: false, defaultKey: true, keys: true, usage: true, sites: true, audit: true },
    headers: ['x-api-key', 'authorization'],
    scopes: new Set(),
    scopeDescriptions: new Map(),
    keys: {
      prefix: completeOptions({ session: tokenSession }).keys.prefix,
      peppers: null,
      defaultKey: { label: 'Default', environment: 'live', access: 'secret', scopes: null, lifetime: null },
      lifetime: null,
      maxLifetime: null,
      maxOverlap: 7 * DAY,
      originsRequired: true,
      isKeyShaped: hasKeyShape,
      retention: 400 * DAY,
      cacheSize: 10_000
    },
    policy: null,
    rateLimit: { limits: [], store: null, onStoreError: 'local', legacyHeaders: false, failedVerifications: null },
    usage: { retention: 31 * DAY, flushInterval: SECOND, maxBuffered: 20_000, prune: true, sink: null },
    audit: { wording: WORDING, retention: 400 * DAY },
    authorize: null,
    onEvent: null,
    revocation: { maxDelay: 0, channel: null },
    accountRoutes: { mutationLimit: { name: 'account', max: 60, windowMs: MINUTE }, apiKeys: null },
    cookieMutationOrigins: null,
    dashboard: null,
    secretScanning: null,
    openapi: { sessionScheme: null, hide: false },
    realm: 'api',
    logBindings: true,
    clock: systemClock,
    timeout: 2000
  })
  t.equal(completeOptions({ session: tokenSession }).keys.prefix('secret', 'live'), 'sk_live_')
})

t.test('the page shows what is asked for and there, and is null where there is none', async (t) => {
  const pageOf = (options: Partial<SelfServeKeysOptions>): unknown => completeOptions({ session, ...options }).dashboard
  const plain = { path: '/api-key', title: 'API keys', accentColor: null, logo: null, links: [], signInUrl: null, exampleUrl: null, features: ['defaultKey', 'keys', 'usage', 'sites', 'audit'] }
  t.equal(pageOf({ dashboard: false }), null)
  for (const dashboard of [true, {}, { features: {} }]) t.same(pageOf({ dashboard }), plain)
  t.same(pageOf({ dashboard: true, session: { ...session, token: undefined as never }, cookieMutations: { origins: [] } }), plain, 'cookies may change things')
  const given = {
    path: '/w/:workspaceId/api-key',
    title: '🔑'.repeat(60),
    accentColor: '#0A7e5c',
    logo: `data:image/svg+xml;base64,${'A'.repeat(63_974)}`,
    links: new Array(8).fill({ text: 'Docs', url: '/docs?a=1#b' }),
    signInUrl: 'https://login.example.com/in?next=/api-key',
    exampleUrl: '/v1/blocks'
  }
  t.same(pageOf({ dashboard: { ...given, features: { audit: false } }, routePrefix: '/v1/w/:workspaceId' }), { ...given, features: ['defaultKey', 'keys', 'usage', 'sites'] })
  t.match(pageOf({ dashboard: { logo: '/logo.svg' } }), { logo: '/logo.svg' })
  const features = (options: Partial<SelfServeKeysOptions>): unknown => (pageOf({ dashboard: true, ...options }) as { features: unknown }).features
  t.same(features({ usage: false }), ['defaultKey', 'keys', 'sites', 'audit'])
  t.same(features({ routes: { sites: false, defaultKey: false, profile: true } }), ['keys', 'usage', 'audit'])
  t.same(features({ routes: { audit: false }, dashboard: { features: { audit: true, keys: false } } }), ['defaultKey', 'usage', 'sites'], 'nothing is asked back that is off')
  t.same(features({ routes: async () => {}, usage: false }), ['defaultKey', 'keys', 'sites', 'audit'], 'a host\'s own routes are taken at its word')
})

t.test('given options are completed as they were given', async (t) => {
  const routes = async (): Promise<void> => {}
  const authorize = (): boolean => true
  const onEvent = (): void => {}
  const storage = memoryStorage()
  const clock = { now: () => 1, monotonic: () => 2 }
  const complete = completeOptions({
    session: tokenSession,
    storage,
    routePrefix: '/v1/workspaces/:workspaceId',
    routes,
    headers: ['X-Starkscan-Api-Key', 'Authorization', 'authorization'],
    scopes: { 'blocks:read': 'Read', 'blocks:write': 'Write' },
    keys: { prefix: 'acme', peppers: { current: 'p1', keys: { p1: SECRET } }, defaultKey: { label: '🔑'.repeat(100), environment: 'test', scopes: ['blocks:write', 'blocks:write'], lifetime: '100 years' }, retention: '2 years', lifetime: '30 days', maxLifetime: '90 days', maxOverlap: '1 hour', origins: 'optional', cacheSize: 2 },
    rateLimit: [{ max: 1, timeWindow: 1000 }, { name: 'hour', max: 2, timeWindow: '1h' }],
    usage: { retention: '60 days', flushInterval: 50, maxBuffered: 1, prune: false },
    accountRoutes: { rateLimit: { max: 5, timeWindow: '1 hour' }, apiKeys: { read: 'blocks:read', write: 'blocks:write' } },
    audit: { names: { 'api_key.issued': { action: 'api_key.created' }, 'site.added': { detail: 'Added {name} 🌐' } }, retention: '1 day' },
    authorize,
    onEvent,
    revocation: { maxDelay: '5 seconds' },
    cookieMutations: { origins: ['https://app.example.com', 'http://127.0.0.1:3000'] },
    openapi: { sessionScheme: 'bearerAuth', hide: true },
    realm: 'My API (v1)',
    logBindings: false,
    clock,
    timeout: '5s'
  })
  t.match(complete, {
    storage,
    routePrefix: '/v1/workspaces/:workspaceId',
    routes,
    headers: ['x-starkscan-api-key', 'authorization'],
    scopes: new Set(['blocks:read', 'blocks:write']),
    scopeDescriptions: new Map([['blocks:read', 'Read'], ['blocks:write', 'Write']]),
    keys: { peppers: { current: 'p1', keys: { p1: SECRET } }, defaultKey: { environment: 'test', access: 'secret', scopes: ['blocks:write'], lifetime: 36_500 * DAY }, retention: 730 * DAY, lifetime: 30 * DAY, maxLifetime: 90 * DAY, maxOverlap: HOUR, originsRequired: false, cacheSize: 2 },
    rateLimit: { limits: [{ name: 'default', max: 1, windowMs: 1000 }, { name: 'hour', max: 2, windowMs: HOUR }], store: null, onStoreError: 'local', legacyHeaders: false, failedVerifications: null },
    usage: { retention: 60 * DAY, flushInterval: 50, maxBuffered: 1, prune: false },
    accountRoutes: { mutationLimit: { name: 'account', max: 5, windowMs: HOUR }, apiKeys: { read: 'blocks:read', write: 'blocks:write' } },
    authorize,
    onEvent,
    revocation: { maxDelay: 5000, channel: null },
    cookieMutationOrigins: ['https://app.example.com', 'http://127.0.0.1:3000'],
    openapi: { sessionScheme: 'bearerAuth', hide: true },
    realm: 'My API (v1)',
    logBindings: false,
    clock,
    timeout: 5000
  })
  t.equal(complete.headers.length, 2)
  t.same(complete.audit, {
    wording: {
      ...WORDING, 'api_key.issued': { ...WORDING['api_key.issued'], action: 'api_key.created' }, 'site.added': { action: 'site.added', detail: 'Added {name} 🌐' }
    },
    retention: DAY
  })
  t.same(complete.keys.defaultKey.scopes, ['blocks:write'])
  t.equal(complete.keys.prefix('publishable', 'test'), 'acme_pk_test_')
})

t.test('what follows from other options', async (t) => {
  const scopes = { 'blocks:read': 'Read', 'blocks:write': 'Write' }
  t.same(completeOptions({ ...base, scopes }).keys.defaultKey.scopes, ['blocks:read'])
  t.equal(completeOptions({ ...base, scopes, keys: { defaultKey: { scopes: null } } }).keys.defaultKey.scopes, null)
  t.equal(completeOptions({ ...base, usage: { retention: '500 days' } }).keys.retention, 500 * DAY, 'keys outlast the usage that names them')
  t.equal(completeOptions({ ...base, usage: false, keys: { retention: '1 day' } }).keys.retention, DAY)
  t.equal(completeOptions({ ...base, usage: false }).usage, null)
  t.equal(completeOptions({ ...base, accountRoutes: { rateLimit: false } }).accountRoutes.mutationLimit, null)
  t.equal(completeOptions({ ...base, cookieMutations: false }).cookieMutationOrigins, null)
  t.equal(completeOptions({ ...base, routes: false }).routes, false)
  t.same(completeOptions({ ...base, routes: true }).routes, { profile: false, defaultKey: true, keys: true, usage: true, sites: true, audit: true })
  t.same(completeOptions({ ...base, routes: { usage: false, profile: true } }).routes, {
    profile: true, defaultKey: true, keys: true, usage: false, sites: true, audit: true
  })
  const apiKeys = { read: 'blocks:read', write: 'blocks:write' }
  const { session, ...keysAlone } = base
  t.equal(completeOptions({ ...keysAlone, scopes, accountRoutes: { apiKeys } }).session, null, 'keys alone open the account routes')
  t.equal(completeOptions({ ...base, scopes, accountRoutes: { apiKeys } }).session, session)
  t.match(await faultOf({ ...keysAlone, session: null, scopes, accountRoutes: { apiKeys } }), { option: 'session' })
})

t.test('rate limits are one limit, a list of them, or settings that hold either', async (t) => {
  const store = memoryRateLimitStore()
  const one = { max: 5, timeWindow: '1 minute' }
  const many = [{ name: 'burst_2', max: 2, timeWindow: 1000 }, one]
  const none = { limits: [], store: null, onStoreError: 'local', legacyHeaders: false, failedVerifications: null }
  const limit = { name: 'default', max: 5, windowMs: MINUTE }
  const limits = [{ name: 'burst_2', max: 2, windowMs: SECOND }, limit]
  const table: Array<[given: NonNullable<SelfServeKeysOptions['rateLimit']>, complete: object]> = [
    [false, none],
    [[], none],
    [one, { ...none, limits: [limit] }],
    [{ name: 'x'.repeat(32), ...one }, { ...none, limits: [{ ...limit, name: 'x'.repeat(32) }] }],
    [many, { ...none, limits }],
    [{ limits: one }, { ...none, limits: [limit] }],
    [{ limits: many }, { ...none, limits }],
    [{ limits: false }, none],
    [{ limits: [] }, none],
    [{ store }, { ...none, store }],
    [{ onStoreError: 'allow' }, { ...none, onStoreError: 'allow' }],
    [{ legacyHeaders: true, failedVerifications: false }, { ...none, legacyHeaders: true }],
    [{ limits: one, store, onStoreError: 'deny', legacyHeaders: false, failedVerifications: { max: 9, timeWindow: '10 minutes' } },
      { limits: [limit], store, onStoreError: 'deny', legacyHeaders: false, failedVerifications: { name: 'failed-verifications', max: 9, windowMs: 10 * MINUTE } }]
  ]
  for (const [rateLimit, complete] of table) t.strictSame(completeOptions({ ...base, rateLimit }).rateLimit, complete)
  // The words of @fastify/rate-limit.
  for (const [timeWindow, windowMs] of [[1000, SECOND], ['1s', SECOND], ['2 sec', 2 * SECOND], ['1 min', MINUTE], ['1 minute', MINUTE], ['3 hrs', 3 * HOUR], ['1d', DAY], ['2 weeks', 14 * DAY]] as const) {
    t.strictSame(completeOptions({ ...base, rateLimit: { max: 1, timeWindow } }).rateLimit.limits, [{ name: 'default', max: 1, windowMs }], String(timeWindow))
  }
})

t.test('a store may be an instance of a class', async (t) => {
  class Store {
    consume (): never { throw new Error('asked') }
    peek (): never { throw new Error('asked') }
    reset (): void {}
  }
  const store = new Store()
  t.equal(completeOptions({ ...base, rateLimit: { store } }).rateLimit.store, store)
})

t.test('a prefix function is asked for every kind of key at the start, and judged again at each key', async (t) => {
  const asked: string[] = []
  const complete = completeOptions({ ...base, keys: { prefix: (access, environment) => { asked.push(`${access} ${environment}`); return `${access}-${environment}_` } } })
  t.same(asked.sort(), ['publishable live', 'publishable test', 'secret live', 'secret test'])
  t.equal(complete.keys.prefix('secret', 'live'), 'secret-live_')
  t.same(await faultOf({ ...base, keys: { prefix: (access: string) => access === 'publishable' ? '' : 'ok_' } }), {
    option: 'keys.prefix', message: 'Option "keys.prefix" must give 1 to 64 letters, digits, _ and -.'
  })
})

t.test('an accepted shape is matched as a whole, without memory between calls', async (t) => {
  const shapeOf = (pattern: RegExp, maxLength = 64): (value: string) => boolean =>
    completeOptions({ ...base, keys: { accept: [{ pattern, maxLength, hash: 'sha256' }] } }).keys.isKeyShaped
  for (const pattern of [/[a-z]{4}/, /[a-z]{4}/g, /[a-z]{4}/y, /^[a-z]{4}$/m, /a{4}|[a-z]{4}/, /[A-Z]{4}/i]) {
    const isKeyShaped = shapeOf(pattern)
    for (let i = 0; i < 3; i++) t.equal(isKeyShaped('abcd'), true, String(pattern))
    for (const other of ['abcde', ' abcd', 'abcd\n', 'x\nabcd', 'abc', '']) t.equal(isKeyShaped(other), false, `${pattern} ${JSON.stringify(other)}`)
  }
  t.equal(shapeOf(/[a-z]+/, 5)('abcde'), true)
  t.equal(shapeOf(/[a-z]+/, 5)('abcdef'), false)
})

t.test('the catalogue and the peppers are copies: a host that changes its object later changes nothing', async (t) => {
  const scopes: Record<string, string> = { 'a:read': 'A' }
  const keys: Record<string, string> = { p1: SECRET }
  const complete = completeOptions({ ...base, scopes, keys: { peppers: { current: 'p1', keys } } })
  scopes['b:read'] = 'B'
  keys.p2 = SECRET
  t.same(complete.scopes, new Set(['a:read']))
  t.same(complete.scopeDescriptions, new Map([['a:read', 'A']]))
  t.same(complete.keys.peppers, { current: 'p1', keys: { p1: SECRET } })
})

t.test('a resolver or storage may be an instance of a class', async (t) => {
  class Resolver { bearer (): null { return null } }
  t.equal(await faultOf({ ...base, session: new Resolver() }), null)
})

t.test('without a storage, keys are in ./self-serve-keys.db, which production is warned of once', async (t) => {
  const index = pathToFileURL(join(import.meta.dirname, '../lib/index.ts')).href
  const script = `
    import Fastify from 'fastify'
    import { selfServeKeys } from ${JSON.stringify(index)}
    const app = Fastify({ logger: { level: 'info' } })
    app.register(selfServeKeys, { session: { bearer: () => null } })
    await app.ready()
    await app.selfServeKeys.keys.issueDefault({ accountId: 'a', credential: 'host' })
    await app.close()`
  for (const [NODE_ENV, warnings] of [['production', 1], ['development', 0]] as const) {
    const folder = t.testdir({ 'host.mts': script })
    const child = spawn(process.execPath, [...process.execArgv, join(folder, 'host.mts')], { cwd: folder, env: { ...process.env, NODE_ENV }, stdio: ['ignore', 'pipe', 'inherit'] })
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    t.equal(code, 0)
    const lines = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { level: number, msg: string })
    t.equal(lines.filter(({ msg, level }) => level === 40 && msg.includes('./self-serve-keys.db')).length, warnings, NODE_ENV)
    t.equal(existsSync(join(folder, 'self-serve-keys.db')), true)
  }
})
