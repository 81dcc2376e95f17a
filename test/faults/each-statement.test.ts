// Every statement of every change goes wrong once, in every way, on every database: the change is made as a whole or not at all, and nothing stays open.
import type { FastifyInstance } from 'fastify'
import Database from 'better-sqlite3'
import { Kysely, PostgresDialect, SqliteDialect } from 'kysely'
import type { Pool as MysqlPool } from 'mysql2'
import t, { type Test } from 'tap'
import { guardedStorage } from '../../lib/storage/guarded-storage.js'
import type { DatabaseType } from '../../lib/storage/kysely/databases/database.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { rollBack } from '../../lib/storage/kysely/roll-back.js'
import type { Storage } from '../../lib/storage/storage.js'
import { HOUR } from '../../lib/time.js'
import { standingClock } from '../helpers/app.js'
import { build, login, SCOPES } from '../helpers/host.js'
import { auditOf, event, failure, issue, issuing, keysOf, NOW, OTHER_ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { startMysql, whyNoMysql } from '../helpers/mysql.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { breakableSqlite, breakMysql, breakPostgres } from './breakable-drivers.js'
import { KEY_SCOPES, MUTATIONS, PROTECTED } from './mutations.js'
import { Attempt, BREAKS, FAILURES, SILENT_BREAKS, type Fault } from './nth-call.js'
import { ALL, sweep, type Rig, type Way } from './sweep.js'

/** ms that a host which is kept waiting has, and one that is not. */
const SHORT = 200
const LONG = 10_000

/** Changes of which each statement is in one at least. EACH_CALL=all takes every change. */
const USUAL = [
  'issue the first default key, once', 'rotate the default key', 'rotate a key with an overlap, once', 'rotate a key whose predecessor is retiring', 'renew a key',
  'rename a key and change what it may do', 'revoke a key', 'add a site', 'remove a site', 'revoke all keys, by the host', 'import a key, by the host', 'record an entry, by the host'
]

/** What ends a transaction, and before that puts a session back on MySQL: these go wrong in every way. */
const LAST_WORDS = /^(set \/\*|commit)/

/** The ways of a driver, on hosts of a kind of database. */
type Ways = (hosts: { readonly patient: FastifyInstance, readonly hasty: FastifyInstance }) => Way[]

/**
 * Every statement goes wrong on hosts on a database whose driver breaks: one that has time, and one that soon gives up.
 * @param clean the same database by a driver that does not break
 */
async function statements (t: Test, type: DatabaseType, broken: Kysely<any>, clean: Kysely<any>, ways: Ways): Promise<void> {
  const storage = kyselyStorage({ db: clean, type, migrate: 'start' })
  await storage.open({ log: console, timeout: LONG })
  const host = async (timeout: number): Promise<FastifyInstance> => (await build(t, {
    storage: kyselyStorage({ db: broken, type }),
    session: login,
    scopes: { ...SCOPES, [KEY_SCOPES.read]: 'Read keys', [KEY_SCOPES.write]: 'Manage keys' },
    accountRoutes: { apiKeys: KEY_SCOPES },
    usage: { flushInterval: '1 week', prune: false },
    timeout
  }, { after: (app) => app.get(PROTECTED, { config: { apiKey: true } }, async (request) => request.apiKey.publicId) })).app
  const hosts = { patient: await host(LONG), hasty: await host(SHORT) }
  const rig: Rig = { ...hosts, storage, changes: (call) => call === 'commit', fate: () => 'fails' }
  const mutations = Object.fromEntries(Object.entries(MUTATIONS).filter(([name]) => ALL || USUAL.includes(name)))
  const began = performance.now()
  const each = await sweep(rig, mutations, ways(hosts))
  const last = await sweep(rig, { 'rotate a key': MUTATIONS['rotate a key']! }, ways(hosts), LAST_WORDS)
  console.log(`${type}: ${each.tries + last.tries} tries in ${Math.round(performance.now() - began)} ms`)
  t.same([...each.violations, ...last.violations].slice(0, 10), [])
  await recordings(t, kyselyStorage({ db: broken, type }), storage, ways(hosts).flatMap(({ faults }) => Object.entries(faults)))
}

/** A batch of usage counts once, whichever of its statements goes wrong, and however often it is sent again. */
async function recordings (t: Test, storage: Storage, clean: Storage, faults: ReadonlyArray<[string, Fault]>): Promise<void> {
  await storage.open({ log: console, timeout: LONG })
  const hasty = guardedStorage(storage, SHORT)
  for (let place = 1, hit = true; hit; place++) {
    const [what, fault] = faults[place % faults.length]!
    const accountId = `recorded ${place}`
    const key = await issue(clean, { accountId })
    const batch = { id: accountId, sealedAt: NOW, events: [event(key, NOW), failure(key, NOW)] }
    const recording = new Attempt([place], fault)
    const [{ status }] = await recording.run(async () => await Promise.allSettled([hasty.recordUsage(batch)])) as [PromiseSettledResult<void>]
    hit = recording.calls.length >= place
    if (hit) t.equal(status, 'rejected', `${recording.calls[place - 1]} ${what}`)
    for (let times = 0; times < 2; times++) await storage.recordUsage(batch)
    const { timeline, perKey, recentRequests } = await clean.readUsage({ accountId, start: NOW - NOW % HOUR, end: NOW - NOW % HOUR + HOUR, unit: 'hour', perKeyLimit: 9, recentLimit: 9 })
    t.match([timeline, perKey], [[{ requests: 2, failures: 1 }], [{ requests: 2, failures: 1, key: { lastUsedAt: NOW } }]], `${recording.calls[place - 1]} ${what}`)
    t.equal(recentRequests.length, 2)
  }
}

const onServer: Ways = ({ patient, hasty }) => [
  { faults: { ...FAILURES, ...BREAKS }, app: patient, timeout: LONG, atATime: 4 },
  { faults: FAILURES, app: patient, timeout: LONG, inARow: 2, atATime: 4 },
  { faults: SILENT_BREAKS, app: hasty, timeout: SHORT, atATime: 8 }
]

t.test('on SQLite', async (t) => {
  const handle = new Database(':memory:')
  const broken = new Kysely<any>({ dialect: new SqliteDialect({ database: breakableSqlite(handle) }) })
  await statements(t, 'sqlite', broken, new Kysely<any>({ dialect: new SqliteDialect({ database: handle }) }), ({ patient }) => [
    { faults: FAILURES, app: patient, timeout: LONG },
    { faults: FAILURES, app: patient, timeout: LONG, inARow: 2 }
  ])
  t.notOk(handle.inTransaction)
})

t.test('a rollback that is given up each time is asked for until the database has ended the transaction by itself', async (t) => {
  const handle = new Database(':memory:')
  const db = new Kysely<any>({ dialect: new SqliteDialect({ database: breakableSqlite(handle) }) })
  const clock = standingClock(t)
  handle.exec('begin')
  const all = Array.from({ length: 1000 }, (_none, place) => place + 1)
  const waiting = new Attempt(all, () => {
    clock.time += 10
    throw new Error('It took too long.')
  })
  await waiting.run(async () => { await rollBack(db, clock.time + 100) })
  t.equal(waiting.calls.length, 10)
  const gone = new Attempt(all)
  await gone.run(async () => { await rollBack(db, Infinity) })
  t.equal(gone.calls.length, 3, 'where it fails at once each time, the connection is gone')
  t.ok(handle.inTransaction)
  await rollBack(db, Infinity)
  t.notOk(handle.inTransaction)
})

t.test('on Postgres', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t)
  const pool = breakPostgres(server.pool({ application_name: 'broken', max: 16 }))
  await statements(t, 'postgres', new Kysely<any>({ dialect: new PostgresDialect({ pool }) }), server.db(), onServer)
  t.same([pool.waitingCount, pool.totalCount - pool.idleCount], [0, 0], 'every connection was given back')
  const { rows } = await server.pool().query("select state from pg_stat_activity where application_name = 'broken' and state <> 'idle'")
  t.same(rows, [])

  await t.test('what the driver gives up while the server is at it is rolled back before anybody else has the connection', async (t) => {
    const clean = kyselyStorage({ db: server.db(), type: 'postgres' })
    await clean.open({ log: console, timeout: LONG })
    const key = await issue(clean, { isDefault: true })
    const storage = kyselyStorage({ db: server.db({ max: 1, query_timeout: 300 }), type: 'postgres' })
    await storage.open({ log: console, timeout: 1000 })
    const other = await server.pool().connect()
    await other.query('begin')
    await other.query('select 1 from self_serve_api_keys where public_id = $1 for update', [key.publicId])
    // The update of the old key waits, the driver gives it up, and gives up each rollback that stands behind it unsent.
    await t.rejects(storage.issueKey(issuing({ isDefault: true })), { message: 'Query read timeout' })
    const next = storage.issueKey(issuing({ accountId: OTHER_ACCOUNT }))
    await other.query('rollback')
    other.release()
    await Promise.allSettled([next])
    t.same(await keysOf(clean), [key], 'nothing of it was committed by the next')
    t.equal((await auditOf(clean)).length, 1)
  })
})

t.test('on MariaDB', leftOut(whyNoMysql()), async (t) => {
  const server = await startMysql(t)
  let pool!: MysqlPool
  const broken = server.db({ connectionLimit: 16 }, (made) => { breakMysql(pool = made) })
  await statements(t, 'mysql', broken, server.db(), onServer)
  const { _allConnections: all, _freeConnections: free } = pool as unknown as Record<string, { length: number }>
  t.equal(all!.length, free!.length, 'every connection was given back')
  const [rows] = await server.pool().promise().query('select * from information_schema.innodb_trx')
  t.same(rows, [])
})
