// The databases that a command line can name, each over the host's own copy of its driver, which is loaded at the first query.
import { MysqlDialect, PostgresDialect, SqliteDialect, type Dialect } from 'kysely'
import type { DatabaseType } from './databases/database.js'
import { openPlainFile } from './sqlite.js'

/** ms until a server that does not answer is given up. */
const CONNECT_TIMEOUT = 10_000

interface Server {
  /** What its addresses begin with. */
  readonly schemes: readonly string[]
  dialect (url: string): Dialect
}

export const SERVERS: Readonly<Record<Exclude<DatabaseType, 'sqlite'>, Server>> = {
  postgres: {
    schemes: ['postgres:', 'postgresql:'],
    dialect: (url) => new PostgresDialect({
      pool: async () => {
        const { default: pg } = await import('pg')
        const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: CONNECT_TIMEOUT })
        // A connection that breaks says so besides rejecting its query, and with nobody to hear that the process would end.
        return pool.on('error', () => {}).on('connect', (client) => { client.on('error', () => {}) })
      }
    })
  },
  mysql: {
    schemes: ['mysql:', 'mariadb:'],
    dialect: (url) => new MysqlDialect({
      pool: async () => {
        const { createPool } = await import('mysql2')
        return createPool({ uri: url, connectionLimit: 1, connectTimeout: CONNECT_TIMEOUT })
      }
    })
  }
}

/** @param readonly then the file must be there */
export function fileDialect (file: string, readonly: boolean): Dialect {
  return new SqliteDialect({ database: async () => await openPlainFile(file, readonly) })
}
