// What a rate limit adds to a request: ours, @fastify/rate-limit and rate-limiter-flexible, in memory and on Redis.
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { redisRateLimitStore } from 'fastify-self-serve-keys/redis'
import { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { measure } from './harness.mjs'
import { added, fixed, median, spread } from './support/figures.mjs'
import { startRedis } from './support/redis.mjs'
import { seedKeys, storageOf } from './support/seeded-keys.mjs'
import { bareServer, MAX, ourServer, rateLimit as minute, withRoute } from './support/servers.mjs'

const KEYS = 1000
const TWO = [{ name: 'burst', max: MAX, timeWindow: '10 seconds' }, { name: 'daily', max: MAX, timeWindow: '1 day' }]

async function fastifyRateLimit (options) {
  const app = Fastify()
  await app.register(rateLimit, { ...minute, keyGenerator: (request) => request.headers['x-api-key'], ...options })
  return withRoute(app)
}

/** It is no plugin: the hook is a host's, and tells where the limit stands as the others do. */
function flexible (limiter) {
  const app = Fastify()
  app.addHook('onRequest', async (request, reply) => {
    const { remainingPoints, msBeforeNext } = await limiter.consume(request.headers['x-api-key'])
    reply.header('x-ratelimit-limit', MAX)
    reply.header('x-ratelimit-remaining', remainingPoints)
    reply.header('x-ratelimit-reset', Math.ceil(msBeforeNext / 1000))
  })
  return withRoute(app)
}

function ours ({ file }, rateLimit) {
  return ourServer({ storage: storageOf(file), usage: false, ...(rateLimit && { rateLimit }) })
}

export const variants = {
  'bare Fastify': bareServer,
  '@fastify/rate-limit': () => fastifyRateLimit(),
  'rate-limiter-flexible': () => flexible(new RateLimiterMemory({ points: MAX, duration: 60 })),
  'ours: keys without a limit': (context) => ours(context),
  'ours: one limit': (context) => ours(context, { limits: minute }),
  'ours: two limits, legacy headers': (context) => ours(context, { limits: TWO, legacyHeaders: true }),
  '@fastify/rate-limit, Redis': ({ redis }) => fastifyRateLimit({ redis: new Redis(redis) }),
  'rate-limiter-flexible, Redis': ({ redis }) => flexible(new RateLimiterRedis({ storeClient: new Redis(redis), points: MAX, duration: 60 })),
  'ours: one limit, Redis': (context) => ours(context, { limits: minute, store: redisRateLimitStore({ client: new Redis(context.redis) }) })
}

/** Each row: its name, a variant, and the variant without what is looked at. The first is what the others are compared with. */
const ADDED = {
  'Added by the limiter, memory': [
    ['ours: one limit', 'ours: one limit', 'ours: keys without a limit'],
    ['ours: two limits, legacy headers', 'ours: two limits, legacy headers', 'ours: keys without a limit'],
    ['@fastify/rate-limit', '@fastify/rate-limit', 'bare Fastify'],
    ['rate-limiter-flexible', 'rate-limiter-flexible', 'bare Fastify']
  ],
  'Added by the limiter, Redis': [
    ['ours: one limit', 'ours: one limit, Redis', 'ours: keys without a limit'],
    ['@fastify/rate-limit', '@fastify/rate-limit, Redis', 'bare Fastify'],
    ['rate-limiter-flexible', 'rate-limiter-flexible, Redis', 'bare Fastify']
  ]
}

export default {
  about: `A rate limit by API key, CPU µs a request: ${KEYS} keys in turn, none refused; usage off, SQLite by file, Redis on the load's core; wrk, 32 connections.`,

  async run ({ folder, rounds = 7, ...tools }) {
    const { file, credentials } = await seedKeys(folder, KEYS)
    const results = await measure({
      ...tools, rounds, credentials, context: { file, redis: await startRedis() }, file: import.meta.filename, cases: Object.keys(variants).map((name) => ({ name }))
    })
    const cpuOf = (name) => results.get(name).map(({ cpu }) => cpu)
    const tableOf = ([title, rows]) => {
      const byRow = rows.map(([name, variant, without]) => [name, added(cpuOf(variant), cpuOf(without))])
      const first = median(byRow[0][1])
      return {
        title,
        columns: ['median', 'min', 'max', 'of the first'],
        rows: byRow.map(([name, rounds]) => [name, [...spread(rounds), `${fixed(median(rounds) / first, 2)}×`]])
      }
    }
    return {
      tables: [
        { title: 'Variant', columns: ['median', 'min', 'max'], rows: Object.keys(variants).map((name) => [name, spread(cpuOf(name))]) },
        ...Object.entries(ADDED).map(tableOf)
      ],
      bars: []
    }
  }
}
