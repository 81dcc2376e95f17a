// Opens or borrows a database: how it is written, read, and asked for a key.
import { Kysely, type CompiledQuery } from 'kysely'
import type { Database, DatabaseType } from './databases/database.js'
import { mysqlDatabase } from './databases/mysql.js'
import { postgresDatabase } from './databases/postgres.js'
import { sqliteDatabase } from './databases/sqlite.js'
import { ValuesPlugin } from './databases/values.js'
import { findTogether } from './find-together.js'
import { foundByFunction, foundBySelect, type FindKeys } from './found-keys.js'
import { keysVersionOf, selectKeysVersion } from './keys-version.js'
import { serverTransactions } from './server-transactions.js'
import { MEMORY, openSqliteFile } from './sqlite.js'
import type { KyselyStorageOptions } from './storage-options.js'
import { TableNamesPlugin, type TableNames } from './table-names.js'
import type { Tables } from './tables.js'
import { CHECKPOINT } from './usage-messages.js'
import { usageThread, type UsageThread } from './usage-thread.js'
import { writeQueue, type Write } from './write-queue.js'

export interface Connections {
  readonly database: Database
  /** For changes. */
  readonly write: Write
  /** For usage, beside the event loop; null: all of it goes the way of other changes. */
  readonly usage: UsageThread | null
  /** For lists and snapshots. */
  readonly reader: Kysely<Tables>
  /** For verification: the fastest way there is. */
  readonly find: FindKeys
  /** What keys stand at; null where that is not known at once. */
  readonly keysVersion: (() => number) | null
  /** Leaves nothing of what was deleted in a log of the database. */
  emptyLog (): Promise<void>
  close (): Promise<void>
}

export const DATABASES: Readonly<Record<DatabaseType, Database>> = { sqlite: sqliteDatabase, postgres: postgresDatabase, mysql: mysqlDatabase }

export async function connect (options: KyselyStorageOptions, names: TableNames, timeout: number): Promise<Connections> {
  const plugin = new TableNamesPlugin(names)
  if ('file' in options) {
    const file = await openSqliteFile(options.file, timeout)
    const reader = file.reader.withPlugin(plugin)
    // The thread moves what is in the log: it comes first, and only where it does not, the event loop does.
    const usage = options.file === MEMORY ? null : usageThread(options.file, names.prefix, timeout, () => { file.checkpointFrom(2 * CHECKPOINT) })
    return {
      database: sqliteDatabase,
      write: writeQueue(file.writer.withPlugin(plugin), timeout),
      usage,
      reader,
      // The one connection of a database in memory sees what a change under way has written: there a search waits until it is over.
      find: foundBySelect(reader, options.file === MEMORY ? async (query) => (await reader.executeQuery(query)).rows : (query) => file.all(query)),
      // Its own connection's commits do not move what tells of others'.
      keysVersion: options.file === MEMORY ? null : keysVersionOf(file, selectKeysVersion(reader)),
      async emptyLog () {
        if (usage?.running === true) await usage.emptyLog()
        else file.emptyLog()
      },
      async close () {
        await usage?.close()
        await file.close()
      }
    }
  }
  const db = 'db' in options ? options.db as Kysely<Tables> : new Kysely<Tables>({ dialect: options.dialect })
  const database = DATABASES[options.type]
  const { transactions } = database
  // SQLite's driver gives numbers and text: there every row would be looked through for nothing.
  const bare = transactions === null ? db.withoutPlugins() : db.withoutPlugins().withPlugin(new ValuesPlugin())
  const ours = bare.withPlugin(plugin)
  const run = async <R>(query: CompiledQuery<R>): Promise<R[]> => (await bare.executeQuery(query)).rows
  return {
    database,
    write: transactions === null ? writeQueue(ours, timeout) : serverTransactions(ours, timeout, transactions),
    usage: null,
    reader: ours,
    find: findTogether(database.type === 'postgres' ? foundByFunction(ours, run) : foundBySelect(ours, run)),
    keysVersion: null,
    emptyLog: async () => {},
    close: async () => { if ('dialect' in options) await db.destroy() }
  }
}
