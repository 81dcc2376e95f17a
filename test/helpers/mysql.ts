// MariaDB for tests: an own server in a temporary folder where the programs are installed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, MysqlDialect } from 'kysely'
import mysql, { type Pool, type PoolOptions } from 'mysql2'
import type { Test } from 'tap'
import { freePort } from './free-port.js'

export interface MysqlServer {
  readonly port: number
  /** Its connections end with the test. */
  pool (options?: PoolOptions): Pool
  /** Kysely over a pool of its own, which `prepare` is shown first. */
  db (options?: PoolOptions, prepare?: (pool: Pool) => void): Kysely<any>
}

/** Why there is no server to test against; null if one can be started. Debian's `mariadb-server-core` brings the programs, without a server that runs. */
export function whyNoMysql (): string | null {
  return programs() === null ? 'MariaDB is not installed (apt-get install mariadb-server-core mariadb-client-core)' : null
}

/** Starts a server, ended with the test. It keeps nothing: a crash of the machine may lose what a commit wrote. */
export async function startMysql (t: Test, settings: Record<string, string> = {}): Promise<MysqlServer> {
  const bin = programs()
  if (bin === null) throw new Error(whyNoMysql()!)
  const folder = mkdtempSync(join(tmpdir(), 'mysql-'))
  const data = join(folder, 'data')
  // The server refuses to run as root unless it is told to.
  // A folder for what is temporary as well: a server that starts removes what others have in one that it shares with them.
  const owner = ['--no-defaults', `--user=${userInfo().username}`, `--datadir=${data}`, `--tmpdir=${folder}`]
  const install = spawnSync(bin.install, [...owner, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-log-bin'], { cwd: folder, encoding: 'utf8' })
  if (install.status !== 0) throw new Error(`mariadb-install-db: ${install.stdout}${install.stderr}`)
  const port = await freePort()
  const options = {
    'bind-address': '127.0.0.1',
    port: String(port),
    socket: join(folder, 'socket'),
    'pid-file': join(folder, 'pid'),
    'innodb-flush-log-at-trx-commit': '0',
    'innodb-buffer-pool-size': '64M',
    'max-connections': '200',
    ...settings
  }
  // A test that takes too long is killed, and its teardown with it: then the pipe ends, and somebody is left to see that.
  const child = spawn('sh', ['-c', 'exec 3<&0; (read _ <&3; kill -9 $$) & exec "$@" 3<&-', 'sh', bin.server, ...owner, ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)], {
    cwd: folder, stdio: ['pipe', 'ignore', 'ignore']
  })
  const pools: Pool[] = []
  t.teardown(async () => {
    await Promise.all(pools.map(async (pool) => { await pool.promise().end().catch(() => {}) }))
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  })
  const pool = (options: PoolOptions = {}): Pool => {
    const made = mysql.createPool({ host: '127.0.0.1', port, user: 'root', database: 'test', connectionLimit: 8, ...options })
    pools.push(made)
    return made
  }
  await untilReady(pool({ connectionLimit: 1, database: 'mysql' }), child)
  return {
    port,
    pool,
    db (options, prepare = () => {}) {
      const made = pool(options)
      prepare(made)
      return new Kysely<any>({ dialect: new MysqlDialect({ pool: made }) })
    }
  }
}

/** Where the server's programs are; null where there are none. Debian keeps the server out of the path. */
function programs (): { server: string, install: string } | null {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin']
  const find = (name: string): string | undefined => folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
  const server = find('mariadbd')
  const install = find('mariadb-install-db')
  return server === undefined || install === undefined ? null : { server, install }
}

/** Makes the database of the tests as soon as there is a server. */
async function untilReady (pool: Pool, child: ChildProcess): Promise<void> {
  for (;;) {
    try {
      await pool.promise().query('create database test character set latin1')
      return
    } catch (error) {
      if (child.exitCode !== null) throw new Error('MariaDB ended before it was ready.', { cause: error })
      await sleep(20)
    }
  }
}

async function end (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
