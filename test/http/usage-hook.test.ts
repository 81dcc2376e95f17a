// Usage of protected routes: one event for every request with an identified key, whatever became of it, and none for others.
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { memoryStorage, selfServeKeys, type SelfServeKeysOptions, type Storage, type UsageEvent } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { deferred } from '../helpers/app.js'
import { BROWSER, build, login, portOf, raw, SIGNED_IN, storeKey, type Host } from '../helpers/host.js'
import { ACCOUNT, NOW } from '../helpers/keys.js'

interface Recording extends Host { good: string, ref: UsageEvent['key'], recorded: () => Promise<UsageEvent[]> }

/** A host with one good key; `recorded` gives the events since it was last asked. */
async function recording (
  t: Test, routes: (app: FastifyInstance) => void, options: Partial<SelfServeKeysOptions> = {}, server: FastifyServerOptions = {}
): Promise<Recording> {
  const events: UsageEvent[] = []
  const memory = options.storage ?? memoryStorage()
  const storage: Storage = {
    ...memory,
    async recordUsage (batch) {
      events.push(...batch.events)
      await memory.recordUsage(batch)
    }
  }
  // Written only when asked for: a busy machine must not come in between.
  const host = await build(t, { usage: { flushInterval: '1 week', prune: false }, ...options, storage }, { server, before: routes })
  const { plaintext, key } = await storeKey(storage)
  const recorded = async (): Promise<UsageEvent[]> => {
    await host.app.selfServeKeys.flush()
    return events.splice(0)
  }
  return { ...host, good: plaintext, ref: key.ref, recorded }
}

/** Waits for what other turns of the event loop bring. */
async function until (holds: () => boolean): Promise<void> {
  const start = performance.now()
  while (!holds()) {
    if (performance.now() - start > 5000) throw new Error('it never came')
    await nextTurn()
  }
}

const guarded = { config: { apiKey: true } } as const
const ok = async (): Promise<object> => ({ ok: true })

t.test('one event a request, whatever became of it', async (t) => {
  const { app, storage, good, ref, recorded, clock } = await recording(t, (app) => {
    app.get('/ok/:id', guarded, ok)
    app.post('/ok', guarded, async (_request, reply) => await reply.code(202).send())
    app.get('/scope', { config: { apiKey: { scopes: ['transactions:write'] } } }, ok)
    app.get('/test', { config: { apiKey: { environments: ['test'] } } }, ok)
    app.get('/optional', { config: { apiKey: { optional: true, session: true } } }, ok)
    app.get('/500', guarded, async () => { throw new Error('broken') })
    app.get('/404', guarded, async () => { throw Object.assign(new Error('no block'), { statusCode: 404, code: 'BLOCK_NOT_FOUND' }) })
    app.get('/call-404', guarded, (_request, reply) => { reply.callNotFound() })
    app.get('/sent-404', guarded, async (_request, reply) => await reply.code(404).send({}))
    app.get('/redirect', guarded, async (_request, reply) => await reply.redirect('/ok/1'))
    app.post('/valid', { ...guarded, schema: { body: { type: 'object', required: ['a'] } } }, ok)
    app.get('/stream', guarded, async () => Readable.from(['a', 'b']))
    app.get('/empty', guarded, async (_request, reply) => await reply.code(204).send())
    app.get('/hijack', guarded, (_request, reply) => {
      reply.hijack()
      reply.raw.statusCode = 418
      reply.raw.end('teapot')
    })
    app.get('/hook', { ...guarded, preHandler: async (_request, reply) => await reply.code(451).send({}) }, ok)
    app.get('/recovered', { ...guarded, errorHandler: async (_error: unknown, _request: FastifyRequest, reply: FastifyReply) => await reply.code(200).send({}) },
      async () => { throw Object.assign(new Error('x'), { code: 'SOME_CODE' }) })
  }, { rateLimit: { max: 100, timeWindow: '1 minute' } })
  const revoked = await storeKey(storage)
  await app.selfServeKeys.keys.revoke({ accountId: ACCOUNT, credential: 'host' }, revoked.key.publicId)
  const expired = await storeKey(storage, { expiresAt: NOW })
  const publishable = await storeKey(storage, { access: 'publishable' })

  const cases: Array<[name: string, method: string, url: string, key: string, status: number, route: string, failureCode: string | null]> = [
    ['a good request', 'GET', '/ok/7?secret=x', good, 200, '/ok/:id', null],
    ['HEAD', 'HEAD', '/ok/7', good, 200, '/ok/:id', null],
    ['another method', 'POST', '/ok', good, 202, '/ok', null],
    ['a revoked key', 'GET', '/ok/7', revoked.plaintext, 401, '/ok/:id', 'INVALID_API_KEY'],
    ['an expired key', 'GET', '/ok/7', expired.plaintext, 401, '/ok/:id', 'INVALID_API_KEY'],
    ['a publishable key', 'GET', '/ok/7', publishable.plaintext, 403, '/ok/:id', 'FORBIDDEN'],
    ['a key without the scope', 'GET', '/scope', good, 403, '/scope', 'INSUFFICIENT_SCOPE'],
    ['a key of the wrong environment', 'GET', '/test', good, 403, '/test', 'FORBIDDEN'],
    ['a key where none is needed', 'GET', '/optional', good, 200, '/optional', null],
    ['a revoked key where none is needed', 'GET', '/optional', revoked.plaintext, 401, '/optional', 'INVALID_API_KEY'],
    ['a handler that throws', 'GET', '/500', good, 500, '/500', null],
    ['a 404 thrown by the handler', 'GET', '/404', good, 404, '/404', 'BLOCK_NOT_FOUND'],
    ['callNotFound', 'GET', '/call-404', good, 404, '/call-404', null],
    ['a 404 sent by the handler', 'GET', '/sent-404', good, 404, '/sent-404', null],
    ['a redirect', 'GET', '/redirect', good, 302, '/redirect', null],
    ['a body that is not valid', 'POST', '/valid', good, 400, '/valid', 'FST_ERR_VALIDATION'],
    ['a stream', 'GET', '/stream', good, 200, '/stream', null],
    ['an empty answer', 'GET', '/empty', good, 204, '/empty', null],
    ['a reply that was hijacked', 'GET', '/hijack', good, 418, '/hijack', null],
    ['an answer from a hook', 'GET', '/hook', good, 451, '/hook', null],
    ['an error that the host answers well', 'GET', '/recovered', good, 200, '/recovered', null]
  ]
  for (const [name, method, url, key, status, route, failureCode] of cases) {
    clock.advance(1000)
    const answer = await app.inject({ method: method as 'GET', url, headers: { 'x-api-key': key }, ...(method === 'POST' && { payload: {} }) })
    t.equal(answer.statusCode, status, name)
    await until(() => app.selfServeKeys.stats().usageBuffered > 0)
    const events = await recorded()
    t.equal(events.length, 1, name)
    const [event] = events
    t.match(event, { time: clock.now(), method, route, status, failureCode, durationMs: Number }, name)
    t.ok(event!.durationMs >= 0 && event!.durationMs < 5000, name)
    if (status >= 400) t.match(event!.requestId, /^req-/, `${name}: support can find it`)
    else t.equal(event!.requestId, null, name)
    if (key === good) t.strictSame(event!.key, ref, name)
    t.notMatch(JSON.stringify(event), /secret|sk_live_|user_a/, name)
  }
  await nextTurn()
  t.strictSame(await recorded(), [], 'and no other came later')
})

t.test('a request over the rate limit is an event too', async (t) => {
  const { app, good, recorded } = await recording(t, (app) => app.get('/x', guarded, ok), { rateLimit: { max: 1, timeWindow: '1 minute' } })
  for (let i = 0; i < 3; i++) await app.inject({ url: '/x', headers: { 'x-api-key': good } })
  t.match(await recorded(), [{ status: 200, failureCode: null }, { status: 429, failureCode: 'RATE_LIMITED' }, { status: 429, failureCode: 'RATE_LIMITED' }])
})

t.test('no event where no key was identified', async (t) => {
  const { app, good, recorded } = await recording(t, (app) => {
    app.get('/x', guarded, ok).get('/public', ok).get('/session', { config: { apiKey: { session: true, optional: true } } }, ok)
  })
  const requests: Array<[string, Record<string, string | string[]>]> = [
    ['/x', {}], ['/x', { 'x-api-key': generateKey('sk_live_') }], ['/x', { 'x-api-key': 'nonsense' }], ['/x', { 'x-api-key': [good, 'nonsense'] }],
    ['/public', { 'x-api-key': good }], ['/nowhere', { 'x-api-key': good }], ['/session', SIGNED_IN], ['/session', BROWSER], ['/session', {}],
    ['/v1/me/api-keys', SIGNED_IN], ['/v1/me/api-keys', { 'x-api-key': good }]
  ]
  for (const [url, headers] of requests) await app.inject({ url, headers })
  await nextTurn()
  t.strictSame(await recorded(), [])
  t.strictSame(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
})

t.test('a failure code is shown only where it looks like one', async (t) => {
  let error: unknown
  const { app, good, recorded } = await recording(t, (app) => app.get('/x', guarded, async () => { throw error }))
  const codes: Array<[code: unknown, shown: string | null]> = [
    ['ECONNREFUSED', 'ECONNREFUSED'], ['A', 'A'], ['P2002', 'P2002'], [`A${'B'.repeat(63)}`, `A${'B'.repeat(63)}`],
    [`A${'B'.repeat(64)}`, null], ['user ada@example.com not found', null], ['lower_case', null], ['23505', null], ['', null], ['A-B', null],
    ['A\n', null], [42, null], [null, null], [undefined, null], [{ toString: () => 'A' }, null], [['A'], null]
  ]
  for (const [code, shown] of codes) {
    error = Object.assign(new Error('x'), { code, statusCode: 500 })
    t.equal((await app.inject({ url: '/x', headers: { 'x-api-key': good } })).statusCode, 500)
    t.strictSame((await recorded()).map(({ failureCode }) => failureCode), [shown], String(code))
  }
})

t.test('a handler that throws what is no error is an event', async (t) => {
  const { app, good, recorded } = await recording(t, (app) => {
    app.setErrorHandler(async (_error, _request, reply) => await reply.code(500).send({}))
    app.get('/null', guarded, async () => { throw null }) // eslint-disable-line no-throw-literal -- a handler may throw anything
    app.get('/text', guarded, async () => { throw 'CODE' }) // eslint-disable-line no-throw-literal -- a handler may throw anything
  })
  for (const url of ['/null', '/text']) await app.inject({ url, headers: { 'x-api-key': good } })
  t.match(await recorded(), [{ status: 500, failureCode: null }, { status: 500, failureCode: null }])
})

t.test('a client that hangs up before the answer is 499, once', async (t) => {
  let arrived = (): void => {}
  let answer = (): void => {}
  const { app, good, recorded } = await recording(t, (app) => {
    app.get('/slow', guarded, async () => {
      arrived()
      await new Promise<void>((resolve) => { answer = resolve })
      return {}
    })
    app.get('/stream', guarded, async () => {
      arrived()
      return new Readable({ read () { setImmediate(() => this.push('x'.repeat(1000))) } })
    })
  })
  const port = await portOf(app)
  for (const url of ['/slow', '/stream']) {
    const here = new Promise<void>((resolve) => { arrived = resolve })
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET ${url}?secret=x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${good}\r\n\r\n`)
    await here
    if (url === '/stream') await once(socket, 'data')
    socket.destroy()
    await until(() => app.selfServeKeys.stats().usageBuffered > 0)
    answer()
    for (let i = 0; i < 20; i++) await nextTurn()
    const events = await recorded()
    t.equal(events.length, 1, url)
    t.match(events[0], { route: url, status: 499, failureCode: 'CLIENT_CLOSED_REQUEST', requestId: /^req-/ }, url)
  }
})

t.test('a client that hangs up while its key is looked up is 499, once', async (t) => {
  const memory = memoryStorage()
  let asked = (): void => {}
  let found = (): void => {}
  const { app, good, recorded } = await recording(t, (app) => {
    app.addHook('onRequest', async (request) => { request.raw.socket.once('close', () => { closed = true }) })
    app.get('/x', guarded, ok)
  }, {
    storage: {
      ...memory,
      async findKeyByHash (digests) {
        asked()
        await new Promise<void>((resolve) => { found = resolve })
        return await memory.findKeyByHash(digests)
      }
    }
  })
  let closed = false
  const here = new Promise<void>((resolve) => { asked = resolve })
  const socket = connect(await portOf(app), '127.0.0.1')
  socket.write(`GET /x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${good}\r\n\r\n`)
  await here
  socket.destroy()
  await until(() => closed)
  await nextTurn()
  found()
  for (let i = 0; i < 20; i++) await nextTurn()
  t.match(await recorded(), [{ route: '/x', status: 499, failureCode: 'CLIENT_CLOSED_REQUEST' }])
})

t.test('a time limit of the host that answers while the key is looked up is recorded with its status', async (t) => {
  const memory = memoryStorage()
  let found = (): void => {}
  let handled = 0
  const { app, good, recorded } = await recording(t, (app) => {
    app.get('/x', { ...guarded, handlerTimeout: 20 }, async () => { handled++ })
  }, {
    storage: {
      ...memory,
      async findKeyByHash (digests) {
        await new Promise<void>((resolve) => { found = resolve })
        return await memory.findKeyByHash(digests)
      }
    }
  })
  const inject = async (): Promise<number> => (await app.inject({ url: '/x', headers: { 'x-api-key': good } })).statusCode
  const overHttp = async (): Promise<number> => (await raw(app, ['GET /x HTTP/1.1', `X-API-Key: ${good}`])).status
  for (const request of [inject, overHttp]) {
    t.equal(await request(), 503)
    t.equal(app.selfServeKeys.stats().usageBuffered, 0, 'nobody is known yet')
    found()
    await until(() => app.selfServeKeys.stats().usageBuffered > 0)
    for (let i = 0; i < 20; i++) await nextTurn()
    const events = await recorded()
    t.equal(events.length, 1)
    t.match(events, [{ route: '/x', status: 503, failureCode: 'FST_ERR_HANDLER_TIMEOUT', requestId: /^req-/ }])
  }
  t.equal(handled, 0)
})

t.test('an onResponse hook of the host, slow or failing, makes no good request a failure', async (t) => {
  const released = deferred()
  const hooks: Record<string, (app: FastifyInstance) => unknown> = {
    async: (app) => app.addHook('onResponse', async () => {}),
    slow: (app) => app.addHook('onResponse', async () => { for (let i = 0; i < 10; i++) await nextTurn() }),
    'slow, by callback': (app) => app.addHook('onResponse', (_request, _reply, done) => { setImmediate(done) }),
    rejecting: (app) => app.addHook('onResponse', async () => { throw new Error('broken') }),
    throwing: (app) => app.addHook('onResponse', () => { throw new Error('broken') }),
    'failing by callback': (app) => app.addHook('onResponse', (_request, _reply, done) => { done(new Error('broken')) }),
    hanging: (app) => app.addHook('onResponse', async () => { await released.promise })
  }
  for (const [name, hook] of Object.entries(hooks)) {
    const { app, good, recorded } = await recording(t, (app) => {
      hook(app)
      app.get('/x', guarded, ok)
      app.get('/404', guarded, async (_request, reply) => await reply.code(404).send({}))
    })
    const statuses: number[] = []
    for (const url of ['/x', '/404']) {
      statuses.push((await app.inject({ url, headers: { 'x-api-key': good } })).statusCode)
      statuses.push((await raw(app, [`GET ${url} HTTP/1.1`, `X-API-Key: ${good}`])).status)
    }
    t.strictSame(statuses, [200, 200, 404, 404], name)
    await until(() => app.selfServeKeys.stats().usageBuffered >= 4)
    for (let i = 0; i < 20; i++) await nextTurn()
    t.strictSame((await recorded()).map(({ route, status, failureCode }) => [route, status, failureCode]),
      [['/x', 200, null], ['/x', 200, null], ['/404', 404, null], ['/404', 404, null]], name)
  }
  released.resolve()
})

t.test('an id of a request is kept where it may be shown and stored, and is null elsewhere', async (t) => {
  let id: unknown
  const { app, good, recorded } = await recording(t, (app) => app.get('/x', guarded, async (_request, reply) => await reply.code(404).send({})),
    { storage: kyselyStorage({ file: ':memory:' }) }, { genReqId: () => id as string })
  const run42 = 'a1B'.repeat(14)
  const ids: Array<[id: unknown, kept: string | null]> = [
    ['req-1', 'req-1'], ['!', '!'], ['~', '~'], ['0189dcd5-5311-7d40-8db0-9496a2eef37b', '0189dcd5-5311-7d40-8db0-9496a2eef37b'],
    ['-'.repeat(128), '-'.repeat(128)], ['-'.repeat(129), null], ['x'.repeat(41), 'x'.repeat(41)], [run42, null], [`trace-${run42}!`, null], [good, null],
    [`${run42.slice(0, 41)}-${run42.slice(0, 41)}`, `${run42.slice(0, 41)}-${run42.slice(0, 41)}`],
    ['', null], ['a b', null], [' a', null], ['a\n', null], ['a\u0000', null], ['a\u007f', null], ['é', null], ['\ud800', null],
    [42, null], [1n, null], [true, null], [null, null], [undefined, null], [{ id: 'a' }, null], [{ toString: () => 'a' }, null], [['a'], null]
  ]
  for (const [given, kept] of ids) {
    id = given
    t.equal((await app.inject({ url: '/x', headers: { 'x-api-key': good } })).statusCode, 404)
    t.strictSame((await recorded()).map(({ requestId }) => requestId), [kept], String(given))
  }
  const shown = await app.selfServeKeys.usage.snapshot(ACCOUNT)
  t.equal(shown.totalFailures, ids.length, 'and each was written')
  t.strictSame(new Set(shown.recentFailures.map(({ requestId }) => requestId)), new Set(ids.map(([, kept]) => kept)))
})

t.test('a client that hangs up after the answer is not 499', async (t) => {
  const { app, good, recorded } = await recording(t, (app) => app.get('/x', guarded, ok))
  t.equal((await raw(app, ['GET /x HTTP/1.1', `X-API-Key: ${good}`])).status, 200)
  const socket = connect(await portOf(app), '127.0.0.1')
  socket.write(`GET /x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${good}\r\n\r\n`)
  await once(socket, 'data')
  socket.destroy()
  await until(() => app.selfServeKeys.stats().usageBuffered === 2)
  for (let i = 0; i < 20; i++) await nextTurn()
  t.match(await recorded(), [{ status: 200 }, { status: 200 }])
})

t.test('requests over one connection are events of their own', async (t) => {
  const { app, good, recorded } = await recording(t, (app) => app.get('/x', guarded, ok))
  const socket = connect(await portOf(app), '127.0.0.1')
  const request = `GET /x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${good}\r\n\r\n`
  socket.write(request.repeat(3))
  await until(() => app.selfServeKeys.stats().usageBuffered === 3)
  socket.destroy()
  for (let i = 0; i < 20; i++) await nextTurn()
  t.match(await recorded(), [{ status: 200 }, { status: 200 }, { status: 200 }])
})

t.test('over HTTP/2 an answered request is recorded as it was, and one whose client hung up as 499', async (t) => {
  const app = Fastify({ http2: true })
  t.after(async () => { await app.close() })
  const memory = memoryStorage()
  const events: UsageEvent[] = []
  await app.register(selfServeKeys, {
    session: login,
    storage: { ...memory, async recordUsage (batch) { events.push(...batch.events) } }
  })
  let arrived = (): void => {}
  let answer = (): void => {}
  app.get('/x', { config: { apiKey: true } }, async () => ({ ok: true }))
  app.get('/empty', { config: { apiKey: true } }, async (_request, reply) => await reply.code(204).send())
  app.get('/big', { config: { apiKey: true } }, async () => 'x'.repeat(10_000_000))
  app.get('/slow', { config: { apiKey: true } }, async () => {
    arrived()
    await new Promise<void>((resolve) => { answer = resolve })
    return {}
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { plaintext } = await storeKey(memory)
  const client = connectHttp2(`http://127.0.0.1:${(app.server.address() as { port: number }).port}`)
  t.after(() => { client.destroy() })

  for (const [count, head] of [{ ':path': '/x' }, { ':path': '/x', ':method': 'HEAD' }, { ':path': '/empty' }].entries()) {
    const good = client.request({ ...head, 'x-api-key': plaintext })
    good.resume()
    await once(good, 'close')
    await until(() => app.selfServeKeys.stats().usageBuffered === count + 1)
  }

  const here = new Promise<void>((resolve) => { arrived = resolve })
  const gone = client.request({ ':path': '/slow', 'x-api-key': plaintext })
  gone.on('error', () => {})
  await here
  gone.close(constants.NGHTTP2_CANCEL)
  await until(() => app.selfServeKeys.stats().usageBuffered === 4)
  answer()

  const half = client.request({ ':path': '/big', 'x-api-key': plaintext })
  half.on('error', () => {})
  await once(half, 'data')
  half.close(constants.NGHTTP2_CANCEL)
  await until(() => app.selfServeKeys.stats().usageBuffered === 5)
  for (let i = 0; i < 20; i++) await nextTurn()
  await app.selfServeKeys.flush()
  t.match(events, [
    { method: 'GET', status: 200, failureCode: null }, { method: 'HEAD', status: 200 }, { route: '/empty', status: 204 },
    { route: '/slow', status: 499, failureCode: 'CLIENT_CLOSED_REQUEST' }, { route: '/big', status: 499, failureCode: 'CLIENT_CLOSED_REQUEST' }
  ])
  t.equal(events.length, 5)
})

t.test('the snapshot shows what was recorded a moment ago', async (t) => {
  const { app, good } = await recording(t, (app) => app.get('/x/:id', guarded, ok))
  await app.inject({ url: '/x/1', headers: { 'x-api-key': good } })
  const usage = (await app.inject({ url: '/v1/me/usage', headers: SIGNED_IN })).json<{ totalRequests: number, recentRequests: unknown[] }>()
  t.match(usage, { totalRequests: 1, recentRequests: [{ route: '/x/:id', method: 'GET', status: 200, failureCode: null, requestId: null }] })
  const keys = (await app.inject({ url: '/v1/me/api-keys', headers: SIGNED_IN })).json<{ apiKeys: Array<{ lastUsedAt: string }> }>()
  t.equal(keys.apiKeys[0]!.lastUsedAt, new Date(NOW).toISOString())
})

t.test('usage: false records nothing', async (t) => {
  const { app, good, recorded, storage } = await recording(t, (app) => app.get('/x', guarded, ok), { usage: false })
  t.equal((await app.inject({ url: '/x', headers: { 'x-api-key': good } })).statusCode, 200)
  t.strictSame(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
  t.strictSame(await recorded(), [])
  t.equal((await app.selfServeKeys.usage.snapshot(ACCOUNT)).totalRequests, 0)
  t.equal((await storage.countKeys(ACCOUNT, NOW)).total, 1)
})
