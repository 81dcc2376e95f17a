// What a key is bound to on protected routes: publishable keys and origins, addresses, plans, ends, and shapes of other systems.
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { getApiKey, type AccountPolicy, type IssueInput, type RouteRuleConfig, type SelfServeKeysOptions, type SessionResolver } from '../../lib/index.js'
import { DAY, HOUR, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, madeBy, makeKey, SITES, type Answer, type Ask, type Made } from '../helpers/account.js'
import { BROWSER, build, raw, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW, OTHER_ACCOUNT } from '../helpers/keys.js'

const RULES: Record<string, RouteRuleConfig> = {
  secret: true,
  page: { allowPublishable: true },
  scoped: { allowPublishable: true, scopes: ['transactions:write'] },
  test: { allowPublishable: true, environments: ['test'] },
  optional: { allowPublishable: true, optional: true, session: true },
  closed: { allowPublishable: false }
}

interface Bound extends Host { ask: Ask, make: (input?: Partial<IssueInput>, accountId?: string) => Promise<Made>, get: (path: string, key: Made, headers?: Record<string, string | string[]>) => Promise<string> }

/** A host with one route a rule, for reading and for writing. */
async function bound (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Bound> {
  const host = await build(t, { accountRoutes: { rateLimit: false }, ...options }, {
    ...parts,
    before (app) {
      for (const [name, apiKey] of Object.entries(RULES)) {
        app.route({ method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], url: `/${name}`, config: { apiKey }, handler: async (request) => request.apiKey })
      }
    }
  })
  const ask = asking(host.app)
  return {
    ...host,
    ask,
    make: async (input, accountId) => await makeKey(host.app, input, accountId),
    get: async (path, { credential }, headers = {}) => outcome(await ask('GET', path, undefined, { ...credential, ...headers }))
  }
}

/** `200`, or status and code. */
function outcome ({ status, json }: Answer): string {
  return status < 400 ? String(status) : `${status} ${String(json?.code)}`
}

const SHOP = { origin: 'https://shop.example' }

t.test('a publishable key reads routes that allow it, from its origins, whatever scopes they ask for, and nothing else', async (t) => {
  const { ask, make, get } = await bound(t)
  const key = await make({ access: 'publishable', allowedOrigins: [SHOP.origin] })
  t.match(key.plaintext, /^pk_live_/)
  const secret = await make({ scopes: ['blocks:read'] })
  const cases: Record<string, [publishable: string, secret: string]> = {
    '/secret': ['403 FORBIDDEN', '200'],
    '/page': ['200', '200'],
    '/scoped': ['200', '403 INSUFFICIENT_SCOPE'],
    '/test': ['403 FORBIDDEN', '403 FORBIDDEN'],
    '/optional': ['200', '200'],
    '/closed': ['403 FORBIDDEN', '200']
  }
  for (const [path, [publishable, other]] of Object.entries(cases)) {
    t.equal(await get(path, key, SHOP), publishable, path)
    t.equal(await get(path, secret), other, `${path} with a secret key`)
    t.equal(outcome(await ask('GET', path, undefined, { authorization: `Bearer ${key.plaintext}`, ...SHOP })), publishable, `${path} as bearer`)
    t.equal((await ask('HEAD', path, undefined, { ...key.credential, ...SHOP })).status, Number(publishable.slice(0, 3)), `HEAD ${path}`)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      t.equal(outcome(await ask(method, path, undefined, { ...key.credential, ...SHOP })), '403 FORBIDDEN', `${method} ${path}`)
      t.equal(outcome(await ask(method, path, undefined, { ...key.credential, ...SHOP, ...SIGNED_IN })), '403 FORBIDDEN', `${method} ${path}: no session rescues it`)
      t.equal(outcome(await ask(method, path, undefined, { ...key.credential, ...SHOP, 'x-http-method-override': 'GET' })), '403 FORBIDDEN')
    }
  }
  const refused = await ask('GET', '/secret', undefined, { ...key.credential, ...SHOP })
  t.equal(refused.json.message, 'A publishable API key may not be used here.')
  t.equal(refused.headers['www-authenticate'], undefined)
  t.match((await ask('GET', '/page', undefined, { ...key.credential, ...SHOP })).json, { access: 'publishable', scopes: [], publicId: key.publicId })
  for (const rule of ['/page', '/optional']) t.equal(outcome(await ask('POST', rule, undefined, secret.credential)), '200', 'a secret key writes where the rule lets it')
})

t.test('from which origins a publishable key may be used', async (t) => {
  const { app, make, get } = await bound(t)
  const key = await make({ access: 'publishable', allowedOrigins: ['https://shop.example', 'https://*.shop.example', 'http://localhost:3000', 'https://shop.example:8443', 'http://[::1]:8080', 'https://xn--mnchen-3ya.example'] })
  const allowed = ['https://shop.example', 'https://www.shop.example', 'https://a-b.shop.example', 'http://localhost:3000', 'https://shop.example:8443', 'http://[::1]:8080', 'https://xn--mnchen-3ya.example']
  const refused = [
    'https://shop.example.evil.io', 'https://evilshop.example', 'https://evil.io', 'http://shop.example', 'https://shop.example:444', 'https://shop.example:443', 'https://a.b.shop.example', 'https://.shop.example',
    'https://www.shop.example:8443', 'https://*.shop.example', 'https://shop.example/', 'https://shop.example/x', 'https://Shop.example', 'HTTPS://shop.example', 'https://shop.example.', 'https://user@shop.example',
    'https://evil.io#.shop.example', 'https://evil.io?.shop.example', 'https://evil.io\\.shop.example', 'https://evil.io/.shop.example', 'https://%77ww.shop.example', 'null', 'NULL', '', 'undefined', 'shop.example', '*',
    'http://localhost', 'http://localhost:3001', 'http://127.0.0.1:3000', 'https://shop.example, https://evil.io', 'https://shop.example https://evil.io', 'chrome-extension://abc', 'file://', 'data:', `https://${'a'.repeat(400)}.shop.example`
  ]
  for (const origin of allowed) t.equal(await get('/page', key, { origin }), '200', origin)
  for (const origin of refused) t.equal(await get('/page', key, { origin }), '403 ORIGIN_NOT_ALLOWED', origin)
  const others: Array<[name: string, headers: Record<string, string>, expected: string]> = [
    ['no Origin', {}, '403 ORIGIN_NOT_ALLOWED'],
    ['no Origin, same-origin', { 'sec-fetch-site': 'same-origin' }, '200'],
    ['no Origin, same-site', { 'sec-fetch-site': 'same-site' }, '403 ORIGIN_NOT_ALLOWED'],
    ['no Origin, none', { 'sec-fetch-site': 'none' }, '403 ORIGIN_NOT_ALLOWED'],
    ['no Origin, odd case', { 'sec-fetch-site': 'Same-Origin' }, '403 ORIGIN_NOT_ALLOWED'],
    ['a Referer alone', { referer: 'https://shop.example/' }, '403 ORIGIN_NOT_ALLOWED'],
    ['a Host alone', { host: 'shop.example' }, '403 ORIGIN_NOT_ALLOWED'],
    ['a forwarded host', { 'x-forwarded-host': 'shop.example' }, '403 ORIGIN_NOT_ALLOWED'],
    ['a bad Origin, same-origin', { origin: 'https://evil.io', 'sec-fetch-site': 'same-origin' }, '403 ORIGIN_NOT_ALLOWED'],
    ['the Origin null, same-origin', { origin: 'null', 'sec-fetch-site': 'same-origin' }, '403 ORIGIN_NOT_ALLOWED'],
    ['a good Origin, cross-site', { origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' }, '200'],
    ['a good Origin and a bad Referer', { origin: 'https://shop.example', referer: 'https://evil.io/' }, '200']
  ]
  for (const [name, headers, expected] of others) t.equal(await get('/page', key, headers), expected, name)

  const socket = async (...headers: string[]): Promise<number> => (await raw(app, ['GET /page HTTP/1.1', `X-API-Key: ${key.plaintext}`, ...headers])).status
  t.equal(await socket('Origin: https://shop.example'), 200)
  t.equal(await socket('oRIGIN:https://shop.example'), 200)
  t.equal(await socket('Origin: https://shop.example', 'Origin: https://evil.io'), 403)
  t.equal(await socket('Origin: https://evil.io', 'Origin: https://shop.example'), 403)
  t.equal(await socket('Origin: https://shop.example', 'Origin: https://shop.example'), 403, 'two are never one')
  t.equal(await socket('Origin: https://shop.example', 'origin:'), 403)
  t.equal(await socket('Origin:', 'Sec-Fetch-Site: same-origin'), 403, 'an empty one is not a missing one')
  t.equal(await socket('Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: same-origin'), 403)
  t.equal(await socket('Sec-Fetch-Site: same-origin'), 200)
})

t.test('without origins of its own a publishable key follows the account\'s sites, and they hold from the next request', async (t) => {
  const { ask, make, get } = await bound(t)
  const key = await make({ access: 'publishable' })
  const own = await make({ access: 'publishable', allowedOrigins: ['https://own.example'] })
  const test = await make({ access: 'publishable', environment: 'test' })
  t.equal(await get('/page', key, SHOP), '403 ORIGIN_NOT_ALLOWED', 'no origins at all')
  t.equal(await get('/page', key, { 'sec-fetch-site': 'same-origin' }), '403 ORIGIN_NOT_ALLOWED')
  t.equal(await get('/page', key), '403 ORIGIN_NOT_ALLOWED')
  await ask('POST', SITES, { name: SHOP.origin }, { authorization: `Bearer token-${OTHER_ACCOUNT}` })
  t.equal(await get('/page', key, SHOP), '403 ORIGIN_NOT_ALLOWED', 'another account\'s site')
  const { siteId } = (await ask('POST', SITES, { name: SHOP.origin })).json
  await ask('POST', SITES, { name: 'https://*.pages.example' })
  t.strictSame([await get('/page', key, SHOP), await get('/page', key, { origin: 'https://a.pages.example' }), await get('/test', test, SHOP)], ['200', '200', '200'])
  t.equal(await get('/page', key, { origin: 'https://evil.io' }), '403 ORIGIN_NOT_ALLOWED')
  t.equal(await get('/page', own, SHOP), '403 ORIGIN_NOT_ALLOWED', 'one that names its origins has those alone')
  t.equal(await get('/page', own, { origin: 'https://own.example' }), '200')
  await ask('PATCH', key.url, { allowedOrigins: ['https://own.example'] })
  t.equal(await get('/page', key, SHOP), '403 ORIGIN_NOT_ALLOWED')
  await ask('PATCH', key.url, { allowedOrigins: [] })
  t.equal(await get('/page', key, SHOP), '200')
  await ask('DELETE', `${SITES}/${siteId}`)
  t.equal(await get('/page', key, SHOP), '403 ORIGIN_NOT_ALLOWED')
})

t.test('keys.origins: optional lets a publishable key without any origin be used from everywhere, and no other', async (t) => {
  const { ask, make, get } = await bound(t, { keys: { origins: 'optional' } })
  const key = await make({ access: 'publishable' })
  const named = await make({ access: 'publishable', allowedOrigins: [SHOP.origin] })
  for (const headers of [{}, SHOP, { origin: 'null' }, { origin: 'https://evil.io' }]) t.equal(await get('/page', key, headers as Record<string, string>), '200')
  t.equal(await get('/secret', key), '403 FORBIDDEN')
  t.strictSame([await get('/page', named), await get('/page', named, { origin: 'null' }), await get('/page', named, SHOP)], ['403 ORIGIN_NOT_ALLOWED', '403 ORIGIN_NOT_ALLOWED', '200'])
  await ask('POST', SITES, { name: 'https://site.example' })
  t.strictSame([await get('/page', key), await get('/page', key, SHOP), await get('/page', key, { origin: 'https://site.example' })], ['403 ORIGIN_NOT_ALLOWED', '403 ORIGIN_NOT_ALLOWED', '200'], 'once there is a site, it binds')
})

t.test('a secret key that names origins may be used from there and from servers; one that names none is not asked', async (t) => {
  const { app, ask, make, get } = await bound(t)
  const bare = await make()
  const key = await make({ allowedOrigins: [SHOP.origin] })
  for (const path of ['/secret', '/page']) {
    for (const headers of [{}, SHOP, { origin: 'null' }, { origin: 'https://evil.io' }]) t.equal(await get(path, bare, headers as Record<string, string>), '200', path)
    t.strictSame([await get(path, key), await get(path, key, SHOP), await get(path, key, { 'sec-fetch-site': 'cross-site' })], ['200', '200', '200'], path)
    for (const origin of ['https://evil.io', 'null', '', 'https://shop.example.evil.io']) t.equal(await get(path, key, { origin }), '403 ORIGIN_NOT_ALLOWED', `${path} from ${origin}`)
  }
  t.equal((await raw(app, ['GET /secret HTTP/1.1', `X-API-Key: ${key.plaintext}`, 'Origin: https://shop.example', 'Origin: https://shop.example'])).status, 403)
  await ask('POST', SITES, { name: 'https://site.example' })
  t.equal(await get('/secret', bare, { origin: 'https://evil.io' }), '200', 'sites are for publishable keys')
  t.equal((await ask('GET', '/secret', undefined, { ...key.credential, origin: 'https://evil.io' })).json.message, 'The API key may not be used from this origin.')
})

t.test('a key bound to addresses is judged by request.ip, as the host trusts its proxies', async (t) => {
  const ranges = ['203.0.113.0/24', '192.0.2.7', '2001:db8::/32', 'fe80::/10']
  const behind = await bound(t, {}, { server: { trustProxy: true } })
  const key = await behind.make({ allowedIps: ranges })
  const publishable = await behind.make({ access: 'publishable', allowedOrigins: [SHOP.origin], allowedIps: ['192.0.2.7'] })
  const from = async (ip: string, made = key, path = '/secret', headers = {}): Promise<string> => await behind.get(path, made, { 'x-forwarded-for': ip, ...headers })
  for (const ip of ['203.0.113.0', '203.0.113.255', '192.0.2.7', '2001:db8::1', '2001:DB8:ffff::', '::ffff:203.0.113.9', '::FFFF:203.0.113.9', 'fe80::1%eth0', '203.0.113.9, 198.51.100.1']) t.equal(await from(ip), '200', ip)
  for (const ip of ['203.0.114.0', '203.0.112.255', '192.0.2.8', '2001:db9::1', '::1', '::ffff:198.51.100.1', '::203.0.113.9', '0', '', 'localhost', 'unknown', '203.0.113.9:80', '[2001:db8::1]', '203.0.113', '0203.0.113.9', '0xcb007109', '198.51.100.1, 203.0.113.9']) {
    t.equal(await from(ip), '403 IP_NOT_ALLOWED', ip)
  }
  t.equal((await behind.ask('GET', '/secret', undefined, { ...key.credential, 'x-forwarded-for': '198.51.100.1' })).json.message, 'The API key may not be used from this address.')
  t.strictSame([await from('192.0.2.7', publishable, '/page', SHOP), await from('192.0.2.8', publishable, '/page', SHOP), await from('192.0.2.7', publishable, '/page')], ['200', '403 IP_NOT_ALLOWED', '403 ORIGIN_NOT_ALLOWED'])

  const direct = await bound(t)
  const local = await direct.make({ allowedIps: ['127.0.0.1'] })
  const far = await direct.make({ allowedIps: ['203.0.113.0/24'] })
  t.equal(await direct.get('/secret', local), '200')
  t.equal(await direct.get('/secret', local, { 'x-forwarded-for': '198.51.100.1' }), '200', 'a header says nothing where no proxy is trusted')
  t.equal(await direct.get('/secret', far, { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' }), '403 IP_NOT_ALLOWED')
  t.equal((await raw(direct.app, ['GET /secret HTTP/1.1', `X-API-Key: ${local.plaintext}`])).status, 200, 'a real socket')
})

t.test('verify() judges by the source it is told', async (t) => {
  const { app, make } = await bound(t)
  const { verify } = app.selfServeKeys
  const page = await make({ access: 'publishable', allowedOrigins: [SHOP.origin] })
  const server = await make({ allowedIps: ['192.0.2.0/24'] })
  const code = async (...args: Parameters<typeof verify>): Promise<string> => {
    const result = await verify(...args)
    return result.ok ? 'ok' : result.code
  }
  t.equal(await code(page.plaintext), 'FORBIDDEN')
  t.equal(await code(page.plaintext, { allowPublishable: true }), 'ORIGIN_NOT_ALLOWED')
  t.equal(await code(page.plaintext, { allowPublishable: true, origin: null, sameOrigin: true }), 'ORIGIN_NOT_ALLOWED')
  t.equal(await code(page.plaintext, { allowPublishable: true, sameOrigin: true }), 'ok')
  t.equal(await code(page.plaintext, { allowPublishable: true, origin: SHOP.origin, scopes: ['transactions:write'] }), 'ok')
  t.equal(await code(server.plaintext), 'IP_NOT_ALLOWED')
  t.equal(await code(server.plaintext, { ip: '192.0.2.200' }), 'ok')
  t.equal(await code(server.plaintext, { ip: '198.51.100.1' }), 'IP_NOT_ALLOWED')
})

t.test('a suspended account\'s keys are refused until the policy says otherwise, and what they may do is what it grants now', async (t) => {
  let policy: AccountPolicy = {}
  const resolved: string[] = []
  const { app, ask, make, clock, get } = await bound(t, {
    policy: { resolve: async (accountId) => { resolved.push(accountId); return accountId === ACCOUNT ? policy : {} }, cacheFor: '30 seconds' },
    rateLimit: { max: 100, timeWindow: '1 minute' }
  })
  const key = await make({ scopes: ['transactions:write', 'blocks:read'] })
  const all = await make({ scopes: null })
  const theirs = await make({}, OTHER_ACCOUNT)
  const { invalidate } = app.selfServeKeys.policy
  const scopes = async (made: Made): Promise<unknown> => (await ask('GET', '/secret', undefined, made.credential)).json.scopes
  resolved.length = 0
  for (let i = 0; i < 5; i++) t.equal(await get('/scoped', key), '200')
  t.strictSame(resolved, [], 'a known policy is not asked for again')

  policy = { suspended: true, grantableScopes: ['blocks:read'], rateLimits: [{ name: 'plan', max: 2, timeWindow: '1 hour' }] }
  clock.advance(29_999)
  t.equal(await get('/secret', key), '200', 'for as long as it is cached')
  clock.advance(1)
  for (const path of ['/secret', '/page', '/optional']) t.equal(await get(path, key, { ...SIGNED_IN, ...BROWSER }), '403 ACCOUNT_SUSPENDED', path)
  const refused = await ask('GET', '/secret', undefined, key.credential)
  t.match(refused.json, { message: 'The account is suspended.' })
  t.equal(refused.headers.ratelimit, undefined, 'and charged nothing')
  t.equal(await get('/secret', theirs), '200')
  t.match(await app.selfServeKeys.verify(key.plaintext), { ok: false, code: 'ACCOUNT_SUSPENDED' })
  t.equal((await ask('GET', '/optional')).status, 200, 'a session is the host\'s to stop')

  policy = { ...policy, suspended: false }
  invalidate(ACCOUNT)
  t.strictSame([await scopes(key), await scopes(all)], [['blocks:read'], ['blocks:read']], 'effective scopes')
  t.match((await ask('GET', '/scoped', undefined, key.credential)).json, { code: 'INSUFFICIENT_SCOPE' })
  t.match((await ask('GET', '/scoped', undefined, all.credential)).json, { code: 'INSUFFICIENT_SCOPE' })
  const answer = await ask('GET', '/secret', undefined, key.credential)
  t.strictSame([answer.headers.ratelimit, answer.headers['ratelimit-policy']], ['"plan";r=0;t=3600', '"plan";q=2;w=3600'], 'the plan\'s limits, in place of the plugin\'s')
  t.equal(await get('/secret', key), '429 RATE_LIMITED')
  t.match((await ask('GET', key.url)).json.apiKey, { scopes: ['transactions:write', 'blocks:read'], rateLimits: [{ name: 'plan', max: 2, windowSeconds: 3600, remaining: 0, resetSeconds: 3600 }] }, 'nothing of it is copied into the key')
  policy = { rateLimits: false }
  invalidate(ACCOUNT)
  const free = await ask('GET', '/scoped', undefined, key.credential)
  t.strictSame([free.status, free.headers.ratelimit, free.json.scopes], [200, undefined, ['transactions:write', 'blocks:read']])
  policy = { grantableScopes: [] }
  invalidate(ACCOUNT)
  t.strictSame([await scopes(key), await scopes(all)], [[], []])
})

t.test('a policy that fails serves the last one where onError allows it, else 503 and never a pass', async (t) => {
  for (const onError of ['stale', 'deny'] as const) {
    let broken = false
    const { make, ask, app, clock, get } = await bound(t, { policy: { resolve: () => { if (broken) throw new Error('password=hunter2'); return {} }, cacheFor: '1 second', onError } })
    const key = await make()
    t.equal(await get('/secret', key), '200')
    broken = true
    t.equal(await get('/secret', key), '200', 'fresh')
    clock.advance(1000)
    const answer = await ask('GET', '/secret', undefined, key.credential)
    t.equal(outcome(answer), onError === 'stale' ? '200' : '503 STORAGE_UNAVAILABLE', onError)
    app.selfServeKeys.policy.invalidate(ACCOUNT)
    const none = await ask('GET', '/secret', undefined, key.credential)
    t.equal(outcome(none), '503 STORAGE_UNAVAILABLE', `${onError}: nothing to go on with`)
    t.equal(none.headers['retry-after'], '1')
    t.notMatch(none.text, 'hunter2')
    broken = false
    t.equal(await get('/secret', key), '200')
  }
})

t.test('a policy that is none lets nobody do anything', async (t) => {
  for (const answer of [undefined, null, true, { maxKeys: '5' }, { maxKeys: 0 }, { maxKeys: 101 }, { suspended: 'no' }, { unknown: 1 }, { grantableScopes: ['x:y'] }, { grantableScopes: 'blocks:read' }, { rateLimits: { max: 1 } }, { maxLifetime: -1 }, { requireExpiry: 1 }, { maxSites: -1 }, []]) {
    let plan: unknown = {}
    const { app, ask, make, get } = await bound(t, { policy: { resolve: () => plan as AccountPolicy } })
    const key = await make()
    plan = answer
    app.selfServeKeys.policy.invalidate(ACCOUNT)
    t.equal(await get('/secret', key), '503 STORAGE_UNAVAILABLE', JSON.stringify(answer))
    t.equal(outcome(await ask('POST', KEYS, { label: 'x' })), '503 STORAGE_UNAVAILABLE', JSON.stringify(answer))
  }
})

t.test('X-API-Key-Expires-At is on the answers of a key\'s last 30 days, and not before', async (t) => {
  const { ask, make, clock } = await bound(t, { rateLimit: { max: 5, timeWindow: '1 second' } })
  const end = async (made: Made, path = '/secret', headers = {}): Promise<unknown> => (await ask('GET', path, undefined, { ...made.credential, ...headers })).headers['x-api-key-expires-at']
  const key = await make({ expiresAt: toIso(NOW + 31 * DAY) })
  const never = await make()
  clock.advance(DAY - 1)
  t.equal(await end(key), undefined)
  clock.advance(1)
  t.equal(await end(key), toIso(NOW + 31 * DAY))
  t.equal(await end(never), undefined)
  clock.advance(30 * DAY - 1)
  for (let i = 0; i < 5; i++) t.equal(await end(key), toIso(NOW + 31 * DAY))
  t.equal((await ask('GET', '/secret', undefined, key.credential)).status, 429)
  t.equal(await end(key), toIso(NOW + 31 * DAY), 'on a 429 too')
  clock.advance(1)
  t.equal((await ask('GET', '/secret', undefined, key.credential)).status, 401)
  t.equal(await end(key), undefined, 'an ended key is told of its end in words')

  const successor = madeBy(await ask('POST', `${never.url}/rotate`, { overlapSeconds: 3600 }))
  t.equal(await end(never), toIso(clock.now() + HOUR), 'a retiring key ends with its overlap')
  t.equal(await end(successor), undefined)
  t.equal((await ask('GET', '/optional')).headers['x-api-key-expires-at'], undefined)
})

t.test('usage of both keys of an overlap stays visible', async (t) => {
  const { ask, make, clock, get } = await bound(t)
  const old = await make({ label: 'CI' })
  const next = madeBy(await ask('POST', `${old.url}/rotate`, { overlapSeconds: 60 }))
  t.strictSame([await get('/secret', old), await get('/secret', next)], ['200', '200'])
  clock.advance(60_000)
  t.strictSame([await get('/secret', old), await get('/secret', next)], ['401 INVALID_API_KEY', '200'])
  const { perKey, totalRequests, recentFailures } = (await ask('GET', '/v1/me/usage?window=1h')).json
  t.equal(totalRequests, 4)
  t.match(new Map(perKey.map(({ publicId, requests, failures, status }: Record<string, unknown>) => [publicId, [requests, failures, status]])),
    new Map([[old.publicId, [2, 1, 'revoked']], [next.publicId, [2, 0, 'active']]]))
  t.match(recentFailures, [{ publicId: old.publicId, failureCode: 'INVALID_API_KEY', label: 'CI' }])
})

t.test('keys of other systems are taken in the shapes the host accepts, in every header, and never given to a session', async (t) => {
  const told: string[] = []
  const session: SessionResolver = { bearer (token) { told.push(token); return { id: ACCOUNT } } }
  const { app, ask } = await bound(t, {
    session,
    keys: { accept: [{ pattern: /rst_[0-9a-f]{32}/, maxLength: 36, hash: 'sha256' }, { pattern: /[A-Za-z]{64}/g, maxLength: 64, hash: 'sha256' }, { pattern: /x+/m, maxLength: 5, hash: 'sha256' }] }
  })
  const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
  const rst = `rst_${'0123456789abcdef'.repeat(2)}`
  const letters = 'aBcDeFgH'.repeat(8)
  for (const plaintext of [rst, letters, 'xxxxx']) await app.selfServeKeys.keys.importHashed(HOST, { label: plaintext.slice(0, 8), hash: sha(plaintext), scopes: ['blocks:read'] })
  const of = async (headers: Record<string, string>, path = '/secret'): Promise<string> => outcome(await ask('GET', path, undefined, headers))
  for (const plaintext of [rst, letters, 'xxxxx']) {
    for (let i = 0; i < 3; i++) {
      t.equal(await of({ 'x-api-key': plaintext }), '200', plaintext)
      t.equal(await of({ authorization: `Bearer ${plaintext}` }), '200', `${plaintext} as bearer`)
      t.equal(await of({ authorization: `bearer  ${plaintext} ` }, '/optional'), '200', `${plaintext} beside sessions`)
    }
    t.equal(await of({ 'x-api-key': plaintext, authorization: `Bearer ${rst === plaintext ? letters : rst}` }), '400 INVALID_REQUEST', 'two keys')
    t.match(await ask('GET', KEYS, undefined, { authorization: `Bearer ${plaintext}` }), { status: 401, json: { code: 'SESSION_REQUIRED', message: /This is an API key/ } })
  }
  const unknown = `rst_${'f'.repeat(32)}`
  t.equal(await of({ 'x-api-key': unknown }), '401 INVALID_API_KEY')
  t.equal(await of({ authorization: `Bearer ${unknown}` }, '/optional'), '401 INVALID_API_KEY', 'a bearer of that shape is a key, known or not')
  t.strictSame(told, [], 'no resolver has seen one')

  for (const near of [`${rst}0`, `x${rst}`, rst.toUpperCase(), `${rst}\t${rst}`, rst.slice(0, -1), letters.slice(1), `${letters}a`, 'xxxxxx', 'yxxxx', 'xxxxy']) {
    t.equal(await of({ 'x-api-key': near }), '401 INVALID_API_KEY', near)
    t.equal(await of({ authorization: `Bearer ${near}` }), '401 INVALID_API_KEY', `${near} as bearer`)
  }
  t.equal(await of({ authorization: `Bearer ${rst}0` }, '/optional'), '200', 'what has not the shape is a session\'s')
  t.strictSame(told, [`${rst}0`])
  const { ok } = await app.selfServeKeys.verify(letters)
  t.ok(ok)
})

t.test('an imported key gets the current pepper after its first use, and goes on working', async (t) => {
  const pepper = 'p'.repeat(32)
  const { app, ask, storage } = await bound(t, { keys: { accept: [{ pattern: /rst_[0-9a-f]{32}/, maxLength: 36, hash: 'sha256' }], peppers: { current: 'p1', keys: { p1: pepper } } } })
  const plaintext = `rst_${'0'.repeat(32)}`
  const hash = createHash('sha256').update(plaintext).digest()
  const { publicId } = await app.selfServeKeys.keys.importHashed(HOST, { label: 'old', hash: hash.toString('base64url') })
  t.match(await storage.getKey(ACCOUNT, publicId), { hash: hash.toString('hex'), pepperId: null })
  t.equal((await ask('GET', '/secret', undefined, { 'x-api-key': plaintext })).status, 200)
  await app.selfServeKeys.flush()
  t.match(await storage.getKey(ACCOUNT, publicId), { pepperId: 'p1' })
  t.not((await storage.getKey(ACCOUNT, publicId))!.hash, hash.toString('hex'))
  t.match((await ask('GET', '/secret', undefined, { 'x-api-key': plaintext })).json, { publicId, label: 'old' })
})

t.test('a handler sees the scopes that hold now, never the stored ones', async (t) => {
  const seen: unknown[] = []
  const { app, clock } = await build(t, { policy: { resolve: () => ({ grantableScopes: ['blocks:read'] }) } }, {
    after: (app: FastifyInstance) => app.get('/seen', { config: { apiKey: true } }, async (request) => {
      seen.push(request.apiKey.scopes, getApiKey(request).scopes, request.caller?.via === 'apiKey' && request.caller.apiKey.scopes)
      return {}
    })
  })
  const ask = asking(app)
  const { credential } = await makeKey(app, { scopes: null })
  t.equal((await ask('GET', '/seen', undefined, credential)).status, 200)
  t.strictSame(seen, Array(3).fill(['blocks:read']))
  t.equal(clock.now(), NOW)
})
