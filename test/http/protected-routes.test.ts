// Protected routes: who gets through, what the others are told, and that no way of declaring a route leaves it open.
import { connect as connectHttp2 } from 'node:http2'
import fastifyCors from '@fastify/cors'
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteShorthandOptions } from 'fastify'
import t, { type Test } from 'tap'
import {
  actorOf, getApiKey, memoryStorage, protect, selfServeKeys,
  type Caller, type RouteRule, type RouteRuleConfig, type SelfServeKeysOptions, type Storage
} from '../../lib/index.js'
import { routeRules } from '../../lib/http/route-rules.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { BROWSER, build, login, logTo, portOf, raw, SCOPES, SIGNED_IN, storeKey, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, newKey, NOW } from '../helpers/keys.js'

const ok = async (request: FastifyRequest): Promise<{ via: string | null }> => ({ via: request.caller?.via ?? null })
const rule = (apiKey: RouteRuleConfig): RouteShorthandOptions => ({ config: { apiKey } })
const PLAIN = 'Bearer realm="api"'
const INVALID = 'Bearer realm="api", error="invalid_token"'

interface Guarded extends Host { good: string, get: (url: string, headers?: Record<string, string | string[]>) => ReturnType<FastifyInstance['inject']> }

/** A host with one good key. */
async function guarded (t: Test, parts: HostParts, options: Partial<SelfServeKeysOptions> = {}): Promise<Guarded> {
  const host = await build(t, options, parts)
  const { plaintext } = await storeKey(host.storage)
  return { ...host, good: plaintext, get: (url, headers = {}) => host.app.inject({ url, headers }) as ReturnType<FastifyInstance['inject']> }
}

/** Asserts that a route asks for a key, takes a good one and no bad one. */
async function asksForKey (t: Test, { app, good }: Guarded, url: string, { method = 'GET', headers = {} }: { method?: string, headers?: Record<string, string> } = {}): Promise<void> {
  const of = async (more: Record<string, string>): Promise<number> =>
    (await app.inject({ method: method as 'GET', url, headers: { ...headers, ...more } })).statusCode
  t.strictSame([await of({}), await of({ 'x-api-key': generateKey('sk_live_') }), await of({ 'x-api-key': good }), await of({ authorization: `Bearer ${good}` })],
    [401, 401, 200, 200], `${method} ${url}`)
}

async function isOpen (t: Test, { app }: Guarded, url: string): Promise<void> {
  t.equal((await app.inject(url)).statusCode, 200, `${url} is open`)
}

t.test('a route asks for a key however and whenever it was declared', async (t) => {
  const host = await guarded(t, {
    before (app) {
      app.get('/before', rule(true), ok)
      app.get('/before-public', ok)
      app.get('/before-false', rule(false), ok)
      app.register(async (scope) => {
        scope.get('/scope-before', rule({}), ok)
        scope.register(async (inner) => { inner.get('/nested-before', rule(true), ok) })
      }, { prefix: '/a' })
      app.after(() => { app.get('/app-after-before', rule(true), ok) })
    },
    after (app) {
      app.get('/after', rule(true), ok)
      app.get('/after-public', ok)
      app.get('/after-false', rule(false), ok)
      app.register(async (scope) => {
        scope.get('/scope-after', rule(true), ok)
        scope.register(async (inner) => { inner.get('/nested-after', rule({ scopes: ['blocks:read'] }), ok) })
      }, { prefix: '/b' })
      app.after(() => { app.get('/app-after', rule(true), ok) })
      app.all('/all', rule(true), ok)
      app.route({ method: ['GET', 'PUT'], url: '/several', config: { apiKey: true }, handler: ok })
      app.get('/v/:id', rule(true), ok)
      app.get('/wild/*', rule(true), ok)
      app.get('/host', { ...rule(true), constraints: { host: 'a.example' } }, ok)
      app.get('/host', { constraints: { host: 'b.example' } }, ok)
      app.get('/version', { ...rule(true), constraints: { version: '2.0.0' } }, ok)
    }
  })
  for (const url of ['/before', '/a/scope-before', '/a/nested-before', '/app-after-before', '/after', '/b/scope-after', '/b/nested-after', '/app-after',
    '/several', '/v/1', '/wild/x/y']) {
    await asksForKey(t, host, url)
  }
  for (const url of ['/before-public', '/before-false', '/after-public', '/after-false']) await isOpen(t, host, url)
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) await asksForKey(t, host, '/all', { method })
  await asksForKey(t, host, '/several', { method: 'PUT' })
  for (const url of ['/before', '/after', '/several', '/a/scope-before']) await asksForKey(t, host, url, { method: 'HEAD' })
  await asksForKey(t, host, '/host', { headers: { host: 'a.example' } })
  t.equal((await host.get('/host', { host: 'b.example' })).statusCode, 200)
  await asksForKey(t, host, '/version', { headers: { 'accept-version': '2.x' } })
})

t.test('routes declared on the line after an unawaited register are guarded', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  const storage = memoryStorage()
  app.register(selfServeKeys, { session: login, storage })
  app.get('/sync-after', rule(true), ok)
  app.register(async (scope) => { scope.get('/scope', rule(true), ok) })
  await app.ready()
  const { plaintext } = await storeKey(storage)
  for (const url of ['/sync-after', '/scope']) {
    t.equal((await app.inject(url)).statusCode, 401, url)
    t.equal((await app.inject({ url, headers: { 'x-api-key': plaintext } })).statusCode, 200, url)
  }
  t.equal(app.selfServeKeys.routes().complete, false)
})

t.test('protect() guards a scope and those inside it, made before or after the plugin, and no sibling', async (t) => {
  const scopes = (name: string) => (app: FastifyInstance): void => {
    app.register(async (scope) => {
      scope.get('/early', ok)
      protect(scope)
      scope.get('/late', ok)
      scope.get('/open', rule(false), ok)
      scope.get('/own', rule({ environments: ['test'] }), ok)
      scope.register(async (inner) => {
        inner.get('/', ok)
        inner.register(async (deep) => {
          protect(deep, { environments: ['test'] })
          deep.get('/deep', ok)
          deep.get('/own', rule(true), ok)
        })
      }, { prefix: '/inner' })
    }, { prefix: `/${name}` })
    app.register(async (scope) => { scope.get('/', ok) }, { prefix: `/${name}-sibling` })
  }
  const host = await guarded(t, { before: scopes('before'), after: scopes('after') })
  for (const name of ['before', 'after']) {
    for (const path of ['early', 'late', 'inner', 'inner/own']) await asksForKey(t, host, `/${name}/${path}`)
    await isOpen(t, host, `/${name}/open`)
    await isOpen(t, host, `/${name}-sibling`)
    for (const path of ['own', 'inner/deep']) {
      t.equal((await host.get(`/${name}/${path}`, { 'x-api-key': host.good })).statusCode, 403, `${name}/${path}: the nearer rule replaces the outer`)
    }
  }
})

t.test('protect() on the root guards everything but the account routes and a lone OPTIONS', async (t) => {
  for (const when of ['before', 'after'] as const) {
    const host = await guarded(t, {
      [when] (app: FastifyInstance) {
        protect(app, { scopes: ['blocks:read'] })
        app.get('/x', ok)
        app.options('/x', ok)
        app.options('/asks', rule(true), ok)
        app.route({ method: ['OPTIONS', 'GET'], url: '/both', handler: ok })
        app.register(async (scope) => { scope.get('/scope', ok) })
      }
    })
    await asksForKey(t, host, '/x')
    await asksForKey(t, host, '/scope')
    await asksForKey(t, host, '/both', { method: 'OPTIONS' })
    await asksForKey(t, host, '/asks', { method: 'OPTIONS' })
    t.equal((await host.app.inject({ method: 'OPTIONS', url: '/x' })).statusCode, 200)
    t.equal((await host.get('/v1/me/api-keys', SIGNED_IN)).statusCode, 200)
    t.equal((await host.get('/nowhere')).statusCode, 404)
  }
})

t.test('protect() where the plugin is absent fails ready()', async (t) => {
  const missing = { code: 'PLUGIN_MISSING' }
  const lonely = Fastify()
  t.after(async () => { await lonely.close() })
  protect(lonely)
  await t.rejects(async () => { await lonely.ready() }, missing)

  const sibling = Fastify()
  t.after(async () => { await sibling.close() })
  sibling.register(async (scope) => { await scope.register(selfServeKeys, { session: login, storage: memoryStorage() }) })
  sibling.register(async (scope) => { protect(scope) })
  await t.rejects(async () => { await sibling.ready() }, missing)

  const outer = Fastify()
  t.after(async () => { await outer.close() })
  protect(outer)
  outer.register(async (scope) => { await scope.register(selfServeKeys, { session: login, storage: memoryStorage() }) })
  await t.rejects(async () => { await outer.ready() }, missing)
})

t.test('the plugin in a child scope governs that scope', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  const storage = memoryStorage()
  app.get('/outside', rule(true), ok)
  app.register(async (scope) => {
    await scope.register(selfServeKeys, { session: login, storage })
    scope.get('/in', rule(true), ok)
    scope.register(async (inner) => {
      protect(inner)
      inner.get('/deep', ok)
    })
  }, { prefix: '/api' })
  await app.ready()
  const { plaintext } = await storeKey(storage)
  for (const url of ['/api/in', '/api/deep']) {
    t.equal((await app.inject(url)).statusCode, 401, url)
    t.equal((await app.inject({ url, headers: { 'x-api-key': plaintext } })).statusCode, 200, url)
  }
  t.equal((await app.inject({ url: '/api/v1/me/api-keys', headers: SIGNED_IN })).statusCode, 200)
  t.equal(app.hasDecorator('selfServeKeys'), false)
})

const MALFORMED: Array<[name: string, config: unknown, fault: RegExp]> = [
  ['undefined', undefined, /true, false or an object/],
  ['null', null, /true, false or an object/],
  ['text', 'blocks:read', /true, false or an object/],
  ['a number', 1, /true, false or an object/],
  ['a list', ['blocks:read'], /true, false or an object/],
  ['a function', () => true, /true, false or an object/],
  ['a promise of a rule', Promise.resolve({ scopes: ['blocks:read'] }), /true, false or an object/],
  ['a map', new Map([['scopes', ['blocks:read']]]), /true, false or an object/],
  ['an instance of a class', new (class Rule { scopes = ['blocks:read'] })(), /true, false or an object/],
  ['an unknown member', { scope: ['blocks:read'] }, /scope is not a member/],
  ['an unknown member beside good ones', { scopes: ['blocks:read'], allowPublic: true }, /allowPublic is not a member/],
  ['an unknown scope', { scopes: ['blocks:write'] }, /scopes must be/],
  ['an unknown scope among known', { scopes: ['blocks:read', 'x:y'] }, /scopes must be/],
  ['no scopes', { scopes: [] }, /scopes must be/],
  ['scopes undefined', { scopes: undefined }, /scopes must be/],
  ['scopes as text', { scopes: 'blocks:read' }, /scopes must be/],
  ['scopes of numbers', { scopes: [1] }, /scopes must be/],
  ['a scope named after a member of objects', { scopes: ['constructor'] }, /scopes must be/],
  ['an unknown alternative scope', { anyOfScopes: ['x:y'] }, /anyOfScopes must be/],
  ['no alternative scopes', { anyOfScopes: [] }, /anyOfScopes must be/],
  ['an unknown environment', { environments: ['prod'] }, /environments must be/],
  ['no environments', { environments: [] }, /environments must be/],
  ['environments as text', { environments: 'live' }, /environments must be/],
  ['session as text', { session: 'yes' }, /session must be true or false/],
  ['optional as a number', { optional: 1 }, /optional must be true or false/],
  ['allowPublishable as text', { allowPublishable: 'yes' }, /allowPublishable must be true or false/],
  ['allowPublishable undefined', { allowPublishable: undefined }, /allowPublishable must be true or false/],
  ['optional undefined', { optional: undefined }, /optional must be true or false/]
]

t.test('a malformed config fails ready(), naming method and URL, where the plugin sees the route', async (t) => {
  for (const [name, apiKey, fault] of MALFORMED) {
    const built = build(t, {}, {
      after: (app) => app.register(async (scope) => { scope.post('/x/:id', { config: { apiKey: apiKey as true } }, ok) }, { prefix: '/v1' })
    })
    const error = await built.then(() => null, (error: unknown) => error) as { code: string, message: string, details: unknown } | null
    t.match(error, { code: 'INVALID_ROUTE_CONFIG', details: { method: 'POST', url: '/v1/x/:id' }, message: fault }, name)
    t.match(error?.message, 'POST /v1/x/:id', name)
  }
})

t.test('a malformed config denies and logs on routes declared before the plugin, even with a good key', async (t) => {
  for (const [name, apiKey] of MALFORMED) {
    const log = logTo()
    const host = await guarded(t, { server: { logger: log.logger }, before: (app) => app.get('/x/:id', { config: { apiKey: apiKey as true } }, ok) })
    for (const headers of [{}, { 'x-api-key': host.good }, SIGNED_IN]) {
      const answer = await host.get('/x/1', headers)
      t.equal(answer.statusCode, 403, name)
      t.match(answer.json(), { code: 'FORBIDDEN', message: 'This route is not configured correctly.' }, name)
    }
    t.match(log.lines.filter(({ level }) => level === 50), Array(3).fill({ method: 'GET', url: '/x/:id', msg: /apiKey/ }), name)
  }
})

t.test('an object without a prototype is a rule as any other', async (t) => {
  const scoped = Object.assign(Object.create(null) as object, { scopes: ['transactions:write'] })
  const { get, good, app } = await guarded(t, { after: (app) => app.get('/x', rule(scoped), ok).get('/any', rule(Object.create(null) as object), ok) })
  t.strictSame([(await get('/x', { 'x-api-key': good })).statusCode, (await get('/any', { 'x-api-key': good })).statusCode, (await get('/any')).statusCode], [403, 200, 401])
  t.match(await app.selfServeKeys.verify(good, scoped), { code: 'INSUFFICIENT_SCOPE' })
})

t.test('protect(scope, false) fails ready(), and denies where it would be reached all the same', async (t) => {
  for (const when of ['before', 'after'] as const) {
    const built = build(t, {}, { [when]: (app: FastifyInstance) => app.register(async (scope) => { protect(scope, false as unknown as true) }) })
    await t.rejects(built, { code: 'INVALID_ROUTE_CONFIG', message: /protect\(\).*true or an object/ }, when)
  }
  const rules = routeRules(new Set(), ['x-api-key'])
  const scope = Fastify()
  protect(scope, false as unknown as true)
  t.equal(rules.of({}, scope), 'malformed')
  t.equal(rules.of({ apiKey: false } as object, scope), null, 'a single route may be opened')
})

t.test('a malformed protect() fails ready(), whenever it was called', async (t) => {
  for (const when of ['before', 'after'] as const) {
    for (const [name, config] of MALFORMED.slice(1)) {
      const built = build(t, {}, { [when]: (app: FastifyInstance) => app.register(async (scope) => { protect(scope, config as RouteRule) }) })
      await t.rejects(built, { code: 'INVALID_ROUTE_CONFIG', message: /protect\(\)/ }, `${name}, ${when}`)
    }
  }
})

t.test('who gets through which rule', async (t) => {
  const rules: Record<string, RouteRuleConfig> = {
    any: true,
    session: { session: true },
    optional: { optional: true },
    'optional-session': { optional: true, session: true },
    live: { environments: ['live'] },
    test: { environments: ['test'] },
    both: { environments: ['live', 'test'] },
    read: { scopes: ['blocks:read'] },
    write: { scopes: ['transactions:write'] },
    all: { scopes: ['blocks:read', 'transactions:write'] },
    one: { anyOfScopes: ['blocks:read', 'transactions:write'] },
    'one-more': { anyOfScopes: ['transactions:write'], scopes: ['blocks:read'] }
  }
  const { app, storage, clock } = await build(t, {}, {
    before (app) { for (const [name, apiKey] of Object.entries(rules)) app.get(`/${name}`, { config: { apiKey } }, ok) }
  })
  const store = async (...args: Parameters<typeof storeKey> extends [unknown, ...infer R] ? R : never): Promise<string> => (await storeKey(storage, ...args)).plaintext
  const good = await store()
  const full = await store({ scopes: null, environment: 'test' })
  const write = await store({ scopes: ['transactions:write'] })
  const expired = await store({ expiresAt: NOW + 1 })
  const publishable = await store({ access: 'publishable', scopes: null })
  const revoked = await storeKey(storage)
  await app.selfServeKeys.keys.revoke({ accountId: ACCOUNT, credential: 'host' }, revoked.key.publicId)
  clock.advance(1)

  const missing = (message = 'An API key is required.'): string => `401 MISSING_API_KEY ${PLAIN} ${message}`
  const missingBoth = missing('An API key or a signed-in session is required.')
  const bad = (message = 'The API key is not valid.'): string => `401 INVALID_API_KEY ${INVALID} ${message}`
  const lacks = (...scopes: string[]): string => `403 INSUFFICIENT_SCOPE ${PLAIN}, error="insufficient_scope", scope="${scopes.join(' ')}" ` +
    `The API key lacks a scope this route asks for: ${scopes.join(', ')}.`
  const wrongEnvironment = (name: string): string => `403 FORBIDDEN undefined A ${name} API key may not be used here.`
  const nobody = `401 SESSION_REQUIRED ${INVALID} The session token is not valid.`
  const key = (value: string): Record<string, string> => ({ 'x-api-key': value })
  const bearer = (value: string): Record<string, string> => ({ authorization: `Bearer ${value}` })

  const cases: Array<[url: string, name: string, headers: Record<string, string | string[]>, outcome: string]> = [
    ['/any', 'nothing', {}, missing()],
    ['/any', 'a good key', key(good), 'apiKey'],
    ['/any', 'a good key as bearer', bearer(good), 'apiKey'],
    ['/any', 'a good key as bearer in odd case', { authorization: `bEARER  ${good}` }, 'apiKey'],
    ['/any', 'a good key twice', { 'x-api-key': good, ...bearer(good) }, 'apiKey'],
    ['/any', 'a good key beside a foreign bearer', { ...key(good), ...bearer('jwt') }, 'apiKey'],
    ['/any', 'a good key beside a session', { ...key(good), ...SIGNED_IN, ...BROWSER }, 'apiKey'],
    ['/any', 'a good key beside Basic', { ...key(good), authorization: 'Basic eDp5' }, 'apiKey'],
    ['/any', 'an unknown key', key(generateKey('sk_live_')), bad()],
    ['/any', 'an unknown key as bearer', bearer(generateKey('sk_live_')), bad()],
    ['/any', 'a key with one character changed', key(`${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`), bad()],
    ['/any', 'a key that is no key', key('hello'), bad()],
    ['/any', 'an empty key header', key(''), bad()],
    ['/any', 'a key beyond 256 characters', key('k'.repeat(5000)), bad()],
    ['/any', 'a bearer that is no key', bearer('hello'), bad()],
    ['/any', 'an empty bearer', { authorization: 'Bearer' }, bad()],
    ['/any', 'Basic', { authorization: 'Basic eDp5' }, missing()],
    ['/any', 'the key without a scheme', { authorization: good }, missing()],
    ['/any', 'a session', BROWSER, missing()],
    ['/any', 'a session as bearer', SIGNED_IN, bad()],
    ['/any', 'an expired key', key(expired), bad('The API key has expired.')],
    ['/any', 'a revoked key', key(revoked.plaintext), bad('The API key was revoked.')],
    ['/any', 'a publishable key', key(publishable), '403 FORBIDDEN undefined A publishable API key may not be used here.'],
    ['/any', 'two different keys', { ...key(good), ...bearer(full) }, '400 INVALID_REQUEST undefined The request carries two different API keys.'],
    ['/any', 'two different keys, one bad', { ...key(good), ...bearer(generateKey('sk_live_')) }, '400 INVALID_REQUEST undefined The request carries two different API keys.'],
    ['/any', 'two different keys, one header twice', { 'x-api-key': [good, full] }, '400 INVALID_REQUEST undefined The request carries two different API keys.'],
    ['/any', 'the same key twice in one header', { 'x-api-key': [good, good] }, 'apiKey'],
    ['/any', 'a good key and an empty one', { 'x-api-key': [good, ''] }, '400 INVALID_REQUEST undefined The request carries two different API keys.'],
    ['/any?api_key=KEY&x-api-key=KEY&access_token=KEY', 'the key in the query', {}, missing()],
    ['/session', 'nothing', {}, missingBoth],
    ['/session', 'a good key', key(good), 'apiKey'],
    ['/session', 'a bearer session', SIGNED_IN, 'session'],
    ['/session', 'a cookie', BROWSER, 'session'],
    ['/session', 'a key and a bearer session', { ...key(good), ...SIGNED_IN }, 'apiKey'],
    ['/session', 'a key and a cookie', { ...key(good), ...BROWSER }, 'apiKey'],
    ['/session', 'a bad key and a bearer session', { ...key('x'), ...SIGNED_IN }, bad()],
    ['/session', 'a bad key and a cookie', { ...bearer(generateKey('sk_live_')), ...BROWSER }, bad()],
    ['/session', 'a bad bearer', bearer('jwt'), nobody],
    ['/session', 'a bad bearer and a cookie', { ...bearer('jwt'), ...BROWSER }, nobody],
    ['/session', 'a bad cookie', { cookie: 'session=x' }, missingBoth],
    ['/optional', 'nothing', {}, 'null'],
    ['/optional', 'a good key', key(good), 'apiKey'],
    ['/optional', 'a bad key', key('x'), bad()],
    ['/optional', 'an empty key header', key(''), bad()],
    ['/optional', 'a revoked key', key(revoked.plaintext), bad('The API key was revoked.')],
    ['/optional', 'a bearer that is no key', bearer('x'), bad()],
    ['/optional', 'a cookie', BROWSER, 'null'],
    ['/optional-session', 'nothing', {}, 'null'],
    ['/optional-session', 'a cookie', BROWSER, 'session'],
    ['/optional-session', 'a bad cookie', { cookie: 'session=x' }, 'null'],
    ['/optional-session', 'a bad bearer', bearer('x'), nobody],
    ['/optional-session', 'a bad key', key('x'), bad()],
    ['/live', 'a live key', key(good), 'apiKey'],
    ['/live', 'a test key', key(full), wrongEnvironment('test')],
    ['/test', 'a test key', key(full), 'apiKey'],
    ['/test', 'a live key', key(good), wrongEnvironment('live')],
    ['/both', 'a live key', key(good), 'apiKey'],
    ['/read', 'a key with the scope', key(good), 'apiKey'],
    ['/read', 'a key with all scopes', key(full), 'apiKey'],
    ['/read', 'a key with another scope', key(write), lacks('blocks:read')],
    ['/write', 'a key with another scope', key(good), lacks('transactions:write')],
    ['/all', 'a key with one of two', key(good), lacks('blocks:read', 'transactions:write')],
    ['/all', 'a key with all', key(full), 'apiKey'],
    ['/one', 'a key with the first', key(good), 'apiKey'],
    ['/one', 'a key with the second', key(write), 'apiKey'],
    ['/one-more', 'a key with the one and not the other', key(good), lacks('transactions:write')],
    ['/one-more', 'a key with all', key(full), 'apiKey'],
    ['/read', 'an expired key, whatever its scopes', key(expired), bad('The API key has expired.')]
  ]
  for (const [url, name, headers, outcome] of cases) {
    const answer = await app.inject({ url: url.replaceAll('KEY', good), headers })
    const body = answer.json<{ via?: string, code: string, message: string }>()
    const actual = answer.statusCode === 200 ? String(body.via) : `${answer.statusCode} ${body.code} ${String(answer.headers['www-authenticate'])} ${body.message}`
    t.equal(actual, outcome, `${url} with ${name}`)
    for (const secret of [good, full, revoked.plaintext]) t.notOk(answer.body.includes(secret), `${url} with ${name}: no key comes back`)
  }
})

t.test('duplicates as a real socket brings them', async (t) => {
  const { app, storage, good } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok) })
  const { plaintext: other } = await storeKey(storage)
  const get = async (...headers: string[]): Promise<number> => (await raw(app, ['GET /x HTTP/1.1', ...headers])).status
  t.equal(await get(`X-API-Key: ${good}`), 200)
  t.equal(await get(`X-API-KEY: ${good}`, `x-api-key: ${good}`, `Authorization: Bearer ${good}`), 200, 'the same key, however often')
  t.equal(await get(`X-API-Key: ${good}`, `X-API-Key: ${other}`), 400)
  t.equal(await get(`Authorization: Bearer ${good}`, `Authorization: Bearer ${other}`), 400)
  t.equal(await get(`Authorization: Bearer ${good}`, `X-API-Key: ${other}`), 400)
  t.equal(await get(`X-API-Key: ${good}, ${other}`), 401, 'a list is no key')
  t.equal(await get('X-API-Key:'), 401)
  t.equal(await get('X-API-Key:', `X-API-Key: ${good}`), 400)
  t.equal(await get(`Authorization: Basic ${good}`, `Authorization: Bearer ${good}`), 200)
})

t.test('the host names the headers', async (t) => {
  const before = (app: FastifyInstance): void => { app.get('/x', rule(true), ok).get('/optional', rule({ optional: true }), ok).get('/session', rule({ session: true }), ok) }
  const own = await guarded(t, { before }, { headers: ['X-Starkscan-Api-Key', 'authorization'] })
  t.equal((await own.get('/x', { 'X-Starkscan-Api-Key': own.good })).statusCode, 200)
  t.equal((await own.get('/x', { 'x-starkscan-api-key': own.good })).statusCode, 200)
  t.equal((await own.get('/x', { authorization: `Bearer ${own.good}` })).statusCode, 200)
  t.equal((await own.get('/x', { 'x-api-key': own.good })).statusCode, 401)
  t.equal((await own.get('/x', { 'x-starkscan-api-key': own.good })).headers.vary, 'x-starkscan-api-key, authorization')

  const alone = await guarded(t, { before }, { headers: ['x-api-key'] })
  t.equal((await alone.get('/x', { 'x-api-key': alone.good })).statusCode, 200)
  t.match((await alone.get('/x', { authorization: `Bearer ${alone.good}` })).json(), { code: 'MISSING_API_KEY' }, 'the bearer is the host\'s')
  t.match((await alone.get('/x', { authorization: 'Bearer jwt' })).json(), { code: 'MISSING_API_KEY' })
  t.equal((await alone.get('/optional', { authorization: 'Bearer jwt' })).statusCode, 200)
  t.equal((await alone.get('/x', { 'x-api-key': alone.good, authorization: `Bearer ${generateKey('')}` })).statusCode, 200)
  t.match((await alone.get('/session', { authorization: `Bearer ${alone.good}` })).json(), { code: 'SESSION_REQUIRED', message: /This is an API key/ })
  t.equal((await alone.get('/session', SIGNED_IN)).statusCode, 200)
})

t.test('a cookie makes no changes on a key-or-session route; a key does', async (t) => {
  const { app, good } = await guarded(t, { before: (app) => app.post('/x', rule({ session: true, optional: true }), ok) })
  const post = async (headers: Record<string, string>): Promise<number> => (await app.inject({ method: 'POST', url: '/x', headers })).statusCode
  t.equal(await post(BROWSER), 403)
  t.equal(await post(SIGNED_IN), 200)
  t.equal(await post({ ...BROWSER, 'x-api-key': good }), 200)
})

t.test('what is not protected is not touched: 404s, public routes, preflights', async (t) => {
  const ours = ['vary', 'cache-control', 'www-authenticate', 'ratelimit']
  const untouched = (answer: { headers: Record<string, unknown> }, name: string): void => {
    t.strictSame(Object.keys(answer.headers).filter((header) => ours.includes(header)), [], name)
  }
  const { app, get, good } = await guarded(t, {
    before (app) {
      protect(app)
      app.setNotFoundHandler(async (request, reply) => await reply.code(404).send({ host: true, caller: request.caller }))
      app.register(async (scope) => {
        scope.setNotFoundHandler(async (_request, reply) => await reply.code(404).send({ scope: true }))
        scope.get('/call', rule(true), (_request, reply) => { reply.callNotFound() })
        scope.get('/call-public', rule(false), (_request, reply) => { reply.callNotFound() })
      }, { prefix: '/s' })
      app.get('/public', rule(false), ok)
    }
  }, { rateLimit: { max: 10, timeWindow: '1 minute' } })
  for (const url of ['/nowhere', '/public/nowhere', '/%', '/v1/me']) {
    const answer = await get(url)
    if (url === '/%') t.equal(answer.statusCode, 400, url)
    else t.strictSame(answer.json(), { host: true, caller: null }, url)
    untouched(answer, url)
  }
  t.strictSame((await get('/nowhere', { 'x-api-key': 'bad' })).json(), { host: true, caller: null })
  t.strictSame((await get('/s/nowhere')).json(), { scope: true })
  t.equal((await app.inject({ method: 'POST', url: '/public' })).statusCode, 404, 'another method')
  untouched(await get('/public', { 'x-api-key': good }), '/public')
  t.equal((await get('/s/call')).statusCode, 401)
  t.strictSame((await get('/s/call', { 'x-api-key': good })).json(), { scope: true })
  const called = await get('/s/call-public')
  t.strictSame(called.json(), { scope: true })
  untouched(called, 'callNotFound')
})

t.test('CORS beside the plugin answers preflights, whichever was registered first', async (t) => {
  const origin = 'https://app.example'
  const cors = async (app: FastifyInstance): Promise<void> => { await app.register(fastifyCors, { origin: [origin] }) }
  const routes = (app: FastifyInstance): void => {
    protect(app)
    app.get('/x', ok)
  }
  for (const when of ['before', 'after'] as const) {
    const { app, get, good } = await guarded(t, when === 'before' ? { before: cors, after: routes } : { before: routes, after: cors })
    for (const url of ['/x', '/v1/me/api-keys']) {
      const headers = { origin, 'access-control-request-method': 'GET' }
      const preflight = await app.inject({ method: 'OPTIONS', url, headers })
      t.equal(preflight.statusCode, 204, `${when}: ${url}`)
      t.equal(preflight.headers['access-control-allow-origin'], origin, `${when}: ${url}`)
    }
    const answer = await get('/x', { origin, 'x-api-key': good })
    t.equal(answer.statusCode, 200, when)
    t.equal(answer.headers['access-control-allow-origin'], origin, when)
    t.strictSame(new Set(String(answer.headers.vary).split(', ')), new Set(['Origin', 'x-api-key', 'authorization']), `${when}: both say what varies`)
    const refused = await get('/x', { origin })
    t.equal(refused.statusCode, 401, when)
    t.equal(refused.headers['access-control-allow-origin'], when === 'before' ? origin : undefined, `${when}: the refusal reaches a browser only if CORS came first`)
  }
})

t.test('answers are private to their caller unless the handler says otherwise', async (t) => {
  const { get, good } = await guarded(t, {
    before (app) {
      app.addHook('onRequest', async (request, reply) => { if (request.url === '/hook') reply.header('cache-control', 'no-store').header('vary', ['Accept', 'Origin']) })
      app.get('/x', rule(true), ok).get('/hook', rule(true), ok).get('/session', rule({ session: true }), ok)
      app.get('/own', rule(true), async (_request, reply) => {
        reply.header('cache-control', 'public, max-age=60').header('vary', 'Accept')
        return {}
      })
    }
  })
  const of = async (url: string, headers: Record<string, string> = { 'x-api-key': good }): Promise<unknown[]> => {
    const answer = await get(url, headers)
    return [answer.statusCode, answer.headers['cache-control'], answer.headers.vary]
  }
  t.strictSame(await of('/x'), [200, 'private', 'x-api-key, authorization'])
  t.strictSame(await of('/x', {}), [401, 'private', 'x-api-key, authorization'])
  t.strictSame(await of('/session'), [200, 'private', 'x-api-key, authorization, cookie'])
  t.strictSame(await of('/own'), [200, 'public, max-age=60', 'Accept'])
  t.strictSame(await of('/hook'), [200, 'no-store', 'Accept,Origin, x-api-key, authorization'])
})

t.test('handlers see who calls, in scopes made before the plugin too', async (t) => {
  const seen = (request: FastifyRequest): { apiKey: unknown, caller: Caller | null } => ({ apiKey: request.apiKey, caller: request.caller })
  const scopes = (name: string) => (app: FastifyInstance): void => {
    app.register(async (scope) => {
      scope.get('/key', rule({ session: true, optional: true }), async (request) => ({ ...seen(request), actor: request.caller === null ? null : actorOf(request) }))
      scope.get('/public', async (request) => seen(request))
      scope.get('/strict', rule(true), async (request) => getApiKey(request).publicId)
      scope.get('/throws', async (request) => getApiKey(request))
      scope.get('/throws-too', rule({ session: true }), async (request) => getApiKey(request))
      scope.get('/nobody', async (request) => actorOf(request))
    }, { prefix: `/${name}` })
  }
  const { get, storage } = await guarded(t, { before: scopes('before'), after: scopes('after') })
  const { plaintext, key } = await storeKey(storage, { metadata: { plan: 'gold' } })
  const { publicId, accountId, label, environment, access, scopes: granted, metadata } = key
  const apiKey = { publicId, accountId, label, environment, access, scopes: granted, metadata }
  for (const name of ['before', 'after']) {
    const withKey = (await get(`/${name}/key`, { 'x-api-key': plaintext })).json<Record<string, unknown>>()
    t.match(withKey.actor, { accountId, credential: 'api_key', apiKey: publicId, ip: '127.0.0.1', requestId: /^req-/ })
    t.strictSame({ ...withKey, actor: 0 }, { apiKey, caller: { via: 'apiKey', accountId, apiKey }, actor: 0 })
    const account = { id: ACCOUNT, actor: { id: `person of ${ACCOUNT}`, name: 'Ada' } }
    for (const [headers, credential] of [[SIGNED_IN, 'bearer'], [BROWSER, 'cookie']] as const) {
      t.match((await get(`/${name}/key`, headers)).json(),
        { apiKey: null, caller: { via: 'session', accountId: ACCOUNT, account }, actor: { accountId: ACCOUNT, credential, actor: account.actor } })
    }
    t.strictSame((await get(`/${name}/key`)).json(), { apiKey: null, caller: null, actor: null })
    t.strictSame((await get(`/${name}/public`, { 'x-api-key': plaintext, ...SIGNED_IN })).json(), { apiKey: null, caller: null })
    t.equal((await get(`/${name}/strict`, { 'x-api-key': plaintext })).body, publicId)
    for (const [url, headers] of [['throws', { 'x-api-key': plaintext }], ['throws-too', SIGNED_IN], ['nobody', SIGNED_IN]] as const) {
      const answer = await get(`/${name}/${url}`, headers)
      t.equal(answer.statusCode, 500, url)
      t.match(answer.json(), { code: 'UNPROTECTED_ROUTE', message: url === 'nobody' ? 'actorOf() was called where nobody was identified.' : 'getApiKey() was called where no API key was verified.' }, url)
    }
  }
})

t.test('a route asks for its scopes and environments on every method it has', async (t) => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
  const { app, storage } = await build(t, {}, {
    before (app) {
      app.route({ method: [...methods], url: '/scoped', ...rule({ scopes: ['transactions:write'] }), handler: ok })
      app.route({ method: [...methods], url: '/any', ...rule({ anyOfScopes: ['transactions:write'], session: true }), handler: ok })
      app.route({ method: [...methods], url: '/test', ...rule({ environments: ['test'] }), handler: ok })
    }
  })
  const { plaintext: reader } = await storeKey(storage, { scopes: ['blocks:read'], environment: 'live' })
  const { plaintext: writer } = await storeKey(storage, { scopes: ['transactions:write'], environment: 'test' })
  for (const method of methods) {
    for (const [url, code] of [['/scoped', 'INSUFFICIENT_SCOPE'], ['/any', 'INSUFFICIENT_SCOPE'], ['/test', 'FORBIDDEN']] as const) {
      const refused = await app.inject({ method, url, headers: { 'x-api-key': reader } })
      t.equal(refused.statusCode, 403, `${method} ${url}`)
      if (method !== 'HEAD') t.equal(refused.json().code, code, `${method} ${url}`)
      t.equal((await app.inject({ method, url, headers: { 'x-api-key': writer } })).statusCode, 200, `${method} ${url}`)
    }
  }
})

t.test('routes() lists what was declared after the plugin, and says whether that is all', async (t) => {
  const declare = (app: FastifyInstance): void => {
    app.get('/x', rule({ scopes: ['blocks:read'] }), ok)
    app.route({ method: ['PUT', 'POST'], url: '/y', handler: ok })
    app.register(async (scope) => {
      protect(scope, { session: true })
      scope.get('/in', ok)
      scope.get('/out', rule(false), ok)
      scope.options('/in', ok)
      scope.register(async (inner) => {
        inner.addHook('onRoute', (route) => { route.config = { ...route.config, apiKey: true } })
        inner.get('/hooked', ok)
      })
    }, { prefix: '/s' })
  }
  const after = await build(t, { routes: false }, { server: { exposeHeadRoutes: false }, after: declare })
  t.strictSame(after.app.selfServeKeys.routes(), {
    complete: true,
    routes: [
      { method: 'GET', url: '/x', rule: { scopes: ['blocks:read'] } },
      { method: ['PUT', 'POST'], url: '/y', rule: null },
      { method: 'GET', url: '/s/in', rule: { session: true } },
      { method: 'GET', url: '/s/out', rule: null },
      { method: 'OPTIONS', url: '/s/in', rule: null },
      { method: 'GET', url: '/s/hooked', rule: {} }
    ]
  })
  const before = await build(t, { routes: false }, { before: declare, after: (app) => app.get('/later', ok) })
  const listed = before.app.selfServeKeys.routes()
  t.equal(listed.complete, false)
  t.match(listed.routes.at(-1), { url: '/later', rule: null })
  const ours = (await build(t)).app.selfServeKeys.routes()
  t.equal(ours.complete, true)
  t.ok(ours.routes.length > 0 && ours.routes.every(({ url, rule }) => url.startsWith('/v1/me/') && rule === null))
})

t.test('a key revoked in one request is refused in the next', async (t) => {
  const { app, get } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok) })
  const issue = async (): Promise<{ plaintextKey: string, apiKey: { publicId: string } }> =>
    (await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: SIGNED_IN })).json()
  const first = await issue()
  t.equal((await get('/x', { 'x-api-key': first.plaintextKey })).statusCode, 200)
  const second = await issue()
  t.equal((await get('/x', { 'x-api-key': first.plaintextKey })).statusCode, 401, 'rotated')
  t.equal((await get('/x', { 'x-api-key': second.plaintextKey })).statusCode, 200)
  await app.inject({ method: 'DELETE', url: `/v1/me/api-keys/${second.apiKey.publicId}`, headers: SIGNED_IN })
  t.match((await get('/x', { 'x-api-key': second.plaintextKey })).json(), { code: 'INVALID_API_KEY', message: 'The API key was revoked.' })
})

t.test('a key passes exactly max times in a window, and the answers say where it stands', async (t) => {
  const { get, good, clock, app } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok).get('/y', rule({ scopes: ['transactions:write'] }), ok) },
    { rateLimit: { max: 3, timeWindow: '1 minute' } })
  const headers = { 'x-api-key': good }
  for (const remaining of [2, 1, 0]) {
    const answer = await get('/x', headers)
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['ratelimit-policy'], '"default";q=3;w=60')
    t.equal(answer.headers.ratelimit, `"default";r=${remaining};t=60`)
    t.equal(answer.headers['retry-after'], undefined)
    t.equal((await get('/y', headers)).headers.ratelimit, undefined, 'a refused request is not charged')
    t.equal((await get('/x', { 'x-api-key': 'x' })).headers.ratelimit, undefined)
  }
  clock.advance(59_999)
  const refused = await get('/x', headers)
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { code: 'RATE_LIMITED', message: 'Too many requests: at most 3 in 60 seconds.' })
  t.equal(refused.headers['retry-after'], '1')
  t.equal(refused.headers.ratelimit, '"default";r=0;t=1')
  t.equal(refused.headers['cache-control'], 'private')
  clock.advance(1)
  t.equal((await get('/x', headers)).headers.ratelimit, '"default";r=2;t=60')
  t.strictSame((await app.inject({ url: '/v1/me/api-keys', headers: SIGNED_IN })).json<{ apiKeys: Array<{ rateLimits: unknown }> }>().apiKeys[0]!.rateLimits,
    [{ name: 'default', max: 3, windowSeconds: 60, remaining: 2, resetSeconds: 60 }], 'and so does the list')
})

t.test('of several limits each is shown; a request refused by one charges none', async (t) => {
  const { get, good, clock, storage } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok) },
    { rateLimit: [{ name: 'burst', max: 1, timeWindow: '1 second' }, { name: 'daily', max: 2, timeWindow: '1 day' }] })
  const state = async (key = good): Promise<unknown[]> => {
    const { statusCode, headers } = await get('/x', { 'x-api-key': key })
    return [statusCode, headers.ratelimit, headers['retry-after']]
  }
  t.equal((await get('/x', { 'x-api-key': good })).headers['ratelimit-policy'], '"burst";q=1;w=1, "daily";q=2;w=86400')
  t.strictSame(await state(), [429, '"burst";r=0;t=1, "daily";r=1;t=86400', '1'])
  t.strictSame(await state(), [429, '"burst";r=0;t=1, "daily";r=1;t=86400', '1'])
  t.strictSame(await state((await storeKey(storage)).plaintext), [200, '"burst";r=0;t=1, "daily";r=1;t=86400', undefined], 'another key has its own')
  clock.advance(1000)
  t.strictSame(await state(), [200, '"burst";r=0;t=1, "daily";r=0;t=86399', undefined])
  t.strictSame(await state(), [429, '"burst";r=0;t=1, "daily";r=0;t=86399', '86399'], 'the one that opens last says when')
  clock.advance(1000)
  t.strictSame(await state(), [429, '"burst";r=1;t=0, "daily";r=0;t=86398', '86398'])
})

t.test('log lines name the key by its public id and never hold a secret', async (t) => {
  for (const logBindings of [true, false]) {
    const log = logTo()
    const host = await guarded(t, {
      server: { logger: log.logger },
      before (app) {
        app.get('/x', rule(true), async (request) => {
          request.log.info('in the handler')
          return await ok(request)
        })
        app.get('/fails', rule(true), async () => { throw new Error('broken') })
      }
    }, { logBindings })
    const { good, app } = host
    const { apiKey } = (await app.selfServeKeys.verify(good)) as { apiKey: { publicId: string } }
    const unknown = generateKey('sk_live_')
    for (const key of [good, unknown]) {
      for (const url of ['/x', '/fails', '/nowhere']) {
        for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }]) await host.get(url, headers)
      }
    }
    const issued = (await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: SIGNED_IN })).json<{ plaintextKey: string }>()
    await host.get('/x', { 'x-api-key': issued.plaintextKey, authorization: `Bearer ${good}` })
    const named = log.lines.filter((line) => line.apiKeyId === apiKey.publicId)
    t.strictSame(named.map(({ msg }) => msg).sort(), logBindings
      ? ['broken', 'broken', 'in the handler', 'in the handler', ...Array(4).fill('request completed') as string[]]
      : [])
    t.ok(log.lines.length > 30)
    for (const secret of [good, unknown, issued.plaintextKey, 'token-']) t.notOk(log.text().includes(secret))
  }
})

t.test('a storage that fails or hangs is 503 within the timeout, never "invalid key"', async (t) => {
  const storages: Record<string, Partial<Storage>> = {
    throws: { findKeyByHash () { throw new Error('password=hunter2') } },
    rejects: { findKeyByHash: async () => { throw new Error('password=hunter2') } },
    hangs: { findKeyByHash: async () => await new Promise(() => {}) }
  }
  for (const [name, broken] of Object.entries(storages)) {
    const storage = { ...memoryStorage(), ...broken }
    const { app, get, good } = await guarded(t, { before: (app) => app.get('/x', rule({ session: true, optional: true }), ok) }, { storage, timeout: 30 })
    await portOf(app)
    const started = performance.now()
    const answer = await get('/x', { 'x-api-key': good, ...BROWSER })
    t.equal(answer.statusCode, 503, name)
    t.match(answer.json(), { code: 'STORAGE_UNAVAILABLE' }, name)
    t.equal(answer.headers['retry-after'], '1', name)
    t.equal(answer.headers['www-authenticate'], undefined, name)
    t.notMatch(answer.body, 'hunter2')
    t.ok(performance.now() - started < 1000, name)
    t.equal((await get('/x', { 'x-api-key': 'no key' })).statusCode, 401, `${name}: what has no key's shape is refused without storage`)
    t.equal((await get('/x')).statusCode, 200, `${name}: nor is it asked where no key came`)
    await t.rejects(app.selfServeKeys.verify(good), { code: 'STORAGE_UNAVAILABLE' })
  }
})

t.test('a storage that finds another key than was asked for lets nobody in', async (t) => {
  const storage = memoryStorage()
  const { key } = await storeKey(storage)
  const { get } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok) }, { storage: { ...storage, findKeyByHash: () => ({ key, siteOrigins: [] }) } })
  t.equal((await get('/x', { 'x-api-key': generateKey('sk_live_') })).statusCode, 401)
})

t.test('verify() judges a key as a route would, charging and recording nothing', async (t) => {
  const { app, good, storage, get } = await guarded(t, { before: (app) => app.get('/x', rule(true), ok) }, { rateLimit: { max: 1, timeWindow: '1 hour' } })
  const { verify, stats } = app.selfServeKeys
  t.match(await verify(good), { ok: true, apiKey: { accountId: ACCOUNT, scopes: ['blocks:read'] } })
  t.strictSame(await verify(good, { scopes: ['transactions:write'] }),
    { ok: false, code: 'INSUFFICIENT_SCOPE', message: 'The API key lacks a scope this route asks for: transactions:write.' })
  t.match(await verify(good, { environments: ['test'] }), { ok: false, code: 'FORBIDDEN' })
  t.match(await verify('nonsense'), { ok: false, code: 'INVALID_API_KEY' })
  t.equal(stats().usageBuffered, 0)
  t.equal((await get('/x', { 'x-api-key': good })).statusCode, 200)
  t.equal(stats().usageBuffered, 1)
  t.equal((await storage.findKey(newKey().publicId)), null)
})

t.test('verify() refuses a requirement it does not understand, before it asks anybody', async (t) => {
  const memory = memoryStorage()
  let asked = 0
  const storage: Storage = { ...memory, findKeyByHash: (digests) => { asked++; return memory.findKeyByHash(digests) } }
  const { app, good } = await guarded(t, {}, { storage })
  const { verify } = app.selfServeKeys
  const bad: Array<[unknown, RegExp]> = [
    [{ scope: ['blocks:read'] }, /^requirement: scope is not a member/], [{ scopes: ['blocks:write'] }, /^requirement: scopes must be/], [{ scopes: [] }, /scopes must be/],
    [{ scopes: 'blocks:read' }, /scopes must be/], [{ scopes: undefined }, /scopes must be/], [{ anyOfScopes: ['x:y'] }, /anyOfScopes must be/],
    [{ environments: ['prod'] }, /environments must be/], [{ session: true }, /session is not a member/], [{ optional: true }, /optional is not a member/],
    [{ allowPublishable: 1 }, /allowPublishable must be/], [{ ip: 5 }, /ip must be an address/], [{ ip: null }, /ip must be an address/], [{ origin: 5 }, /origin must be text or null/],
    [{ origin: ['https://a.example'] }, /origin must be/], [{ sameOrigin: 'yes' }, /sameOrigin must be true or false/], [{ sameOrigin: null }, /sameOrigin must be/],
    [true, /object/], [null, /object/], [['blocks:read'], /object/], ['blocks:read', /object/], [new Map(), /object/], [Promise.resolve({}), /object/]
  ]
  for (const [requirement, message] of bad) {
    for (const plaintext of [good, 'nonsense']) {
      await t.rejects(verify(plaintext, requirement as object), { code: 'INVALID_REQUEST', statusCode: 400, message, details: { field: 'requirement' } }, JSON.stringify(requirement))
    }
  }
  t.equal(asked, 0)
  t.match(await verify(good, { scopes: ['blocks:read'], anyOfScopes: ['blocks:read', 'transactions:write'], environments: ['live'] }), { ok: true })
})

t.test('verify() of what is no text is the answer for a key that is not valid', async (t) => {
  const { app, good } = await guarded(t, {})
  for (const plaintext of [undefined, null, 5, {}, [good], Buffer.from(good), Symbol('s'), new String(good)]) { // eslint-disable-line no-new-wrappers -- an object that looks like text is what it tries
    t.match(await app.selfServeKeys.verify(plaintext as string), { ok: false, code: 'INVALID_API_KEY' })
  }
  t.match(await app.selfServeKeys.verify(good), { ok: true })
})

t.test('what a handler does to request.apiKey changes nothing for later requests, other keys or new ones', async (t) => {
  const { app, get, storage } = await guarded(t, {
    before (app) {
      app.get('/greedy', rule(true), async (request) => {
        const { scopes, metadata } = getApiKey(request)
        ;(scopes as string[]).push('transactions:write')
        if (metadata !== null) metadata.plan = 'unlimited'
        return scopes
      })
      app.get('/write', rule({ scopes: ['transactions:write'] }), ok)
      app.get('/plan', rule(true), async (request) => getApiKey(request).metadata)
    }
  })
  const { keys, verify } = app.selfServeKeys
  const by = { accountId: ACCOUNT, credential: 'host' } as const
  const headers = { 'x-api-key': (await keys.issueDefault(by)).plaintextKey! }
  const paid = { 'x-api-key': (await storeKey(storage, { metadata: { plan: 'free' } })).plaintext }
  for (const key of [headers, paid]) {
    t.strictSame((await get('/greedy', key)).json(), ['blocks:read', 'transactions:write'], 'its own copy')
    t.equal((await get('/write', key)).statusCode, 403)
    t.strictSame((await get('/greedy', key)).json(), ['blocks:read', 'transactions:write'], 'and a new one each time')
    t.match(await verify(key['x-api-key']), { ok: true, apiKey: { scopes: ['blocks:read'] } })
  }
  t.strictSame((await get('/plan', paid)).json(), { plan: 'free' })
  for (const other of [await keys.issueDefault({ ...by, accountId: 'user_new' }), await keys.issueDefault(by)]) {
    t.strictSame(other.apiKey.scopes, ['blocks:read'])
    t.equal((await get('/write', { 'x-api-key': other.plaintextKey! })).statusCode, 403)
  }
})

t.test('a body is not read before the key is judged', async (t) => {
  let parsed = 0
  const { app } = await guarded(t, {
    before (app) {
      app.addContentTypeParser('text/count', { parseAs: 'string' }, (_request, _body, done) => {
        parsed++
        done(null, {})
      })
      app.post('/x', rule(true), ok)
    }
  })
  t.equal((await app.inject({ method: 'POST', url: '/x', headers: { 'content-type': 'text/count' }, payload: 'x' })).statusCode, 401)
  t.equal(parsed, 0)
})

t.test('an http2 host has keys and sessions as any other', async (t) => {
  const app = Fastify({ http2: true })
  t.after(async () => { await app.close() })
  const storage = memoryStorage()
  await app.register(selfServeKeys, { session: login, storage, scopes: SCOPES })
  app.get('/x', { config: { apiKey: { session: true } } }, async (request) => ({ via: request.caller?.via }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { plaintext } = await storeKey(storage)
  const client = connectHttp2(`http://127.0.0.1:${(app.server.address() as { port: number }).port}`)
  const get = async (headers: Record<string, string>): Promise<{ status: unknown, body: string }> => {
    const stream = client.request({ ':path': '/x', ...headers })
    let status: unknown
    stream.on('response', (head) => { status = head[':status'] })
    let body = ''
    for await (const chunk of stream) body += String(chunk)
    return { status, body }
  }
  t.match(await get({ 'x-api-key': plaintext }), { status: 200, body: '{"via":"apiKey"}' })
  t.match(await get({ authorization: `Bearer ${plaintext}` }), { status: 200, body: '{"via":"apiKey"}' })
  t.match(await get({ 'x-api-key': 'x' }), { status: 401 })
  t.match(await get({}), { status: 401 })
  t.match(await get(SIGNED_IN), { status: 200, body: '{"via":"session"}' })
  t.match(await get(BROWSER), { status: 200, body: '{"via":"session"}' })
  client.close()
  await app.selfServeKeys.flush()
  t.equal((await app.selfServeKeys.usage.snapshot(ACCOUNT)).totalRequests, 2)
})
