// Kysely storage on MySQL and MariaDB: the contract on a real server, the schema, migrations, the settings of hosts, and changes that meet.
import { readFileSync, writeFileSync } from 'node:fs'
import { sql, MysqlDialect, type Kysely } from 'kysely'
import type { PoolOptions } from 'mysql2'
import t, { type Test } from 'tap'
import { mysqlDatabase } from '../../lib/storage/kysely/databases/mysql.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { migrationSteps } from '../../lib/storage/kysely/migration-steps.js'
import { serverTransactions } from '../../lib/storage/kysely/server-transactions.js'
import { storageContract } from '../../lib/storage/storage-contract.js'
import type { Storage } from '../../lib/storage/storage.js'
import { deferred } from '../helpers/app.js'
import { ACCOUNT, auditOf, changed, event, failure, issue, issuing, keysOf, NOW, record, rotating } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { startMysql, whyNoMysql, type MysqlServer } from '../helpers/mysql.js'
import { usageAtOnce } from '../helpers/usage-at-once.js'

const HOUR = 3_600_000

// Half a minute on an idle machine.
t.setTimeout(240_000)

let names = 0
/** Tables of its own for each storage. */
const newPrefix = (): string => `x${++names}_`
const storageOn = (db: Kysely<any>, tablePrefix = newPrefix()): Storage => kyselyStorage({ db, type: 'mysql', migrate: 'start', tablePrefix })

const { skip } = leftOut(whyNoMysql())

/** What a host may have set for its own queries; every one of them changes what a driver gives or what a server takes. */
const DRIVER: PoolOptions = {
  supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, timezone: '+05:45', decimalNumbers: true, namedPlaceholders: true, flags: ['-FOUND_ROWS']
}

/** @param schema default: the connection's */
async function tablesOf (db: Kysely<any>, tablePrefix: string, schema: string | null = null): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select table_name as name from information_schema.tables where table_schema = coalesce(${schema}, database())`.execute(db)
  return rows.map(({ name }) => name).filter((name) => name.startsWith(tablePrefix)).sort()
}

/** What the server says of each table. */
async function schemaOf (db: Kysely<any>, tablePrefix: string): Promise<string> {
  const texts: string[] = []
  for (const table of await tablesOf(db, tablePrefix)) {
    const { rows } = await sql<{ 'Create Table': string }>`show create table ${sql.table(table)}`.execute(db)
    texts.push(`${rows[0]!['Create Table'].replace(/ AUTO_INCREMENT=\d+/, '')};\n`.replaceAll(tablePrefix, 'self_serve_'))
  }
  return texts.join('\n')
}

/** Makes an empty storage for each case of the contract: the tables are made once. */
async function emptied (db: Kysely<any>, schema?: string): Promise<() => Promise<Storage>> {
  const tablePrefix = newPrefix()
  const where = { db, type: 'mysql', tablePrefix, ...schema !== undefined && { schema } } as const
  const first = kyselyStorage({ ...where, migrate: 'start' })
  await first.open({ log: console, timeout: 10_000 })
  await first.close()
  const tables = (await tablesOf(db, tablePrefix, schema)).filter((name) => name !== `${tablePrefix}migrations`)
    .map((name) => sql.id(...schema === undefined ? [] : [schema], name))
  return async () => {
    await db.connection().execute(async (connection) => {
      await sql`set foreign_key_checks = 0`.execute(connection)
      for (const table of tables) await sql`delete from ${table}`.execute(connection)
      await sql`set foreign_key_checks = 1`.execute(connection)
    })
    return kyselyStorage(where)
  }
}

async function opened (t: Test, storage: Storage, timeout = 2000): Promise<Storage> {
  await storage.open({ log: console, timeout })
  t.teardown(async () => { await storage.close() })
  return storage
}

/** Kysely over a pool whose every connection begins with this statement. */
function dbAfter (server: MysqlServer, statement: string, options?: PoolOptions): Kysely<any> {
  return server.db(options, (pool) => { pool.on('connection', (connection) => { connection.query(statement) }) })
}

t.test('the steps that all databases have are the same, and each says whether it is additive', async (t) => {
  const outline = (type: 'mysql' | 'postgres' | 'sqlite'): unknown => migrationSteps(type).slice(0, 3).map(({ step, name, breaking }) => [step, name, breaking])
  for (const type of ['mysql', 'postgres'] as const) t.strictSame(outline(type), outline('sqlite'), type)
})

t.test('on a server that is not strict, quotes names by ANSI and lives in another time zone', { skip }, async (t) => {
  const server = await startMysql(t, { 'sql-mode': 'ANSI_QUOTES', 'default-time-zone': '+05:45' })

  t.test('the storage contract holds', async (t) => {
    for (const { name, run } of storageContract(await emptied(server.db()))) await t.test(name, run)
  })

  t.test('what the storage contract says of what is read and removed holds whatever the driver is set to, in another database than the connection\'s, which has none', async (t) => {
    const admin = server.db()
    const schema = 'Über "die" `{prefix}Keys`; --'
    await sql`create database ${sql.id(schema)}`.execute(admin)
    const before = await tablesOf(admin, '')
    const db = server.db({ ...DRIVER, database: '' })
    t.strictSame((await sql`select database() as value`.execute(db)).rows, [{ value: null }])
    const cases = storageContract(await emptied(db, schema)).filter(({ name }) => /byte for byte|usage|requests|page|prun|list|eras|site/.test(name))
    t.ok(cases.length > 30)
    for (const { name, run } of cases) await t.test(name, run)
    t.strictSame(await tablesOf(admin, ''), before)
  })

  t.test('changes that come at once hold where the server is serializable by default', async (t) => {
    const db = dbAfter(server, 'set session transaction isolation level serializable')
    t.strictSame((await sql`select @@tx_isolation as value`.execute(db)).rows, [{ value: 'SERIALIZABLE' }])
    for (const { name, run } of storageContract(await emptied(db)).filter(({ name }) => name.includes('at once'))) await t.test(name, run)
  })

  await schema(t, server)
  await settings(t, server)
  await races(t, server)
})

async function schema (t: Test, server: MysqlServer): Promise<void> {
  await t.test('the schema is the one in schema.mysql.txt', async (t) => {
    const db = dbAfter(server, 'set sql_mode = \'\'')
    const prefix = newPrefix()
    await opened(t, storageOn(db, prefix))
    const actual = `The schema after every migration step, written by \`npx tap --snapshot test/storage/mysql.test.ts\`.\n\n${await schemaOf(db, prefix)}`
    const dump = new URL('./schema.mysql.txt', import.meta.url)
    if (process.env.TAP_SNAPSHOT === '1') writeFileSync(dump, actual)
    t.equal(actual, readFileSync(dump, 'utf8'))
  })

  await t.test('twenty that start at once apply each step once, with the longest prefix too', async (t) => {
    const prefix = 'p'.repeat(31)
    const storages = Array.from({ length: 20 }, () => storageOn(server.db({ connectionLimit: 2 }), prefix))
    await Promise.all(storages.map(async (storage) => { await opened(t, storage, 20_000) }))
    await issue(storages[0]!)
    t.equal((await keysOf(storages[19]!)).length, 1)
    const [rows] = await server.pool().promise().query(`select step from ${prefix}migrations order by step`)
    t.strictSame((rows as Array<{ step: number }>).map(({ step }) => step), migrationSteps('mysql').map(({ step }) => step))
  })

  await t.test('a migration that was interrupted after any of its statements is completed by the next start', async (t) => {
    const db = server.db()
    const whole = newPrefix()
    await opened(t, storageOn(db, whole))
    const expected = await schemaOf(db, whole)
    const statements = migrationSteps('mysql').flatMap(({ sql }) => sql.split(/;\s*$/m))
    for (let done = 1; done <= statements.length; done++) {
      const prefix = newPrefix()
      for (const statement of statements.slice(0, done)) await sql.raw(statement.replaceAll('{prefix}', prefix)).execute(db)
      await opened(t, storageOn(db, prefix))
      t.equal(await schemaOf(db, prefix), expected, `after ${done}`)
    }
  })

  await t.test('a start that has to wait for another one\'s migration longer than its timeout rejects, and so does one whose step fails', async (t) => {
    const holder = await server.pool().promise().getConnection()
    await holder.query('select get_lock(\'fastify-self-serve-keys\', 0)')
    const prefix = newPrefix()
    const db = server.db()
    await t.rejects(storageOn(db, prefix).open({ log: console, timeout: 1050 }), { message: /Another instance is migrating|max_statement_time exceeded|could not be written in 1050 ms/ })
    t.strictSame(await tablesOf(db, prefix), [])
    await holder.query('select release_lock(\'fastify-self-serve-keys\')')
    holder.release()
    await sql.raw(`create view ${prefix}api_keys as select 1 as public_id`).execute(db)
    await t.rejects(storageOn(db, prefix).open({ log: console, timeout: 2000 }), { code: 'ER_CANT_CREATE_TABLE' })
    await sql.raw(`drop view ${prefix}api_keys`).execute(db)
    // The lock is free again, and what was made is gone on with.
    await issue(await opened(t, storageOn(db, prefix)))
  })

  await t.test('a user who may not change tables runs on those that are there, and is told what is missing where they are not', async (t) => {
    const prefix = newPrefix()
    const admin = server.pool().promise()
    await opened(t, storageOn(server.db(), prefix))
    await admin.query('create user runtime@\'127.0.0.1\'')
    await admin.query('grant select, insert, update, delete on test.* to runtime@\'127.0.0.1\'')
    const runtime = server.db({ user: 'runtime' })
    const storage = await opened(t, kyselyStorage({ db: runtime, type: 'mysql', tablePrefix: prefix }))
    const key = changed(await storage.issueKey(issuing())).key
    await record(storage, [event(key, NOW)])
    t.equal((await keysOf(storage)).length, 1)
    const elsewhere = newPrefix()
    await t.rejects(kyselyStorage({ db: runtime, type: 'mysql', tablePrefix: elsewhere }).open({ log: console, timeout: 1000 }), { code: 'SCHEMA_OUTDATED', message: /lacks migration step 1/ })
    await t.rejects(kyselyStorage({ db: runtime, type: 'mysql', tablePrefix: elsewhere, migrate: 'start' }).open({ log: console, timeout: 1000 }), { message: /CREATE command denied/ })
    t.strictSame(await tablesOf(server.db(), elsewhere), [])
  })

  await t.test('a schema is a database: one that is not there is named, and not made', async (t) => {
    const admin = server.db()
    await sql`create database elsewhere`.execute(admin)
    const open = async (migrate: 'start' | 'never', schema: string): Promise<void> => {
      const storage = kyselyStorage({ db: server.db(), type: 'mysql', schema, migrate, tablePrefix: 'x_' })
      await storage.open({ log: console, timeout: 2000 })
      await storage.close()
    }
    const databases = async (): Promise<unknown> => (await sql`show databases`.execute(admin)).rows
    const before = await databases()
    // It has the case that it was made in.
    for (const schema of ['its own', 'Elsewhere']) {
      await t.rejects(open('start', schema), { code: 'SCHEMA_OUTDATED', message: `The database has no schema "${schema}" that this role may use. Make it, or run ` })
      await t.rejects(open('never', schema), { code: 'SCHEMA_OUTDATED', message: /^The database lacks migration step 1 / })
    }
    t.strictSame(await databases(), before)
    await open('start', 'elsewhere')
    t.equal((await tablesOf(admin, 'x_', 'elsewhere')).length, 13)
    t.strictSame(await tablesOf(admin, 'x_'), [])
  })
}

async function settings (t: Test, server: MysqlServer): Promise<void> {
  await t.test('times are the same whatever time zone the server is in, and counters have 64 bits, whatever the driver makes of them', async (t) => {
    const drivers: PoolOptions[] = [
      {}, DRIVER, { supportBigNumbers: true }, { typeCast: false },
      { typeCast: (field, next) => field.type === 'LONGLONG' || field.type === 'NEWDECIMAL' ? BigInt(field.string() ?? 0) : next() }
    ]
    for (const driver of drivers) {
      const prefix = newPrefix()
      const storage = await opened(t, storageOn(server.db(driver), prefix))
      const expiresAt = 2 ** 45
      const key = await issue(storage, { expiresAt })
      await record(storage, [event(key, NOW)])
      await server.pool().promise().query(`update ${prefix}usage_hours set requests = 5000000000, failures = 4000000000`)
      const start = NOW - NOW % HOUR
      const { timeline, perKey, recentRequests } = await storage.readUsage({ accountId: ACCOUNT, start, end: start + HOUR, unit: 'hour', perKeyLimit: 1, recentLimit: 1 })
      t.strictSame(timeline, [{ start, requests: 5_000_000_000, failures: 4_000_000_000 }])
      t.match(perKey, [{ key: { publicId: key.publicId, expiresAt, createdAt: key.createdAt, lastUsedAt: NOW }, requests: 5_000_000_000 }])
      t.match(recentRequests, [{ time: NOW, publicId: key.publicId, route: '/v1/blocks/:height' }])
    }
  })

  await t.test('a connection that a text could not be trusted to is refused, and the message says why', async (t) => {
    const cases: Array<[Kysely<any>, RegExp]> = [
      [server.db({ charset: 'latin1' }), /^kyselyStorage: "db" must have the charset utf8mb4\.$/],
      [dbAfter(server, 'set names utf8mb3'), /charset utf8mb4/],
      [dbAfter(server, 'set character_set_results = latin1'), /charset utf8mb4/],
      [dbAfter(server, 'set autocommit = 0'), /^kyselyStorage: "db" must have autocommit on\.$/],
      [dbAfter(server, 'set sql_mode = \'NO_BACKSLASH_ESCAPES\''), /^kyselyStorage: "db" must not have NO_BACKSLASH_ESCAPES in its sql_mode\.$/]
    ]
    const prefix = newPrefix()
    for (const [db, message] of cases) await t.rejects(storageOn(db, prefix).open({ log: console, timeout: 2000 }), { code: 'INVALID_OPTION', message, details: { option: 'db' } })
    const ours = kyselyStorage({ dialect: new MysqlDialect({ pool: server.pool({ charset: 'latin1' }) }), type: 'mysql', migrate: 'start', tablePrefix: prefix })
    await t.rejects(ours.open({ log: console, timeout: 2000 }), { code: 'INVALID_OPTION', message: /^kyselyStorage: "dialect" must have/ })
    t.strictSame(await tablesOf(server.db(), prefix), [])
  })

  await t.test('a connection is left as it was found, whatever became of the change', async (t) => {
    const db = dbAfter(server, `set session innodb_lock_wait_timeout = 33, session max_statement_time = 44.5, session idle_transaction_timeout = 55,
      session sql_mode = 'PIPES_AS_CONCAT'`, { connectionLimit: 1 })
    const found = async (): Promise<unknown> => (await sql`select @@session.innodb_lock_wait_timeout as wait, @@session.max_statement_time as time,
      @@session.idle_transaction_timeout as idle, @@session.sql_mode as mode, @@session.tx_isolation as isolation, @@session.in_transaction as inside`.execute(db)).rows
    const before = await found()
    t.match(before, [{ wait: 33, idle: 55, mode: 'PIPES_AS_CONCAT', isolation: 'REPEATABLE-READ', inside: 0 }])
    const storage = await opened(t, storageOn(db))
    t.strictSame(await found(), before, 'after migrations')
    const { hash } = await issue(storage)
    t.strictSame(await found(), before, 'after a commit')
    await t.rejects(storage.issueKey(issuing({ hash })), { code: 'ER_DUP_ENTRY' })
    t.strictSame(await found(), before, 'after a rollback')
  })

  await t.test('routes and texts may be long: nothing is cut, and what differs at its end differs', async (t) => {
    const storage = await opened(t, storageOn(server.db()))
    const key = await issue(storage, { label: '🔑'.repeat(100), metadata: { note: 'ä'.repeat(2000) }, scopes: Array.from({ length: 2000 }, (_, index) => `resource-${index}:action`) })
    t.strictSame(await storage.findKey(key.publicId), key)
    const routes = ['a', 'b', 'a '].map((end) => `/${'x'.repeat(5000)}${end}`)
    for (let round = 0; round < 2; round++) await record(storage, routes.map((route) => failure(key, NOW, { route, requestId: 'r'.repeat(20_000) })))
    const { recentFailures } = await storage.readUsage({ accountId: ACCOUNT, start: NOW - NOW % HOUR, end: NOW - NOW % HOUR + HOUR, unit: 'hour', perKeyLimit: 9, recentLimit: 9 })
    t.strictSame(recentFailures.map(({ route }) => route), [...routes, ...routes].reverse())
    t.ok(recentFailures.every(({ requestId }) => requestId?.length === 20_000))
  })
}

async function races (t: Test, server: MysqlServer): Promise<void> {
  const admin = server.pool().promise()
  /** How many deadlocks the server has seen. */
  const deadlocks = async (): Promise<unknown> => ((await admin.query('show global status like \'Innodb_deadlocks\''))[0] as Array<{ Value: string }>)[0]!.Value

  await t.test('a transaction that lost a race is tried again, five times at most, and nothing of a lost one stays', async (t) => {
    const db = server.db()
    await sql`create table counted (number integer primary key, other integer) engine = innodb`.execute(db)
    const write = serverTransactions(db, 2000, mysqlDatabase.transactions!)
    const count = async (): Promise<number> => (await sql`select * from counted`.execute(db)).rows.length
    for (const [index, code] of ['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_DUP_ENTRY'].entries()) {
      let tries = 0
      const insert = async (connection: Kysely<any>): Promise<void> => { await sql`insert into counted values (${index}, 0)`.execute(connection) }
      const answer = await write(async (connection) => {
        await insert(connection)
        if (++tries < 3) throw Object.assign(new Error('lost'), { code })
        return tries
      })
      t.strictSame([answer, await count()], [3, index + 1], code)
      tries = 0
      await t.rejects(write(async () => {
        tries++
        throw Object.assign(new Error('taken for good'), { code })
      }), { code, message: 'taken for good' })
      t.strictSame([tries, await count()], [5, index + 1], code)
    }
    // And a real one: each has what the other wants.
    const before = await deadlocks()
    let arrived = 0
    let meet!: () => void
    const both = new Promise<void>((resolve) => { meet = resolve })
    const touch = async (first: number, second: number): Promise<void> => {
      await write(async (connection) => {
        await sql`update counted set other = other + 1 where number = ${first}`.execute(connection)
        if (++arrived === 2) meet()
        await both
        await sql`update counted set other = other + 1 where number = ${second}`.execute(connection)
      })
    }
    await Promise.all([touch(0, 1), touch(1, 0)])
    t.strictSame((await sql`select other from counted where number < 2`.execute(db)).rows, [{ other: 2 }, { other: 2 }])
    t.not(await deadlocks(), before)
  })

  await t.test('a lock that others hold longer than the timeout rejects in time, and nothing happens behind it', async (t) => {
    const prefix = newPrefix()
    await opened(t, storageOn(server.db(), prefix), 20_000)
    const storage = await opened(t, kyselyStorage({ db: server.db(), type: 'mysql', tablePrefix: prefix }), 500)
    const key = await issue(storage)
    const other = await server.pool().promise().getConnection()
    await other.query('begin')
    await other.query(`select 1 from ${prefix}accounts for update`)
    const before = await auditOf(storage)
    const began = performance.now()
    await t.rejects(storage.rotateKey(rotating(key)), { message: /max_statement_time exceeded/ })
    t.ok(performance.now() - began < 3000, 'which is not the server\'s 50 s')
    await other.query('rollback')
    other.release()
    t.strictSame([await keysOf(storage), await auditOf(storage)], [[key], before])
    t.equal(changed(await storage.rotateKey(rotating(key))).key.rotatedFrom, key.publicId)
  })

  await t.test('a process that falls silent in the middle of a change keeps the account locked a second longer than the timeout at most, and its change does not happen', async (t) => {
    const prefix = newPrefix()
    const storage = await opened(t, storageOn(server.db(), prefix), 10_000)
    const key = await issue(storage)
    const [locked, over] = [deferred(), deferred()]
    t.teardown(over.resolve)
    const hung = t.rejects(serverTransactions(server.db({ connectionLimit: 1 }), 300, mysqlDatabase.transactions!)(async (db) => {
      await sql`update ${sql.table(`${prefix}accounts`)} set next_sequence = 100`.execute(db)
      locked.resolve()
      await over.promise
    }), { message: /could not be written in 300 ms/ })
    await locked.promise
    const began = performance.now()
    const successor = changed(await storage.rotateKey(rotating(key))).key
    // The server counts in seconds.
    t.ok(performance.now() - began < 3000, 'which is not the 10 s that a lock is waited for')
    t.strictSame([successor.rotatedFrom, successor.sequence], [key.publicId, 2])
    over.resolve()
    await hung
  })

  await t.test('usage that four instances record at once adds up, a batch counts once whoever sends it again, and pruning beside it removes what is old in steps', async (t) => {
    const prefix = newPrefix()
    await usageAtOnce(t, async () => await opened(t, storageOn(server.db(), prefix), 10_000))
  })

  for (const isolation of ['repeatable read', 'read committed']) {
    const start = `set session transaction isolation level ${isolation}`

    await t.test(`${isolation}: 400 rotations of one account over two storages all succeed and leave one chain with one default key`, async (t) => {
      const prefix = newPrefix()
      const storages = [await opened(t, storageOn(dbAfter(server, start), prefix)), await opened(t, storageOn(dbAfter(server, start), prefix))]
      const before = await deadlocks()
      let left = 400
      await Promise.all(Array.from({ length: 16 }, async (_none, place) => {
        while (left-- > 0) changed(await storages[place % 2]!.issueKey(issuing({ isDefault: true })))
      }))
      const keys = await keysOf(storages[0]!)
      t.equal(keys.length, 400)
      t.equal(keys.filter(({ isDefault }) => isDefault).length, 1)
      t.strictSame(keys.map(({ rotatedFrom }) => rotatedFrom), [...keys.slice(1).map(({ publicId }) => publicId), null])
      t.strictSame((await auditOf(storages[0]!)).length, 400)
      t.equal(await deadlocks(), before)
    })

    await t.test(`${isolation}: first keys and rotations of 150 accounts at once, beside flushes, all succeed`, async (t) => {
      const prefix = newPrefix()
      const storages = [await opened(t, storageOn(dbAfter(server, start), prefix), 10_000), await opened(t, storageOn(dbAfter(server, start), prefix), 10_000)]
      const accounts = Array.from({ length: 150 }, (_, index) => `account_${index}`)
      await Promise.all(accounts.flatMap((accountId) => storages.map(async (storage) => {
        const { key } = changed(await storage.issueKey(issuing({ accountId, isDefault: true })))
        await record(storage, [event(key, NOW), event(key, NOW + 1, { route: `/${accountId}` })])
      })))
      await Promise.all(accounts.map(async (accountId) => {
        const keys = await keysOf(storages[0]!, accountId)
        t.strictSame(keys.map(({ isDefault, rotatedFrom, lastUsedAt }) => [isDefault, rotatedFrom, lastUsedAt]), [[true, keys[1]!.publicId, NOW + 1], [false, null, NOW + 1]])
        const { perKey } = await storages[1]!.readUsage({ accountId, start: NOW - NOW % HOUR, end: NOW - NOW % HOUR + HOUR, unit: 'hour', perKeyLimit: 9, recentLimit: 9 })
        t.strictSame(perKey.map(({ requests }) => requests), [2, 2])
      }))
    })
  }
}
