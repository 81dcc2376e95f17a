// Bent paths, under every option of the router: no protected handler is reached without a credential, and none is kept from whoever has one.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { protect, type UsageSinkBatch } from '../../lib/index.js'
import { KEYS, makeKey, type Made } from '../helpers/account.js'
import { BROWSER, build, login, SIGNED_IN, type Host } from '../helpers/host.js'
import { auditOf } from '../helpers/keys.js'
import { rawConnection, type PlainAnswer } from '../helpers/raw-connection.js'
import { ROUTERS, type Router } from './paths/routers.js'
import { TRICKS } from './paths/tricks.js'

// Of the router's options in the form that Fastify means to drop, it warns each time.
process.removeAllListeners('warning')

/** Patterns that are open to everybody. */
const OPEN: ReadonlySet<string> = new Set(['/v1/open/*', '/api-key', '/api-key/', '/api-key/page.css', '/api-key/page.js', '/api-key/element.js'])
/** Patterns that ask for a key, and a path that each matches. */
const GUARDED: Readonly<Record<string, string>> = {
  '/v1/early': '/v1/early',
  '/v1/Mixed/Case': '/v1/Mixed/Case',
  '/v1/blocks/:height': '/v1/blocks/12',
  '/v1/files/*': '/v1/files/a/b',
  '/v1/reports': '/v1/reports',
  '/v1/guarded/data': '/v1/guarded/data'
}
const TOKEN = '/api-key/token'

interface Bent extends Host {
  key: Made
  /** Patterns of the handlers that were reached. */
  reached: string[]
  batches: UsageSinkBatch[]
  /** Sends a request over a socket, with all that opens anything or with nothing. */
  ask: (method: string, path: string, signedIn?: boolean) => Promise<PlainAnswer>
  /** The same request to a host that has the same routes and nothing else. */
  bare: (method: string, path: string) => Promise<PlainAnswer>
}

/** Tells which route it is, in headers: an answer to HEAD has no more. */
async function whichRoute ({ routeOptions, params }: FastifyRequest, reply: FastifyReply): Promise<object> {
  reply.header('x-route', routeOptions.url).header('x-params', encodeURIComponent(JSON.stringify(params)))
  return {}
}

/** A host whose handlers note that they were reached, and its double without the plugin. */
async function bent (t: Test, { options, constraints = {}, headers = [] }: Router): Promise<Bent> {
  const reached: string[] = []
  const batches: UsageSinkBatch[] = []
  const declared: RouteOptions[] = []
  const get = (app: FastifyInstance, url: string, config: object = { apiKey: true }): void => { app.get(url, { config, constraints }, whichRoute) }
  const host = await build(t, {
    // Whoever has a cookie has a token.
    session: { ...login, token: ({ cookies }) => cookies.session ?? null },
    routes: { profile: true },
    dashboard: true,
    usage: { flushInterval: '1 week', prune: false, sink: async (batch) => { batches.push(batch) } },
    accountRoutes: { rateLimit: false }
  }, {
    server: options,
    before (app) {
      app.addHook('onRoute', (route) => { declared.push({ ...route }) })
      app.addHook('preHandler', async ({ is404, routeOptions }) => { if (!is404) reached.push(routeOptions.url!) })
      get(app, '/v1/early')
    },
    after (app) {
      for (const url of ['/v1/Mixed/Case', '/v1/blocks/:height', '/v1/files/*']) get(app, url)
      get(app, '/v1/reports', { apiKey: { session: true } })
      get(app, '/v1/open/*', {})
      app.register(async (scope) => {
        protect(scope)
        get(scope, '/v1/guarded/data', {})
      })
    }
  })
  const double = Fastify(options)
  t.after(async () => { await double.close() })
  for (const { method, url, constraints } of declared) double.route({ method, url, handler: whichRoute, exposeHeadRoute: false, ...(constraints !== undefined && { constraints }) })

  const key = await makeKey(host.app)
  const good = Object.entries({ ...key.credential, ...SIGNED_IN, ...BROWSER }).map(([name, value]) => `${name}: ${value}`)
  const [ours, theirs] = [await rawConnection(host.app), await rawConnection(double)]
  t.after(() => { ours.close(); theirs.close() })
  const head = (method: string, path: string): string[] => [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers]
  return {
    ...host,
    key,
    reached,
    batches,
    ask: async (method, path, signedIn = false) => await ours.ask([...head(method, path), ...(signedIn ? good : [])]),
    bare: async (method, path) => await theirs.ask(head(method, path))
  }
}

/** Who gets what by one path: what is wrong with it. */
async function faultsOf ({ ask, bare, reached }: Bent, path: string): Promise<string[]> {
  const faults: string[] = []
  const must = (isSo: boolean, fault: string): void => { if (!isSo) faults.push(`${JSON.stringify(path)}: ${fault}`) }
  const during = async (asked: Promise<PlainAnswer>): Promise<PlainAnswer & { handlers: string }> => {
    reached.length = 0
    const answer = await asked
    return { ...answer, handlers: reached.join() }
  }

  for (const method of ['GET', 'HEAD']) {
    const { status, headers: { 'x-route': route, 'x-params': params } } = await bare(method, path)
    const stranger = await during(ask(method, path))
    if (route === undefined || OPEN.has(route)) {
      must(stranger.status === status, `${method} ${stranger.status} in place of the router's ${status}`)
      must(stranger.handlers === (route ?? ''), `${method} reached ${stranger.handlers}`)
    } else {
      must(stranger.status === 401, `${method} without a credential ${stranger.status}`)
      // The token's handler is what judges.
      must(stranger.handlers === '' || route === TOKEN, `${method} without a credential reached ${stranger.handlers}`)
      must(stranger.headers['www-authenticate'] !== undefined, `${method} has no challenge`)
    }
    if (method === 'HEAD') continue
    const customer = await during(ask(method, path, true))
    if (route === undefined) must(customer.status === status && customer.handlers === '', `${customer.status} with credentials in place of the router's ${status}`)
    else if (route in GUARDED || OPEN.has(route) || route === TOKEN) must(customer.status === 200 && customer.handlers === route, `${customer.status} with credentials, reached ${customer.handlers}`)
    // A bent id names no key, a bent query is refused: but it is the route that says so.
    else must([200, 400, 404].includes(customer.status) && customer.headers['cache-control'] === 'no-store', `${customer.status} with credentials`)
    if (route !== undefined && route in GUARDED) must(customer.headers['x-route'] === route && customer.headers['x-params'] === params, 'other params than the router\'s')
  }
  for (const method of ['POST', 'PATCH', 'DELETE']) {
    const stranger = await during(ask(method, path))
    must(stranger.status >= 400 && stranger.handlers === '', `${method} without a credential ${stranger.status}, reached ${stranger.handlers}`)
  }
  return faults
}

for (const [name, router] of Object.entries(ROUTERS)) {
  t.test(`${name}: nothing guarded is reached by a bent path, and what is reached is what the router matches`, async (t) => {
    const host = await bent(t, router)
    const { app, storage, key, batches } = host
    const before = await auditOf(storage)
    const paths = [...Object.values(GUARDED), '/v1/me', KEYS, key.url, `${key.url}/usage`, '/v1/me/audit', TOKEN]
    for (const path of paths) {
      const faults: string[] = []
      for (const trick of Object.values(TRICKS)) faults.push(...await faultsOf(host, trick(path)))
      t.strictSame(faults, [], path)
    }
    t.strictSame(await auditOf(storage), before, 'nothing was changed')

    await app.selfServeKeys.flush()
    const recorded = batches.flatMap(({ events }) => events.map(({ route }) => route))
    t.ok(recorded.length > Object.keys(GUARDED).length, 'some bent paths are reached')
    t.strictSame(recorded.filter((route) => !(route in GUARDED)), [], 'usage names patterns alone')
  })

  t.test(`${name}: what a bent path changes is in the audit log as if the path were straight`, async (t) => {
    const { app, storage, ask } = await bent(t, router)
    for (const [trick, bend] of Object.entries(TRICKS)) {
      const { publicId, url } = await makeKey(app, { label: 'Bent' })
      const before = await auditOf(storage)
      const { status } = await ask('DELETE', bend(url), true)
      const revoked = status === 200
      const entries = await auditOf(storage)
      t.strictSame(revoked ? entries.slice(1) : entries, before, `${trick}: ${status}`)
      if (revoked) t.match(entries[0], { action: 'api_key.revoked', targetId: publicId, detail: 'Revoked API key "Bent"' }, trick)
      t.equal((await app.selfServeKeys.keys.find(publicId))!.apiKey.status, revoked ? 'revoked' : 'active', trick)
    }
  })
}
