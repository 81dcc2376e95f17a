// The page "Self-serve account routes", sentence by sentence, against the running quickstart: real sign-ins over real HTTP.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { Answer } from '../helpers/example.js'
import { failToStart, Person, startQuickstart } from '../helpers/quickstart.js'

const KEYS = '/api-keys'
const PLAINTEXT = /^sk_live_[0-9A-Za-z]{42}$/
const PUBLIC_ID = /^key_[0-9A-HJKMNP-TV-Z]{26}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const CHALLENGE = 'Bearer realm="api"'
const INVALID_TOKEN = `${CHALLENGE}, error="invalid_token"`

// Some thousand requests over real HTTP: a busy machine may need longer than tap's half minute.
t.setTimeout(120_000)

const dataDir = t.testdir()
const quickstart = await startQuickstart(t, dataDir, { ACCOUNT_MUTATIONS_PER_MINUTE: '0' })
let people = 0

/** Somebody new, signed up and signed in. */
async function newcomer (): Promise<Person> {
  return await new Person(quickstart, `person${++people}`).signUp()
}

interface IssuedKey { plaintext: string, publicId: string }

async function issue (person: Person): Promise<IssuedKey> {
  const { status, json } = await person.me('POST', KEYS)
  if (status !== 201) throw new Error(`POST ${KEYS}: ${status}`)
  return { plaintext: json.plaintextKey, publicId: json.apiKey.publicId }
}

/** A call of the host's API with a key. */
async function call (key: IssuedKey, path = '/blocks', method = 'GET'): Promise<Answer> {
  return await quickstart.request(method, `/api/v1${path}`, { headers: { 'x-api-key': key.plaintext } })
}

/** A real token with signatures that are not its own. */
function badlySigned ({ token, signedToken }: Person): Record<string, string> {
  const signature = signedToken.slice(token.length + 1)
  return {
    'another signature': `${token}.${'A'.repeat(43)}=`,
    'no signature': `${token}.`,
    'another token under the signature': `${'x'.repeat(token.length)}.${signature}`,
    'a word for a signature': 'a.b'
  }
}

async function listOf (person: Person): Promise<any[]> {
  return (await person.me('GET', KEYS)).json.apiKeys
}

/** The list without what time alone changes: a window that runs out, a last use that is written a second later. */
async function steadyListOf (person: Person): Promise<any[]> {
  return (await listOf(person)).map(steady)
}

function steady ({ lastUsedAt, rateLimits, ...item }: any): any {
  return item
}

t.test('Auth', async (t) => {
  const ann = await newcomer()
  const bob = await newcomer()
  const key = await issue(ann)
  const other = await issue(bob)

  /** Nobody: 401 with a challenge, no matter what was asked. */
  const refused = (t: Test, answer: Answer, challenge: string, name: string): void => {
    t.equal(answer.status, 401, `${name}: 401`)
    t.equal(answer.headers['www-authenticate'], challenge, `${name}: challenge`)
    t.equal(answer.json.code, 'SESSION_REQUIRED', `${name}: code`)
  }

  await t.test('"Do not send X-Starkscan-Api-Key to this lane": a key in any header identifies nobody', async (t) => {
    for (const name of ['x-starkscan-api-key', 'x-api-key']) {
      for (const method of ['GET', 'POST']) {
        refused(t, await quickstart.request(method, `/api/v1/me${KEYS}`, { headers: { [name]: key.plaintext } }), CHALLENGE, `${method} with ${name}`)
      }
    }
    const asBearer = { authorization: `Bearer ${key.plaintext}` }
    refused(t, await quickstart.request('GET', `/api/v1/me${KEYS}`, { headers: asBearer }), INVALID_TOKEN, 'as a bearer')
    refused(t, await ann.browse('GET', KEYS, asBearer), INVALID_TOKEN, 'as a bearer beside a good cookie')
  })

  await t.test('a key beside a session changes nothing: the session alone says whose keys these are', async (t) => {
    const headers = { 'x-starkscan-api-key': key.plaintext, 'x-api-key': key.plaintext }
    t.strictSame((await bob.me('GET', KEYS, { headers })).json.apiKeys.map((item: any) => item.publicId), [other.publicId])
    t.strictSame((await bob.browse('GET', KEYS, headers)).json.apiKeys.map((item: any) => item.publicId), [other.publicId])
    t.equal((await ann.me('GET', '/usage')).json.totalRequests, 0, 'the key was not used by this')
  })

  await t.test('"safe reads (GET / HEAD / OPTIONS) can use the session cookies"', async (t) => {
    const read = await ann.browse('GET', KEYS)
    t.equal(read.status, 200)
    t.strictSame(read.json.apiKeys.map((item: any) => item.publicId), [key.publicId])
    t.equal((await ann.browse('GET', `${KEYS}/${key.publicId}`)).json.apiKey.publicId, key.publicId)
    t.equal((await ann.browse('GET', '/usage')).status, 200)

    for (const path of [KEYS, `${KEYS}/${key.publicId}`, '/usage']) {
      const head = await ann.browse('HEAD', path)
      t.equal(head.status, 200, `HEAD ${path}`)
      t.equal(head.text, '')
    }
    const allowed = { [KEYS]: 'GET, HEAD, POST, OPTIONS', [`${KEYS}/${key.publicId}`]: 'GET, HEAD, PATCH, DELETE, OPTIONS', '/usage': 'GET, HEAD, OPTIONS' }
    for (const [path, allow] of Object.entries(allowed)) {
      const options = await ann.browse('OPTIONS', path)
      t.equal(options.status, 204, `OPTIONS ${path}`)
      t.equal(options.headers.allow, allow)
    }
  })

  await t.test('"send Authorization: Bearer <better_auth_session_token>": the token of the answer or the signed one, any case', async (t) => {
    for (const authorization of [`Bearer ${ann.token}`, `bearer ${ann.token}`, `BEARER  ${ann.token}`, `Bearer ${ann.signedToken}`]) {
      const answer = await quickstart.request('GET', `/api/v1/me${KEYS}`, { headers: { authorization } })
      t.equal(answer.status, 200)
      t.strictSame(answer.json.apiKeys.map((item: any) => item.publicId), [key.publicId])
    }
  })

  await t.test('"If the session is missing", 401 Unauthorized, on every route and method', async (t) => {
    const asked = [['GET', KEYS], ['POST', KEYS], ['GET', `${KEYS}/${key.publicId}`], ['DELETE', `${KEYS}/${key.publicId}`], ['GET', '/usage']] as const
    for (const [method, path] of asked) refused(t, await quickstart.request(method, `/api/v1/me${path}`), CHALLENGE, `${method} ${path}`)
    for (const method of ['HEAD', 'OPTIONS']) {
      const answer = await quickstart.request(method, `/api/v1/me${KEYS}`)
      t.equal(answer.status, 401, method)
      t.equal(answer.headers['www-authenticate'], CHALLENGE)
    }
  })

  await t.test('"or invalid", 401: a bearer that names nobody', async (t) => {
    const tokens = { unknown: 'x'.repeat(32), longer: `${ann.token}x`, 'two words': `${ann.token} x`, empty: '', ...badlySigned(ann) }
    for (const [name, token] of Object.entries(tokens)) {
      for (const method of ['GET', 'POST']) {
        refused(t, await ann.me(method, KEYS, { headers: { authorization: `Bearer ${token}` } }), INVALID_TOKEN, `${method}, ${name}`)
      }
    }
  })

  await t.test('or invalid, 401: a cookie that names nobody', async (t) => {
    const [name] = ann.cookie.cookie.split('=')
    const values = { unknown: 'nobody', unsigned: ann.token, 'not encoded right': '%', empty: '', ...badlySigned(ann) }
    for (const [what, value] of Object.entries(values)) {
      for (const method of ['GET', 'POST']) {
        refused(t, await ann.browse(method, KEYS, { cookie: `${name}=${value}` }), CHALLENGE, `${method}, ${what}`)
      }
    }
  })

  await t.test('a bad bearer beside a good cookie is 401: no cookie rescues it', async (t) => {
    // Better Auth itself lets the cookie rescue those with a dot and the empty one.
    const bearers = { bare: 'Bearer', empty: 'Bearer ', unknown: `Bearer ${'x'.repeat(32)}`, 'lower case': 'bearer nobody' }
    const signed = Object.entries(badlySigned(ann)).map(([name, token]) => [name, `Bearer ${token}`] as const)
    for (const [name, authorization] of [...Object.entries(bearers), ...signed]) {
      for (const method of ['GET', 'POST']) {
        refused(t, await ann.browse(method, KEYS, { authorization }), INVALID_TOKEN, `${method}, ${name}`)
      }
    }
    const basic = { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` }
    t.equal((await ann.browse('GET', KEYS, basic)).status, 200, 'another scheme is no bearer: the cookie reads')
    t.equal((await ann.browse('POST', KEYS, basic)).status, 403, 'and still may not write')
  })

  await t.test('a bearer beside another person\'s cookie: the bearer decides', async (t) => {
    const answer = await bob.browse('GET', KEYS, ann.bearer)
    t.strictSame(answer.json.apiKeys.map((item: any) => item.publicId), [key.publicId])
  })

  await t.test('two Authorization headers are 401, even with the same good token, even beside a good cookie', async (t) => {
    const twice = { authorization: [`Bearer ${ann.token}`, `Bearer ${ann.token}`] }
    refused(t, await quickstart.request('GET', `/api/v1/me${KEYS}`, { headers: twice }), INVALID_TOKEN, 'twice')
    refused(t, await ann.browse('GET', KEYS, { authorization: [`Bearer ${ann.token}`, 'Basic YTpi'] }), INVALID_TOKEN, 'with another scheme')
  })

  await t.test('a session that was signed out, revoked or has expired is 401, by cookie and by bearer', async (t) => {
    const gone = async (person: Person, name: string): Promise<void> => {
      refused(t, await person.browse('GET', KEYS), CHALLENGE, `${name}, cookie`)
      refused(t, await person.me('GET', KEYS), INVALID_TOKEN, `${name}, bearer`)
      refused(t, await person.me('POST', KEYS), INVALID_TOKEN, `${name}, bearer, a change`)
      refused(t, await person.browse('POST', KEYS), CHALLENGE, `${name}, cookie, a change`)
    }
    const visitor = (): Person => new Person(quickstart, ann.name)

    const left = await visitor().signIn()
    t.equal((await left.browse('GET', KEYS)).status, 200)
    const signOut = await quickstart.request('POST', '/api/auth/sign-out', { body: {}, headers: { ...left.cookie, origin: quickstart.origin } })
    t.equal(signOut.status, 200)
    await gone(left, 'signed out')

    const revoked = await visitor().signIn()
    t.equal((await revoked.me('GET', KEYS)).status, 200)
    const revoke = await quickstart.request('POST', '/api/auth/revoke-session', { body: { token: revoked.token }, headers: ann.bearer })
    t.equal(revoke.status, 200)
    await gone(revoked, 'revoked')

    const late = await visitor().signIn()
    t.equal((await late.me('GET', KEYS)).status, 200)
    const database = new Database(join(dataDir, 'auth.db'))
    database.prepare('update session set expiresAt = ? where token = ?').run('2020-01-01T00:00:00.000Z', late.token)
    database.close()
    await gone(late, 'expired')

    t.equal((await ann.browse('GET', KEYS)).status, 200, 'the person\'s other session stays')
  })

  await t.test('"If you try to POST or DELETE with cookies only": 403 Forbidden with a WWW-Authenticate: Bearer header', async (t) => {
    const before = await steadyListOf(ann)
    // What a page of the same site would send too: here that makes no difference.
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }]) {
      for (const [method, path] of [['POST', KEYS], ['DELETE', `${KEYS}/${key.publicId}`]] as const) {
        const answer = await ann.browse(method, path, headers)
        t.equal(answer.status, 403)
        t.equal(answer.headers['www-authenticate'], CHALLENGE)
        t.equal(answer.json.code, 'BEARER_REQUIRED')
      }
    }
    t.strictSame(await steadyListOf(ann), before, 'nothing has changed')
    t.equal((await call(key)).status, 200)
  })
})

t.test('Routes', async (t) => {
  const person = await newcomer()

  await t.test('GET /v1/me/api-keys: "list self-serve keys for the authenticated personal workspace"', async (t) => {
    const answer = await person.me('GET', KEYS)
    t.equal(answer.status, 200)
    t.match(answer.headers['content-type'], /^application\/json/)
    t.strictSame(answer.json, { apiKeys: [], truncated: false, before: null })
  })

  await t.test('POST /v1/me/api-keys: "issue or rotate the default live read key"', async (t) => {
    for (const options of [{}, { body: {} }, { headers: { 'content-type': 'application/json' } }]) {
      const { status, json } = await person.me('POST', KEYS, options)
      t.equal(status, 201)
      t.match(json.apiKey, { isDefault: true, environment: 'live', access: 'secret', scopes: ['blocks:read'], status: 'active' })
      t.match(json.plaintextKey, PLAINTEXT)
    }
    const key = await issue(person)
    t.equal((await call(key)).status, 200, 'it reads')
    const write = await call(key, '/transactions', 'POST')
    t.equal(write.status, 403, 'and does not write')
    t.equal(write.json.code, 'INSUFFICIENT_SCOPE')
  })

  await t.test('POST /v1/me/api-keys with a bad body is 400 that names the field, and no key changes', async (t) => {
    const before = await steadyListOf(person)
    const bad = [
      [{ environment: 'staging' }, /environment/], [{ environment: ['live'] }, /environment/], [{ colour: 'red' }, /colour/], [{ access: 'secret' }, /label/],
      [[], /body/], ['"live"', /body/]
    ] as const
    for (const [body, field] of bad) {
      const answer = await person.me('POST', KEYS, { body })
      t.equal(answer.status, 400)
      t.equal(answer.json.code, 'INVALID_REQUEST')
      t.match(answer.json.message, field)
    }
    t.strictSame(await steadyListOf(person), before)
  })

  await t.test('DELETE /v1/me/api-keys/{public_id}: "revoke one self-serve key"', async (t) => {
    const key = await issue(person)
    const others = (await steadyListOf(person)).filter((item) => item.publicId !== key.publicId)
    t.equal((await person.me('DELETE', `${KEYS}/${key.publicId}`)).status, 200)
    t.equal((await call(key)).status, 401)
    t.strictSame((await steadyListOf(person)).filter((item) => item.publicId !== key.publicId), others, 'the others are as they were')
  })

  await t.test('GET /v1/me/usage: "load recent usage, failures, and per-key aggregates"', async (t) => {
    const { status, json } = await person.me('GET', '/usage')
    t.equal(status, 200)
    t.match(json, { totalRequests: 3, totalFailures: 2 })
    t.equal(json.recentRequests.length, 3)
    t.equal(json.recentFailures.length, 2)
    t.equal(json.perKey.length, 2)
  })

  await t.test('another person\'s key answers exactly as a missing one does, and stays', async (t) => {
    const stranger = await newcomer()
    const theirs = await issue(stranger)
    const missing = `key_${'0'.repeat(26)}`
    for (const method of ['GET', 'DELETE']) {
      const [foreign, none] = await Promise.all([theirs.publicId, missing].map(async (id) => {
        const { status, headers: { date, ...headers }, text } = await person.me(method, `${KEYS}/${id}`)
        return { status, headers, text }
      }))
      t.strictSame(foreign, none, method)
      t.equal(none!.status, 404)
      t.equal(JSON.parse(none!.text).code, 'API_KEY_NOT_FOUND')
    }
    t.equal((await call(theirs)).status, 200)
    t.strictSame((await listOf(person)).filter((item) => item.publicId === theirs.publicId), [])
  })
})

t.test('Rules', async (t) => {
  await t.test('"GET /v1/me/api-keys returns metadata only. It never returns plaintext secrets", nor their hash', async (t) => {
    const person = await newcomer()
    const keys = [await issue(person), await issue(person)]
    await call(keys[1]!)
    const answers = [
      await person.me('GET', KEYS), await person.me('GET', `${KEYS}/${keys[1]!.publicId}`), await person.me('GET', '/usage'),
      await person.me('DELETE', `${KEYS}/${keys[1]!.publicId}`), await person.browse('GET', KEYS)
    ]
    for (const { status, text } of answers) {
      t.equal(status, 200)
      for (const { plaintext } of keys) {
        const hash = createHash('sha256').update(plaintext).digest()
        for (const secret of [plaintext, plaintext.slice(8), hash.toString('hex'), hash.toString('base64')]) t.notOk(text.includes(secret))
      }
      t.notOk(text.includes(person.userId), 'nor whose they are by the login\'s identifier')
    }
    await person.me('GET', '/usage') // what was used is written
    for (const file of readdirSync(dataDir)) {
      const bytes = readFileSync(join(dataDir, file))
      for (const { plaintext } of keys) t.notOk(bytes.includes(plaintext.slice(8)), `${file} does not hold it either`)
    }
  })

  await t.test('"a bounded newest-first slice plus truncated=true when older historical keys exist outside the response"', async (t) => {
    const person = await newcomer()
    const issued: IssuedKey[] = []
    for (let i = 0; i < 100; i++) issued.push(await issue(person))
    const newestFirst = (): string[] => issued.map(({ publicId }) => publicId).reverse()
    const page = async (query = ''): Promise<{ ids: string[], truncated: boolean, before: string | null }> => {
      const { json } = await person.me('GET', `${KEYS}${query}`)
      return { ids: json.apiKeys.map((item: any) => item.publicId), truncated: json.truncated, before: json.before }
    }

    t.strictSame(await page(), { ids: newestFirst(), truncated: false, before: null }, 'at exactly the bound all are shown')
    issued.push(await issue(person))
    const { ids, truncated, before } = await page()
    t.strictSame(ids, newestFirst().slice(0, 100), 'one past it the oldest is outside')
    t.equal(truncated, true)
    t.strictSame(await page(`?before=${before}`), { ids: newestFirst().slice(100), truncated: false, before: null }, 'and on the next page')
  })

  await t.test('"POST /v1/me/api-keys returns the plaintext key once for the new or rotated default key"', async (t) => {
    const person = await newcomer()
    const first = (await person.me('POST', KEYS)).json
    const second = (await person.me('POST', KEYS)).json
    for (const { plaintextKey, apiKey } of [first, second]) {
      t.match(plaintextKey, PLAINTEXT)
      t.equal(apiKey.maskedKey, `sk_live_…${plaintextKey.slice(-4)}`)
      t.equal(apiKey.first8, plaintextKey.slice(8, 16))
    }
    t.not(first.plaintextKey, second.plaintextKey)
    t.notOk(JSON.stringify(second).includes(first.plaintextKey), 'the first one is not said again')
  })

  await t.test('"If a default live key already exists, POST revokes it in the same operation and returns action=rotated"', async (t) => {
    const person = await newcomer()
    const test = (await person.me('POST', KEYS, { body: { environment: 'test' } })).json
    const first = (await person.me('POST', KEYS)).json
    t.match(first, { action: 'issued', revokedPublicIds: [], replayed: false }, 'the test key is no live key')
    const old = { plaintext: first.plaintextKey, publicId: first.apiKey.publicId }
    t.equal((await call(old)).status, 200)

    const second = (await person.me('POST', KEYS)).json
    t.match(second, { action: 'rotated', revokedPublicIds: [old.publicId], replayed: false })
    t.equal(second.apiKey.rotatedFrom, old.publicId)
    t.equal((await call(old)).status, 401, 'the next request with the old key')
    t.equal((await call({ plaintext: second.plaintextKey, publicId: '' })).status, 200)
    t.equal((await call({ plaintext: test.plaintextKey, publicId: '' })).status, 200, 'the test key goes on')

    const statuses = Object.fromEntries((await listOf(person)).map((item) => [item.publicId, item.status]))
    t.strictSame(statuses, { [second.apiKey.publicId]: 'active', [old.publicId]: 'revoked', [test.apiKey.publicId]: 'active' })
    t.match((await person.me('GET', `${KEYS}/${old.publicId}`)).json.apiKey, { revokedAt: TIME, isDefault: false })
  })

  await t.test('rotations at once leave one default live key, and each names another predecessor', async (t) => {
    const person = await newcomer()
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await person.me('POST', KEYS)))
    t.ok(answers.every(({ status }) => status === 201))
    const replaced = answers.flatMap(({ json }) => json.revokedPublicIds)
    t.equal(new Set(replaced).size, 19)
    t.equal((await listOf(person)).filter(({ status }) => status === 'active').length, 1)
  })

  await t.test('"DELETE revokes the selected key and returns its final metadata snapshot", and the same again', async (t) => {
    const person = await newcomer()
    const key = await issue(person)
    await call(key)
    const path = `${KEYS}/${key.publicId}`
    const before = (await person.me('GET', path)).json.apiKey
    const final = await person.me('DELETE', path)
    t.equal(final.status, 200)
    const { status, revokedAt, revokedReason, isDefault, rateLimits, lastUsedAt, ...rest } = final.json.apiKey
    t.match({ status, revokedAt, isDefault }, { status: 'revoked', revokedAt: TIME, isDefault: false })
    t.match(before, rest, 'everything else is as it was')

    const again = await person.me('DELETE', path)
    t.equal(again.status, 200)
    t.equal(again.json.apiKey.revokedAt, revokedAt)
    t.equal(again.json.apiKey.revokedReason, revokedReason)
    t.match((await person.me('POST', KEYS)).json, { action: 'issued', revokedPublicIds: [] }, 'the next one replaces nothing')
  })

  await t.test('revoked in one request, refused in the next', async (t) => {
    const person = await newcomer()
    for (let round = 0; round < 10; round++) {
      const key = await issue(person)
      t.equal((await call(key)).status, 200)
      await person.me('DELETE', `${KEYS}/${key.publicId}`)
      const answer = await call(key)
      t.equal(answer.status, 401)
      t.equal(answer.headers['www-authenticate'], INVALID_TOKEN)
      t.match(answer.json, { code: 'INVALID_API_KEY', message: /revoked/ })
    }
  })

  await t.test('"GET /v1/me/usage is a recent operational window": 24 hours unless another is asked for', async (t) => {
    const person = await newcomer()
    await call(await issue(person))
    const slots = { '1h': [60, 60_000], '24h': [24, 3_600_000], '7d': [168, 3_600_000], '30d': [30, 86_400_000] } as const
    for (const [window, [count, length]] of Object.entries(slots)) {
      const { json } = await person.me('GET', `/usage?window=${window}`)
      t.match(json, { window, windowStart: TIME, windowEnd: TIME, totalRequests: 1 })
      t.equal(json.timeline.length, count)
      const starts = json.timeline.map((slot: any) => Date.parse(slot.start))
      t.ok(starts.every((start: number, place: number) => place === 0 || start - starts[place - 1] === length), 'without gaps')
      const time = Date.parse(json.recentRequests[0].time)
      const slot = json.timeline.find(({ start }: any) => Date.parse(start) <= time && time < Date.parse(start) + length)
      t.match(slot, { requests: 1, failures: 0 }, 'the request is in the slot of its time')
      t.equal(json.timeline.filter(({ requests }: any) => requests > 0).length, 1)
    }
    t.equal((await person.me('GET', '/usage')).json.window, '24h')
    const bad = await person.me('GET', '/usage?window=1y')
    t.equal(bad.status, 400)
    t.match(bad.json, { code: 'INVALID_REQUEST', message: /window/ })
  })

  await t.test('"it surfaces truncation flags on every bounded list": recent requests and failures', async (t) => {
    const person = await newcomer()
    const key = await issue(person)
    const usage = async (): Promise<any> => (await person.me('GET', '/usage')).json
    const calls = async (count: number, path?: string, method?: string): Promise<void> => {
      for (let i = 0; i < count; i++) await call(key, path, method)
    }

    await calls(50, '/transactions', 'POST')
    t.match(await usage(), { totalRequests: 50, totalFailures: 50, recentRequestsTruncated: false, recentFailuresTruncated: false })
    await calls(1)
    let { recentRequests, recentFailures, ...flags } = await usage()
    t.match(flags, { totalRequests: 51, totalFailures: 50, recentRequestsTruncated: true, recentFailuresTruncated: false })
    t.equal(recentRequests.length, 50)
    t.equal(recentFailures.length, 50)
    t.equal(recentRequests[0].status, 200, 'the newest comes first')
    await calls(1, '/transactions', 'POST')
    ;({ recentRequests, recentFailures, ...flags } = await usage())
    t.match(flags, { totalRequests: 52, totalFailures: 51, recentRequestsTruncated: true, recentFailuresTruncated: true, perKeyTruncated: false })
    t.equal(recentFailures.length, 50)
  })

  await t.test('it surfaces truncation flags on every bounded list: the keys', async (t) => {
    const person = await newcomer()
    for (let i = 0; i < 100; i++) await call(await issue(person))
    const atBound = (await person.me('GET', '/usage')).json
    t.match(atBound, { totalRequests: 100, perKeyTruncated: false })
    t.equal(atBound.perKey.length, 100)
    await call(await issue(person))
    const past = (await person.me('GET', '/usage')).json
    t.match(past, { totalRequests: 101, perKeyTruncated: true }, 'the totals count what the list leaves out')
    t.equal(past.perKey.length, 100)
  })

  await t.test('"POST and DELETE on /v1/me/* are bearer-only on purpose": the same request with the bearer passes', async (t) => {
    const person = await newcomer()
    const key = await issue(person)
    t.equal((await person.browse('DELETE', `${KEYS}/${key.publicId}`)).status, 403)
    t.equal((await person.browse('DELETE', `${KEYS}/${key.publicId}`, person.bearer)).status, 200)
    t.equal((await person.browse('POST', KEYS)).status, 403)
    t.equal((await person.browse('POST', KEYS, person.bearer)).status, 201)
  })

  await t.test('"These routes are Cache-Control: no-store on purpose", whatever the answer', async (t) => {
    const person = await newcomer()
    const { publicId } = await issue(person)
    const answers: Array<[number, Answer]> = [
      [200, await person.me('GET', KEYS)], [200, await person.me('HEAD', KEYS)], [204, await person.me('OPTIONS', KEYS)],
      [200, await person.browse('GET', KEYS)], [201, await person.me('POST', KEYS)], [200, await person.me('GET', `${KEYS}/${publicId}`)],
      [200, await person.me('DELETE', `${KEYS}/${publicId}`)], [200, await person.me('GET', '/usage')],
      [400, await person.me('GET', '/usage?window=1y')], [400, await person.me('POST', KEYS, { body: { name: 1 } })],
      [401, await quickstart.request('GET', `/api/v1/me${KEYS}`)], [401, await person.me('GET', '/usage', { headers: { authorization: 'Bearer x' } })],
      [403, await person.browse('POST', KEYS)], [404, await person.me('GET', `${KEYS}/key_nothing`)],
      [413, await person.me('POST', KEYS, { body: { label: 'x'.repeat(1024 * 1024) } })],
      [415, await person.me('POST', KEYS, { body: {}, headers: { 'content-type': 'text/plain' } })],
      [204, await quickstart.request('OPTIONS', `/api/v1/me${KEYS}`, { headers: { origin: 'https://x.example', 'access-control-request-method': 'POST' } })]
    ]
    for (const [status, answer] of answers) {
      t.equal(answer.status, status)
      t.equal(answer.headers['cache-control'], 'no-store', String(status))
    }
    t.equal((await quickstart.request('GET', '/docs/json')).headers['cache-control'], undefined, 'other routes are as they were')
  })
})

t.test('Examples', async (t) => {
  const printed = quickstart.output

  await t.test('the start prints the origin, the two exports and the four commands, in the form of the page', async (t) => {
    const page = [
      `ready ${quickstart.origin}/api\n`,
      `# Open ${quickstart.origin}/api-key in a browser to sign up and manage keys.\n`,
      `export MEZCAL_BASE_URL="${quickstart.origin}/api"\n`,
      /export MEZCAL_SESSION_TOKEN="\w{32}"\n/,
      'curl \\\n  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\\n  "$MEZCAL_BASE_URL/v1/me/api-keys"\n',
      'curl -X POST \\\n  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\\n  "$MEZCAL_BASE_URL/v1/me/api-keys"\n',
      /curl -X DELETE \\\n {2}-H "Authorization: Bearer \$MEZCAL_SESSION_TOKEN" \\\n {2}"\$MEZCAL_BASE_URL\/v1\/me\/api-keys\/key_\w{26}"\n/,
      'curl \\\n  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\\n  "$MEZCAL_BASE_URL/v1/me/usage"\n',
      '"$MEZCAL_BASE_URL/v1/blocks"\n'
    ]
    const places = page.map((piece) => typeof piece === 'string' ? printed.indexOf(piece) : printed.search(piece))
    t.notOk(places.includes(-1))
    t.equal(places[0], 0)
    t.strictSame(places, places.toSorted((a, b) => a - b), 'in its order')
  })

  const curl = spawnSync('curl', ['--version']).status === 0
  await t.test('what is printed runs as it is pasted', { skip: curl ? false : 'curl is not installed' }, async (t) => {
    const shell = spawn('bash', [], { stdio: ['pipe', 'pipe', 'ignore'] })
    shell.stdin.end(printed.slice(printed.indexOf('\n')))
    const [output, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
    t.equal(code, 0)
    const [list, issued, revoked, usage, blocks, ...more] = output.replaceAll('}{', '}\n{').split('\n').map((line) => JSON.parse(line))
    t.strictSame(more, [])
    t.match(list, { apiKeys: [{ environment: 'test', status: 'active' }], truncated: false })
    t.match(issued, { action: 'issued', plaintextKey: PLAINTEXT, apiKey: { environment: 'live', createdBy: 'Demo' }, revokedPublicIds: [] })
    t.match(revoked, { apiKey: { publicId: list.apiKeys[0].publicId, status: 'revoked' } })
    t.match(usage, { totalRequests: 0, window: '24h' })
    t.equal(blocks.blocks.length, 10)
    t.match(blocks.blocks[0], { number: 1_000_000, hash: /^0x[0-9a-f]{64}$/, parentHash: blocks.blocks[1].hash })
  })
})

t.test('Response shape highlights', async (t) => {
  const person = await newcomer()

  await t.test('"key list items include environment, scopes, status, masked key, rate-limit policy, and lifecycle timestamps"', async (t) => {
    const key = await issue(person)
    await call(key)
    await person.me('GET', '/usage') // writes it, and with it when the key was last used
    const [item] = await listOf(person)
    t.strictSame(Object.keys(item).sort(), [
      'access', 'allowedIps', 'allowedOrigins', 'createdAt', 'createdBy', 'disabledBy', 'environment', 'expiresAt', 'first8',
      'isDefault', 'label', 'last4', 'lastUsedAt', 'maskedKey', 'prefix', 'publicId', 'rateLimits', 'retiresAt', 'revokedAt',
      'revokedReason', 'rotatedFrom', 'scopes', 'status'
    ])
    t.match(item, {
      publicId: key.publicId,
      label: 'Default',
      environment: 'live',
      scopes: ['blocks:read'],
      status: 'active',
      maskedKey: `sk_live_…${key.plaintext.slice(-4)}`,
      rateLimits: [{ name: 'default', max: 120, windowSeconds: 60, remaining: 119 }],
      createdBy: person.name,
      createdAt: TIME,
      lastUsedAt: TIME,
      expiresAt: null,
      retiresAt: null,
      revokedAt: null,
      rotatedFrom: null
    })
    t.match(item.publicId, PUBLIC_ID)
    t.strictSame(steady((await person.me('GET', `${KEYS}/${key.publicId}`)).json.apiKey), steady(item), 'one key alone reads the same')
  })

  await t.test('"issue/rotate responses include plaintextKey, apiKey, and revokedPublicIds"', async (t) => {
    const { json } = await person.me('POST', KEYS)
    t.strictSame(Object.keys(json).sort(), ['action', 'apiKey', 'plaintextKey', 'replayed', 'revokedPublicIds'])
    t.match(json, { action: 'rotated', plaintextKey: PLAINTEXT, apiKey: { publicId: PUBLIC_ID, status: 'active' }, revokedPublicIds: [PUBLIC_ID] })
  })

  await t.test('"usage snapshots include" the totals, the lists, and a flag beside each list', async (t) => {
    const { json } = await person.me('GET', '/usage')
    t.strictSame(Object.keys(json).sort(), [
      'perKey', 'perKeyTruncated', 'recentFailures', 'recentFailuresTruncated', 'recentRequests', 'recentRequestsTruncated',
      'timeline', 'totalFailures', 'totalRequests', 'window', 'windowEnd', 'windowStart'
    ])
    t.match(json, { totalRequests: 1, totalFailures: 0, perKeyTruncated: false, recentRequestsTruncated: false, recentFailuresTruncated: false })
    t.strictSame(Object.keys(json.perKey[0]).sort(),
      ['environment', 'failures', 'label', 'lastUsedAt', 'publicId', 'rateLimits', 'requests', 'scopes', 'status'])
    t.match(json.perKey[0], { requests: 1, failures: 0, status: 'revoked', lastUsedAt: TIME })
  })

  await t.test('"recent usage events include the API key public id, key label, key environment, and key scopes"', async (t) => {
    const somebody = await newcomer()
    const key = await issue(somebody)
    const secretQuery = 'q'.repeat(20)
    await call(key, `/blocks/424242?note=${secretQuery}`)
    await call(key, '/blocks/5000000')
    const answer = await somebody.me('GET', '/usage')
    const [failure, success] = answer.json.recentRequests
    const keyed = { publicId: key.publicId, label: 'Default', environment: 'live', scopes: ['blocks:read'] }
    t.match(success, { ...keyed, method: 'GET', route: '/api/v1/blocks/:number', status: 200, failureCode: null, requestId: null, time: TIME })
    t.match(failure, { ...keyed, method: 'GET', route: '/api/v1/blocks/:number', status: 404, failureCode: 'BLOCK_NOT_FOUND', requestId: String })
    t.strictSame(answer.json.recentFailures, [failure])
    t.strictSame(Object.keys(success).sort(), [
      'durationMs', 'environment', 'failureCode', 'label', 'method', 'publicId', 'requestId', 'route', 'scopes', 'status', 'time'
    ])

    // "without exposing secrets or raw auth-provider subject identifiers"
    const hash = createHash('sha256').update(key.plaintext).digest('hex')
    for (const secret of [key.plaintext, key.plaintext.slice(8), hash, '424242', secretQuery, somebody.userId, somebody.email, somebody.token]) {
      t.notOk(answer.text.includes(secret), `nowhere ${secret.slice(0, 8)}…`)
    }
  })
})

t.test('"See the API reference": the document lists these routes under the session scheme', async (t) => {
  const { json } = await quickstart.request('GET', '/docs/json')
  t.match(json.components.securitySchemes, { session: { type: 'http', scheme: 'bearer' }, apiKey: { type: 'apiKey', in: 'header' } })
  const secured = Object.fromEntries(Object.entries<any>(json.paths).map(([path, methods]) =>
    [path, Object.fromEntries(Object.entries<any>(methods).map(([method, { security }]) => [method, security]))]))
  const session = [{ session: [] }]
  const key = [{ apiKey: [] }]
  t.strictSame(secured, {
    '/api/v1/me/api-keys': { get: session, post: session },
    '/api/v1/me/api-keys/{publicId}': { get: session, patch: session, delete: session },
    '/api/v1/me/api-keys/{publicId}/usage': { get: session },
    '/api/v1/me/api-keys/{publicId}/rotate': { post: session },
    '/api/v1/me/api-keys/{publicId}/renew': { post: session },
    '/api/v1/me/policy': { get: session },
    '/api/v1/me/usage': { get: session },
    '/api/v1/me/sites': { get: session, post: session },
    '/api/v1/me/sites/{siteId}': { delete: session },
    '/api/v1/me/audit': { get: session },
    '/api/v1/blocks': { get: key },
    '/api/v1/blocks/{number}': { get: key },
    '/api/v1/transactions': { post: key },
    '/api/v1/reports': { get: [...key, ...session] }
  })
  t.match((await quickstart.request('GET', '/docs/')).headers['content-type'], /^text\/html/)
})

t.test('the API behind the keys', async (t) => {
  const person = await newcomer()
  const key = await issue(person)

  await t.test('takes the key from X-API-Key or as a bearer, never from the query', async (t) => {
    const asBearer = { headers: { authorization: `Bearer ${key.plaintext}` } }
    t.equal((await quickstart.request('GET', '/api/v1/blocks/7', asBearer)).json.block.number, 7)
    t.equal((await call(key, '/blocks/7')).json.block.number, 7)
    for (const path of ['/blocks', `/blocks?x-api-key=${key.plaintext}`, `/blocks?api_key=${key.plaintext}`]) {
      const answer = await quickstart.request('GET', `/api/v1${path}`)
      t.equal(answer.status, 401)
      t.equal(answer.json.code, 'MISSING_API_KEY')
    }
    const both = { 'x-api-key': key.plaintext, authorization: `Bearer ${(await issue(await newcomer())).plaintext}` }
    t.equal((await quickstart.request('GET', '/api/v1/blocks', { headers: both })).status, 400, 'two different keys')
  })

  await t.test('takes a session where a route says so, and nowhere else', async (t) => {
    const headersOf = { key: { 'x-api-key': key.plaintext }, bearer: person.bearer, cookie: person.cookie }
    for (const [how, headers] of Object.entries(headersOf)) {
      const report = await quickstart.request('GET', '/api/v1/reports', { headers })
      t.equal(report.status, 200)
      t.match(report.json, { requestedBy: how === 'key' ? 'apiKey' : 'session', days: { length: 7 } })
      t.equal((await quickstart.request('GET', '/api/v1/blocks', { headers })).status, how === 'key' ? 200 : 401)
    }
    t.equal((await quickstart.request('GET', '/api/v1/reports')).status, 401)
    t.equal((await quickstart.request('GET', '/api/v1/reports', { headers: { ...person.cookie, 'x-api-key': 'sk_live_bad' } })).status, 401,
      'a session does not rescue a bad key')
  })

  await t.test('admits 120 requests a minute of a key, and counts the refused ones as failures', async (t) => {
    const busy = await newcomer()
    const used = await issue(busy)
    for (let i = 0; i < 120; i++) t.equal((await call(used, '/blocks/1')).status, 200)
    const refused = await call(used, '/blocks/1')
    t.equal(refused.status, 429)
    t.ok(Number(refused.headers['retry-after']) >= 1)
    t.match((await busy.me('GET', '/usage')).json, { totalRequests: 121, totalFailures: 1 })
    t.equal((await call(key)).status, 200, 'another key has a budget of its own')
  })
})

t.test('the end of the process, and the next start', async (t) => {
  const person = await newcomer()
  const ended = await issue(person)
  const key = await issue(person)
  const before = await steadyListOf(person)
  t.equal(statSync(join(dataDir, 'secret')).mode & 0o777, 0o600)

  // A request that never ends: its headers have arrived, its body does not.
  const stuck = async (origin: string): Promise<void> => {
    const { hostname, port } = new URL(origin)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    t.teardown(() => { socket.destroy() })
    socket.write(`POST /api/auth/sign-in/email HTTP/1.1\r\nHost: ${hostname}\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n`)
    const [chunk] = await once(socket, 'data')
    t.match(String(chunk), /^HTTP\/1\.1 100 /)
  }

  await t.test('SIGTERM ends it with code 0 within 5 seconds: a client that never finishes does not hold it up', async (t) => {
    await stuck(quickstart.origin)
    for (let i = 0; i < 30; i++) await call(key, '/blocks/1')
    for (let i = 0; i < 7; i++) await call(ended, '/blocks/1')
    const start = performance.now()
    quickstart.kill('SIGTERM')
    quickstart.kill('SIGINT') // npm may pass on what the process has already: at once, it is no second signal
    t.strictSame(await quickstart.ended, { code: 0, signal: null })
    t.ok(performance.now() - start < 5000)
  })

  const next = await startQuickstart(t, dataDir)
  const same = async (path: string, headers: Record<string, string>): Promise<any> => (await next.request('GET', path, { headers })).json

  await t.test('usage is exact after it: what was buffered was written', async (t) => {
    const usage = await same('/api/v1/me/usage', person.bearer)
    t.match(usage, { totalRequests: 37, totalFailures: 7 })
    t.match(usage.perKey, [{ publicId: key.publicId, requests: 30, failures: 0 }, { publicId: ended.publicId, requests: 7, failures: 7 }])
  })

  await t.test('keys and people survive: sessions, cookies, passwords and keys are as they were', async (t) => {
    const after = (await same('/api/v1/me/api-keys', person.cookie)).apiKeys
    t.strictSame(after.map(steady), before)
    t.equal((await next.request('GET', '/api/v1/blocks', { headers: { 'x-api-key': key.plaintext } })).status, 200)
    t.equal((await next.request('GET', '/api/v1/blocks', { headers: { 'x-api-key': ended.plaintext } })).status, 401)
    const again = await new Person(next, person.name).signIn()
    t.equal(again.userId, person.userId)
  })

  await t.test('the demo user is the same, with a new session; the old one still holds', async (t) => {
    const tokenOf = (output: string): string => /SESSION_TOKEN="(\w+)"/.exec(output)![1]!
    const [old, fresh] = [tokenOf(quickstart.output), tokenOf(next.output)]
    t.not(old, fresh)
    const lists = await Promise.all([old, fresh].map(async (token) => await same('/api/v1/me/api-keys', { authorization: `Bearer ${token}` })))
    t.strictSame(lists[0].apiKeys.map(steady), lists[1].apiKeys.map(steady))
    t.match(next.output, /api-keys\/key_\w{26}"/)
  })

  await t.test('an account may change its keys 60 times a minute, unless the environment says otherwise', async (t) => {
    const headers = person.bearer
    for (let i = 0; i < 60; i++) t.equal((await next.request('POST', '/api/v1/me/api-keys', { headers })).status, 201)
    t.match(await next.request('POST', '/api/v1/me/api-keys', { headers }), { status: 429, headers: { 'retry-after': /^\d+$/, 'cache-control': 'no-store' } })
    t.equal((await next.request('GET', '/api/v1/me/api-keys', { headers })).status, 200, 'reading goes on')
  })

  await t.test('a second Ctrl-C ends it there and then', async (t) => {
    await stuck(next.origin)
    next.kill('SIGINT')
    const again = setInterval(() => { next.kill('SIGINT') }, 50)
    t.teardown(() => { clearInterval(again) })
    t.strictSame(await next.ended, { code: 1, signal: null })
  })
})

t.test('settings that are not understood end the start with a message that names them', async (t) => {
  const bad = [['PORT', '65536'], ['DATA_DIR', ' '], ['ACCOUNT_MUTATIONS_PER_MINUTE', '1e3']] as const
  const ends = await Promise.all(bad.map(async ([name, value]) => await failToStart({ PORT: '0', DATA_DIR: join(dataDir, 'none'), [name]: value })))
  for (const [place, { code, stderr }] of ends.entries()) {
    t.equal(code, 1)
    t.match(stderr, new RegExp(`^The quickstart could not start: ${bad[place]![0]} .*\\.\\n$`))
  }
})
