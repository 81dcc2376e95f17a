// The page "Authentication Endpoints" of rst, sentence by sentence, against the running example over real HTTP.
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import { startExample, type Answer } from '../helpers/example.js'
import { asPrinted, jsonOf, noCurl, paste } from '../helpers/printed.js'

const KEYS = '/v1/auth/api-keys'
const NOTES = '/v1/me/notes'
const READY = { until: /-X DELETE .+\n$/ }

// What stands for an id, a secret or a time in the printed examples.
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/
const RAW_KEY = /^rst_[0-9A-Za-z]{42}$/
const PREFIX = /^rst_[0-9A-Za-z]{4}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

t.setTimeout(120_000)
const dataDir = t.testdir()
const rst = await startExample(t, 'rst', dataDir, READY)

/** An answer as it is printed: the status, and the body member by member. */
function answers (t: Test, { status, json, text, headers }: Answer, [printedStatus, printed]: [number, unknown?], name: string): void {
  t.equal(status, printedStatus, `${name}: status`)
  if (printed === undefined) t.equal(text, '', `${name}: no body`)
  else t.strictSame(asPrinted(json, printed), printed, `${name}: body`)
  if (printed !== undefined) t.match(headers['content-type'], /^application\/json/, `${name}: JSON`)
}

function refused (t: Test, answer: Answer, [status, code]: [number, string], name: string, message = /./): void {
  t.match({ status: answer.status, ...answer.json }, { status, statusCode: status, code, message }, name)
}

/** The answer without what differs from one request to the next. */
function steady ({ status, headers: { date, ratelimit, ...headers }, text }: Answer): object {
  return { status, headers, text }
}

async function register (body: unknown): Promise<Answer> {
  return await rst.request('POST', '/v1/auth/register', { body })
}

async function login (username: unknown, password: unknown, server = rst): Promise<Answer> {
  return await server.request('POST', '/v1/auth/login', { body: { username, password } })
}

/** Somebody with an account and a JWT, and the requests of their programs. */
interface Person {
  id: string
  username: string
  token: string
  /** @param path from the keys */
  keys (method: string, path?: string, body?: unknown): Promise<Answer>
  /** A new key. */
  issue (name?: string): Promise<{ id: string, raw_key: string }>
}

const PASSWORD = 'secureP@ss123'
let people = 0

function person (id: string, username: string, token: string): Person {
  const keys: Person['keys'] = async (method, path = '', body = undefined) =>
    await rst.request(method, `${KEYS}${path}`, { headers: { authorization: `Bearer ${token}` }, body })
  return { id, username, token, keys, issue: async (name = 'a key') => (await keys('POST', '', { name })).json }
}

async function newcomer (): Promise<Person> {
  const number = ++people
  const username = `person${number}`
  const { status, json } = await register({ username, email: `${username}@example.com`, password: PASSWORD, full_name: `Person ${number}` })
  if (status !== 200) throw new Error(`register: ${status} ${json.message}`)
  return person(json.id, username, (await login(username, PASSWORD)).json.access_token)
}

/** A request for the notes of a key. @param path from the notes */
async function notes (key: { raw_key: string }, method: string, path = '', body?: unknown, server = rst): Promise<Answer> {
  return await server.request(method, `${NOTES}${path}`, { headers: { 'x-api-key': key.raw_key }, body })
}

t.test('every request of the page, in its order, is answered as it is printed there', async (t) => {
  const registered = await register({
    username: 'hershel',
    email: 'hershel@example.com',
    password: 'secureP@ss123',
    full_name: 'Hershel Moshkovitz'
  })
  answers(t, registered, [200, {
    id: UUID,
    username: 'hershel',
    email: 'hershel@example.com',
    full_name: 'Hershel Moshkovitz'
  }], 'Create a new user account')

  const loggedIn = await rst.request('POST', '/v1/auth/login', { body: { username: 'hershel', password: 'secureP@ss123' } })
  answers(t, loggedIn, [200, { access_token: JWT, token_type: 'bearer' }], 'Authenticate and receive a JWT token')
  const hershel = person(registered.json.id, 'hershel', loggedIn.json.access_token)

  const generated = await hershel.keys('POST', '', { name: 'my-app-key' })
  answers(t, generated, [200, {
    id: UUID,
    name: 'my-app-key',
    raw_key: RAW_KEY,
    prefix: PREFIX,
    is_active: true,
    created_at: TIME
  }], 'Generate a new API key')
  const { raw_key: rawKey, ...shown } = generated.json
  t.equal(shown.prefix, rawKey.slice(0, 8), 'the prefix is what the key begins with')

  const listed = await hershel.keys('GET')
  answers(t, listed, [200, [{ id: UUID, name: 'my-app-key', prefix: PREFIX, is_active: true, created_at: TIME }]], 'List all your API keys')
  t.strictSame(listed.json, [shown], 'the key, without raw_key')

  t.equal((await notes({ raw_key: rawKey }, 'GET')).status, 200)
  answers(t, await hershel.keys('DELETE', `/${shown.id}`), [204], 'Revoke an API key')
  refused(t, await notes({ raw_key: rawKey }, 'GET'), [401, 'INVALID_API_KEY'], 'the key afterwards', /revoked/)
  t.strictSame((await hershel.keys('GET')).json, [{ ...shown, is_active: false }])
})

t.test('POST /v1/auth/register', async (t) => {
  let emails = 0
  const good = (): Record<string, unknown> => ({ username: 'somebody', email: `somebody${++emails}@example.com`, password: PASSWORD, full_name: 'Some Body' })

  await t.test('takes every limit at its edge, and the person can log in', async (t) => {
    const edges: Array<Record<string, string>> = [
      { username: 'abc' }, { username: 'a'.repeat(50) }, { username: 'A1z' }, { username: '123' },
      { username: 'shortest1', password: '8 chars!' }, { username: 'longest1', password: 'x'.repeat(128) },
      { username: 'longest2', password: '🔑'.repeat(128) }, { username: 'shortest2', password: '🔑'.repeat(8) },
      { username: 'name1', full_name: 'x' }, { username: 'name2', full_name: 'x'.repeat(200) }, { username: 'name3', full_name: '🔑'.repeat(200) },
      { username: 'mail1', email: 'first.last+tag@sub.example.co' }
    ]
    // Hashing a password takes a quarter of a second: all at once.
    await Promise.all(edges.map(async (edge) => {
      const body = { ...good(), ...edge }
      const name = JSON.stringify(edge).slice(0, 60)
      answers(t, await register(body), [200, { id: UUID, username: body.username, email: body.email, full_name: body.full_name }], name)
      t.equal((await login(body.username, body.password)).status, 200, name)
    }))
  })

  await t.test('refuses what is past a limit, missing, of another type or not known: 400 that names the field, and nobody is registered', async (t) => {
    const bad: Array<[Record<string, unknown>, RegExp]> = [
      [{ username: 'ab' }, /username/], [{ username: 'a'.repeat(51) }, /username/], [{ username: '' }, /username/],
      ...['a.b', 'a_b', 'a-b', 'a b', 'ábc', 'abc\n', 'a@b', '🔑🔑🔑'].map((username): [object, RegExp] => [{ username }, /username/]) as Array<[Record<string, unknown>, RegExp]>,
      [{ username: 12345 }, /username/], [{ username: undefined }, /username/], [{ username: null }, /username/],
      ...['', 'nobody', '@example.com', 'a@', 'a b@example.com', 'a@example.com, b@example.com', 'a@localhost', 'a!b@example.com', `${'x'.repeat(243)}@example.com`]
        .map((email): [Record<string, unknown>, RegExp] => [{ email }, /email/]),
      [{ email: undefined }, /email/], [{ email: ['a@example.com'] }, /email/],
      [{ password: '7 chars' }, /password/], [{ password: 'x'.repeat(129) }, /password/], [{ password: '🔑'.repeat(7) }, /password/],
      [{ password: '🔑'.repeat(129) }, /password/], [{ password: 12345678 }, /password/], [{ password: undefined }, /password/],
      [{ full_name: '' }, /full_name/], [{ full_name: 'x'.repeat(201) }, /full_name/], [{ full_name: 'a\0b' }, /full_name/], [{ full_name: undefined }, /full_name/],
      [{ role: 'admin' }, /additional properties/]
    ]
    for (const [wrong, message] of bad) {
      const body = { ...good(), ...wrong }
      const answer = await register(body)
      t.equal(answer.status, 400, JSON.stringify(wrong).slice(0, 60))
      t.match(answer.json.message, message, JSON.stringify(wrong).slice(0, 60))
    }
    t.equal((await register('{')).status, 400)
    t.equal((await login('somebody', PASSWORD)).status, 401, 'nobody has that name')
  })

  await t.test('somebody\'s username is 409, in any case of its letters, and so is somebody\'s email; they are as they were', async (t) => {
    const ann = await newcomer()
    for (const username of [ann.username, ann.username.toUpperCase()]) {
      refused(t, await register({ ...good(), username, password: 'another password' }), [409, 'USERNAME_TAKEN'], username)
    }
    for (const email of [`${ann.username}@example.com`, `${ann.username.toUpperCase()}@EXAMPLE.com`]) {
      refused(t, await register({ ...good(), email, password: 'another password' }), [409, 'EMAIL_TAKEN'], email)
    }
    t.equal((await login(ann.username, 'another password')).status, 401)
    t.equal(decodeJwt((await login(ann.username, PASSWORD)).json.access_token).sub, ann.id)
    t.equal((await register(good())).status, 200, 'with names of its own the same request passes')
  })

  await t.test('of several at once for one username or one email, one is registered and the others are 409', async (t) => {
    const at = async (bodies: object[]): Promise<number[]> =>
      (await Promise.all(bodies.map(async (body) => await register({ ...good(), ...body })))).map(({ status }) => status).sort()
    t.strictSame(await at(['', '', '', ''].map(() => ({ username: 'contested' }))), [200, 409, 409, 409])
    t.strictSame(await at(['twin1', 'twin2', 'twin3', 'twin4'].map((username) => ({ username, email: 'contested@example.com' }))), [200, 409, 409, 409])
  })

  await t.test('keeps no password in the clear', async (t) => {
    for (const file of readdirSync(dataDir)) t.notOk(readFileSync(join(dataDir, file), 'latin1').includes(PASSWORD), file)
  })
})

t.test('POST /v1/auth/login', async (t) => {
  const ann = await newcomer()

  await t.test('a wrong password is 401, and so is whatever else is wrong: nobody learns which usernames there are', async (t) => {
    const wrong = await login(ann.username, 'wrong password')
    refused(t, wrong, [401, 'INVALID_CREDENTIALS'], 'a wrong password')
    const others: Array<[string, string]> = [
      ['nobody', PASSWORD], ['ab', PASSWORD], ['a'.repeat(51), PASSWORD], ['not a name!', PASSWORD], ['', PASSWORD], [`${ann.username}@example.com`, PASSWORD],
      [ann.username, ''], [ann.username, PASSWORD.toUpperCase()], [ann.username, `${PASSWORD} `], [ann.username, 'x'.repeat(1000)]
    ]
    await Promise.all(others.map(async ([username, password]) => {
      t.strictSame(steady(await login(username, password)), steady(wrong), `${username.slice(0, 20)}, ${password.slice(0, 20)}`)
    }))
  })

  await t.test('without one of them, with one of another type or with more it is 400', async (t) => {
    for (const [body, field] of [[{ username: 'a' }, /password/], [{ password: 'a' }, /username/], [{ username: 1, password: 'a' }, /username/], [{ username: 'a', password: null }, /password/]] as const) {
      const answer = await rst.request('POST', '/v1/auth/login', { body })
      t.equal(answer.status, 400)
      t.match(answer.json.message, field)
    }
    t.equal((await rst.request('POST', '/v1/auth/login', { body: { username: ann.username, password: PASSWORD, callbackURL: '/' } })).status, 400)
    t.equal((await rst.request('POST', '/v1/auth/login')).status, 400)
  })

  await t.test('the token is signed, names the user and ends within an hour; each login gives another way in, not another user', async (t) => {
    for (const username of [ann.username, ann.username.toUpperCase()]) {
      const { access_token: token } = (await login(username, PASSWORD)).json
      t.match(decodeProtectedHeader(token), { alg: 'EdDSA', kid: UUID })
      const { exp, ...claims } = decodeJwt(token)
      t.strictSame(claims, { sub: ann.id, name: ann.username.replace('person', 'Person '), iss: 'rst', aud: 'rst' }, 'neither email nor password')
      t.ok(exp! * 1000 > Date.now() && exp! * 1000 <= Date.now() + 3_600_000)
    }
    const database = new Database(join(dataDir, 'auth.db'), { readonly: true })
    t.teardown(() => { database.close() })
    t.equal(database.prepare('select count(*) from session').pluck().get(), 0, 'no session is left behind')
  })
})

t.test('"JWT Bearer Token — used for auth management endpoints"', async (t) => {
  const ann = await newcomer()
  const key = await ann.issue()
  const endpoints = [['POST', ''], ['GET', ''], ['DELETE', `/${key.id}`]] as const
  const everywhere = async (t: Test, headers: Record<string, string | string[]>, [status, code]: [number, string], name: string): Promise<void> => {
    for (const [method, path] of endpoints) {
      const answer = await rst.request(method, `${KEYS}${path}`, { headers, ...(method === 'POST' && { body: { name: 'more' } }) })
      refused(t, answer, [status, code], `${name}: ${method}`)
      t.match(answer.headers['www-authenticate'], /^Bearer realm="api"/, `${name}: ${method}`)
    }
  }

  await t.test('without one every endpoint is 401', async (t) => {
    await everywhere(t, {}, [401, 'SESSION_REQUIRED'], 'nothing')
    await everywhere(t, { authorization: 'Basic YTpi' }, [401, 'SESSION_REQUIRED'], 'a password')
    await everywhere(t, { cookie: `token=${ann.token}` }, [401, 'SESSION_REQUIRED'], 'a cookie')
  })

  await t.test('an API key is none', async (t) => {
    await everywhere(t, { 'x-api-key': key.raw_key }, [401, 'SESSION_REQUIRED'], 'as X-API-Key')
    await everywhere(t, { authorization: `Bearer ${key.raw_key}` }, [401, 'SESSION_REQUIRED'], 'as a bearer')
  })

  await t.test('neither is a token that somebody else signed, that was changed, or that is for something else', async (t) => {
    const [header, payload, signature] = ann.token.split('.') as [string, string, string]
    const { kid } = decodeProtectedHeader(ann.token)
    const claims = decodeJwt(ann.token)
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const stranger = await generateKeyPair('EdDSA', { extractable: true })
    const database = new Database(join(dataDir, 'auth.db'), { readonly: true })
    t.teardown(() => { database.close() })
    const publicKey = database.prepare('select publicKey from jwks').pluck().get() as string
    const asSecret = part({ alg: 'HS256', kid })
    const bad = {
      'another key': await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: kid! }).sign(stranger.privateKey),
      'its own key': await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: kid!, jwk: await exportJWK(stranger.publicKey) }).sign(stranger.privateKey),
      'an unknown key': await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: 'k' }).sign(stranger.privateKey),
      'no signature': new UnsecuredJWT(claims).encode(),
      'the public key as a secret': `${asSecret}.${payload}.${createHmac('sha256', publicKey).update(`${asSecret}.${payload}`).digest('base64url')}`,
      'another user': `${header}.${part({ ...claims, sub: 'admin' })}.${signature}`,
      'a longer life': `${header}.${part({ ...claims, exp: claims.exp! + 1 })}.${signature}`,
      'a cut signature': ann.token.slice(0, -2),
      'a word': 'nonsense',
      nothing: ''
    }
    for (const [name, token] of Object.entries(bad)) await everywhere(t, { authorization: `Bearer ${token}` }, [401, 'SESSION_REQUIRED'], name)
    await everywhere(t, { authorization: [`Bearer ${ann.token}`, `Bearer ${ann.token}`] }, [401, 'SESSION_REQUIRED'], 'two of them')
  })

  t.match((await ann.keys('GET')).json, [{ id: key.id, is_active: true }], 'no key more, and none revoked')
  t.equal((await notes(key, 'GET')).status, 200)
})

t.test('POST /v1/auth/api-keys', async (t) => {
  const ann = await newcomer()

  await t.test('"Key label (1-100 chars)": characters of any kind, which come back as they were', async (t) => {
    for (const name of ['x', 'x'.repeat(100), '🔑'.repeat(100), ' ', '\t"<b>&', 'é\u0301']) {
      const { status, json } = await ann.keys('POST', '', { name })
      t.equal(status, 200)
      t.equal(json.name, name)
      t.equal((await ann.keys('GET')).json[0].name, name)
    }
  })

  await t.test('what is past it, missing, of another type or not known is 400, and there is no key more', async (t) => {
    const before = (await ann.keys('GET')).json
    const bad = [
      { name: '' }, { name: 'x'.repeat(101) }, { name: '🔑'.repeat(101) }, { name: 'a\0b' }, '{"name": "\\ud83d"}', { name: 5 }, { name: null }, { name: ['x'] },
      {}, { name: 'x', scopes: [] }, { name: 'x', metadata: {} }, [], '{', undefined
    ]
    for (const body of bad) t.equal((await ann.keys('POST', '', body)).status, 400, JSON.stringify(body)?.slice(0, 40))
    t.strictSame((await ann.keys('GET')).json, before)
  })

  await t.test('"shown once": raw_key is in this answer, no list has it and no file', async (t) => {
    const { raw_key: rawKey } = await ann.issue()
    t.notOk((await ann.keys('GET')).text.includes(rawKey.slice(8)))
    for (const file of readdirSync(dataDir)) t.notOk(readFileSync(join(dataDir, file), 'latin1').includes(rawKey.slice(8, 20)), file)
  })

  await t.test('every key has an id of its own, and nobody may keep the answer', async (t) => {
    const made = await Promise.all(Array.from({ length: 10 }, async () => await ann.keys('POST', '', { name: 'one of ten' })))
    t.equal(new Set(made.map(({ json }) => json.id)).size, 10)
    for (const { headers } of made) t.equal(headers['cache-control'], 'no-store')
  })
})

t.test('GET /v1/auth/api-keys', async (t) => {
  const [ann, bob] = await Promise.all([newcomer(), newcomer()])

  await t.test('an empty array for somebody who has none', async (t) => {
    answers(t, await ann.keys('GET'), [200, []], 'none')
  })

  await t.test('newest first, one\'s own alone, revoked ones with is_active: false', async (t) => {
    const [older, newer, theirs] = [await ann.issue('older'), await ann.issue('newer'), await bob.issue('theirs')]
    await ann.keys('DELETE', `/${older.id}`)
    const printed = { prefix: PREFIX, created_at: TIME }
    answers(t, await ann.keys('GET'), [200, [
      { id: newer.id, name: 'newer', ...printed, is_active: true }, { id: older.id, name: 'older', ...printed, is_active: false }
    ]], 'Ann\'s')
    t.strictSame((await bob.keys('GET')).json.map(({ id }: any) => id), [theirs.id])
  })
})

t.test('DELETE /v1/auth/api-keys/{key_id}', async (t) => {
  const [ann, bob] = await Promise.all([newcomer(), newcomer()])

  await t.test('again it is 204 too; a uuid may be written in capitals', async (t) => {
    const key = await ann.issue()
    const other = await ann.issue()
    for (const id of [key.id.toUpperCase(), key.id]) answers(t, await ann.keys('DELETE', `/${id}`), [204], id)
    refused(t, await notes(key, 'GET'), [401, 'INVALID_API_KEY'], 'revoked')
    t.equal((await notes(other, 'GET')).status, 200, 'the other key stays')
  })

  await t.test('another person\'s key is a 404 that is identical to a missing one, and goes on working', async (t) => {
    const theirs = await bob.issue()
    const missing = await ann.keys('DELETE', '/b2c3d4e5-6789-abcd-ef01-23456789abcd')
    refused(t, missing, [404, 'API_KEY_NOT_FOUND'], 'missing')
    const own = await ann.issue()
    const ids = [theirs.id, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'x', own.id.replaceAll('-', ''), `${own.id}0`, `key_${'0'.repeat(26)}`, '%00']
    for (const id of ids) t.strictSame(steady(await ann.keys('DELETE', `/${id}`)), steady(missing), id)
    t.equal((await notes(theirs, 'GET')).status, 200)
    t.match((await bob.keys('GET')).json, [{ id: theirs.id, is_active: true }])
    t.match((await ann.keys('GET')).json[0], { id: own.id, is_active: true })
  })
})

t.test('"API Key — used for all /v1/me/* CRUD endpoints"', async (t) => {
  const [ann, bob] = await Promise.all([newcomer(), newcomer()])
  const [key, second, theirs] = [await ann.issue(), await ann.issue(), await bob.issue()]
  const printed = (text: string): object => ({ id: UUID, text, created_at: TIME, updated_at: TIME })

  await t.test('creates, reads, changes and deletes notes', async (t) => {
    const created = await notes(key, 'POST', '', { text: 'Remember the milk' })
    answers(t, created, [201, printed('Remember the milk')], 'create')
    const { id } = created.json
    answers(t, await notes(key, 'GET', `/${id}`), [200, created.json], 'read')
    answers(t, await notes(second, 'PUT', `/${id}`, { text: 'and the bread' }), [200, printed('and the bread')], 'change, with another key of the person')
    const newer = await notes(key, 'POST', '', { text: 'newer' })
    t.strictSame((await notes(key, 'GET')).json.map(({ text }: any) => text), ['newer', 'and the bread'], 'list, newest first')
    for (const note of [id, newer.json.id]) answers(t, await notes(key, 'DELETE', `/${note}`), [204], 'delete')
    for (const method of ['GET', 'DELETE']) refused(t, await notes(key, method, `/${id}`), [404, 'NOTE_NOT_FOUND'], method)
    answers(t, await notes(key, 'GET'), [200, []], 'list')
  })

  await t.test('a note has 1 to 10000 characters', async (t) => {
    for (const text of ['x', 'x'.repeat(10_000), '🔑'.repeat(10_000)]) {
      const { status, json } = await notes(key, 'POST', '', { text })
      t.equal(status, 201)
      t.equal((await notes(key, 'GET', `/${json.id}`)).json.text, text)
      await notes(key, 'DELETE', `/${json.id}`)
    }
    for (const body of [{ text: '' }, { text: 'x'.repeat(10_001) }, { text: 5 }, { text: 'a\0b' }, {}, { text: 'x', owner: bob.id }, undefined]) {
      t.equal((await notes(key, 'POST', '', body)).status, 400)
    }
    t.strictSame((await notes(key, 'GET')).json, [])
  })

  await t.test('another person\'s note is a 404 that is identical to a missing one, and stays as it was', async (t) => {
    const { json: note } = await notes(theirs, 'POST', '', { text: 'Bob\'s' })
    for (const [method, body] of [['GET'], ['PUT', { text: 'mine' }], ['DELETE']] as const) {
      const [found, missing] = [await notes(key, method, `/${note.id}`, body), await notes(key, method, '/b2c3d4e5-6789-abcd-ef01-23456789abcd', body)]
      refused(t, missing, [404, 'NOTE_NOT_FOUND'], method)
      t.strictSame(steady(found), steady(missing), method)
    }
    t.strictSame((await notes(key, 'GET')).json, [])
    t.strictSame((await notes(theirs, 'GET')).json, [note])
  })

  await t.test('"Send it as X-API-Key": as nothing else, and a JWT is none', async (t) => {
    const endpoints = [['GET', ''], ['POST', ''], ['GET', '/x'], ['PUT', '/x'], ['DELETE', '/x']] as const
    const credentials: Array<[Record<string, string>, string]> = [
      [{}, 'MISSING_API_KEY'],
      [{ authorization: `Bearer ${ann.token}` }, 'MISSING_API_KEY'],
      [{ authorization: `Bearer ${key.raw_key}` }, 'MISSING_API_KEY'],
      [{ 'x-api-key': ann.token }, 'INVALID_API_KEY'],
      [{ 'x-api-key': 'rst_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5' }, 'INVALID_API_KEY'],
      [{ 'x-api-key': '' }, 'INVALID_API_KEY'],
      [{ 'x-api-key': key.raw_key.toUpperCase() }, 'INVALID_API_KEY']
    ]
    for (const [method, path] of endpoints) {
      for (const [headers, code] of credentials) {
        const body = method === 'POST' || method === 'PUT' ? { text: 'x' } : undefined
        refused(t, await rst.request(method, `${NOTES}${path}`, { headers, body }), [401, code], `${method} ${path}, ${JSON.stringify(headers).slice(0, 30)}`)
      }
    }
    t.equal((await rst.request('GET', NOTES, { headers: { 'x-api-key': key.raw_key, authorization: `Bearer ${bob.token}` } })).status, 200, 'a JWT beside it means nothing')
    t.strictSame((await notes(key, 'GET')).json, [])
  })
})

t.test('the start prints the requests of the page as commands, which run as they are pasted', { skip: noCurl }, async (t) => {
  t.match(rst.output, /^ready http:\/\/127\.0\.0\.1:\d+\n\n/)
  // Somebody else has that name since the first test: a start on another folder has it free.
  const folder = t.testdir()
  const fresh = await startExample(t, 'rst', folder, READY)
  const { code, output } = await paste(fresh.output.slice(fresh.output.indexOf('\n\n')))
  t.equal(code, 0)
  const [body, head] = output.split('HTTP/1.1 ')
  const printedKey = { id: UUID, name: 'my-app-key', prefix: PREFIX, is_active: true, created_at: TIME }
  const note = { id: UUID, text: 'Remember the milk', created_at: TIME, updated_at: TIME }
  const printed = [{ id: UUID, username: 'hershel', email: 'hershel@example.com', full_name: 'Hershel Moshkovitz' }, [printedKey], note, [note]]
  t.strictSame(asPrinted(jsonOf(body!), printed), printed)
  t.match(head, /^204 No Content\r\n/)

  const again = await paste(fresh.output.slice(fresh.output.indexOf('\n\n')))
  t.match(jsonOf(again.output.split('HTTP/1.1 ')[0]!), [{ code: 'USERNAME_TAKEN' }, { length: 2 }, { text: 'Remember the milk' }, { length: 2 }], 'and again: only the name is taken')
})

t.test('the next start on the same folder has the same people, keys, tokens and notes', async (t) => {
  const ann = await newcomer()
  const [key, ended] = [await ann.issue('kept'), await ann.issue('ended')]
  await ann.keys('DELETE', `/${ended.id}`)
  const { json: note } = await notes(key, 'POST', '', { text: 'kept' })
  const before = (await ann.keys('GET')).json
  rst.kill('SIGTERM')
  t.strictSame(await rst.ended, { code: 0, signal: null })

  const next = await startExample(t, 'rst', dataDir, READY)
  const listed = await next.request('GET', KEYS, { headers: { authorization: `Bearer ${ann.token}` } })
  t.strictSame(listed.json, before, 'the token of the last start still holds')
  t.strictSame((await notes(key, 'GET', '', undefined, next)).json, [note])
  refused(t, await notes(ended, 'GET', '', undefined, next), [401, 'INVALID_API_KEY'], 'a revoked key', /revoked/)
  const again = await login(ann.username, PASSWORD, next)
  t.equal(decodeJwt(again.json.access_token).sub, ann.id)
  t.equal(decodeProtectedHeader(again.json.access_token).kid, decodeProtectedHeader(ann.token).kid, 'signed by the same key')
})
