// The page "Account Endpoints" of netloc8, example by example and limit by limit, against the running example over real HTTP.
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { selfServeKeys, type Actor } from '../../lib/index.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { tokenSession } from '../helpers/app.js'
import { startExample, type Answer, type Example, type RequestOptions } from '../helpers/example.js'

const ACCOUNT = '/v1/account/me'
const YEAR = 365 * 86_400_000
const READY = { until: /audit\?limit=10"\n$/ }

// What stands for an id, a secret or a time in the printed examples.
const USER_ID = /^usr_[0-9a-f]{16}$/
const KEY_ID = /^key_[0-9A-HJKMNP-TV-Z]{26}$/
const SITE_ID = /^site_[0-9A-HJKMNP-TV-Z]{26}$/
const SECRET = /^sk_[0-9A-Za-z]{42}$/
const PREFIX = /^[0-9A-Za-z]{8}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const count = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0
const epochSeconds = (value: unknown): boolean => count(value) && Math.abs((value as number) * 1000 - Date.now()) < 600_000

/** The commands of the page. */
const PAGE = `curl -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me

curl -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/keys

curl -X POST -H "X-API-Key: YOUR_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "Production key", "type": "secret"}' \\
  https://api.netloc8.com/v1/account/me/keys

curl -X DELETE -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/keys/key_abc123

curl -X POST -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/keys/key_abc123/renew

curl -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/usage

curl -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/sites

curl -X POST -H "X-API-Key: YOUR_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "https://example.com"}' \\
  https://api.netloc8.com/v1/account/me/sites

curl -X DELETE -H "X-API-Key: YOUR_KEY" \\
  https://api.netloc8.com/v1/account/me/sites/site_abc

curl -H "X-API-Key: YOUR_KEY" \\
  "https://api.netloc8.com/v1/account/me/audit?limit=10"
`

t.setTimeout(120_000)
const dataDir = t.testdir()
const netloc8 = await startExample(t, 'netloc8', dataDir, READY)

// The company's own desk: another process on the same databases, which knows what the website would do. Its clock can be set.
let deskDelay = 0
const desk = Fastify()
t.teardown(async () => { await desk.close() })
await desk.register(selfServeKeys, {
  session: tokenSession,
  routes: false,
  storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
  scopes: { 'account:read': '', 'account:write': '', 'network:read': '' },
  keys: { prefix: (access) => access === 'secret' ? 'sk_' : 'pk_' },
  audit: { names: { 'api_key.issued': { action: 'create_key', detail: 'Created key "{name}"' }, 'site.added': { action: 'add_site' } } },
  usage: false,
  clock: { now: () => Date.now() - deskDelay, monotonic: () => performance.now() }
})
await desk.ready()
const users = new Database(join(dataDir, 'users.db'))
t.teardown(() => { users.close() })

interface Credential { id: string, plaintext: string }

/** Somebody with an account, and the requests of their programs. */
interface Customer {
  id: string
  /** A key with all scopes. */
  key: Credential
  /** A key from the website. @param scopes null for all */
  issue (label: string, scopes: string[] | null): Promise<Credential>
  /** @param path from the account */
  ask (method: string, path: string, body?: unknown, key?: Credential): Promise<Answer>
  /** Everything that the account shows of itself, but for what a mere request changes. */
  state (): Promise<any>
}

let customers = 0

async function newcomer ({ plan = 'free', label = 'Website' }: { plan?: 'free' | 'paid', label?: string } = {}): Promise<Customer> {
  const id = `usr_${randomBytes(8).toString('hex')}`
  const email = `jane${customers++ === 0 ? '' : customers}@example.com`
  users.prepare('insert into users values (?, ?, ?, 1, ?, ?)').run(id, 'Jane Doe', email, plan, '2026-01-15T10:30:00Z')
  const issue: Customer['issue'] = async (label, scopes) => {
    const expiresAt = plan === 'free' ? new Date(Date.now() - deskDelay + YEAR).toISOString() : null
    const { apiKey, plaintextKey } = await desk.selfServeKeys.keys.issue(actor(id), { label, scopes, expiresAt })
    return { id: apiKey.publicId, plaintext: plaintextKey! }
  }
  const key = await issue(label, null)
  const ask: Customer['ask'] = async (method, path, body, { plaintext } = key) => await send(method, path, { headers: { 'x-api-key': plaintext }, body })
  const shown = async (path: string): Promise<any> => (await ask('GET', path)).json
  return {
    id,
    key,
    issue,
    ask,
    state: async () => ({
      keys: (await shown('/keys')).map(({ lastUsedAt, ...key }: any) => key), sites: await shown('/sites'), entries: (await shown('/audit')).total
    })
  }
}

/** The desk acts for a user. */
function actor (id: string): Actor {
  return { accountId: id, credential: 'host', actor: { id } }
}

async function send (method: string, path: string, options?: RequestOptions, server: Example = netloc8): Promise<Answer> {
  return await server.request(method, `${ACCOUNT}${path}`, options)
}

/** Is the answer the printed one, member by member? A pattern or a test stands where the page prints an example. */
function answers (t: Test, { status, json, text, headers }: Answer, [printedStatus, printed]: [number, unknown?], name: string): void {
  t.equal(status, printedStatus, `${name}: status`)
  if (printed === undefined) t.equal(text, '', `${name}: no body`)
  else t.strictSame(asPrinted(json, printed), printed, `${name}: body`)
  t.equal(headers['cache-control'], 'no-store', `${name}: no-store`)
}

function asPrinted (value: any, printed: any): any {
  if (printed instanceof RegExp) return typeof value === 'string' && printed.test(value) ? printed : value
  if (typeof printed === 'function') return printed(value) === true ? printed : value
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item, place) => asPrinted(item, printed?.[place]))
  return Object.fromEntries(Object.entries(value).map(([member, part]) => [member, asPrinted(part, printed?.[member])]))
}

function refused (t: Test, answer: Answer, status: number, code: string, message: RegExp | null, name: string): void {
  t.equal(answer.status, status, name)
  t.equal(answer.json.code, code, name)
  if (message !== null) t.match(answer.json.message, message, name)
}

/** The answer without what differs from one request to the next. */
function steady ({ status, headers: { date, ratelimit, ...headers }, text }: Answer): object {
  return { status, headers, text }
}

/** Every endpoint of the page. */
const endpoints = (keyId: string, siteId: string): Array<[string, string, object?]> => [
  ['GET', ''],
  ['GET', '/keys'], ['POST', '/keys', { name: 'Production key', type: 'secret' }], ['DELETE', `/keys/${keyId}`], ['POST', `/keys/${keyId}/renew`],
  ['GET', '/usage'],
  ['GET', '/sites'], ['POST', '/sites', { name: 'https://example.com' }], ['DELETE', `/sites/${siteId}`],
  ['GET', '/audit?limit=10']
]

t.test('every request of the page, in its order, is answered as it is printed there', async (t) => {
  // Whose keys do not expire, as in the page's example.
  const jane = await newcomer({ plan: 'paid', label: 'Production key' })
  await desk.selfServeKeys.sites.add(actor(jane.id), 'https://example.com')
  const productionKey = {
    id: KEY_ID,
    prefix: PREFIX,
    name: 'Production key',
    type: 'secret',
    scopes: null,
    isActive: true,
    createdAt: TIME,
    lastUsedAt: TIME,
    expiresAt: null
  }
  const site = { id: SITE_ID, name: 'https://example.com', userId: jane.id, createdAt: TIME }

  answers(t, await jane.ask('GET', ''), [200, {
    id: USER_ID,
    name: 'Jane Doe',
    email: 'jane@example.com',
    emailVerified: true,
    createdAt: '2026-01-15T10:30:00Z'
  }], 'User profile')

  const list = await jane.ask('GET', '/keys')
  answers(t, list, [200, [productionKey]], 'List of API key metadata')
  t.equal(list.json[0].prefix, jane.key.plaintext.slice(3, 11))

  const created = await jane.ask('POST', '/keys', { name: 'Production key', type: 'secret' })
  answers(t, created, [201, {
    rawKey: SECRET,
    prefix: PREFIX,
    id: KEY_ID,
    name: 'Production key',
    type: 'secret',
    scopes: null
  }], 'Key created')
  t.equal(created.json.rawKey.slice(3, 11), created.json.prefix)

  answers(t, await jane.ask('DELETE', `/keys/${created.json.id}`), [200, { deleted: true }], 'Key revoked')

  answers(t, await jane.ask('POST', `/keys/${jane.key.id}/renew`), [200, { status: 'renewed' }], 'Key renewed')

  answers(t, await jane.ask('GET', '/usage'), [200, {
    totalKeys: 2,
    activeKeys: 1,
    keys: [
      {
        keyPrefix: created.json.prefix,
        keyName: 'Production key',
        isActive: false,
        lastUsedAt: null,
        rateLimitRemaining: 120,
        rateLimitMax: 120
      },
      {
        keyPrefix: list.json[0].prefix,
        keyName: 'Production key',
        isActive: true,
        lastUsedAt: TIME,
        rateLimitRemaining: (remaining: unknown) => count(remaining) && (remaining as number) < 120,
        rateLimitMax: 120
      }
    ]
  }], 'Usage statistics')

  const sites = await jane.ask('GET', '/sites')
  answers(t, sites, [200, [site]], 'List of sites')

  answers(t, await jane.ask('DELETE', `/sites/${sites.json[0].id}`), [204], 'Site deleted, so that it can be added')
  const added = await jane.ask('POST', '/sites', { name: 'https://example.com' })
  answers(t, added, [201, site], 'Site created')

  answers(t, await jane.ask('DELETE', `/sites/${added.json.id}`), [204], 'Site deleted')

  await jane.ask('POST', '/keys', { name: 'Production' })
  const entries = [
    ['create_key', 'api_key', 'Created key "Production"'],
    ['remove_site', 'site', 'Removed site https://example.com'],
    ['add_site', 'site', 'Added site https://example.com'],
    ['remove_site', 'site', 'Removed site https://example.com'],
    ['revoke_key', 'api_key', 'Revoked key "Production key"'],
    ['create_key', 'api_key', 'Created key "Production key"'],
    ['add_site', 'site', 'Added site https://example.com'],
    ['create_key', 'api_key', 'Created key "Production key"']
  ]
  answers(t, await jane.ask('GET', '/audit?limit=10'), [200, {
    logs: entries.map(([action, targetType, detail], place) => ({
      id: entries.length - place,
      app: 'api',
      actor_id: jane.id,
      action,
      target_type: targetType,
      detail,
      created_at: epochSeconds
    })),
    total: entries.length,
    limit: 10,
    offset: 0
  }], 'Paginated audit log entries')
})

t.test('"All account endpoints require a valid API key with the appropriate scope"', async (t) => {
  const ann = await newcomer()
  const site = (await ann.ask('POST', '/sites', { name: 'https://ann.example' })).json

  await t.test('without a key, with one that is none, and with one that was revoked: 401 with a challenge, on every endpoint', async (t) => {
    const gone = await ann.issue('gone', null)
    await ann.ask('DELETE', `/keys/${gone.id}`)
    const before = await ann.state()
    const keys = { none: {}, 'no key': { 'x-api-key': 'a1b2c3d4' }, unknown: { 'x-api-key': `sk_${'0'.repeat(42)}` }, revoked: { 'x-api-key': gone.plaintext } }
    for (const [what, headers] of Object.entries(keys)) {
      for (const [method, path, body] of endpoints(ann.key.id, site.id)) {
        const answer = await send(method, path, { headers, body })
        refused(t, answer, 401, what === 'none' ? 'MISSING_API_KEY' : 'INVALID_API_KEY', what === 'revoked' ? /revoked/ : null, `${method} ${path}, ${what}`)
        t.match(answer.headers['www-authenticate'], /^Bearer realm="api"/)
        t.equal(answer.headers['cache-control'], 'no-store')
      }
    }
    t.strictSame(await ann.state(), before, 'nothing has changed')
  })

  await t.test('without the scope: 403 that names it, and nothing changes', async (t) => {
    const reader = await ann.issue('reader', ['account:read'])
    const writer = await ann.issue('writer', ['account:write'])
    const neither = await ann.issue('neither', ['network:read'])
    const before = await ann.state()
    for (const [method, path, body] of endpoints(ann.key.id, site.id)) {
      const [scope, other] = method === 'GET' ? ['account:read', writer] as const : ['account:write', reader] as const
      for (const key of [other, neither]) {
        const answer = await ann.ask(method, path, body, key)
        refused(t, answer, 403, 'INSUFFICIENT_SCOPE', new RegExp(scope), `${method} ${path}`)
        t.equal(answer.headers['www-authenticate'], `Bearer realm="api", error="insufficient_scope", scope="${scope}"`)
      }
      if (method === 'GET') t.equal((await ann.ask(method, path, body, reader)).status, 200, `${method} ${path} with the scope`)
    }
    t.strictSame(await ann.state(), before, 'nothing has changed')
  })

  await t.test('a publishable key opens no endpoint, not even from its own origin', async (t) => {
    const { rawKey } = (await ann.ask('POST', '/keys', { name: 'page', type: 'publishable', allowedOrigins: ['https://ann.example'] })).json
    const before = await ann.state()
    for (const [method, path, body] of endpoints(ann.key.id, site.id)) {
      const answer = await send(method, path, { headers: { 'x-api-key': rawKey, origin: 'https://ann.example' }, body })
      refused(t, answer, 403, 'FORBIDDEN', /publishable/, `${method} ${path}`)
    }
    t.strictSame(await ann.state(), before, 'nothing has changed')
  })

  await t.test('a bearer is as good as the header; two different keys are 400', async (t) => {
    const other = await newcomer()
    t.equal((await send('GET', '', { headers: { authorization: `Bearer ${ann.key.plaintext}` } })).json.id, ann.id)
    const both = { 'x-api-key': ann.key.plaintext, authorization: `Bearer ${other.key.plaintext}` }
    refused(t, await send('GET', '', { headers: both }), 400, 'INVALID_REQUEST', /two different API keys/, 'two keys')
  })

  await t.test('the keys of somebody who is gone open nothing', async (t) => {
    const gone = await newcomer()
    users.prepare('delete from users where id = ?').run(gone.id)
    for (const [method, path, body] of endpoints(gone.key.id, site.id)) {
      refused(t, await gone.ask(method, path, body), 403, 'ACCOUNT_SUSPENDED', null, `${method} ${path}`)
    }
  })
})

t.test('API Keys', async (t) => {
  await t.test('"Human-readable key name (max 100 chars)": 100 characters of anything come back as they are, 101 are refused', async (t) => {
    const { ask } = await newcomer()
    const names = ['x', 'x'.repeat(100), '𝒩'.repeat(100), ' "quoted" \\ {name} 🔑\u200d ', 'é'.normalize('NFD').repeat(50)]
    for (const name of names) {
      const { status, json } = await ask('POST', '/keys', { name })
      t.equal(status, 201)
      t.equal(json.name, name)
    }
    const newestFirst = names.toReversed()
    t.strictSame((await ask('GET', '/keys')).json.map((key: any) => key.name), [...newestFirst, 'Website'])
    t.strictSame((await ask('GET', '/usage')).json.keys.map((key: any) => key.keyName), [...newestFirst, 'Website'])
    t.strictSame((await ask('GET', '/audit')).json.logs.map((row: any) => row.detail), [...newestFirst, 'Website'].map((name) => `Created key "${name}"`))
    for (const name of ['', 'x'.repeat(101), '𝒩'.repeat(101), 'NUL \0', 5, null, ['x']]) {
      refused(t, await ask('POST', '/keys', { name }), 400, 'FST_ERR_VALIDATION', /^body\/name /, String(name).slice(0, 10))
    }
    refused(t, await ask('POST', '/keys', '{"name":"half \\ud83d"}'), 400, 'FST_ERR_VALIDATION', /^body\/name /, 'half a character')
    t.equal((await ask('GET', '/keys')).json.length, names.length + 1)
  })

  await t.test('"Required", "Default: secret": what is missing or not known is 400 that names it', async (t) => {
    const { ask, state } = await newcomer()
    const before = await state()
    const bad: Array<[unknown, RegExp]> = [
      [{}, /'name'/], [{ type: 'secret' }, /'name'/], [{ name: 'x', type: 'Secret' }, /^body\/type /], [{ name: 'x', type: null }, /^body\/type /],
      [{ name: 'x', expiresAt: null }, /^body\/expiresAt is not known here$/], [{ name: 'x', environment: 'test' }, /^body\/environment /],
      [{ label: 'x', name: 'x' }, /^body\/label /], ['"x"', /^body must be object/], ['[]', /^body must be object/], ['null', /^body must be object/],
      [undefined, /^body must be object/]
    ]
    for (const [body, field] of bad) {
      refused(t, await ask('POST', '/keys', body), 400, 'FST_ERR_VALIDATION', field, JSON.stringify(body))
    }
    t.equal((await ask('POST', '/keys', '{')).status, 400)
    t.strictSame(await state(), before)
    t.equal((await ask('POST', '/keys', { name: 'x' })).json.type, 'secret')
  })

  await t.test('"Scope restrictions": the key has these and no others; [], unknown, wrong case and nested are 400', async (t) => {
    const { ask, state } = await newcomer()
    const before = await state()
    const bad: Array<[unknown, RegExp]> = [
      [[], /^scopes: /], [['account:delete'], /^scopes\.0: /], [['account:read', 'Account:Read'], /^scopes\.1: /], [['account:*'], /^scopes\.0: /],
      [[['account:read']], /^body\/scopes\/0 /], [{ 0: 'account:read' }, /^body\/scopes /], ['account:read', /^body\/scopes /], [null, /^body\/scopes /]
    ]
    for (const [scopes, field] of bad) {
      const answer = await ask('POST', '/keys', { name: 'x', scopes })
      t.equal(answer.status, 400, JSON.stringify(scopes))
      t.match(answer.json.message, field)
    }
    t.strictSame(await state(), before, 'no key was made')

    const { json } = await ask('POST', '/keys', { name: 'x', scopes: ['account:read', 'account:read'] })
    t.strictSame(json.scopes, ['account:read'])
    t.strictSame((await ask('GET', '/keys')).json[0].scopes, ['account:read'])
    t.equal((await ask('GET', '', undefined, { id: '', plaintext: json.rawKey })).status, 200)
    t.equal((await ask('POST', '/sites', { name: 'https://x.example' }, { id: '', plaintext: json.rawKey })).status, 403)
  })

  await t.test('"Allowed origin patterns (required for publishable keys)": it works on pages of these alone, and shows no scopes', async (t) => {
    const { ask, state } = await newcomer()
    const before = await state()
    const page = { name: 'Page', type: 'publishable', allowedOrigins: ['https://shop.example', 'https://*.shop.example'] }
    const bad: Array<[object, RegExp]> = [
      [{ name: 'Page', type: 'publishable' }, /'allowedOrigins'/], [{ ...page, allowedOrigins: [] }, /^body\/allowedOrigins /],
      [{ ...page, allowedOrigins: 'https://shop.example' }, /^body\/allowedOrigins /], [{ ...page, allowedOrigins: [null] }, /^body\/allowedOrigins\/0 /],
      [{ ...page, allowedOrigins: ['https://shop.example', 'javascript:alert(1)'] }, /^allowedOrigins\.1: /],
      [{ ...page, scopes: ['account:read'] }, /^scopes: /]
    ]
    for (const [body, field] of bad) {
      const answer = await ask('POST', '/keys', body)
      t.equal(answer.status, 400, JSON.stringify(body))
      t.match(answer.json.message, field)
    }
    t.strictSame(await state(), before, 'no key was made')

    const { status, json } = await ask('POST', '/keys', page)
    t.equal(status, 201)
    t.strictSame(asPrinted(json, { rawKey: /^pk_[0-9A-Za-z]{42}$/, id: KEY_ID, prefix: PREFIX }),
      { rawKey: /^pk_[0-9A-Za-z]{42}$/, prefix: PREFIX, id: KEY_ID, name: 'Page', type: 'publishable', scopes: null })
    t.match((await ask('GET', '/keys')).json[0], { type: 'publishable', scopes: null, isActive: true })

    const from = async (origin?: string | string[]): Promise<number> => (await netloc8.request('GET', '/v1/network/me', {
      headers: { 'x-api-key': json.rawKey, ...(origin !== undefined && { origin }) }
    })).status
    for (const origin of page.allowedOrigins) t.equal(await from(origin.replace('*', 'www')), 200, origin)
    for (const origin of [undefined, 'null', 'http://shop.example', 'https://shop.example:8443', 'https://shop.example.evil.io', 'https://a.b.shop.example']) {
      t.equal(await from(origin), 403, String(origin))
    }
  })

  await t.test('"Raw key values are never returned" but once, and never stored', async (t) => {
    const { ask, key } = await newcomer()
    const { rawKey, id } = (await ask('POST', '/keys', { name: 'x' })).json
    const others = [
      await ask('GET', '/keys'), await ask('GET', '/usage'), await ask('GET', '/audit'), await ask('POST', `/keys/${id}/renew`), await ask('DELETE', `/keys/${id}`)
    ]
    for (const secret of [rawKey, key.plaintext] as string[]) {
      const hash = createHash('sha256').update(secret).digest()
      for (const part of [secret, secret.slice(11), hash.toString('hex'), hash.toString('base64url')]) {
        t.notOk(others.some(({ text }) => text.includes(part)))
      }
      for (const file of readdirSync(dataDir)) t.notOk(readFileSync(join(dataDir, file)).includes(secret.slice(11)), file)
    }
  })

  await t.test('"Revokes (deletes) an API key. This action is permanent": it stays in the list, and nothing brings it back', async (t) => {
    const { ask } = await newcomer()
    const { id, rawKey } = (await ask('POST', '/keys', { name: 'x' })).json
    const used = async (): Promise<Answer> => await ask('GET', '', undefined, { id, plaintext: rawKey })
    t.equal((await used()).status, 200)
    for (const again of ['first', 'again']) {
      const answer = await ask('DELETE', `/keys/${id}`)
      t.equal(answer.status, 200, again)
      t.strictSame(answer.json, { deleted: true })
      refused(t, await used(), 401, 'INVALID_API_KEY', /revoked/, 'the next request')
    }
    refused(t, await ask('POST', `/keys/${id}/renew`), 409, 'API_KEY_NOT_ACTIVE', /revoked/, 'renewed')
    t.match((await ask('GET', '/keys')).json, [{ id, isActive: false }, { isActive: true }])
    t.match((await ask('GET', '/usage')).json, { totalKeys: 2, activeKeys: 1, keys: [{ isActive: false, lastUsedAt: TIME }, { isActive: true }] })
    t.equal((await ask('GET', '/audit?action=revoke_key')).json.total, 1, 'one entry')
  })

  await t.test('a key may revoke itself', async (t) => {
    const { ask, key } = await newcomer()
    t.strictSame((await ask('DELETE', `/keys/${key.id}`)).json, { deleted: true })
    t.equal((await ask('GET', '')).status, 401)
  })

  await t.test('"belonging to the authenticated user": another\'s key answers exactly as a missing one, and stays as it is', async (t) => {
    const { ask } = await newcomer()
    const stranger = await newcomer()
    const before = await stranger.state()
    for (const [method, end] of [['DELETE', ''], ['POST', '/renew']] as const) {
      const missing = await ask(method, `/keys/key_${'0'.repeat(26)}${end}`)
      refused(t, missing, 404, 'API_KEY_NOT_FOUND', null, `${method} ${end}`)
      for (const id of [stranger.key.id, 'key_abc123', '%00', stranger.key.id.toLowerCase()]) {
        t.strictSame(steady(await ask(method, `/keys/${id}${end}`)), steady(missing), id)
      }
    }
    t.strictSame(await stranger.state(), before)
  })

  await t.test('"free-plan keys that expire after 1 year": each does, to the second; those of the paid plan do not', async (t) => {
    for (const [plan, lifetime] of [['free', YEAR], ['paid', null]] as const) {
      const { ask } = await newcomer({ plan })
      await ask('POST', '/keys', { name: 'x' })
      await ask('POST', '/keys', { name: 'x', type: 'publishable', allowedOrigins: ['https://x.example'] })
      const made = (await ask('GET', '/keys')).json.slice(0, 2)
      t.strictSame(made.map(({ createdAt, expiresAt }: any) => expiresAt && Date.parse(expiresAt) - Date.parse(createdAt)), [lifetime, lifetime], plan)
    }
  })

  await t.test('"Resets the expiration on an API key": one that has expired is refused, renewed, and good for another year', async (t) => {
    const ann = await newcomer()
    deskDelay = YEAR + 86_400_000
    const expired = await ann.issue('Last year', null)
    deskDelay = 0
    const shown = async (): Promise<any> => (await ann.ask('GET', '/keys')).json.find(({ id }: any) => id === expired.id)

    refused(t, await ann.ask('GET', '', undefined, expired), 401, 'INVALID_API_KEY', /expired/, 'expired')
    refused(t, await ann.ask('POST', `/keys/${expired.id}/renew`, undefined, expired), 401, 'INVALID_API_KEY', /expired/, 'it cannot renew itself')
    const { expiresAt, isActive, ...before } = await shown()
    t.equal(isActive, false)
    t.ok(Date.parse(expiresAt) < Date.now())
    t.match((await ann.ask('GET', '/usage')).json, { totalKeys: 2, activeKeys: 1 })

    const start = Date.now() - 1000
    t.strictSame((await ann.ask('POST', `/keys/${expired.id}/renew`)).json, { status: 'renewed' })
    const { expiresAt: renewedTo, isActive: isActiveNow, ...after } = await shown()
    t.equal(isActiveNow, true)
    t.ok(Date.parse(renewedTo) > start + YEAR && Date.parse(renewedTo) <= Date.now() + YEAR)
    t.strictSame(after, before, 'nothing else of it has changed')
    t.equal((await ann.ask('GET', '', undefined, expired)).status, 200)
    t.match((await ann.ask('GET', '/usage')).json, { totalKeys: 2, activeKeys: 2 })
    t.match((await ann.ask('GET', '/audit?limit=1')).json.logs, [{ action: 'renew_key', actor_id: ann.id, detail: 'Renewed key "Last year"' }])
  })

  await t.test('a key never gives away more than it has: what a narrow one may do beside a wide one', async (t) => {
    const ann = await newcomer()
    const narrow = await ann.issue('narrow', ['account:write'])
    const wide = await ann.issue('wide', ['account:read', 'account:write'])
    const before = await ann.state()
    for (const scopes of [undefined, ['account:read'], ['account:read', 'account:write'], ['network:read']]) {
      refused(t, await ann.ask('POST', '/keys', { name: 'x', scopes }, narrow), 403, 'FORBIDDEN', /more scopes/, `issue ${String(scopes)}`)
    }
    for (const key of [ann.key, wide]) {
      refused(t, await ann.ask('POST', `/keys/${key.id}/renew`, undefined, narrow), 403, 'FORBIDDEN', /more scopes/, 'renew')
    }
    refused(t, await ann.ask('POST', `/keys/${ann.key.id}/renew`, undefined, wide), 403, 'FORBIDDEN', /more scopes/, 'renew one that may do all')
    t.strictSame(await ann.state(), before, 'nothing has changed')

    const equal = await ann.ask('POST', '/keys', { name: 'equal', scopes: ['account:write'] }, narrow)
    t.equal(equal.status, 201)
    t.strictSame(equal.json.scopes, ['account:write'])
    t.equal((await ann.ask('POST', `/keys/${equal.json.id}/renew`, undefined, narrow)).status, 200)
    t.equal((await ann.ask('POST', `/keys/${narrow.id}/renew`, undefined, narrow)).status, 200, 'itself')
    const site = await ann.ask('POST', '/sites', { name: 'https://narrow.example' }, narrow)
    t.equal(site.status, 201)
    t.equal((await ann.ask('DELETE', `/sites/${site.json.id}`, undefined, narrow)).status, 204)
    t.equal((await ann.ask('DELETE', `/keys/${wide.id}`, undefined, narrow)).status, 200, 'to revoke gives nothing away')
  })
})

t.test('Usage: what is left of a key\'s 120 requests a minute is what its own answers say', async (t) => {
  const { ask, key, issue } = await newcomer()
  const other = await issue('Other', null)
  const rowOf = (usage: Answer, { plaintext }: Credential): any => usage.json.keys.find(({ keyPrefix }: any) => keyPrefix === plaintext.slice(3, 11))
  const first = await ask('GET', '/usage')
  t.strictSame(rowOf(first, key), {
    keyPrefix: key.plaintext.slice(3, 11),
    keyName: 'Website',
    isActive: true,
    lastUsedAt: null,
    rateLimitRemaining: Number(/r=(\d+)/.exec(String(first.headers.ratelimit))![1]),
    rateLimitMax: 120
  })
  for (let i = 1; i < 120; i++) t.equal((await ask('GET', '')).status, 200)
  const refusal = await ask('GET', '/usage')
  refused(t, refusal, 429, 'RATE_LIMITED', null, 'the 121st')
  t.match(refusal.headers, { 'retry-after': /^\d+$/, 'cache-control': 'no-store' })

  const usage = await ask('GET', '/usage', undefined, other)
  t.equal(usage.status, 200, 'another key has its own')
  t.match(rowOf(usage, key), { rateLimitRemaining: 0, lastUsedAt: TIME })
  t.match(rowOf(usage, other), { rateLimitRemaining: 119 })
})

t.test('Sites', async (t) => {
  await t.test('"Site origin URL": in its normal form, once; what is no origin is 400', async (t) => {
    const { ask, id, state } = await newcomer()
    const first = await ask('POST', '/sites', { name: 'HTTPS://Example.com:443/' })
    answers(t, first, [201, { id: SITE_ID, name: 'https://example.com', userId: id, createdAt: TIME }], 'normal form')
    const before = await state()
    for (const name of ['https://example.com', 'https://EXAMPLE.com']) {
      t.strictSame(steady(await ask('POST', '/sites', { name })), steady(first), 'the same site again is the same')
    }
    for (const name of ['', 'example.com', 'javascript:alert(1)', 'https://example.com/path', 'https://user@example.com', 'https://*', 'null', 'ftp://example.com']) {
      refused(t, await ask('POST', '/sites', { name }), 400, 'INVALID_REQUEST', /^name: /, name)
    }
    const bad: Array<[unknown, RegExp]> = [
      [{}, /'name'/], [{ name: 5 }, /^body\/name /], [{ name: 'https://x.example', userId: 'usr_abc123' }, /^body\/userId /], [undefined, /^body must be object/]
    ]
    for (const [body, field] of bad) refused(t, await ask('POST', '/sites', body), 400, 'FST_ERR_VALIDATION', field, JSON.stringify(body))
    t.strictSame(await state(), before)
  })

  await t.test('"Subject to plan-based site limits": three on the free plan, the fourth is 409; a larger plan has room', async (t) => {
    const ann = await newcomer()
    for (const name of ['https://1.example', 'https://2.example', 'https://3.example']) t.equal((await ann.ask('POST', '/sites', { name })).status, 201)
    const before = await ann.state()
    const fourth = async (): Promise<Answer> => await ann.ask('POST', '/sites', { name: 'https://4.example' })
    refused(t, await fourth(), 409, 'SITE_LIMIT_REACHED', /as many sites as it may have: 3\./, 'the fourth')
    t.equal((await ann.ask('POST', '/sites', { name: 'https://2.example' })).status, 201, 'one that is there is no fourth')
    t.strictSame(await ann.state(), before)
    t.strictSame(before.sites.map(({ name }: any) => name), ['https://3.example', 'https://2.example', 'https://1.example'], 'newest first')

    t.equal((await ann.ask('DELETE', `/sites/${before.sites[1].id}`)).status, 204)
    t.equal((await fourth()).status, 201, 'there is room again')
    t.equal((await ann.ask('POST', '/sites', { name: 'https://5.example' })).status, 409)
    users.prepare('update users set plan = ? where id = ?').run('paid', ann.id)
    t.equal((await ann.ask('POST', '/sites', { name: 'https://5.example' })).status, 201)
  })

  await t.test('five at once leave three', async (t) => {
    const { ask } = await newcomer()
    const answers = await Promise.all(Array.from({ length: 5 }, async (_, place) => await ask('POST', '/sites', { name: `https://${place}.example` })))
    t.strictSame(answers.map(({ status }) => status).sort(), [201, 201, 201, 409, 409])
    t.equal((await ask('GET', '/sites')).json.length, 3)
  })

  await t.test('another\'s site answers exactly as a missing one, and stays; removed twice, it is missing', async (t) => {
    const { ask } = await newcomer()
    const stranger = await newcomer()
    const { id } = (await stranger.ask('POST', '/sites', { name: 'https://stranger.example' })).json
    const missing = await ask('DELETE', `/sites/site_${'0'.repeat(26)}`)
    refused(t, missing, 404, 'SITE_NOT_FOUND', null, 'missing')
    for (const siteId of [id, 'site_abc']) t.strictSame(steady(await ask('DELETE', `/sites/${siteId}`)), steady(missing), siteId)
    t.strictSame((await stranger.ask('GET', '/sites')).json.map((site: any) => site.id), [id])
    t.strictSame((await ask('GET', '/sites')).json, [])
    t.equal((await stranger.ask('DELETE', `/sites/${id}`)).status, 204)
    t.strictSame(steady(await stranger.ask('DELETE', `/sites/${id}`)), steady(missing))
  })
})

t.test('Audit Log', async (t) => {
  const ann = await newcomer({ label: '100%_sure' })
  const stranger = await newcomer()
  for (let i = 0; i < 101; i++) await desk.selfServeKeys.audit.record(actor(ann.id), { action: 'login', detail: `Login no. ${i}` })
  const audit = async (query = ''): Promise<any> => (await ann.ask('GET', `/audit${query}`)).json
  const ids = async (query: string): Promise<number[]> => (await audit(query)).logs.map(({ id }: any) => id)
  const from = (first: number, length: number): number[] => Array.from({ length }, (_, place) => first - place)

  await t.test('"limit, Default: 50, Max entries to return (1–100)"; "offset, Default: 0"; the total is exact whatever the page', async (t) => {
    t.strictSame((await audit('')).logs.map(({ id }: any) => id), from(102, 50), 'newest first')
    const { logs, ...page } = await audit()
    t.strictSame(page, { total: 102, limit: 50, offset: 0 })
    t.strictSame(await ids('?limit=1'), [102])
    t.strictSame(await ids('?limit=100'), from(102, 100))
    t.strictSame(await ids('?limit=100&offset=100'), [2, 1])
    t.strictSame(await ids('?offset=101'), [1])
    t.strictSame(await audit('?offset=102&limit=7'), { logs: [], total: 102, limit: 7, offset: 102 })
    t.strictSame((await audit('?offset=999999999')).logs, [])
  })

  await t.test('beyond that, or no integer, or not known: 400 that names the parameter', async (t) => {
    const bad = ['limit=0', 'limit=101', 'limit=-1', 'limit=1.5', 'limit=', 'limit=ten', 'limit=1e1', 'limit=5&limit=6', 'offset=-1', 'offset=', 'offset=9999999999',
      `search=${'x'.repeat(101)}`, 'search=%00', 'action=a&action=b', 'page=2']
    for (const query of bad) {
      const answer = await ann.ask('GET', `/audit?${query}`)
      t.equal(answer.status, 400, query)
      t.match(answer.json.message, new RegExp(`\\b${query.split('=')[0]}\\b`), query)
    }
  })

  await t.test('"Filter by action (e.g. create_key, login)": exactly this one', async (t) => {
    t.match(await audit('?action=login&limit=1'), { total: 101, logs: [{ action: 'login', detail: 'Login no. 100', target_type: null, actor_id: ann.id }] })
    t.match(await audit('?action=create_key'), { total: 1, logs: { length: 1 } })
    for (const action of ['log', 'LOGIN', 'login%25', 'api_key.issued', '']) t.match(await audit(`?action=${action}`), { total: 0, logs: [] }, action)
  })

  await t.test('"Free-text search across action, target, and detail fields": literal, and case does not matter', async (t) => {
    const totals = {
      LOGIN: 101,
      'login no. 10': 2,
      create_key: 1,
      API_KEY: 1,
      [ann.key.id]: 1,
      '100%_SURE': 1,
      '%': 1,
      n_: 0,
      '100_': 0,
      nothing: 0
    }
    for (const [search, total] of Object.entries(totals)) {
      t.equal((await audit(`?search=${encodeURIComponent(search)}`)).total, total, search)
    }
    t.equal((await audit('?search=no.&action=login&limit=1')).total, 101, 'with the action')
    t.equal((await audit('?search=no.&action=create_key')).total, 0)
  })

  await t.test('"the authenticated user\'s": nobody else\'s', async (t) => {
    t.match((await stranger.ask('GET', '/audit')).json, { total: 1, logs: [{ actor_id: stranger.id }] })
    t.match((await stranger.ask('GET', `/audit?search=${ann.key.id}`)).json, { total: 0, logs: [] })
  })
})

t.test('the start prints a key and the commands of the page with it', async (t) => {
  const printed = netloc8.output
  const [, key] = /^ready http:\S+\napi key (sk_\S+)\n/.exec(printed)!
  t.match(key, SECRET)
  const base = `${netloc8.origin}${ACCOUNT}`
  const filled = printed.slice(printed.indexOf('\n\n') + 2)
    .replaceAll(key!, 'YOUR_KEY').replaceAll(base, 'https://api.netloc8.com/v1/account/me').replace(/key_\w{26}/g, 'key_abc123').replace(/site_\w{26}/, 'site_abc')
  t.equal(filled, PAGE, 'as on the page')

  const curl = spawnSync('curl', ['--version']).status === 0
  await t.test('which run as they are pasted', { skip: curl ? false : 'curl is not installed' }, async (t) => {
    const shell = spawn('bash', [], { stdio: ['pipe', 'pipe', 'ignore'] })
    shell.stdin.end(printed.slice(printed.indexOf('\n\n')))
    const [output, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
    t.equal(code, 0)
    const answers = output.replace(/(?<=[}\]])(?=[{[])/g, '\n').split('\n').map((line) => JSON.parse(line))
    t.strictSame(answers.map((answer) => Array.isArray(answer) ? answer.length : Object.keys(answer).length), [5, 2, 6, 1, 1, 3, 1, 4, 4])
    const [profile, keys, created, deleted, renewed, usage, sites, site, audit] = answers
    t.match(profile, { id: USER_ID, name: 'Demo', emailVerified: true, createdAt: TIME })
    t.match(keys, [{ name: 'Spare key', isActive: true }, { name: 'Demo key', scopes: null, isActive: true, expiresAt: TIME }])
    t.match(created, { rawKey: SECRET, name: 'Production key', type: 'secret' })
    t.strictSame([deleted, renewed], [{ deleted: true }, { status: 'renewed' }])
    t.match(usage, { totalKeys: 3, activeKeys: 2 })
    t.strictSame(site, sites[0])
    t.match(audit.logs[0], { action: 'remove_site', actor_id: profile.id })
    t.strictSame(audit.logs.map(({ action }: any) => action), [
      'remove_site', 'renew_key', 'revoke_key', 'create_key', 'add_site', 'create_key', 'create_key', 'login'
    ])
  })
})

t.test('the next start on the same folder', async (t) => {
  const demoKey = (output: string): string => /^api key (\S+)$/m.exec(output)![1]!
  const ann = await newcomer()
  await ann.ask('POST', '/sites', { name: 'https://ann.example' })
  const before = await ann.state()
  netloc8.kill('SIGTERM')
  t.strictSame(await netloc8.ended, { code: 0, signal: null })
  users.prepare('update users set plan = ? where name = ?').run('paid', 'Demo')

  const next = await startExample(t, 'netloc8', dataDir, READY)
  const asked = async (plaintext: string, path: string, method = 'GET'): Promise<Answer> =>
    await send(method, path, { headers: { 'x-api-key': plaintext } }, next)

  await t.test('has the same users, keys, sites and log', async (t) => {
    t.equal((await asked(ann.key.plaintext, '')).json.id, ann.id)
    t.match((await asked(ann.key.plaintext, '/keys')).json, before.keys)
    t.match((await asked(ann.key.plaintext, '/keys')).json, [{ lastUsedAt: TIME }], 'and what was used')
    t.strictSame((await asked(ann.key.plaintext, '/sites')).json, before.sites)
    t.equal((await asked(ann.key.plaintext, '/audit')).json.total, before.entries)
  })

  await t.test('ends the demo user\'s key of the last one, whose plaintext nobody could print again', async (t) => {
    const [old, key] = [demoKey(netloc8.output), demoKey(next.output)]
    t.not(old, key)
    refused(t, await asked(old, ''), 401, 'INVALID_API_KEY', /revoked/, 'the old one')
    const demo = (await asked(key, '/keys')).json.filter(({ name }: any) => name === 'Demo key')
    t.match(demo, [
      { prefix: key.slice(3, 11), isActive: true, expiresAt: null }, { prefix: old.slice(3, 11), isActive: false, expiresAt: TIME }
    ], 'the user has a paid plan now: the new key does not expire')
    t.match((await asked(key, '/audit?action=rotate_key')).json, { total: 1, logs: [{ detail: 'Rotated key "Demo key"' }] })
    t.equal((await asked(key, '/audit?action=login')).json.total, 2, 'one for each start')
  })
})
