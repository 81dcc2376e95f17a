// The plugin among others: foreign compilers, error handlers, cookies, sessions, Swagger, CORS, siblings, and the end of the host.
import { existsSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fastifyCookie from '@fastify/cookie'
import fastifyCors from '@fastify/cors'
import fastifySession from '@fastify/session'
import fastifySwagger from '@fastify/swagger'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyPluginAsync, type FastifySchema } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import { z } from 'zod'
import selfServeKeysDefault, { isSelfServeKeysError, memoryStorage, selfServeKeys, type Issued, type SelfServeKeysOptions, type Storage } from '../../lib/index.js'
import { BROWSER, build, login, logTo, portOf, SIGNED_IN, storeKey, type HostParts } from '../helpers/host.js'
import { ACCOUNT, failure, NOW, record } from '../helpers/keys.js'

const KEYS = '/v1/me/api-keys'
const guarded = { config: { apiKey: true } } as const

/** The main job, end to end: issue, list, use, revoke, refused. */
async function works (t: Test, app: FastifyInstance, name: string, prefix = ''): Promise<void> {
  const issued = await app.inject({ method: 'POST', url: `${prefix}${KEYS}`, headers: SIGNED_IN, payload: {} })
  t.equal(issued.statusCode, 201, `${name}: ${issued.body}`)
  const { plaintextKey, apiKey } = issued.json<Issued>()
  t.match((await app.inject({ url: `${prefix}${KEYS}`, headers: BROWSER })).json(), { apiKeys: [{ publicId: apiKey.publicId, status: 'active' }] }, name)
  const use = async (): Promise<number> => (await app.inject({ url: `${prefix}/x`, headers: { 'x-api-key': plaintextKey! } })).statusCode
  t.equal((await app.inject(`${prefix}/x`)).statusCode, 401, name)
  t.equal(await use(), 200, name)
  t.match((await app.inject({ url: `${prefix}/v1/me/usage?window=1h`, headers: SIGNED_IN })).json(), { recentRequests: [{ route: `${prefix}/x`, status: 200 }] }, name)
  t.equal((await app.inject({ method: 'DELETE', url: `${prefix}${KEYS}/${apiKey.publicId}`, headers: SIGNED_IN })).statusCode, 200, name)
  t.equal(await use(), 401, name)
}

/** Each neighbour before the plugin, then after it. */
async function bothWays (t: Test, neighbour: (app: FastifyInstance) => unknown, check: (app: FastifyInstance, when: string) => Promise<void>): Promise<void> {
  const routes = (app: FastifyInstance): void => { app.get('/x', guarded, async () => ({})) }
  const orders: Array<[string, HostParts]> = [
    ['before', { async before (app) { await neighbour(app) }, after: routes }],
    ['after', { async after (app) { await neighbour(app); routes(app) } }]
  ]
  for (const [when, parts] of orders) {
    const { app } = await build(t, { clock: { now: () => NOW, monotonic: () => 0 } }, parts)
    await check(app, when)
    await works(t, app, when)
  }
}

function useZod (app: FastifyInstance): void {
  app.setValidatorCompiler(({ schema }: { schema: z.ZodType }) => (data: unknown) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: result.error }
  })
  app.setSerializerCompiler(({ schema }: { schema: unknown }) => (data: unknown) => JSON.stringify((schema as z.ZodType).parse(data)))
  app.setSchemaErrorFormatter(() => new Error('the host\'s words'))
}

t.test('zod-style compilers on the host: its routes and ours validate and serialize as each is written', async (t) => {
  await bothWays(t, (app) => {
    useZod(app)
    const schema = { body: z.object({ height: z.coerce.number() }), response: { 200: z.object({ height: z.number() }) } }
    app.register(async (scope) => { scope.post('/zod', { schema: schema as unknown as FastifySchema }, async (request) => ({ ...request.body as object, extra: 1 })) })
  }, async (app, when) => {
    t.strictSame((await app.inject({ method: 'POST', url: '/zod', payload: { height: '7' } })).json(), { height: 7 }, when)
    t.match((await app.inject({ method: 'POST', url: '/zod', payload: {} })).json(), { statusCode: 400, message: /expected number/ }, when)
    t.match((await app.inject({ method: 'POST', url: KEYS, headers: SIGNED_IN, payload: { colour: 1 } })).json(), { code: 'INVALID_REQUEST', message: 'colour: is not known here' }, when)
    t.equal((await app.inject({ url: `${KEYS}?status=x`, headers: SIGNED_IN })).statusCode, 400, when)
    t.match((await app.inject({ url: `${KEYS}/x`, headers: SIGNED_IN })).json(), { statusCode: 404, code: 'API_KEY_NOT_FOUND', error: 'Not Found' }, when)
  })
})

t.test('a problem+json error handler gets our errors, and our headers stay', async (t) => {
  const handler = (app: FastifyInstance): void => {
    app.setErrorHandler(async (error: FastifyError, _request, reply) => {
      const status = error.statusCode ?? 500
      await reply.code(status).type('application/problem+json').send({
        type: `https://errors.example/${error.code}`, status, detail: error.message, ...(isSelfServeKeysError(error) && { details: error.details })
      })
    })
  }
  // Once a plugin is loaded, Fastify lets no later setErrorHandler reach its routes: a host sets it before it awaits.
  for (const when of ['before', 'meanwhile'] as const) {
    const { app } = await build(t, {}, { [when]: handler, after: (app) => app.get('/x', guarded, async () => ({})) })
    const nobody = await app.inject(KEYS)
    t.equal(nobody.headers['content-type'], 'application/problem+json; charset=utf-8', when)
    t.strictSame(nobody.json(), { type: 'https://errors.example/SESSION_REQUIRED', status: 401, detail: 'A signed-in session is required.', details: { presented: false } }, when)
    t.equal(nobody.headers['www-authenticate'], 'Bearer realm="api"', when)
    t.equal(nobody.headers['cache-control'], 'no-store', when)
    const field = await app.inject({ method: 'POST', url: KEYS, headers: SIGNED_IN, payload: { colour: 1 } })
    t.match(field.json(), { type: /INVALID_REQUEST/, status: 400, details: { field: 'colour' } }, when)
    const keyless = await app.inject('/x')
    t.match(keyless.json(), { type: /MISSING_API_KEY/ }, when)
    t.equal(keyless.headers['www-authenticate'], 'Bearer realm="api"', when)
    t.equal(keyless.headers['cache-control'], 'private', when)
  }
  const { app } = await build(t, { accountRoutes: { rateLimit: { max: 1, timeWindow: '1 minute' } } }, { before: handler })
  await app.inject({ method: 'POST', url: KEYS, headers: SIGNED_IN })
  const many = await app.inject({ method: 'POST', url: KEYS, headers: SIGNED_IN })
  t.match(many.json(), { type: /RATE_LIMITED/, status: 429, details: { name: 'account', retryAfter: 60 } })
  t.equal(many.headers['retry-after'], '60')
  const down = await build(t, { storage: { ...memoryStorage(), findKeyByHash () { throw new Error('down') } } }, { before: handler, after: (app) => app.get('/x', guarded, async () => ({})) })
  const { plaintext } = await storeKey(memoryStorage())
  const unavailable = await down.app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })
  t.match(unavailable.json(), { type: /STORAGE_UNAVAILABLE/, status: 503, details: { part: 'storage', retryAfter: 1 } })
  t.equal(unavailable.headers['retry-after'], '1')
})

t.test('an error handler that sends an error on, or one of an outer shape, passes through our error schemas', async (t) => {
  const { app } = await build(t, {}, {
    before: (app) => app.setErrorHandler(async (error: FastifyError, _request, reply) => {
      if (error.code === 'SESSION_REQUIRED') throw error
      await reply.code(418).send(Object.assign(new Error('short and stout'), { statusCode: 418, code: 'TEAPOT', secret: 'x' }))
    })
  })
  t.strictSame((await app.inject(KEYS)).json(), { statusCode: 401, code: 'SESSION_REQUIRED', error: 'Unauthorized', message: 'A signed-in session is required.' })
  const answer = await app.inject({ url: `${KEYS}/x`, headers: SIGNED_IN })
  t.equal(answer.statusCode, 418)
  t.strictSame(answer.json(), { statusCode: 418, code: 'TEAPOT', error: 'I\'m a Teapot', message: 'short and stout' })
})

t.test('@fastify/cookie beside us keeps its decorators, and we do not need it', async (t) => {
  await bothWays(t, async (app) => {
    await app.register(fastifyCookie, { secret: 'a secret of the host' })
    app.get('/cookies', async (request, reply) => await reply.setCookie('a', 'b').send(request.cookies))
  }, async (app, when) => {
    const answer = await app.inject({ url: '/cookies', headers: { cookie: 'c=d' } })
    t.strictSame(answer.json(), { c: 'd' }, when)
    t.match(answer.headers['set-cookie'], /^a=b/, when)
  })
  const { app } = await build(t)
  t.equal(app.hasRequestDecorator('cookies'), false)
})

t.test('@fastify/session beside us keeps its session', async (t) => {
  await bothWays(t, async (app) => {
    await app.register(fastifyCookie)
    await app.register(fastifySession, { secret: 'a secret of at least 32 characters', cookie: { secure: false } })
    app.get('/visits', async (request) => {
      const session = request.session as unknown as { visits?: number }
      session.visits = (session.visits ?? 0) + 1
      return { visits: session.visits }
    })
  }, async (app, when) => {
    const first = await app.inject('/visits')
    const cookie = String(first.headers['set-cookie']).split(';')[0]!
    t.strictSame((await app.inject({ url: '/visits', headers: { cookie } })).json(), { visits: 2 }, when)
  })
})

t.test('@fastify/swagger documents our routes where it came first, and is not broken where it came after', async (t) => {
  await bothWays(t, async (app) => {
    await app.register(fastifySwagger, { openapi: { info: { title: 'Blocks', version: '1' } } })
    app.get('/own', { schema: { tags: ['own'] } as FastifySchema }, async () => ({}))
  }, async (app, when) => {
    const { paths } = (app as unknown as { swagger: () => { paths: Record<string, Record<string, { responses: object }>> } }).swagger()
    t.ok(Object.hasOwn(paths, '/own'), when)
    t.equal(Object.hasOwn(paths, KEYS), when === 'before', when)
    if (when === 'before') {
      t.strictSame(Object.keys(paths[KEYS]!), ['get', 'post'])
      t.strictSame(Object.keys(paths[KEYS]!.post!.responses), ['200', '201', '422', '4XX'])
    }
  })
})

t.test('@fastify/cors beside us', async (t) => {
  await bothWays(t, async (app) => { await app.register(fastifyCors, { origin: ['https://app.example'], credentials: true }) }, async (app, when) => {
    const answer = await app.inject({ url: KEYS, headers: { ...BROWSER, origin: 'https://app.example' } })
    t.equal(answer.headers['access-control-allow-origin'], 'https://app.example', when)
    t.equal(answer.headers['cache-control'], 'no-store', when)
  })
})

t.test('a host\'s own GET /v1/me and routes beside ours stay as they are', async (t) => {
  await bothWays(t, (app) => {
    app.get('/v1/me', async () => ({ me: 'mine' }))
    app.get('/v1/me/settings', async () => ({ dark: true }))
  }, async (app, when) => {
    for (const [url, body] of [['/v1/me', { me: 'mine' }], ['/v1/me/settings', { dark: true }]] as const) {
      const answer = await app.inject(url)
      t.strictSame(answer.json(), body, `${when} ${url}`)
      t.equal(answer.headers['cache-control'], undefined, `${when} ${url}`)
    }
  })
})

t.test('a host that parses every content type still gets 415 from us', async (t) => {
  const { app } = await build(t, {}, { before: (app) => app.addContentTypeParser('*', { parseAs: 'string' }, (_request, _body, done) => { done(null, { environment: 'live' }) }) })
  t.equal((await app.inject({ method: 'POST', url: KEYS, headers: { ...SIGNED_IN, 'content-type': 'text/x' }, payload: 'x' })).statusCode, 415)
})

t.test('registered twice, it fails loudly; `prefix` is refused with a hint', async (t) => {
  const twice = build(t, {}, { after: (app) => app.register(selfServeKeys, { session: login, storage: memoryStorage() }) })
  await t.rejects(twice, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
  const nested = build(t, {}, { after: (app) => app.register(async (scope) => { await scope.register(selfServeKeys, { session: login, storage: memoryStorage() }) }, { prefix: '/b' }) })
  await t.rejects(nested, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
  await t.rejects(build(t, { prefix: '/api' } as Partial<SelfServeKeysOptions>), { code: 'INVALID_OPTION', message: /"prefix".*use routePrefix/, details: { option: 'prefix' } })
})

t.test('two sibling scopes may each have their own', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  for (const prefix of ['/a', '/b']) {
    app.register(async (scope) => {
      await scope.register(selfServeKeysDefault, { session: login, storage: memoryStorage() })
      scope.get('/x', guarded, async () => ({}))
    }, { prefix })
  }
  await app.ready()
  const issue = async (prefix: string): Promise<Issued> => (await app.inject({ method: 'POST', url: `${prefix}${KEYS}`, headers: SIGNED_IN })).json()
  const [a, b] = [await issue('/a'), await issue('/b')]
  const use = async (prefix: string, { plaintextKey }: Issued): Promise<number> =>
    (await app.inject({ url: `${prefix}/x`, headers: { 'x-api-key': plaintextKey! } })).statusCode
  t.strictSame([await use('/a', a), await use('/b', b), await use('/a', b), await use('/b', a)], [200, 200, 401, 401])
  await works(t, app, 'a', '/a')
  await works(t, app, 'b', '/b')
})

t.test('other plugins may depend on it by name', async (t) => {
  let seen = false
  const dependant: FastifyPluginAsync = fp(async (app) => { seen = app.hasDecorator('selfServeKeys') }, { name: 'dependant', dependencies: ['self-serve-keys'] })
  await build(t, {}, { after: (app) => app.register(dependant) })
  t.equal(seen, true)
})

t.test('nobody is asked for a session on the host\'s own routes', async (t) => {
  const { app } = await build(t, { session: { bearer: () => { throw new Error('asked') } } }, { after: (app) => app.get('/mine', async () => ({ ok: true })) })
  t.equal((await app.inject({ url: '/mine', headers: SIGNED_IN })).statusCode, 200)
})

/** Memory storage that notes what happened, with these methods in its place. */
function watched (methods: Partial<Storage> = {}): { storage: Storage, events: string[] } {
  const events: string[] = []
  const memory = { ...memoryStorage(), ...methods }
  return {
    events,
    storage: {
      ...memory,
      async recordUsage (batch) {
        await memory.recordUsage(batch)
        events.push(`recorded ${batch.events.length}`)
      },
      async close () {
        events.push('closed')
        await memory.close()
      }
    }
  }
}

t.test('closing writes the buffered usage, then closes the storage, once', async (t) => {
  const { storage, events } = watched()
  const { app } = await build(t, { storage }, { after: (app) => app.get('/x', guarded, async () => ({})) })
  const { plaintext } = await storeKey(storage)
  for (let i = 0; i < 3; i++) await app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })
  t.strictSame(events, [])
  await app.close()
  await app.close()
  t.strictSame(events, ['recorded 3', 'closed'])
})

t.test('a host that never listened, or was never ready, closes', async (t) => {
  const first = watched()
  await (await build(t, { storage: first.storage })).app.close()
  t.strictSame(first.events, ['closed'])
  const second = watched()
  const app = Fastify()
  app.register(selfServeKeys, { session: login, storage: second.storage, usage: false })
  await app.close()
  t.strictSame(second.events, ['closed'])
})

t.test('usage that cannot be written at the end is said to be lost, and the host closes all the same', async (t) => {
  const log = logTo()
  const { storage, events } = watched({ recordUsage: async () => { throw new Error('disk full') } })
  const { app } = await build(t, { storage }, { server: { logger: log.logger }, after: (app) => app.get('/x', guarded, async () => ({})) })
  const { plaintext } = await storeKey(storage)
  await app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })
  await t.rejects(app.selfServeKeys.flush(), { code: 'STORAGE_UNAVAILABLE' })
  t.equal(app.selfServeKeys.stats().usageBuffered, 1)
  await app.close()
  t.strictSame(events, ['closed'])
  t.match(log.lines.filter(({ level }) => level === 50), [{ lost: 1, msg: 'what was buffered could not be written before the end' }])
})

t.test('a key that could not be moved to the current pepper at the end does not keep the host from closing', async (t) => {
  const log = logTo()
  const { storage, events } = watched({ rehashKeys: async () => { throw new Error('locked') } })
  const { plaintext } = await storeKey(storage)
  const { app } = await build(t, { storage, usage: false, keys: { peppers: { current: 'p1', keys: { p1: 'x'.repeat(32) } } } },
    { server: { logger: log.logger }, after: (app) => app.get('/x', guarded, async () => ({})) })
  t.equal((await app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })).statusCode, 200)
  await app.close()
  t.strictSame(events, ['closed'])
  t.match(log.lines.filter(({ level }) => level === 50), [{ lost: 0, err: { code: 'STORAGE_UNAVAILABLE' } }])
})

t.test('a storage that does not open fails ready()', async (t) => {
  await t.rejects(build(t, { storage: { ...memoryStorage(), open: async () => { throw new Error('no such directory') } } }), { message: 'no such directory' })
})

t.test('usage is flushed by itself; a failure is tried again', async (t) => {
  const log = logTo()
  let failures = 2
  const memory = memoryStorage()
  let written = (): void => {}
  const done = new Promise<void>((resolve) => { written = resolve })
  const storage: Storage = {
    ...memory,
    async recordUsage (batch) {
      if (failures-- > 0) throw new Error('disk full')
      await memory.recordUsage(batch)
      written()
    }
  }
  const { app } = await build(t, { storage, usage: { flushInterval: 1 } }, { server: { logger: log.logger }, after: (app) => app.get('/x', guarded, async () => ({})) })
  await portOf(app)
  const { plaintext } = await storeKey(storage)
  await app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })
  await done
  await nextTurn()
  t.equal(app.selfServeKeys.stats().usageBuffered, 0)
  t.equal(log.lines.filter(({ msg }) => msg === 'flush failed').length, 2)
  t.equal((await app.selfServeKeys.usage.snapshot(ACCOUNT, { window: '1h' })).totalRequests, 1)
})

t.test('pruning runs by itself, a minute after the start and then every hour, unless it is off', async (t) => {
  const log = logTo()
  let pruned = 0
  const broken: Storage = { ...memoryStorage(), pruneUsage: async () => { pruned++; throw new Error('locked') } }
  const timers: Array<{ ms: number, run: () => void }> = []
  const { setTimeout } = globalThis
  t.after(() => { globalThis.setTimeout = setTimeout })
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    timers.push({ ms, run })
    return setTimeout(() => {}, 0)
  }) as unknown as typeof setTimeout
  const on = await build(t, { storage: broken }, { server: { logger: log.logger } })
  const hourly = timers.filter(({ ms }) => ms === 60_000)
  t.equal(hourly.length, 1)
  timers.length = 0
  hourly[0]!.run()
  while (!timers.some(({ ms }) => ms === 3600_000)) await nextTurn()
  t.equal(pruned, 1)
  t.match(log.lines.filter(({ level }) => level === 40), [{ msg: 'pruning failed; the next hour tries again', err: { code: 'STORAGE_UNAVAILABLE' } }])
  await on.app.close()

  timers.length = 0
  const off = await build(t, { usage: { prune: false } })
  t.ok(timers.some(({ ms }) => ms === 1000), 'only the flush')
  t.notOk(timers.some(({ ms }) => ms === 60_000))
  await off.app.close()
})

t.test('without a storage, keys are kept in a SQLite file where the host runs, and production is warned', async (t) => {
  const { NODE_ENV } = process.env
  const cwd = process.cwd()
  t.after(() => {
    process.chdir(cwd)
    process.env.NODE_ENV = NODE_ENV
  })
  process.chdir(t.testdir())
  for (const [environment, warnings] of [['test', 0], ['production', 1]] as const) {
    process.env.NODE_ENV = environment
    const log = logTo()
    const app = Fastify({ logger: log.logger })
    await app.register(selfServeKeys, { session: login })
    const { action } = (await app.inject({ method: 'POST', url: KEYS, headers: SIGNED_IN })).json<Issued>()
    t.equal(action, environment === 'test' ? 'issued' : 'rotated', 'the second finds what the first wrote')
    await app.close()
    t.equal(log.lines.filter(({ level, msg }) => level === 40 && /self-serve-keys\.db/.test(String(msg))).length, warnings, environment)
  }
  t.ok(existsSync('self-serve-keys.db'))
})

t.test('prune() removes usage and keys past their retention, step by step, and nothing younger', async (t) => {
  const memory = memoryStorage()
  const steps: string[] = []
  const storage: Storage = {
    ...memory,
    async pruneUsage (before, limit) {
      const gone = await memory.pruneUsage(before, 2)
      steps.push(`usage ${limit} ${gone}`)
      return gone
    },
    async pruneKeys (before, limit) {
      const gone = await memory.pruneKeys(before, 1)
      steps.push(`keys ${limit} ${gone}`)
      return gone
    }
  }
  const { app, clock } = await build(t, { storage })
  const { key } = await storeKey(storage)
  const old = [await storeKey(storage, { expiresAt: NOW }), await storeKey(storage, { expiresAt: NOW })]
  await record(storage, [failure(key, NOW), failure(key, NOW), failure(key, NOW)])
  clock.advance(32 * 24 * 3600_000)
  await record(storage, [failure(key, clock.now())], 'another batch')
  await app.selfServeKeys.prune()
  t.strictSame(steps, ['usage 2000 2', 'usage 2000 1', 'usage 2000 0', 'keys 2000 0'])
  t.equal((await app.selfServeKeys.usage.snapshot(ACCOUNT)).totalRequests, 1)
  steps.length = 0
  clock.advance(400 * 24 * 3600_000)
  await app.selfServeKeys.prune()
  t.strictSame(steps, ['usage 2000 1', 'usage 2000 0', 'keys 2000 1', 'keys 2000 1', 'keys 2000 0'])
  t.equal(await app.selfServeKeys.keys.find(old[0]!.key.publicId), null)
  t.match(await app.selfServeKeys.keys.find(key.publicId), { accountId: ACCOUNT, apiKey: { status: 'active' } })

  const unrecorded = await build(t, { storage, usage: false })
  steps.length = 0
  await unrecorded.app.selfServeKeys.prune()
  t.strictSame(steps, ['keys 2000 0'], 'where usage is off, it is left alone')
})

t.test('keys under an older pepper are moved by the flush', async (t) => {
  const storage = memoryStorage()
  const { plaintext, key } = await storeKey(storage)
  const secret = 'x'.repeat(32)
  const { app } = await build(t, { storage, keys: { peppers: { current: 'p1', keys: { p1: secret } } } }, { after: (app) => app.get('/x', guarded, async () => ({})) })
  const use = async (): Promise<number> => (await app.inject({ url: '/x', headers: { 'x-api-key': plaintext } })).statusCode
  t.equal(await use(), 200)
  t.match(await storage.findKey(key.publicId), { pepperId: null }, 'not on the request path')
  await app.selfServeKeys.flush()
  t.match(await storage.findKey(key.publicId), { pepperId: 'p1' })
  t.equal(await use(), 200)
})
