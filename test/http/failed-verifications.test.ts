// The limit on failed verifications, by client address: what counts as one, whose address counts, and that good keys pass.
import type { InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { memoryRateLimitStore, type SelfServeKeysOptions } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { MINUTE, SECOND } from '../../lib/time.js'
import { HOST, KEYS, makeKey } from '../helpers/account.js'
import { BROWSER, SIGNED_IN, storeKey, type HostParts } from '../helpers/host.js'
import { NOW } from '../helpers/keys.js'
import { limited, lineOf, type Limited } from '../helpers/limits.js'

const SCOPES = { 'account:read': 'Read', 'account:write': 'Change', 'blocks:read': 'Read blocks' }
const THREE = { max: 3, timeWindow: '1 minute' }
const STOPPED = '429 after 60'

interface Watched extends Limited { from: (ip: string, key: string, more?: InjectOptions) => Promise<string> }

/** A host that stops an address after three failures, its account routes open to keys. */
async function watching (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Watched> {
  const host = await limited(t, {
    scopes: SCOPES, rateLimit: { failedVerifications: THREE }, accountRoutes: { rateLimit: false, apiKeys: { read: 'account:read', write: 'account:write' } }, ...options
  }, parts)
  return { ...host, from: async (ip, key, more = {}) => await host.told('/x', key, { remoteAddress: ip, ...more }) }
}

const unknown = (): string => generateKey('sk_live_')

t.test('after so many failures an address is told 429 instead of 401; a good key from it still passes, and the window ends', async (t) => {
  const { app, get, from, key, clock } = await watching(t)
  for (let i = 0; i < 3; i++) t.equal(await from('192.0.2.1', unknown()), '401')
  clock.pass(20 * SECOND)
  const refused = await get('/x', unknown(), { remoteAddress: '192.0.2.1' })
  t.equal(lineOf(refused), '429 after 40')
  t.strictSame(refused.json(), { statusCode: 429, code: 'RATE_LIMITED', error: 'Too Many Requests', message: 'Too many requests: at most 3 in 60 seconds.' })
  t.equal(refused.headers['www-authenticate'], undefined)
  t.equal(await from('192.0.2.1', key), '200', 'whoever shares the address')
  t.equal((await app.inject({ url: '/x', remoteAddress: '192.0.2.1' })).statusCode, 401, 'no key is no guess')
  t.equal(await from('192.0.2.2', unknown()), '401', 'another address')
  clock.pass(40 * SECOND)
  t.equal(await from('192.0.2.1', unknown()), '401', 'the refusals did not put off its end')
})

t.test('it is off unless the host asks for it', async (t) => {
  for (const rateLimit of [false, { max: 1, timeWindow: '1 minute' }, { failedVerifications: false }, { limits: false }] as const) {
    const { from } = await watching(t, { rateLimit })
    for (let i = 0; i < 300; i++) t.equal(await from('192.0.2.1', unknown()), '401')
  }
})

t.test('what counts: every key that is not valid, on protected routes and on account routes, and nothing else', async (t) => {
  const ok = async (): Promise<object> => ({})
  const { app, from, storage, key } = await watching(t, { policy: { resolve: (id) => ({ suspended: id === 'suspended' }) } }, {
    before (app) {
      app.get('/scope', { config: { apiKey: { scopes: ['account:write'] } } }, ok)
      app.get('/test', { config: { apiKey: { environments: ['test'] } } }, ok)
      app.get('/either', { config: { apiKey: { session: true, optional: true } } }, ok)
      app.get('/public', ok)
    }
  })
  const stored = async (overrides: Parameters<typeof storeKey>[1]): Promise<string> => (await storeKey(storage, overrides)).plaintext
  const revoked = await makeKey(app)
  await app.selfServeKeys.keys.revoke(HOST, revoked.publicId)
  let addresses = 0
  /** Asks four times from an address of its own; does the fourth answer say that these were failed verifications? */
  const counted = async (request: InjectOptions): Promise<string> => {
    const remoteAddress = `198.51.100.${++addresses}`
    const lines: string[] = []
    for (let i = 0; i < 4; i++) lines.push(lineOf(await app.inject({ ...request, remoteAddress })))
    t.equal(new Set(lines.slice(0, 3)).size, 1)
    // What fails later from this address shows whether these were counted.
    t.equal(await from(remoteAddress, unknown()), lines[3] === STOPPED ? STOPPED : '401')
    return lines[3]!
  }
  const withKey = (key: string, url = '/x', method = 'GET'): InjectOptions => ({ method: method as 'GET', url, headers: { 'x-api-key': key } })
  const failures: Record<string, InjectOptions> = {
    unknown: withKey(unknown()),
    'unknown as bearer': { url: '/x', headers: { authorization: `Bearer ${unknown()}` } },
    malformed: withKey('no key'),
    'a bearer that is none': { url: '/x', headers: { authorization: 'Bearer x' } },
    empty: withKey(''),
    'a wrong checksum': withKey(`${key.slice(0, -1)}_`),
    revoked: withKey(revoked.plaintext),
    expired: withKey(await stored({ expiresAt: NOW })),
    disabled: withKey(await stored({ disabledBy: 'host' })),
    'where a session would do': withKey(unknown(), '/either'),
    HEAD: withKey(unknown(), '/x', 'HEAD'),
    'reading an account': withKey(unknown(), KEYS),
    'changing one': withKey(unknown(), KEYS, 'POST'),
    'a revoked key there': withKey(revoked.plaintext, '/v1/me/usage')
  }
  for (const [name, request] of Object.entries(failures)) t.equal(await counted(request), STOPPED, name)
  const others: Record<string, [InjectOptions, string]> = {
    'no key': [{ url: '/x' }, '401'],
    'no key, no session': [{ url: KEYS }, '401'],
    'the wrong scope': [withKey(key, '/scope'), '403'],
    'the wrong environment': [withKey(key, '/test'), '403'],
    'the wrong scope there': [withKey(key, KEYS), '403'],
    'a publishable key': [withKey(await stored({ access: 'publishable' })), '403'],
    'from a wrong address': [withKey(await stored({ allowedIps: ['203.0.113.0/24'] })), '403'],
    'from a wrong page': [{ url: '/x', headers: { 'x-api-key': await stored({ allowedOrigins: ['https://a.example'] }), origin: 'https://b.example' } }, '403'],
    'a suspended account': [withKey(await stored({ accountId: 'suspended' })), '403'],
    'two keys': [{ url: '/x', headers: { 'x-api-key': unknown(), authorization: `Bearer ${unknown()}` } }, '400'],
    'a good session': [{ url: KEYS, headers: SIGNED_IN }, '200'],
    'a bad session': [{ url: KEYS, headers: { authorization: 'Bearer x' } }, '401'],
    'a bad cookie': [{ url: KEYS, headers: { cookie: 'session=x' } }, '401'],
    'a bad session on a route of the host': [{ url: '/either', headers: { authorization: 'Bearer x' } }, '401'],
    'a cookie': [{ url: '/either', headers: BROWSER }, '200'],
    'a bad key where none is asked for': [withKey(unknown(), '/public'), '200'],
    'a bad key where nothing is': [withKey(unknown(), '/nowhere'), '404'],
    'a good key': [withKey(key), '200']
  }
  for (const [name, [request, line]] of Object.entries(others)) t.equal(await counted(request), line, name)
})

t.test('whose address it is: what Fastify\'s trustProxy makes of it, and no header besides', async (t) => {
  const forwarded = (value: string): InjectOptions => ({ headers: { 'x-forwarded-for': value, forwarded: `for=${value}`, 'x-real-ip': value } })
  const lines = async (trustProxy: boolean | string, requests: Array<[remote: string, forwardedFor: string]>): Promise<string> => {
    const { from } = await watching(t, {}, { server: { trustProxy } })
    const all: string[] = []
    for (const [remote, value] of requests) all.push((await from(remote, unknown(), forwarded(value))).slice(0, 3))
    return all.join(' ')
  }
  const changing = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4', '203.0.113.5']
  t.equal(await lines(false, changing.map((ip) => ['192.0.2.1', ip])), '401 401 401 429 429', 'a client that makes addresses up')
  t.equal(await lines('10.0.0.0/8', changing.map((ip) => ['192.0.2.1', ip])), '401 401 401 429 429', 'and one that is not the proxy')
  t.equal(await lines('10.0.0.0/8', changing.map((ip) => ['10.0.0.1', ip])), '401 401 401 401 401', 'behind the proxy each client by itself')
  t.equal(await lines('10.0.0.0/8', changing.map((ip) => ['10.0.0.1', `${ip}, 192.0.2.9`])), '401 401 401 429 429', 'a client behind it that makes addresses up')
  t.equal(await lines(true, changing.map((_ip, i) => [`10.0.0.${i}`, '192.0.2.9'])), '401 401 401 429 429', 'one client behind several proxies')
})

t.test('an IPv6 network of 64 bits counts as one, an IPv4 address as itself, however it is written', async (t) => {
  const same: string[][] = [
    ['2001:db8:0:1::1', '2001:db8:0:1::2', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:0DB8:0000:0001:0:0:0:7'],
    ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.1', '::FFFF:192.0.2.1'],
    ['fe80::1', 'fe80::2%eth0', 'fe80::3', 'fe80::4%1']
  ]
  for (const addresses of same) {
    const { from } = await watching(t)
    const lines: string[] = []
    for (const ip of addresses) lines.push(await from(ip, unknown()))
    t.strictSame(lines, ['401', '401', '401', STOPPED], addresses[0]!)
  }
  const { from } = await watching(t)
  for (const ip of ['2001:db8:0:1::1', '2001:db8:0:2::1', '2001:db8:1:1::1', '2001:db8::1', '192.0.2.1', '192.0.2.2', '::1', '127.0.0.1']) {
    for (let i = 0; i < 3; i++) t.equal(await from(ip, unknown()), '401', ip)
    t.equal(await from(ip, unknown()), STOPPED, ip)
  }
})

t.test('it has nothing to do with keys\' limits: neither is charged for the other, and its addresses are in no store of the host\'s', async (t) => {
  const store = memoryRateLimitStore()
  const { from, key } = await watching(t, { rateLimit: { limits: { max: 2, timeWindow: '1 hour' }, store, failedVerifications: THREE } })
  t.equal(await from('192.0.2.1', key), '200 "default";r=1;t=3600')
  for (let i = 0; i < 3; i++) t.equal(await from('192.0.2.1', unknown()), '401')
  t.equal(await from('192.0.2.1', unknown()), STOPPED)
  t.equal(await from('192.0.2.1', key), '200 "default";r=0;t=3600')
  for (let i = 0; i < 5; i++) t.equal(await from('192.0.2.2', key), '429 "default";r=0;t=3600 after 3600')
  t.equal(await from('192.0.2.2', unknown()), '401', 'too many requests are no failed verifications')
  t.equal(store.size, 1)
})

t.test('goes by the monotonic clock: a wall clock that jumps neither frees nor locks an address', async (t) => {
  const { from, clock } = await watching(t)
  for (let i = 0; i < 3; i++) await from('192.0.2.1', unknown())
  for (const jump of [-60 * MINUTE, 120 * MINUTE, 12 * 365 * 24 * 60 * MINUTE]) {
    clock.wall += jump
    t.equal(await from('192.0.2.1', unknown()), STOPPED)
  }
  clock.mono += MINUTE
  t.equal(await from('192.0.2.1', unknown()), '401')
})

t.test('a revoked key that is tried on is in its owner\'s usage, as what it was answered', async (t) => {
  const { app, storage, from } = await watching(t, { usage: { flushInterval: '1 week', prune: false } })
  const { plaintext } = await storeKey(storage, { disabledBy: 'account' })
  for (let i = 0; i < 4; i++) await from('192.0.2.1', plaintext)
  await from('192.0.2.1', unknown())
  const { recentFailures, totalRequests } = await app.selfServeKeys.usage.snapshot('user_a')
  t.strictSame(recentFailures.map(({ status, failureCode }) => [status, failureCode]), [[429, 'RATE_LIMITED'], ...Array(3).fill([401, 'INVALID_API_KEY'])])
  t.equal(totalRequests, 4)
})
