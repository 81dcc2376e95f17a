// Serves a variant, a Fastify app, and says on request what serving has cost so far. `app.counters`, where there is one, counts more.
import { cpuTime, thisVariant } from './variant-process.mjs'

const app = await thisVariant()
let requests = 0
app.server.on('request', () => { requests++ })

process.on('message', () => { process.send({ requests, cpu: cpuTime(), rss: process.memoryUsage.rss(), ...app.counters?.() }) })
process.send({ url: await app.listen({ port: 0, host: '127.0.0.1' }) })
