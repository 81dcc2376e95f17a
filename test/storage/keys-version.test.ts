// What keys stand at in a SQLite file, by which they are held in memory: every change of a key moves it, whoever makes it, and usage does not.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import { sha256 } from '../../lib/crypto.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import type { Storage } from '../../lib/storage/storage.js'
import { hostOf } from '../helpers/app.js'
import {
  ACCOUNT, adding, changed, event, issue, issueIn, newEntry, NOW, record, removing, renewing, revoke, revokingAll, rotating, updating
} from '../helpers/keys.js'

async function opened (t: Test, file: string): Promise<Storage> {
  const storage = kyselyStorage({ file })
  await storage.open({ log: console, timeout: 2000 })
  t.teardown(async () => { await storage.close() })
  return storage
}

/** Did the work move what another process's storage says that keys stand at? */
async function moved (other: Storage, work: () => Promise<unknown>): Promise<boolean> {
  const before = other.keysVersion!()
  await work()
  const after = other.keysVersion!()
  if (other.keysVersion!() !== after) throw new Error('It moved by itself.')
  return before !== after
}

t.test('every change of a key that may have been found moves it for every connection, and nothing else does', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const storage = await opened(t, file)
  const others = [storage, await opened(t, file)]
  const key = await issue(storage)
  const { site } = changed(await storage.addSite(adding('https://a.example')))

  const still: Record<string, () => Promise<unknown>> = {
    'a new key': async () => await issue(storage),
    'a key that is refused': async () => await storage.renewKey(renewing({ ...key, publicId: 'key_unknown' })),
    'a key that stays as it is': async () => await storage.updateKey(updating(key, { label: key.label })),
    'an entry of the host': async () => await storage.recordAudit(ACCOUNT, newEntry()),
    usage: async () => { await record(storage, [event(key, NOW)]) },
    reading: async () => { await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 9 }) },
    'pruned usage': async () => await storage.pruneUsage(NOW * 2, 1000)
  }
  for (const [name, work] of Object.entries(still)) {
    for (const [place, other] of others.entries()) t.notOk(await moved(other, work), `${name}, seen by ${place}`)
  }

  const changes: Record<string, () => Promise<unknown>> = {
    label: async () => changed(await storage.updateKey(updating(await issue(storage), { label: 'another' }))),
    scopes: async () => changed(await storage.updateKey(updating(await issue(storage), { scopes: ['a:read'] }))),
    origins: async () => changed(await storage.updateKey(updating(await issue(storage), { allowedOrigins: ['https://b.example'] }))),
    addresses: async () => changed(await storage.updateKey(updating(await issue(storage), { allowedIps: ['10.0.0.0/8'] }))),
    disabled: async () => changed(await storage.updateKey(updating(await issue(storage), {}, { enabled: false }))),
    renewed: async () => changed(await storage.renewKey(renewing(await issue(storage), { expiresAt: NOW + 9 }))),
    rotated: async () => changed(await storage.rotateKey(rotating(await issue(storage)))),
    retiring: async () => await issueIn(storage, 'retiring'),
    revoked: async () => await revoke(storage, await issue(storage)),
    rehashed: async () => {
      const { publicId, hash } = await issue(storage)
      await storage.rehashKeys([{ publicId, fromHash: hash, hash: sha256(`${publicId} again`), pepperId: 'p2' }])
    },
    'a site added': async () => changed(await storage.addSite(adding(`https://${others.length + Math.random()}.example`))),
    'a site removed': async () => { await storage.removeSite(removing(changed(await storage.addSite(adding('https://gone.example'))).site)) },
    'all revoked': async () => changed(await storage.revokeKeys(revokingAll())),
    pruned: async () => { t.ok(await storage.pruneKeys(NOW * 2, 100) > 0) },
    erased: async () => { while (await storage.eraseAccount(ACCOUNT, 100) > 0); }
  }
  for (const [name, work] of Object.entries(changes)) {
    for (const [place, other] of others.entries()) {
      if (['pruned', 'erased', 'all revoked'].includes(name)) await issueIn(storage, name === 'pruned' ? 'revoked' : 'active')
      t.ok(await moved(other, work), `${name}, seen by ${place}`)
    }
  }
  t.equal(site.origin, 'https://a.example')
})

t.test('whoever writes to the file moves it, an operator too', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const storage = await opened(t, file)
  await issue(storage)
  await storage.addSite(adding('https://a.example'))
  const operator = new Database(file)
  t.teardown(() => operator.close())
  for (const statement of [
    'update self_serve_api_keys set revoked_at = 1', 'update self_serve_api_keys set expires_at = null', 'update self_serve_sites set origin = \'https://b.example\'',
    'delete from self_serve_sites', 'delete from self_serve_api_key_versions; delete from self_serve_api_keys'
  ]) t.ok(await moved(storage, async () => operator.exec(statement)), statement)
  for (const statement of ['update self_serve_api_keys set last_used_at = 1', 'create table of_the_host (a)', 'begin; update self_serve_api_keys set revoked_at = 2; rollback']) {
    t.notOk(await moved(storage, async () => operator.exec(statement)), statement)
  }
  operator.exec('delete from self_serve_keys_version')
  t.throws(() => storage.keysVersion!(), TypeError, 'without it nobody can tell')
})

t.test('a file that is taken back to an earlier state stands at something else than anything in between', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const storage = await opened(t, file)
  const seen = new Set<number>()
  const operator = new Database(file)
  t.teardown(() => operator.close())
  const [{ version: first }] = operator.prepare<[], { version: number }>('select version from self_serve_keys_version').all() as [{ version: number }]
  for (let turn = 0; turn < 50; turn++) {
    // As from a copy of the file; and then a change, as it was made the first time.
    operator.exec(`update self_serve_keys_version set version = ${first}`)
    await revoke(storage, await issue(storage))
    seen.add(storage.keysVersion!())
  }
  t.equal(seen.size, 50)
  t.notOk(seen.has(first))
})

t.test('a key is asked for once as long as nothing changes, and again after any change', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const inner = kyselyStorage({ file })
  let lookups = 0
  const storage: Storage = { ...inner, open: async (context) => { await inner.open(context) }, findKeyByHash: (digests) => { lookups++; return inner.findKeyByHash(digests) } }
  const { app } = await hostOf(t, { storage })
  const { app: other } = await hostOf(t, { storage: kyselyStorage({ file }) })
  const by = { accountId: ACCOUNT, credential: 'host' } as const
  const { plaintextKey, apiKey } = await app.selfServeKeys.keys.issue(by, { label: 'one' })
  const call = async (): Promise<number> => (await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': plaintextKey! } })).statusCode
  for (let turn = 0; turn < 10; turn++) {
    t.equal(await call(), 200)
    await app.selfServeKeys.flush()
    await other.selfServeKeys.keys.issue(by, { label: 'another' })
  }
  t.equal(lookups, 1, 'usage and new keys are no changes of it')
  await other.selfServeKeys.keys.update(by, apiKey.publicId, { label: 'another name' })
  t.equal(await call(), 200)
  t.equal((await app.selfServeKeys.verify(plaintextKey!)).ok, true)
  t.equal(lookups, 2)
  await other.selfServeKeys.keys.revoke(by, apiKey.publicId)
  t.equal(await call(), 401)
  t.equal(await call(), 401)
  t.equal(lookups, 3, 'a revoked one is held as well')
})

t.test('a storage that is reached in another way, or lives in memory, is asked for each key', async (t) => {
  t.equal(kyselyStorage({ file: ':memory:' }).keysVersion, undefined)
  t.equal(kyselyStorage({ db: new Kysely({ dialect: new SqliteDialect({ database: new Database(':memory:') }) }), type: 'sqlite' }).keysVersion, undefined)
})
