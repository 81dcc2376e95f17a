// Postgres for tests: an own server in a temporary folder where the programs are installed, and PGlite in this process anywhere.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PostgresDialect, type PostgresPool } from 'kysely'
import pg from 'pg'
import type { Test } from 'tap'
import { freePort } from './free-port.js'

export interface PostgresServer {
  readonly port: number
  /** Its connections end with the test. */
  pool (config?: pg.PoolConfig): pg.Pool
  /** Kysely over a pool of its own. */
  db (config?: pg.PoolConfig): Kysely<any>
  /** kill -9 of the server, which then starts again on the same data and port. What it had written outlives it: the system holds that. */
  crash (): Promise<void>
}

/** Why there is no server to test against; null if one can be started. The program is what Debian's `postgresql` brings. */
export function whyNoPostgres (): string | null {
  return programs() === null ? 'PostgreSQL is not installed (apt-get install postgresql)' : null
}

/** Starts a server, ended with the test. It keeps nothing: a crash of the machine may lose what a commit wrote. */
export async function startPostgres (t: Test, settings: Record<string, string> = {}): Promise<PostgresServer> {
  const bin = programs()
  if (bin === null) throw new Error(whyNoPostgres()!)
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'))
  const owner = ownerOf(folder)
  const initdb = spawnSync(join(bin, 'initdb'), ['-D', join(folder, 'data'), '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-sync'], { ...owner, cwd: folder, encoding: 'utf8' })
  if (initdb.status !== 0) throw new Error(`initdb: ${initdb.stderr}`)
  const port = await freePort()
  const options = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'off', max_connections: '100', ...settings }
  const launch = (): ChildProcess => spawn(join(bin, 'postgres'), [
    '-D', join(folder, 'data'), '-p', String(port), ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  ], { ...owner, cwd: folder, stdio: 'ignore' })
  let child = launch()
  let over = false
  const kill = (): void => { child.kill('SIGQUIT') }
  process.once('exit', kill)
  const pools: pg.Pool[] = []
  t.teardown(async () => {
    over = true
    await Promise.all(pools.map(async (pool) => { await pool.end().catch(() => {}) }))
    await end(child)
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  })
  const pool = (config: pg.PoolConfig = {}): pg.Pool => {
    const made = new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 8, ...config })
    // As docs/storage.md tells a host: what breaks is told to whoever asked, and ends nothing else.
    made.on('error', () => {}).on('connect', (client) => { client.on('error', () => {}) })
    pools.push(made)
    return made
  }
  const own = pool({ max: 1 })
  if (!await isReady(own, child)) throw new Error('PostgreSQL ended before it was ready.')
  const restart = async (): Promise<void> => {
    // A test that ends meanwhile, by its time limit, leaves no server behind.
    if (over) return
    child = launch()
    // It does not start beside processes of the one before, which see a little later that it is gone.
    if (!await isReady(own, child)) await restart()
  }
  return {
    port,
    pool,
    db: (config) => new Kysely<any>({ dialect: new PostgresDialect({ pool: pool(config) }) }),
    async crash () {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      await restart()
    }
  }
}

/** Postgres in this process, for its SQL: one connection, which callers wait for. */
export async function pglite (t: Test): Promise<{ db: Kysely<any>, lite: PGlite }> {
  const lite = await PGlite.create()
  t.teardown(async () => { await lite.close() })
  let last: Promise<void> = Promise.resolve()
  const pool: PostgresPool = {
    async connect () {
      const before = last
      let release!: () => void
      last = new Promise((resolve) => { release = resolve })
      await before
      return {
        async query (text: string, parameters: readonly unknown[]) {
          const { rows, affectedRows } = await lite.query<any>(text, [...parameters])
          // As the driver of a server does, text for what has 64 bits.
          return { command: /^insert/i.test(text) ? 'INSERT' : /^update/i.test(text) ? 'UPDATE' : /^delete/i.test(text) ? 'DELETE' : 'SELECT', rowCount: affectedRows ?? rows.length, rows }
        },
        release
      } as never
    },
    async end () {}
  }
  return { db: new Kysely<any>({ dialect: new PostgresDialect({ pool }) }), lite }
}

/** The folder of the server's programs; null where there are none. Debian keeps them out of the path. */
function programs (): string | null {
  const debian = '/usr/lib/postgresql'
  const folders = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)).map((version) => join(debian, version, 'bin')) : []
  return [...folders, ...(process.env.PATH ?? '').split(':')].find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null
}

/** The server refuses to run as root. */
function ownerOf (folder: string): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout))
  chownSync(folder, uid!, gid!)
  return { uid: uid!, gid: gid! }
}

/** Waits until the server answers. @returns false if it has ended */
async function isReady (pool: pg.Pool, child: ChildProcess): Promise<boolean> {
  for (;;) {
    try {
      await pool.query('select 1')
      return true
    } catch {
      if (pool.ended) return false
      if (child.exitCode !== null) return false
      await sleep(20)
    }
  }
}

async function end (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGQUIT')
  await ended
}
