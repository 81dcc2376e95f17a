// A Postgres database for one run, on the server that PGHOST, PGPORT, PGUSER and PGPASSWORD name, else on 127.0.0.1.
import { spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'
import pg from 'pg'

/** pg reads the other variables by itself. */
const SERVER = { host: process.env.PGHOST ?? '127.0.0.1', user: process.env.PGUSER ?? userInfo().username }

/** @returns what a pg.Pool is told. The database goes when this process ends, however that is. @throws without a server */
export async function temporaryDatabase () {
  const database = `self_serve_keys_bench_${process.pid}`
  await asAdministrator((client) => client.query(`create database ${database}`))
  // Nothing asynchronous runs while a process ends.
  process.on('exit', () => { spawnSync(process.execPath, [import.meta.filename, database], { stdio: ['ignore', 2, 2] }) })
  return { ...SERVER, database }
}

export async function serverVersion () {
  return await asAdministrator(async (client) => (await client.query('show server_version')).rows[0].server_version)
}

async function asAdministrator (work) {
  const client = new pg.Client({ ...SERVER, database: process.env.PGDATABASE ?? 'postgres', connectionTimeoutMillis: 2000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

if (process.argv[1] === import.meta.filename) {
  await asAdministrator((client) => client.query(`drop database if exists ${process.argv[2]} with (force)`))
}
