// The command: what it understands, what it does to a database, and that what it prints is what ready() wants.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import { errorText } from '../lib/cli/error-text.js'
import { HELP, run } from '../lib/cli/run.js'
import { kyselyStorage, type KyselyStorageOptions } from '../lib/storage/kysely/index.js'
import { migrationSteps } from '../lib/storage/kysely/migration-steps.js'
import { additiveSteps, BREAKING, startLaterBuild } from './fixtures/next-steps.js'
import { issue, keysOf } from './helpers/keys.js'
import { leftOut } from './helpers/left-out.js'
import { startMysql, whyNoMysql } from './helpers/mysql.js'
import { startPostgres, whyNoPostgres } from './helpers/postgres.js'

const noClient = (program: string): string | false => spawnSync(program, ['--version']).status !== 0 && `left out: ${program} is not installed`

const NOTHING = 'Nothing to do: every step is applied.\n'

/** The steps of a database as they are listed, and what is printed of all of them. */
function wordsOf (type: 'sqlite' | 'postgres' | 'mysql'): { STEPS: string[], APPLIED: string, ALL_APPLIED: string } {
  const STEPS = migrationSteps(type).map(({ step, name, breaking }) => `${step} ${name}, ${breaking ? 'breaking' : 'additive'}`)
  return { STEPS, APPLIED: STEPS.map((step) => `applied ${step}\n`).join(''), ALL_APPLIED: STEPS.map((step) => `${step}: applied\n`).join('') }
}
const { STEPS, APPLIED, ALL_APPLIED } = wordsOf('sqlite')

let files = 0
const folder = t.testdir()
const newFile = (): string => join(folder, `${++files}.db`)

interface Outcome { readonly code: number, readonly out: string, readonly err: string }

/** The command in this process. */
async function command (argv: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  let [out, err] = ['', '']
  const code = await run(argv, { stdout: { write: (text) => { out += text } }, stderr: { write: (text) => { err += text } }, env })
  return { code, out, err }
}

/** What is printed tells when. */
const timeless = (sql: string): string => sql.replace(/\d{13}/g, 'TIME')
const done = (out: string): Outcome => ({ code: 0, out, err: '' })

/** Opens a storage, which is closed with the test, and uses it. */
async function works (t: Test, options: KyselyStorageOptions): Promise<void> {
  const storage = kyselyStorage(options)
  await storage.open({ log: console, timeout: 5000 })
  t.teardown(async () => { await storage.close() })
  const key = await issue(storage)
  t.strictSame(await keysOf(storage), [key])
}

const refusal = async (options: KyselyStorageOptions): Promise<Error> => await kyselyStorage(options).open({ log: console, timeout: 5000 }).then(
  () => { throw new Error('It was opened.') }, (error: Error) => error)

/** What the error of ready() says is to be typed, read as a shell reads it. */
function typed (error: Error): string[] {
  const line = /Run `(npx [^`]+)`|run `(npx [^`]+)`/.exec(error.message)!
  const words = spawnSync('bash', ['-c', `printf '%s\\0' ${line[1] ?? line[2]!}`], { encoding: 'utf8' }).stdout.split('\0').slice(0, -1)
  if (words.splice(0, 2).join(' ') !== 'npx fastify-self-serve-keys') throw new Error(error.message)
  return words
}

/** All that the file is made of. */
function schemaOf (file: string): unknown[] {
  const handle = new Database(file, { readonly: true })
  const rows = handle.prepare('select type, name, sql from sqlite_schema order by name').all()
  handle.close()
  return rows
}

t.test('what cannot be understood is named, ends with 2, and does nothing', async (t) => {
  const cases: Array<[string[], RegExp, Record<string, string>?]> = [
    [[], /^a command is missing: migrate, sql, status$/m],
    [['up'], /^up is not a command: migrate, sql, status$/m],
    [['migrate', 'now', '--file', 'a.db'], /^migrate takes options only: what does not begin with - is one word too many$/m],
    [['migrate', '--flie', 'a.db'], /^Unknown option '--flie'$/m],
    [['migrate', '-x'], /^Unknown option '-x'$/m],
    [['migrate', '--file'], /^Option '--file <value>' argument missing$/m],
    [['migrate', '--file', '--schema'], /^Option '--file' argument is ambiguous$/m],
    [['migrate'], /^no database is named: --file, --url or DATABASE_URL$/m],
    [['sql'], /^no database is named: --file, --url or DATABASE_URL, or --type to print every step$/m],
    [['migrate', '--file', ''], /^--file must be a path$/m],
    [['migrate', '--file', ':memory:'], /^--file must be a path$/m],
    [['migrate', '--file', 'a.db', '--url', 'postgres://h/d'], /^--file, --url and --type: only one/m],
    [['sql', '--file', 'a.db', '--type', 'sqlite'], /^--file, --url and --type: only one/m],
    [['status', '--type', 'sqlite'], /^--type is for sql, without a database$/m],
    [['sql', '--type', 'oracle'], /^--type must be one of sqlite, postgres, mysql$/m],
    [['status', '--url', 'oracle://h/d'], /^--url must be an address that begins with postgres:\/\/ or postgresql:\/\/ or mysql:\/\/ or mariadb:\/\/$/m],
    [['status', '--url', 'postgres:h'], /^--url must be an address that begins with/m],
    [['status', '--url', 'postgres://h:99999/d'], /^--url must be an address that begins with/m],
    [['status'], /^DATABASE_URL must be an address that begins with/m, { DATABASE_URL: 'h/d' }],
    [['migrate', '--file', 'a.db', '--table-prefix', 'Keys_'], /^--table-prefix must be 1 to 31 lower-case letters, digits and _$/m],
    [['migrate', '--file', 'a.db', '--schema', 'keys'], /^--schema is for database servers: a SQLite file has none$/m],
    [['sql', '--type', 'postgres', '--schema', ''], /^--schema must be a name of 1 to 63 bytes/m],
    [['sql', '--file', 'a.db', '--from', '2'], /^--from is for sql beside --type/m],
    [['sql', '--type', 'sqlite', '--from', '0'], /^--from must be the number of a step$/m],
    [['sql', '--type', 'sqlite', '--from', 'two'], /^--from must be the number of a step$/m]
  ]
  for (const [argv, message, env] of cases) {
    const { code, out, err } = await command(argv, env)
    t.strictSame([code, out], [2, ''], argv.join(' '))
    t.match(err, message)
    t.match(err, /\nnpx fastify-self-serve-keys --help says what there is\.\n$/)
  }
  t.notOk(existsSync('a.db'))
})

t.test('--help says what there is, whatever else is typed', async (t) => {
  for (const argv of [['--help'], ['-h'], ['migrate', '--help', '--file', 'a.db']]) t.strictSame(await command(argv), done(HELP))
  for (const word of ['migrate', 'sql', 'status', '--file', '--url', 'DATABASE_URL', '--type', '--schema', '--table-prefix', '--from']) t.match(HELP, word)
  const docs = readFileSync(new URL('../docs/storage.md', import.meta.url), 'utf8')
  for (const [option] of HELP.matchAll(/--[a-z-]+/g)) t.match(docs, `\`${option}`, 'docs/storage.md has it too')
  t.match(docs, `$ npx fastify-self-serve-keys migrate --file ./keys.db\n${APPLIED}$`, 'and prints what is printed')
})

t.test('a password is printed in no message', async (t) => {
  const url = 'postgres://ada:s%C3%A4cret@127.0.0.1:1/d'
  const printed = (text: string, argv: string[], env = {}): string => errorText(new Error(text), argv, env)
  t.equal(printed(`${url} säcret s%C3%A4cret`, ['status', `--url=${url}`]), 'postgres://***@127.0.0.1:1/d *** ***')
  t.equal(printed('abc ab', [], { DATABASE_URL: 'postgres://h/d?password=ab', OTHER: 'c' }), '***c ***')
  t.equal(printed('a%E0 b', ['postgres://u:a%E0@h/d']), '*** b')
  t.equal(printed('not an address', ['--url', 'postgres://u:p@h:99999/d']), 'not an address')
  t.equal(printed('see postgres://u:p/w@h/d', []), 'see postgres://***@h/d')
  t.equal(errorText(new AggregateError([new Error('for one ab'), new Error('for another')]), ['postgres://u:ab@h/d'], {}), 'for one ***; for another')
  const typos = [['migrate', url], [url], ['postgres://ada:my säcret@h/d'], ['status', '--url', url.replace('postgres', 'oracle')], ['status', '--url', url.replace(':1/', ':99999/')],
    ['status', `--ulr=${url}`]]
  for (const argv of typos) {
    const { code, err } = await command(argv)
    t.equal(code, 2)
    t.notMatch(err, /s(%C3%A4|ä)cret/)
  }
})

t.test('migrate makes a SQLite file for its owner alone, then has nothing to do; status says what there is', async (t) => {
  const file = join(folder, 'to be', 'made.db')
  for (const name of ['status', 'sql']) t.strictSame(await command([name, '--file', file]), { code: 1, out: '', err: `There is no file ${file}.\n` })
  t.notOk(existsSync(file))
  t.strictSame(await command(['migrate', '--file', file]), done(APPLIED))
  t.equal(statSync(file).mode & 0o777, 0o600)
  const before = schemaOf(file)
  t.strictSame(await command(['migrate', '--file', file]), done(NOTHING))
  t.strictSame(await command(['status', '--file', file]), done(`${ALL_APPLIED}This version can run on it.\n`))
  t.strictSame(await command(['sql', '--file', file]), done('-- Nothing is missing.\n'))
  t.strictSame(schemaOf(file), before)
  await works(t, { file, migrate: 'never' })
  // While a host has it open.
  t.equal((await command(['status', '--file', file])).code, 0)
  writeFileSync(join(folder, 'text'), 'This is a text, and long enough to be taken for the header of a database file. '.repeat(10))
  t.strictSame(await command(['migrate', '--file', join(folder, 'text')]), { code: 1, out: '', err: 'file is not a database\n' })
})

t.test('what ready() says is to be typed brings the schema up to date', async (t) => {
  const file = join(folder, 'it\'s mine $HOME.db')
  const options: KyselyStorageOptions[] = [{ file, migrate: 'never' }, { file, migrate: 'never', tablePrefix: 'x_' }]
  for (const one of options) {
    const argv = typed(await refusal(one))
    t.strictSame(argv, ['migrate', '--file', file, ...'tablePrefix' in one ? ['--table-prefix', 'x_'] : []])
    t.equal((await command(argv)).out, APPLIED)
    await works(t, one)
  }
  // A host's own database has a file too, unless it is in memory.
  const [onDisk, inMemory] = [newFile(), ':memory:'].map((file) => {
    const database = new Database(file)
    t.teardown(() => database.close())
    return { db: new Kysely<any>({ dialect: new SqliteDialect({ database }) }), type: 'sqlite' as const }
  })
  t.equal((await command(typed(await refusal(onDisk!)))).out, APPLIED)
  await works(t, onDisk!)
  t.equal((await refusal(inMemory!)).message,
    'The database lacks migration step 1 (keys-and-usage). Start once with kyselyStorage({ …, migrate: \'start\' }), by a role that may change tables.')
})

t.test('the SQL that is printed makes on SQLite what migrate makes, from the start and from any step on', async (t) => {
  const [migrated, printed] = [newFile(), newFile()]
  await command(['migrate', '--file', migrated])
  const handle = new Database(printed)
  t.teardown(() => handle.close())
  const all = await command(['sql', '--type', 'sqlite'])
  t.equal(timeless((await command(['sql', '--type', 'sqlite', '--from', '1'])).out), timeless(all.out))
  const rest = (await command(['sql', '--type', 'sqlite', '--from', '2'])).out
  t.notMatch(rest, /create table self_serve_accounts/)
  handle.exec(all.out)
  t.strictSame(schemaOf(printed), schemaOf(migrated))
  await works(t, { file: printed, migrate: 'never' })
  t.throws(() => handle.exec(all.out), /already exists/)
  t.ok(handle.inTransaction, 'run twice it commits nothing')
  handle.exec('rollback')

  // On a database of the first step.
  const file = newFile()
  const old = new Database(file)
  t.teardown(() => old.close())
  old.exec(`${all.out.slice(0, all.out.indexOf('-- additive: sites'))} commit`)
  t.match(await command(['status', '--file', file]), {
    code: 1,
    out: STEPS.map((step, place) => `${step}: ${place === 0 ? 'applied' : 'missing'}\n`).join(''),
    err: `The database lacks migration step 2 (sites-and-audit). Run \`npx fastify-self-serve-keys migrate --file ${file}\``
  })
  const lacking = await command(['sql', '--file', file])
  t.equal(timeless(lacking.out), timeless(rest))
  t.match(await refusal({ file, migrate: 'never' }), { message: /lacks migration step 2/ })
  old.exec(lacking.out)
  await works(t, { file, migrate: 'never' })
})

t.test('steps of a later version are listed; one that is breaking ends every command', async (t) => {
  const file = newFile()
  const database = new Database(file)
  t.teardown(() => database.close())
  const db = new Kysely<any>({ dialect: new SqliteDialect({ database }) })
  const names = { prefix: 'self_serve_', schema: null }
  await startLaterBuild(db, 'sqlite', names)
  const later = `${ALL_APPLIED}98 notes, additive: applied by a later version\n99 reviews, additive: applied by a later version\n`
  t.strictSame(await command(['status', '--file', file]), done(`${later}This version can run on it.\n`))
  t.strictSame(await command(['migrate', '--file', file]), done(NOTHING))
  await startLaterBuild(db, 'sqlite', names, [...additiveSteps('sqlite'), BREAKING])
  const before = schemaOf(file)
  const err = 'The database has migration step 100 (digests), which this version does not know. It was made by a later version of fastify-self-serve-keys: start that one.\n'
  for (const [name, out] of [['status', `${later}100 digests, breaking: applied by a later version\n`], ['migrate', ''], ['sql', '']] as const) {
    t.strictSame(await command([name, '--file', file]), { code: 1, out, err })
  }
  t.strictSame(schemaOf(file), before)
})

t.test('on a Postgres server', leftOut(whyNoPostgres()), async (t) => {
  const { STEPS, APPLIED, ALL_APPLIED } = wordsOf('postgres')
  const server = await startPostgres(t)
  const url = (database = 'postgres', user = 'postgres'): string => `postgres://${user}:hidden@127.0.0.1:${server.port}/${database}`
  const env = { DATABASE_URL: url() }
  const on = (schema: string): KyselyStorageOptions => ({ db: server.db(), type: 'postgres', schema })

  await t.test('a connection that the server ends in the middle of it is told of in its words', async (t) => {
    const pool = server.pool()
    const holder = await pool.connect()
    await holder.query('select pg_advisory_lock(hashtext(\'fastify-self-serve-keys\'), 1)')
    const migrating = command(['migrate', '--url', url()])
    for (let ended = 0; ended === 0;) {
      const { rows } = await holder.query('select pg_terminate_backend(pid) from pg_locks where locktype = \'advisory\' and not granted')
      ended = rows.length
    }
    t.match(await migrating, { code: 1, out: '', err: /terminating connection/ })
    holder.release(true)
  })

  t.test('what ready() says is to be typed makes the schema, applies each step once, and ready() is content', async (t) => {
    const schema = 'The host\'s "Käys"'
    const argv = typed(await refusal(on(schema)))
    t.strictSame(argv, ['migrate', '--schema', schema])
    t.strictSame(typed(await refusal({ ...on(schema), migrate: 'start' })), argv)
    t.match(await command(['status', '--schema', schema], env), { code: 1, out: STEPS.map((step) => `${step}: missing\n`).join('') })
    const outs = (await Promise.all(Array.from({ length: 5 }, async () => await command(argv, env)))).map(({ code, out }) => [code, out])
    t.strictSame(outs.sort(), [...Array.from({ length: 4 }, () => [0, NOTHING]), [0, `made schema ${schema}\n${APPLIED}`]])
    t.strictSame(await command(['status', '--schema', schema, '--url', url()]), done(`${ALL_APPLIED}This version can run on it.\n`))
    await works(t, on(schema))
  })

  t.test('psql makes of the SQL what ready() wants, in a schema and without, with or without asking the database', { skip: noClient('psql') }, async (t) => {
    const psql = (sql: string): { status: number | null, stderr: string } =>
      spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', url()], { input: sql, encoding: 'utf8', env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' } })
    const schemas = ['printed; "once"', 'asked']
    const printed = await command(['sql', '--type', 'postgres', '--schema', schemas[0]!])
    const asked = await command(['sql', '--schema', schemas[1]!], env)
    t.match([printed, asked], [{ code: 0, out: /^create schema if not exists "printed; ""once""";$/m }, { code: 0, out: /^create schema if not exists "asked";$/m }])
    for (const [place, { out }] of [printed, asked].entries()) {
      t.match(psql(out), { status: 0, stderr: '' })
      await works(t, on(schemas[place]!))
      t.match(psql(out), { status: 3, stderr: /already exists/ }, 'run twice it changes nothing')
      t.strictSame(await command(['sql', '--schema', schemas[place]!], env), done('-- Nothing is missing.\n'))
    }
    const plain = (await command(['sql', '--type', 'postgres'])).out
    t.notMatch(plain, /create schema/)
    t.match(psql(plain), { status: 0, stderr: '' })
    await works(t, { db: server.db(), type: 'postgres' })
    // What is printed from a step on is for a schema that is there.
    t.notMatch((await command(['sql', '--type', 'postgres', '--schema', 'asked', '--from', '2'])).out, /create schema/)
  })

  t.test('what fails is told without the password, and ends with 1', async (t) => {
    t.strictSame(await command(['migrate', '--url', url('hidden')]), { code: 1, out: '', err: 'database "***" does not exist\n' })
    const closed = 'postgres://ada:hidden@localhost:1/d'
    const refused = await command(['status'], { DATABASE_URL: closed })
    t.match(refused, { code: 1, out: '', err: /ECONNREFUSED/ })
    t.notMatch(refused.err, /hidden/)
    await server.pool().query('create role reader login; create schema theirs')
    t.match(await command(['migrate', '--url', url('postgres', 'reader'), '--table-prefix', 'r_']), { code: 1, out: '', err: /permission denied for schema public/ })
    t.match(await command(['migrate', '--url', url('postgres', 'reader'), '--schema', 'new']), { code: 1, out: '', err: /permission denied for database/ })
    t.strictSame((await server.pool().query('select 1 from pg_namespace where nspname = \'new\'')).rows, [])
  })
})

t.test('on a MariaDB server', leftOut(whyNoMysql()), async (t) => {
  const { STEPS, APPLIED, ALL_APPLIED } = wordsOf('mysql')
  const server = await startMysql(t)
  const admin = server.pool().promise()
  await admin.query('create user ada@\'127.0.0.1\' identified by \'hidden\'')
  await admin.query('grant all on *.* to ada@\'127.0.0.1\'')
  const url = (scheme: string, database = 'test', user = 'ada'): string => `${scheme}://${user}:hidden@127.0.0.1:${server.port}/${database}`
  const env = { DATABASE_URL: url('mysql') }
  const on = (schema: string): KyselyStorageOptions => ({ db: server.db(), type: 'mysql', schema })

  t.test('what ready() says is to be typed makes the database, applies each step once, and ready() is content', async (t) => {
    const schema = 'The host\'s "Käys"'
    const argv = typed(await refusal(on(schema)))
    t.strictSame(argv, ['migrate', '--schema', schema])
    t.strictSame(typed(await refusal({ ...on(schema), migrate: 'start' })), argv)
    t.match(await command(['status', '--schema', schema], env), { code: 1, out: STEPS.map((step) => `${step}: missing\n`).join('') })
    const outs = (await Promise.all(['mysql', 'mariadb', 'mysql', 'mariadb', 'mysql'].map(async (scheme) => await command([...argv, '--url', url(scheme)])))).map(({ code, out }) => [code, out])
    t.strictSame(outs.sort(), [...Array.from({ length: 4 }, () => [0, NOTHING]), [0, `made schema ${schema}\n${APPLIED}`]])
    t.strictSame(await command(['status', '--schema', schema, '--url', url('mariadb')]), done(`${ALL_APPLIED}This version can run on it.\n`))
    await works(t, on(schema))
    t.strictSame((await admin.query('show tables'))[0], [])
  })

  t.test('mysql makes of the SQL what ready() wants, in another database and without, with or without asking the server', { skip: noClient('mysql') }, async (t) => {
    const mysql = (sql: string, user = 'ada'): { status: number | null, stderr: string } => spawnSync('mysql', [
      '--no-defaults', '--protocol=tcp', '--host=127.0.0.1', `--port=${server.port}`, `--user=${user}`, 'test'
    ], { input: sql, encoding: 'utf8', env: { ...process.env, MYSQL_PWD: 'hidden' } })
    const schemas = ['prïnted; `once`', 'asked']
    const printed = await command(['sql', '--type', 'mysql', '--schema', schemas[0]!])
    const asked = await command(['sql', '--schema', schemas[1]!], env)
    t.match([printed, asked], [{ code: 0, out: /^create schema if not exists `prïnted; ``once```;$/m }, { code: 0, out: /^create schema if not exists `asked`;$/m }])
    for (const [place, { out }] of [printed, asked].entries()) {
      t.notMatch(out, /^(begin|commit);$/m)
      t.match(mysql(out), { status: 0, stderr: '' })
      await works(t, on(schemas[place]!))
      t.match(mysql(out), { status: 1, stderr: /already exists/ }, 'run twice it changes nothing')
      t.strictSame(await command(['sql', '--schema', schemas[place]!], env), done('-- Nothing is missing.\n'))
    }
    const plain = (await command(['sql', '--type', 'mysql'])).out
    t.notMatch(plain, /create schema/)

    // What is interrupted in the middle of a step is a step that is missing, and gone on with.
    t.match(mysql(plain.slice(0, plain.indexOf('create table self_serve_audit_entries'))), { status: 0, stderr: '' })
    t.match(await command(['status'], env), { code: 1, out: STEPS.map((step, place) => `${step}: ${place === 0 ? 'applied' : 'missing'}\n`).join('') })
    t.match(await refusal({ db: server.db(), type: 'mysql' }), { message: /lacks migration step 2 \(sites-and-audit\)\. Run `npx fastify-self-serve-keys migrate` with DATABASE_URL set/ })
    t.strictSame(await command(['migrate'], env), done(STEPS.slice(1).map((step) => `applied ${step}\n`).join('')))
    t.strictSame(await command(['migrate'], env), done(NOTHING))
    await works(t, { db: server.db(), type: 'mysql' })
  })

  t.test('what fails is told without the password, and ends with 1', async (t) => {
    t.strictSame(await command(['migrate', '--url', url('mysql', 'hidden')]), { code: 1, out: '', err: 'Unknown database \'***\'\n' })
    t.match(await command(['status', '--url', url('mariadb', 'test', 'root')]), { code: 1, out: '', err: /^Access denied for user 'root'@/ })
    const refused = await command(['status'], { DATABASE_URL: 'mariadb://ada:hidden@localhost:1/d' })
    t.match(refused, { code: 1, out: '', err: /ECONNREFUSED/ })
    t.notMatch(refused.err, /hidden/)
    await admin.query('create user reader@\'127.0.0.1\' identified by \'hidden\'')
    await admin.query('grant select, insert, update, delete on test.* to reader@\'127.0.0.1\'')
    const before = (await admin.query('show databases'))[0]
    t.match(await command(['migrate', '--url', url('mysql', 'test', 'reader'), '--table-prefix', 'r_']), { code: 1, out: '', err: /CREATE command denied/ })
    t.match(await command(['migrate', '--url', url('mysql', 'test', 'reader'), '--schema', 'new']), { code: 1, out: '', err: /Access denied for user 'reader'@.* to database 'new'/ })
    t.strictSame((await admin.query('show databases'))[0], before)
  })
})

t.test('as a program', async (t) => {
  const program = (script: string, argv: string[]): ReturnType<typeof spawn> => spawn(process.execPath, [...script.endsWith('.ts') ? process.execArgv : [], script, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = async (child: ReturnType<typeof spawn>): Promise<unknown> => {
    const [out, err, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')])
    return { code, out, err }
  }
  const source = fileURLToPath(new URL('../lib/cli/bin.ts', import.meta.url))
  const root = new URL('..', import.meta.url)
  const { bin } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))
  const built = fileURLToPath(new URL(bin['fastify-self-serve-keys'], root))
  t.match(readFileSync(built, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  const [first, second] = [newFile(), newFile()]
  for (const [script, file] of [[source, first], [built, second]] as const) {
    t.strictSame(await ended(program(script, ['migrate', '--file', file])), done(APPLIED))
    t.match(await ended(program(script, ['up'])), { code: 2, out: '', err: /^up is not a command/ })
  }
  // Whoever reads may have seen enough.
  const child = program(source, ['sql', '--type', 'sqlite'])
  child.stdout!.destroy()
  const [err, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  t.strictSame([err, code], ['', 0])
})
