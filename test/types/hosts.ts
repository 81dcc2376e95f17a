// Hosts that must compile under strict: the promise of the README, for each kind of login.
import Fastify from 'fastify'
import { betterAuth } from 'better-auth'
import { bearer } from 'better-auth/plugins'
import { fromNodeHeaders } from 'better-auth/node'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Cluster, Redis } from 'ioredis'
import selfServeKeys, {
  actorOf, decide, getApiKey, isSelfServeKeysError, memoryRateLimitStore, memoryStorage, protect, standardRoutes, stateOf,
  type AccountEvent, type AccountPolicy, type Bucket, type Consumed, type LimitState, type RateLimitStore, type RateLimitWindow, type SelfServeKeysOptions, type SessionResolver
} from 'fastify-self-serve-keys'
import { betterAuthSession } from 'fastify-self-serve-keys/better-auth'
import { jwtSession } from 'fastify-self-serve-keys/jwt'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { redisRateLimitStore } from 'fastify-self-serve-keys/redis'
import { rateLimitStoreContract, storageContract } from 'fastify-self-serve-keys/testing'

const auth = betterAuth({ emailAndPassword: { enabled: true }, plugins: [bearer()] })

export async function betterAuthHost (): Promise<void> {
  const app = Fastify()
  await app.register(selfServeKeys, {
    session: betterAuthSession(auth),
    storage: kyselyStorage({ file: './keys.db' }),
    scopes: { 'blocks:read': 'Read blocks', 'transactions:write': 'Submit transactions' },
    keys: { prefix: 'acme' },
    rateLimit: { max: 120, timeWindow: '1 minute' }
  })
  app.get('/v1/blocks', { config: { apiKey: { scopes: ['blocks:read'] } } }, async (request) => [request.apiKey.environment, getApiKey(request).accountId])
  app.register(async (reports) => {
    protect(reports, { scopes: ['blocks:read'], session: true })
    reports.get('/v1/reports', async (request) => request.caller!.accountId)
  })
  await app.listen({ port: 3000 })
}

export const organisations: SelfServeKeysOptions = {
  session: betterAuthSession(auth, {
    account: async ({ user, session }, ask) => ask.fresh ? { id: session.userId, actor: { id: user.id, name: user.name } } : null
  })
}

export async function jwtHost (): Promise<void> {
  const app = Fastify()
  await app.register(selfServeKeys, {
    session: jwtSession({
      jwks: 'https://login.example.com/.well-known/jwks.json',
      issuer: 'https://login.example.com',
      audience: 'api',
      algorithms: ['RS256'],
      account: (claims) => typeof claims.org === 'string' ? { id: claims.org } : null,
      cookie: 'session'
    })
  })
  app.get('/v1/blocks', { config: { apiKey: true } }, async (request) => request.apiKey.publicId)
}

const own: SessionResolver = {
  bearer: async (token, { signal, log }) => {
    log.debug({ aborted: signal.aborted }, 'asked')
    return token === 'let-me-in' ? { id: 'u1', actor: { id: 'u1', name: 'Ada' }, profile: { name: 'Ada' } } : null
  },
  cookie: ({ cookies }) => cookies.sid === undefined ? null : { id: cookies.sid }
}

export async function ownHost (): Promise<void> {
  const app = Fastify()
  await app.register(selfServeKeys, {
    session: own,
    routes: async (scope) => {
      await scope.register(standardRoutes, { usage: false })
      scope.get('/plan', async (request) => actorOf(request).accountId)
    }
  })
  const { plaintextKey, apiKey } = await app.selfServeKeys.keys.issueDefault({ accountId: 'u1', credential: 'host' }, { environment: 'test' })
  const result = await app.selfServeKeys.verify(plaintextKey!, { scopes: ['blocks:read'] })
  if (result.ok) result.apiKey.scopes satisfies readonly string[] | null
  else result.code satisfies string
  app.selfServeKeys.routes().routes.filter(({ rule }) => rule === null) satisfies unknown[]
  apiKey.status satisfies 'active' | 'retiring' | 'disabled' | 'expired' | 'revoked'
  app.setErrorHandler((error, _request, reply) => {
    if (isSelfServeKeysError(error, 'RATE_LIMITED')) return reply.code(error.statusCode).send({ wait: error.details.retryAfter.toFixed() })
    throw error
  })
}

export async function plannedHost (): Promise<void> {
  const app = Fastify()
  const seen: AccountEvent[] = []
  await app.register(selfServeKeys, {
    session: own,
    scopes: { 'blocks:read': 'Read blocks', 'blocks:write': 'Write blocks' },
    keys: { maxLifetime: '1 year', origins: 'optional', accept: [{ pattern: /^rst_[a-z0-9]+$/, maxLength: 64, hash: 'sha256' }] },
    policy: {
      resolve: async (accountId): Promise<AccountPolicy> => accountId === 'u1'
        ? { maxKeys: 5, grantableScopes: ['blocks:read'], rateLimits: [{ max: 10, timeWindow: '1 minute' }], requireExpiry: true }
        : { suspended: true },
      onError: 'deny'
    },
    authorize: ({ account, apiKey, action }) => action !== 'keys:revoke' || (account ?? apiKey) !== null,
    audit: { names: { 'api_key.issued': { action: 'api_key.created', detail: 'Created {name}' } } },
    onEvent: (event) => { seen.push(event) },
    accountRoutes: { apiKeys: { read: 'blocks:read', write: 'blocks:write' } }
  })
  const { keys, sites, audit, policy, accounts } = app.selfServeKeys
  const host = { accountId: 'u1', credential: 'host' } as const
  const { apiKey } = await keys.issue(host, { label: 'CI', scopes: null, allowedIps: ['203.0.113.0/24'], expiresAt: null }, { metadata: { plan: 'free' } })
  await keys.rotate(host, apiKey.publicId, { overlapSeconds: 60 })
  await keys.renew(host, apiKey.publicId)
  await keys.update(host, apiKey.publicId, { enabled: false })
  const { revokedPublicIds } = await keys.revokeAll(host, { actorId: 'u2' })
  revokedPublicIds satisfies string[]
  await keys.importHashed(host, { hash: 'a'.repeat(64), label: 'Old', disabledBy: null })
  const { siteId } = await sites.add(host, 'https://*.example.com')
  await sites.remove(host, siteId)
  await audit.record(host, { action: 'login' })
  const { logs, total } = await audit.list('u1', { search: '%', limit: 10 })
  total satisfies number
  logs[0]?.actor satisfies { id: string, name: string | null } | null | undefined
  policy.invalidate('u1')
  await accounts.erase('u1')
  for (const event of seen) if (event.type === 'account.erased') event.entry satisfies null
}

export async function limitedHost (): Promise<void> {
  const app = Fastify({ trustProxy: '10.0.0.0/8' })
  const client = new Redis()
  await app.register(selfServeKeys, {
    session: own,
    rateLimit: {
      limits: [{ name: 'burst', max: 10, timeWindow: '1s' }, { name: 'daily', max: 10_000, timeWindow: '1 day' }],
      store: redisRateLimitStore({ client, prefix: 'acme:' }),
      onStoreError: 'deny',
      legacyHeaders: true,
      failedVerifications: { max: 20, timeWindow: '10 minutes' }
    },
    accountRoutes: { rateLimit: false }
  })
  app.get('/v1/search', { config: { apiKey: { cost: 5, rateLimit: { max: 30, timeWindow: '1 minute' } } } }, async (request) => request.apiKey.publicId)
  app.get('/v1/status', { config: { apiKey: { rateLimit: false } } }, async (request) => request.apiKey.publicId)
  await app.selfServeKeys.keys.resetRateLimits({ accountId: 'u1', credential: 'host' }, 'key_1')
  app.addHook('onClose', async () => { await client.quit() })
}

/** Counts by the rules of the library, and keeps the windows where it likes; an answer may be late. */
export class OwnStore implements RateLimitStore {
  readonly #used = new Map<string, RateLimitWindow>()

  async consume (buckets: readonly Bucket[], cost: number): Promise<Consumed> {
    const { windows, ...consumed } = decide(buckets.map(({ limit }) => limit), buckets.map(({ id }) => this.#used.get(id) ?? { used: 0, left: 0 }), cost)
    windows.forEach((window, place) => { this.#used.set(buckets[place]!.id, window) })
    return consumed
  }

  peek (buckets: readonly Bucket[]): LimitState[] {
    return buckets.map(({ id, limit }) => stateOf(limit, this.#used.get(id) ?? { used: 0, left: 0 }))
  }

  reset (buckets: readonly Bucket[]): void {
    for (const { id } of buckets) this.#used.delete(id)
  }
}

export const stores: SelfServeKeysOptions[] = [
  { session: own, rateLimit: { store: new OwnStore() } },
  { session: own, rateLimit: { store: memoryRateLimitStore({ maxBuckets: 1000 }) } },
  { session: own, rateLimit: { store: redisRateLimitStore({ client: new Cluster(['redis://127.0.0.1:7000']) }) } },
  { session: own, rateLimit: { limits: false, failedVerifications: false } },
  { session: own, rateLimit: [] }
]
rateLimitStoreContract(() => ({ store: new OwnStore(), pass: () => {} })).map(({ name, run }) => [name, run])

export async function http2Host (): Promise<void> {
  const app = Fastify({ http2: true })
  await app.register(selfServeKeys, { session: own })
  app.get('/', { config: { apiKey: true } }, async (request) => request.apiKey.publicId)
}

export async function typeProviderHost (): Promise<void> {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  await app.register(selfServeKeys, { session: own })
  app.get('/:number', { schema: { params: Type.Object({ number: Type.Integer() }) }, config: { apiKey: true } }, async (request) =>
    request.apiKey.publicId + request.params.number.toFixed())
}

export async function laterOptions (): Promise<void> {
  const app = Fastify()
  app.decorate('own', own)
  app.register(selfServeKeys, () => ({ session: own, storage: memoryStorage() }))
  storageContract(async () => memoryStorage()).map(({ name, run }) => [name, run])
  fromNodeHeaders({}).get('cookie')
}
