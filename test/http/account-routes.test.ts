// The account routes: what each takes, answers and refuses, and that nothing is written when it refuses.
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import fastifyCors from '@fastify/cors'
import fastifySwagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import { actorOf, memoryStorage, protect, selfServeKeys, standardRoutes, type ApiKey, type ApiKeyList, type Authorize, type Issued, type Storage } from '../../lib/index.js'
import { useOurCompilers } from '../../lib/http/compilers.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { toIso } from '../../lib/time.js'
import { deferred } from '../helpers/app.js'
import { BROWSER, build, login, OTHER_SIGNED_IN, portOf, raw, SIGNED_IN, storeKey, type Host } from '../helpers/host.js'
import { ACCOUNT, event, newKey, NOW, OTHER_ACCOUNT, record } from '../helpers/keys.js'

const KEYS = '/v1/me/api-keys'
const MISSING = 'key_00000000000000000000000000'
const HOST = { accountId: ACCOUNT, credential: 'host' } as const

async function ask (app: FastifyInstance, method: string, url: string, options: InjectOptions = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: method as 'GET', url, headers: SIGNED_IN, ...options })
}

async function issueDefault (app: FastifyInstance): Promise<Issued> {
  const answer = await ask(app, 'POST', KEYS)
  if (answer.statusCode !== 201) throw new Error(answer.body)
  return answer.json<Issued>()
}

/** A storage that counts what is asked to be changed. */
function counted (): { storage: Storage, changes: () => number } {
  const storage = memoryStorage()
  let changes = 0
  return {
    storage: {
      ...storage,
      issueKey: async (input) => { changes++; return await storage.issueKey(input) },
      revokeKey: async (input) => { changes++; return await storage.revokeKey(input) }
    },
    changes: () => changes
  }
}

t.test('POST issues the default key, shows its plaintext once, and rotates it the next time', async (t) => {
  const { app, clock } = await build(t, { rateLimit: { max: 120, timeWindow: '1 minute' }, keys: { prefix: 'acme' } })

  const first = await ask(app, 'POST', KEYS)
  t.equal(first.statusCode, 201)
  t.equal(first.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(first.headers['cache-control'], 'no-store')
  const issued = first.json<Issued>()
  t.match(issued.plaintextKey, /^acme_sk_live_[0-9A-Za-z]{42}$/)
  const plaintext = issued.plaintextKey!
  const key = {
    publicId: issued.apiKey.publicId,
    label: 'Default',
    environment: 'live',
    access: 'secret',
    scopes: ['blocks:read'],
    allowedOrigins: [],
    allowedIps: [],
    status: 'active',
    isDefault: true,
    maskedKey: `acme_sk_live_…${plaintext.slice(-4)}`,
    prefix: 'acme_sk_live_',
    first8: plaintext.slice(13, 21),
    last4: plaintext.slice(-4),
    rateLimits: [{ name: 'default', max: 120, windowSeconds: 60, remaining: 120, resetSeconds: 0 }],
    createdBy: 'Ada',
    disabledBy: null,
    createdAt: toIso(NOW),
    lastUsedAt: null,
    expiresAt: null,
    retiresAt: null,
    revokedAt: null,
    revokedReason: null,
    rotatedFrom: null
  }
  t.strictSame(issued, { action: 'issued', plaintextKey: plaintext, apiKey: key, revokedPublicIds: [], replayed: false })
  t.match(key.publicId, /^key_[0-9A-HJKMNP-TV-Z]{26}$/)

  clock.advance(1000)
  const second = await issueDefault(app)
  t.equal(second.action, 'rotated')
  t.strictSame(second.revokedPublicIds, [key.publicId])
  t.equal(second.apiKey.rotatedFrom, key.publicId)
  t.not(second.plaintextKey, plaintext)

  const ended = { ...key, status: 'revoked', isDefault: false, revokedAt: toIso(NOW + 1000), revokedReason: 'rotated' }
  const one = await ask(app, 'GET', `${KEYS}/${key.publicId}`)
  t.equal(one.statusCode, 200)
  t.strictSame(one.json(), { apiKey: ended })

  const list = await ask(app, 'GET', KEYS)
  t.equal(list.statusCode, 200)
  t.equal(list.headers['cache-control'], 'no-store')
  t.strictSame(list.json(), { apiKeys: [second.apiKey, ended], truncated: false, before: null })
  t.notMatch(list.body, plaintext)
  t.notMatch(list.body, second.plaintextKey!)
})

t.test('each environment has a default key of its own', async (t) => {
  const { app } = await build(t)
  const live = await issueDefault(app)
  const test = await ask(app, 'POST', KEYS, { payload: { environment: 'test' } })
  t.equal(test.statusCode, 201)
  t.match(test.json<Issued>(), { action: 'issued', apiKey: { environment: 'test' }, plaintextKey: /^sk_test_/ })
  t.match((await ask(app, 'POST', KEYS, { payload: { environment: 'live' } })).json<Issued>(),
    { action: 'rotated', revokedPublicIds: [live.apiKey.publicId] })
})

t.test('POST without a body is POST of {}', async (t) => {
  const { app } = await build(t)
  const json = { ...SIGNED_IN, 'content-type': 'application/json' }
  const bodies: Record<string, InjectOptions> = {
    'no body, no content type': {},
    'JSON content type, empty body': { headers: json, payload: '' },
    'JSON content type with a charset, empty body': { headers: { ...json, 'content-type': 'application/json; charset=utf-8' } },
    '{}': { payload: {} }
  }
  for (const [name, options] of Object.entries(bodies)) {
    const answer = await ask(app, 'POST', KEYS, options)
    t.equal(answer.statusCode, 201, name)
    t.equal(answer.json<Issued>().apiKey.environment, 'live', name)
  }
})

t.test('a bad body is refused, names its field, and changes nothing', async (t) => {
  const { storage, changes } = counted()
  const { app } = await build(t, { storage, accountRoutes: { rateLimit: false } })
  const before = await issueDefault(app)
  const changesBefore = changes()

  const bodies: Array<[name: string, payload: string, field: string]> = [
    ['unknown environment', '{"environment":"prod"}', 'environment'],
    ['environment in another case', '{"environment":"LIVE"}', 'environment'],
    ['environment with a NUL', '{"environment":"live\\u0000"}', 'environment'],
    ['environment that is a lone surrogate', '{"environment":"\\ud800"}', 'environment'],
    ['environment in a list', '{"environment":["live"]}', 'environment'],
    ['environment null', '{"environment":null}', 'environment'],
    ['environment true', '{"environment":true}', 'environment'],
    ['unknown field', '{"colour":"red"}', 'colour'],
    ['a field of a named key without its label', '{"environment":"live","allowedIps":[]}', 'label'],
    ['unknown field with a NUL', '{"a\\u0000":1}', 'a\u0000'],
    ['the account in the body', '{"accountId":"user_b"}', 'accountId'],
    ['constructor', '{"constructor":1}', 'constructor'],
    ['toString', '{"toString":1}', 'toString'],
    ['null', 'null', 'body'],
    ['array', '[]', 'body'],
    ['array of one', '[{"environment":"live"}]', 'body'],
    ['string', '"live"', 'body'],
    ['number', '5', 'body'],
    ['true', 'true', 'body']
  ]
  for (const [name, payload, field] of bodies) {
    const answer = await ask(app, 'POST', KEYS, { headers: { ...SIGNED_IN, 'content-type': 'application/json' }, payload })
    t.equal(answer.statusCode, 400, name)
    t.match(answer.json(), { statusCode: 400, code: 'INVALID_REQUEST', error: 'Bad Request' }, name)
    t.ok(answer.json<{ message: string }>().message.startsWith(`${field}: `), `${name}: ${answer.body}`)
    t.equal(answer.headers['cache-control'], 'no-store', name)
  }

  const others: Array<[name: string, payload: string, type: string, status: number]> = [
    ['broken JSON', '{"environment":', 'application/json', 400],
    ['white space', ' ', 'application/json', 400],
    ['__proto__', '{"__proto__":{"environment":"live"}}', 'application/json', 400],
    ['constructor.prototype', '{"constructor":{"prototype":{"x":1}}}', 'application/json', 400],
    ['form', 'environment=live', 'application/x-www-form-urlencoded', 415],
    ['text', '{}', 'text/plain', 415],
    ['no JSON but nearly', '{}', 'application/jsonp', 415],
    ['one megabyte', JSON.stringify({ environment: 'x'.repeat(1024 * 1024) }), 'application/json', 413],
    ['a byte more than allowed', `{}${' '.repeat(16 * 1024 - 1)}`, 'application/json', 413]
  ]
  for (const [name, payload, type, status] of others) {
    const answer = await ask(app, 'POST', KEYS, { headers: { ...SIGNED_IN, 'content-type': type }, payload })
    t.equal(answer.statusCode, status, `${name}: ${answer.body}`)
    t.equal(answer.headers['cache-control'], 'no-store', name)
  }

  t.equal(changes(), changesBefore, 'the storage was not asked for any change')
  t.strictSame((await ask(app, 'GET', KEYS)).json<ApiKeyList>().apiKeys, [before.apiKey])
  t.equal(({} as Record<string, unknown>).environment, undefined)
})

t.test('a body error keeps Fastify\'s validation for the host\'s error handler', async (t) => {
  const { app } = await build(t, {}, {
    before: (app) => app.setErrorHandler(async (error: Error & { validation?: unknown, validationContext?: string }, _request, reply) => {
      await reply.code(400).send({ validation: error.validation, context: error.validationContext })
    })
  })
  const answer = await ask(app, 'POST', KEYS, { payload: { colour: 1 } })
  t.match(answer.json(), { validation: [{ instancePath: '/colour', message: 'is not known here' }], context: 'body' })
})

t.test('our compilers name the field that is missing, and where it stands', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  useOurCompilers(app)
  const body = Type.Object({ owner: Type.Object({ name: Type.String({ maxLength: 3 }) }) })
  app.post('/x', { schema: { body, response: { 200: Type.Object({ shown: Type.String() }) } } }, async () => ({ shown: 'a', hidden: 'b' }))
  const post = async (payload: object): Promise<unknown> => (await app.inject({ method: 'POST', url: '/x', payload })).json()
  t.match(await post({}), { code: 'INVALID_REQUEST', message: 'owner: is required' })
  t.match(await post({ owner: {} }), { message: 'owner.name: is required' })
  t.match(await post({ owner: { name: 5 } }), { message: 'owner.name: must be string' })
  t.match(await post({ owner: { name: 'long' } }), { message: /^owner\.name: must be/ })
  t.strictSame(await post({ owner: { name: 'ok' } }), { shown: 'a' }, 'what the schema does not name stays inside')
})

t.test('a bad query is 400 and names its parameter', async (t) => {
  const { app } = await build(t)
  const cases: Array<[url: string, field: string, message: RegExp]> = [
    [`${KEYS}?colour=red`, 'colour', /not known/],
    [`${KEYS}?environment=prod`, 'environment', /one of live, test/],
    [`${KEYS}?environment=live&environment=live`, 'environment', /one of live, test/],
    [`${KEYS}?environment=`, 'environment', /one of/],
    [`${KEYS}?status=dead`, 'status', /one of active, retiring, disabled, expired, revoked/],
    [`${KEYS}?status=active&status=revoked`, 'status', /one of/],
    [`${KEYS}?before=a&before=b`, 'before', /string/],
    [`${KEYS}?before=`, 'before', /.+/],
    [`${KEYS}?before=${'k'.repeat(101)}`, 'before', /100/],
    [`${KEYS}?before=key_00000000000000000000000000`, 'before', /not a key of this account/],
    [`${KEYS}?before=%00`, 'before', /.+/],
    [`${KEYS}?__proto__=x`, '__proto__', /not known/],
    [`${KEYS}?accountId=${OTHER_ACCOUNT}`, 'accountId', /not known/],
    ['/v1/me/usage?window=2h', 'window', /one of 1h, 24h, 7d, 30d/],
    ['/v1/me/usage?window=1h&window=1h', 'window', /one of/],
    ['/v1/me/usage?window=toString', 'window', /one of/],
    ['/v1/me/usage?since=1', 'since', /not known/]
  ]
  for (const [url, field, message] of cases) {
    const answer = await ask(app, 'GET', url)
    t.equal(answer.statusCode, 400, url)
    const body = answer.json<{ code: string, message: string }>()
    t.equal(body.code, 'INVALID_REQUEST', url)
    t.ok(body.message.startsWith(`${field}: `), `${url}: ${body.message}`)
    t.match(body.message, message, url)
  }
})

t.test('the list is bounded: 100 keys, and older ended ones by `before`', async (t) => {
  const { app } = await build(t, { accountRoutes: { rateLimit: false } })
  const issued: Issued[] = []
  for (let i = 0; i < 100; i++) issued.push(await issueDefault(app))
  const whole = (await ask(app, 'GET', KEYS)).json<ApiKeyList>()
  t.equal(whole.apiKeys.length, 100)
  t.equal(whole.truncated, false, 'exactly the bound')
  t.equal(whole.before, null)

  for (let i = 0; i < 5; i++) issued.push(await issueDefault(app))
  const newest = issued.map(({ apiKey }) => apiKey.publicId).reverse()
  const first = (await ask(app, 'GET', KEYS)).json<ApiKeyList>()
  t.strictSame(first.apiKeys.map(({ publicId }) => publicId), newest.slice(0, 100))
  t.equal(first.truncated, true)
  t.equal(first.before, newest[99])
  const second = (await ask(app, 'GET', `${KEYS}?before=${first.before!}`)).json<ApiKeyList>()
  t.strictSame(second.apiKeys.map(({ publicId }) => publicId), newest.slice(100))
  t.equal(second.truncated, false)
  t.equal(second.before, null)

  t.equal((await ask(app, 'GET', `${KEYS}?before=${first.before!}`, { headers: OTHER_SIGNED_IN })).statusCode, 400,
    'another account\'s key is no place to begin')
})

t.test('where a page is full of current keys, the ended ones begin at `start`', async (t) => {
  const { app, storage } = await build(t)
  const { key } = await storeKey(storage)
  await app.selfServeKeys.keys.revoke(HOST, key.publicId)
  for (let i = 0; i < 100; i++) await storeKey(storage)
  const first = (await ask(app, 'GET', KEYS)).json<ApiKeyList>()
  t.ok(first.apiKeys.every(({ status }) => status === 'active'))
  t.equal(first.before, 'start')
  const rest = (await ask(app, 'GET', `${KEYS}?before=start`)).json<ApiKeyList>()
  t.strictSame(rest.apiKeys.map(({ publicId }) => publicId), [key.publicId])
  t.equal(rest.truncated, false)

  const refused = await ask(app, 'POST', KEYS)
  t.equal(refused.statusCode, 409)
  t.match(refused.json(), { code: 'KEY_LIMIT_REACHED' })
})

t.test('the list is filtered by environment and by status', async (t) => {
  const { app, storage, clock } = await build(t)
  const active = (await storeKey(storage)).key
  const test = (await storeKey(storage, { environment: 'test' })).key
  const expired = (await storeKey(storage, { expiresAt: NOW + 1 })).key
  const revoked = (await storeKey(storage)).key
  await app.selfServeKeys.keys.revoke(HOST, revoked.publicId)
  clock.advance(1)
  const cases: Array<[string, Array<{ publicId: string }>]> = [
    ['environment=test', [test]],
    ['environment=live', [revoked, expired, active]],
    ['status=active', [test, active]],
    ['status=expired', [expired]],
    ['status=revoked', [revoked]],
    ['status=disabled', []],
    ['status=active&environment=live', [active]]
  ]
  for (const [query, keys] of cases) {
    const list = (await ask(app, 'GET', `${KEYS}?${query}`)).json<ApiKeyList>()
    t.strictSame(list.apiKeys.map(({ publicId }) => publicId), keys.map(({ publicId }) => publicId), query)
  }
})

t.test('DELETE takes no body: an unknown field is refused by name, and nothing is revoked', async (t) => {
  const { app } = await build(t)
  const { apiKey: { publicId } } = await issueDefault(app)
  const answer = await ask(app, 'DELETE', `${KEYS}/${publicId}`, { payload: { reason: 'leaked' } })
  t.equal(answer.statusCode, 400)
  t.match(answer.json(), { code: 'INVALID_REQUEST', message: 'reason: is not known here' })
  t.match((await ask(app, 'GET', `${KEYS}/${publicId}`)).json(), { apiKey: { status: 'active', revokedAt: null } })
  t.equal((await ask(app, 'DELETE', `${KEYS}/${publicId}`, { payload: {} })).statusCode, 200, 'an empty one is none')
})

t.test('DELETE revokes for good, and answers the same again', async (t) => {
  const { app, clock } = await build(t)
  const { apiKey } = await issueDefault(app)
  clock.advance(5000)
  const url = `${KEYS}/${apiKey.publicId}`
  const revoked = { ...apiKey, status: 'revoked', isDefault: false, revokedAt: toIso(NOW + 5000), revokedReason: 'revoked' }
  const first = await ask(app, 'DELETE', url)
  t.equal(first.statusCode, 200)
  t.equal(first.headers['cache-control'], 'no-store')
  t.strictSame(first.json(), { apiKey: revoked })
  clock.advance(5000)
  const again = await ask(app, 'DELETE', url)
  t.equal(again.statusCode, 200)
  t.equal(again.body, first.body)
  t.equal((await ask(app, 'DELETE', url, { headers: { ...SIGNED_IN, 'content-type': 'application/json' }, payload: '' })).statusCode, 200,
    'a client that always sends a content type')
  t.equal((await issueDefault(app)).action, 'issued', 'the slot is free')
})

t.test('another account\'s id answers exactly as one that does not exist, and stays as it is', async (t) => {
  const { app } = await build(t)
  const { apiKey } = await issueDefault(app)
  const missing = `${KEYS}/${newKey().publicId}`
  const foreign = `${KEYS}/${apiKey.publicId}`
  const shown = (headers: Record<string, unknown>): Record<string, unknown> => ({ ...headers, date: '', ratelimit: '' })
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    const [none, theirs] = [await ask(app, method, missing, { headers: OTHER_SIGNED_IN }), await ask(app, method, foreign, { headers: OTHER_SIGNED_IN })]
    t.equal(theirs.statusCode, 404, method)
    t.equal(theirs.body, none.body, method)
    t.strictSame(shown(theirs.headers), shown(none.headers), method)
  }
  t.match((await ask(app, 'GET', missing)).json(), { statusCode: 404, code: 'API_KEY_NOT_FOUND', error: 'Not Found' })
  t.strictSame((await ask(app, 'GET', foreign)).json(), { apiKey })
  t.strictSame((await ask(app, 'GET', KEYS, { headers: OTHER_SIGNED_IN })).json(), { apiKeys: [], truncated: false, before: null })
})

t.test('a malformed id is 404', async (t) => {
  const { app } = await build(t)
  for (const id of ['x', '%00', '%F0%9F%94%91', '__proto__', 'constructor', '..%2f', '%20', 'key_%', 'k'.repeat(100)]) {
    for (const method of ['GET', 'DELETE']) {
      const { statusCode } = await ask(app, method, `${KEYS}/${id}`)
      // Fastify's own answer to a path that is not percent-encoded text.
      t.equal(statusCode, id === 'key_%' ? 400 : 404, `${method} ${id}`)
    }
  }
})

t.test('GET /usage shows the account\'s own requests in the window asked for', async (t) => {
  const { app, storage } = await build(t)
  const { key } = await storeKey(storage)
  const { key: other } = await storeKey(storage, { accountId: OTHER_ACCOUNT })
  await record(storage, [event(key, NOW - 2 * 3600_000), event(key, NOW), event(other, NOW)])
  const usage = (await ask(app, 'GET', '/v1/me/usage'))
  t.equal(usage.statusCode, 200)
  t.equal(usage.headers['cache-control'], 'no-store')
  const shown = usage.json<Record<string, unknown>>()
  t.match(shown, { window: '24h', windowEnd: toIso(NOW), totalRequests: 2, totalFailures: 0 })
  t.strictSame(Object.keys(shown), ['window', 'windowStart', 'windowEnd', 'totalRequests', 'totalFailures', 'timeline', 'perKey', 'perKeyTruncated',
    'recentRequests', 'recentRequestsTruncated', 'recentFailures', 'recentFailuresTruncated'])
  t.strictSame((shown.recentRequests as unknown[])[0], {
    time: toIso(NOW),
    publicId: key.publicId,
    label: 'Server',
    environment: 'live',
    scopes: ['blocks:read'],
    method: 'GET',
    route: '/v1/blocks/:height',
    status: 200,
    durationMs: 1.25,
    failureCode: null,
    requestId: null
  })
  t.match((await ask(app, 'GET', '/v1/me/usage?window=1h')).json(), { window: '1h', totalRequests: 1 })
  t.match((await ask(app, 'GET', '/v1/me/usage', { headers: OTHER_SIGNED_IN })).json(), { totalRequests: 1 })
})

t.test('HEAD stands beside every GET, whatever the host\'s setting, and OPTIONS tells the methods', async (t) => {
  for (const exposeHeadRoutes of [false, true]) {
    const { app } = await build(t, {}, { server: { exposeHeadRoutes } })
    const { apiKey } = await issueDefault(app)
    const allowed = {
      [KEYS]: 'GET, HEAD, POST, OPTIONS',
      [`${KEYS}/${apiKey.publicId}`]: 'GET, HEAD, PATCH, DELETE, OPTIONS',
      [`${KEYS}/${apiKey.publicId}/rotate`]: 'POST, OPTIONS',
      [`${KEYS}/${apiKey.publicId}/renew`]: 'POST, OPTIONS',
      [`${KEYS}/${apiKey.publicId}/usage`]: 'GET, HEAD, OPTIONS',
      '/v1/me/policy': 'GET, HEAD, OPTIONS',
      '/v1/me/usage': 'GET, HEAD, OPTIONS',
      '/v1/me/sites': 'GET, HEAD, POST, OPTIONS',
      '/v1/me/sites/site_1': 'DELETE, OPTIONS',
      '/v1/me/audit': 'GET, HEAD, OPTIONS'
    }
    for (const [url, allow] of Object.entries(allowed)) {
      const [get, head, options] = [await ask(app, 'GET', url), await ask(app, 'HEAD', url), await ask(app, 'OPTIONS', url)]
      if (allow.startsWith('GET')) {
        t.equal(head.statusCode, 200, url)
        t.equal(head.body, '', url)
        t.equal(head.headers['content-length'], String(Buffer.byteLength(get.body)), url)
        t.equal(head.headers['cache-control'], 'no-store', url)
      } else {
        t.equal(get.statusCode, 404, url)
        t.equal(head.statusCode, 404, url)
      }
      t.equal(options.statusCode, 204, url)
      t.equal(options.body, '', url)
      t.equal(options.headers.allow, allow, url)
      t.equal(options.headers['cache-control'], 'no-store', url)
      t.equal((await ask(app, 'OPTIONS', url, { headers: BROWSER })).statusCode, 204, `${url} with a cookie`)
      for (const method of ['OPTIONS', ...allow.startsWith('GET') ? ['HEAD'] : []]) {
        const nobody = await ask(app, method, url, { headers: {} })
        t.equal(nobody.statusCode, 401, `${method} ${url}`)
        t.equal(nobody.headers['cache-control'], 'no-store', `${method} ${url}`)
      }
      t.equal((await ask(app, 'PUT', url)).statusCode, 404, `PUT ${url}`)
    }
  }
})

t.test('a preflight that no CORS hook answered is 204 without CORS headers and asks nobody', async (t) => {
  const { app } = await build(t, { session: { bearer: () => { throw new Error('asked') }, cookie: () => { throw new Error('asked') } } })
  const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
  const answer = await ask(app, 'OPTIONS', KEYS, { headers: { ...preflight, cookie: 'session=x' } })
  t.equal(answer.statusCode, 204)
  t.strictSame(Object.keys(answer.headers).filter((name) => name.startsWith('access-control')), [])
  t.equal(answer.headers['cache-control'], 'no-store')
  for (const headers of [{ origin: preflight.origin }, { 'access-control-request-method': 'POST' }]) {
    t.equal((await ask(app, 'OPTIONS', KEYS, { headers })).statusCode, 401, 'half of a preflight is none')
  }
  t.equal((await ask(app, 'GET', KEYS, { headers: preflight })).statusCode, 401, 'only OPTIONS is a preflight')
})

t.test('a forged preflight never reaches a host\'s own account route; a plain OPTIONS needs a session', async (t) => {
  let handled = 0
  const handler = async (): Promise<object> => ({ handled: ++handled })
  const routes: FastifyPluginAsync = async (scope) => {
    scope.addHook('preValidation', async () => { handled++ })
    scope.all('/all', handler)
    scope.route({ method: ['GET', 'OPTIONS'], url: '/list', handler })
    scope.options('/options', handler)
    await scope.register(async (inner) => { inner.all('/inner', handler) })
  }
  const { app } = await build(t, { routes })
  const preflight = { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' }
  for (const url of ['/v1/me/all', '/v1/me/list', '/v1/me/options', '/v1/me/inner']) {
    for (const headers of [preflight, { ...preflight, ...SIGNED_IN }, { ...preflight, ...BROWSER }, { ...preflight, 'content-type': 'application/json', 'content-length': '2' }]) {
      const answer = await ask(app, 'OPTIONS', url, { headers })
      t.equal(answer.statusCode, 204, url)
      t.equal(answer.body, '', url)
      t.equal(answer.headers['cache-control'], 'no-store', url)
      t.strictSame(Object.keys(answer.headers).filter((name) => name.startsWith('access-control')), [], url)
    }
    t.equal((await ask(app, 'OPTIONS', url, { headers: {} })).statusCode, 401, url)
    t.equal((await ask(app, 'OPTIONS', url, { headers: { origin: preflight.origin } })).statusCode, 401, url)
    t.equal(handled, 0, url)
    t.strictSame((await ask(app, 'OPTIONS', url)).json(), { handled: 2 }, `${url}: with a session it is asked`)
    handled = 0
  }
})

t.test('a CORS plugin answers the preflights of a host\'s own account routes, whichever was registered first', async (t) => {
  const origin = 'https://app.example'
  const cors = async (app: FastifyInstance): Promise<void> => { await app.register(fastifyCors, { origin: [origin], methods: ['GET', 'DELETE'] }) }
  let handled = 0
  const routes: FastifyPluginAsync = async (scope) => { scope.all('/all', async () => { handled++ }) }
  for (const when of ['before', 'after'] as const) {
    const { app } = await build(t, { routes }, { [when]: cors })
    const answer = await ask(app, 'OPTIONS', '/v1/me/all', { headers: { origin, 'access-control-request-method': 'DELETE' } })
    t.equal(answer.statusCode, 204, when)
    t.equal(answer.headers['access-control-allow-origin'], origin, when)
    t.match(answer.headers['access-control-allow-methods'], 'DELETE', when)
    t.equal((await ask(app, 'OPTIONS', '/v1/me/all', { headers: { origin } })).statusCode, when === 'before' ? 400 : 401, `${when}: half of a preflight is none`)
    t.equal(handled, 0, when)
  }
})

t.test('every 401 says no-store and how to sign in; unknown paths below are the host\'s 404', async (t) => {
  const { app } = await build(t, { realm: 'blocks' })
  for (const [method, url] of [['GET', KEYS], ['POST', KEYS], ['GET', `${KEYS}/${MISSING}`], ['DELETE', `${KEYS}/${MISSING}`], ['GET', '/v1/me/usage']] as const) {
    const answer = await ask(app, method, url, { headers: {} })
    t.equal(answer.statusCode, 401, `${method} ${url}`)
    t.match(answer.json(), { statusCode: 401, code: 'SESSION_REQUIRED', error: 'Unauthorized' }, `${method} ${url}`)
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="blocks"', `${method} ${url}`)
    t.equal(answer.headers['cache-control'], 'no-store', `${method} ${url}`)
  }
  for (const url of ['/v1/me', '/v1/me/', '/v1/me/x', `${KEYS}/`, `${KEYS}/x/y`]) {
    const answer = await ask(app, 'GET', url)
    t.equal(answer.statusCode, 404, url)
    t.equal(answer.headers['cache-control'] === 'no-store', url === `${KEYS}/`, `${url} is not ours unless it is an empty id`)
  }
})

t.test('a stranger is refused before the body is read', async (t) => {
  const { app } = await build(t)
  const port = await portOf(app)
  t.ok(port > 0)
  const answer = await raw(app, [`POST ${KEYS} HTTP/1.1`, 'Content-Type: application/json', 'Content-Length: 1000000'])
  t.equal(answer.status, 401, 'the answer came though the body never did')
})

t.test('changes are limited by account: 60 a minute by default', async (t) => {
  const { app, clock } = await build(t)
  for (let i = 0; i < 60; i++) {
    const answer = await ask(app, 'DELETE', `${KEYS}/x`)
    t.equal(answer.statusCode, 404)
    t.equal(answer.headers.ratelimit, `"account";r=${59 - i};t=60`)
  }
  clock.advance(30_500)
  const refused = await ask(app, 'POST', KEYS)
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { code: 'RATE_LIMITED', error: 'Too Many Requests' })
  t.equal(refused.headers['retry-after'], '30')
  t.equal(refused.headers['ratelimit-policy'], '"account";q=60;w=60')
  t.equal(refused.headers['cache-control'], 'no-store')
  t.equal((await ask(app, 'GET', KEYS)).statusCode, 200, 'reading is not limited')
  t.equal((await ask(app, 'GET', KEYS)).headers.ratelimit, undefined)
  t.equal((await ask(app, 'POST', KEYS, { headers: OTHER_SIGNED_IN })).statusCode, 201, 'nor is anybody else')
  t.equal((await ask(app, 'POST', KEYS, { headers: { authorization: 'Bearer wrong' } })).statusCode, 401)
  clock.advance(29_500)
  t.equal((await ask(app, 'POST', KEYS)).statusCode, 201, 'a new window')
})

t.test('changes have the limit the host sets, or none', async (t) => {
  const own = await build(t, { accountRoutes: { rateLimit: { max: 2, timeWindow: '1 hour' } } })
  const statuses = async ({ app }: Host, times: number): Promise<number[]> => {
    const all: number[] = []
    for (let i = 0; i < times; i++) all.push((await ask(app, 'POST', KEYS)).statusCode)
    return all
  }
  t.strictSame(await statuses(own, 3), [201, 201, 429])
  const none = await build(t, { accountRoutes: { rateLimit: false } })
  t.strictSame(new Set(await statuses(none, 70)), new Set([201]))
})

t.test('a routePrefix may hold parameters, which reach the resolver', async (t) => {
  const asked: unknown[] = []
  const { app } = await build(t, {
    routePrefix: '/v1/workspaces/:workspaceId',
    session: {
      bearer (_token, { params }) {
        asked.push(params)
        const { workspaceId } = params as { workspaceId: string }
        return workspaceId === 'w3' ? null : { id: workspaceId }
      }
    }
  })
  const issued = (await ask(app, 'POST', '/v1/workspaces/w1/api-keys')).json<Issued>()
  t.equal(issued.apiKey.createdBy, null, 'an account without an actor')
  t.equal((await ask(app, 'GET', `/v1/workspaces/w1/api-keys/${issued.apiKey.publicId}`)).statusCode, 200)
  t.equal((await ask(app, 'GET', `/v1/workspaces/w2/api-keys/${issued.apiKey.publicId}`)).statusCode, 404)
  t.equal((await ask(app, 'GET', '/v1/workspaces/w3/api-keys')).statusCode, 401)
  t.equal((await ask(app, 'GET', KEYS)).statusCode, 404, 'nothing at the default place')
  t.match(asked, [{ workspaceId: 'w1' }, { workspaceId: 'w1', publicId: issued.apiKey.publicId }, { workspaceId: 'w2' }, { workspaceId: 'w3' }])
})

t.test('routes: false leaves the account routes out, and switches leave out single ones', async (t) => {
  const table: Record<string, [object | boolean, Partial<Record<string, number>>]> = {
    none: [false, { 'GET /api-keys': 404, 'POST /api-keys': 404, 'GET /usage': 404, 'OPTIONS /api-keys': 404 }],
    all: [true, { 'GET /api-keys': 200, 'POST /api-keys': 201, 'DELETE /api-keys/x': 404, 'GET /usage': 200, 'GET /sites': 200, 'GET /audit': 200, 'GET ': 404 }],
    'no default key': [{ defaultKey: false }, { 'GET /api-keys': 200, 'POST /api-keys': 400, 'GET /usage': 200 }],
    'neither of them': [{ defaultKey: false, keys: false }, { 'POST /api-keys': 404, 'OPTIONS /api-keys': 404, 'PATCH /api-keys/x': 404, 'GET /sites': 200 }],
    'no keys': [{ keys: false }, { 'GET /api-keys': 404, 'POST /api-keys': 201, 'OPTIONS /api-keys/x': 404, 'GET /usage': 200 }],
    'no usage': [{ usage: false }, { 'GET /api-keys': 200, 'POST /api-keys': 201, 'GET /usage': 404, 'OPTIONS /usage': 404 }],
    'no sites': [{ sites: false }, { 'GET /api-keys': 200, 'GET /sites': 404, 'POST /sites': 404, 'OPTIONS /sites': 404, 'OPTIONS /sites/x': 404, 'GET /audit': 200 }],
    'no audit': [{ audit: false }, { 'GET /api-keys': 200, 'GET /audit': 404, 'OPTIONS /audit': 404, 'GET /sites': 200 }],
    profile: [{ profile: true }, { 'OPTIONS ': 204, 'GET /api-keys': 200, 'GET /usage': 200 }]
  }
  for (const [name, [routes, answers]] of Object.entries(table)) {
    const { app } = await build(t, { routes })
    for (const [route, status] of Object.entries(answers)) {
      const [method = '', path = ''] = route.split(' ')
      t.equal((await ask(app, method, `/v1/me${path}`)).statusCode, status, `${name}: ${route}`)
    }
  }
  const { app } = await build(t, { routes: { keys: false } })
  t.equal((await ask(app, 'OPTIONS', KEYS)).headers.allow, 'POST, OPTIONS', 'OPTIONS names only what there is')
  const unrecorded = await build(t, { usage: false })
  t.equal((await ask(unrecorded.app, 'GET', '/v1/me/usage')).statusCode, 404, 'usage that is not recorded is not shown')
})

t.test('a host\'s own plugin in place of the routes has the session rule, no-store and the host\'s compilers', async (t) => {
  const routes: FastifyPluginAsync = async (scope) => {
    scope.get('/plan', { schema: { querystring: { type: 'object', properties: { page: { type: 'integer' } } } } },
      async (request) => ({ caller: request.caller, page: (request.query as { page: number }).page }))
    scope.post('/upgrade', async (request) => actorOf(request))
    scope.get('/broken', async () => { throw new Error('broken') })
  }
  const { app } = await build(t, { routes, accountRoutes: { rateLimit: { max: 1, timeWindow: '1 minute' } } })
  t.equal((await ask(app, 'GET', KEYS)).statusCode, 404, 'it runs in their place')

  const plan = await ask(app, 'GET', '/v1/me/plan?page=2')
  t.strictSame(plan.json(), {
    caller: { via: 'session', accountId: ACCOUNT, account: { id: ACCOUNT, actor: { id: `person of ${ACCOUNT}`, name: 'Ada' } } },
    page: 2
  }, 'the host\'s compiler coerces')
  t.equal(plan.headers['cache-control'], 'no-store')
  t.equal((await ask(app, 'GET', '/v1/me/plan', { headers: {} })).statusCode, 401)
  t.equal((await ask(app, 'GET', '/v1/me/plan', { headers: BROWSER })).statusCode, 200)
  t.equal((await ask(app, 'GET', '/v1/me/broken')).headers['cache-control'], 'no-store')

  const cookieOnly = await ask(app, 'POST', '/v1/me/upgrade', { headers: BROWSER })
  t.equal(cookieOnly.statusCode, 403)
  t.match(cookieOnly.json(), { code: 'BEARER_REQUIRED' })
  t.match((await ask(app, 'POST', '/v1/me/upgrade')).json(),
    { accountId: ACCOUNT, credential: 'bearer', actor: { id: `person of ${ACCOUNT}`, name: 'Ada' }, ip: '127.0.0.1', requestId: /req-/ })
  t.equal((await ask(app, 'POST', '/v1/me/upgrade')).statusCode, 429)
})

t.test('a host\'s own plugin may register the standard routes beside its own', async (t) => {
  const routes: FastifyPluginAsync = async (scope) => {
    await scope.register(standardRoutes, { usage: false })
    scope.post('/plan', { schema: { body: { type: 'object', properties: { seats: { type: 'integer' } } } } }, async (request) => request.body)
  }
  const { app } = await build(t, { routes })
  t.equal((await ask(app, 'POST', KEYS)).statusCode, 201)
  t.equal((await ask(app, 'GET', '/v1/me/usage')).statusCode, 404)
  t.strictSame((await ask(app, 'POST', '/v1/me/plan', { payload: { seats: '5', more: 1 } })).json(), { seats: 5, more: 1 },
    'our compilers do not reach the host\'s route')
  t.equal((await ask(app, 'POST', '/v1/me/plan', { headers: {} })).statusCode, 401)

  const session = { bearer: () => ({ id: ACCOUNT, profile: { plan: 'gold' } }) }
  const bare = await build(t, { routes: standardRoutes, session })
  t.equal((await ask(bare.app, 'GET', KEYS)).statusCode, 200, 'or hand them over as they are')
  t.equal((await ask(bare.app, 'GET', '/v1/me')).statusCode, 404, 'which is without the profile')
  const profiled = await build(t, { routes: async (scope) => { await scope.register(standardRoutes, { profile: true }) }, session })
  t.strictSame((await ask(profiled.app, 'GET', '/v1/me')).json(), { plan: 'gold' })
})

t.test('standard routes outside the account routes have no session rule and identify nobody', async (t) => {
  const { app } = await build(t, { routes: false }, { after: (app) => app.register(standardRoutes, { prefix: '/stray' }) })
  const answer = await ask(app, 'POST', '/stray/api-keys')
  t.equal(answer.statusCode, 500)
  t.match(answer.json(), { code: 'UNPROTECTED_ROUTE' })

  const asked: unknown[] = []
  const authorize: Authorize = ({ account, apiKey }) => { asked.push([account, apiKey]); return asked.length === 1 }
  const asking = await build(t, { authorize, routes: false }, { after: (app) => app.register(standardRoutes, { prefix: '/stray' }) })
  t.match((await ask(asking.app, 'POST', '/stray/api-keys')).json(), { code: 'UNPROTECTED_ROUTE' }, 'whatever the host allows')
  t.match((await ask(asking.app, 'POST', '/stray/api-keys')).json(), { statusCode: 403, code: 'FORBIDDEN', message: 'This account\'s session may not do keys:issue.' })
  t.strictSame(asked, [[null, null], [null, null]], 'the host is told that nobody calls')
})

t.test('a host that guards everything does not guard the account routes', async (t) => {
  const { app } = await build(t, {}, { before: (app) => { protect(app) } })
  t.equal((await ask(app, 'GET', KEYS)).statusCode, 200)
  const { plaintextKey } = await issueDefault(app)
  for (const headers of [{ 'x-api-key': plaintextKey! }, { authorization: `Bearer ${plaintextKey!}` }]) {
    const answer = await ask(app, 'GET', KEYS, { headers })
    t.equal(answer.statusCode, 401, 'an API key is no session')
    t.equal(answer.headers['cache-control'], 'no-store')
  }
  t.ok(app.selfServeKeys.routes().routes.filter(({ url }) => url.startsWith('/v1/me')).every(({ rule }) => rule === null),
    'and are listed as having no key rule')
})

t.test('openapi: each account route says its name, what it does and what it answers, under the host\'s session scheme if it is named, or is hidden', async (t) => {
  interface Operation { security?: unknown, tags: string[], operationId: string, summary: string, requestBody?: { content: { 'application/json': { schema: { additionalProperties?: boolean } } } }, responses: Record<string, { content?: Record<string, { schema: object }> }> }
  interface Document { paths: Record<string, Record<string, Operation>> }
  const openapi = { components: { securitySchemes: { session: { type: 'http', scheme: 'bearer' } } } } as const
  const documented = async (options: object): Promise<Document> => {
    const { app } = await build(t, { openapi: options, routes: { profile: true } }, { before: (app) => app.register(fastifySwagger, { openapi }) })
    return (app as unknown as { swagger: () => Document }).swagger()
  }
  const named = await documented({ sessionScheme: 'session' })
  const lines = Object.entries(named.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, { operationId, requestBody, responses }]) =>
    `${method} ${path} ${operationId} ${requestBody === undefined ? '' : 'body '}${Object.keys(responses).join(' ')}`))
  t.strictSame(lines.sort(), [
    'get /v1/me getProfile 200 4XX',
    `get ${KEYS} listApiKeys 200 4XX`,
    `post ${KEYS} issueApiKey body 200 201 422 4XX`,
    `get ${KEYS}/{publicId} getApiKey 200 4XX`,
    `get ${KEYS}/{publicId}/usage getApiKeyUsage 200 4XX`,
    `patch ${KEYS}/{publicId} updateApiKey body 200 4XX`,
    `delete ${KEYS}/{publicId} revokeApiKey 200 4XX`,
    `post ${KEYS}/{publicId}/rotate rotateApiKey body 200 201 422 4XX`,
    `post ${KEYS}/{publicId}/renew renewApiKey body 200 4XX`,
    'get /v1/me/policy getPolicy 200 4XX',
    'get /v1/me/usage getUsage 200 4XX',
    'get /v1/me/sites listSites 200 4XX',
    'post /v1/me/sites addSite body 201 4XX',
    'delete /v1/me/sites/{siteId} removeSite 204 4XX',
    'get /v1/me/audit getAudit 200 4XX'
  ].sort())
  const operations = Object.values(named.paths).flatMap((methods) => Object.values(methods))
  const bodies = operations.flatMap(({ requestBody }) => requestBody === undefined ? [] : [requestBody.content['application/json'].schema])
  t.equal(bodies.length, 5)
  t.ok(bodies.every(({ additionalProperties }) => additionalProperties === false), 'a body takes nothing else')
  t.equal(new Set(operations.map(({ summary }) => summary)).size, operations.length, 'each has a summary of its own')
  t.ok(operations.every(({ summary, tags }) => summary.length > 5 && tags.length === 1))
  t.ok(operations.every(({ security }) => JSON.stringify(security) === '[{"session":[]}]'))
  for (const { operationId, responses } of operations) {
    for (const [status, { content }] of Object.entries(responses)) {
      t.equal(content === undefined, status === '204', `${operationId} ${status}`)
      if (status === '4XX') t.match(content, { 'application/json': { schema: { required: ['statusCode', 'code', 'error', 'message'] } } })
    }
  }
  const plain = await documented({})
  t.equal(plain.paths[KEYS]!.get!.security, undefined)
  t.strictSame((await documented({ hide: true })).paths, {})
})

t.test('openapi: an answer names the values that a member may have, and tells times and counts', async (t) => {
  interface Schema { type?: string, nullable?: boolean, properties?: Record<string, Schema>, items?: Schema, enum?: string[], format?: string, minimum?: number }
  const { app } = await build(t, {}, { before: (app) => app.register(fastifySwagger, { openapi: {} }) })
  const { paths } = (app as unknown as { swagger: () => { paths: Record<string, Record<string, { responses: Record<string, { content: Record<string, { schema: Schema }> }> }>> } }).swagger()
  const lines = (name: string, { type, nullable, properties = {}, items, enum: values, format, minimum }: Schema): string[] => [
    ...(nullable === true ? [`${name}: ${type} or null`] : []),
    ...[values?.join(' '), format, minimum].filter((said) => said !== undefined).map((said) => `${name}: ${said}`),
    ...(items === undefined ? [] : lines(`${name}[]`, items)),
    ...Object.entries(properties).flatMap(([member, schema]) => lines(name === '' ? member : `${name}.${member}`, schema))
  ]
  const told = (method: string, path: string, status: string): string[] => lines('', paths[path]![method]!.responses[status]!.content['application/json']!.schema)
  const environment = 'live test'
  const status = 'active retiring disabled expired revoked'
  const limits = (name: string): string[] => ['max', 'windowSeconds', 'remaining', 'resetSeconds'].map((member) => `${name}rateLimits[].${member}: 0`)
  const maybe = (name: string, type: string, said?: string): string[] => [`${name}: ${type} or null`, ...(said === undefined ? [] : [`${name}: ${said}`])]
  const key = [
    `environment: ${environment}`, 'access: secret publishable', ...maybe('scopes', 'array'), `status: ${status}`, ...limits(''), ...maybe('createdBy', 'string'), ...maybe('disabledBy', 'string', 'account host'),
    'createdAt: date-time', ...['lastUsedAt', 'expiresAt', 'retiresAt', 'revokedAt'].flatMap((time) => maybe(time, 'string', 'date-time')), ...maybe('revokedReason', 'string'), ...maybe('rotatedFrom', 'string')
  ].map((line) => `apiKey.${line}`)
  t.strictSame(told('get', `${KEYS}/{publicId}`, '200'), key)
  t.strictSame(told('post', KEYS, '201'), ['action: issued rotated', ...maybe('plaintextKey', 'string'), ...key])
  t.strictSame(told('get', '/v1/me/audit', '200'), [
    'logs[].time: date-time', ...maybe('logs[].actor', 'object'), ...maybe('logs[].actor.name', 'string'), 'logs[].credential: bearer cookie api_key host',
    ...['targetType', 'targetId', 'ip', 'requestId'].flatMap((member) => maybe(`logs[].${member}`, 'string')), 'total: 0', 'limit: 0', 'offset: 0'
  ])
  t.strictSame(told('get', '/v1/me/policy', '200'), [
    `environments[]: ${environment}`, `defaultKey.environment: ${environment}`, 'defaultKey.access: secret publishable', ...maybe('defaultKey.scopes', 'array'), ...maybe('defaultKey.lifetimeSeconds', 'integer', '0'),
    'keys.max: 0', 'keys.active: 0', 'maxSites: 0', ...maybe('lifetimeSeconds', 'integer', '0'), ...maybe('maxLifetimeSeconds', 'integer', '0'), 'maxOverlapSeconds: 0'
  ])
  const usage = told('get', '/v1/me/usage', '200')
  for (const line of ['window: 1h 24h 7d 30d', 'windowStart: date-time', 'totalRequests: 0', 'timeline[].start: date-time', 'timeline[].failures: 0', `perKey[].status: ${status}`, `perKey[].environment: ${environment}`,
    ...limits('perKey[].'), 'recentFailures[].time: date-time', `recentRequests[].environment: ${environment}`, ...maybe('recentRequests[].failureCode', 'string')]) t.ok(usage.includes(line), line)
})

t.test('openapi.sessionScheme must be declared by the host, where it has a document', async (t) => {
  const swaggers = [{}, { openapi: {} }, { openapi: { components: { securitySchemes: { other: { type: 'http', scheme: 'bearer' } } } } }] as const
  for (const options of swaggers) {
    const built = build(t, { openapi: { sessionScheme: 'session' } }, { before: (app) => app.register(fastifySwagger, options) })
    await t.rejects(built, { code: 'INVALID_OPTION', details: { option: 'openapi.sessionScheme' }, message: /"session"/ })
  }
  // Without routes of ours @fastify/swagger has nothing to stumble over.
  for (const options of [...swaggers, { openapi: { components: {} } }]) {
    for (const sessionScheme of ['session', 'constructor']) {
      const built = build(t, { openapi: { sessionScheme }, routes: false }, { before: (app) => app.register(fastifySwagger, options) })
      await t.rejects(built, { code: 'INVALID_OPTION' })
    }
  }
  await build(t, { openapi: { sessionScheme: 'session' } })
})

t.test('what leaves is what the answers name: nothing the storage holds besides', async (t) => {
  const { app, storage } = await build(t)
  const { key, plaintext } = await storeKey(storage, { metadata: { plan: 'gold' }, createdBy: 'Grace' })
  for (const url of [KEYS, `${KEYS}/${key.publicId}`, '/v1/me/usage']) {
    const { body } = await ask(app, 'GET', url)
    for (const secret of [key.hash, plaintext, 'gold', `"${ACCOUNT}"`, 'person of']) t.notOk(body.includes(secret), `${url}: ${secret}`)
  }
})

t.test('a failing storage is 503 with Retry-After, and no-store', async (t) => {
  const failing = async (): Promise<never> => { throw new Error('disk full at /var/keys') }
  const { app } = await build(t, { storage: { ...memoryStorage(), issueKey: failing, revokeKey: failing, listKeys: failing, getKey: failing, readUsage: failing } })
  for (const [method, url] of [['GET', KEYS], ['POST', KEYS], ['GET', `${KEYS}/${MISSING}`], ['DELETE', `${KEYS}/${MISSING}`], ['GET', '/v1/me/usage']] as const) {
    const answer = await ask(app, method, url)
    t.equal(answer.statusCode, 503, `${method} ${url}`)
    t.match(answer.json(), { code: 'STORAGE_UNAVAILABLE' }, `${method} ${url}`)
    t.equal(answer.headers['retry-after'], '1', `${method} ${url}`)
    t.equal(answer.headers['cache-control'], 'no-store', `${method} ${url}`)
    t.notMatch(answer.body, 'disk', `${method} ${url}`)
  }
})

t.test('a host\'s database that is held for longer than the timeout is 503, and nothing comes of it later', async (t) => {
  const handle = new Database(':memory:')
  t.teardown(() => handle.close())
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: handle }) })
  const { app } = await build(t, { storage: kyselyStorage({ db, type: 'sqlite', migrate: 'start' }), timeout: 300, accountRoutes: { rateLimit: false } })
  await issueDefault(app)
  const keys = (): unknown[] => handle.prepare('select * from self_serve_api_keys').all()
  const before = keys()
  const holding = deferred()
  const release = deferred()
  const host = db.transaction().execute(async () => {
    holding.resolve()
    await release.promise
  })
  await holding.promise
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await ask(app, 'POST', KEYS)))
  t.strictSame(new Set(answers.map(({ statusCode }) => statusCode)), new Set([503]))
  // An answer may be told to be late a moment before the write itself is: the host goes on past both.
  const told = performance.now()
  while (performance.now() - told < 320) await nextTurn()
  release.resolve()
  await host
  t.equal((await issueDefault(app)).action, 'rotated', 'behind whatever waited')
  const after = keys()
  t.equal(after.length, before.length + 1)
  t.match(after[1], { rotated_from: (before[0] as { public_id: string }).public_id })
})

t.test('two accounts work beside each other over real HTTP', async (t: Test) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  await app.register(selfServeKeys, { session: login, storage: memoryStorage() })
  const origin = `http://127.0.0.1:${await portOf(app)}`
  const [mine, theirs] = await Promise.all([SIGNED_IN, OTHER_SIGNED_IN].map(async (headers) =>
    await (await fetch(`${origin}${KEYS}`, { method: 'POST', headers })).json() as Issued))
  t.equal(mine!.apiKey.scopes, null, 'no catalogue: every scope')
  const list = await (await fetch(`${origin}${KEYS}`, { headers: SIGNED_IN })).json() as { apiKeys: ApiKey[] }
  t.strictSame(list.apiKeys, [mine!.apiKey])
  t.not(theirs!.apiKey.publicId, mine!.apiKey.publicId)
})
