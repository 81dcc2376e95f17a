// The page "API keys" of storlaunch, sentence by sentence, against the running example over real HTTP.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { selfServeKeys } from '../../lib/index.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { tokenSession } from '../helpers/app.js'
import { startExample, type Answer, type Example } from '../helpers/example.js'
import { asPrinted, jsonOf, noCurl, paste } from '../helpers/printed.js'

const KEYS = '/account/api-keys'
const READY = { until: /api_key\.revoked" \\\n.+\n$/ }

// What stands for an id, a secret or a time in the printed examples.
const KEY_ID = /^key_[0-9A-HJKMNP-TV-Z]{26}$/
const REQUEST_ID = /^req_[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const LAST4 = /^[0-9A-Za-z]{4}$/
const META = { requestId: REQUEST_ID, timestamp: TIME }

t.setTimeout(120_000)
const dataDir = t.testdir()
const storlaunch = await startExample(t, 'storlaunch', dataDir, READY)

/** The key that a start printed. */
const startKey = (example: Example): string => /^api key (\S+)$/m.exec(example.output)![1]!
const root = startKey(storlaunch)

/** A request with a key as a bearer, or without one. @param path from the API's base */
async function call (key: string | null, method: string, path: string, body?: unknown, server = storlaunch): Promise<Answer> {
  return await server.request(method, `/api/v1${path}`, { ...(key !== null && { headers: { authorization: `Bearer ${key}` } }), body })
}

interface Created { id: string, value: string }

async function create (name: string, environment: 'live' | 'test', access: 'secret' | 'publishable', by = root): Promise<Created> {
  const { status, json } = await call(by, 'POST', KEYS, { name, environment, access })
  if (status !== 201) throw new Error(`POST ${KEYS}: ${status} ${json.error.code}`)
  return json.data
}

/** A success: the status, and the envelope around what is printed. */
function answers (t: Test, { status, json, headers }: Answer, [printedStatus, data]: [number, unknown], name: string): void {
  const printed = { data, error: null, meta: META }
  t.equal(status, printedStatus, `${name}: status`)
  t.strictSame(asPrinted(json, printed), printed, `${name}: body`)
  t.match(headers['content-type'], /^application\/json/, `${name}: JSON`)
}

/** A refusal, in the same envelope. */
function refused (t: Test, { status, json }: Answer, [wantedStatus, code]: [number, string], name: string, message = /^[^\n]+$/): void {
  const printed = { data: null, error: { code, message }, meta: META }
  t.equal(status, wantedStatus, `${name}: status`)
  t.strictSame(asPrinted(json, printed), printed, `${name}: body`)
}

/** The answer without what differs from one request to the next. */
function steady ({ status, headers: { date, ratelimit, ...headers }, json: { meta, ...body } }: Answer): object {
  return { status, headers, body }
}

/** The rows that a key sees, without what a mere request changes. */
async function rowsOf (key: string): Promise<any[]> {
  return (await call(key, 'GET', KEYS)).json.data.map(({ lastUsedAt, ...row }: any) => row)
}

// Another workspace: keys that storlaunch's own desk issued, from another process on the same database.
const desk = Fastify()
t.teardown(async () => { await desk.close() })
await desk.register(selfServeKeys, {
  session: tokenSession,
  routes: false,
  storage: kyselyStorage({ file: join(dataDir, 'keys.db') }),
  scopes: { 'account:read': '', 'account:write': '' },
  keys: { defaultKey: { scopes: null } },
  usage: false
})
await desk.ready()

t.test('every key of a workspace is listed, however many there were', async (t) => {
  const { keys } = desk.selfServeKeys
  const by = { accountId: 'ws_many', credential: 'host' } as const
  const reader = await keys.issue(by, { label: 'Reader', scopes: null })
  for (let i = 0; i < 110; i++) await keys.revoke(by, (await keys.issue(by, { label: `Old ${i}` })).apiKey.publicId)
  const rows = await rowsOf(reader.plaintextKey!)
  t.strictSame([rows.length, new Set(rows.map(({ id }: any) => id)).size], [111, 111])
})

async function strangersKey (environment: 'live' | 'test' = 'live'): Promise<Created> {
  const { apiKey, plaintextKey } = await desk.selfServeKeys.keys.issue({ accountId: 'ws_other', credential: 'host' }, { label: 'Theirs', environment })
  return { id: apiKey.publicId, value: plaintextKey! }
}

t.test('every request of the page, in its order, is answered as it is printed there', async (t) => {
  const name = 'Production webhook handler'

  const created = await call(root, 'POST', KEYS, { name, environment: 'live', access: 'secret' })
  answers(t, created, [201, {
    id: KEY_ID,
    name: 'Production webhook handler',
    environment: 'live',
    access: 'secret',
    value: /^sk_live_[0-9A-Za-z]{42}$/,
    createdAt: TIME
  }], 'Create')
  const { id, value, createdAt } = created.json.data

  const printedRow = {
    id: KEY_ID,
    name: 'Production webhook handler',
    prefix: 'sk_live_',
    last4: LAST4,
    environment: 'live',
    access: 'secret',
    createdAt: TIME,
    lastUsedAt: TIME,
    revokedAt: null
  }
  t.equal((await call(value, 'GET', '/storefront/orders')).status, 200)
  const [row] = (await call(root, 'GET', KEYS)).json.data
  t.strictSame(asPrinted(row, printedRow), printedRow, 'List: each row')
  t.strictSame([row.id, row.createdAt, row.last4], [id, createdAt, value.slice(-4)])

  const revoked = await call(value, 'DELETE', `${KEYS}/${id}`)
  answers(t, revoked, [200, { ...printedRow, revokedAt: TIME }], 'Revoke: the key itself may ask for it')
  refused(t, await call(value, 'GET', KEYS), [401, 'INVALID_API_KEY'], 'Subsequent requests with that key', /revoked/)
})

t.test('List', async (t) => {
  const key = await create('Listed', 'live', 'secret')

  await t.test('"Returns metadata only — secret values are never returned after creation"', async (t) => {
    const digests = (['hex', 'base64', 'base64url'] as const).map((encoding) => createHash('sha256').update(key.value).digest(encoding))
    for (const path of [KEYS, '/account/audit-log']) {
      const { text } = await call(root, 'GET', path)
      for (const secret of [key.value, key.value.slice(8), key.value.slice(8, 20), ...digests]) t.notOk(text.includes(secret), path)
    }
  })

  await t.test('"The last4 + prefix is enough to identify which key is which": of each kind of key', async (t) => {
    for (const environment of ['live', 'test'] as const) {
      for (const access of ['secret', 'publishable'] as const) {
        const { id, value } = await create('Identified', environment, access)
        const prefix = `${access === 'secret' ? 'sk' : 'pk'}_${environment}_`
        t.match((await rowsOf(root)).find((row) => row.id === id), { prefix, last4: value.slice(-4), environment, access })
        t.ok(value.startsWith(prefix))
      }
    }
  })

  await t.test('newest first, revoked ones among them; lastUsedAt is null until a key is used', async (t) => {
    const [older, newer] = [await create('Older', 'live', 'secret'), await create('Newer', 'live', 'secret')]
    await call(root, 'DELETE', `${KEYS}/${older.id}`)
    const { json: { data } } = await call(root, 'GET', KEYS)
    t.match(data.slice(0, 2), [{ id: newer.id, revokedAt: null, lastUsedAt: null }, { id: older.id, revokedAt: TIME, lastUsedAt: null }])
    await call(older.value, 'GET', KEYS)
    t.match((await call(root, 'GET', KEYS)).json.data[1], { id: older.id, lastUsedAt: TIME }, 'a refused use is one')
  })
})

t.test('Create', async (t) => {
  const good = { name: 'CI', environment: 'test', access: 'secret' }

  await t.test('"name string (1–100)": characters of any kind, which come back as they were', async (t) => {
    for (const name of ['x', 'x'.repeat(100), '🔑'.repeat(100), ' ', '\t"<b>&', 'é\u0301', '{id}']) {
      const answer = await call(root, 'POST', KEYS, { ...good, name })
      t.equal(answer.status, 201)
      t.equal(answer.json.data.name, name)
      const rows = await rowsOf(root)
      t.equal(rows[0].name, name)
      await call(root, 'DELETE', `${KEYS}/${rows[0].id}`)
    }
  })

  await t.test('what is past a limit, missing, of another type or not known is 400, and there is no key more', async (t) => {
    const before = await rowsOf(root)
    const { name, environment, access } = good
    const bad: Record<string, [unknown, RegExp]> = {
      'no character': [{ ...good, name: '' }, /name/],
      '101 characters': [{ ...good, name: 'x'.repeat(101) }, /name/],
      '101 characters of two units': [{ ...good, name: '🔑'.repeat(101) }, /name/],
      NUL: [{ ...good, name: 'a\0b' }, /name/],
      'half a character': [JSON.stringify({ ...good, name: '?' }).replace('?', '\\ud83d'), /name/],
      'a number': [{ ...good, name: 5 }, /name/],
      'no name': [{ environment, access }, /name/],
      'no environment': [{ name, access }, /environment/],
      'another environment': [{ ...good, environment: 'staging' }, /environment/],
      'an environment in capitals': [{ ...good, environment: 'LIVE' }, /environment/],
      'a list of environments': [{ ...good, environment: ['live'] }, /environment/],
      'no access': [{ name, environment }, /access/],
      'another access': [{ ...good, access: 'admin' }, /access/],
      'no access at all': [{ ...good, access: null }, /access/],
      'a member that is not known': [{ ...good, scopes: null }, /additional properties/],
      'no object': [[good], /object/],
      'no body': [undefined, /body/],
      'no JSON': ['{', /JSON/]
    }
    for (const [what, [body, message]] of Object.entries(bad)) refused(t, await call(root, 'POST', KEYS, body), [400, 'INVALID_REQUEST'], what, message)
    t.strictSame(await rowsOf(root), before)
  })

  await t.test('"Storlaunch hashes it and stores the hash": no file holds the value', async (t) => {
    const { value } = await create('Hashed', 'live', 'secret')
    for (const file of readdirSync(dataDir)) {
      const content = readFileSync(join(dataDir, file), 'latin1')
      t.notOk(content.includes(value.slice(8, 20)) || content.includes(root.slice(8, 20)), file)
    }
  })

  await t.test('"If you lose it, mint a new key and revoke this one": the new one works, the old one does not', async (t) => {
    const lost = await create('Lost', 'live', 'secret')
    const minted = await create('Minted', 'live', 'secret')
    await call(minted.value, 'DELETE', `${KEYS}/${lost.id}`)
    t.equal((await call(minted.value, 'GET', KEYS)).status, 200)
    refused(t, await call(lost.value, 'GET', KEYS), [401, 'INVALID_API_KEY'], 'the lost one')
  })
})

t.test('Revoke', async (t) => {
  await t.test('"immediately": the next request with the key is 401 INVALID_API_KEY, wherever it goes', async (t) => {
    for (const access of ['secret', 'publishable'] as const) {
      const { id, value } = await create('Short-lived', 'live', access)
      t.equal((await call(value, 'GET', '/storefront/products')).status, 200)
      t.equal((await call(root, 'DELETE', `${KEYS}/${id}`)).status, 200)
      for (const path of ['/storefront/products', '/storefront/public/store', '/storefront/orders', KEYS]) {
        const answer = await call(value, 'GET', path)
        refused(t, answer, [401, 'INVALID_API_KEY'], path, /revoked/)
        t.equal(answer.headers['www-authenticate'], 'Bearer realm="api", error="invalid_token"')
      }
    }
  })

  await t.test('"irreversible": again it answers the same, with the time of the first, and is in the log once', async (t) => {
    const { id } = await create('Ended', 'live', 'secret')
    const [first, second] = [await call(root, 'DELETE', `${KEYS}/${id}`), await call(root, 'DELETE', `${KEYS}/${id}`)]
    t.strictSame(steady(second), steady(first))
    const { json } = await call(root, 'GET', '/account/audit-log?action=api_key.revoked&limit=100')
    t.equal(json.data.entries.filter(({ targetId }: any) => targetId === id).length, 1)
  })

  await t.test('another workspace\'s key is a 404 that is identical to a missing one, and goes on working', async (t) => {
    const theirs = await strangersKey()
    const before = await rowsOf(theirs.value)
    const [found, missing] = [await call(root, 'DELETE', `${KEYS}/${theirs.id}`), await call(root, 'DELETE', `${KEYS}/key_01HXAAAAAAAAAAAAAAAAAAAAAA`)]
    refused(t, missing, [404, 'API_KEY_NOT_FOUND'], 'missing')
    t.strictSame(steady(found), steady(missing))
    for (const id of ['key_01HX...', 'key_', 'x', '%00', theirs.id.toLowerCase(), `${theirs.id}%20`]) {
      t.strictSame(steady(await call(root, 'DELETE', `${KEYS}/${id}`)), steady(missing), id)
    }
    t.strictSame(await rowsOf(theirs.value), before, 'theirs is as it was')
    t.notOk((await rowsOf(root)).some(({ id }) => id === theirs.id), 'nor is it listed')
  })
})

t.test('"All endpoints require an sk_* key — you can\'t bootstrap with pk_*"', async (t) => {
  const spare = await create('Spare', 'test', 'secret')
  const endpoints = [['GET', KEYS], ['POST', KEYS], ['DELETE', `${KEYS}/${spare.id}`], ['GET', '/account/audit-log']] as const
  const before = await rowsOf(root)
  const body = { name: 'More', environment: 'test', access: 'publishable' }

  for (const environment of ['live', 'test'] as const) {
    const { id, value } = await create('Page', environment, 'publishable')
    for (const [method, path] of endpoints) {
      refused(t, await call(value, method, path, method === 'POST' ? body : undefined), [403, 'FORBIDDEN'], `pk_${environment}_: ${method} ${path}`)
    }
    await call(root, 'DELETE', `${KEYS}/${id}`)
  }
  for (const [method, path] of endpoints) {
    const missing = await call(null, method, path, method === 'POST' ? body : undefined)
    refused(t, missing, [401, 'MISSING_API_KEY'], `no key: ${method} ${path}`)
    t.equal(missing.headers['www-authenticate'], 'Bearer realm="api"')
    for (const bad of ['sk_live_xxx', 'nonsense', '', `${root.slice(0, -1)}${root.endsWith('x') ? 'y' : 'x'}`, root.toUpperCase()]) {
      refused(t, await call(bad, method, path, method === 'POST' ? body : undefined), [401, 'INVALID_API_KEY'], `"${bad.slice(0, 8)}": ${method} ${path}`)
    }
  }
  t.strictSame((await rowsOf(root)).filter(({ name }) => name !== 'Page'), before.filter(({ name }) => name !== 'Page'), 'no key more, and none revoked')

  const header = await storlaunch.request('GET', `/api/v1${KEYS}`, { headers: { 'x-api-key': root } })
  t.equal(header.status, 200, 'X-API-Key carries a key too')
  const two = { 'x-api-key': root, authorization: `Bearer ${spare.value}` }
  refused(t, await storlaunch.request('GET', `/api/v1${KEYS}`, { headers: two }), [400, 'INVALID_REQUEST'], 'two different keys')
})

t.test('"Test keys only see test data; live keys are full prod"', async (t) => {
  const live = await create('Live', 'live', 'secret')
  const test = await create('Test', 'test', 'secret')

  await t.test('a test key lists test keys alone, a live one all', async (t) => {
    const [seen, all] = [await rowsOf(test.value), await rowsOf(live.value)]
    t.ok(seen.some(({ id }) => id === test.id))
    t.strictSame(seen, all.filter(({ environment }) => environment === 'test'))
    t.ok(all.some(({ environment }) => environment === 'live'))
  })

  await t.test('a test key creates and revokes test keys', async (t) => {
    for (const access of ['secret', 'publishable'] as const) {
      const { id, value } = await create('By a test key', 'test', access, test.value)
      t.equal((await call(value, 'GET', '/storefront/products')).status, 200)
      t.match(await call(test.value, 'DELETE', `${KEYS}/${id}`), { status: 200, json: { data: { id, revokedAt: TIME } } })
    }
  })

  await t.test('a live key is a 404 for it, identical to a missing one, and cannot be made by it', async (t) => {
    const before = await rowsOf(live.value)
    const missing = await call(test.value, 'DELETE', `${KEYS}/key_01HXAAAAAAAAAAAAAAAAAAAAAA`)
    t.strictSame(steady(await call(test.value, 'DELETE', `${KEYS}/${live.id}`)), steady(missing))
    for (const access of ['secret', 'publishable']) {
      refused(t, await call(test.value, 'POST', KEYS, { name: 'More', environment: 'live', access }), [403, 'FORBIDDEN'], access)
    }
    t.strictSame(await rowsOf(live.value), before)
    t.equal((await call(live.value, 'GET', KEYS)).status, 200)
  })

  await t.test('the audit log, which tells of live keys, is for live ones', async (t) => {
    refused(t, await call(test.value, 'GET', '/account/audit-log'), [403, 'FORBIDDEN'], 'a test key')
    t.equal((await call(live.value, 'GET', '/account/audit-log')).status, 200)
  })

  await t.test('the storefront holds other things for it, and what it changes is changed in the test shop alone', async (t) => {
    const read = async (key: Created, path: string): Promise<any> => (await call(key.value, 'GET', `/storefront${path}`)).json.data
    for (const path of ['/products', '/products/prod_1', '/orders', '/public/store']) t.not(JSON.stringify(await read(test, path)), JSON.stringify(await read(live, path)), path)
    refused(t, await call(test.value, 'GET', '/storefront/products/prod_2'), [404, 'NOT_FOUND'], 'a product that is live only')
    t.equal((await call(live.value, 'GET', '/storefront/products/prod_2')).status, 200)

    const before = await read(live, '/products/prod_1')
    answers(t, await call(test.value, 'PATCH', '/storefront/products/prod_1', { price: 7 }), [200, { id: 'prod_1', name: 'Test beans', price: 7 }], 'a change')
    t.equal((await read(test, '/products/prod_1')).price, 7)
    t.strictSame(await read(live, '/products/prod_1'), before)
  })
})

t.test('Key types recap', async (t) => {
  const keys = {
    pk_test: await create('pk_test_…', 'test', 'publishable'),
    pk_live: await create('pk_live_…', 'live', 'publishable'),
    sk_test: await create('sk_test_…', 'test', 'secret'),
    sk_live: await create('sk_live_…', 'live', 'secret')
  }
  const publicCatalogue = ['/storefront/public/store', '/storefront/products', '/storefront/products/prod_1']

  await t.test('every key reads the public catalogue', async (t) => {
    for (const [kind, { value }] of Object.entries(keys)) {
      for (const path of publicCatalogue) {
        const answer = await call(value, 'GET', path)
        answers(t, answer, [200, answer.json.data], `${kind}_…: ${path}`)
        t.ok(answer.json.data)
        t.equal((await call(value, 'HEAD', path)).status, 200, `${kind}_…: HEAD ${path}`)
      }
    }
    answers(t, await call(keys.pk_live.value, 'GET', '/storefront/public/shipping'), [200, { days: 3 }], 'everything under public/')
    for (const page of ['nothing', '__proto__', 'store/more', '']) refused(t, await call(keys.pk_live.value, 'GET', `/storefront/public/${page}`), [404, 'NOT_FOUND'], page)
    refused(t, await call(null, 'GET', '/storefront/products'), [401, 'MISSING_API_KEY'], 'nobody')
  })

  await t.test('"Trying anything else returns 403 FORBIDDEN": with a publishable key, and the secret ones may', async (t) => {
    const price = { price: 1 }
    for (const [kind, { value }] of Object.entries(keys)) {
      for (const [method, path, body] of [['GET', '/storefront/orders'], ['HEAD', '/storefront/orders'], ['PATCH', '/storefront/products/prod_1', price], ['GET', KEYS]] as const) {
        const answer = await call(value, method, path, body)
        if (kind.startsWith('sk')) t.equal(answer.status, 200, `${kind}_…: ${method} ${path}`)
        else if (method === 'HEAD') t.equal(answer.status, 403, `${kind}_…: HEAD ${path}`)
        else refused(t, answer, [403, 'FORBIDDEN'], `${kind}_…: ${method} ${path}`)
      }
    }
    t.equal((await call(keys.sk_live.value, 'GET', '/storefront/products/prod_1')).json.data.price, 1, 'as the secret key left it')
    for (const [method, path] of [
      ['POST', '/storefront/products'], ['PUT', '/storefront/products'], ['DELETE', '/storefront/products/prod_1'], ['POST', '/storefront/public/store'], ['PUT', KEYS], ['GET', '/account'],
      ['GET', '/nothing'], ['GET', '/']
    ] as const) {
      for (const [kind, { value }] of Object.entries(keys)) refused(t, await call(value, method, path), kind.startsWith('sk') ? [404, 'NOT_FOUND'] : [403, 'FORBIDDEN'], `${kind}_…: ${method} ${path}`)
    }
    const options = await storlaunch.request('OPTIONS', `/api/v1${KEYS}`, { headers: { authorization: `Bearer ${keys.pk_live.value}` } })
    t.not(options.text, 'Invalid Preflight Request', 'an OPTIONS that is no preflight is answered like anything else')
  })

  await t.test('"Safe to expose": a page of any origin may use a publishable key, and may read a refusal', async (t) => {
    const preflight = await storlaunch.request('OPTIONS', '/api/v1/storefront/products', {
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' }
    })
    t.match(preflight, { status: 204, headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization' } })
    for (const origin of ['https://shop.example', 'http://localhost:5173', 'null']) {
      const headers = { authorization: `Bearer ${keys.pk_live.value}`, origin }
      const [passed, forbidden] = await Promise.all(['products', 'orders'].map(async (path) => await storlaunch.request('GET', `/api/v1/storefront/${path}`, { headers })))
      t.match(passed, { status: 200, headers: { 'access-control-allow-origin': '*' } }, origin)
      t.match(forbidden, { status: 403, headers: { 'access-control-allow-origin': '*' } }, origin)
    }
  })
})

t.test('Events', async (t) => {
  const log = async (query = ''): Promise<any> => (await call(root, 'GET', `/account/audit-log${query}`)).json.data

  await t.test('"api_key.created and api_key.revoked entries": one for each, and for nothing else', async (t) => {
    const { total } = await log()
    const created = await call(root, 'POST', KEYS, { name: 'Logged', environment: 'live', access: 'secret' })
    const { id, value } = created.json.data
    await call(value, 'GET', KEYS)
    await call(root, 'POST', KEYS, { name: '' })
    const revoked = await call(value, 'DELETE', `${KEYS}/${id}`)
    await call(root, 'DELETE', `${KEYS}/key_01HXAAAAAAAAAAAAAAAAAAAAAA`)
    const self = { id, name: 'Logged' }
    const printed = {
      entries: [
        {
          id: total + 2, action: 'api_key.revoked', actor: self, targetId: id, detail: 'Revoked API key "Logged"', requestId: revoked.json.meta.requestId, createdAt: TIME
        },
        {
          id: total + 1,
          action: 'api_key.created',
          actor: { id: KEY_ID, name: 'Key of the last start' },
          targetId: id,
          detail: 'Created API key "Logged"',
          requestId: created.json.meta.requestId,
          createdAt: TIME
        }
      ],
      total: total + 2
    }
    answers(t, await call(root, 'GET', '/account/audit-log?limit=2'), [200, printed], 'Audit log')
  })

  await t.test('is read by action and in pages of 1 to 100', async (t) => {
    const { total, entries } = await log('?limit=100')
    t.equal(entries.length, total, 'fewer than a hundred so far')
    for (const action of ['api_key.created', 'api_key.revoked']) {
      const { entries: some, total: count } = await log(`?action=${action}&limit=100`)
      t.strictSame(some, entries.filter((entry: any) => entry.action === action))
      t.equal(count, some.length)
    }
    t.strictSame(new Set(entries.map(({ action }: any) => action)), new Set(['api_key.created', 'api_key.revoked']))
    t.strictSame((await log('?limit=1&offset=1')).entries, [entries[1]])
    t.equal((await log()).entries.length, Math.min(50, total))
    for (const query of ['limit=0', 'limit=101', 'limit=ten', 'offset=-1', 'page=2', 'limit=1&limit=2']) {
      refused(t, await call(root, 'GET', `/account/audit-log?${query}`), [400, 'INVALID_REQUEST'], query)
    }
  })

  await t.test('tells of no other workspace', async (t) => {
    const { id, value } = await strangersKey()
    t.notOk(JSON.stringify(await log('?limit=100')).includes(id))
    const ours = new Set((await rowsOf(root)).map((row) => row.id))
    const theirs = (await call(value, 'GET', '/account/audit-log')).json.data.entries.map(({ targetId }: any) => targetId)
    t.ok(theirs.includes(id))
    t.notOk(theirs.some((targetId: string) => ours.has(targetId)))
  })
})

t.test('the envelope is around every answer, with a request id of its own', async (t) => {
  const asked = async (method: string, path: string, body?: unknown): Promise<Answer> =>
    await storlaunch.request(method, path, { headers: { authorization: `Bearer ${root}` }, body })
  refused(t, await asked('GET', '/nothing'), [404, 'NOT_FOUND'], 'an unknown route')
  refused(t, await asked('GET', '/api/v1/account/nothing'), [404, 'NOT_FOUND'], 'an unknown route of the account')
  refused(t, await asked('PUT', `/api/v1${KEYS}`), [404, 'NOT_FOUND'], 'an unknown method')
  refused(t, await asked('GET', '/%zz'), [400, 'INVALID_REQUEST'], 'a URL that cannot be read')
  refused(t, await asked('POST', `/api/v1${KEYS}`, `{"name": "${'x'.repeat(2 ** 20)}"}`), [413, 'PAYLOAD_TOO_LARGE'], 'a megabyte')
  const plain = await storlaunch.request('POST', `/api/v1${KEYS}`, { headers: { authorization: `Bearer ${root}`, 'content-type': 'text/csv' }, body: 'a,b' })
  refused(t, plain, [415, 'UNSUPPORTED_MEDIA_TYPE'], 'no JSON')
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await asked('GET', `/api/v1${KEYS}`)).json.meta.requestId))
  t.equal(new Set(ids).size, 20)
})

t.test('the start prints a live secret key, and the commands of the page with it', { skip: noCurl }, async (t) => {
  t.match(storlaunch.output, /^ready http:\/\/127\.0\.0\.1:\d+\napi key sk_live_[0-9A-Za-z]{42}\n\n/)
  const commands = storlaunch.output.slice(storlaunch.output.indexOf('\n\n'))
  const asOnThePage = commands.replaceAll(storlaunch.origin, 'https://storlaunch.forjio.com').replaceAll(root, 'sk_live_xxx').replace(/key_\w{26}/, 'key_01HX...')
  t.ok(asOnThePage.includes(`
curl -X DELETE https://storlaunch.forjio.com/api/v1/account/api-keys/key_01HX... \\
  -H "Authorization: Bearer sk_live_xxx"
`), 'the page\'s own command')

  const { code, output } = await paste(commands)
  t.equal(code, 0)
  const [list, created, revoked, products, log] = jsonOf(output)
  for (const { error, meta } of [list, created, revoked, products, log]) t.strictSame(asPrinted({ error, meta }, { error: null, meta: META }), { error: null, meta: META })
  t.ok(list.data.some(({ last4, name }: any) => last4 === root.slice(-4) && name === 'Key of the last start'))
  t.match(created.data, { name: 'Production webhook handler', environment: 'live', access: 'secret', value: /^sk_live_/ })
  t.match(revoked.data, { name: 'Spare key', revokedAt: TIME })
  t.match(products.data, [{ id: 'prod_1', name: String, price: Number }])
  t.match(log.data.entries[0], { action: 'api_key.revoked', targetId: revoked.data.id })
})

t.test('the next start on the same folder', async (t) => {
  const [live, page, ended] = [await create('Kept', 'live', 'secret'), await create('Kept page', 'test', 'publishable'), await create('Ended', 'live', 'secret')]
  await call(root, 'DELETE', `${KEYS}/${ended.id}`)
  const before = (await rowsOf(live.value)).filter(({ name }) => !['Spare key', 'Shop page', 'Key of the last start'].includes(name))
  storlaunch.kill('SIGTERM')
  t.strictSame(await storlaunch.ended, { code: 0, signal: null })
  const next = await startExample(t, 'storlaunch', dataDir, READY)
  const fresh = startKey(next)

  t.not(fresh, root)
  refused(t, await call(root, 'GET', KEYS, undefined, next), [401, 'INVALID_API_KEY'], 'the key that the last start printed', /revoked/)
  refused(t, await call(ended.value, 'GET', KEYS, undefined, next), [401, 'INVALID_API_KEY'], 'a revoked key', /revoked/)
  t.equal((await call(page.value, 'GET', '/storefront/products', undefined, next)).status, 200, 'a page\'s key')
  for (const key of [fresh, live.value]) {
    const { status, json } = await call(key, 'GET', KEYS, undefined, next)
    t.equal(status, 200)
    const starts = json.data.filter(({ name }: any) => name === 'Key of the last start')
    t.match(starts, [{ last4: fresh.slice(-4), revokedAt: null }, { last4: root.slice(-4), revokedAt: TIME }], 'the same workspace, one key of a start')
    for (const row of before) t.match(json.data.find(({ id }: any) => id === row.id), row)
  }
})
