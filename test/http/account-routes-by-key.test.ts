// The account routes opened to API keys: which keys get in, what they are charged and recorded, and that no key gives away more than it has.
import type { FastifyPluginAsync } from 'fastify'
import t, { type Test } from 'tap'
import { actorOf, type AccountPolicy, type IssueInput, type SelfServeKeysOptions } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { DAY, HOUR, SECOND, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, madeBy, makeKey, NO_KEY, NO_SITE, SITES, type Answer, type Ask, type Made } from '../helpers/account.js'
import { BROWSER, build, logTo, raw, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW, OTHER_ACCOUNT, stateOf } from '../helpers/keys.js'

const SCOPES = { 'account:read': 'Read the account', 'account:write': 'Change the account', 'blocks:read': 'Read blocks', 'transactions:write': 'Submit transactions' }
const READ = ['account:read']
const WRITE = ['account:read', 'account:write']
const MANAGER = [...WRITE, 'blocks:read']
const PLAIN = 'Bearer realm="api"'
const INVALID = 'Bearer realm="api", error="invalid_token"'

interface Opened extends Host { ask: Ask, make: (input?: Partial<IssueInput>, accountId?: string) => Promise<Made>, use: (key: Made) => Promise<number> }

/** A host whose account routes are open to keys, without a limit on changes. */
async function opened (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Opened> {
  // A flush between two looks at a key would move its last use.
  const usage = { flushInterval: '1 week' }
  const host = await build(t, {
    scopes: SCOPES, accountRoutes: { rateLimit: false, apiKeys: { read: 'account:read', write: 'account:write' } }, routes: { profile: true }, usage, ...options
  }, { ...parts, before: (app) => { app.get('/x', { config: { apiKey: true } }, async () => ({})) } })
  const ask = asking(host.app)
  return {
    ...host,
    ask,
    make: async (input, accountId) => await makeKey(host.app, input, accountId),
    use: async ({ credential }) => (await ask('GET', '/x', undefined, credential)).status
  }
}

/** Status, code and challenge of an answer. */
function told ({ status, json, headers }: Answer): string {
  const challenge = headers['www-authenticate']
  return [status, json?.code, challenge].filter((part) => part !== undefined).join(' ')
}

/** Every route, with the answer a key gets that may use it. */
const READS = [KEYS, `${KEYS}/${NO_KEY}`, `${KEYS}/${NO_KEY}/usage`, '/v1/me', '/v1/me/policy', '/v1/me/usage', SITES, '/v1/me/audit'] as const
const WRITES: Array<[method: string, url: string, body: unknown, status: number]> = [
  ['POST', KEYS, { environment: 'test' }, 403],
  ['POST', KEYS, { label: 'CI', scopes: READ }, 201],
  ['PATCH', `${KEYS}/${NO_KEY}`, { label: 'CI' }, 404],
  ['POST', `${KEYS}/${NO_KEY}/rotate`, {}, 404],
  ['POST', `${KEYS}/${NO_KEY}/renew`, {}, 404],
  ['DELETE', `${KEYS}/${NO_KEY}`, undefined, 404],
  ['POST', SITES, { name: 'https://example.com' }, 201],
  ['DELETE', `${SITES}/${NO_SITE}`, undefined, 404]
]

t.test('who gets in by which credentials', async (t) => {
  const routes: FastifyPluginAsync = async (scope) => {
    scope.all('/who', async ({ caller }) => `${caller!.via} of ${caller!.accountId}`)
  }
  const { ask, make, app } = await opened(t, { routes })
  const who = '/v1/me/who'
  const key = await make({ scopes: READ })
  const theirs = await make({ label: 'theirs', scopes: READ }, OTHER_ACCOUNT)
  const publishable = await make({ access: 'publishable', allowedOrigins: ['https://example.com'] })
  const bearer = (value: string): { authorization: string } => ({ authorization: `Bearer ${value}` })
  const cases: Array<[name: string, headers: Record<string, string | string[]>, outcome: string]> = [
    ['a key', key.credential, 'apiKey of user_a'],
    ['a key as bearer', bearer(key.plaintext), 'apiKey of user_a'],
    ['the same key twice', { ...key.credential, ...bearer(key.plaintext) }, 'apiKey of user_a'],
    ['a key and a cookie', { ...key.credential, ...BROWSER }, 'apiKey of user_a'],
    ['a key and a cookie of nobody', { ...key.credential, cookie: 'session=x' }, 'apiKey of user_a'],
    ['a key and Basic', { ...key.credential, authorization: 'Basic eDp5' }, 'apiKey of user_a'],
    ['another account\'s key and a cookie', { ...theirs.credential, ...BROWSER }, 'apiKey of user_b'],
    ['a session as bearer', SIGNED_IN, 'session of user_a'],
    ['a cookie', BROWSER, 'session of user_a'],
    ['a key and a session as bearer', { ...key.credential, ...SIGNED_IN }, '400 INVALID_REQUEST'],
    ['a key and a bad bearer', { ...key.credential, ...bearer('x') }, '400 INVALID_REQUEST'],
    ['a key and an empty bearer', { ...key.credential, authorization: 'Bearer' }, '400 INVALID_REQUEST'],
    ['an unknown key and a session as bearer', { 'x-api-key': generateKey('sk_live_'), ...SIGNED_IN }, '400 INVALID_REQUEST'],
    ['two keys', { ...key.credential, ...bearer(theirs.plaintext) }, '400 INVALID_REQUEST'],
    ['two keys in one header', { 'x-api-key': [key.plaintext, theirs.plaintext] }, '400 INVALID_REQUEST'],
    ['a key and an empty one', { 'x-api-key': [key.plaintext, ''] }, '400 INVALID_REQUEST'],
    ['nothing', {}, `401 MISSING_API_KEY ${PLAIN}`],
    ['Basic', { authorization: 'Basic eDp5' }, `401 MISSING_API_KEY ${PLAIN}`],
    ['the key without a scheme', { authorization: key.plaintext }, `401 MISSING_API_KEY ${PLAIN}`],
    ['a cookie of nobody', { cookie: 'session=x' }, `401 MISSING_API_KEY ${PLAIN}`],
    ['an unknown key', { 'x-api-key': generateKey('sk_live_') }, `401 INVALID_API_KEY ${INVALID}`],
    ['an unknown key and a good cookie', { 'x-api-key': generateKey('sk_live_'), ...BROWSER }, `401 INVALID_API_KEY ${INVALID}`],
    ['an unknown key as bearer and a good cookie', { ...bearer(generateKey('sk_live_')), ...BROWSER }, `401 INVALID_API_KEY ${INVALID}`],
    ['an empty key header and a good cookie', { 'x-api-key': '', ...BROWSER }, `401 INVALID_API_KEY ${INVALID}`],
    ['a bad bearer', bearer('x'), `401 SESSION_REQUIRED ${INVALID}`],
    ['a publishable key', { ...publishable.credential, origin: 'https://example.com' }, '403 FORBIDDEN']
  ]
  for (const [name, headers, outcome] of cases) {
    const answer = await ask('GET', who, undefined, headers)
    const seen = answer.status === 200 ? answer.text : told(answer)
    t.equal(seen, outcome, name)
    t.equal(answer.headers['cache-control'], 'no-store', name)
  }
  t.equal((await ask('GET', who, undefined, {})).json.message, 'An API key or a signed-in session is required.')
  t.equal((await ask('POST', who, {}, BROWSER)).json.code, 'BEARER_REQUIRED', 'a cookie alone still makes no changes')
  const writing = await make({ scopes: WRITE })
  t.equal((await ask('POST', who, {}, { ...BROWSER, ...writing.credential })).text, 'apiKey of user_a', 'beside a key it says nothing')
  t.equal((await ask('GET', `${who}?x-api-key=${key.plaintext}`, undefined, {})).status, 401, 'no key is read from the query')

  const get = async (...headers: string[]): Promise<number> => (await raw(app, [`GET ${who} HTTP/1.1`, ...headers])).status
  t.equal(await get(`X-API-Key: ${key.plaintext}`), 200)
  t.equal(await get(`X-API-Key: ${key.plaintext}`, `x-api-key: ${key.plaintext}`), 200)
  t.equal(await get(`X-API-Key: ${key.plaintext}`, `x-api-key: ${theirs.plaintext}`), 400)
  t.equal(await get(`Authorization: Bearer ${key.plaintext}`, `Authorization: ${SIGNED_IN.authorization}`), 400)
  t.equal(await get(`Authorization: ${SIGNED_IN.authorization}`, `Authorization: Bearer ${key.plaintext}`), 400)
  t.equal(await get(`Authorization: ${SIGNED_IN.authorization}`, `X-API-Key: ${key.plaintext}`), 400)
  t.equal(await get(`Authorization: ${SIGNED_IN.authorization}`, `Authorization: ${SIGNED_IN.authorization}`), 401)
})

t.test('without a session option keys alone open the account routes', async (t) => {
  const { ask, make } = await opened(t, { session: undefined } as unknown as Partial<SelfServeKeysOptions>)
  const key = await make({ scopes: MANAGER })
  t.equal((await ask('GET', KEYS, undefined, key.credential)).status, 200)
  t.equal((await ask('POST', KEYS, { label: 'CI', scopes: ['blocks:read'] }, { authorization: `Bearer ${key.plaintext}` })).status, 201)
  t.match(await ask('GET', '/v1/me', undefined, key.credential), { status: 404 }, 'a key has no profile')
  const cases: Array<[Record<string, string>, string]> = [
    [{}, `401 MISSING_API_KEY ${PLAIN}`], [BROWSER, `401 MISSING_API_KEY ${PLAIN}`], [{ authorization: 'Basic eDp5' }, `401 MISSING_API_KEY ${PLAIN}`],
    [SIGNED_IN, `401 INVALID_API_KEY ${INVALID}`], [{ authorization: 'Bearer' }, `401 INVALID_API_KEY ${INVALID}`], [{ ...SIGNED_IN, ...BROWSER }, `401 INVALID_API_KEY ${INVALID}`],
    [{ ...key.credential, ...SIGNED_IN }, '400 INVALID_REQUEST']
  ]
  for (const [headers, outcome] of cases) {
    for (const method of ['GET', 'POST']) t.equal(told(await ask(method, KEYS, undefined, headers)), outcome, `${method} ${JSON.stringify(headers)}`)
  }
  t.equal((await ask('GET', KEYS, undefined, {})).json.message, 'An API key is required.')
})

t.test('only the headers the host names carry keys', async (t) => {
  const { ask, make } = await opened(t, { headers: ['x-acme-key'] })
  const { plaintext } = await make({ scopes: WRITE })
  t.equal((await ask('GET', KEYS, undefined, { 'x-acme-key': plaintext })).status, 200)
  t.equal((await ask('GET', KEYS, undefined, { 'x-acme-key': plaintext, ...SIGNED_IN })).status, 400)
  t.equal((await ask('GET', KEYS, undefined, { 'x-api-key': plaintext })).status, 401)
  t.match((await ask('GET', KEYS, undefined, { authorization: `Bearer ${plaintext}` })).json, { code: 'SESSION_REQUIRED', message: /This is an API key/ })
})

t.test('without the option no key opens anything', async (t) => {
  const { ask, make } = await opened(t, { accountRoutes: { rateLimit: false } })
  const key = await make({ scopes: null })
  for (const url of READS) t.match((await ask('GET', url, undefined, key.credential)).json, { code: 'SESSION_REQUIRED' }, url)
  for (const [method, url, body] of WRITES) t.match((await ask(method, url, body, key.credential)).json, { code: 'SESSION_REQUIRED' }, `${method} ${url}`)
  t.equal((await ask('GET', KEYS, undefined, { ...key.credential, ...SIGNED_IN })).status, 200, 'a key header says nothing there')
})

t.test('reading asks for the read scope and changing for the write scope, on every route', async (t) => {
  const { ask, make, storage } = await opened(t)
  const keys = {
    read: await make({ scopes: READ }),
    write: await make({ scopes: ['account:write'] }),
    both: await make({ scopes: WRITE }),
    all: await make({ scopes: null }),
    none: await make({ scopes: ['blocks:read'] }),
    publishable: await make({ access: 'publishable', allowedOrigins: ['https://example.com'] })
  }
  const lacks = (scope: string): string => `403 INSUFFICIENT_SCOPE ${PLAIN}, error="insufficient_scope", scope="${scope}"`
  for (const url of READS) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      for (const name of ['read', 'both', 'all'] as const) {
        const { status } = await ask(method, url, undefined, keys[name].credential)
        t.equal(status, method === 'OPTIONS' ? 204 : url === '/v1/me' || url.includes(NO_KEY) ? 404 : 200, `${method} ${url} with ${name}`)
      }
      for (const name of ['write', 'none'] as const) {
        const answer = await ask(method, url, undefined, keys[name].credential)
        t.equal(told(answer), method === 'HEAD' ? lacks('account:read').replace('INSUFFICIENT_SCOPE ', '') : lacks('account:read'), `${method} ${url} with ${name}`)
      }
      t.equal((await ask(method, url, undefined, { ...keys.publishable.credential, origin: 'https://example.com' })).status, 403, `${method} ${url} with a publishable key`)
    }
  }
  const before = await stateOf(storage)
  for (const [method, url, body] of WRITES) {
    for (const name of ['read', 'none'] as const) t.equal(told(await ask(method, url, body, keys[name].credential)), lacks('account:write'), `${method} ${url} with ${name}`)
    t.equal(told(await ask(method, url, body, { ...keys.publishable.credential, origin: 'https://example.com' })), '403 FORBIDDEN', `${method} ${url} with a publishable key`)
  }
  t.strictSame(await stateOf(storage), before)
  for (const [method, url, body, status] of WRITES) t.equal((await ask(method, url, body, keys.both.credential)).status, status, `${method} ${url}`)
})

t.test('a key is judged as on any route: ended, disabled, from elsewhere, of a suspended account', async (t) => {
  let policy: AccountPolicy = {}
  const { app, ask, make, clock } = await opened(t, { policy: { resolve: () => policy, cacheFor: 1 } })
  const expiring = await make({ scopes: WRITE, expiresAt: toIso(NOW + HOUR) })
  const disabled = await make({ scopes: WRITE })
  const elsewhere = await make({ scopes: WRITE, allowedIps: ['192.0.2.1'] })
  const local = await make({ scopes: WRITE, allowedIps: ['127.0.0.1'] })
  const page = await make({ scopes: WRITE, allowedOrigins: ['https://example.com'] })
  const revoked = await make({ scopes: WRITE })
  const live = await make({ scopes: WRITE })
  const of = async (key: Made, headers = {}): Promise<string> => told(await ask('GET', KEYS, undefined, { ...key.credential, ...headers }))
  t.equal((await ask('GET', KEYS, undefined, expiring.credential)).headers['x-api-key-expires-at'], toIso(NOW + HOUR), 'it says when it ends')
  await ask('PATCH', disabled.url, { enabled: false })
  await ask('DELETE', revoked.url)
  clock.advance(HOUR)
  for (const [key, message] of [[expiring, 'The API key has expired.'], [disabled, 'The API key is disabled.'], [revoked, 'The API key was revoked.']] as const) {
    const answer = await ask('POST', KEYS, { label: 'x', scopes: READ }, key.credential)
    t.equal(told(answer), `401 INVALID_API_KEY ${INVALID}`)
    t.equal(answer.json.message, message)
  }
  t.equal(await of(elsewhere), '403 IP_NOT_ALLOWED')
  t.equal(await of(local), '200')
  t.equal(await of(page), '200', 'a server sends no Origin')
  t.equal(await of(page, { origin: 'https://example.com' }), '200')
  t.equal(await of(page, { origin: 'https://example.com.evil.io' }), '403 ORIGIN_NOT_ALLOWED')
  policy = { grantableScopes: ['account:read'] }
  clock.advance(1)
  t.equal(await of(live), '200')
  t.match(told(await ask('POST', SITES, { name: 'https://x.example' }, live.credential)), /INSUFFICIENT_SCOPE/, 'a plan that grants no more than to read')
  policy = { suspended: true }
  clock.advance(1)
  t.equal(await of(live), '403 ACCOUNT_SUSPENDED')
  t.equal(told(await ask('DELETE', live.url, undefined, live.credential)), '403 ACCOUNT_SUSPENDED')
  t.equal((await ask('DELETE', live.url)).status, 200, 'its owner may')
  t.equal((await app.selfServeKeys.sites.list(ACCOUNT)).sites.length, 0)
})

t.test('a key pays its own rate limit, and for changes that of all keys of the account: sessions have theirs', async (t) => {
  const { ask, make, clock } = await opened(t, {
    rateLimit: { max: 6, timeWindow: '1 minute' }, accountRoutes: { rateLimit: { max: 3, timeWindow: '2 minutes' }, apiKeys: { read: 'account:read', write: 'account:write' } }
  })
  const [one, two] = [await make({ scopes: WRITE }), await make({ scopes: WRITE })]
  const theirs = await make({ scopes: WRITE }, OTHER_ACCOUNT)
  const standing = async (method: string, url: string, headers: Record<string, string>, body?: unknown): Promise<unknown[]> => {
    const answer = await ask(method, url, body, headers)
    return [answer.status, answer.headers.ratelimit, answer.headers['ratelimit-policy'], answer.headers['retry-after']]
  }
  const own = '"default";q=6;w=60'
  const account = '"account";q=3;w=120'
  t.strictSame(await standing('GET', KEYS, one.credential), [200, '"default";r=5;t=60', own, undefined])
  t.strictSame(await standing('DELETE', `${KEYS}/${NO_KEY}`, one.credential), [404, '"default";r=4;t=60, "account";r=2;t=120', `${own}, ${account}`, undefined])
  t.strictSame(await standing('DELETE', `${KEYS}/${NO_KEY}`, two.credential), [404, '"default";r=5;t=60, "account";r=1;t=120', `${own}, ${account}`, undefined])
  t.strictSame(await standing('POST', KEYS, two.credential, { label: 'CI', scopes: READ }), [201, '"default";r=4;t=60, "account";r=0;t=120', `${own}, ${account}`, undefined])
  const before = (await ask('GET', KEYS)).json.apiKeys.length
  t.strictSame(await standing('POST', KEYS, one.credential, { label: 'CI', scopes: READ }), [429, '"default";r=4;t=60, "account";r=0;t=120', `${own}, ${account}`, '120'], 'and is not charged to the key')
  for (const remaining of [2, 1, 0]) t.strictSame(await standing('DELETE', `${KEYS}/${NO_KEY}`, SIGNED_IN), [404, `"account";r=${remaining};t=120`, account, undefined], 'a key that leaked does not keep its owner from revoking it')
  t.strictSame(await standing('POST', KEYS, SIGNED_IN, { label: 'CI', scopes: READ }), [429, '"account";r=0;t=120', account, '120'])
  t.strictSame(await standing('POST', SITES, theirs.credential, { name: 'https://example.com' }), [201, '"default";r=5;t=60, "account";r=2;t=120', `${own}, ${account}`, undefined], 'another account has its own')
  t.equal((await ask('GET', KEYS)).json.apiKeys.length, before)
  for (const remaining of [3, 2, 1, 0]) t.strictSame(await standing('GET', '/x', one.credential), [200, `"default";r=${remaining};t=60`, own, undefined], 'its requests elsewhere are charged to the same')
  t.strictSame(await standing('GET', KEYS, one.credential), [429, '"default";r=0;t=60', own, '60'])
  const unlimited = await standing('GET', KEYS, SIGNED_IN)
  t.strictSame(unlimited.slice(0, 2), [200, undefined], 'a session reads without a limit')
  const insufficient = await make({ scopes: READ })
  t.equal((await ask('POST', SITES, { name: 'https://x.example' }, insufficient.credential)).headers.ratelimit, undefined, 'a key that is refused is charged nothing')
  clock.advance(120 * SECOND)
  t.equal((await ask('POST', SITES, { name: 'https://x.example' }, one.credential)).status, 201)
})

t.test('each request of a key is recorded, those refused too, and none of a session', async (t) => {
  const { app, ask, make } = await opened(t, { rateLimit: { max: 7, timeWindow: '1 minute' } })
  const key = await make({ label: 'robot', scopes: WRITE })
  const narrow = await make({ label: 'narrow', scopes: ['blocks:read'] })
  const publishable = await make({ label: 'pub', access: 'publishable' })
  const gone = await make({ label: 'gone', scopes: WRITE })
  await ask('DELETE', gone.url)
  const asked: Array<[method: string, url: string, body: unknown, key: Made, line: string]> = [
    ['GET', KEYS, undefined, key, `robot GET ${KEYS} 200 null`],
    ['HEAD', '/v1/me/usage?window=1h', undefined, key, 'robot HEAD /v1/me/usage 200 null'],
    ['OPTIONS', SITES, undefined, key, `robot OPTIONS ${SITES} 204 null`],
    ['POST', KEYS, { label: 'x', scopes: [] }, key, `robot POST ${KEYS} 400 INVALID_REQUEST`],
    ['PATCH', `${KEYS}/${NO_KEY}`, { label: 'x' }, key, `robot PATCH ${KEYS}/:publicId 404 API_KEY_NOT_FOUND`],
    ['GET', '/v1/me', undefined, key, 'robot GET /v1/me 404 null'],
    ['DELETE', `${KEYS}/${narrow.publicId}`, undefined, narrow, `narrow DELETE ${KEYS}/:publicId 403 INSUFFICIENT_SCOPE`],
    ['GET', KEYS, undefined, publishable, `pub GET ${KEYS} 403 FORBIDDEN`],
    ['GET', KEYS, undefined, gone, `gone GET ${KEYS} 401 INVALID_API_KEY`],
    ['DELETE', `${SITES}/${NO_SITE}`, undefined, key, `robot DELETE ${SITES}/:siteId 404 SITE_NOT_FOUND`],
    ['GET', KEYS, undefined, key, `robot GET ${KEYS} 429 RATE_LIMITED`]
  ]
  for (const [method, url, body, { credential }] of asked) await ask(method, url, body, credential)
  await ask('GET', KEYS)
  await ask('GET', KEYS, undefined, { ...key.credential, ...SIGNED_IN })
  await ask('GET', KEYS, undefined, { 'x-api-key': generateKey('sk_live_') })
  const usage = (await ask('GET', '/v1/me/usage?window=1h')).json
  t.strictSame(usage.recentRequests.map(({ label, method, route, status, failureCode }: Record<string, unknown>) => [label, method, route, status, failureCode].map(String).join(' ')).reverse(),
    asked.map(([, , , , line]) => line))
  t.strictSame([usage.totalRequests, usage.totalFailures], [11, 8])
  t.equal((await app.selfServeKeys.keys.get(ACCOUNT, key.publicId)).lastUsedAt, toIso(NOW))
})

t.test('what a key does is in the audit log under its name, and so is what it made', async (t) => {
  const log = logTo()
  const { app, ask, make } = await opened(t, {}, { server: { logger: log.logger } })
  const key = await make({ label: 'robot', scopes: MANAGER })
  const made = madeBy(await ask('POST', KEYS, { label: 'CI', scopes: ['blocks:read'] }, key.credential))
  t.equal(made.apiKey.createdBy, 'robot')
  await ask('PATCH', made.url, { label: 'CI 2' }, key.credential)
  await ask('DELETE', made.url, undefined, key.credential)
  const { logs } = (await ask('GET', '/v1/me/audit?limit=3', undefined, key.credential)).json
  t.match(logs, ['revoked', 'updated', 'issued'].map((verb) => ({
    action: `api_key.${verb}`, actor: { id: key.publicId, name: 'robot' }, credential: 'api_key', targetId: made.publicId, ip: '127.0.0.1', requestId: /^req-/
  })))
  t.ok(log.lines.some(({ apiKeyId, msg }) => apiKeyId === key.publicId && msg === 'request completed'))
  for (const { plaintext } of [key, made]) t.notOk(log.text().includes(plaintext))
  t.equal((await app.selfServeKeys.audit.list(ACCOUNT)).total, 4)
})

t.test('a key never gives away more than it has, on whatever route it tries', async (t) => {
  const { ask, make, storage } = await opened(t, { keys: { defaultKey: { scopes: null } } })
  await ask('POST', KEYS)
  await ask('POST', KEYS, { environment: 'test' })
  const end = toIso(NOW + 10 * DAY)
  const narrow = await make({ label: 'narrow', scopes: MANAGER, expiresAt: end, allowedIps: ['127.0.0.0/8'] })
  const like = { scopes: ['blocks:read'], expiresAt: end, allowedIps: ['127.0.0.1'] }
  const wider: Record<string, Made> = {
    'all scopes': await make({ ...like, scopes: null }),
    'a scope more': await make({ ...like, scopes: ['blocks:read', 'transactions:write'] }),
    'another scope': await make({ ...like, scopes: ['transactions:write'] }),
    'no end': await make({ ...like, expiresAt: null }),
    'a later end': await make({ ...like, expiresAt: toIso(NOW + 10 * DAY + 1) }),
    'any address': await make({ ...like, allowedIps: [] }),
    'a wider range': await make({ ...like, allowedIps: ['126.0.0.0/7'] }),
    'another range': await make({ ...like, allowedIps: ['127.0.0.1', '::1'] }),
    'of the test environment, all scopes': await make({ ...like, scopes: null, environment: 'test' })
  }
  const off = await make({ ...like, scopes: null })
  await ask('PATCH', off.url, { enabled: false })
  const expired = await make({ ...like, scopes: null, expiresAt: toIso(NOW + 1) })
  const [defaultKey] = (await ask('GET', `${KEYS}?environment=live`)).json.apiKeys.filter(({ isDefault }: { isDefault: boolean }) => isDefault)
  wider['that is disabled'] = off
  wider['that is the default key'] = { ...off, url: `${KEYS}/${defaultKey.publicId}` }
  const before = await stateOf(storage)

  const refused = async (method: string, url: string, body: unknown, claim: string): Promise<void> => {
    const answer = await ask(method, url, body, narrow.credential)
    t.equal(told(answer), '403 FORBIDDEN', `${claim}: ${method} ${JSON.stringify(body)} ${answer.text}`)
    t.match(answer.json?.message, /^An API key may not manage or issue keys /, claim)
  }
  for (const [name, { url }] of Object.entries(wider)) {
    for (const body of [{ label: 'mine' }, { scopes: ['blocks:read'] }, { allowedIps: ['127.0.0.1'] }, { allowedOrigins: ['https://evil.example'] }, { enabled: true }, { enabled: false, label: 'x' }, {}]) {
      await refused('PATCH', url, body, name)
    }
    for (const overlapSeconds of [0, 60]) await refused('POST', `${url}/rotate`, { overlapSeconds }, name)
    for (const body of [{}, { expiresAt: end }, { expiresAt: toIso(NOW + DAY) }]) {
      // Its end alone is too late, and that may be mended: see below.
      if (['no end', 'a later end'].includes(name)) continue
      await refused('POST', `${url}/renew`, body, name)
    }
  }
  for (const more of [{ scopes: null }, { scopes: ['transactions:write'] }, { scopes: [...MANAGER, 'transactions:write'] }, {}, { scopes: READ, expiresAt: null }, { scopes: READ, expiresAt: toIso(NOW + 10 * DAY + 1) },
    { scopes: READ, allowedIps: ['10.0.0.0/8'] }, { scopes: READ, allowedIps: ['127.0.0.1', '::1'] }, { scopes: READ, allowedIps: ['0.0.0.0/0'] }, { scopes: null, environment: 'test' }]) {
    await refused('POST', KEYS, { label: 'x', ...more }, 'a new key')
  }
  for (const body of [undefined, {}, { environment: 'live' }, { environment: 'test' }]) await refused('POST', KEYS, body, 'the default key')
  for (const body of [{ scopes: null }, { scopes: [...MANAGER, 'transactions:write'] }, { allowedIps: [] }, { allowedIps: ['0.0.0.0/0'] }]) await refused('PATCH', narrow.url, body, 'itself')
  for (const expiresAt of [null, toIso(NOW + 10 * DAY + 1)]) await refused('POST', `${narrow.url}/renew`, { expiresAt }, 'itself')
  t.strictSame(await stateOf(storage), before)
  await refused('POST', `${expired.url}/renew`, {}, 'an expired key')
  t.strictSame(await stateOf(storage), before)
  for (const name of ['no end', 'a later end']) await refused('POST', `${wider[name]!.url}/renew`, {}, `${name}: a renewal must not shorten it`)
  t.strictSame(await stateOf(storage), before)
})

t.test('within what it has a key manages keys; any key of its environment it may stop', async (t) => {
  const { ask, make, use } = await opened(t, { keys: { lifetime: '30 days' } })
  const end = toIso(NOW + 10 * DAY)
  const key = await make({ label: 'robot', scopes: MANAGER, expiresAt: end, allowedIps: ['127.0.0.0/8'] })
  const by = async (method: string, url: string, body?: unknown): Promise<Answer> => await ask(method, url, body, key.credential)
  const made = madeBy(await by('POST', KEYS, { label: 'CI', scopes: ['blocks:read'] }))
  t.match(made.apiKey, { scopes: ['blocks:read'], expiresAt: end, allowedIps: ['127.0.0.0/8'] }, 'what was not asked for is cut to what it has')
  t.equal(await use(made), 200)
  t.match((await by('PATCH', made.url, { label: 'x', scopes: MANAGER, allowedIps: ['127.0.0.1'] })).json.apiKey, { label: 'x', scopes: MANAGER, allowedIps: ['127.0.0.1/32'] })
  t.equal((await by('PATCH', made.url, { enabled: false })).json.apiKey.status, 'disabled')
  t.equal((await by('PATCH', made.url, { enabled: true })).json.apiKey.status, 'active')
  t.equal((await by('POST', `${made.url}/renew`, { expiresAt: toIso(NOW + DAY) })).json.apiKey.expiresAt, toIso(NOW + DAY))
  const next = madeBy(await by('POST', `${made.url}/rotate`, { overlapSeconds: 60 }))
  t.strictSame(next.apiKey.scopes, MANAGER)
  t.equal((await by('POST', KEYS, { label: 'window', access: 'publishable' })).status, 403, 'a publishable key is asked for no scope: it may do more')
  t.match(await by('POST', SITES, { name: 'https://example.com' }), { status: 201 })

  const wide = await make({ scopes: null })
  t.match((await by('PATCH', wide.url, { enabled: false })).json.apiKey, { status: 'disabled', disabledBy: 'account', scopes: null })
  t.equal((await by('PATCH', wide.url, { enabled: true })).status, 403, 'it may not undo that')
  const wider = await make({ scopes: null })
  t.match((await by('DELETE', wider.url)).json.apiKey, { status: 'revoked' })
  t.strictSame([await use(wide), await use(wider)], [401, 401])

  const self = madeBy(await by('POST', `${key.url}/rotate`))
  t.match(self.apiKey, { label: 'robot', scopes: MANAGER, expiresAt: end, allowedIps: ['127.0.0.0/8'], rotatedFrom: key.publicId })
  t.strictSame([await use(key), await use(self)], [401, 200])
  t.equal((await by('GET', KEYS)).status, 401, 'the key that was replaced is no key')
  t.equal((await ask('DELETE', self.url, undefined, self.credential)).json.apiKey.status, 'revoked', 'a key may end itself')
  t.equal((await ask('DELETE', self.url, undefined, self.credential)).status, 401)
})

t.test('a live key manages test keys, and a test key no live ones', async (t) => {
  const { ask, make, storage } = await opened(t, { keys: { defaultKey: { scopes: ['blocks:read'] } } })
  await ask('POST', KEYS)
  const live = await make({ scopes: null })
  const test = await make({ scopes: null, environment: 'test' })
  const target = await make({ scopes: ['blocks:read'] })
  const before = await stateOf(storage)
  for (const [method, url, body] of [
    ['PATCH', target.url, { label: 'x' }], ['PATCH', target.url, { enabled: false }], ['PATCH', target.url, {}], ['POST', `${target.url}/rotate`, {}], ['POST', `${target.url}/renew`, { expiresAt: null }],
    ['DELETE', target.url, undefined], ['POST', KEYS, { label: 'x', scopes: ['blocks:read'] }], ['POST', KEYS, { label: 'x', access: 'publishable' }], ['POST', KEYS, {}], ['POST', KEYS, { environment: 'live' }], ['DELETE', live.url, undefined]
  ] as const) {
    const answer = await ask(method, url, body, test.credential)
    t.match(answer, { status: 403, json: { code: 'FORBIDDEN', message: 'A test API key may not manage live API keys.' } }, `${method} ${url} ${JSON.stringify(body)}`)
  }
  t.strictSame(await stateOf(storage), before)
  t.equal((await ask('POST', KEYS, { environment: 'test' }, test.credential)).status, 201, 'the default key of its own environment')
  t.equal((await ask('POST', KEYS, { label: 'x', environment: 'test' }, live.credential)).status, 201)
  t.equal((await ask('POST', `${test.url}/rotate`, { overlapSeconds: 5 }, live.credential)).status, 201)
  t.equal((await ask('DELETE', test.url, undefined, live.credential)).status, 200)
  t.equal((await ask('GET', target.url, undefined, (await make({ scopes: READ, environment: 'test' })).credential)).status, 200, 'reading is of the whole account')
})

t.test('where keys live at most so long, a key renews itself and others within that', async (t) => {
  const { ask, make, clock } = await opened(t, { keys: { maxLifetime: '30 days', lifetime: '30 days' } })
  const key = await make({ scopes: MANAGER })
  t.equal(key.apiKey.expiresAt, toIso(NOW + 30 * DAY))
  clock.advance(20 * DAY)
  t.equal((await ask('POST', `${key.url}/renew`, {}, key.credential)).json.apiKey.expiresAt, toIso(NOW + 50 * DAY))
  t.equal((await ask('POST', `${key.url}/renew`, { expiresAt: toIso(NOW + 50 * DAY + 1) }, key.credential)).status, 400, 'no key lives longer')
  clock.advance(DAY)
  const made = madeBy(await ask('POST', KEYS, { label: 'x', scopes: ['blocks:read'] }, key.credential))
  t.equal(made.apiKey.expiresAt, toIso(NOW + 51 * DAY), 'as late as any key of the account may')
  const next = madeBy(await ask('POST', `${key.url}/rotate`, { overlapSeconds: 3600 }, key.credential))
  t.match(await ask('POST', KEYS, { label: 'y', scopes: ['blocks:read'], expiresAt: toIso(NOW + 22 * DAY) }, key.credential), { status: 403, json: { message: /outlive/ } },
    'a key that is being replaced hands out nothing that outlives it')
  t.equal(madeBy(await ask('POST', KEYS, { label: 'y', scopes: ['blocks:read'] }, key.credential)).apiKey.expiresAt, toIso(NOW + 21 * DAY + HOUR))
  t.equal((await ask('POST', `${next.url}/renew`, {}, next.credential)).json.apiKey.expiresAt, toIso(NOW + 51 * DAY))

  const unlimited = await opened(t)
  const mortal = await unlimited.make({ scopes: MANAGER, expiresAt: toIso(NOW + DAY) })
  t.match(await unlimited.ask('POST', `${mortal.url}/renew`, {}, mortal.credential), { status: 403, json: { code: 'FORBIDDEN', message: /outlive/ } }, 'else no later than it ends itself')
  const shorter = await unlimited.make({ scopes: MANAGER, expiresAt: toIso(NOW + HOUR) })
  t.equal((await unlimited.ask('POST', `${shorter.url}/renew`, {}, mortal.credential)).json.apiKey.expiresAt, toIso(NOW + DAY), 'and as late as that')
  t.equal((await unlimited.ask('POST', `${mortal.url}/renew`, { expiresAt: toIso(NOW + DAY + 1) }, mortal.credential)).status, 403)
})

t.test('a test key manages no sites: live keys are used from them', async (t) => {
  const { ask, make, storage } = await opened(t)
  const { siteId } = (await ask('POST', SITES, { name: 'https://example.com' })).json
  const test = await make({ scopes: null, environment: 'test' })
  const before = await stateOf(storage)
  for (const [method, url, body] of [['POST', SITES, { name: 'https://evil.example' }], ['DELETE', `${SITES}/${siteId}`, undefined]] as const) {
    t.match(await ask(method, url, body, test.credential), { status: 403, json: { code: 'FORBIDDEN', message: 'A test API key may not manage sites: live API keys are used from them.' } })
  }
  t.strictSame(await stateOf(storage), before)
  t.equal((await ask('GET', SITES, undefined, test.credential)).status, 200)
})

t.test('what a key changes asks the policy anew, but for what stops a key', async (t) => {
  let policy: AccountPolicy | null = {}
  const { ask, make, storage } = await opened(t, { policy: { resolve: () => policy ?? Promise.reject(new Error('away')), cacheFor: '1 hour' } })
  const [key, other] = [await make({ scopes: null }), await make({ scopes: null })]
  t.equal((await ask('PATCH', other.url, { label: 'x' }, key.credential)).status, 200)
  const before = await stateOf(storage)
  for (const [answer, expected] of [[null, { status: 503, json: { code: 'STORAGE_UNAVAILABLE' } }], [{ suspended: true }, { status: 403, json: { code: 'ACCOUNT_SUSPENDED' } }]] as const) {
    policy = answer
    for (const body of [{ label: 'y' }, { allowedOrigins: ['https://x.example'] }, { allowedIps: ['10.0.0.0/8'] }]) t.match(await ask('PATCH', other.url, body, key.credential), expected)
  }
  t.strictSame(await stateOf(storage), before)
  policy = {}
  t.equal((await ask('POST', `${other.url}/renew`)).status, 200, 'a change in a session asks anew, and what it hears is remembered')
  policy = null
  t.equal((await ask('PATCH', other.url, { enabled: false }, key.credential)).status, 200)
  t.equal((await ask('DELETE', other.url, undefined, key.credential)).status, 200)
})

t.test('a key that ends while it asks changes nothing', async (t) => {
  for (const end of ['revoke', 'disable', 'rotate', 'erase'] as const) {
    const host = await opened(t, {
      authorize: async ({ apiKey, request }) => {
        if (apiKey === null || request.method === 'GET') return true
        const { keys, accounts } = host.app.selfServeKeys
        if (end === 'revoke') await keys.revoke(HOST, apiKey.publicId)
        else if (end === 'disable') await keys.update(HOST, apiKey.publicId, { enabled: false })
        else if (end === 'rotate') await keys.rotate(HOST, apiKey.publicId)
        else await accounts.erase(ACCOUNT)
        return true
      }
    })
    const { ask, make, storage } = host
    const shop = async (): Promise<unknown> => (await stateOf(storage) as unknown[])[0]
    for (const [method, path, body] of [['POST', '', { label: 'x', scopes: READ }], ['PATCH', 'target', { label: 'x' }], ['PATCH', 'target', { enabled: false }], ['POST', 'target/rotate', {}], ['POST', 'target/renew', { expiresAt: toIso(NOW + DAY) }], ['DELETE', 'target', undefined]] as const) {
      const target = await make({ scopes: READ })
      const key = await make({ scopes: WRITE })
      const answer = await ask(method, path === '' ? KEYS : `${target.url}${path.slice(6)}`, body, key.credential)
      const claim = `${end}: ${method} ${path}`
      if (end === 'erase' && path !== '') t.equal(told(answer), '404 API_KEY_NOT_FOUND', claim)
      else t.equal(told(answer), `401 INVALID_API_KEY ${INVALID}`, claim)
      if (end === 'erase') t.strictSame(await shop(), [], claim)
      else t.match(await host.app.selfServeKeys.keys.get(ACCOUNT, target.publicId), { status: 'active', label: 'Server', expiresAt: null }, claim)
    }
    const { siteId } = await host.app.selfServeKeys.sites.add(HOST, 'https://example.com')
    for (const [method, url, body] of [['POST', SITES, { name: 'https://evil.example' }], ['DELETE', `${SITES}/${siteId}`, undefined]] as const) {
      const key = await make({ scopes: WRITE })
      const before = end === 'erase' ? [] : (await host.app.selfServeKeys.sites.list(ACCOUNT)).sites
      t.equal(told(await ask(method, url, body, key.credential)), `401 INVALID_API_KEY ${INVALID}`, `${end}: ${method} ${url}`)
      t.strictSame((await host.app.selfServeKeys.sites.list(ACCOUNT)).sites, before)
    }
  }
})

t.test('authorize is told of the key, and may refuse it', async (t) => {
  const asked: unknown[] = []
  const { ask, make } = await opened(t, { authorize: ({ account, apiKey, action }) => { asked.push([account, apiKey?.label, action]); return action !== 'keys:issue' } })
  const key = await make({ label: 'robot', scopes: WRITE })
  t.equal((await ask('GET', KEYS, undefined, key.credential)).status, 200)
  t.match(await ask('POST', KEYS, { label: 'x', scopes: READ }, key.credential), { status: 403, json: { code: 'FORBIDDEN', message: 'This account\'s API key may not do keys:issue.' } })
  t.strictSame(asked, [[null, 'robot', 'keys:read'], [null, 'robot', 'keys:issue']])
  t.match((await ask('GET', '/v1/me/usage?window=1h')).json.recentFailures, [{ label: 'robot', status: 403, failureCode: 'FORBIDDEN' }], 'and it is recorded')
})

t.test('a host\'s own plugin in place of the routes is open to keys too, and sees who calls', async (t) => {
  const routes: FastifyPluginAsync = async (scope) => {
    scope.get('/plan', async ({ caller, apiKey }) => ({ via: caller?.via, accountId: caller?.accountId, label: apiKey?.label ?? null }))
    scope.post('/upgrade', async (request) => actorOf(request))
  }
  const { ask, make } = await opened(t, { routes })
  const key = await make({ label: 'robot', scopes: READ })
  const writer = await make({ label: 'writer', scopes: ['account:write'] })
  t.strictSame((await ask('GET', '/v1/me/plan', undefined, key.credential)).json, { via: 'apiKey', accountId: ACCOUNT, label: 'robot' })
  t.strictSame((await ask('GET', '/v1/me/plan')).json, { via: 'session', accountId: ACCOUNT, label: null })
  t.equal((await ask('POST', '/v1/me/upgrade', {}, key.credential)).status, 403)
  t.match((await ask('POST', '/v1/me/upgrade', {}, writer.credential)).json, { accountId: ACCOUNT, credential: 'api_key', apiKey: writer.publicId, actor: { id: writer.publicId, name: 'writer' } })
  const preflight = { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' }
  t.equal((await ask('OPTIONS', '/v1/me/plan', undefined, { ...preflight, ...key.credential })).status, 404, 'there is no such route')
})
