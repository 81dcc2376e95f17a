// The session rule: which credential of a request may name its account, what the host's resolver is told, and how it may fail.
import t, { type Test } from 'tap'
import type { Account, SelfServeKeysOptions, SessionAsk, SessionResolver } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { build, raw, type Host } from '../helpers/host.js'

const KEYS = '/v1/me/api-keys'
const API_KEY = generateKey('acme_sk_live_')
const ACCOUNT: Account = { id: 'user_a' }
const PLAIN = 'Bearer realm="api"'
const INVALID = 'Bearer realm="api", error="invalid_token"'

interface Call { via: 'bearer' | 'cookie', token?: string, cookies?: Readonly<Record<string, string>>, ask: SessionAsk }

/** Knows the bearer `good` and the cookie `session=good`, and notes what it is asked. */
function noting (): SessionResolver & { calls: Call[] } {
  const calls: Call[] = []
  return {
    calls,
    bearer (token, ask) {
      calls.push({ via: 'bearer', token, ask })
      return token === 'good' ? ACCOUNT : null
    },
    cookie (ask) {
      calls.push({ via: 'cookie', cookies: ask.cookies, ask })
      return ask.cookies.session === 'good' ? ACCOUNT : null
    }
  }
}

/** A host whose account routes and whose `/v1/reports`, key or session, stand under the rule. */
async function hostOf (t: Test, session: SessionResolver, options: Partial<SelfServeKeysOptions> = {}): Promise<Host> {
  return await build(t, { session, accountRoutes: { rateLimit: false }, ...options }, {
    before (app) {
      const config = { apiKey: { session: true } }
      app.get('/v1/reports', { config }, async (request) => ({ caller: request.caller }))
      app.post('/v1/reports', { config }, async (request) => ({ caller: request.caller }))
    }
  })
}

type Row = [name: string, headers: Record<string, string | string[]>, safe: string, unsafe: string, asked: Array<'bearer' | 'cookie'>]

const PASS = 'passes'
const NOBODY = `401 SESSION_REQUIRED ${PLAIN}`
const WRONG = `401 SESSION_REQUIRED ${INVALID}`
const COOKIE_ONLY = `403 BEARER_REQUIRED ${PLAIN}`
const GOOD_COOKIE = { cookie: 'session=good' }

const ROWS: Row[] = [
  // 1. A bearer decides alone.
  ['a good bearer', { authorization: 'Bearer good' }, PASS, PASS, ['bearer']],
  ['a good bearer, lower case', { authorization: 'bearer good' }, PASS, PASS, ['bearer']],
  ['a good bearer, odd case', { authorization: 'bEaReR good' }, PASS, PASS, ['bearer']],
  ['a good bearer after several spaces', { authorization: 'Bearer   good' }, PASS, PASS, ['bearer']],
  ['a good bearer after a tab', { authorization: 'Bearer\tgood' }, PASS, PASS, ['bearer']],
  ['a good bearer before spaces', { authorization: 'Bearer good  ' }, PASS, PASS, ['bearer']],
  ['a good bearer beside a good cookie', { authorization: 'Bearer good', ...GOOD_COOKIE }, PASS, PASS, ['bearer']],
  ['a good bearer beside a bad cookie', { authorization: 'Bearer good', cookie: 'session=bad' }, PASS, PASS, ['bearer']],
  ['a bad bearer', { authorization: 'Bearer bad' }, WRONG, WRONG, ['bearer']],
  ['a bad bearer beside a good cookie', { authorization: 'Bearer bad', ...GOOD_COOKIE }, WRONG, WRONG, ['bearer']],
  ['an empty bearer beside a good cookie', { authorization: 'Bearer', ...GOOD_COOKIE }, WRONG, WRONG, []],
  ['an empty bearer with a space beside a good cookie', { authorization: 'Bearer ', ...GOOD_COOKIE }, WRONG, WRONG, []],
  ['a bearer of two words', { authorization: 'Bearer good good', ...GOOD_COOKIE }, WRONG, WRONG, []],
  ['a bearer outside ASCII', { authorization: 'Bearer g\u00f6\u00f6d', ...GOOD_COOKIE }, WRONG, WRONG, []],
  ['two Authorization headers, both good', { authorization: ['Bearer good', 'Bearer good'] }, WRONG, WRONG, []],
  ['two Authorization headers, one Basic', { authorization: ['Basic eDp5', 'Bearer good'], ...GOOD_COOKIE }, WRONG, WRONG, []],
  // 2. and 3. No bearer: the cookie, which only reads.
  ['a good cookie', GOOD_COOKIE, PASS, COOKIE_ONLY, ['cookie']],
  ['a good cookie among others', { cookie: 'a=b; __proto__=x; session=good' }, PASS, COOKIE_ONLY, ['cookie']],
  ['a good cookie beside Basic', { authorization: 'Basic eDp5', ...GOOD_COOKIE }, PASS, COOKIE_ONLY, ['cookie']],
  ['a good cookie beside a scheme that begins like bearer', { authorization: 'Bearerx good', ...GOOD_COOKIE }, PASS, COOKIE_ONLY, ['cookie']],
  ['a good cookie beside an empty Authorization', { authorization: '', ...GOOD_COOKIE }, PASS, COOKIE_ONLY, ['cookie']],
  ['a bad cookie', { cookie: 'session=bad' }, NOBODY, NOBODY, ['cookie']],
  ['a cookie without a session', { cookie: 'theme=dark' }, NOBODY, NOBODY, ['cookie']],
  ['cookies named after members of objects', { cookie: '__proto__=good; constructor=good; toString=good' }, NOBODY, NOBODY, ['cookie']],
  ['nothing', {}, NOBODY, NOBODY, []],
  ['Basic alone', { authorization: 'Basic eDp5' }, NOBODY, NOBODY, []],
  ['a session in the wrong header', { 'x-session': 'good' }, NOBODY, NOBODY, []]
]

t.test('each row of the rule, on the account routes', async (t) => {
  for (const [name, headers, safe, unsafe, asked] of ROWS) {
    const session = noting()
    const { app } = await hostOf(t, session)
    for (const [method, url, expected, passes] of [
      ['GET', KEYS, safe, 200], ['HEAD', KEYS, safe, 200], ['OPTIONS', KEYS, safe, 204],
      ['POST', KEYS, unsafe, 201], ['DELETE', `${KEYS}/x`, unsafe, 404]
    ] as const) {
      session.calls.length = 0
      const answer = await app.inject({ method, url, headers })
      t.equal(outcome(answer, passes, method === 'HEAD'), method === 'HEAD' ? expected.replace(/[A-Z]+_[A-Z]+/, '-') : expected, `${method} with ${name}`)
      t.strictSame(session.calls.map(({ via }) => via), asked, `${method} with ${name}: who is asked`)
      t.equal(answer.headers['cache-control'], 'no-store')
    }
    t.equal((await app.selfServeKeys.keys.count(ACCOUNT.id)).total, unsafe === PASS ? 1 : 0, `${name}: what was written`)
  }
})

t.test('each row of the rule, on a route that takes a key or a session', async (t) => {
  for (const [name, headers, safe, unsafe, asked] of ROWS) {
    const session = noting()
    const { app } = await hostOf(t, session)
    for (const [method, row] of [['GET', safe], ['POST', unsafe]] as const) {
      session.calls.length = 0
      const answer = await app.inject({ method, url: '/v1/reports', headers })
      // Where nothing was presented, a key would have done as well.
      t.equal(outcome(answer, 200), row === NOBODY ? `401 MISSING_API_KEY ${PLAIN}` : row, `${method} with ${name}`)
      if (row === PASS) t.strictSame(answer.json(), { caller: { via: 'session', accountId: 'user_a', account: ACCOUNT } }, `${method} with ${name}`)
      t.strictSame(session.calls.map(({ via }) => via), asked, `${method} with ${name}: who is asked`)
    }
  }
})

function outcome (answer: { statusCode: number, body: string, headers: Record<string, unknown> }, passes: number, head = false): string {
  if (answer.statusCode === passes) return PASS
  const code = head ? '-' : (JSON.parse(answer.body) as { code: string }).code
  return `${answer.statusCode} ${code} ${String(answer.headers['www-authenticate'])}`
}

t.test('the refusals in words', async (t) => {
  const { app } = await hostOf(t, noting())
  const words: Array<[method: 'GET' | 'POST', headers: Record<string, string | string[]>, message: string]> = [
    ['GET', {}, 'A signed-in session is required.'],
    ['GET', { authorization: 'Bearer bad' }, 'The session token is not valid.'],
    ['GET', { authorization: ['Bearer a', 'Bearer b'] }, 'Send one Authorization header.'],
    ['GET', { authorization: `Bearer ${API_KEY}` }, 'This is an API key. Send the token of a signed-in session.'],
    ['POST', GOOD_COOKIE, 'A session cookie may only read here. Send the session token as "Authorization: Bearer".']
  ]
  for (const [method, headers, message] of words) {
    t.equal((await app.inject({ method, url: KEYS, headers })).json<{ message: string }>().message, message)
  }
})

t.test('duplicates as a real socket brings them', async (t) => {
  const session = noting()
  const { app } = await hostOf(t, session)
  const get = async (...headers: string[]): Promise<number> => (await raw(app, [`GET ${KEYS} HTTP/1.1`, ...headers])).status
  t.equal(await get('Authorization: Bearer good'), 200)
  t.equal(await get('authorization:Bearer   good'), 200)
  session.calls.length = 0
  t.equal(await get('Authorization: Bearer good', 'Authorization: Bearer bad'), 401)
  t.equal(await get('Authorization: Bearer bad', 'Authorization: Bearer good'), 401)
  t.equal(await get('Authorization: Bearer good', 'AUTHORIZATION: Bearer good'), 401)
  t.equal(await get('Authorization: Basic eDp5', 'Authorization: Bearer good', 'Cookie: session=good'), 401)
  t.equal(await get('Authorization:', 'Authorization: Bearer good'), 401)
  t.equal(session.calls.length, 0, 'nobody was asked')
  t.equal(await get('Cookie: a=b', 'Cookie: session=good'), 200, 'cookies may come in several headers')
  t.strictSame({ ...session.calls[0]!.cookies }, { a: 'b', session: 'good' })
})

t.test('cookieMutations lets a cookie make changes where the browser vouches for the site', async (t) => {
  const origins = ['https://app.example', 'https://other.example:8443']
  const cases: Array<[name: string, headers: Record<string, string>, status: number]> = [
    ['same-origin', { 'sec-fetch-site': 'same-origin' }, 201],
    ['a listed origin', { origin: 'https://app.example' }, 201],
    ['a listed origin with a port', { origin: 'https://other.example:8443' }, 201],
    ['a listed origin, cross-site', { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }, 201],
    ['neither header', {}, 403],
    ['same-site', { 'sec-fetch-site': 'same-site' }, 403],
    ['cross-site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['none', { 'sec-fetch-site': 'none' }, 403],
    ['another origin', { origin: 'https://evil.example' }, 403],
    ['an origin that begins like a listed one', { origin: 'https://app.example.evil.example' }, 403],
    ['a listed origin by another scheme', { origin: 'http://app.example' }, 403],
    ['a listed origin on another port', { origin: 'https://app.example:8443' }, 403],
    ['the origin null', { origin: 'null' }, 403],
    ['a referrer alone', { referer: 'https://app.example/' }, 403]
  ]
  const { app } = await hostOf(t, noting(), { cookieMutations: { origins } })
  for (const [name, headers, status] of cases) {
    for (const url of [KEYS, '/v1/reports']) {
      const answer = await app.inject({ method: 'POST', url, headers: { ...headers, ...GOOD_COOKIE } })
      t.equal(answer.statusCode, status === 201 && url !== KEYS ? 200 : status, `${name}: ${url}`)
      if (status === 403) t.match(answer.json(), { code: 'BEARER_REQUIRED' }, name)
    }
    t.equal((await app.inject({ method: 'POST', url: KEYS, headers: { ...headers, cookie: 'session=bad' } })).statusCode, 401, `${name}, bad cookie`)
    t.equal((await app.inject({ method: 'POST', url: KEYS, headers: { ...headers, authorization: 'Bearer bad', ...GOOD_COOKIE } })).statusCode, 401,
      `${name}, bad bearer`)
    t.equal((await app.inject({ method: 'GET', url: KEYS, headers: { ...headers, ...GOOD_COOKIE } })).statusCode, 200, `${name}: reading is open`)
  }
  const strict = await hostOf(t, noting())
  t.equal((await strict.app.inject({ method: 'POST', url: KEYS, headers: { 'sec-fetch-site': 'same-origin', ...GOOD_COOKIE } })).statusCode, 403,
    'without the option nobody is vouched for')
})

t.test('a resolver without cookie() takes no cookie for a session', async (t) => {
  const { app } = await hostOf(t, { bearer: () => ACCOUNT })
  t.equal((await app.inject({ url: KEYS, headers: GOOD_COOKIE })).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: KEYS, headers: GOOD_COOKIE })).statusCode, 401)
  t.equal((await app.inject({ url: KEYS, headers: { authorization: 'Bearer x' } })).statusCode, 200)
})

t.test('a resolver may answer at once or later, and keeps its `this`', async (t) => {
  class Login {
    readonly known = 'good'
    async bearer (token: string): Promise<Account | null> { return token === this.known ? ACCOUNT : null }
    cookie ({ cookies }: { cookies: Readonly<Record<string, string>> }): Account | null { return cookies.session === this.known ? ACCOUNT : null }
  }
  const { app } = await hostOf(t, new Login())
  t.equal((await app.inject({ url: KEYS, headers: { authorization: 'Bearer good' } })).statusCode, 200)
  t.equal((await app.inject({ url: KEYS, headers: { authorization: 'Bearer bad' } })).statusCode, 401)
  t.equal((await app.inject({ url: KEYS, headers: GOOD_COOKIE })).statusCode, 200)
})

t.test('a resolver that fails is 503 with Retry-After: never a pass, never "nobody"', async (t) => {
  const failing: Record<string, () => unknown> = {
    throws: () => { throw new Error('the user is ada@example.com') },
    'throws nothing': () => { throw undefined }, // eslint-disable-line no-throw-literal -- a resolver may throw anything
    rejects: async () => { throw new Error('the user is ada@example.com') },
    'answers undefined': () => undefined,
    'answers true': () => true,
    'answers false': () => false,
    'answers a string': () => 'user_a',
    'answers an empty string': () => '',
    'answers 0': () => 0,
    'answers {}': () => ({}),
    'answers a list': () => [ACCOUNT],
    'answers a function': () => () => ACCOUNT,
    'answers an empty id': () => ({ id: '' }),
    'answers a number for an id': () => ({ id: 7 }),
    'answers an id with a control character': () => ({ id: 'user\u0000a' }),
    'answers an id with a line break': () => ({ id: 'user\na' }),
    'answers an id with a C1 control': () => ({ id: 'user\u0085a' }),
    'answers an id with a space at its end': () => ({ id: 'user_a ' }),
    'answers an id with a space before it': () => ({ id: '\u00a0user_a' }),
    'answers an id of 256 bytes': () => ({ id: 'a'.repeat(256) }),
    'answers an id of 256 bytes in fewer characters': () => ({ id: 'é'.repeat(128) }),
    'answers an id with a lone surrogate': () => ({ id: 'user\ud800' }),
    'answers an actor without an id': () => ({ id: 'user_a', actor: { name: 'Ada' } }),
    'answers an actor that is text': () => ({ id: 'user_a', actor: 'Ada' }),
    'answers a name that is no text': () => ({ id: 'user_a', actor: { id: 'a', name: 5 } }),
    'answers a profile that is text': () => ({ id: 'user_a', profile: 'Ada' }),
    'promises undefined': async () => undefined,
    'promises {}': async () => ({}),
    'is a thenable that throws': () => ({ then () { throw new Error('no') } }),
    'answers an id that cannot be read': () => ({ get id () { throw new Error('the user is ada@example.com') } }),
    'promises an actor that cannot be read': async () => ({ id: 'user_a', get actor () { throw new Error('no') } })
  }
  for (const [name, answer] of Object.entries(failing)) {
    const { app } = await hostOf(t, { bearer: answer as () => null, cookie: answer as () => null })
    for (const headers of [{ authorization: 'Bearer good' }, GOOD_COOKIE]) {
      for (const [method, url] of [['GET', KEYS], ['POST', KEYS], ['GET', '/v1/reports']] as const) {
        const answer = await app.inject({ method, url, headers: { ...headers } })
        t.equal(answer.statusCode, 503, `${name}: ${method} ${url}`)
        t.match(answer.json(), { code: 'STORAGE_UNAVAILABLE', message: 'The session could not be checked. Try again shortly.' }, name)
        t.equal(answer.headers['retry-after'], '1', name)
        t.equal(answer.headers['www-authenticate'], undefined, name)
      }
    }
    t.equal((await app.selfServeKeys.keys.count('user_a')).total, 0, `${name}: nothing was written`)
  }
})

t.test('ids at the edge of what an account id may be pass', async (t) => {
  for (const id of ['a', 'a'.repeat(255), 'é'.repeat(127), 'a b', '__proto__', '1', '🔑', '\'; drop table api_keys']) {
    const { app } = await hostOf(t, { bearer: () => ({ id, actor: { id: 'x' }, profile: {} }) })
    const answer = await app.inject({ method: 'POST', url: KEYS, headers: { authorization: 'Bearer x' } })
    t.equal(answer.statusCode, 201, id)
    t.equal((await app.selfServeKeys.keys.count(id)).total, 1, id)
  }
})

t.test('a resolver that hangs is 503 in about the timeout, and is told to give up', async (t) => {
  const asks: SessionAsk[] = []
  const hang = async (ask: SessionAsk): Promise<never> => {
    asks.push(ask)
    t.equal(ask.signal.aborted, false, 'not told before its time')
    return await new Promise(() => {})
  }
  const { app } = await hostOf(t, { bearer: async (_token, ask) => await hang(ask), cookie: hang }, { timeout: 30 })
  for (const headers of [{ authorization: 'Bearer good' }, GOOD_COOKIE]) {
    for (const url of [KEYS, '/v1/reports']) {
      const started = performance.now()
      const answer = await app.inject({ url, headers: { ...headers } })
      const took = performance.now() - started
      t.equal(answer.statusCode, 503, url)
      t.equal(answer.headers['retry-after'], '1', url)
      t.ok(took > 25 && took < 1000, `${url}: ${took} ms`)
    }
  }
  t.equal(asks.length, 4)
  t.ok(asks.every(({ signal }) => signal.aborted))
})

t.test('what a resolver is told', async (t) => {
  const session = noting()
  const { app } = await build(t, { session, headers: ['X-Acme-Key', 'x-api-key', 'authorization'], routePrefix: '/v1/:team', accountRoutes: { rateLimit: false } },
    { server: { trustProxy: true } })
  const common = { 'x-acme-key': API_KEY, 'x-api-key': API_KEY, 'x-team': 'blue', 'x-forwarded-for': '203.0.113.9', ...GOOD_COOKIE }

  await app.inject({ url: '/v1/blue/api-keys', headers: { ...common, authorization: 'Bearer good', 'set-cookie': ['a=1', 'b=2'] } })
  await app.inject({ method: 'POST', url: '/v1/blue/api-keys', headers: { ...common, authorization: 'Bearer good' } })
  await app.inject({ method: 'HEAD', url: '/v1/red/usage', headers: { ...common, authorization: 'Basic eDp5' } })
  await app.inject({ method: 'DELETE', url: '/v1/red/api-keys/x', headers: common })
  const [read, write, head, cookieWrite] = session.calls as [Call, Call, Call, Call]
  t.equal(session.calls.length, 4)

  for (const { via, ask } of session.calls) {
    t.equal(ask.headers.get('x-team'), 'blue')
    t.equal(ask.headers.get('x-acme-key'), null, 'no key header')
    t.equal(ask.headers.get('x-api-key'), null, 'no key header')
    t.equal(ask.headers.get(via === 'bearer' ? 'cookie' : 'authorization'), null, 'one credential')
    t.equal(ask.ip, '203.0.113.9')
    t.type(ask.log.info, 'function')
    t.ok(ask.signal.aborted, 'whatever still runs after the answer may stop')
  }
  t.equal(read.token, 'good')
  t.equal(read.ask.headers.get('authorization'), 'Bearer good')
  t.equal(read.ask.headers.get('set-cookie'), 'a=1, b=2')
  t.equal(head.ask.headers.get('cookie'), 'session=good')
  t.strictSame({ ...head.cookies }, { session: 'good' })
  t.match([read.ask.method, write.ask.method, head.ask.method, cookieWrite.ask.method], ['GET', 'POST', 'HEAD', 'DELETE'])
  t.match([read.ask.fresh, write.ask.fresh, head.ask.fresh, cookieWrite.ask.fresh], [false, true, false, true])
  t.strictSame({ ...cookieWrite.ask.params as object }, { team: 'red', publicId: 'x' })
})

t.test('a resolver gets a copy of the headers: what it changes reaches nobody', async (t) => {
  const { app } = await build(t, {
    session: {
      bearer (_token, { headers }) {
        headers.set('x-team', 'red')
        return ACCOUNT
      }
    }
  }, { after: (app) => app.get('/team', { config: { apiKey: { session: true } } }, async ({ headers }) => ({ team: headers['x-team'] })) })
  const answer = await app.inject({ url: '/team', headers: { authorization: 'Bearer good', 'x-team': 'blue' } })
  t.strictSame(answer.json(), { team: 'blue' })
})

t.test('no cookie name pollutes anything', async (t) => {
  const session = noting()
  const { app } = await hostOf(t, session)
  await app.inject({ url: KEYS, headers: { cookie: '__proto__=x; constructor=y; session=%E0%A4%A; session=second; broken; a=%00' } })
  const { cookies } = session.calls[0]!
  t.equal(({} as Record<string, unknown>).x, undefined)
  t.equal('hasOwnProperty' in cookies!, false, 'nothing is inherited')
  t.strictSame(Object.keys(cookies!), ['__proto__', 'constructor', 'session', 'a'])
  t.equal(cookies!.session, '%E0%A4%A', 'the first of a name counts, and what does not decode stays as it is')
  t.equal(cookies!.toString, undefined)
})

t.test('an API key is never given to a resolver, in whatever header it comes', async (t) => {
  const session = noting()
  const { app } = await hostOf(t, session, { headers: ['x-api-key', 'authorization', 'x-starkscan-api-key'] })
  const forms: Array<Record<string, string | string[]>> = [
    { authorization: `Bearer ${API_KEY}` },
    { authorization: `bearer   ${API_KEY}  ` },
    { authorization: `BEARER\t${API_KEY}` },
    { authorization: [`Bearer ${API_KEY}`, 'Bearer good'] },
    { authorization: ['Bearer good', `Bearer ${API_KEY}`] },
    { authorization: API_KEY },
    { authorization: `Basic ${API_KEY}` },
    { authorization: `ApiKey ${API_KEY}` },
    { 'x-api-key': API_KEY },
    { 'x-api-key': [API_KEY, 'other'] },
    { 'X-API-KEY': API_KEY },
    { 'x-starkscan-api-key': API_KEY },
    { 'x-api-key': API_KEY, authorization: 'Bearer good' },
    { 'x-api-key': API_KEY, authorization: `Basic ${API_KEY}` }
  ]
  for (const headers of forms) {
    for (const cookie of [{}, GOOD_COOKIE]) {
      for (const [method, url] of [['GET', KEYS], ['POST', KEYS], ['GET', '/v1/reports'], ['POST', '/v1/reports']] as const) {
        await app.inject({ method, url: `${url}?key=${API_KEY}`, headers: { ...headers, ...cookie } })
      }
    }
  }
  t.ok(session.calls.length > 10, 'sessions beside keys were looked at')
  for (const { token, cookies, ask } of session.calls) {
    const told = JSON.stringify([token, cookies, [...ask.headers], ask.params, ask.method, ask.ip])
    t.notOk(told.includes(API_KEY), told)
  }
})
