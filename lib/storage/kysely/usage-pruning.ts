// Removes old usage over a connection that is not Kysely's: the statements are those of every SQLite database.
import type { Database as Handle } from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { sqliteDatabase } from './databases/sqlite.js'
import { TableNamesPlugin } from './table-names.js'
import type { Tables } from './tables.js'
import { pruneUsage } from './usage-removal.js'

/** In the transaction that is open. @param prefix of the tables' names */
export async function pruneOver (database: Handle, prefix: string, before: number, limit: number): Promise<number> {
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) }).withPlugin(new TableNamesPlugin({ prefix, schema: null }))
  return await pruneUsage({ db, database: sqliteDatabase }, before, limit)
}
