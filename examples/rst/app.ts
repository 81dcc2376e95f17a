// The host: people who sign in for a JWT, API keys that they manage with it, and notes behind the keys.
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import selfServeKeys, { maskKeys, redactPaths } from 'fastify-self-serve-keys'
import { jwtSession } from 'fastify-self-serve-keys/jwt'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { JWT, openAuth } from './auth.js'
import { keyEndpoints } from './keys.js'
import { notesRoutes, openNotes } from './notes.js'
import { peopleRoutes } from './people.js'

export async function buildApp (dataDir: string): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: 'warn', redact: [...redactPaths], hooks: { streamWrite: maskKeys } },
    // Bodies are taken as they are: nothing becomes another type, nothing is dropped without a word.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } }
  })
  const { auth, close } = await openAuth(dataDir, app.log)
  const notes = openNotes(dataDir)
  app.addHook('onClose', async () => {
    notes.close()
    close()
  })

  await app.register(selfServeKeys, {
    // This host issues the tokens itself: the key set is at hand, whatever port it listens on.
    session: jwtSession({ ...JWT, jwks: async () => await auth.api.getJwks() }),
    storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
    routePrefix: '/v1/auth',
    routes: keyEndpoints,
    // "Send it as X-API-Key": a bearer is always a JWT.
    headers: ['x-api-key'],
    keys: { prefix: () => 'rst_' }
  })
  await app.register(peopleRoutes(auth), { prefix: '/v1/auth' })
  await app.register(notesRoutes(notes), { prefix: '/v1/me/notes' })
  return app
}
