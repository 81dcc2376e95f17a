// What the compiler knows of request.apiKey on each kind of route, and the mistakes it finds.
import Fastify, { type FastifyRequest, type RouteOptions } from 'fastify'
import selfServeKeys, { memoryRateLimitStore, protect, type AccountPolicy, type Caller, type RateLimitSettings, type RouteRule, type RouteRuleConfig, type SelfServeKeysOptions, type Storage, type VerifiedApiKey } from 'fastify-self-serve-keys'
import { betterAuthSession } from 'fastify-self-serve-keys/better-auth'
import { jwtSession } from 'fastify-self-serve-keys/jwt'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { redisRateLimitStore } from 'fastify-self-serve-keys/redis'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
function is<A, B> (_value: B, _equal: Equal<A, B>): void {}

const app = Fastify()
const session = { bearer: () => null }

// A key is there.
app.get('/1', { config: { apiKey: true } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/2', { config: { apiKey: {} } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/3', { config: { apiKey: { scopes: ['blocks:read'] } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/4', { config: { apiKey: { anyOfScopes: ['blocks:read'], environments: ['live'] } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/5', { config: { apiKey: { scopes: ['blocks:read'], session: false, optional: false } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.route({ method: 'POST', url: '/6', config: { apiKey: true }, handler: async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) } })
const shared = { config: { apiKey: { scopes: ['blocks:read'] } } } as const satisfies { config: { apiKey: unknown } }
app.get('/7', { config: { apiKey: true, other: 1 } as const }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/8', { config: { apiKey: { rateLimit: { max: 5, timeWindow: '1 minute' }, cost: 2 } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/9', { config: { apiKey: { rateLimit: false } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
app.get('/10', { config: { apiKey: { scopes: ['blocks:read'], rateLimit: [{ name: 'burst', max: 5, timeWindow: 1000 }, { max: 50, timeWindow: '1 day' }] } } }, async (request) => { is<VerifiedApiKey, typeof request.apiKey>(request.apiKey, true) })
protect(app, { rateLimit: { max: 5, timeWindow: '1 minute' }, cost: 2 })

// A key may be missing.
app.get('/20', { config: { apiKey: { session: true, rateLimit: { max: 5, timeWindow: '1 minute' } } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/21', { config: { apiKey: { session: true } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/22', { config: { apiKey: { optional: true } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/23', { config: { apiKey: { scopes: ['blocks:read'], session: true } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/24', { config: { apiKey: { scopes: ['blocks:read'], optional: true } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/25', { config: { apiKey: false } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/26', { config: {} }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/27', async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get<{ Params: { id: string } }>('/28', { config: { apiKey: true } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
const maybe = process.argv.length > 2
const rule: RouteRule = { session: true }
const config: RouteRuleConfig = maybe
app.get('/29', { config: { apiKey: maybe } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/30', { config: { apiKey: { session: maybe } } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/31', { config: { apiKey: rule } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.get('/32', { config: { apiKey: config } }, async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.addHook('onRequest', async (request) => { is<VerifiedApiKey | null, typeof request.apiKey>(request.apiKey, true) })
app.addHook('onResponse', async (request) => { is<Caller | null, typeof request.caller>(request.caller, true) })
export async function named (request: FastifyRequest): Promise<string> { return request.apiKey?.publicId ?? shared.config.apiKey.scopes[0] }

app.get('/40', async (request) => {
  // @ts-expect-error -- may be null
  request.apiKey.publicId.at(0)
  // @ts-expect-error -- may be null
  request.caller.accountId.at(0)
  if (request.caller?.via === 'session') request.caller.account.id.at(0)
  // @ts-expect-error -- a session has no key
  if (request.caller?.via === 'session') request.caller.apiKey.publicId.at(0)
})
app.get('/40b', async (request) => {
  // @ts-expect-error -- nobody but the library says who calls
  request.caller = null
})
app.get('/41', { config: { apiKey: true } }, async (request) => {
  // @ts-expect-error -- a verified key is not to be changed
  request.apiKey.accountId = 'another'
  // @ts-expect-error -- nor put in its place
  request.apiKey = null
  // @ts-expect-error -- the hash is not there to be read
  request.apiKey.hash.at(0)
})

// Mistakes in options.
export const keysAlone: SelfServeKeysOptions = { scopes: { 'account:read': 'Read', 'account:write': 'Write' }, accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' } } }
// @ts-expect-error -- and it must be asked by bearer
export const cookieOnly: SelfServeKeysOptions = { session: { cookie: () => null } }
// @ts-expect-error -- not an option
app.register(selfServeKeys, { session, rateLimits: [] })
// @ts-expect-error -- keys that read need a scope to write as well
app.register(selfServeKeys, { session, accountRoutes: { apiKeys: { read: 'account:read' } } })
// @ts-expect-error -- a plan is not coerced either
app.register(selfServeKeys, { session, policy: { resolve: () => ({ maxKeys: '5' }) } })
// @ts-expect-error -- no such limit in a plan
app.register(selfServeKeys, { session, policy: { resolve: async () => ({ maxApiKeys: 5 } as const) satisfies AccountPolicy } })
// @ts-expect-error -- an answer is true or false
app.register(selfServeKeys, { session, authorize: () => 'yes' })
// @ts-expect-error -- no such change to name
app.register(selfServeKeys, { session, audit: { names: { 'api_key.created': { action: 'x' } } } })
// @ts-expect-error -- what was imported is known by SHA-256
app.register(selfServeKeys, { session, keys: { accept: [{ pattern: /x/, maxLength: 9, hash: 'md5' }] } })
// @ts-expect-error -- nothing is coerced
app.register(selfServeKeys, { session, rateLimit: { max: '5', timeWindow: '1 minute' } })
// @ts-expect-error -- a rate limit has a window
app.register(selfServeKeys, { session, rateLimit: { max: 5 } })
// @ts-expect-error -- settings hold limits, and are none
export const mixed: RateLimitSettings = { max: 5, timeWindow: '1 minute', legacyHeaders: true }
// @ts-expect-error -- a store has three methods
app.register(selfServeKeys, { session, rateLimit: { store: { consume: memoryRateLimitStore().consume } } })
// @ts-expect-error -- nor is a server's address a store
app.register(selfServeKeys, { session, rateLimit: { store: 'redis://localhost' } })
// @ts-expect-error -- there are three ways to go on without the store
app.register(selfServeKeys, { session, rateLimit: { onStoreError: 'ignore' } })
// @ts-expect-error -- how many is the host's to say
app.register(selfServeKeys, { session, rateLimit: { failedVerifications: true } })
// @ts-expect-error -- a limit that nothing stands beside has no name
app.register(selfServeKeys, { session, rateLimit: { failedVerifications: { name: 'x', max: 5, timeWindow: '1 minute' } } })
// @ts-expect-error -- a plan has limits, not settings
app.register(selfServeKeys, { session, policy: { resolve: () => ({ rateLimits: { limits: false } }) } })
// @ts-expect-error -- an ioredis client answers scripts
redisRateLimitStore({ client: { status: 'ready' } })
// @ts-expect-error -- nor is it its address
redisRateLimitStore({ client: 'redis://localhost' })
// @ts-expect-error -- there are two environments
app.register(selfServeKeys, { session, keys: { defaultKey: { environment: 'prod' } } })
// @ts-expect-error -- a storage has every method of the port
app.register(selfServeKeys, { session, storage: { open: async () => {} } })
// @ts-expect-error -- an account has an id
app.register(selfServeKeys, { session: { bearer: () => ({ actor: { id: 'u1' } }) } })

// Mistakes in route configs and calls.
// @ts-expect-error -- environments are live and test
app.get('/50', { config: { apiKey: { environments: ['prod'] } } }, async () => {})
// @ts-expect-error -- scopes are a list
app.get('/51', { config: { apiKey: { scopes: 'blocks:read' } } }, async () => {})
// @ts-expect-error -- true says nothing of how many
app.get('/52', { config: { apiKey: { rateLimit: true } } }, async () => {})
// @ts-expect-error -- a limit has a window
app.get('/53', { config: { apiKey: { rateLimit: { max: 5 } } } }, async () => {})
// @ts-expect-error -- where requests are counted is the plugin's option
app.get('/54', { config: { apiKey: { rateLimit: { limits: { max: 5, timeWindow: '1 minute' } } } } }, async () => {})
// @ts-expect-error -- a cost is a number
app.get('/55', { config: { apiKey: { cost: '2' } } }, async () => {})
// @ts-expect-error -- the plan's word, not a route's
protect(app, { rateLimits: { max: 5, timeWindow: '1 minute' } })
// @ts-expect-error -- verify() charges nothing
app.selfServeKeys.verify('key', { cost: 2 })
// @ts-expect-error -- who asks comes first
app.selfServeKeys.keys.resetRateLimits('key_1')
// @ts-expect-error -- no such member
protect(app, { scope: ['blocks:read'] })
// @ts-expect-error -- protecting by false would protect nothing
protect(app, false)
// @ts-expect-error -- the actor comes first
app.selfServeKeys.keys.revoke('key_1')
// @ts-expect-error -- and names its account
app.selfServeKeys.keys.issueDefault({ credential: 'host' })
// @ts-expect-error -- a named key has a name
app.selfServeKeys.keys.issue({ accountId: 'a', credential: 'host' }, {})
// @ts-expect-error -- metadata is no part of what a body may hold
app.selfServeKeys.keys.issue({ accountId: 'a', credential: 'host' }, { label: 'x', metadata: {} })
// @ts-expect-error -- nor is a key's owner to be changed
app.selfServeKeys.keys.update({ accountId: 'a', credential: 'host' }, 'key_1', { accountId: 'b' })
// @ts-expect-error -- a window that is not offered
app.selfServeKeys.usage.snapshot('a', { window: '90d' })
// @ts-expect-error -- not a Better Auth instance
betterAuthSession({ api: {} })
// @ts-expect-error -- issuer, audience and algorithms are asked for
jwtSession({ secret: 'x' })
// @ts-expect-error -- a file, a dialect or a db
kyselyStorage({})
export const port: Partial<Storage> = {
  // @ts-expect-error -- "not found" is null, never undefined
  findKey: async () => undefined
}
export const routeOptions: RouteOptions = { method: 'GET', url: '/60', config: { apiKey: { session: true } }, handler: async () => {} }
