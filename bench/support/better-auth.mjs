// Better Auth's API-key plugin on SQLite, as its documentation sets it up; its rate limit is raised so that nobody is refused.
import { join } from 'node:path'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { credentialsOf } from './seeded-keys.mjs'
import { MAX, withRoute } from './servers.mjs'

function optionsFor (file) {
  const database = new Database(file)
  // Its documentation leaves SQLite's defaults, which wait for the disk at every write: these are faster.
  database.pragma('journal_mode = wal')
  database.pragma('synchronous = normal')
  return {
    database,
    secret: 'a secret of the benchmarks, which is long enough',
    baseURL: 'http://127.0.0.1:3000',
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ rateLimit: { timeWindow: 60_000, maxRequests: MAX } })],
    logger: { disabled: true },
    telemetry: { enabled: false }
  }
}

/** @returns a database with keys made through its server API, and the credentials */
export async function seedBetterAuth (folder, count) {
  const file = join(folder, 'better-auth.db')
  const options = optionsFor(file)
  await (await getMigrations(options)).runMigrations()
  const auth = betterAuth(options)
  const keys = []
  for (let i = 0; i < count; i++) keys.push((await auth.api.createApiKey({ body: { userId: `user_${i}` } })).key)
  options.database.close()
  return { file, credentials: credentialsOf(folder, 'better-auth', keys) }
}

/** Its server API, which a host without its HTTP routes calls. */
export function betterAuthVerification (file) {
  const auth = betterAuth(optionsFor(file))
  return (key) => auth.api.verifyApiKey({ body: { key } })
}

export function betterAuthServer (file) {
  const verify = betterAuthVerification(file)
  const app = Fastify()
  app.addHook('onRequest', async (request, reply) => {
    const { valid } = await verify(request.headers['x-api-key'])
    if (!valid) return reply.code(401).send()
  })
  return withRoute(app)
}
