// Two versions on one schema, and a schema of the host's choice: what a build makes of tables that it did not make, or not where it stands.
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { CamelCasePlugin, Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import { appliedSteps } from '../../lib/storage/kysely/migrate.js'
import { migrationSteps } from '../../lib/storage/kysely/migration-steps.js'
import { connect } from '../../lib/storage/kysely/connections.js'
import type { DatabaseType } from '../../lib/storage/kysely/databases/database.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import type { TableNames } from '../../lib/storage/kysely/table-names.js'
import { TABLE_NAMES } from '../../lib/storage/kysely/tables.js'
import { storageContract } from '../../lib/storage/storage-contract.js'
import type { Storage } from '../../lib/storage/storage.js'
import { DAY } from '../../lib/time.js'
import { additiveSteps, BREAKING, startLaterBuild } from '../fixtures/next-steps.js'
import { leftOut } from '../helpers/left-out.js'
import {
  ACCOUNT, adding, auditOf, changed, event, failure, issue, issuing, keysOf, NOW, OTHER_ACCOUNT, record, renewing, revoke, rotating, updating
} from '../helpers/keys.js'
import { startMysql, whyNoMysql, type MysqlServer } from '../helpers/mysql.js'
import { startPostgres, whyNoPostgres, type PostgresServer } from '../helpers/postgres.js'

let places = 0
const folder = t.testdir()

/** A database for two versions: each connects by itself. */
interface Place {
  readonly type: DatabaseType
  readonly names: TableNames
  /** This version, on connections of its own. */
  storage (migrate?: 'start' | 'never'): Storage
  /** For a later version, or for another hand. */
  db (): Kysely<any>
}

function sqlitePlace (t: Test): Place {
  const file = join(folder, `${++places}.db`)
  const db = (): Kysely<any> => {
    const db = new Kysely<any>({ dialect: new SqliteDialect({ database: new Database(file, { timeout: 0 }) }) })
    t.teardown(async () => { await db.destroy() })
    return db
  }
  return { type: 'sqlite', names: { prefix: 'self_serve_', schema: null }, db, storage: (migrate = 'start') => kyselyStorage({ file, migrate }) }
}

function postgresPlace (server: PostgresServer): Place {
  const prefix = `x${++places}_`
  const db = (): Kysely<any> => server.db({ max: 4 })
  return { type: 'postgres', names: { prefix, schema: null }, db, storage: (migrate = 'start') => kyselyStorage({ db: db(), type: 'postgres', tablePrefix: prefix, migrate }) }
}

function mysqlPlace (server: MysqlServer): Place {
  const prefix = `x${++places}_`
  const db = (): Kysely<any> => server.db({ connectionLimit: 4 })
  return { type: 'mysql', names: { prefix, schema: null }, db, storage: (migrate = 'start') => kyselyStorage({ db: db(), type: 'mysql', tablePrefix: prefix, migrate }) }
}

async function opened (t: Test, storage: Storage): Promise<Storage> {
  await storage.open({ log: console, timeout: 10_000 })
  t.teardown(async () => { await storage.close() })
  return storage
}

async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

/** The claims about two versions on one database. */
async function twoVersions (t: Test, place: (t: Test) => Place): Promise<void> {
  await t.test('this version works beside a later one whose steps are additive, and touches nothing that it does not know', async (t) => {
    const { type, names, storage, db } = place(t)
    const old = await opened(t, storage())
    const key = await issue(old, { isDefault: true })
    const find = async (hash: string): Promise<unknown> => (await old.findKeyByHash([{ hash, pepperId: null }]))?.key
    t.strictSame(await find(key.hash), key)
    const later = await startLaterBuild(db(), type, names)
    // A statement that was prepared before the column came.
    t.strictSame(await find(key.hash), key)

    await later.review(key.ref.key, 'checked')
    const renamed = changed(await old.updateKey(updating(key, { label: 'New' }))).key
    const renewed = changed(await old.renewKey(renewing(renamed, { expiresAt: NOW + DAY }))).key
    await old.rehashKeys([{ publicId: key.publicId, fromHash: key.hash, hash: 'f00d', pepperId: 'p1' }])
    await record(old, [event(renewed, NOW), failure(renewed, NOW)])
    const known = { public_id: key.publicId, note: 'checked', tier: 'free', reviewer: 'Ada' }
    t.strictSame(await later.reviews(), [known])

    const { key: successor, updated } = changed(await old.rotateKey(rotating(key, { overlap: DAY })))
    changed(await old.addSite(adding('https://a.example')))
    const other = await issue(old, { accountId: OTHER_ACCOUNT })
    const unknown = { note: null, tier: 'free', reviewer: null }
    t.strictSame(await later.reviews(), [{ public_id: other.publicId, ...unknown }, { public_id: successor.publicId, ...unknown }, known])
    t.strictSame([(await keysOf(old)).map(({ publicId }) => publicId), updated[0]!.label], [[successor.publicId, key.publicId], 'New'])
    t.equal((await auditOf(old)).length, 5)

    // What this version removes takes with it what the later one knows of it.
    await later.review(other.ref.key, 'theirs')
    const ended = await revoke(old, successor)
    t.equal(await old.pruneKeys(ended.revokedAt! + 1, 9), 1)
    while (await old.eraseAccount(ACCOUNT, 9) > 0);
    t.strictSame(await later.reviews(), [{ public_id: other.publicId, note: 'theirs', tier: 'free', reviewer: 'Ada' }])

    for (const migrate of ['start', 'never'] as const) {
      const restarted = await opened(t, storage(migrate))
      t.strictSame(await keysOf(restarted, OTHER_ACCOUNT), [other])
      t.strictSame(await restarted.readUsage({ accountId: ACCOUNT, unit: 'day', start: NOW - NOW % DAY, end: NOW - NOW % DAY + DAY, perKeyLimit: 9, recentLimit: 9 }),
        { timeline: [], perKey: [], recentRequests: [], recentFailures: [] })
    }
    const { reader, database } = await connect({ db: db(), type }, names, 1000)
    t.strictSame((await appliedSteps({ db: reader, database }, names)).map(({ step }) => step), [...migrationSteps(type), ...additiveSteps(type)].map(({ step }) => step),
      'a restart applies nothing, and forgets nothing')
  })

  await t.test('a later version that starts under load disturbs none of those that run', async (t) => {
    const { type, names, storage, db } = place(t)
    const load = { rounds: 0, stopped: false }
    const accounts = ['one', 'two', 'three']
    const work = async (storage: Storage, accountId: string): Promise<number> => {
      let keys = 0
      for (; !load.stopped; load.rounds++) {
        const issued = await issue(storage, { accountId, isDefault: true })
        const { key } = changed(await storage.rotateKey(rotating(issued)))
        t.strictSame((await storage.findKeyByHash([{ hash: key.hash, pepperId: key.pepperId }]))?.key, key)
        t.match(await storage.findKeyByHash([{ hash: issued.hash, pepperId: null }]), { key: { publicId: issued.publicId, revokedAt: NOW } })
        await record(storage, [event(key, NOW)])
        keys += 2
      }
      return keys
    }
    const later = async (count: number): Promise<void> => { await until(() => load.rounds >= count) }
    const running = [await opened(t, storage()), await opened(t, storage())].map(async (one, place) => await work(one, accounts[place]!))
    await later(6)
    const build = await startLaterBuild(db(), type, names)
    // And an instance more of this version, on the schema of the later.
    running.push(work(await opened(t, storage()), accounts[2]!))
    await later(load.rounds + 9)
    load.stopped = true
    const counts = await Promise.all(running)
    const storageNow = await opened(t, storage('never'))
    for (const [place, accountId] of accounts.entries()) {
      const keys = await keysOf(storageNow, accountId)
      t.equal(keys.length, counts[place])
      t.ok(keys.length > 0)
      t.strictSame(keys.map(({ rotatedFrom }) => rotatedFrom), [...keys.slice(1).map(({ publicId }) => publicId), null])
      t.strictSame((await auditOf(storageNow, accountId)).length, keys.length)
      const { timeline } = await storageNow.readUsage({ accountId, unit: 'day', start: NOW - NOW % DAY, end: NOW - NOW % DAY + DAY, perKeyLimit: 1, recentLimit: 1 })
      t.match(timeline, [{ requests: keys.length / 2, failures: 0 }])
    }
    t.equal((await build.reviews()).length, counts.reduce((sum, count) => sum + count, 0))
  })

  await t.test('a breaking step that this version does not know stops it before it does anything, and is named', async (t) => {
    const { type, names, storage, db } = place(t)
    await (await opened(t, storage())).close()
    await startLaterBuild(db(), type, names, [...additiveSteps(type), BREAKING])
    for (const migrate of ['start', 'never'] as const) {
      await t.rejects(storage(migrate).open({ log: console, timeout: 1000 }),
        { code: 'SCHEMA_OUTDATED', message: 'The database has migration step 100 (digests), which this version does not know. It was made by a later version of fastify-self-serve-keys: start that one.' })
    }
  })
}

t.test('two versions on SQLite', async (t) => {
  await twoVersions(t, sqlitePlace)

  t.test('the storage contract holds on the schema of the later', async (t) => {
    const create = async (): Promise<Storage> => {
      const db = new Kysely<any>({ dialect: new SqliteDialect({ database: new Database(':memory:') }) })
      t.teardown(async () => { await db.destroy() })
      await startLaterBuild(db, 'sqlite', { prefix: 'self_serve_', schema: null })
      return kyselyStorage({ db, type: 'sqlite' })
    }
    for (const { name, run } of storageContract(create)) await t.test(name, run)
  })
})

t.test('on a Postgres server', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t)

  await t.test('two versions', async (t) => { await twoVersions(t, () => postgresPlace(server)) })
  await schemas(t, server)
})

t.test('two versions on a MariaDB server', leftOut(whyNoMysql()), async (t) => {
  const server = await startMysql(t)
  await twoVersions(t, () => mysqlPlace(server))
})

/** A schema of the host's choice. */
async function schemas (t: Test, server: PostgresServer): Promise<void> {
  /** Quotes, capitals, an umlaut, and what our own steps and SQL would read as theirs. */
  const NAMES = ['Über "die" {prefix}Keys; --', 'select', '$1']
  const admin = server.pool()
  const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
  await admin.query(NAMES.map((name) => `create schema ${quote(name)}`).join(';'))
  const [strange, ...others] = NAMES as [string, ...string[]]

  await t.test('the storage contract holds in a schema where a later version was, whatever the search_path finds and whatever plugins the host\'s Kysely has', async (t) => {
    // Tables of the same names, which hold no column: whatever were asked of them would fail.
    await admin.query(`create schema decoy; ${[...TABLE_NAMES].map((name) => `create table decoy.self_serve_${name} ()`).join(';')}`)
    const db = server.db({ options: '-c search_path=decoy' }).withSchema('decoy').withPlugin(new CamelCasePlugin())
    await (await opened(t, kyselyStorage({ db, type: 'postgres', schema: strange, migrate: 'start' }))).close()
    await startLaterBuild(server.db(), 'postgres', { prefix: 'self_serve_', schema: strange })
    const { rows: tables } = await admin.query('select tablename as name from pg_tables where schemaname = $1 and tablename <> \'self_serve_migrations\'', [strange])
    const create = async (): Promise<Storage> => {
      await admin.query(`truncate ${tables.map(({ name }) => `${quote(strange)}.${name}`).join(', ')} restart identity`)
      return kyselyStorage({ db, type: 'postgres', schema: strange })
    }
    for (const { name, run } of storageContract(create)) await t.test(name, run)
    const { rows } = await admin.query('select count(*)::int as tables from pg_tables where schemaname = \'decoy\'')
    t.equal(rows[0].tables, TABLE_NAMES.size)
  })

  await t.test('what is made in a schema is what is made without one, all of it, and nothing elsewhere', async (t) => {
    const made = async (schema: string): Promise<unknown[]> => (await admin.query(`
      select relname, relkind from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = $1 and relname like 'self_serve_%' order by 1`, [schema])).rows
    const before = await made('public')
    for (const schema of others) await (await opened(t, kyselyStorage({ db: server.db({ options: '-c search_path=' }), type: 'postgres', migrate: 'start', schema }))).close()
    t.strictSame(await made('public'), before)
    await (await opened(t, kyselyStorage({ db: server.db(), type: 'postgres', migrate: 'start' }))).close()
    const expected = await made('public')
    t.ok(expected.length > 30)
    for (const schema of others) t.strictSame(await made(schema), expected, schema)
  })

  await t.test('schemas of one database know nothing of each other', async (t) => {
    const [a, b] = [await opened(t, kyselyStorage({ db: server.db(), type: 'postgres', schema: others[0]! })), await opened(t, kyselyStorage({ db: server.db(), type: 'postgres', schema: others[1]! }))]
    const key = await issue(a, { isDefault: true })
    t.equal(await b.findKey(key.publicId), null)
    t.equal(changed(await b.issueKey(issuing({ ...key, isDefault: true }))).entries[0]!.change, 'api_key.issued')
    t.strictSame(await keysOf(a), [key])
  })

  await t.test('a role that may only read and write needs no search_path', async (t) => {
    await admin.query('create role reader login; grant usage on schema "select" to reader; grant select, insert, update, delete on all tables in schema "select" to reader')
    const db = server.db({ user: 'reader', options: '-c search_path=' })
    const storage = await opened(t, kyselyStorage({ db, type: 'postgres', schema: 'select' }))
    const key = await issue(storage, { accountId: 'user_r' })
    await record(storage, [event(key, NOW)])
    t.strictSame(await keysOf(storage, 'user_r'), [{ ...key, lastUsedAt: NOW }])
    t.equal(await storage.pruneUsage(NOW + DAY, 9) > 0, true)
    const elsewhere = kyselyStorage({ db, type: 'postgres', schema: strange })
    await t.rejects(elsewhere.open({ log: console, timeout: 1000 }), { message: /permission denied for schema/ })
  })

  await t.test('a schema that is not there is named, and not made', async (t) => {
    const open = async (migrate: 'start' | 'never', schema: string): Promise<void> =>
      await kyselyStorage({ db: server.db(), type: 'postgres', schema, migrate }).open({ log: console, timeout: 1000 })
    await t.rejects(open('start', 'its own'), {
      code: 'SCHEMA_OUTDATED',
      message: 'The database has no schema "its own" that this role may use. Make it, or run `npx fastify-self-serve-keys migrate --schema \'its own\'` with DATABASE_URL set to its address: that makes it too.'
    })
    await t.rejects(open('never', 'its own'), { code: 'SCHEMA_OUTDATED', message: /^The database lacks migration step 1 \(keys-and-usage\)\. Run `npx fastify-self-serve-keys migrate --schema 'its own'` with DATABASE_URL set/ })
    t.strictSame((await admin.query('select 1 from pg_namespace where nspname = \'its own\'')).rows, [])
  })
}
