// Kysely storage on Postgres: the contract on a real server and on PGlite, the schema, migrations, and changes that meet.
import { readFileSync, writeFileSync } from 'node:fs'
import { sql, type Kysely } from 'kysely'
import t, { type Test } from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { postgresDatabase } from '../../lib/storage/kysely/databases/postgres.js'
import { migrationSteps } from '../../lib/storage/kysely/migration-steps.js'
import { serverTransactions } from '../../lib/storage/kysely/server-transactions.js'
import { storageContract } from '../../lib/storage/storage-contract.js'
import type { Storage } from '../../lib/storage/storage.js'
import { DAY, HOUR } from '../../lib/time.js'
import { deferred } from '../helpers/app.js'
import { ACCOUNT, auditOf, changed, event, failure, issue, issuing, keysOf, NOW, record, revoking, rotating } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { pglite, startPostgres, whyNoPostgres, type PostgresServer } from '../helpers/postgres.js'
import { usageAtOnce } from '../helpers/usage-at-once.js'

// Half a minute on an idle machine.
t.setTimeout(240_000)

let names = 0
/** Tables of its own for each storage. */
const newPrefix = (): string => `x${++names}_`
const storageOn = (db: Kysely<any>, tablePrefix = newPrefix()): Storage => kyselyStorage({ db, type: 'postgres', migrate: 'start', tablePrefix })

const { skip } = leftOut(whyNoPostgres())

/** Makes an empty storage for each case of the contract: the tables are made once. */
async function emptied (db: Kysely<any>): Promise<() => Promise<Storage>> {
  const tablePrefix = newPrefix()
  const first = storageOn(db, tablePrefix)
  await first.open({ log: console, timeout: 10_000 })
  await first.close()
  const tables = (await db.introspection.getTables()).map(({ name }) => name).filter((name) => name.startsWith(tablePrefix) && name !== `${tablePrefix}migrations`)
  return async () => {
    await sql`truncate ${sql.join(tables.map((name) => sql.table(name)))} restart identity`.execute(db)
    return kyselyStorage({ db, type: 'postgres', tablePrefix })
  }
}

async function opened (t: Test, storage: Storage, timeout = 2000): Promise<Storage> {
  await storage.open({ log: console, timeout })
  t.teardown(async () => { await storage.close() })
  return storage
}

t.test('the storage contract holds on PGlite', async (t) => {
  const { db } = await pglite(t)
  for (const { name, run } of storageContract(await emptied(db))) await t.test(name, run)
})

t.test('the schema is the one in schema.postgres.txt', async (t) => {
  const { db } = await pglite(t)
  await opened(t, storageOn(db, 'self_serve_'))
  const { rows: columns } = await sql<{ line: string }>`
    select table_name || '.' || column_name || ' ' || data_type || case when is_nullable = 'NO' then ' not null' else '' end
      || coalesce(' collate ' || collation_name, '') || case when is_identity = 'YES' then ' identity' else coalesce(' default ' || column_default, '') end as line
    from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position`.execute(db)
  const { rows: rest } = await sql<{ line: string }>`
    select indexdef as line from pg_indexes where schemaname = 'public'
    union all select 'function ' || pg_get_function_identity_arguments(oid) || ' ' || proname || ': ' || prosrc from pg_proc where pronamespace = 'public'::regnamespace
    union all select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace and contype in ('c', 'f')
    order by line`.execute(db)
  const actual = ['The schema after every migration step, written by `npx tap --snapshot test/storage/postgres.test.ts`.', '', ...[...columns, ...rest].map(({ line }) => line), ''].join('\n')
  const dump = new URL('./schema.postgres.txt', import.meta.url)
  if (process.env.TAP_SNAPSHOT === '1') writeFileSync(dump, actual)
  t.equal(actual, readFileSync(dump, 'utf8'))
})

t.test('keys that are asked for at once are found by one query, each as it is', async (t) => {
  const { db, lite } = await pglite(t)
  const storage = await opened(t, storageOn(db))
  const keys = []
  for (let place = 0; place < 5; place++) keys.push(changed(await storage.issueKey(issuing())).key)
  let queries = 0
  const query = lite.query.bind(lite)
  lite.query = async (text: string, ...more: any[]) => {
    if (text.includes('find_keys')) queries++
    return await query<any>(text, ...more)
  }
  const ask = async ({ hash, pepperId }: { hash: string, pepperId: string | null }) => await storage.findKeyByHash([{ hash, pepperId }, { hash: 'unknown', pepperId: null }])
  t.strictSame(await Promise.all(keys.map(ask)), keys.map((key) => ({ key, siteOrigins: [] })))
  t.equal(queries, 1)
  t.strictSame(await Promise.all([ask(keys[0]!), ask({ hash: 'nobody', pepperId: null }), ask({ ...keys[1]!, pepperId: 'another' })]), [{ key: keys[0], siteOrigins: [] }, null, null])
  t.equal(queries, 2)
  const revoked = changed(await storage.revokeKey(revoking(keys[0]!))).key
  t.strictSame(await ask(keys[0]!), { key: revoked, siteOrigins: [] })
  t.equal(queries, 3)
})

t.test('lists and snapshots seek the account\'s own rows, sort no events, and leave the driver no row to hold', async (t) => {
  const { db, lite } = await pglite(t)
  const storage = await opened(t, storageOn(db, 'self_serve_'))
  const [key, ended, other] = [await issue(storage), await issue(storage), await issue(storage, { accountId: 'user_b' })]
  await storage.revokeKey(revoking(ended))
  await record(storage, [event(key, NOW), failure(key, NOW), event(other, NOW)])
  // Thousands more: of others' keys, and of events of two accounts.
  const keys = (await db.introspection.getTables()).find(({ name }) => name === 'self_serve_api_keys')!.columns
  const copied = keys.map(({ name }) => name).filter((name) => name !== 'number')
  const values = copied.map((name) => name === 'account_number' ? 'number' : name === 'public_id' || name === 'key_hash' ? `${name} || number` : name)
  await lite.exec(`insert into self_serve_accounts (id, next_sequence) select 'other_' || i, 9 from generate_series(1, 3000) as i;
    insert into self_serve_api_keys (${copied.join()}) select ${values.join()} from self_serve_accounts
      cross join (select ${copied.join()} from self_serve_api_keys where public_id = '${other.publicId}') as template where id like 'other_%'`)
  await lite.exec(`insert into self_serve_usage_events (account_number, key_number, sequence, duration_us, hour, "offset", route_number, key_version, status)
    select account_number, key_number, sequence + i, 1, hour - i % 20, i, route_number, key_version, status from self_serve_usage_events, generate_series(1, 3000) as i; analyze`)

  const asked: Array<{ text: string, parameters: unknown[] | undefined, rows: unknown[] }> = []
  const query = lite.query.bind(lite)
  lite.query = async <T>(text: string, parameters?: unknown[]) => {
    const result = await query<T>(text, parameters)
    asked.push({ text, parameters, rows: result.rows })
    return result
  }
  const page = await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 100 })
  t.strictSame(page?.keys.map(({ publicId }) => publicId), [ended.publicId, key.publicId])
  const end = NOW - NOW % HOUR + HOUR
  const { recentRequests, recentFailures, perKey } = await storage.readUsage({ accountId: ACCOUNT, unit: 'hour', start: end - DAY, end, perKeyLimit: 9, recentLimit: 9 })
  t.strictSame([recentRequests.length, recentFailures.length, perKey.map(({ key: { publicId } }) => publicId)], [9, 9, [key.publicId]])
  t.equal(asked.length, 3)
  for (const { rows } of asked) t.strictSame(rows, [])

  const plans = await Promise.all(asked.map(async ({ text, parameters }) =>
    (await query<{ 'QUERY PLAN': string }>(`explain ${text}`, parameters)).rows.map((row) => row['QUERY PLAN']).join('\n')))
  for (const plan of plans) t.notMatch(plan, /Seq Scan on self_serve_(usage_events|api_keys)|to_prune/)
  const recent = plans.filter((plan) => plan.includes('self_serve_usage_failures'))
  t.equal(recent.length, 1)
  t.match(recent[0], 'Index Scan Backward using self_serve_usage_events_by_account')
  t.notMatch(recent[0], /Sort/)
})

t.test('what one key did is sought, whatever else its account and others did', async (t) => {
  const { db, lite } = await pglite(t)
  const storage = await opened(t, storageOn(db, 'self_serve_'))
  const [key, busy, other] = [await issue(storage), await issue(storage), await issue(storage, { accountId: 'user_b' })]
  await record(storage, [event(key, NOW), failure(key, NOW), event(busy, NOW), event(other, NOW)])
  await lite.exec(`insert into self_serve_usage_events (account_number, key_number, sequence, duration_us, hour, "offset", route_number, key_version, status)
    select account_number, key_number, sequence + i, 1, hour - i % 20, i, route_number, key_version, status from self_serve_usage_events, generate_series(1, 3000) as i;
    insert into self_serve_usage_hours select hour - 24 - i, account_number, key_number, requests, failures from self_serve_usage_hours, generate_series(1, 3000) as i; analyze`)
  const asked: Array<{ text: string, parameters: unknown[] | undefined }> = []
  const query = lite.query.bind(lite)
  lite.query = async <T>(text: string, parameters?: unknown[]) => {
    asked.push({ text, parameters })
    return await query<T>(text, parameters)
  }
  const end = NOW - NOW % HOUR + HOUR
  t.match(await storage.readKeyUsage({ accountId: ACCOUNT, publicId: key.publicId, start: end - DAY, end }), { requests: 2, failures: 1, lastRequest: { time: NOW, status: 429 } })
  const [hours, , last, ...more] = await Promise.all(asked.map(async ({ text, parameters }) =>
    (await query<{ 'QUERY PLAN': string }>(`explain ${text}`, parameters)).rows.map((row) => row['QUERY PLAN']).join('\n')))
  t.strictSame(more, [])
  t.match(hours, /Index Scan using self_serve_usage_hours_pkey[^]*Index Cond: \(\(hour = ANY .+account_number = .+key_number = /)
  t.match(last, /self_serve_usage_events_by_account[^]*Index Cond: \(\(account_number = .+hour = .+offset" = /)
})

t.test('a transaction that lost a race is tried again, five times at most, and nothing of a lost one stays', async (t) => {
  const { db } = await pglite(t)
  await sql`create table counted (number integer)`.execute(db)
  const write = serverTransactions(db, 2000, postgresDatabase.transactions!)
  const count = async (): Promise<number> => (await sql`select * from counted`.execute(db)).rows.length
  for (const code of ['40001', '40P01', '23505']) {
    const before = await count()
    let tries = 0
    const answer = await write(async (connection) => {
      await sql`insert into counted values (1)`.execute(connection)
      if (++tries < 3) throw Object.assign(new Error('lost'), { code })
      return tries
    })
    t.strictSame([answer, await count()], [3, before + 1], code)
    tries = 0
    await t.rejects(write(async (connection) => {
      tries++
      await sql`insert into counted values (1)`.execute(connection)
      throw Object.assign(new Error('taken for good'), { code })
    }), { code, message: 'taken for good' })
    t.strictSame([tries, await count()], [5, before + 1], code)
  }
  let tries = 0
  await t.rejects(write(async () => { tries++; throw new Error('another error') }), { message: 'another error' })
  t.equal(tries, 1, 'what is no lost race is not tried again')
})

t.test('work that comes late is not committed', async (t) => {
  const { db } = await pglite(t)
  await sql`create table counted (number integer)`.execute(db)
  const write = serverTransactions(db, 30, postgresDatabase.transactions!)
  const late = /could not be written in 30 ms/
  await t.rejects(write(async (connection) => {
    await sql`insert into counted values (1)`.execute(connection)
    const until = performance.now() + 40
    while (performance.now() < until);
  }), { message: late })
  t.equal((await sql`select * from counted`.execute(db)).rows.length, 0)
  // One that had to wait for a connection until it was too late does not begin.
  let began = false
  const held = db.connection().execute(async () => {
    await t.rejects(Promise.race([write(async () => { began = true }), new Promise((_resolve, reject) => setTimeout(reject, 60, new Error('still waiting')))]), { message: 'still waiting' })
  })
  await held
  await sql`select 1`.execute(db)
  t.notOk(began)
})

t.test('on a server', { skip }, async (t) => {
  const server = await startPostgres(t)

  t.test('the storage contract holds', async (t) => {
    const db = server.db()
    for (const { name, run } of storageContract(await emptied(db))) await t.test(name, run)
  })

  t.test('changes that come at once hold, whatever isolation the server has by default', async (t) => {
    for (const isolation of ['repeatable read', 'serializable']) {
      const db = server.db({ options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}` })
      t.equal((await sql<{ value: string }>`select current_setting('transaction_isolation') as value`.execute(db)).rows[0]!.value, isolation)
      for (const { name, run } of storageContract(await emptied(db)).filter(({ name }) => name.includes('at once'))) await t.test(`${isolation}: ${name}`, run)
    }
  })

  t.test('twenty that start at once apply each step once', async (t) => {
    const prefix = newPrefix()
    const storages = Array.from({ length: 20 }, () => storageOn(server.db({ max: 2 }), prefix))
    await Promise.all(storages.map(async (storage) => { await opened(t, storage, 20_000) }))
    await issue(storages[0]!)
    t.equal((await keysOf(storages[19]!)).length, 1)
    const { rows } = await server.pool().query(`select step from ${prefix}migrations order by step`)
    t.strictSame(rows.map(({ step }) => step), migrationSteps('postgres').map(({ step }) => step))
  })

  t.test('a role that may not change tables runs on those that are there, and is told what is missing where they are not', async (t) => {
    const prefix = newPrefix()
    const admin = server.pool()
    await admin.query('create role runtime login')
    await opened(t, storageOn(server.db(), prefix))
    await admin.query('grant select, insert, update, delete on all tables in schema public to runtime')
    const runtime = server.db({ user: 'runtime' })
    const storage = await opened(t, kyselyStorage({ db: runtime, type: 'postgres', tablePrefix: prefix }))
    const key = changed(await storage.issueKey(issuing())).key
    await record(storage, [event(key, NOW)])
    t.equal((await keysOf(storage)).length, 1)
    const elsewhere = newPrefix()
    await t.rejects(kyselyStorage({ db: runtime, type: 'postgres', tablePrefix: elsewhere }).open({ log: console, timeout: 1000 }), { code: 'SCHEMA_OUTDATED', message: /lacks migration step 1/ })
    await t.rejects(kyselyStorage({ db: runtime, type: 'postgres', tablePrefix: elsewhere, migrate: 'start' }).open({ log: console, timeout: 1000 }), { message: /permission denied/ })
  })

  t.test('a lock that others hold longer than the timeout rejects in time, and nothing happens behind it', async (t) => {
    const prefix = newPrefix()
    await opened(t, storageOn(server.db(), prefix), 20_000)
    const storage = await opened(t, kyselyStorage({ db: server.db(), type: 'postgres', tablePrefix: prefix }), 300)
    const key = await issue(storage)
    const other = await server.pool().connect()
    await other.query('begin')
    await other.query(`select 1 from ${prefix}accounts for update`)
    const before = await auditOf(storage)
    const began = performance.now()
    await t.rejects(storage.rotateKey(rotating(key)), { code: '57014' })
    t.ok(performance.now() - began < 1000)
    await other.query('rollback')
    other.release()
    t.strictSame([await keysOf(storage), await auditOf(storage)], [[key], before])
    t.equal(changed(await storage.rotateKey(rotating(key))).key.rotatedFrom, key.publicId)
  })

  t.test('a process that falls silent in the middle of a change keeps the account locked no longer than the timeout, and its change does not happen', async (t) => {
    const prefix = newPrefix()
    const storage = await opened(t, storageOn(server.db(), prefix))
    const key = await issue(storage)
    const [locked, over] = [deferred(), deferred()]
    t.teardown(over.resolve)
    const hung = t.rejects(serverTransactions(server.db({ max: 1 }), 300, postgresDatabase.transactions!)(async (db) => {
      await sql`update ${sql.table(`${prefix}accounts`)} set next_sequence = 100`.execute(db)
      locked.resolve()
      await over.promise
    }), { message: /could not be written in 300 ms/ })
    await locked.promise
    const successor = changed(await storage.rotateKey(rotating(key))).key
    t.strictSame([successor.rotatedFrom, successor.sequence], [key.publicId, 2])
    over.resolve()
    await hung
  })

  t.test('times are the same whatever time zone the server is in, and counters have 64 bits', async (t) => {
    const prefix = newPrefix()
    const storage = await opened(t, storageOn(server.db({ options: '-c timezone=Asia/Kathmandu' }), prefix))
    const expiresAt = 2 ** 45
    const key = await issue(storage, { expiresAt })
    await record(storage, [event(key, NOW)])
    await server.pool().query(`update ${prefix}usage_hours set requests = 5000000000, failures = 4000000000`)
    const { timeline, perKey } = await storage.readUsage({ accountId: ACCOUNT, start: NOW - NOW % 3_600_000, end: NOW - NOW % 3_600_000 + 3_600_000, unit: 'hour', perKeyLimit: 1, recentLimit: 1 })
    t.match([timeline[0], perKey[0]], [{ requests: 5_000_000_000, failures: 4_000_000_000 }, { key: { expiresAt, createdAt: key.createdAt, lastUsedAt: NOW }, requests: 5_000_000_000 }])
  })

  t.test('usage that four instances record at once adds up, a batch counts once whoever sends it again, and pruning beside it removes what is old in steps', async (t) => {
    const prefix = newPrefix()
    await usageAtOnce(t, async () => await opened(t, storageOn(server.db(), prefix), 10_000))
  })

  await rotations(t, server)
})

/** Rotations of one account through many connections. */
async function rotations (t: Test, server: PostgresServer): Promise<void> {
  await t.test('400 rotations of one account over two storages all succeed and leave one chain with one default key', async (t) => {
    const prefix = newPrefix()
    const storages = [await opened(t, storageOn(server.db(), prefix)), await opened(t, storageOn(server.db(), prefix))]
    let left = 400
    await Promise.all(Array.from({ length: 16 }, async (_none, place) => {
      while (left-- > 0) changed(await storages[place % 2]!.issueKey(issuing({ isDefault: true })))
    }))
    const keys = await keysOf(storages[0]!)
    t.equal(keys.length, 400)
    t.equal(keys.filter(({ isDefault }) => isDefault).length, 1)
    t.strictSame(keys.map(({ rotatedFrom }) => rotatedFrom), [...keys.slice(1).map(({ publicId }) => publicId), null])
    t.strictSame((await auditOf(storages[0]!)).length, 400)
  })
}

t.test('a storage on a server says so, for what counts by instance', async (t) => {
  const { db } = await pglite(t)
  t.equal(storageOn(db).server, true)
  t.equal(kyselyStorage({ file: ':memory:' }).server, false)
})
