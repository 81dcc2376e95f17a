// The host that is soaked, in a process of its own: everything switched on, SQLite by file. `node --expose-gc host.mjs FILE`; it answers messages.
import { PerformanceObserver, constants, monitorEventLoopDelay } from 'node:perf_hooks'
import { Readable, Writable } from 'node:stream'
import Fastify from 'fastify'
import selfServeKeys from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { OPTIONS, personOf } from './settings.mjs'

/** What must never happen: rejections that nobody handled, exceptions, warnings of Node's and of the library. */
const troubles = { count: 0, first: [] }
const trouble = (what) => { if (troubles.count++ < 10) troubles.first.push(String(what)) }
for (const event of ['unhandledRejection', 'uncaughtException', 'warning']) {
  process.on(event, (error) => { trouble(`${event}: ${error?.stack ?? error}`) })
}

/** Heap in use after the last full collection that V8 made by itself: what is left is alive. */
let alive = null
new PerformanceObserver((list) => {
  if (list.getEntries().some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)) alive = process.memoryUsage().heapUsed
}).observe({ entryTypes: ['gc'] })
const delay = monitorEventLoopDelay({ resolution: 10 })

let sunk = 0
const app = Fastify({
  trustProxy: true,
  // A server that closes an idle connection may meet the next request on its way: that would be no fault of anybody's.
  keepAliveTimeout: 3_600_000,
  forceCloseConnections: true,
  logger: { level: 'warn', stream: new Writable({ decodeStrings: false, write (line, _encoding, done) { trouble(line); done() } }) }
})
await app.register(selfServeKeys, {
  ...OPTIONS,
  session: { bearer: personOf, cookie: ({ cookies }) => personOf(cookies.session), token: ({ cookies }) => cookies.session ?? null },
  storage: kyselyStorage({ file: process.argv[2] }),
  routes: { profile: true },
  accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' } },
  policy: { resolve: async () => ({ maxKeys: 50, maxSites: 10 }) },
  rateLimit: {
    limits: [{ name: 'burst', max: 60, timeWindow: '10 seconds' }, { name: 'minute', max: 300, timeWindow: '1 minute' }],
    failedVerifications: { max: 30, timeWindow: '1 minute' },
    legacyHeaders: true
  },
  usage: { sink: ({ events }) => { sunk += events.length } },
  onEvent: () => {},
  authorize: () => true,
  dashboard: true
})

app.get('/v1/blocks', { config: { apiKey: { scopes: ['blocks:read'], rateLimit: { max: 1000, timeWindow: '1 minute' } } } }, async () => ({ height: 1 }))
app.post('/v1/transactions', { config: { apiKey: { scopes: ['transactions:write'] } } }, async (request) => ({ taken: request.body }))
app.get('/v1/open', { config: { apiKey: { allowPublishable: true } } }, async () => ({ height: 1 }))
app.get('/v1/reports', { config: { apiKey: { session: true } } }, async (request) => ({ of: request.caller.accountId }))
// It begins, and ends when its client goes.
app.get('/v1/endless', { config: { apiKey: true } }, (_request, reply) => {
  const stream = new Readable({ read () {} })
  stream.push('begun')
  reply.send(stream)
})

const sample = () => ({ ...process.memoryUsage(), alive, delay: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 } })

process.on('message', async (message) => {
  if (message === 'sample') {
    process.send(sample())
    delay.reset()
    return
  }
  await app.close()
  // Twice: the first runs finalizers, whose objects the second takes.
  globalThis.gc()
  globalThis.gc()
  process.send({ troubles, sunk, dropped: app.selfServeKeys.stats().usageDropped, ...sample() }, () => { process.disconnect() })
})
// Whoever asked is gone, and asks no more.
process.once('disconnect', () => { if (app.server.listening) process.exit(1) })
delay.enable()
process.send({ url: await app.listen({ port: 0, host: '127.0.0.1' }) })
