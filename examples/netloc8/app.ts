// The host: users with plans, account endpoints that their own keys open, and an API behind the keys.
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import selfServeKeys, { maskKeys, redactPaths, type AccountPolicy } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { accountEndpoints } from './account.js'
import { openUsers, type User, type Users } from './users.js'

const PLANS: Record<User['plan'], AccountPolicy> = {
  // Its keys end after a year unless they are renewed.
  free: { maxLifetime: '365 days', requireExpiry: true, maxSites: 3 },
  paid: {}
}

export async function buildApp (dataDir: string): Promise<{ app: FastifyInstance, users: Users }> {
  const users = openUsers(dataDir)
  const app = Fastify({
    logger: { level: 'warn', redact: [...redactPaths], hooks: { streamWrite: maskKeys } },
    // Bodies are taken as they are: nothing becomes another type, nothing is dropped without a word.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } }
  })
  app.addHook('onClose', async () => { users.close() })

  await app.register(selfServeKeys, {
    storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
    routePrefix: '/v1/account/me',
    routes: accountEndpoints(users),
    // No session: keys alone open the account. Each has its rate limit, the account needs none besides.
    accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' }, rateLimit: false },
    scopes: { 'account:read': 'Read the account', 'account:write': 'Change the account', 'network:read': 'Look addresses up' },
    keys: {
      prefix: (access) => access === 'secret' ? 'sk_' : 'pk_',
      defaultKey: { label: 'Demo key', scopes: null }
    },
    rateLimit: { max: 120, timeWindow: '1 minute' },
    policy: {
      resolve (accountId) {
        const user = users.find(accountId)
        // The keys of somebody who is gone stop.
        return user === undefined ? { suspended: true } : PLANS[user.plan]
      }
    },
    audit: {
      names: {
        'api_key.issued': { action: 'create_key', detail: 'Created key "{name}"' },
        'api_key.rotated': { action: 'rotate_key', detail: 'Rotated key "{name}"' },
        'api_key.renewed': { action: 'renew_key', detail: 'Renewed key "{name}"' },
        'api_key.revoked': { action: 'revoke_key', detail: 'Revoked key "{name}"' },
        'site.added': { action: 'add_site' },
        'site.removed': { action: 'remove_site' }
      }
    }
  })

  // What the keys are for; publishable ones too, on the pages of the account's sites.
  app.get('/v1/network/me', { config: { apiKey: { scopes: ['network:read'], allowPublishable: true } } }, async ({ ip }) => ({ ip }))
  return { app, users }
}
