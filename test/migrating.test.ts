// docs/migrating.md, run: its own code takes keys over from a real Better Auth database, and from a table in SHA-256 hex.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import Database, { type Database as Handle } from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { sha256 } from '../lib/crypto.js'
import type { ApiKey, KeyOperations, KeyOptions } from '../lib/index.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { DAY } from '../lib/time.js'
import { hostOf, testClock } from './helpers/app.js'

const ROOT = join(import.meta.dirname, '..')
/** Inside the repository, so that its packages are found; git ignores it. */
const CODE = join(ROOT, '.tap', 'migrating-code')

interface Report { imported: Array<{ id: string, publicId: string }>, left: Array<{ id: string, reason: string }> }
interface Guide {
  keys: KeyOptions
  importKeys (file: string, keys: KeyOperations): Promise<Report>
  importRow (row: object, keys: KeyOperations): Promise<ApiKey>
}

/** The first block of the guide that has this text, as a module. */
async function guide (name: string, text: string): Promise<Guide> {
  const page = readFileSync(join(ROOT, 'docs', 'migrating.md'), 'utf8')
  const block = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, code]) => code!).find((code) => code.includes(text))
  if (block === undefined) throw new Error(`No block of the guide has "${text}".`)
  mkdirSync(CODE, { recursive: true })
  const file = join(CODE, `${name}.mjs`)
  const { target, module } = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
  writeFileSync(file, ts.transpileModule(block, { compilerOptions: { target, module } }).outputText)
  return await import(pathToFileURL(file).href)
}

const shape = await guide('shape', '[A-Za-z]{64}')
const { importKeys } = await guide('import-keys', 'export async function importKeys')
const hex = await guide('hex', 'export async function importRow')

const SCOPES = { 'blocks:read': 'Read blocks', 'transactions:write': 'Submit transactions' }
const PEPPERS = { current: 'p1', keys: { p1: 'a pepper of the tests, which is long enough' } }

interface OldKey { readonly id: string, readonly key: string }
interface Old {
  readonly file: string
  readonly database: Handle
  readonly auth: { handler (request: Request): Promise<Response>, api: { verifyApiKey (input: { body: { key: string } }): Promise<{ valid: boolean }> } }
  readonly cookie: string
  readonly users: { readonly ada: string, readonly bob: string }
  readonly keys: Record<'plain' | 'scoped' | 'bobs' | 'lasting' | 'expired' | 'disabled' | 'quota' | 'foreign' | 'nothing', OldKey>
}

/** A Better Auth database with keys of every kind, made through its API. */
async function oldDatabase (t: Test, dir: string, disabledPaths: string[] = []): Promise<Old> {
  const file = join(dir, 'auth.db')
  const database = new Database(file)
  t.teardown(() => { database.close() })
  const options = {
    database,
    secret: 'a secret of the tests, which is long enough',
    baseURL: 'http://127.0.0.1:3000',
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ enableMetadata: true })],
    disabledPaths,
    rateLimit: { enabled: false },
    logger: { disabled: true },
    telemetry: { enabled: false }
  }
  await (await getMigrations(options)).runMigrations()
  const auth = betterAuth(options)
  const signUp = async (name: string) => await auth.api.signUpEmail({
    body: { email: `${name}@example.com`, password: 'a long password', name }, returnHeaders: true
  })
  const { headers, response: { user: { id: ada } } } = await signUp('ada')
  const { response: { user: { id: bob } } } = await signUp('bob')
  const create = async (body: object): Promise<OldKey> => await auth.api.createApiKey({ body: { userId: ada, ...body } })
  const keys = {
    plain: await create({ name: 'CI' }),
    scoped: await create({
      name: 'Deploy', prefix: 'acme_', permissions: { blocks: ['read'], transactions: ['write'] }, metadata: { plan: 'enterprise' }
    }),
    bobs: await create({ userId: bob, prefix: 'a-long-prefix_' }),
    lasting: await create({ name: 'Lasting', expiresIn: 30 * 24 * 3600 }),
    expired: await create({ name: 'Short', expiresIn: 24 * 3600 }),
    disabled: await create({ name: 'Off' }),
    quota: await create({ remaining: 5 }),
    foreign: await create({ permissions: { blocks: ['read'], admin: ['all'] } }),
    nothing: await create({ permissions: {} })
  }
  await auth.api.updateApiKey({ body: { keyId: keys.disabled.id, userId: ada, enabled: false } })
  const cookie = headers.getSetCookie().map((one) => one.split(';')[0]).join('; ')
  return { file, database, auth, cookie, users: { ada, bob }, keys }
}

const oldRows = ({ database }: Old): unknown[] => database.prepare('select * from apikey order by id').all()

/** A host on a SQLite file, two days on: keys of a day have expired. */
async function newHost (t: Test, dir: string, keys: KeyOptions = { ...shape.keys, peppers: PEPPERS }) {
  const file = join(dir, 'keys.db')
  const { app } = await hostOf(t, { storage: kyselyStorage({ file }), scopes: SCOPES, keys, clock: testClock(Date.now() + 2 * DAY) })
  const database = new Database(file, { readonly: true })
  t.teardown(() => { database.close() })
  const call = async (key: string): Promise<unknown[]> => {
    const answer = await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': key } })
    return answer.statusCode === 200 ? [200, answer.body] : [answer.statusCode, answer.json().message]
  }
  /** Everything the import writes, and what the customers see of it. */
  const state = async (accounts: string[]) => ({
    rows: database.prepare('select * from self_serve_api_keys order by number').all(),
    lists: await Promise.all(accounts.map(async (account) => await app.selfServeKeys.keys.list(account))),
    logs: await Promise.all(accounts.map(async (account) => await app.selfServeKeys.audit.list(account)))
  })
  const hashOf = (publicId: string): unknown =>
    database.prepare('select key_hash, pepper_id from self_serve_api_keys where public_id = ?').get(publicId)
  return { app, call, state, hashOf }
}

const byId = ({ imported }: Report): Map<string, string> => new Map(imported.map(({ id, publicId }) => [id, publicId]))
const verified = async (app: FastifyInstance, key: string): Promise<object> => {
  const result = await app.selfServeKeys.verify(key)
  return result.ok ? result.apiKey : result
}

t.test('from Better Auth\'s plugin', async (t) => {
  t.test('customers keep their keys, each with its account and scopes; disabled and expired ones stay so; the old table is untouched', async (t) => {
    const dir = t.testdir()
    const old = await oldDatabase(t, dir)
    const { keys, users: { ada, bob } } = old
    const before = oldRows(old)
    const { app, call, hashOf } = await newHost(t, dir)
    t.same(await call(keys.plain.key), [401, 'The API key is not valid.'], 'before the import')

    const report = await importKeys(old.file, app.selfServeKeys.keys)
    const ids = byId(report)
    t.same([...ids.keys()].toSorted(), ['plain', 'scoped', 'bobs', 'lasting', 'expired', 'disabled'].map((name) => keys[name as keyof typeof keys].id).toSorted())
    t.same(report.left, [
      { id: keys.quota.id, reason: 'has a quota' },
      { id: keys.foreign.id, reason: 'scopes.1: is not a scope of this API' },
      { id: keys.nothing.id, reason: 'scopes: must be a list of at least one scope, or null for all' }
    ])
    t.same(hashOf(ids.get(keys.plain.id)!), { key_hash: sha256(keys.plain.key), pepper_id: null }, 'as it was stored there')

    const readsBlocks = { accountId: ada, environment: 'live', access: 'secret', scopes: ['blocks:read'], metadata: null }
    t.match(await verified(app, keys.plain.key), { ...readsBlocks, publicId: ids.get(keys.plain.id), label: 'CI' })
    t.match(await verified(app, keys.scoped.key), { ...readsBlocks, label: 'Deploy', scopes: ['blocks:read', 'transactions:write'] }, 'without its metadata')
    t.match(await verified(app, keys.lasting.key), { ...readsBlocks, label: 'Lasting' })
    t.match(await verified(app, keys.bobs.key), { ...readsBlocks, accountId: bob, label: 'Imported key' })
    for (const name of ['plain', 'scoped', 'bobs', 'lasting'] as const) t.same(await call(keys[name].key), [200, ids.get(keys[name].id)], name)
    t.same(await call(keys.disabled.key), [401, 'The API key is disabled.'])
    t.same(await call(keys.expired.key), [401, 'The API key has expired.'])
    for (const name of ['quota', 'foreign', 'nothing'] as const) t.same(await call(keys[name].key), [401, 'The API key is not valid.'], name)
    t.same(await call(keys.plain.key.slice(1)), [401, 'The API key is not valid.'])

    const { apiKeys } = await app.selfServeKeys.keys.list(ada)
    const shown = (name: string) => apiKeys.find(({ label }) => label === name)
    const { createdAt, expiresAt } = old.database.prepare<[string], Record<string, string>>('select * from apikey where id = ?').get(keys.lasting.id)!
    t.match(shown('Lasting'), { status: 'active', isDefault: false, createdAt, expiresAt, prefix: '', first8: keys.lasting.key.slice(0, 6), last4: '', createdBy: null })
    t.match(shown('Deploy'), { prefix: 'acme_', first8: keys.scoped.key.slice(5, 6), maskedKey: 'acme_…' })
    t.match(shown('Off'), { status: 'disabled', disabledBy: 'account' })
    t.match(shown('Short'), { status: 'expired' })
    t.match((await app.selfServeKeys.keys.list(bob)).apiKeys, [{ prefix: 'a-long-prefix_', first8: '' }])
    t.equal((await app.selfServeKeys.audit.list(ada, { action: 'api_key.imported' })).total, 5)

    t.same(oldRows(old), before)
    for (const name of ['plain', 'quota'] as const) t.equal((await old.auth.api.verifyApiKey({ body: { key: keys[name].key } })).valid, true, 'Better Auth goes on')
  })

  t.test('a second run changes nothing, also after keys were used, renamed, disabled and revoked', async (t) => {
    const dir = t.testdir()
    const old = await oldDatabase(t, dir)
    const { keys, users: { ada, bob } } = old
    const { app, call, state, hashOf } = await newHost(t, dir)
    const operations = app.selfServeKeys.keys
    const first = await importKeys(old.file, operations)
    const again = async (claim: string): Promise<void> => {
      const before = await state([ada, bob])
      t.same(await importKeys(old.file, operations), first, claim)
      t.same(await state([ada, bob]), before, claim)
    }
    await again('at once')
    const idOf = (name: keyof typeof keys): string => byId(first).get(keys[name].id)!

    for (const name of ['plain', 'scoped', 'lasting'] as const) t.same(await call(keys[name].key), [200, idOf(name)])
    t.match(hashOf(idOf('plain')), { pepper_id: null }, 'moved behind the answers, not in them')
    await app.selfServeKeys.flush()
    for (const name of ['plain', 'scoped', 'lasting'] as const) {
      t.match(hashOf(idOf(name)), { pepper_id: 'p1', key_hash: /^[0-9a-f]{64}$/ }, 'after the first use it is under the current pepper')
      t.not((hashOf(idOf(name)) as { key_hash: string }).key_hash, sha256(keys[name].key))
      t.same(await call(keys[name].key), [200, idOf(name)])
    }
    t.same(hashOf(idOf('bobs')), { key_hash: sha256(keys.bobs.key), pepper_id: null }, 'one that was not used stays as it was')
    await app.selfServeKeys.flush()
    await again('after the first use')

    const host = { accountId: ada, credential: 'host' } as const
    await operations.update(host, idOf('plain'), { label: 'Renamed', scopes: ['transactions:write'] })
    await operations.update(host, idOf('scoped'), { enabled: false })
    await operations.revoke(host, idOf('lasting'))
    await operations.update(host, idOf('disabled'), { enabled: true })
    await again('after changes')
    t.match(await verified(app, keys.plain.key), { label: 'Renamed', scopes: ['transactions:write'] })
    t.same(await call(keys.scoped.key), [401, 'The API key is disabled.'])
    t.same(await call(keys.lasting.key), [401, 'The API key was revoked.'])
    t.same(await call(keys.disabled.key), [200, idOf('disabled')])
  })

  t.test('a run that broke off is completed by the next', async (t) => {
    const dir = t.testdir()
    const old = await oldDatabase(t, dir)
    const { app } = await newHost(t, dir)
    const operations = app.selfServeKeys.keys
    let calls = 0
    const half: KeyOperations = {
      ...operations,
      importHashed: async (...args) => ++calls > 3 ? await Promise.reject(new Error('down')) : await operations.importHashed(...args)
    }
    const broken = await importKeys(old.file, half)
    t.equal(broken.imported.length, 3)
    t.equal(broken.left.filter(({ reason }) => reason === 'down').length, 5)
    const whole = await importKeys(old.file, operations)
    t.equal(whole.imported.length, 6)
    t.same(whole.imported.slice(0, 3), broken.imported)
    t.equal(whole.left.length, 3)
  })

  t.test('without its shape among those accepted an imported key is no key', async (t) => {
    const dir = t.testdir()
    const old = await oldDatabase(t, dir)
    const { app, call } = await newHost(t, dir, {})
    t.equal((await importKeys(old.file, app.selfServeKeys.keys)).imported.length, 6)
    t.same(await call(old.keys.plain.key), [401, 'The API key is not valid.'])
  })

  t.test('the frozen routes answer 404, and what is read goes on', async (t) => {
    const page = readFileSync(join(ROOT, 'docs', 'migrating.md'), 'utf8')
    const paths = /disabledPaths: \[([^\]]+)\]/.exec(page)![1]!.split(', ').map((path) => path.slice(1, -1))
    t.same(paths, ['/api-key/create', '/api-key/update', '/api-key/delete'])
    const ask = async (old: Old, path: string, method: string): Promise<number> => (await old.auth.handler(new Request(`http://127.0.0.1:3000/api/auth${path}`, {
      method,
      headers: { cookie: old.cookie, origin: 'http://127.0.0.1:3000', 'content-type': 'application/json' },
      ...(method === 'POST' && { body: JSON.stringify({ keyId: old.keys.plain.id, name: 'New' }) })
    }))).status
    const dir = t.testdir({ frozen: {}, open: {} })
    const frozen = await oldDatabase(t, join(dir, 'frozen'), paths)
    const before = oldRows(frozen)
    for (const path of paths) t.equal(await ask(frozen, path, 'POST'), 404, path)
    t.equal(await ask(frozen, '/api-key/list', 'GET'), 200)
    t.same(oldRows(frozen), before)
    t.equal((await frozen.auth.api.verifyApiKey({ body: { key: frozen.keys.plain.key } })).valid, true)
    const open = await oldDatabase(t, join(dir, 'open'))
    for (const path of paths) t.equal(await ask(open, path, 'POST'), 200, path)
  })

  t.test('a hash that another account has is refused', async (t) => {
    const dir = t.testdir()
    const old = await oldDatabase(t, dir)
    const { app, call } = await newHost(t, dir)
    const { keys } = app.selfServeKeys
    const { imported } = await importKeys(old.file, keys)
    const hash = sha256(old.keys.plain.key)
    await t.rejects(keys.importHashed({ accountId: 'user_c', credential: 'host' }, { hash, label: 'Mine' }),
      { code: 'INVALID_REQUEST', message: 'hash: is that of another key' })
    t.same(await keys.count('user_c'), { total: 0, active: 0 })
    t.same(await call(old.keys.plain.key), [200, imported[0]!.publicId])
  })
})

t.test('from keys in SHA-256 hex', async (t) => {
  const { app, call, hashOf } = await newHost(t, t.testdir(), { ...hex.keys, peppers: PEPPERS })
  const { keys } = app.selfServeKeys
  const good = 'rst_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5'
  const off = 'rst_Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5'
  const row = (key: string, more: object = {}): object => ({
    user_id: 'user_1', name: 'my-app-key', key_hash: sha256(key), prefix: key.slice(0, 8), is_active: true, created_at: new Date('2026-02-16T10:30:00Z'), ...more
  })
  const { publicId } = await hex.importRow(row(good), keys)
  t.match(await hex.importRow(row(off, { name: 'off', is_active: false }), keys), { status: 'disabled', disabledBy: 'host' })
  t.same(await call(good), [200, publicId])
  t.same(await call(off), [401, 'The API key is disabled.'])
  for (const wrong of [good.slice(4), `${good}a`, good.toUpperCase(), `x${good}`]) t.same(await call(wrong), [401, 'The API key is not valid.'], wrong)
  await app.selfServeKeys.flush()
  t.match(hashOf(publicId), { pepper_id: 'p1' })
  t.match(await hex.importRow(row(good, { name: 'again' }), keys), {
    publicId, label: 'my-app-key', maskedKey: 'rst_…', first8: 'a1b2', createdAt: '2026-02-16T10:30:00.000Z', status: 'active'
  })
  t.equal((await keys.list('user_1')).apiKeys.length, 2)
})
