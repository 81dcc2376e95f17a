// What kysely storage promises beyond the storage contract: its schema, its locks, its connections, its options.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Database, { type Database as Handle } from 'better-sqlite3'
import { Kysely, sql, SqliteDialect, type CompiledQuery } from 'kysely'
import t, { type Test } from 'tap'
import { statusOf, STATUSES, type FoundKey, type StoredKey } from '../../lib/keys/api-key.js'
import { sqliteDatabase } from '../../lib/storage/kysely/databases/sqlite.js'
import { kyselyStorage, type KyselyStorageOptions } from '../../lib/storage/kysely/index.js'
import { applySteps } from '../../lib/storage/kysely/migrate.js'
import { migrationSteps, type MigrationStep } from '../../lib/storage/kysely/migration-steps.js'
import { openSqliteFile } from '../../lib/storage/kysely/sqlite.js'
import { TableNamesPlugin } from '../../lib/storage/kysely/table-names.js'
import type { Tables } from '../../lib/storage/kysely/tables.js'
import { writeQueue } from '../../lib/storage/kysely/write-queue.js'
import type { Storage } from '../../lib/storage/storage.js'
import { DAY, HOUR, MINUTE } from '../../lib/time.js'
import {
  ACCOUNT, adding, auditOf, changed, event, failure, importing, issue, issuing, keysOf, newEntry, newKey, NOW, record, removing, renewing, revoke, revoking,
  revokingAll, rotating, stateOf, updating, verdict
} from '../helpers/keys.js'

let files = 0
const folder = t.testdir()
const newFile = (): string => join(folder, `${++files}.db`)

/** An open storage, closed when the test ends. */
async function opened (t: Test, options: KyselyStorageOptions, timeout = 5000): Promise<Storage> {
  const storage = kyselyStorage(options)
  await storage.open({ log: console, timeout })
  t.teardown(async () => { await storage.close() })
  return storage
}

/** Another connection to the file, as another process would have. */
function handleOn (t: Test, file: string): Handle {
  const handle = new Database(file, { timeout: 0 })
  t.teardown(() => handle.close())
  return handle
}

/** A storage on a host's Kysely instance, the host's handle, and every query that was run. */
async function onHostDatabase (t: Test, afterQuery = (_query: CompiledQuery): void => {}): Promise<{
  storage: Storage, handle: Handle, db: Kysely<Tables>, queries: CompiledQuery[]
}> {
  const handle = handleOn(t, ':memory:')
  const queries: CompiledQuery[] = []
  const db = new Kysely<Tables>({
    dialect: new SqliteDialect({ database: handle }),
    log ({ query }) {
      queries.push(query)
      afterQuery(query)
    }
  })
  return { storage: await opened(t, { db, type: 'sqlite', migrate: 'start' }), handle, db, queries }
}

/** Known again by its idempotency key. */
const REQUEST = { hash: 'a', requestHash: 'b' }

/** Every change of the account's keys, sites and log, all begun at once. */
function changesOf (storage: Storage, key: StoredKey): Array<Promise<unknown>> {
  return [
    storage.issueKey(issuing({ isDefault: true }, { idempotency: REQUEST })), storage.rotateKey(rotating(key, { overlap: DAY })), storage.renewKey(renewing(key, { expiresAt: NOW + DAY })),
    storage.updateKey(updating(key, { label: 'New' }, { enabled: false })), storage.revokeKey(revoking(key)), storage.revokeKeys(revokingAll()),
    storage.importKey(importing()), storage.addSite(adding('https://b.example')), storage.recordAudit(ACCOUNT, newEntry())
  ]
}

function child (script: string, ...args: string[]): ChildProcess & { stdout: NodeJS.ReadableStream, stdin: NodeJS.WritableStream } {
  const path = fileURLToPath(new URL(script, import.meta.url))
  return spawn(process.execPath, [...process.execArgv, path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
}

t.test('options', async (t) => {
  const dialect = new SqliteDialect({ database: async () => { throw new Error('opened') } })
  const db = new Kysely<unknown>({ dialect })
  const cases: Array<[object, string, RegExp]> = [
    [{}, 'file', /must be given alone/],
    [{ file: 'a.db', db, type: 'sqlite' }, 'file', /must be given alone/],
    [{ dialect, db, type: 'sqlite' }, 'dialect', /must be given alone/],
    // Else it would count as given when it comes to closing.
    [{ db, dialect: undefined, type: 'sqlite' }, 'dialect', /must be given alone/],
    [{ file: undefined }, 'file', /must be a path/],
    [{ file: '' }, 'file', /must be a path/],
    [{ file: 5 }, 'file', /must be a path/],
    [{ file: 'a\0.db' }, 'file', /must be a path/],
    [{ db: dialect, type: 'sqlite' }, 'db', /must be an object with selectFrom/],
    [{ dialect: db, type: 'sqlite' }, 'dialect', /must be an object with createDriver/],
    [{ db: undefined, type: 'sqlite' }, 'db', /must be an object with selectFrom\(\), transaction\(\), withoutPlugins\(\)/],
    [{ dialect: null, type: 'sqlite' }, 'dialect', /must be an object with createDriver\(\), createQueryCompiler\(\)/],
    [{ file: 'a.db', type: 'sqlite' }, 'type', /must be 'sqlite', 'postgres' or 'mysql' beside dialect or db, and is not given beside file/],
    [{ db }, 'type', /must be 'sqlite', 'postgres' or 'mysql' beside/],
    [{ dialect, type: 'oracle' }, 'type', /must be 'sqlite', 'postgres' or 'mysql' beside/],
    [{ file: 'a.db', migrate: true }, 'migrate', /must be 'start' or 'never'/],
    [{ file: 'a.db', tablePrefix: 'Keys_' }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', tablePrefix: '' }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', tablePrefix: 'a'.repeat(32) }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', tablePrefix: 'x"; drop table y; --' }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', tablePrefix: 5 }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', tablePrefix: null }, 'tablePrefix', /lower-case letters/],
    [{ file: 'a.db', schema: 'keys' }, 'schema', /is for database servers: a SQLite file has none/],
    [{ db, type: 'sqlite', schema: 'main' }, 'schema', /is for database servers: a SQLite file has none/],
    ...['', 'a'.repeat(64), 'ü'.repeat(32), 'a\0b', 'a\nb', '\ud800', 5, null].map((schema): [object, string, RegExp] =>
      [{ db, type: 'postgres', schema }, 'schema', /must be a name of 1 to 63 bytes without control characters/]),
    [{ file: 'a.db', prefix: 'x_' }, 'prefix', /is not an option/]
  ]
  for (const [options, option, message] of cases) {
    t.throws(() => kyselyStorage(options as KyselyStorageOptions),
      { code: 'INVALID_OPTION', message, details: { option } }, JSON.stringify(options))
  }
  for (const options of [undefined, { file: 'a.db', tablePrefix: 'a'.repeat(31) }, { file: 'a.db', migrate: 'never' as const }, { db, type: 'postgres' as const, schema: `${'ü'.repeat(31)}"` }]) {
    t.doesNotThrow(() => kyselyStorage(options))
  }
  t.notOk(existsSync('a.db') || existsSync('self-serve-keys.db'), 'nothing is made before open()')
})

t.test('a storage that is not open says so', async (t) => {
  const storage = kyselyStorage({ file: newFile() })
  t.throws(() => storage.findKeyByHash([]), /not open/)
  await t.rejects(storage.issueKey(issuing()), /not open/)
  await storage.close()
  await storage.open({ log: console, timeout: 1000 })
  await storage.close()
  await t.rejects(storage.findKey('key_1'), /not open/)
})

t.test('every migration step is numbered without a gap and says whether it is additive or breaking', async (t) => {
  const steps = migrationSteps('sqlite')
  t.strictSame(steps.map(({ step }) => step), steps.map((_, index) => index + 1))
  for (const step of steps) {
    t.match(step.sql, step.breaking ? /^-- breaking: \S/ : /^-- additive: \S/, step.name)
    t.match(step.name, /^[a-z0-9-]+$/)
  }
})

t.test('the schema is the one in schema.sqlite.sql', async (t) => {
  const { handle } = await onHostDatabase(t)
  const rows = handle.prepare('select sql from sqlite_schema where sql is not null and name not like \'sqlite_%\' order by rowid').all()
  const actual = ['-- The schema after every migration step, written by `npx tap --snapshot test/storage/kysely.test.ts`.\n',
    ...(rows as Array<{ sql: string }>).map(({ sql }) => `${sql};\n`)].join('\n')
  const dump = new URL('./schema.sqlite.sql', import.meta.url)
  if (process.env.TAP_SNAPSHOT === '1') writeFileSync(dump, actual)
  t.equal(actual, readFileSync(dump, 'utf8'))
})

t.test('without migrate \'start\' a missing schema rejects and names the step, and nothing is made', async (t) => {
  const file = newFile()
  const message = /lacks migration step 1 \(keys-and-usage\).*migrate: 'start'/
  const open = async (options: KyselyStorageOptions): Promise<void> =>
    await kyselyStorage(options).open({ log: console, timeout: 1000 })
  await t.rejects(open({ file, migrate: 'never' }), { code: 'SCHEMA_OUTDATED', message })
  const handle = handleOn(t, file)
  const tables = (): unknown[] => handle.prepare('select name from sqlite_schema').all()
  t.strictSame(tables(), [])
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: handle }) })
  await t.rejects(open({ db, type: 'sqlite' }), { code: 'SCHEMA_OUTDATED', message })
  t.strictSame(tables(), [])
  t.ok(handle.open, 'a host\'s db stays open even then')
  const ours = new Database(file)
  await t.rejects(open({ dialect: new SqliteDialect({ database: ours }), type: 'sqlite' }), { code: 'SCHEMA_OUTDATED' })
  t.notOk(ours.open, 'a dialect is closed')

  await (await opened(t, { file })).close()
  handle.exec('delete from self_serve_migrations')
  await t.rejects(open({ file, migrate: 'never' }), { code: 'SCHEMA_OUTDATED', message })
})

t.test('a schema with a later breaking step is refused, one with a later additive step is used', async (t) => {
  const file = newFile()
  const first = await opened(t, { file })
  const key = await issue(first)
  await first.close()
  const handle = handleOn(t, file)
  const last = migrationSteps('sqlite').length
  handle.exec(`insert into self_serve_migrations values (${last + 1}, 'more', 0, 0)`)
  handle.exec('alter table self_serve_api_keys add column later text')
  for (const migrate of ['start', 'never'] as const) {
    const storage = await opened(t, { file, migrate })
    t.strictSame(await storage.findKey(key.publicId), key)
    t.equal((await issue(storage)).ref.account, key.ref.account)
    await storage.close()
  }
  handle.exec(`insert into self_serve_migrations values (${last + 2}, 'new-ways', 1, 0)`)
  for (const migrate of ['start', 'never'] as const) {
    await t.rejects(kyselyStorage({ file, migrate }).open({ log: console, timeout: 1000 }),
      { code: 'SCHEMA_OUTDATED', message: `The database has migration step ${last + 2} (new-ways), which this version does not know.` })
  }
})

t.test('a restart keeps what was stored and applies no step twice; the folder is made if missing', async (t) => {
  const file = join(folder, 'made', 'if', 'missing', 'keys.db')
  const first = await opened(t, { file })
  const key = await issue(first, { isDefault: true })
  await record(first, [event(key, NOW)])
  await first.close()
  const handle = handleOn(t, file)
  const steps = (): unknown[] => handle.prepare('select * from self_serve_migrations').all()
  const before = steps()
  const second = await opened(t, { file })
  t.strictSame(await keysOf(second), [{ ...key, lastUsedAt: NOW }])
  t.strictSame(steps(), before)
})

t.test('twenty storages opened at once on a new file, in this process and in four others, work side by side', async (t) => {
  const file = newFile()
  const children = Array.from({ length: 4 }, () => child('open-and-issue.ts', file))
  await Promise.all(children.map(async ({ stdout }) => { await once(stdout, 'data') }))
  for (const { stdin } of children) stdin.write('go')
  const [outcomes, codes] = await Promise.all([
    Promise.all(children.map(async ({ stdout }) => await text(stdout))),
    Promise.all(children.map(async (process) => (await once(process, 'exit'))[0])),
    Promise.all(Array.from({ length: 20 }, async () => await issue(await opened(t, { file }, 30_000), { isDefault: true })))
  ])
  t.strictSame(codes, [0, 0, 0, 0])
  const keys = await keysOf(await opened(t, { file }))
  t.equal(keys.length, 40)
  t.strictSame(keys.map(({ sequence }) => sequence), keys.map((_, index) => 40 - index))
  t.strictSame(keys.map(({ isDefault }) => isDefault), keys.map((_, index) => index === 0))
  t.strictSame(keys.map(({ rotatedFrom }) => rotatedFrom), [...keys.slice(1).map(({ publicId }) => publicId), null])
  t.ok(outcomes.join(' ').split(' ').filter((outcome) => outcome === 'api_key.issued').length <= 1)
  t.strictSame((await auditOf(await opened(t, { file }))).map(({ id }) => id), keys.map(({ sequence }) => sequence))
  t.equal(handleOn(t, file).prepare('select * from self_serve_migrations').all().length, migrationSteps('sqlite').length)
})

t.test('steps are applied in order, each once, and all of them or none', async (t) => {
  const { writer, close } = await openSqliteFile(newFile(), 1000)
  t.teardown(close)
  const names = { prefix: 'x_', schema: null }
  const db = writer.withPlugin(new TableNamesPlugin(names))
  const steps = [
    { step: 1, name: 'things', breaking: true, sql: '-- breaking: it is\ncreate table {prefix}things (a text);\n\n' },
    { step: 2, name: 'more', breaking: false, sql: '-- additive: it is\n-- half;way\nalter table {prefix}things add column b text' }
  ]
  const apply = async (all: MigrationStep[]): Promise<void> =>
    await writeQueue(db, 1000)(async (db) => { await applySteps({ db, database: sqliteDatabase }, all, names, NOW) })
  const broken = { step: 3, name: 'broken', breaking: false, sql: 'create table {prefix}others (a text);\nthis is no SQL' }
  await t.rejects(apply([...steps, broken]), /syntax error/)
  t.strictSame((await sql`select name from sqlite_schema`.execute(db)).rows, [])

  await apply(steps.slice(0, 1))
  await apply(steps)
  await apply(steps)
  t.strictSame(await db.selectFrom('migrations').selectAll().execute(), [
    { step: 1, name: 'things', breaking: 1, applied_at: NOW }, { step: 2, name: 'more', breaking: 0, applied_at: NOW }
  ])
  t.strictSame((await sql`select name from pragma_table_info('x_things')`.execute(db)).rows, [{ name: 'a' }, { name: 'b' }])
})

t.test('a database of the first step is brought to the last with all that it holds, and the step before goes on working on it', async (t) => {
  const fullFile = newFile()
  const full = await opened(t, { file: fullFile })
  const key = await issue(full, { isDefault: true, creatorId: 'person_1', metadata: { plan: 'gold' } })
  const { key: successor } = changed(await full.rotateKey(rotating(key, { overlap: DAY })))
  const disabled = changed(await full.updateKey(updating(await issue(full), { label: 'New' }, { enabled: false }))).key
  const theirs = await issue(full, { accountId: 'user_c' })
  await record(full, [event(key, NOW), failure(disabled, NOW - HOUR), event(theirs, NOW - DAY)])
  const held = async (storage: Storage): Promise<unknown> => [await keysOf(storage), await keysOf(storage, 'user_c'), await storage.readUsage(
    { accountId: ACCOUNT, unit: 'day', start: NOW - NOW % DAY, end: NOW - NOW % DAY + DAY, perKeyLimit: 9, recentLimit: 9 })]
  const before = await held(full)

  const file = newFile()
  const { writer, close } = await openSqliteFile(file, 1000)
  const tables = { prefix: 'self_serve_', schema: null }
  await applySteps({ db: writer.withPlugin(new TableNamesPlugin(tables)), database: sqliteDatabase }, migrationSteps('sqlite').slice(0, 1), tables, NOW)
  await close()
  const handle = handleOn(t, file)
  const names = (query: string): string[] => handle.prepare(query).pluck().all() as string[]
  handle.pragma('foreign_keys = off')
  handle.prepare('attach ? as full').run(fullFile)
  for (const table of names('select name from main.sqlite_schema where type = \'table\' and name <> \'self_serve_migrations\'')) {
    const columns = names(`select name from pragma_table_info('${table}')`).join(', ')
    handle.exec(`delete from main.${table}; insert into main.${table} (${columns}) select ${columns} from full.${table}`)
  }

  await t.rejects(kyselyStorage({ file, migrate: 'never' }).open({ log: console, timeout: 1000 }),
    { code: 'SCHEMA_OUTDATED', message: /lacks migration step 2 \(sites-and-audit\)/ })
  const storage = await opened(t, { file })
  t.strictSame(await held(storage), before)
  t.strictSame([await auditOf(storage), await storage.listSites(ACCOUNT, 9)], [[], []])
  t.strictSame(names('select step from self_serve_migrations'), migrationSteps('sqlite').map(({ step }) => step))
  const schema = 'sqlite_schema where sql is not null and name not like \'sqlite_%\' order by name'
  t.strictSame(names(`select sql from main.${schema}`), names(`select sql from full.${schema}`), 'the schema is that of a new database')
  // What was there goes on: the chain, the numbers, the log from its first entry.
  const next = changed(await storage.rotateKey(rotating(successor)))
  t.strictSame([next.updated.length, next.key.sequence, next.entries[0]!.entry.id], [2, disabled.sequence + 1, 1])
  t.ok(next.key.ref.key > theirs.ref.key)
  // As a version that knows the first step alone makes an account.
  handle.exec('insert into self_serve_accounts (id, next_sequence) values (\'user_d\', 1)')
  const theirFirst = issuing({ accountId: 'user_d' }, { idempotency: REQUEST })
  t.equal(changed(await storage.issueKey(theirFirst)).entries[0]!.entry.id, 1)
  // As a version that knows the second step alone erases an account.
  handle.pragma('foreign_keys = on')
  const [account] = handle.prepare('select number from self_serve_accounts where id = \'user_d\'').pluck().all() as number[]
  handle.exec(`delete from self_serve_api_key_versions where key_number in (select number from self_serve_api_keys where account_number = ${account})`)
  for (const [table, column] of [['api_keys', 'account_number'], ['audit_entries', 'account_number'], ['accounts', 'number']]) {
    handle.exec(`delete from self_serve_${table} where ${column} = ${account}`)
  }
  t.equal(verdict(await storage.issueKey(theirFirst)), 'api_key.issued', 'what it left behind is nobody\'s')
})

t.test('two prefixes in one database know nothing of each other', async (t) => {
  const file = newFile()
  const [a, b] = [await opened(t, { file, tablePrefix: 'a_' }), await opened(t, { file, tablePrefix: 'b_' })]
  const key = await issue(a, { isDefault: true })
  t.equal(await b.findKey(key.publicId), null)
  t.equal(verdict(await b.issueKey(issuing(key, { maxKeys: 1 }))), 'api_key.issued')
})

t.test('a host\'s db is left open by close(), a dialect is closed', async (t) => {
  const { storage, db, handle } = await onHostDatabase(t)
  await storage.close()
  t.ok(handle.open)
  t.strictSame((await sql`select 1 as one`.execute(db)).rows, [{ one: 1 }])

  const ours = new Database(':memory:')
  await (await opened(t, { dialect: new SqliteDialect({ database: ours }), type: 'sqlite', migrate: 'start' })).close()
  t.notOk(ours.open)
})

t.test('a commit is on the disk when it is answered, and the verifying connection cannot write', async (t) => {
  const { writer, reader, close, all } = await openSqliteFile(newFile(), 1000)
  t.teardown(close)
  for (const [pragma, value] of [['journal_mode', 'wal'], ['synchronous', 2], ['foreign_keys', 1], ['busy_timeout', 0]] as const) {
    const { rows } = await sql`${sql.raw(`pragma ${pragma}`)}`.execute(writer)
    t.strictSame(Object.values(rows[0]!), [value], pragma)
  }
  await sql`create table things (name text)`.execute(writer)
  await t.rejects(sql`insert into things values ('a')`.execute(reader), { code: 'SQLITE_READONLY' })
  t.throws(() => all(sql`delete from things returning *`.compile(reader) as CompiledQuery), { code: 'SQLITE_READONLY' })
})

t.test('a new file and those beside it are their owner\'s alone, one that is there keeps its mode', async (t) => {
  const mode = (file: string): number => statSync(file).mode & 0o777
  const made = newFile()
  await issue(await opened(t, { file: made }))
  t.same([made, `${made}-wal`, `${made}-shm`].map(mode), [0o600, 0o600, 0o600])

  const there = newFile()
  writeFileSync(there, '', { mode: 0o640 })
  chmodSync(there, 0o640)
  await issue(await opened(t, { file: there }))
  t.same([there, `${there}-wal`].map(mode), [0o640, 0o640])

  await t.rejects(kyselyStorage({ file: join(folder, 'n'.repeat(300)) }).open({ log: console, timeout: 100 }), { code: 'ENAMETOOLONG' })
})

t.test('a file that is no database, or no file, is refused at once', async (t) => {
  const file = newFile()
  writeFileSync(file, 'This is a text, and long enough to be taken for the header of a database file. '.repeat(10))
  await t.rejects(kyselyStorage({ file }).open({ log: console, timeout: 60_000 }), { code: 'SQLITE_NOTADB' })
  await t.rejects(kyselyStorage({ file: folder }).open({ log: console, timeout: 60_000 }), { code: 'SQLITE_CANTOPEN' })
})

t.test('verification answers at once, sees every commit of others, and no change under way', async (t) => {
  const file = newFile()
  const storage = await opened(t, { file })
  const key = await issue(storage)
  const find = (): unknown => (storage.findKeyByHash([{ hash: key.hash, pepperId: null }]) as FoundKey).key
  const other = handleOn(t, file)
  other.exec('begin immediate')
  other.exec(`update self_serve_api_keys set revoked_at = ${NOW}, revoked_reason = 'leaked', ends_at = ${NOW}`)
  t.strictSame(find(), key)
  t.strictSame(await keysOf(storage), [key])
  other.exec('rollback')
  t.strictSame(find(), key)
  other.exec(`update self_serve_api_keys set revoked_at = ${NOW}, revoked_reason = 'leaked', ends_at = ${NOW}`)
  t.strictSame(find(), { ...key, revokedAt: NOW, revokedReason: 'leaked' })
  // Nor one of its own: a key is not found, and then found whole. A change that follows on no other begins at once.
  const quietUntil = performance.now() + 5
  while (performance.now() < quietUntil) await nextTurn()
  const next = newKey()
  const issuing = issue(storage, next)
  const seen = new Set<unknown>()
  for (let turn = 0; turn < 2000; turn++) seen.add(JSON.stringify((await storage.findKeyByHash([{ hash: next.hash, pepperId: null }]))?.key ?? null))
  t.strictSame([...seen], ['null', JSON.stringify(await storage.findKey((await issuing).publicId))])
})

t.test('a lock that others hold for longer than the timeout rejects in time, stops nothing else and leaves nothing behind', async (t) => {
  const file = newFile()
  const storage = await opened(t, { file }, 200)
  const key = await issue(storage, { isDefault: true })
  const before = await stateOf(storage)
  const other = handleOn(t, file)
  other.exec('begin immediate')
  let ticks = 0
  const timer = setInterval(() => { ticks++ }, 5)
  const start = performance.now()
  const changes = [
    ...Array.from({ length: 50 }, async () => { await storage.issueKey(issuing({ isDefault: true })) }),
    ...changesOf(storage, key),
    storage.rehashKeys([{ publicId: key.publicId, fromHash: key.hash, hash: 'f00d', pepperId: 'p1' }]),
    storage.pruneKeys(NOW + DAY, 9),
    storage.pruneRequests(NOW + DAY, 9),
    record(storage, [event(key, NOW)]),
    storage.pruneUsage(NOW, 9),
    storage.pruneAudit(NOW + DAY, 9),
    storage.eraseAccount(ACCOUNT, 9)
  ]
  let waiting = true
  const settled = Promise.allSettled(changes).finally(() => { waiting = false })
  t.strictSame([storage.findKeyByHash([{ hash: key.hash, pepperId: null }]), ...await keysOf(storage)], [{ key, siteOrigins: [] }, key])
  t.ok(waiting, 'reads do not wait')
  const outcomes = await settled
  const time = performance.now() - start
  clearInterval(timer)
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { message: 'The database could not be written in 200 ms.' } })
  t.ok(time >= 190 && time < 2000, `${time} ms`)
  t.ok(ticks >= 10, `${ticks} of 40 ticks: the event loop goes on`)
  other.exec('rollback')
  t.strictSame(await stateOf(storage), before)
  t.equal((await issue(storage)).sequence, key.sequence + 1)
})

t.test('a lock that others hold briefly is waited for', async (t) => {
  const file = newFile()
  const storage = await opened(t, { file })
  const other = handleOn(t, file)
  other.exec('begin immediate')
  setTimeout(() => other.exec('commit'), 50)
  const keys = await Promise.all([issue(storage), issue(storage)])
  t.strictSame(keys.map(({ sequence }) => sequence).sort(), [1, 2])
})

t.test('opening waits for a lock too, no longer than the timeout', async (t) => {
  const file = newFile()
  const other = handleOn(t, file)
  other.exec('begin exclusive')
  await t.rejects(kyselyStorage({ file }).open({ log: console, timeout: 50 }), { code: 'SQLITE_BUSY' })
  setTimeout(() => other.exec('rollback'), 50)
  await opened(t, { file })
})

t.test('a statement that fails takes the whole change with it, and so does the audit entry', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const key = await issue(storage, { isDefault: true })
  await issue(storage, { expiresAt: NOW - DAY })
  const request = { hash: 'over', requestHash: 'b' }
  const overdue = changed(await storage.issueKey(issuing({}, { idempotency: request, now: NOW - DAY }))).key
  changed(await storage.addSite(adding('https://a.example')))
  await record(storage, [event(key, NOW - HOUR)])
  const all = async (): Promise<unknown> => [await stateOf(storage), await storage.readUsage(
    { accountId: ACCOUNT, unit: 'hour', start: NOW - NOW % HOUR - 23 * HOUR, end: NOW - NOW % HOUR + HOUR, perKeyLimit: 9, recentLimit: 9 })]
  const before = await all()
  const batch = { id: 'batch', sealedAt: NOW, events: [failure(key, NOW), event(key, NOW - DAY)] }
  const stops = {
    version: 'before insert on self_serve_api_key_versions',
    day: 'after insert on self_serve_usage_days',
    entry: 'after insert on self_serve_audit_entries',
    entries: 'after delete on self_serve_audit_entries',
    keys: 'after delete on self_serve_api_keys',
    site: 'after insert on self_serve_sites',
    request: 'after insert on self_serve_remembered_requests',
    requests: 'after delete on self_serve_remembered_requests'
  }
  const changes: Record<keyof typeof stops, () => Array<Promise<unknown>>> = {
    version: () => [
      storage.issueKey(issuing({ isDefault: true })), storage.rotateKey(rotating(key)), storage.updateKey(updating(key, { label: 'New' })), storage.importKey(importing())
    ],
    day: () => [storage.recordUsage(batch)],
    entry: () => changesOf(storage, key),
    entries: () => [storage.pruneAudit(NOW + 1, 9)],
    keys: () => [storage.pruneKeys(NOW, 9), storage.eraseAccount(ACCOUNT, 9)],
    site: () => [storage.addSite(adding('https://b.example'))],
    request: () => [storage.issueKey(issuing({}, { idempotency: REQUEST })), storage.rotateKey(rotating(key, { idempotency: REQUEST }))],
    requests: () => [storage.pruneRequests(NOW, 9), storage.issueKey(issuing({}, { idempotency: request }))]
  }
  // `rollback`: the database ends the transaction by itself, as it does when a disk is full.
  for (const action of ['abort', 'fail', 'rollback']) {
    for (const [name, when] of Object.entries(stops) as Array<[keyof typeof stops, string]>) {
      handle.exec(`create trigger stop ${when} begin select raise(${action}, 'stopped'); end`)
      for (const outcome of await Promise.allSettled(changes[name]())) {
        t.match(outcome, { status: 'rejected', reason: { message: 'stopped' } }, `${action} ${name}`)
      }
      t.notOk(handle.inTransaction)
      t.strictSame(await all(), before, `${action} ${name}`)
      handle.exec('drop trigger stop')
    }
  }
  // The batch whose first try failed counts, once.
  await storage.recordUsage(batch)
  await storage.recordUsage(batch)
  const [, usage] = await all() as unknown[]
  t.match(usage, { timeline: [{ requests: 1 }, { requests: 1, failures: 1 }] })
  t.equal((await issue(storage)).sequence, overdue.sequence + 1)
  t.equal(await storage.pruneRequests(NOW, 9), 1, 'what was remembered is')
})

t.test('a full disk rejects, and leaves a database that goes on when there is room', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const before = await issue(storage, { isDefault: true })
  const state = await stateOf(storage)
  const room = handle.pragma('max_page_count', { simple: true })
  handle.pragma(`max_page_count = ${String(handle.pragma('page_count', { simple: true }))}`)
  const large = { metadata: { text: 'x'.repeat(100_000) } }
  await t.rejects(storage.issueKey(issuing(large)), { code: 'SQLITE_FULL' })
  t.notOk(handle.inTransaction)
  t.strictSame(await stateOf(storage), state)
  handle.pragma(`max_page_count = ${String(room)}`)
  t.equal((await issue(storage, large)).sequence, before.sequence + 1)
})

t.test('a key that ends while the list is read is listed once', async (t) => {
  let meanwhile = (): void => {}
  const { storage, handle } = await onHostDatabase(t, ({ sql }) => {
    if (sql.includes('"ends_at" >')) meanwhile()
  })
  const ended = await revoke(storage, await issue(storage))
  const [older, key] = [await issue(storage), await issue(storage, { isDefault: true })]
  meanwhile = () => { handle.exec(`update self_serve_api_keys set revoked_at = ${NOW}, ends_at = ${NOW} where public_id = '${key.publicId}'`) }
  const page = await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 3 })
  t.strictSame(page, { keys: [key, older, ended], before: null })
})

t.test('keys are counted, and entries of the log beside their number, as they are at one moment', async (t) => {
  let meanwhile = (): void => {}
  const { storage, handle } = await onHostDatabase(t, ({ sql }) => {
    if (sql.includes('count(*)')) meanwhile()
  })
  await issue(storage)
  meanwhile = () => { handle.exec('delete from self_serve_audit_entries; delete from self_serve_api_key_versions; delete from self_serve_api_keys') }
  const { entries, total } = await storage.listAudit({ accountId: ACCOUNT, limit: 9, offset: 0 })
  t.strictSame([entries.map(({ id }) => id), total], [[1], 1])
  await issue(storage)
  t.strictSame(await storage.countKeys(ACCOUNT, NOW), { total: 1, active: 1 })
})

t.test('every combination of ends and switches is listed and counted as it reads, also those that no change leads to', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const ends = [null, NOW - 1, NOW, NOW + 1]
  for (const expiresAt of ends) {
    for (const retiresAt of ends) {
      for (const revokedAt of [null, NOW, NOW + 5]) {
        for (const disabledBy of [null, 'account', 'host'] as const) {
          const { publicId } = await issue(storage, { expiresAt, disabledBy })
          const end = Math.min(...[expiresAt, retiresAt, revokedAt].filter((end) => end !== null), Number.MAX_SAFE_INTEGER)
          handle.prepare('update self_serve_api_keys set retires_at = ?, revoked_at = ?, ends_at = ? where public_id = ?').run(retiresAt, revokedAt, end, publicId)
        }
      }
    }
  }
  const keys = await keysOf(storage)
  t.equal(keys.length, 144)
  for (const status of STATUSES) {
    const page = await storage.listKeys({ accountId: ACCOUNT, now: NOW, status, limit: 1000 })
    const expected = keys.filter((key) => statusOf(key, NOW) === status)
    t.ok(expected.length > 0)
    t.strictSame(page, { keys: expected, before: null }, status)
  }
  const current = keys.filter((key) => ['active', 'disabled', 'retiring'].includes(statusOf(key, NOW)))
  t.strictSame(await storage.countKeys(ACCOUNT, NOW), { total: 144, active: current.length })
  const { updated } = changed(await storage.revokeKeys(revokingAll()))
  t.strictSame(updated.map(({ publicId }) => publicId), current.map(({ publicId }) => publicId))
})

t.test('the ids of batches are forgotten after a day, so that they do not pile up', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const key = await issue(storage)
  for (const [id, sealedAt] of [['a', NOW - DAY - 1], ['b', NOW - DAY], ['c', NOW - 1], ['d', NOW]] as const) {
    await storage.recordUsage({ id, sealedAt, events: [event(key, NOW)] })
  }
  t.strictSame(handle.prepare('select id from self_serve_usage_batches').pluck().all(), ['b', 'c', 'd'])
})

t.test('totals by minute are kept for two hours: a flush removes what is older, and nothing else', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const key = await issue(storage)
  const minutes = (): unknown[] => handle.prepare('select minute, requests, failures from self_serve_usage_minutes order by minute').all()
  const minute = Math.floor(NOW / MINUTE)
  const [oldest, late] = [minute - 120, minute - 121]
  await storage.recordUsage({ id: 'a', sealedAt: NOW - HOUR, events: [event(key, late * MINUTE), failure(key, oldest * MINUTE), event(key, oldest * MINUTE + 1)] })
  t.strictSame(minutes(), [{ minute: late, requests: 1, failures: 0 }, { minute: oldest, requests: 2, failures: 1 }])
  const others = (): unknown[] => ['hours', 'days', 'events'].map((table) => handle.prepare(`select * from self_serve_usage_${table}`).all())
  const before = others()
  await storage.recordUsage({ id: 'b', sealedAt: NOW, events: [event(key, NOW), event(key, late * MINUTE)] })
  t.strictSame(minutes(), [{ minute: oldest, requests: 2, failures: 1 }, { minute, requests: 1, failures: 0 }])
  t.equal((others()[2] as unknown[]).length, (before[2] as unknown[]).length + 2, 'events and the other totals stay')
  t.match(await storage.readUsage({ accountId: ACCOUNT, unit: 'day', start: NOW - NOW % DAY, end: NOW - NOW % DAY + DAY, perKeyLimit: 9, recentLimit: 9 }),
    { timeline: [{ requests: 5, failures: 1 }] })
})

t.test('a list of keys that have not ended asks nothing about those that have', async (t) => {
  const { storage, queries } = await onHostDatabase(t)
  const key = await issue(storage)
  await revoke(storage, await issue(storage))
  for (const [status, asks] of [['active', 0], ['disabled', 0], ['retiring', 0], ['expired', 1], ['revoked', 1], [undefined, 1]] as const) {
    queries.length = 0
    const page = await storage.listKeys({ accountId: ACCOUNT, now: NOW, status, limit: 100 })
    t.equal(queries.filter(({ sql }) => sql.includes('"ends_at" <=')).length, asks, String(status))
    if (status === 'active') t.strictSame(page, { keys: [key], before: null })
  }
})

t.test('usage is read by seeking, never by sorting or scanning events', async (t) => {
  const { storage, handle, queries } = await onHostDatabase(t)
  const key = await issue(storage)
  await record(storage, [event(key, NOW), failure(key, NOW - HOUR)])
  const plans = async (unit: 'minute' | 'hour' | 'day'): Promise<string[]> => {
    queries.length = 0
    await storage.readUsage({ accountId: ACCOUNT, unit, start: NOW - NOW % DAY, end: NOW - NOW % DAY + DAY, perKeyLimit: 100, recentLimit: 50 })
    return queries.map(({ sql, parameters }) => (handle.prepare(`explain query plan ${sql}`).all(...parameters) as Array<{ detail: string }>)
      .map(({ detail }) => detail).join('\n'))
  }
  for (const unit of ['minute', 'hour', 'day'] as const) {
    const [counts, requests, failures, gone, keys, ...more] = await plans(unit)
    t.strictSame(more, [])
    t.match(counts, `SEARCH self_serve_usage_${unit}s USING PRIMARY KEY (${unit}=? AND account_number=?)`, 'counted from the totals of its unit')
    t.notMatch(counts, /usage_events|api_keys|TEMP B-TREE/)
    t.match(requests, 'SEARCH self_serve_usage_events USING PRIMARY KEY (hour=? AND account_number=?)')
    t.match(failures, 'SEARCH self_serve_usage_events USING INDEX self_serve_usage_failures (hour=? AND account_number=?)')
    for (const recent of [requests, failures]) t.notMatch(recent, /TEMP B-TREE/)
    for (const plan of [counts, gone, keys, requests, failures]) t.notMatch(plan, /SCAN self_serve/)
  }
})

t.test('what one key did is read by seeking, whatever else its account and others did', async (t) => {
  const { storage, handle, queries } = await onHostDatabase(t)
  const key = await issue(storage)
  await record(storage, [event(key, NOW)])
  queries.length = 0
  t.match(await storage.readKeyUsage({ accountId: ACCOUNT, publicId: key.publicId, start: NOW - NOW % HOUR, end: NOW - NOW % HOUR + HOUR }),
    { requests: 1, lastRequest: { time: NOW } })
  const [hours, found, last, ...more] = queries.map(({ sql, parameters }) => (handle.prepare(`explain query plan ${sql}`).all(...parameters) as Array<{ detail: string }>)
    .map(({ detail }) => detail).join('\n'))
  t.strictSame(more, [])
  t.match(found, 'SEARCH self_serve_api_keys USING')
  t.match(hours, 'SEARCH self_serve_usage_hours USING PRIMARY KEY (hour=? AND account_number=? AND key_number=?)')
  t.match(last, 'SEARCH self_serve_usage_events USING PRIMARY KEY (hour=? AND account_number=? AND offset=?)')
  for (const plan of [hours, found, last]) t.notMatch(plan, /SCAN self_serve|TEMP B-TREE/)
})

t.test('nothing that is asked of one account reads the rows of others', async (t) => {
  const { storage, handle, queries } = await onHostDatabase(t)
  const key = await issue(storage)
  const { site } = changed(await storage.addSite(adding('https://a.example')))
  await record(storage, [event(key, NOW)])
  queries.length = 0
  await storage.listSites(ACCOUNT, 9)
  await storage.listAudit({ accountId: ACCOUNT, limit: 9, offset: 0, action: 'login', search: 'a' })
  await storage.addSite(adding('https://b.example'))
  await storage.removeSite(removing(site))
  await storage.pruneAudit(NOW - DAY, 9)
  await storage.pruneKeys(NOW - DAY, 9)
  await storage.pruneRequests(NOW, 9)
  const { key: successor } = changed(await storage.rotateKey(rotating(key, { idempotency: REQUEST })))
  t.equal(verdict(await storage.rotateKey(rotating(key, { idempotency: REQUEST }))), 'replayed')
  await storage.importKey(importing())
  await storage.revokeKey(revoking(successor))
  await storage.revokeKeys(revokingAll())
  while (await storage.eraseAccount(ACCOUNT, 100) > 0);
  const plans = queries.filter(({ sql }) => /^(select|update|delete)/.test(sql)).map(({ sql, parameters }) =>
    (handle.prepare(`explain query plan ${sql}`).all(...parameters) as Array<{ detail: string }>).map(({ detail }) => detail).join('\n'))
  t.ok(plans.length > 40)
  for (const plan of plans) t.notMatch(plan, /SCAN self_serve/)
  t.ok(plans.some((plan) => plan.includes('SEARCH self_serve_usage_events USING PRIMARY KEY (hour=? AND account_number=?)')))
})

t.test('an account that is erased leaves no row behind, and usage that comes later makes none', async (t) => {
  const { storage, handle } = await onHostDatabase(t)
  const { key } = changed(await storage.issueKey(issuing({ isDefault: true }, { idempotency: REQUEST })))
  await storage.rehashKeys([{ publicId: key.publicId, fromHash: key.hash, hash: 'f00d', pepperId: 'p1' }])
  changed(await storage.addSite(adding('https://a.example')))
  await record(storage, [event(key, NOW), failure(key, NOW - HOUR)])
  while (await storage.eraseAccount(ACCOUNT, 2) > 0);
  await record(storage, [event(key, NOW), failure(key, NOW - DAY)])
  const names = handle.prepare('select name from sqlite_schema where type = \'table\' and name like \'self_serve_%\'').pluck().all() as string[]
  const filled = names.filter((name) => handle.prepare(`select 1 from ${name}`).get() !== undefined)
  // Steps, names of routes, the ids of batches and what keys stand at are nobody's.
  t.strictSame(filled, ['self_serve_migrations', 'self_serve_usage_routes', 'self_serve_usage_batches', 'self_serve_keys_version'])
})

t.test('an account that is erased can be read in no file of the database', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const storage = kyselyStorage({ file })
  await storage.open({ log: console, timeout: 2000 })
  t.after(async () => { await storage.close() })
  const marks = ['account-to-erase', 'label to erase', 'person to erase', 'https://site-to-erase.example', 'detail to erase']
  const [accountId, label, person, origin, detail] = marks as [string, string, string, string, string]
  for (let i = 0; i < 30; i++) await issue(storage, { accountId, label: `${label} ${i}`, createdBy: person })
  const kept = await issue(storage, { label: 'kept' })
  changed(await storage.addSite(adding(origin, { accountId })))
  await storage.recordAudit(accountId, newEntry({ detail }))
  const found = (): string[] => marks.filter((mark) => [file, `${file}-wal`].some((one) => existsSync(one) && readFileSync(one).includes(mark)))
  t.same(found(), marks)
  while (await storage.eraseAccount(accountId, 10) > 0);
  t.same(found(), [])
  t.same(await storage.findKey(kept.publicId), kept)
  // Where another change is under way the log is left for later, and nothing fails.
  const [, left] = await Promise.all([issue(storage), storage.eraseAccount(accountId, 10), issue(storage)])
  t.equal(left, 0)
})

t.test('better-sqlite3 is loaded by the first file that is opened, and by no import', async (t) => {
  const process = child('loaded-modules.ts')
  process.stdin.end()
  t.strictSame(JSON.parse(await text(process.stdout)), { before: false, after: true })
})
