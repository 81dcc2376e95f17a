// What a host's error handler is handed for each refusal of the HTTP layer: status, code, message, details and cause, to the word.
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { memoryStorage, type SelfServeKeysOptions, type SessionResolver } from '../../lib/index.js'
import { DAY, HOUR, SECOND, toIso } from '../../lib/time.js'
import { KEYS, makeKey, NO_KEY, SITES } from '../helpers/account.js'
import { BROWSER, build, login, raw, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW } from '../helpers/keys.js'

interface Refused { statusCode: number, code: string, message: string, details: unknown, cause?: unknown }
interface Request { method?: string, body?: unknown, headers?: Record<string, string> | string[] }
interface Telling extends Host { told: (url: string, request?: Request) => Promise<Partial<Refused>> }

const RETRY = { retryAfter: 1 }
const sessionRequired = (message: string, presented = true): Refused => ({ statusCode: 401, code: 'SESSION_REQUIRED', message, details: { presented } })
const invalidRequest = (message: string, field: string): Refused => ({ statusCode: 400, code: 'INVALID_REQUEST', message, details: { field } })
const forbidden = (message: string): Refused => ({ statusCode: 403, code: 'FORBIDDEN', message, details: {} })
const missingKey = (message: string): Refused => ({ statusCode: 401, code: 'MISSING_API_KEY', message, details: {} })
const invalidKey = (message = 'The API key is not valid.', details = {}): Refused => ({ statusCode: 401, code: 'INVALID_API_KEY', message, details })
const unavailable = (message: string, part: string, cause: unknown): Refused =>
  ({ statusCode: 503, code: 'STORAGE_UNAVAILABLE', message, details: { part, ...RETRY }, cause })

/** A host that keeps the errors its handlers are handed, and answers them as Fastify would. */
async function telling (t: Test, options: Partial<SelfServeKeysOptions> = {}, { before, ...parts }: HostParts = {}): Promise<Telling> {
  const errors: Error[] = []
  const host = await build(t, options, {
    ...parts,
    before (app: FastifyInstance) {
      app.addHook('onError', async (_request, _reply, error) => { errors.push(error) })
      return before?.(app)
    }
  })
  return {
    ...host,
    async told (url, { method = 'GET', body, headers = SIGNED_IN } = {}) {
      errors.length = 0
      const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
      if (Array.isArray(headers)) {
        await raw(host.app, [`${method} ${url} HTTP/1.1`, ...headers])
      } else {
        await host.app.inject({ method: method as 'GET', url, headers: { ...(payload !== undefined && { 'content-type': 'application/json' }), ...headers }, ...(payload !== undefined && { payload }) })
      }
      const { statusCode, code, message, details, cause } = errors[0] as Error & Refused
      return { statusCode, code, message, details, ...(cause !== undefined && { cause: cause instanceof Error ? cause.message : cause }) }
    }
  }
}

t.test('who is nobody, or may only read, is told why', async (t) => {
  const { app, told } = await telling(t)
  const { plaintext } = await makeKey(app)
  t.strictSame(await told(KEYS, { headers: {} }), sessionRequired('A signed-in session is required.', false))
  t.strictSame(await told(KEYS, { headers: { authorization: 'Bearer wrong' } }), sessionRequired('The session token is not valid.'))
  t.strictSame(await told(KEYS, { headers: { authorization: 'Bearer a b' } }), sessionRequired('The session token is not valid.'))
  t.strictSame(await told(KEYS, { headers: { authorization: `Bearer ${plaintext}` } }), sessionRequired('This is an API key. Send the token of a signed-in session.'))
  t.strictSame(await told(KEYS, { headers: [`Authorization: ${SIGNED_IN.authorization}`, 'Authorization: Basic eA=='] }), sessionRequired('Send one Authorization header.'))
  t.strictSame(await told(KEYS, { method: 'POST', headers: BROWSER }), {
    statusCode: 403, code: 'BEARER_REQUIRED', message: 'A session cookie may only read here. Send the session token as "Authorization: Bearer".', details: {}
  })
  const listed = await telling(t, { cookieMutations: { origins: ['https://app.example.com'] } })
  t.strictSame(await listed.told(KEYS, { method: 'POST', headers: { ...BROWSER, origin: 'https://evil.example' } }), {
    statusCode: 403, code: 'BEARER_REQUIRED', message: 'A session cookie may make changes from this site only. Send the session token as "Authorization: Bearer".', details: {}
  })
})

t.test('account routes that keys open say which credential is missing, bad or one too many', async (t) => {
  const accountRoutes = { apiKeys: { read: 'account:read', write: 'account:write' } }
  const scopes = { 'account:read': 'Read the account', 'account:write': 'Change the account' }
  const { app, told } = await telling(t, { accountRoutes, scopes })
  const { credential } = await makeKey(app)
  t.strictSame(await told(KEYS, { headers: {} }), missingKey('An API key or a signed-in session is required.'))
  t.strictSame(await told(KEYS, { headers: { ...credential, ...SIGNED_IN } }), invalidRequest('The request carries an API key and a session token. Send one of them.', 'authorization'))
  const other = await makeKey(app)
  t.strictSame(await told(KEYS, { headers: { ...credential, authorization: `Bearer ${other.plaintext}` } }),
    invalidRequest('The request carries two different API keys.', 'x-api-key, authorization'))
  const keysAlone = await telling(t, { accountRoutes, scopes, session: undefined as never })
  t.strictSame(await keysAlone.told(KEYS, { headers: {} }), missingKey('An API key is required.'))
  t.strictSame(await keysAlone.told(KEYS), invalidKey(), 'where nobody signs in, a token can only be a bad key')
})

t.test('a session that cannot be found out is 503, with what the resolver did as its cause', async (t) => {
  const message = 'The session could not be checked. Try again shortly.'
  const answering = async (bearer: () => unknown): Promise<Telling> => await telling(t, { session: { bearer } as SessionResolver, timeout: 30 })
  t.strictSame(await (await answering(() => { throw new Error('no route to host') })).told(KEYS), unavailable(message, 'session', 'no route to host'))
  t.strictSame(await (await answering(async () => await new Promise(() => {}))).told(KEYS), unavailable(message, 'session', 'The session resolver gave no answer in 30 ms.'))
  t.strictSame(await (await answering(() => ({ id: '' }))).told(KEYS), unavailable(message, 'session', 'The session resolver answered neither an account nor null.'))
  const page = await telling(t, { dashboard: true, session: { ...login, token: () => 7 as unknown as string } })
  t.strictSame(await page.told('/api-key/token', { headers: BROWSER }), unavailable(message, 'session', 'The session resolver answered neither a token nor null.'))
})

t.test('the page\'s token is refused to other origins and to nobody', async (t) => {
  const { told } = await telling(t, { dashboard: true, session: { ...login, token: () => null } })
  t.strictSame(await told('/api-key/token', { headers: { ...BROWSER, 'sec-fetch-site': 'cross-site' } }), forbidden('The session token is given to pages of this origin alone.'))
  t.strictSame(await told('/api-key/token', { headers: BROWSER }), sessionRequired('A signed-in session is required.', false))
})

t.test('what the host\'s authorize says is told, and what it fails to say is the cause of a 503', async (t) => {
  const message = 'Whether this is allowed could not be checked. Try again shortly.'
  const authorizing = async (authorize: () => unknown): Promise<Telling> => await telling(t, { authorize: authorize as () => boolean, timeout: 30 })
  t.strictSame(await (await authorizing(() => false)).told(KEYS), forbidden('This account\'s session may not do keys:read.'))
  t.strictSame(await (await authorizing(() => { throw new Error('no rule') })).told(KEYS), unavailable(message, 'authorize', 'no rule'))
  t.strictSame(await (await authorizing(async () => await new Promise(() => {}))).told(KEYS), unavailable(message, 'authorize', 'authorize gave no answer in 30 ms.'))
  t.strictSame(await (await authorizing(() => 1)).told(KEYS), unavailable(message, 'authorize', 'authorize answered neither true nor false.'))
})

t.test('bodies, queries and headers of the account routes are refused by the name of what is wrong', async (t) => {
  const { app, told } = await telling(t)
  const { url } = await makeKey(app)
  const post = async (to: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> => await told(to, { method: 'POST', body, headers: { ...SIGNED_IN, ...headers } })
  t.strictSame(await post(KEYS, 'null'), invalidRequest('body: must be object', 'body'))
  t.strictSame(await post(KEYS, '[]'), invalidRequest('body: must be object', 'body'))
  t.strictSame(await post(KEYS, { label: 7 }), invalidRequest('label: must be string', 'label'))
  t.strictSame(await post(KEYS, { label: 'x', scopes: ['blocks:read', 7] }), invalidRequest('scopes: must be array or null', 'scopes'))
  t.strictSame(await post(KEYS, { label: 'x', allowedIps: ['203.0.113.7', 7] }), invalidRequest('allowedIps.1: must be string', 'allowedIps.1'))
  t.strictSame(await post(KEYS, { label: 'x', access: 'public' }), invalidRequest('access: must be one of secret, publishable', 'access'))
  t.strictSame(await post(KEYS, { label: 'x', plan: 'gold' }), invalidRequest('plan: is not known here', 'plan'))
  t.strictSame(await post(KEYS, { scopes: null }), invalidRequest('label: is required', 'label'))
  t.strictSame(await post(SITES, {}), invalidRequest('name: is required', 'name'))
  for (const path of [KEYS, url, `${url}/usage`, '/v1/me/policy', '/v1/me/usage', SITES, '/v1/me/audit']) {
    t.strictSame(await told(`${path}?of=1`), invalidRequest('of: is not known here', 'of'), path)
  }
  for (const [to, method] of [[url, 'PATCH'], [`${url}/rotate`, 'POST'], [`${url}/renew`, 'POST'], [SITES, 'POST']] as const) {
    t.strictSame(await told(to, { method, body: { name: 'https://app.example.com', owner: 'me' } }), invalidRequest(to === SITES ? 'owner: is not known here' : 'name: is not known here', to === SITES ? 'owner' : 'name'), to)
  }
  t.strictSame(await told('/v1/me/audit?limit=0'), invalidRequest('limit: must be integer to be greater or equal to 1', 'limit'))
  t.strictSame(await told('/v1/me/audit?limit=01'), invalidRequest('limit: must be integer', 'limit'))
  t.strictSame(await told(url, { method: 'DELETE', body: { really: true } }), invalidRequest('really: is not known here', 'really'))
  t.strictSame(await told(KEYS, { method: 'POST', headers: [`Authorization: ${SIGNED_IN.authorization}`, 'Idempotency-Key: a', 'idempotency-key: a'] }),
    invalidRequest('Idempotency-Key: must be sent once', 'Idempotency-Key'))
  t.strictSame(await post(KEYS, {}, { 'idempotency-key': '' }), invalidRequest('Idempotency-Key: must be 1 to 255 visible ASCII characters without a space', 'Idempotency-Key'))
})

t.test('protected routes say what the key lacks, and what became of it', async (t) => {
  const { app, told, clock } = await telling(t, { rateLimit: { max: 1, timeWindow: '1 minute' } }, {
    before (app) {
      app.get('/x', { config: { apiKey: true } }, async () => ({}))
      app.get('/scoped', { config: { apiKey: { scopes: ['transactions:write'], rateLimit: false } } }, async () => ({}))
      app.get('/either', { config: { apiKey: { session: true, environments: ['test'] } } }, async () => ({}))
      app.get('/broken', { config: { apiKey: { scope: 'blocks:read' } as never } }, async () => ({}))
    }
  })
  const { credential } = await makeKey(app, { scopes: ['blocks:read'] })
  const ending = await makeKey(app, { expiresAt: toIso(NOW + HOUR) })
  const narrow = await makeKey(app, { allowedIps: ['203.0.113.0/24'] })
  const open = await makeKey(app, { access: 'publishable', allowedOrigins: ['https://app.example.com'] })
  t.strictSame(await told('/x', { headers: {} }), missingKey('An API key is required.'))
  t.strictSame(await told('/either', { headers: {} }), missingKey('An API key or a signed-in session is required.'))
  t.strictSame(await told('/x'), invalidKey(), 'a session\'s token, where none is taken')
  t.strictSame(await told('/x', { headers: { 'x-api-key': 'nothing' } }), invalidKey())
  t.strictSame(await told('/broken', { headers: credential }), forbidden('This route is not configured correctly.'))
  t.strictSame(await told('/scoped', { headers: credential }), {
    statusCode: 403, code: 'INSUFFICIENT_SCOPE', message: 'The API key lacks a scope this route asks for: transactions:write.', details: { requiredScopes: ['transactions:write'] }
  })
  t.strictSame(await told('/either', { headers: credential }), forbidden('A live API key may not be used here.'))
  t.strictSame(await told('/x', { headers: open.credential }), forbidden('A publishable API key may not be used here.'))
  t.strictSame(await told('/x', { headers: narrow.credential }), { statusCode: 403, code: 'IP_NOT_ALLOWED', message: 'The API key may not be used from this address.', details: {} })
  t.equal((await app.inject({ url: '/x', headers: credential })).statusCode, 200)
  clock.advance(1500)
  t.strictSame(await told('/x', { headers: credential }), {
    statusCode: 429, code: 'RATE_LIMITED', message: 'Too many requests: at most 1 in 60 seconds.', details: { name: 'default', max: 1, windowSeconds: 60, retryAfter: 59 }
  })
  clock.advance(HOUR)
  t.strictSame(await told('/x', { headers: ending.credential }), invalidKey('The API key has expired.', { reason: 'expired' }))
  await app.selfServeKeys.keys.update({ accountId: ACCOUNT, credential: 'host' }, narrow.publicId, { enabled: false })
  t.strictSame(await told('/x', { headers: narrow.credential }), invalidKey('The API key is disabled.', { reason: 'disabled' }))
  await app.selfServeKeys.keys.revoke({ accountId: ACCOUNT, credential: 'host' }, open.publicId)
  t.strictSame(await told('/x', { headers: open.credential }), invalidKey('The API key was revoked.', { reason: 'revoked' }))
})

t.test('a change is refused by what stands against it: the account, the key, or the key that asks', async (t) => {
  const { app, told } = await telling(t, {
    scopes: { 'account:read': 'Read the account', 'account:write': 'Change the account' },
    accountRoutes: { apiKeys: { read: 'account:read', write: 'account:write' } },
    policy: { resolve: (accountId) => accountId === ACCOUNT ? { maxKeys: 5 } : {} }
  })
  const scopes = ['account:read', 'account:write']
  const key = await makeKey(app, { scopes, environment: 'test', expiresAt: toIso(NOW + DAY), allowedIps: ['127.0.0.0/8'] })
  const live = await makeKey(app, { environment: 'live' })
  const asKey = async (method: string, url: string, body?: unknown): Promise<unknown> => await told(url, { method, ...(body !== undefined && { body }), headers: key.credential })
  t.strictSame(await told(`${KEYS}/${NO_KEY}`), { statusCode: 404, code: 'API_KEY_NOT_FOUND', message: 'There is no such API key.', details: {} })
  t.strictSame(await asKey('DELETE', live.url), forbidden('A test API key may not manage live API keys.'))
  const issue = { label: 'x', environment: 'test' }
  t.strictSame(await asKey('POST', KEYS, { ...issue, scopes: null }), forbidden('An API key may not manage or issue keys with more scopes than it has.'))
  t.strictSame(await asKey('POST', KEYS, { ...issue, scopes, allowedIps: ['10.0.0.1'] }), forbidden('An API key may not manage or issue keys that work from more addresses than it does.'))
  t.strictSame(await asKey('POST', KEYS, { ...issue, scopes, expiresAt: toIso(NOW + DAY + SECOND) }), forbidden('An API key may not manage or issue keys that outlive it.'))

  const { keys } = app.selfServeKeys
  const host = { accountId: ACCOUNT, credential: 'host' } as const
  await keys.update(host, live.publicId, { enabled: false })
  t.strictSame(await told(live.url, { method: 'PATCH', body: { enabled: true } }), {
    statusCode: 409, code: 'API_KEY_NOT_ACTIVE', message: 'The API key was disabled by the operator of this API, who alone can change that.', details: { status: 'disabled' }
  })
  await keys.revoke(host, live.publicId)
  t.strictSame(await told(`${live.url}/rotate`, { method: 'POST' }), { statusCode: 409, code: 'API_KEY_NOT_ACTIVE', message: 'The API key is revoked.', details: { status: 'revoked' } })
  for (let i = 0; i < 4; i++) await makeKey(app)
  t.strictSame(await told(KEYS, { method: 'POST', body: { label: 'one more' } }), {
    statusCode: 409, code: 'KEY_LIMIT_REACHED', message: 'The account has as many API keys as it may have: 5.', details: { maxKeys: 5 }
  })
  const hash = 'a'.repeat(64)
  await keys.importHashed({ ...host, accountId: 'another' }, { hash, label: 'Theirs' })
  await t.rejects(keys.importHashed(host, { hash, label: 'Ours' }), invalidRequest('hash: is that of another key', 'hash'))
})

t.test('a storage that fails is 503, with its fault as the cause', async (t) => {
  const storage = { ...memoryStorage(), listKeys: async () => { throw new Error('disk full') } }
  const { told } = await telling(t, { storage })
  t.match(await told(KEYS), { statusCode: 503, code: 'STORAGE_UNAVAILABLE', details: { part: 'storage', ...RETRY }, cause: 'disk full' })
})
