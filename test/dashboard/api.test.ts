// What the page asks of a host over HTTP: its requests, what it makes of failures, the programs it prints, and the actions it offers.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { memoryStorage, type AccountPolicy, type ApiKey, type KeyStatus, type SelfServeKeysOptions } from '../../lib/index.js'
import { accountApi, ApiError, type AccountApi, type ApiSettings } from '../../lib/dashboard/page/api.js'
import { actionsOf, type KeyAction } from '../../lib/dashboard/page/keys/key-facts.js'
import { expiresAtOf, expiryChoices } from '../../lib/dashboard/page/keys/expiry.js'
import { overlapsUpTo } from '../../lib/dashboard/page/keys/overlaps.js'
import { snippetsOf } from '../../lib/dashboard/page/keys/snippets.js'
import { DAY, HOUR, SECOND, toIso } from '../../lib/time.js'
import { HOST, makeKey, NO_KEY, type Made } from '../helpers/account.js'
import { build, portOf, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW, stateOf } from '../helpers/keys.js'
import { noCurl, paste } from '../helpers/printed.js'

const TOKEN = `token-${ACCOUNT}`
const COOKIE = `theme=dark; session=${TOKEN}`

interface Page {
  api: AccountApi
  /** What was sent since it was last asked for: `GET /v1/me/policy cookie`. */
  sent: () => string[]
  /** Of the request sent last. */
  headers: () => Headers
}

/** The page's HTTP, in a browser that holds this cookie. */
function pageAt (origin: string, { cookie = null, ...settings }: Partial<ApiSettings> & { cookie?: string | null } = {}): Page {
  const lines: string[] = []
  let last = new Headers()
  const api = accountApi({
    base: `${origin}/v1/me`,
    getToken: () => TOKEN,
    headers: null,
    timeout: 10_000,
    ...settings,
    fetch: async (url, init) => {
      last = new Headers(init?.headers)
      const { pathname, search } = new URL(url as string)
      const by = [last.has('authorization') && 'token', cookie !== null && 'cookie'].filter((credential) => credential !== false)
      lines.push([init?.method, `${pathname}${search}`, ...by].join(' '))
      return await fetch(url, { ...init, headers: { ...init?.headers, ...(cookie !== null && { cookie }) } })
    }
  })
  return { api, sent: () => lines.splice(0), headers: () => last }
}

interface Hosted extends Host {
  origin: string
  page: (settings?: Parameters<typeof pageAt>[1]) => Page
}

/** A host that listens. */
async function hosted (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts?: HostParts): Promise<Hosted> {
  const host = await build(t, { accountRoutes: { rateLimit: false }, usage: { flushInterval: '1 week', prune: false }, ...options }, parts)
  const origin = `http://127.0.0.1:${await portOf(host.app)}`
  return { ...host, origin, page: (settings) => pageAt(origin, settings) }
}

/** A server that is no host of ours. @returns its origin */
async function serverOf (t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function failureOf (work: Promise<unknown>): Promise<ApiError> {
  try {
    await work
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
  throw new Error('It did not fail.')
}

async function kindOf (work: Promise<unknown>): Promise<{ kind: string, code: string | null, retryAfter: number | null, message: string }> {
  const { kind, code, retryAfter, message } = await failureOf(work)
  return { kind, code, retryAfter, message }
}

t.test('every request of the page has its route, and gives what that answers', async (t) => {
  const { app, page } = await hosted(t)
  const { api, sent } = page({ cookie: COOKIE })
  const { keys, sites, usage, audit, policy } = app.selfServeKeys

  const { apiKey, plaintextKey } = await api.issue({ label: 'CI', scopes: ['blocks:read'], expiresAt: toIso(NOW + DAY) }, 'k1')
  const { publicId } = apiKey
  t.match(plaintextKey, /^sk_live_/)
  t.match(apiKey, { label: 'CI', scopes: ['blocks:read'], expiresAt: toIso(NOW + DAY), status: 'active', isDefault: false })
  t.match(await api.issueDefault('test', 'k2'), { action: 'issued', apiKey: { isDefault: true, environment: 'test' } })
  t.match(await api.update(publicId, { label: 'Nightly' }), { publicId, label: 'Nightly', scopes: ['blocks:read'] })
  t.match(await api.renew(publicId, toIso(NOW + 2 * DAY)), { publicId, expiresAt: toIso(NOW + 2 * DAY) })
  t.match(await api.renew(publicId, undefined), { publicId, expiresAt: null }, 'what is not said is left to the host')
  t.match(await api.renew(publicId, null), { publicId, expiresAt: null })
  const rotated = await api.rotate(publicId, 60, 'k3')
  t.match(rotated, { action: 'rotated', apiKey: { rotatedFrom: publicId, label: 'Nightly' } })
  t.match(await keys.get(ACCOUNT, publicId), { status: 'retiring', retiresAt: toIso(NOW + 60 * SECOND) })
  t.match(await api.revoke(publicId), { publicId, status: 'revoked' })
  const site = await api.addSite('https://example.com')
  t.match(site, { origin: 'https://example.com' })
  t.strictSame(await api.sites(), { sites: [site], truncated: false })
  t.equal(await api.removeSite(site.siteId), undefined)
  t.strictSame(sent(), [
    'POST /v1/me/api-keys', 'POST /v1/me/api-keys', `PATCH /v1/me/api-keys/${publicId}`, ...Array(3).fill(`POST /v1/me/api-keys/${publicId}/renew`),
    `POST /v1/me/api-keys/${publicId}/rotate`, `DELETE /v1/me/api-keys/${publicId}`, 'POST /v1/me/sites', 'GET /v1/me/sites', `DELETE /v1/me/sites/${site.siteId}`
  ].map((line) => `${line} ${line.startsWith('GET') ? '' : 'token '}cookie`), 'reads go with the cookie alone')

  t.strictSame(await api.policy(), await policy.of(ACCOUNT))
  t.strictSame(await api.keys(), await keys.list(ACCOUNT))
  t.strictSame(await api.keys(rotated.apiKey.publicId), await keys.list(ACCOUNT, { before: rotated.apiKey.publicId }))
  t.strictSame(await api.sites(), await sites.list(ACCOUNT))
  t.strictSame(await api.keyUsage(publicId), await usage.ofKey(ACCOUNT, publicId))
  t.strictSame(await api.usage('7d'), await usage.snapshot(ACCOUNT, { window: '7d' }))
  t.strictSame(await api.audit({ offset: 1, search: '' }), await audit.list(ACCOUNT, { offset: 1 }))
  t.strictSame(await api.audit({ offset: 0, search: '100 % & more=ü+' }), await audit.list(ACCOUNT, { search: '100 % & more=ü+' }))
  t.strictSame((await api.audit({ offset: 0, search: 'site.' })).logs.map(({ action }) => action), ['site.removed', 'site.added'])
  t.ok(sent().every((line) => /^GET \S+ cookie$/.test(line)))
})

t.test('a read asks with the cookie; where that signs nobody in, with the token, from then on at once', async (t) => {
  const { page } = await hosted(t)
  const signedIn = page({ cookie: COOKIE })
  await signedIn.api.policy()
  t.strictSame(signedIn.sent(), ['GET /v1/me/policy cookie'], 'no token is sent where none is needed')

  const byToken = page()
  await byToken.api.policy()
  await byToken.api.sites()
  t.strictSame(byToken.sent(), ['GET /v1/me/policy', 'GET /v1/me/policy token', 'GET /v1/me/sites token'])

  let token: string | null = 'wrong'
  const later = page({ getToken: async () => token })
  t.match(await failureOf(later.api.policy()), { kind: 'signed-out', code: 'SESSION_REQUIRED' })
  token = TOKEN
  await later.api.policy()
  t.strictSame(later.sent(), ['GET /v1/me/policy', 'GET /v1/me/policy token', 'GET /v1/me/policy', 'GET /v1/me/policy token'], 'a token that failed decides nothing')
  token = null
  t.match(await failureOf(later.api.policy()), { kind: 'signed-out', code: null })
  t.strictSame(later.sent(), [])
})

t.test('without getToken reads and changes go with the cookie alone, and changes where the host lets them', async (t) => {
  const { app, page, origin } = await hosted(t, { cookieMutations: { origins: ['https://app.example'] } })
  const { api, sent } = page({ cookie: COOKIE, getToken: null, headers: { origin: 'https://app.example' } })
  await api.policy()
  const { apiKey: { publicId } } = await api.issue({ label: 'CI' }, 'k1')
  t.strictSame(sent(), ['GET /v1/me/policy cookie', 'POST /v1/me/api-keys cookie'])

  const before = await app.selfServeKeys.keys.list(ACCOUNT)
  t.match(await failureOf(pageAt(origin, { cookie: COOKIE, getToken: null }).api.revoke(publicId)), { kind: 'no-token', code: 'BEARER_REQUIRED' })
  t.match(await failureOf(pageAt(origin, { getToken: null }).api.policy()), { kind: 'signed-out' })
  t.strictSame(await app.selfServeKeys.keys.list(ACCOUNT), before)
})

t.test('the token is asked for before each change; where there is none, nothing is sent', async (t) => {
  const { storage, page } = await hosted(t)
  const before = await stateOf(storage)
  const refused = async (getToken: ApiSettings['getToken']): Promise<string> => {
    const { api, sent } = page({ cookie: COOKIE, getToken })
    const { kind } = await failureOf(api.issue({ label: 'CI' }, 'k1'))
    t.strictSame(sent(), [])
    return kind
  }
  t.equal(await refused(() => null), 'signed-out')
  t.equal(await refused(async () => null), 'signed-out')
  t.equal(await refused(async () => { throw new TypeError('Failed to fetch') }), 'offline')
  t.equal(await refused(() => { throw new Error('the host\'s own') }), 'unavailable')
  t.strictSame(await stateOf(storage), before)

  const tokens = ['wrong', TOKEN]
  const { api, headers } = page({ cookie: COOKIE, getToken: () => tokens.shift()!, headers: { 'x-gateway': 'yes' } })
  t.match(await failureOf(api.issue({ label: 'CI' }, 'k1')), { kind: 'signed-out', code: 'SESSION_REQUIRED' }, 'the cookie rescues no wrong token')
  t.strictSame(await stateOf(storage), before)
  t.match(await api.issue({ label: 'CI' }, 'k1'), { action: 'issued' })
  t.strictSame([headers().get('authorization'), headers().get('x-gateway'), headers().get('accept')], [`Bearer ${TOKEN}`, 'yes', 'application/json'])
})

t.test('a retry with the same idempotency key makes no second key', async (t) => {
  const { app, page } = await hosted(t)
  const { api } = page()
  const { publicId } = (await makeKey(app)).apiKey
  const changes = [
    async () => await api.issue({ label: 'CI' }, 'a'),
    async () => await api.issueDefault('live', 'b'),
    async () => await api.rotate(publicId, 60, 'c')
  ]
  for (const [place, change] of changes.entries()) {
    const first = await change()
    const count = await app.selfServeKeys.keys.count(ACCOUNT)
    t.match(first, { replayed: false, plaintextKey: String }, `change ${place}`)
    t.strictSame(await change(), { ...first, replayed: true, plaintextKey: null })
    t.strictSame(await app.selfServeKeys.keys.count(ACCOUNT), count)
  }
  t.match(await failureOf(api.issue({ label: 'another' }, 'a')), { kind: 'refused', code: 'IDEMPOTENCY_KEY_REUSED' })
})

t.test('an id is one part of a path, whatever it holds', async (t) => {
  const { storage, page } = await hosted(t)
  const { api, sent } = page({ cookie: COOKIE })
  const { siteId } = await api.addSite('https://example.com')
  sent()
  const before = await stateOf(storage)
  for (const id of [`../sites/${siteId}`, 'a/../../sites', 'a?b#c', '%2e%2e', 'ü key']) {
    const part = encodeURIComponent(id)
    const requests = [
      () => api.revoke(id), () => api.update(id, { label: 'x' }), () => api.renew(id, null), () => api.rotate(id, 0, 'k'), () => api.removeSite(id), () => api.keyUsage(id)
    ]
    for (const request of requests) {
      t.match(await failureOf(request()), { kind: 'refused', code: /^(API_KEY|SITE)_NOT_FOUND$|^INVALID_REQUEST$/ })
    }
    t.strictSame(sent().map((line) => line.split(' ')[1]).sort(), [
      `/v1/me/api-keys/${part}`, `/v1/me/api-keys/${part}`, `/v1/me/api-keys/${part}/renew`, `/v1/me/api-keys/${part}/rotate`, `/v1/me/api-keys/${part}/usage`,
      `/v1/me/sites/${part}`
    ])
  }
  t.strictSame(await stateOf(storage), before)
})

t.test('a server that is gone, or never answers, or answers nonsense is told apart', async (t) => {
  const { app, page } = await hosted(t)
  const { api } = page({ cookie: COOKIE })
  await api.policy()
  await app.close()
  t.match(await kindOf(api.policy()), { kind: 'offline', code: null, retryAfter: null })
  t.match(await kindOf(api.revoke(NO_KEY)), { kind: 'offline' })

  const silent = await serverOf(t, () => {})
  t.match(await kindOf(pageAt(silent, { timeout: 30 }).api.policy()), { kind: 'unavailable' })
  t.match(await kindOf(pageAt(silent, { timeout: 30 }).api.issue({ label: 'CI' }, 'k')), { kind: 'unavailable' })
  const halting = await serverOf(t, (_request, response) => { response.writeHead(200, { 'content-type': 'application/json' }).write('{"apiKeys":') })
  t.match(await kindOf(pageAt(halting, { timeout: 200 }).api.keys()), { kind: 'unavailable' }, 'half an answer is none')
  const cut = await serverOf(t, (_request, response) => { response.writeHead(200, { 'content-length': '1000' }).write('{}', () => response.destroy()) })
  t.match(await kindOf(pageAt(cut).api.keys()), { kind: 'unavailable' })

  const html = await serverOf(t, (_request, response) => { response.end('<p>Sign in to the gateway') })
  t.match(await kindOf(pageAt(html).api.keys()), { kind: 'unavailable', message: 'The answer was not JSON.' })
  const empty = await serverOf(t, (_request, response) => { response.end('null') })
  t.match(await kindOf(pageAt(empty).api.keys()), { kind: 'unavailable' })
  const gateway = await serverOf(t, (_request, response) => { response.writeHead(502, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }).end('<p>Bad gateway') })
  t.strictSame(await kindOf(pageAt(gateway).api.keys()), { kind: 'unavailable', code: null, retryAfter: null, message: 'The server answered 502.' })
})

t.test('a host\'s refusals keep their code, message and when to come back', async (t) => {
  let plan: AccountPolicy = { maxKeys: 1 }
  const storage = memoryStorage()
  let down = false
  const { app, page } = await hosted(t, {
    accountRoutes: { rateLimit: { max: 3, timeWindow: '1 minute' } },
    policy: { resolve: () => plan, cacheFor: 1 },
    storage: { ...storage, listKeys: async (input) => { if (down) throw new Error('disk on fire'); return await storage.listKeys(input) } }
  })
  const { api } = page({ cookie: COOKIE })
  await api.issue({ label: 'CI' }, 'k1')
  const before = await stateOf(storage)
  t.strictSame(await kindOf(api.issue({ label: 'CI 2' }, 'k2')), {
    kind: 'refused', code: 'KEY_LIMIT_REACHED', retryAfter: null, message: 'The account has as many API keys as it may have: 1.'
  })
  plan = { suspended: true }
  t.match(await kindOf(api.issue({ label: 'CI 2' }, 'k2')), { kind: 'refused', code: 'ACCOUNT_SUSPENDED' })
  t.strictSame(await kindOf(api.issue({ label: 'CI 2' }, 'k2')), { kind: 'limited', code: 'RATE_LIMITED', retryAfter: 60, message: 'Too many requests: at most 3 in 60 seconds.' })
  t.strictSame(await stateOf(storage), before)
  t.equal((await api.keys()).apiKeys.length, 1, 'reads are not limited')

  down = true
  const failed = await kindOf(api.keys())
  t.match(failed, { kind: 'unavailable', code: 'STORAGE_UNAVAILABLE', retryAfter: 1 })
  t.notMatch(failed.message, 'fire')
  down = false
  t.equal((await api.keys()).apiKeys.length, (await app.selfServeKeys.keys.list(ACCOUNT)).apiKeys.length)
})

t.test('a host\'s own error handler may answer anything', async (t) => {
  const bodies = [
    [{ error: { code: 'API_KEY_NOT_FOUND', message: 'No such key' } }, { code: null, message: 'The server answered 404.' }],
    [{ code: 17, message: ['a'] }, { code: null, message: 'The server answered 404.' }],
    [{ code: 'gone', message: 'Nothing there' }, { code: 'gone', message: 'Nothing there' }],
    ['plain words', { code: null, message: 'The server answered 404.' }],
    [null, { code: null, message: 'The server answered 404.' }],
    ['', { code: null, message: 'The server answered 404.' }]
  ] as const
  let body: unknown
  const { page } = await hosted(t, {}, {
    before: (app) => { app.setErrorHandler(async (error: { statusCode: number }, _request, reply) => { await reply.code(error.statusCode).send(body) }) }
  })
  for (const [answer, told] of bodies) {
    body = answer
    t.strictSame(await kindOf(page().api.revoke(NO_KEY)), { kind: 'refused', retryAfter: null, ...told }, JSON.stringify(answer))
  }
  t.match(await kindOf(page({ getToken: () => 'wrong' }).api.revoke(NO_KEY)), { kind: 'signed-out' }, 'what decides is the status')
})

t.test('a failure names the member of the body that is wrong, where it is one', async (t) => {
  const { app, storage, page } = await hosted(t, { keys: { maxLifetime: '10 days' } })
  const { api } = page()
  const { publicId } = (await makeKey(app)).apiKey
  const before = await stateOf(storage)
  const wrong = [
    [async () => await api.issue({ label: '' }, 'a'), 'label'],
    [async () => await api.issue({ label: 'CI', scopes: [] }, 'b'), 'scopes'],
    [async () => await api.issue({ label: 'CI', scopes: ['no:such'] as never[] }, 'c'), 'scopes'],
    [async () => await api.issue({ label: 'CI', allowedOrigins: ['https://a.example', 'nonsense'] }, 'd'), 'allowedOrigins'],
    [async () => await api.update(publicId, { allowedIps: ['10.0.0.0/99'] }), 'allowedIps'],
    [async () => await api.renew(publicId, toIso(NOW + 11 * DAY)), 'expiresAt'],
    [async () => await api.renew(publicId, 'tomorrow'), 'expiresAt'],
    [async () => await api.addSite('nonsense'), 'name'],
    [async () => await api.rotate(publicId, -1, 'e'), 'overlapSeconds'],
    [async () => await api.revoke(NO_KEY), null],
    [async () => await page({ getToken: () => 'wrong' }).api.revoke(publicId), null]
  ] as const
  for (const [request, field] of wrong) {
    const failure = await failureOf(request())
    t.equal(failure.field, field, failure.message)
  }
  t.equal(new ApiError('refused', 'label: is what the host says', 'OTHER').field, null)
  t.equal(new ApiError('refused', 'No member at all', 'INVALID_REQUEST').field, null)
  t.strictSame(await stateOf(storage), before)
})

const noPython = spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not installed'
/** What a shell, a program or curl may mistake for its own. */
const QUERY = '?it\'s="quoted"&back\\slash=$HOME&list[]={a,b}&tick=`id`&percent=%20%27'

interface Programs {
  codes: Record<string, string>
  /** How those in a file are run. */
  runs: Record<string, string | null>
  made: Made
  /** What the host was asked by the key, with nothing encoded. */
  asked: string[]
}

/** The page's programs for a key, and a host whose route answers them with the key's id. */
async function programs (t: Test, header: string, access: 'secret' | 'publishable'): Promise<Programs> {
  const asked: string[] = []
  const { app, origin } = await hosted(t, { headers: [header], keys: { origins: 'optional' } }, {
    before: (app) => {
      app.get('/v1/blocks', { config: { apiKey: { allowPublishable: true } } }, async ({ apiKey: { publicId }, raw: { url } }) => {
        asked.push(decodeURIComponent(url!))
        return { publicId }
      })
    }
  })
  const made = await makeKey(app, { access })
  const snippets = snippetsOf({ plaintextKey: made.plaintext, access, url: `${origin}/v1/blocks${QUERY}`, header })
  return { codes: Object.fromEntries(snippets.map(({ name, code }) => [name, code])), runs: Object.fromEntries(snippets.map(({ name, run }) => [name, run])), made, asked }
}

for (const header of ['x-api-key', 'authorization', 'X-Acme-Token']) {
  t.test(`the programs that are shown call the API as they are pasted, by ${header}`, { skip: noCurl || noPython }, async (t) => {
    const { codes, runs, made, asked } = await programs(t, header, 'secret')
    const folder = t.testdir()
    t.strictSame(Object.keys(codes), ['curl', 'JavaScript', 'Python'])
    const files = { JavaScript: 'example.mjs', Python: 'example.py' }
    await Promise.all([
      paste(codes.curl!).then(({ output }) => { t.strictSame(JSON.parse(output), { publicId: made.publicId }) }),
      ...Object.entries(files).map(async ([name, file]) => {
        const code = codes[name]!
        writeFileSync(join(folder, file), code)
        const command = runs[name]
        t.notMatch(code, made.plaintext, `the program in ${name} holds no secret`)
        const run = async (command: string): Promise<string> => (await paste(`cd '${folder}'\n${command}`)).output
        const [output, refused] = await Promise.all([run(command!), run(command!.replace(made.plaintext, 'wrong'))])
        t.match(output, /^200 /, name)
        t.match(output, made.publicId, name)
        t.notMatch(refused, /^200 /, `${name} with another key`)
      })
    ])
    t.strictSame(asked, Array(3).fill(decodeURIComponent(`/v1/blocks${QUERY}`)))
  })
}

t.test('a publishable key stands in the program itself, which a browser runs', async (t) => {
  for (const header of ['x-api-key', 'authorization']) {
    const { codes, made, asked } = await programs(t, header, 'publishable')
    t.notMatch(codes.JavaScript, /process\.env/)
    t.match(codes.JavaScript, made.plaintext)
    const { output } = await paste(`node --input-type=module <<'END'\n${codes.JavaScript!}\nEND`)
    t.match(output, /^200 /)
    t.match(output, made.publicId)
    t.strictSame(asked, [decodeURIComponent(`/v1/blocks${QUERY}`)])
  }
})

/** Each action as the page makes it. */
const MAKE: Record<KeyAction, (api: AccountApi, publicId: string) => Promise<unknown>> = {
  edit: async (api, publicId) => await api.update(publicId, { label: 'Another label' }),
  rotate: async (api, publicId) => await api.rotate(publicId, 0, 'k'),
  renew: async (api, publicId) => await api.renew(publicId, toIso(NOW + 30 * DAY)),
  disable: async (api, publicId) => await api.update(publicId, { enabled: false }),
  enable: async (api, publicId) => await api.update(publicId, { enabled: true }),
  revoke: async (api, publicId) => await api.revoke(publicId)
}

/** What brings a key into a state. */
const BRING = {
  active: async () => {},
  retiring: async ({ app }, publicId) => await app.selfServeKeys.keys.rotate(HOST, publicId, { overlapSeconds: 60 }),
  'disabled by account': async ({ page }, publicId) => await page().api.update(publicId, { enabled: false }),
  'disabled by host': async ({ app }, publicId) => await app.selfServeKeys.keys.update(HOST, publicId, { enabled: false }),
  expired: async ({ clock }) => { clock.advance(HOUR) },
  'expired and disabled by account': async (host, publicId) => {
    await BRING['disabled by account'](host, publicId)
    host.clock.advance(HOUR)
  },
  'expired and disabled by host': async (host, publicId) => {
    await BRING['disabled by host'](host, publicId)
    host.clock.advance(HOUR)
  },
  revoked: async ({ app }, publicId) => await app.selfServeKeys.keys.revoke(HOST, publicId)
} as const satisfies Record<string, (host: Hosted, publicId: string) => Promise<unknown>>

/** Where an action leads: what is so already is no refusal. */
const LEADS_TO: Partial<Record<KeyAction, KeyStatus>> = { enable: 'active', disable: 'disabled', revoke: 'revoked' }

for (const [state, bring] of Object.entries(BRING)) {
  t.test(`a key that is ${state} is offered exactly what changes it; all else is 409, but for what is so already`, async (t) => {
    for (const [action, make] of Object.entries(MAKE) as Array<[KeyAction, typeof MAKE.edit]>) {
      const host = await hosted(t)
      const { keys } = host.app.selfServeKeys
      const { publicId } = await makeKey(host.app, { expiresAt: toIso(NOW + HOUR) })
      await bring(host, publicId)
      const before = await keys.get(ACCOUNT, publicId)
      t.ok(state.startsWith(before.status))
      t.equal(before.disabledBy, /by (\w+)/.exec(state)?.[1] ?? null)
      const failure: unknown = await make(host.page().api, publicId).then(() => null, (error: unknown) => error)
      if (actionsOf(before).includes(action)) {
        t.equal(failure, null, `${action} succeeds`)
        t.strictNotSame(await keys.get(ACCOUNT, publicId), before, `${action} changes it`)
      } else {
        t.match(failure, LEADS_TO[action] === before.status ? null : { kind: 'refused', code: 'API_KEY_NOT_ACTIVE' }, action)
        t.strictSame(await keys.get(ACCOUNT, publicId), before, `${action} changes nothing`)
      }
    }
  })
}

t.test('every expiry and overlap that is offered is accepted, and means what it says', async (t) => {
  const rules: ReadonlyArray<readonly [name: string, keys: NonNullable<SelfServeKeysOptions['keys']>, plan: AccountPolicy]> = [
    ['no rule', {}, {}],
    ['a lifetime', { lifetime: '90 days' }, {}],
    ['a longest lifetime', { maxLifetime: 100 * DAY + 1 }, {}],
    ['a longest lifetime of an hour', { maxLifetime: '1 hour', lifetime: '1 day' }, {}],
    ['an expiry that is required', {}, { requireExpiry: true }],
    ['both lifetimes', { lifetime: '7 days', maxLifetime: '365 days' }, { maxLifetime: '90 days' }],
    ['everything', { lifetime: '30 days', maxOverlap: '90 minutes' }, { maxLifetime: '30 days', requireExpiry: true }]
  ]
  for (const [name, keys, plan] of rules) {
    const { page } = await hosted(t, { keys, policy: { resolve: () => plan } })
    const { api } = page()
    const policy = await api.policy()
    const most = policy.maxLifetimeSeconds
    const { choices, default: usual } = expiryChoices(policy)
    for (const [place, choice] of choices.entries()) {
      const expiresAt = expiresAtOf(choice, toIso(NOW + DAY).slice(0, 10), NOW, most)
      const { apiKey } = await api.issue({ label: 'CI', expiresAt }, `${place}`)
      const wanted = choice === 'default' ? usual : choice === 'never' ? null : choice === 'at' ? undefined : Number(choice)
      if (wanted === undefined) t.equal(apiKey.expiresAt, expiresAt, `${name}: ${choice}`)
      // The longest is a minute less: the reader's clock may be ahead.
      else t.equal(lifetimeOf(apiKey), choice !== 'default' && wanted !== null && wanted === most ? wanted - 60 : wanted, `${name}: ${choice}`)
      t.equal((await api.renew(apiKey.publicId, expiresAt)).expiresAt, apiKey.expiresAt, `${name}: renewed, ${choice}`)
    }
    for (const overlap of overlapsUpTo(policy.maxOverlapSeconds)) {
      const { apiKey } = await api.issue({ label: 'CI', expiresAt: expiresAtOf(choices[0]!, '', NOW, most) }, `o${overlap}`)
      t.match(await api.rotate(apiKey.publicId, overlap, `r${overlap}`), { action: 'rotated' }, `${name}: overlap ${overlap}`)
    }
    const latest = expiresAtOf('at', '2030-01-01', NOW, most)
    t.match((await api.issue({ label: 'CI', expiresAt: latest }, 'last')).apiKey, { expiresAt: latest }, `${name}: a far day is cut to the latest`)
    if (policy.requireExpiry) t.equal((await failureOf(api.issue({ label: 'CI', expiresAt: null }, 'never'))).field, 'expiresAt')
  }
})

/** Whole seconds; null: for good. */
function lifetimeOf ({ createdAt, expiresAt }: ApiKey): number | null {
  return expiresAt === null ? null : Math.floor((Date.parse(expiresAt) - Date.parse(createdAt)) / SECOND)
}
