// Limits and costs that routes name: beside the key's own, by key and route; and that a config which is not understood denies.
import Fastify, { type FastifyInstance, type HTTPMethods, type RouteShorthandOptions } from 'fastify'
import t from 'tap'
import { memoryStorage, protect, selfServeKeys, type RouteRule, type RouteRuleConfig } from '../../lib/index.js'
import { MINUTE, SECOND } from '../../lib/time.js'
import { asking, KEYS, makeKey } from '../helpers/account.js'
import { BROWSER, build, login, logTo, SIGNED_IN, storeKey } from '../helpers/host.js'
import { limited, lineOf, notingStore } from '../helpers/limits.js'

const rule = (apiKey: RouteRuleConfig): RouteShorthandOptions => ({ config: { apiKey } })
const ok = async (): Promise<object> => ({})
const OWN = { max: 2, timeWindow: '1 minute' }
const HOURLY = { max: 10, timeWindow: '1 hour' }

t.test('a route\'s limit is charged beside the key\'s, and is called "route" where it has no name', async (t) => {
  const { told, get, clock } = await limited(t, { rateLimit: { limits: HOURLY, legacyHeaders: true } }, { before: (app) => app.get('/own', rule({ rateLimit: OWN }), ok) })
  const first = await get('/own')
  t.equal(first.headers['ratelimit-policy'], '"default";q=10;w=3600, "route";q=2;w=60')
  t.equal(lineOf(first), '200 "default";r=9;t=3600, "route";r=1;t=60')
  t.equal(await told('/own'), '200 "default";r=8;t=3600, "route";r=0;t=60')
  const refused = await get('/own')
  t.equal(lineOf(refused), '429 "default";r=8;t=3600, "route";r=0;t=60 after 60')
  t.match(refused.json(), { code: 'RATE_LIMITED', message: 'Too many requests: at most 2 in 60 seconds.' })
  t.match(refused.headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '60' })
  t.equal(await told('/x'), '200 "default";r=7;t=3600', 'other routes go on, and its refusals charged nothing')
  for (let i = 0; i < 7; i++) await told('/x')
  clock.pass(MINUTE)
  t.equal(await told('/own'), '429 "default";r=0;t=3540, "route";r=2;t=0 after 3540', 'nor does the key\'s refusal charge the route')
})

t.test('a route may have several, with and without names, also where keys have none of their own', async (t) => {
  const limits = [{ name: 'burst', max: 1, timeWindow: '1s' }, { max: 3, timeWindow: '1 minute' }]
  const { told, clock } = await limited(t, {}, { before: (app) => app.get('/own', rule({ rateLimit: limits }), ok).get('/none', rule({ rateLimit: [] }), ok) })
  t.equal(await told('/own'), '200 "burst";r=0;t=1, "route";r=2;t=60')
  t.equal(await told('/own'), '429 "burst";r=0;t=1, "route";r=2;t=60 after 1')
  clock.pass(SECOND)
  t.equal(await told('/own'), '200 "burst";r=0;t=1, "route";r=1;t=59')
  t.equal(await told('/x'), '200')
  t.equal(await told('/none'), '200')
})

t.test('rateLimit: false takes a route out of all limits; the key\'s budget is not shown there and not touched', async (t) => {
  const { store, consumed } = notingStore()
  const { told, key } = await limited(t, { rateLimit: { limits: { max: 1, timeWindow: '1 hour' }, store }, policy: { resolve: () => ({}) } }, {
    before (app) {
      app.get('/free', rule({ rateLimit: false }), ok)
      app.register(async (scope) => {
        protect(scope, { rateLimit: false, cost: 9 })
        scope.get('/inherits', ok)
        scope.get('/counts', rule(true), ok)
      })
    }
  })
  for (let i = 0; i < 3; i++) for (const url of ['/free', '/inherits']) t.equal(await told(url), '200')
  t.equal(consumed.length, 0)
  t.equal(await told('/counts'), '200 "default";r=0;t=3600')
  t.equal(await told('/x'), '429 "default";r=0;t=3600 after 3600')
  t.equal(await told('/free'), '200', 'nor does an empty budget close it')
  t.equal(await told('/free', `${key}x`), '401', 'a key it still asks for')
})

t.test('which requests share a budget: those of one key on one route', async (t) => {
  const limit = rule({ rateLimit: { max: 2, timeWindow: '1 minute' } })
  const shared: RouteRule = { rateLimit: { max: 2, timeWindow: '1 minute' } }
  const several = (method: HTTPMethods[]) => ({ method, config: { apiKey: shared }, handler: ok })
  const { app, storage, key } = await limited(t, {}, {
    before (app) {
      app.get('/blocks/:height', limit, ok)
      app.post('/blocks/:height', limit, ok)
      app.get('/blocks', limit, ok)
      app.get('/wild/*', limit, ok)
      app.get('/optional/:id?', limit, ok)
      app.route({ url: '/several', ...several(['GET', 'PUT']) })
      app.route({ url: '/several-2', ...several(['PUT', 'PATCH']) })
      app.route({ url: '/head', ...several(['HEAD']) })
      app.all('/all', limit, ok)
      for (const prefix of ['/v1', '/v2']) {
        app.register(async (scope) => {
          scope.get('/', limit, ok)
          scope.get('/same', limit, ok)
        }, { prefix })
      }
      app.register(async (scope) => {
        protect(scope, shared)
        scope.get('/one', ok)
        scope.get('/two', ok)
        scope.register(async (inner) => { inner.get('/deep', ok) }, { prefix: '/inner' })
      }, { prefix: '/scope' })
    }
  })
  const other = (await storeKey(storage)).plaintext
  const ask = async (line: string, key: string): Promise<string> => {
    const [method, url] = line.split(' ')
    return lineOf(await app.inject({ method: method as 'GET', url: url!, headers: { 'x-api-key': key } }))
  }
  /** Each row is one budget: it admits two, in whichever of these ways they come, and no row takes from another. */
  const budgets: Array<[first: string, second: string, ...more: string[]]> = [
    ['GET /blocks/1', 'GET /blocks/2?x=1', 'HEAD /blocks/3'], ['POST /blocks/1', 'POST /blocks/2'], ['GET /blocks', 'HEAD /blocks', 'GET /blocks?page=2'],
    ['GET /wild/a', 'GET /wild/b/c', 'HEAD /wild/d'], ['GET /optional', 'GET /optional/1'], ['HEAD /several', 'PUT /several', 'GET /several'],
    ['PUT /several-2', 'PATCH /several-2'], ['HEAD /head', 'HEAD /head?2'], ['GET /all', 'DELETE /all', 'HEAD /all', 'OPTIONS /all'], ['GET /v1', 'GET /v1/', 'HEAD /v1'],
    ['GET /v2', 'GET /v2/'], ['GET /v1/same', 'HEAD /v1/same'], ['GET /v2/same', 'HEAD /v2/same'], ['GET /scope/one', 'HEAD /scope/one'], ['GET /scope/two', 'GET /scope/two?x'],
    ['GET /scope/inner/deep', 'HEAD /scope/inner/deep']
  ]
  for (const presented of [key, other]) {
    for (const [first, second, ...more] of budgets) {
      t.equal(await ask(first, presented), '200 "route";r=1;t=60', first)
      t.equal(await ask(second, presented), '200 "route";r=0;t=60', second)
      for (const line of [first, second, ...more]) t.equal(await ask(line, presented), '429 "route";r=0;t=60 after 60', line)
    }
  }
})

t.test('instances of a host count under the same names, the methods of a route together', async (t) => {
  const { store, consumed } = notingStore()
  const before = (app: FastifyInstance): void => {
    app.route({ method: ['PUT', 'GET'], url: '/v1/:id', config: { apiKey: { rateLimit: OWN } }, handler: ok })
    app.post('/v1/:id', rule({ rateLimit: [{ name: 'burst', ...OWN }, OWN] }), ok)
  }
  const one = await limited(t, { rateLimit: { limits: HOURLY, store } }, { before })
  const two = await limited(t, { rateLimit: { limits: HOURLY, store }, storage: one.storage }, { before })
  t.equal(await one.told('/v1/1'), '200 "default";r=9;t=3600, "route";r=1;t=60')
  t.equal(await two.told('/v1/1', one.key, { method: 'PUT' }), '200 "default";r=8;t=3600, "route";r=0;t=60')
  t.equal(await one.told('/v1/1', one.key, { method: 'HEAD' }), '429 "default";r=8;t=3600, "route";r=0;t=60 after 60')
  await two.told('/v1/1', one.key, { method: 'POST' })
  const ids = [`${one.publicId}/default`, `${one.publicId}/GET /v1/:id 2/60000/route`]
  t.strictSame(consumed.map(({ ids }) => ids), [ids, ids, ids, [ids[0], `${one.publicId}/POST /v1/:id 2/60000,2/60000/burst`, `${one.publicId}/POST /v1/:id 2/60000,2/60000/route`]])
})

t.test('routes of one URL that differ in a constraint and in their limits neither use up nor end each other\'s', async (t) => {
  const { told, clock } = await limited(t, {}, {
    before (app) {
      app.route({ method: 'GET', url: '/v', constraints: { version: '1.0.0' }, ...rule({ rateLimit: { max: 3, timeWindow: '1 day' } }), handler: ok })
      app.route({ method: 'GET', url: '/v', constraints: { version: '2.0.0' }, ...rule({ rateLimit: { max: 3, timeWindow: '1 second' } }), handler: ok })
    }
  })
  const asked = async (version: string): Promise<string> => await told('/v', undefined, { headers: { 'accept-version': version } })
  for (const remaining of [2, 1, 0]) t.equal(await asked('1.0.0'), `200 "route";r=${remaining};t=86400`)
  t.equal(await asked('1.0.0'), '429 "route";r=0;t=86400 after 86400')
  for (const remaining of [2, 1, 0]) t.equal(await asked('2.0.0'), `200 "route";r=${remaining};t=1`)
  clock.pass(1000)
  t.equal(await asked('2.0.0'), '200 "route";r=2;t=1')
  t.equal(await asked('1.0.0'), '429 "route";r=0;t=86399 after 86399')
})

t.test('cost is charged to each limit, the key\'s and the route\'s, and to none where one has no room for it', async (t) => {
  const { told, publicId, app } = await limited(t, { rateLimit: HOURLY }, {
    before (app) {
      app.get('/four', rule({ cost: 4 }), ok)
      app.get('/both', rule({ cost: 3, rateLimit: { max: 5, timeWindow: '1 minute' } }), ok)
      app.get('/eleven', rule({ cost: 11 }), ok)
      app.register(async (scope) => {
        protect(scope, { cost: 2 })
        scope.get('/two', ok)
        scope.get('/one', rule(true), ok)
      })
    }
  })
  t.equal(await told('/eleven'), '429 "default";r=10;t=0 after 3600', 'what never finds room is not told to come back at once')
  t.equal(await told('/both'), '200 "default";r=7;t=3600, "route";r=2;t=60')
  t.equal(await told('/both'), '429 "default";r=7;t=3600, "route";r=2;t=60 after 60')
  t.equal(await told('/four'), '200 "default";r=3;t=3600')
  t.equal(await told('/four'), '429 "default";r=3;t=3600 after 3600')
  t.equal(await told('/two'), '200 "default";r=1;t=3600', 'a smaller one still finds room')
  t.equal(await told('/one'), '200 "default";r=0;t=3600', 'a route\'s own config replaces its scope\'s')
  t.match((await asking(app)('GET', `${KEYS}/${publicId}`)).json.apiKey.rateLimits, [{ name: 'default', remaining: 0 }], 'the list shows the key\'s own limits alone')
})

t.test('sessions, callers without a key and refused keys are not charged on a limited route', async (t) => {
  const { store, consumed } = notingStore()
  const { app, told } = await limited(t, { rateLimit: { store } }, {
    before: (app) => app.get('/own', rule({ session: true, optional: true, scopes: ['blocks:read'], rateLimit: { max: 1, timeWindow: '1 minute' } }), ok)
  })
  const narrow = (await makeKey(app, { scopes: ['transactions:write'] })).plaintext
  for (let i = 0; i < 3; i++) {
    for (const headers of [SIGNED_IN, BROWSER, {}]) t.equal(lineOf(await app.inject({ url: '/own', headers })), '200')
    t.equal(await told('/own', narrow), '403')
  }
  t.equal(consumed.length, 0)
  t.equal(await told('/own'), '200 "route";r=0;t=60')
  t.equal(await told('/own'), '429 "route";r=0;t=60 after 60')
})

/** What is wrong, and how the error says it. */
const MALFORMED: Array<[apiKey: object, fault: string]> = [
  [{ rateLimit: true }, 'rateLimit" must be an object'],
  [{ rateLimit: null }, 'rateLimit" must be an object'],
  [{ rateLimit: 5 }, 'rateLimit" must be an object'],
  [{ rateLimit: {} }, 'rateLimit.max" is required'],
  [{ rateLimit: { max: 5 } }, 'rateLimit.timeWindow" is required'],
  [{ rateLimit: { max: '5', timeWindow: '1 minute' } }, 'rateLimit.max" must be an integer from 1 to 999999999999999'],
  [{ rateLimit: { max: 0, timeWindow: '1 minute' } }, 'rateLimit.max" must be an integer from 1 to 999999999999999'],
  [{ rateLimit: { max: 5, timeWindow: 'soon' } }, 'rateLimit.timeWindow" must be a positive integer of milliseconds or text such as \'90 days\''],
  [{ rateLimit: { max: 5, timeWindow: 999 } }, `rateLimit.timeWindow" must be from 1000 to ${Number.MAX_SAFE_INTEGER} milliseconds`],
  [{ rateLimit: { ...OWN, name: 'My limit' } }, 'rateLimit.name" must be 1 to 32 lower-case letters, digits, _ and -'],
  [{ rateLimit: { ...OWN, store: {} } }, 'rateLimit.store" is not an option'],
  [{ rateLimit: { limits: OWN } }, 'rateLimit.limits" is not an option'],
  [{ rateLimit: [OWN, OWN] }, 'rateLimit" must have a different name for each limit'],
  [{ rateLimit: [OWN, { max: 5 }] }, 'rateLimit[1].timeWindow" is required'],
  [{ rateLimit: [undefined] }, 'rateLimit[0]" must be an object'],
  ...[0, -1, 1.5, '2', NaN, Infinity, null, true].map((cost): [object, string] => [{ cost }, 'cost must be an integer from 1']),
  [{ cost: 3, rateLimit: OWN }, 'cost is more than rateLimit admits in a window, 2'],
  [{ rateLimit: [{ name: 'day', max: 9, timeWindow: '1 day' }, OWN], cost: 3 }, 'cost is more than rateLimit admits in a window, 2'],
  [{ rateLimits: OWN }, 'rateLimits is not a member of it']
]

t.test('a malformed rateLimit or cost stops the host at ready(), naming the route and what is wrong', async (t) => {
  for (const [apiKey, fault] of MALFORMED) {
    const said = fault.includes('"') ? `"${fault}` : fault
    const started = build(t, {}, { after: (app) => app.route({ method: 'POST', url: '/v1/:id', config: { apiKey: apiKey as RouteRule }, handler: ok }) })
    await t.rejects(started, {
      code: 'INVALID_ROUTE_CONFIG', message: `The route config "apiKey" of POST /v1/:id is not valid: ${said}.`, details: { method: 'POST', url: '/v1/:id' }
    })
    const scoped = build(t, {}, { after: (app) => { app.register(async (scope) => { protect(scope, apiKey as RouteRule) }) } })
    await t.rejects(scoped, { code: 'INVALID_ROUTE_CONFIG', message: `The route config "apiKey" of every route of protect() is not valid: ${said}.` })
  }
})

t.test('and where it was declared before the plugin, each request is refused and charged nothing', async (t) => {
  const { store, consumed } = notingStore()
  const log = logTo()
  const { told } = await limited(t, { rateLimit: { limits: HOURLY, store } }, {
    server: { logger: log.logger },
    before: (app) => { MALFORMED.forEach(([apiKey], i) => { app.get(`/bad/${i}`, rule(apiKey as RouteRule), ok) }) }
  })
  for (const i of MALFORMED.keys()) t.equal(await told(`/bad/${i}`), '403', JSON.stringify(MALFORMED[i]![0]))
  t.equal(consumed.length, 0)
  const said = log.lines.filter(({ msg }) => msg === 'route config "apiKey" is not valid: the request is refused')
  t.strictSame(said.map(({ method, url }) => [method, url]), MALFORMED.map((_one, i) => ['GET', `/bad/${i}`]))
  t.equal(await told('/x'), '200 "default";r=9;t=3600')
})

t.test('a cost that a limit admits just so, and one without a limit, are fine; verify() takes neither', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  await app.register(selfServeKeys, { session: login, storage: memoryStorage() })
  app.get('/exact', rule({ cost: 2, rateLimit: OWN }), ok)
  app.get('/alone', rule({ cost: 1_000_000 }), ok)
  app.get('/free', rule({ cost: 5, rateLimit: false }), ok)
  await app.ready()
  t.strictSame(app.selfServeKeys.routes().routes.filter(({ rule, method }) => rule !== null && method === 'GET').map(({ url, rule }) => [url, rule]), [
    ['/exact', { cost: 2, rateLimit: OWN }], ['/alone', { cost: 1_000_000 }], ['/free', { cost: 5, rateLimit: false }]
  ])
  for (const requirement of [{ cost: 1 }, { rateLimit: OWN }]) {
    await t.rejects(app.selfServeKeys.verify('x', requirement as object), { code: 'INVALID_REQUEST', message: `requirement: ${Object.keys(requirement)[0]} is not a member of it` })
  }
})
