// One instance: the same app as on one machine, but for a database and a Redis that all instances share.
import { Socket } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import selfServeKeys, { maskKeys, redactPaths } from 'fastify-self-serve-keys'
import { jwtSession } from 'fastify-self-serve-keys/jwt'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { postgresChannel } from 'fastify-self-serve-keys/postgres'
import { redisRateLimitStore } from 'fastify-self-serve-keys/redis'
import { JWT } from './token.js'

export interface Servers {
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Signs the sessions: the same for all instances. */
  readonly secret: string
}

/** @param name shown in each answer, to see who gave it */
export async function buildApp (name: string, { databaseUrl, redisUrl, secret }: Servers): Promise<FastifyInstance> {
  // The proxy says who the client is; nobody else can reach an instance.
  const app = Fastify({ logger: { level: 'warn', redact: [...redactPaths], hooks: { streamWrite: maskKeys } }, trustProxy: '127.0.0.1' })
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, connectionTimeoutMillis: 1000, idleTimeoutMillis: 2500, stream: impatientSocket })
  // Without these two a connection that breaks would end the process.
  pool.on('error', (error) => { app.log.warn(error, 'a connection to Postgres was lost') })
  pool.on('connect', (client) => { client.on('error', () => {}) })
  const redis = new Redis(redisUrl)
  redis.on('error', (error) => { app.log.warn(error, 'Redis') })
  // Hooks for the end run in the opposite order: registered first, these end after the plugin has written its last usage.
  app.addHook('onClose', async () => {
    redis.disconnect()
    await pool.end()
  })

  app.addHook('onRequest', async (_request, reply) => { reply.header('x-instance', name) })
  await app.register(selfServeKeys, {
    session: jwtSession({ secret, ...JWT }),
    storage: kyselyStorage({
      db: new Kysely({ dialect: new PostgresDialect({ pool }) }), type: 'postgres', tablePrefix: 'cluster_example_', migrate: 'start'
    }),
    scopes: { 'blocks:read': 'Read blocks' },
    rateLimit: { limits: { max: 120, timeWindow: '1 minute' }, store: redisRateLimitStore({ client: redis, prefix: 'cluster-example:' }) },
    revocation: { maxDelay: '5 seconds', channel: postgresChannel({ pool, name: 'cluster_example', heartbeat: 1000 }) }
  })
  app.get('/v1/blocks', { config: { apiKey: { scopes: ['blocks:read'] } } }, async (request) => ({ account: request.apiKey.accountId, blocks: [] }))
  return app
}

/** Gives a connection up that is silent for so long: its other end may be gone without a word. */
function impatientSocket (): Socket {
  const socket = new Socket()
  return socket.setTimeout(3000, () => { socket.destroy() })
}
