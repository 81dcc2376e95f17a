// The host: its login, its API, and between them the plugin that lets its users manage their own API keys.
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { Auth } from 'better-auth'
import Fastify, { type FastifyInstance } from 'fastify'
import selfServeKeys, { maskKeys, redactPaths } from 'fastify-self-serve-keys'
import { betterAuthSession } from 'fastify-self-serve-keys/better-auth'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { authRoutes, openAuth } from './auth.js'
import { chainRoutes } from './blocks.js'
import { signInPages } from './sign-in.js'

export interface AppSettings {
  /** Folder of both databases and the secret. */
  dataDir: string
  /** Changes an account may make to its keys in a minute; 0: no limit. */
  accountMutations: number
}

export async function buildApp ({ dataDir, accountMutations }: AppSettings): Promise<{ app: FastifyInstance, auth: Auth }> {
  const { auth, close } = await openAuth(dataDir)
  // Quiet, so that what is printed at the start stays readable; keys and cookies never reach a log.
  const app = Fastify({ logger: { level: 'warn', redact: [...redactPaths], hooks: { streamWrite: maskKeys } } })
  app.addHook('onClose', async () => { close() })

  // Before the plugin, or its routes are not in the document.
  await app.register(swagger, {
    openapi: {
      info: { title: 'Blocks API', description: 'The quickstart of fastify-self-serve-keys.', version: '1.0.0' },
      components: {
        securitySchemes: {
          session: { type: 'http', scheme: 'bearer', description: 'The token of a signed-in session' },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' }
        }
      }
    }
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })

  await app.register(selfServeKeys, {
    session: betterAuthSession(auth),
    storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
    routePrefix: '/api/v1/me',
    scopes: { 'blocks:read': 'Read blocks and reports', 'transactions:write': 'Submit transactions' },
    rateLimit: { max: 120, timeWindow: '1 minute' },
    accountRoutes: { rateLimit: accountMutations === 0 ? false : { max: accountMutations, timeWindow: '1 minute' } },
    openapi: { sessionScheme: 'session' },
    dashboard: {
      title: 'Blocks API keys',
      signInUrl: '/sign-in',
      exampleUrl: '/api/v1/blocks',
      links: [{ text: 'API document', url: '/docs' }, { text: 'Sign out', url: '/sign-out' }]
    }
  })
  await app.register(authRoutes(auth), { prefix: '/api/auth' })
  await app.register(signInPages)
  app.get('/', { schema: { hide: true } }, async (_request, reply) => await reply.redirect('/api-key'))
  await app.register(chainRoutes, { prefix: '/api/v1' })
  return { app, auth }
}
