// What a rate limit adds to a request: ours, @fastify/rate-limit and rate-limiter-flexible, in memory and on Redis.
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { redisRateLimitStore } from 'fastify-self-serve-keys/redis'
import { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { startRedis } from './support/redis.mjs'
import { seedKeys, storageOf, withoutSessions } from './support/seeded-keys.mjs'

const KEYS = 1000
/** So high that nobody is refused. */
const MAX = 1_000_000_000
const MINUTE = { max: MAX, timeWindow: '1 minute' }
const TWO = [{ name: 'burst', max: MAX, timeWindow: '10 seconds' }, { name: 'daily', max: MAX, timeWindow: '1 day' }]

/** The same route in all variants. */
function withRoute (app, config = {}) {
  const response = { 200: { type: 'object', properties: { hello: { type: 'string' } } } }
  app.get('/', { config, schema: { response } }, (_request, reply) => { reply.send({ hello: 'world' }) })
  return app
}

async function fastifyRateLimit (options) {
  const app = Fastify()
  await app.register(rateLimit, { ...MINUTE, keyGenerator: (request) => request.headers['x-api-key'], ...options })
  return withRoute(app)
}

/** @param headers does an answer tell where the limit stands, as the others' do? */
function flexible (limiter, headers = true) {
  const app = Fastify()
  app.addHook('onRequest', async (request, reply) => {
    const { remainingPoints, msBeforeNext } = await limiter.consume(request.headers['x-api-key'])
    if (!headers) return
    reply.header('x-ratelimit-limit', MAX)
    reply.header('x-ratelimit-remaining', remainingPoints)
    reply.header('x-ratelimit-reset', Math.ceil(msBeforeNext / 1000))
  })
  return withRoute(app)
}

async function ours ({ database }, rateLimit) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...withoutSessions, storage: storageOf(database), usage: false, ...(rateLimit && { rateLimit }) })
  return withRoute(app, { apiKey: true })
}

export default {
  about: `A rate limit by API key: ${KEYS} keys in turn, none refused.`,

  async prepare (folder) {
    return { ...await seedKeys(folder, KEYS), redis: await startRedis() }
  },

  variants: {
    'bare Fastify': () => withRoute(Fastify()),
    '@fastify/rate-limit': () => fastifyRateLimit(),
    'rate-limiter-flexible': () => flexible(new RateLimiterMemory({ points: MAX, duration: 60 })),
    'rate-limiter-flexible, no headers': () => flexible(new RateLimiterMemory({ points: MAX, duration: 60 }), false),
    'ours: keys without a limit': (context) => ours(context),
    'ours: one limit': (context) => ours(context, { limits: MINUTE }),
    'ours: two limits, legacy headers': (context) => ours(context, { limits: TWO, legacyHeaders: true }),
    '@fastify/rate-limit, Redis': ({ redis }) => fastifyRateLimit({ redis: new Redis(redis) }),
    'rate-limiter-flexible, Redis': ({ redis }) => flexible(new RateLimiterRedis({ storeClient: new Redis(redis), points: MAX, duration: 60 })),
    'ours: one limit, Redis': (context) => ours(context, { limits: MINUTE, store: redisRateLimitStore({ client: new Redis(context.redis) }) })
  },

  added: [
    {
      title: 'Added by the limiter, memory',
      rows: [
        ['ours: one limit', 'ours: one limit', 'ours: keys without a limit'],
        ['ours: two limits, legacy headers', 'ours: two limits, legacy headers', 'ours: keys without a limit'],
        ['@fastify/rate-limit', '@fastify/rate-limit', 'bare Fastify'],
        ['rate-limiter-flexible', 'rate-limiter-flexible', 'bare Fastify'],
        ['rate-limiter-flexible, no headers', 'rate-limiter-flexible, no headers', 'bare Fastify']
      ]
    },
    {
      title: 'Added by the limiter, Redis',
      rows: [
        ['ours: one limit', 'ours: one limit, Redis', 'ours: keys without a limit'],
        ['@fastify/rate-limit', '@fastify/rate-limit, Redis', 'bare Fastify'],
        ['rate-limiter-flexible', 'rate-limiter-flexible, Redis', 'bare Fastify']
      ]
    },
    {
      title: 'Added by verification',
      rows: [['ours: keys without a limit', 'ours: keys without a limit', 'bare Fastify']]
    }
  ]
}
