// Which requests are charged to a key's rate limits: each that was admitted, once, whatever becomes of it; and no other.
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fastifyCors from '@fastify/cors'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { generateKey } from '../../lib/keys/key-format.js'
import { asking, HOST, KEYS, makeKey, NO_KEY, SITES } from '../helpers/account.js'
import { deferred } from '../helpers/app.js'
import { BROWSER, portOf, SIGNED_IN, storeKey } from '../helpers/host.js'
import { NOW } from '../helpers/keys.js'
import { limited, notingStore } from '../helpers/limits.js'

const LIMIT = { max: 1000, timeWindow: '1 hour' }
const guarded = { config: { apiKey: true } } as const
const ok = async (): Promise<object> => ({})
const PREFLIGHT = { origin: 'https://app.example.com', 'access-control-request-method': 'GET' }

t.test('a request that is admitted is charged once, whatever becomes of it', async (t) => {
  const { store, consumed } = notingStore()
  const { app, get, publicId } = await limited(t, { rateLimit: { limits: LIMIT, store } }, {
    before (app) {
      app.get('/ok/:id', guarded, ok)
      app.post('/ok', guarded, ok)
      app.post('/body', { ...guarded, schema: { body: { type: 'object', required: ['a'] } } }, ok)
      app.get('/call-404', guarded, (_request, reply) => { reply.callNotFound() })
      app.get('/404', guarded, async (_request, reply) => await reply.code(404).send({}))
      app.get('/500', guarded, async () => { throw new Error('broken') })
      app.get('/hook', { ...guarded, preHandler: async () => { throw Object.assign(new Error('no'), { statusCode: 403 }) } }, ok)
      app.get('/redirect', guarded, async (_request, reply) => await reply.redirect('/ok/1'))
      app.get('/stream', guarded, async () => Readable.from(['a', 'b']))
      app.get('/hijack', guarded, (_request, reply) => { reply.hijack().raw.end('teapot') })
      app.all('/all', guarded, ok)
      app.get('/either', { config: { apiKey: { session: true, optional: true } } }, ok)
      app.get('/publishable', { config: { apiKey: { allowPublishable: true } } }, ok)
    }
  })
  const json = { 'content-type': 'application/json' }
  const cases: Array<[status: number, url: string, request?: InjectOptions]> = [
    [200, '/ok/1?secret=x'], [200, '/ok/1', { method: 'HEAD' }], [200, '/ok', { method: 'POST', payload: {} }], [200, '/body', { method: 'POST', payload: { a: 1 } }],
    [400, '/body', { method: 'POST', payload: {} }], [400, '/body', { method: 'POST', payload: '{', headers: json }],
    [415, '/body', { method: 'POST', payload: 'x', headers: { 'content-type': 'a/b' } }],
    [413, '/ok', { method: 'POST', payload: `"${'x'.repeat(2_000_000)}"`, headers: json }],
    [404, '/call-404'], [404, '/404'], [404, '/404', { method: 'HEAD' }], [500, '/500'], [403, '/hook'], [302, '/redirect'], [200, '/stream'], [200, '/hijack'],
    [200, '/all', { method: 'OPTIONS' }], [200, '/either'], [200, '/either', { headers: BROWSER }], [200, '/publishable']
  ]
  for (const [status, url, request] of cases) {
    const name = `${request?.method ?? 'GET'} ${url} ${status}`
    consumed.length = 0
    t.equal((await get(url, undefined, request)).statusCode, status, name)
    t.strictSame(consumed, [{ ids: [`${publicId}/default`], cost: 1 }], name)
  }
  const { rateLimits } = (await asking(app)('GET', `${KEYS}/${publicId}`)).json.apiKey
  t.match(rateLimits, [{ remaining: 1000 - cases.length }])
})

t.test('a client that hangs up while it is served was charged once', async (t) => {
  const { store, consumed } = notingStore()
  const arrived = deferred()
  const gone = deferred()
  const { app, key, publicId, told } = await limited(t, { rateLimit: { limits: LIMIT, store }, usage: { flushInterval: '1 week', prune: false } }, {
    before (app) {
      app.get('/hangs', guarded, async (request, reply) => {
        request.raw.socket.once('close', gone.resolve)
        arrived.resolve()
        await gone.promise
        return await reply.send('too late')
      })
    }
  })
  const socket = connect(await portOf(app), '127.0.0.1')
  socket.write(`GET /hangs HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${key}\r\n\r\n`)
  await arrived.promise
  socket.destroy()
  await Promise.all([once(socket, 'close'), gone.promise])
  while (app.selfServeKeys.stats().usageBuffered === 0) await nextTurn()
  t.strictSame(consumed, [{ ids: [`${publicId}/default`], cost: 1 }])
  t.equal(await told('/x'), '200 "default";r=998;t=3600')
})

t.test('whoever is refused, and whoever brings no key, is charged nothing: least of all a stranger who knows the public id', async (t) => {
  const noting = notingStore()
  const { app, get, key, publicId, storage } = await limited(t, {
    rateLimit: { limits: LIMIT, store: noting.store }, policy: { resolve: (id) => ({ suspended: id === 'suspended' }) }
  }, {
    before (app) {
      app.register(fastifyCors, { origin: 'https://app.example.com' })
      app.get('/scope', { config: { apiKey: { scopes: ['transactions:write'] } } }, ok)
      app.get('/test', { config: { apiKey: { environments: ['test'] } } }, ok)
      app.get('/either', { config: { apiKey: { session: true, optional: true } } }, ok)
      app.get('/public', ok)
      app.get('/public/:id', ok)
      app.get('/shut', { ...guarded, onRequest: async (_request, reply) => await reply.code(503).send({}) }, ok)
    }
  })
  const stored = async (overrides: Parameters<typeof storeKey>[1]): Promise<string> => (await storeKey(storage, overrides)).plaintext
  const revoked = await makeKey(app)
  await app.selfServeKeys.keys.revoke(HOST, revoked.publicId)
  const mixed = `${key.slice(0, -6)}${generateKey('sk_live_').slice(-6)}`
  const cases: Array<[name: string, status: number, url: string, key: string, request?: InjectOptions]> = [
    ['an unknown key', 401, '/x', generateKey('sk_live_')],
    ['a key with another\'s checksum', 401, '/x', mixed],
    ['the public id', 401, '/x', publicId],
    ['the public id as bearer', 401, '/x', '', { headers: { authorization: `Bearer ${publicId}` } }],
    ['what is shown of the key', 401, '/x', `${key.slice(0, 16)}...${key.slice(-4)}`],
    ['the public id in the URL of a public route', 200, `/public/${publicId}`, ''],
    ['a revoked key', 401, '/x', revoked.plaintext],
    ['an expired key', 401, '/x', await stored({ expiresAt: NOW })],
    ['a disabled key', 401, '/x', await stored({ disabledBy: 'account' })],
    ['a key of a suspended account', 403, '/x', await stored({ accountId: 'suspended' })],
    ['a publishable key', 403, '/x', await stored({ access: 'publishable' })],
    ['a key from elsewhere', 403, '/x', await stored({ allowedIps: ['203.0.113.0/24'] })],
    ['a key of another page', 403, '/x', await stored({ allowedOrigins: ['https://a.example'] }), { headers: { origin: 'https://b.example' } }],
    ['a key without the scope', 403, '/scope', key],
    ['a key of the wrong environment', 403, '/test', key],
    ['two keys', 400, '/x', key, { headers: { authorization: `Bearer ${revoked.plaintext}` } }],
    ['a preflight', 204, '/x', key, { method: 'OPTIONS', headers: PREFLIGHT }],
    ['a key on a public route', 200, '/public', key],
    ['a key where nothing is', 404, '/nowhere', key],
    ['a key with the wrong method', 404, '/x', key, { method: 'DELETE' }],
    ['nobody where a key is optional', 200, '/either', ''],
    ['a session', 200, '/either', '', { headers: SIGNED_IN }],
    ['a cookie', 200, '/either', '', { headers: BROWSER }]
  ]
  for (const [name, status, url, presented, { headers, ...request } = {}] of cases) {
    const { statusCode } = await app.inject({ url, ...request, headers: { ...(presented !== '' && { 'x-api-key': presented }), ...headers } })
    t.equal(statusCode, status, name)
    t.strictSame(noting.consumed, [], name)
  }
  t.equal((await get('/shut')).statusCode, 503)
  t.equal(noting.consumed.length, 1, 'a hook of the route comes after ours')
})

t.test('on the account routes a change is one charge, to the account and to the key together; reading charges a session nothing', async (t) => {
  const noting = notingStore()
  const { app } = await limited(t, {
    scopes: { 'account:read': 'Read', 'account:write': 'Change' },
    rateLimit: { limits: { max: 4, timeWindow: '1 minute' }, store: noting.store },
    accountRoutes: { rateLimit: { max: 2, timeWindow: '1 minute' }, apiKeys: { read: 'account:read', write: 'account:write' } }
  })
  const ask = asking(app)
  const manager = await makeKey(app, { scopes: ['account:read', 'account:write'] })
  const reader = await makeKey(app, { scopes: ['account:read'] })
  const of = (account: 'sessions' | 'keys'): string => `account/user_a/${account}`
  const own = `${manager.publicId}/default`
  const charged = async (status: number, method: string, url: string, headers: Record<string, string>, ids: string[] | null, body?: unknown): Promise<void> => {
    noting.consumed.length = 0
    const name = `${method} ${url}`
    t.equal((await ask(method, url, body, headers)).status, status, name)
    t.strictSame(noting.consumed, ids === null ? [] : [{ ids, cost: 1 }], name)
  }
  for (const url of [KEYS, `${KEYS}/${NO_KEY}`, `${KEYS}/${NO_KEY}/usage`, '/v1/me/policy', '/v1/me/usage', SITES, '/v1/me/audit']) {
    const status = url.includes(NO_KEY) ? 404 : 200
    await charged(status, 'GET', url, SIGNED_IN, null)
    await charged(status, 'HEAD', url, BROWSER, null)
    await charged(204, 'OPTIONS', url, { ...PREFLIGHT, ...manager.credential }, null)
  }
  await charged(401, 'POST', KEYS, { authorization: 'Bearer nobody' }, null, { label: 'x' })
  await charged(403, 'POST', KEYS, BROWSER, null, { label: 'x' })
  await charged(403, 'POST', KEYS, reader.credential, null, { label: 'x' })
  await charged(200, 'GET', KEYS, manager.credential, [own])
  await charged(400, 'POST', KEYS, manager.credential, [own, of('keys')], { label: '' })
  await charged(404, 'DELETE', `${KEYS}/${NO_KEY}`, manager.credential, [own, of('keys')])
  await charged(429, 'DELETE', `${KEYS}/${NO_KEY}`, manager.credential, [own, of('keys')])
  t.match((await ask('GET', manager.url)).json.apiKey.rateLimits, [{ remaining: 1 }], 'what the account\'s limit refused was not charged to the key')
  await charged(404, 'DELETE', `${KEYS}/${NO_KEY}`, SIGNED_IN, [of('sessions')])
  await charged(400, 'POST', KEYS, SIGNED_IN, [of('sessions')], { label: '' })
  await charged(429, 'POST', KEYS, SIGNED_IN, [of('sessions')], { label: 'x' })
  await charged(200, 'GET', KEYS, manager.credential, [own])
  await charged(429, 'GET', KEYS, manager.credential, [own])
  await charged(429, 'DELETE', `${KEYS}/${NO_KEY}`, manager.credential, [own, of('keys')])
})

t.test('a key\'s own limit that refuses a change leaves the account\'s budget for its other keys', async (t) => {
  const { app, told } = await limited(t, {
    scopes: { 'account:read': 'Read', 'account:write': 'Change' },
    rateLimit: { max: 1, timeWindow: '1 minute' },
    accountRoutes: { rateLimit: { max: 2, timeWindow: '1 hour' }, apiKeys: { read: 'account:read', write: 'account:write' } }
  })
  const manager = async (): Promise<string> => (await makeKey(app, { scopes: ['account:write', 'account:read'] })).plaintext
  const [one, two] = [await manager(), await manager()]
  const change: InjectOptions = { method: 'DELETE' }
  const url = `${KEYS}/${NO_KEY}`
  t.equal(await told(url, one, change), '404 "default";r=0;t=60, "account";r=1;t=3600')
  for (let i = 0; i < 5; i++) t.equal(await told(url, one, change), '429 "default";r=0;t=60, "account";r=1;t=3600 after 60')
  t.equal(await told(url, two, change), '404 "default";r=0;t=60, "account";r=0;t=3600')
  t.equal(await told(url, one, change), '429 "default";r=0;t=60, "account";r=0;t=3600 after 3600', 'of both that refuse, the one that opens last')
})
