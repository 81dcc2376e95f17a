// The host: one envelope around every answer, account endpoints that its own keys open, and a storefront behind the keys.
import { join } from 'node:path'
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import selfServeKeys, { maskKeys, redactPaths } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { accountEndpoints } from './account.js'
import { envelopeOptions, NotFound, useEnvelope } from './envelope.js'
import { storefront } from './storefront.js'

export async function buildApp (dataDir: string): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: 'warn', redact: [...redactPaths], hooks: { streamWrite: maskKeys } },
    // Bodies are taken as they are: nothing becomes another type, nothing is dropped without a word.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    ...envelopeOptions
  })
  useEnvelope(app)
  // Publishable keys live in pages. Before the plugin, so that a page may read a refusal too; there are no cookies to abuse.
  await app.register(cors, { origin: '*', strictPreflight: false })

  await app.register(selfServeKeys, {
    storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
    routePrefix: '/api/v1/account',
    routes: accountEndpoints,
    // No session: secret keys alone open the account.
    accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' }, rateLimit: { max: 600, timeWindow: '1 minute' } },
    scopes: { 'account:read': 'Read the account', 'account:write': 'Change the account' },
    keys: {
      // "secret = full read/write": a key that names no scopes has all.
      defaultKey: { scopes: null },
      // A key is created without origins: it works on any page. It reads the public catalogue, which anyone may see.
      origins: 'optional'
    },
    audit: { names: { 'api_key.issued': { action: 'api_key.created', detail: 'Created API key "{name}"' } } }
  })
  await app.register(storefront, { prefix: '/api/v1/storefront' })
  // "Trying anything else returns 403": a publishable key is told so of what is not there, too.
  app.all('/api/v1/*', { config: { apiKey: true } }, async () => { throw new NotFound() })
  return app
}
