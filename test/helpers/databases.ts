// Every kind of database that several processes can share, started for a test: what they are told of it, and how to look into it.
import { join } from 'node:path'
import type { Test } from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import type { Storage } from '../../lib/storage/storage.js'
import type { DatabaseAddress } from './host-process.js'
import { startMysql, whyNoMysql } from './mysql.js'
import { startPostgres, whyNoPostgres } from './postgres.js'

export interface TestDatabase {
  readonly address: DatabaseAddress
  /** Reads what is there, beside the processes. Not open. */
  storage (): Storage
}

interface DatabaseKind {
  /** Why there is none here; null if there can be. */
  missing (): string | null
  start (t: Test): Promise<TestDatabase>
}

const onPostgres = (isolation: string): DatabaseKind => ({
  missing: whyNoPostgres,
  async start (t) {
    const server = await startPostgres(t, { default_transaction_isolation: isolation })
    return { address: { type: 'postgres', port: server.port }, storage: () => kyselyStorage({ db: server.db(), type: 'postgres' }) }
  }
})

const onMysql = (isolation: string): DatabaseKind => ({
  missing: whyNoMysql,
  async start (t) {
    const server = await startMysql(t, { 'transaction-isolation': isolation })
    return { address: { type: 'mysql', port: server.port }, storage: () => kyselyStorage({ db: server.db(), type: 'mysql' }) }
  }
})

export const DATABASES: Readonly<Record<string, DatabaseKind>> = {
  'a SQLite file': {
    missing: () => null,
    async start (t) {
      const file = join(t.testdir(), 'keys.db')
      return { address: { type: 'sqlite', file }, storage: () => kyselyStorage({ file, migrate: 'never' }) }
    }
  },
  'Postgres at READ COMMITTED': onPostgres('read committed'),
  'Postgres at REPEATABLE READ': onPostgres('repeatable read'),
  'MariaDB at READ COMMITTED': onMysql('READ-COMMITTED'),
  'MariaDB at REPEATABLE READ': onMysql('REPEATABLE-READ')
}
