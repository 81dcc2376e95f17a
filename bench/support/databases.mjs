// The databases that a benchmark of stored data runs on: a SQLite file, and a database of its own on a Postgres server.
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { PostgresDialect } from 'kysely'
import pg from 'pg'

const { env } = process
/** As PostgreSQL's own programs are told, but for defaults that need no socket and no role of the caller's name. */
const SERVER = { host: env.PGHOST ?? '127.0.0.1', user: env.PGUSER ?? 'postgres' }
const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT'])
/** Statements that are sent at once: the server works while SQLite does, on this process's thread. */
const SENT_AT_ONCE = 24

/**
 * Each empty but for the schema: SQLite, and Postgres where there is a server.
 * @returns databases with
 * - storage(): a storage of its own connections, not open
 * - run(statements): without waiting for the disk
 * - size(tables): bytes, indexes included
 * - close(): removes what is on the server
 * and what the SQL of seeds must know: random (0 to 1, another number for each row), newestFirst (the order of its
 * tables), seeding and seeded(batch, end) (statements before and after rows of usage; numbers of batches go on above `batch`)
 */
export async function openDatabases (folder, name, note) {
  const databases = [sqlite(join(folder, `${name}.db`))]
  try {
    databases.push(await postgres(`bench_${name.replaceAll('-', '_')}_${process.pid}`))
  } catch (error) {
    if (!UNREACHABLE.has(error.code)) throw error
    note(`no Postgres at ${SERVER.host}: its rows are left out (PGHOST, PGPORT, PGUSER and PGPASSWORD say where one is)`)
  }
  for (const database of databases) {
    const storage = database.storage({ migrate: 'start' })
    await storage.open({ log: console, timeout: 60_000 })
    await storage.close()
  }
  return databases
}

/** Each seeded by itself, both at once. */
export async function seedAll (databases, seed) {
  const outcomes = await Promise.allSettled(databases.map(seed))
  for (const { status, reason } of outcomes) if (status === 'rejected') throw reason
}

function sqlite (file) {
  const using = async (options, work) => {
    const db = new Database(file, options)
    try {
      return await work(db)
    } finally {
      db.close()
    }
  }
  const rows = async (query) => await using({ readonly: true }, (db) => db.prepare(query).all())
  return {
    name: 'SQLite',
    storage: (options) => kyselyStorage({ file, ...options }),
    random: '((random() & 4294967295) / 4294967296.0)',
    newestFirst: true,
    seeding: [],
    seeded: (batch, end) => [batchRow(batch, end, '')],
    run: async (statements) => await using({}, async (db) => {
      db.pragma('synchronous = off')
      db.exec('begin')
      for (const statement of statements) {
        db.exec(statement)
        await nextTurn()
      }
      db.exec('commit')
      db.pragma('wal_checkpoint(truncate)')
    }),
    async size (tables) {
      const [{ bytes }] = await rows(`select sum(pgsize) as bytes from dbstat where aggregate = 1
        and name in (select name from sqlite_schema where tbl_name in (${quoted(tables)}))`)
      return bytes
    },
    async close () {}
  }
}

async function postgres (database) {
  const using = async (database, work) => {
    const client = new pg.Client({ ...SERVER, database })
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  const admin = async (statement) => await using(env.PGDATABASE ?? 'postgres', async (client) => await client.query(statement))
  await admin(`create database ${database}`)
  return {
    name: 'Postgres',
    storage: ({ max = 10, ...options } = {}) => kyselyStorage({
      dialect: new PostgresDialect({ pool: new pg.Pool({ ...SERVER, database, max }) }), type: 'postgres', ...options
    }),
    random: 'random()',
    newestFirst: false,
    // Indexes that are made at the end: the time is another's.
    seeding: [`create temporary table made as select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
        from pg_index where indrelid = 'self_serve_usage_events'::regclass`,
    "do $$ declare one record; begin for one in select * from made loop execute 'drop index ' || one.name; end loop; end $$"],
    seeded: (batch, end) => [
      'do $$ declare one record; begin for one in select * from made loop execute one.definition; end loop; end $$',
      batchRow(batch, end, 'overriding system value'),
      `alter table self_serve_usage_batches alter column number restart with ${batch + 1}`
    ],
    run: async (statements) => await using(database, async (client) => {
      await client.query("set synchronous_commit = off; set work_mem = '256MB'; set maintenance_work_mem = '512MB'")
      for (let first = 0; first < statements.length; first += SENT_AT_ONCE) await client.query(statements.slice(first, first + SENT_AT_ONCE).join(';\n'))
      await client.query('vacuum analyze')
      // What the seed has left to write is not the benchmark's.
      await client.query('checkpoint')
    }),
    async size (tables) {
      const query = `select sum(pg_total_relation_size(name::regclass)) as bytes from unnest(array[${quoted(tables)}]) as name`
      const { rows: [{ bytes }] } = await using(database, async (client) => await client.query(query))
      return Number(bytes)
    },
    close: async () => { await admin(`drop database ${database} with (force)`) }
  }
}

function batchRow (number, end, overriding) {
  return `insert into self_serve_usage_batches (number, id, recorded_at) ${overriding} values (${number}, 'seed', ${end})`
}

function quoted (names) {
  return names.map((name) => `'${name}'`).join()
}
