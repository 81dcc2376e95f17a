// SQLite: our own connections to a file.
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, SqliteDialect, type CompiledQuery } from 'kysely'
import type { Database as Handle, Statement } from 'better-sqlite3'
import type { Tables } from './tables.js'
import { isBusy } from './write-lock.js'

/** ms SQLite itself waits for a lock. It does so on the event loop, once for every change that waits: those waits are all ours. */
const WRITE_BUSY_TIMEOUT = 0
/** A reader waits for nobody but a recovery or a last close, and its caller cannot wait otherwise. */
const READ_BUSY_TIMEOUT = 5
export const MEMORY = ':memory:'

export interface SqliteFile {
  readonly writer: Kysely<Tables>
  readonly reader: Kysely<Tables>
  /** Runs a compiled select on the read-only connection, synchronously. */
  all<R> (query: CompiledQuery<R>): R[]
  /** Grows with every commit of another connection, of whatever process, that the read-only one can see. */
  dataVersion (): number
  /** Moves what the write-ahead log holds into the file, and empties it, unless somebody is at work in it. */
  emptyLog (): void
  /** How many pages of the log this process lets others leave there before it moves them itself, on the event loop. */
  checkpointFrom (pages: number): void
  close (): Promise<void>
}

/**
 * Opens one file twice: to write (durable at every commit) and to read, so that verification never sees, and never
 * waits for, a change under way. Loads better-sqlite3 here and nowhere else.
 */
export async function openSqliteFile (file: string, timeout: number): Promise<SqliteFile> {
  const { default: Database } = await import('better-sqlite3')
  if (file !== MEMORY) makePrivateFile(file)
  const write = await retryWhileBusy(timeout, async () => {
    const handle = new Database(file, { timeout: WRITE_BUSY_TIMEOUT })
    try {
      handle.pragma('journal_mode = wal')
      handle.pragma('synchronous = full')
      handle.pragma('foreign_keys = on')
      // What is deleted is overwritten: an erased account is not left to be read in pages that are free.
      handle.pragma('secure_delete = on')
      return handle
    } catch (error) {
      handle.close()
      throw error
    }
  })
  // A database in memory belongs to its connection: there the one must serve for both.
  const read = file === MEMORY ? write : new Database(file, { timeout: READ_BUSY_TIMEOUT, readonly: true })
  const writer = kyselyOver(write)
  const reader = read === write ? writer : kyselyOver(read)
  const statements = new Map<string, Statement>()
  const dataVersion = read.prepare<[], number>('pragma data_version').pluck()
  return {
    writer,
    reader,
    all<R> (query: CompiledQuery<R>) {
      let statement = statements.get(query.sql)
      if (statement === undefined) {
        statement = read.prepare(query.sql)
        statements.set(query.sql, statement)
      }
      return statement.all(...query.parameters) as R[]
    },
    dataVersion: () => dataVersion.get()!,
    emptyLog () {
      if (!write.inTransaction) write.pragma('wal_checkpoint(truncate)')
    },
    checkpointFrom (pages) { write.pragma(`wal_autocheckpoint = ${pages}`) },
    async close () {
      if (reader !== writer) await reader.destroy()
      await writer.destroy()
    }
  }
}

/** One connection to a file, as it is: for who migrates it or looks at it. Made if it is missing, unless it is only read. */
export async function openPlainFile (file: string, readonly: boolean): Promise<Handle> {
  const { default: Database } = await import('better-sqlite3')
  if (!readonly) makePrivateFile(file)
  else if (!existsSync(file)) throw new Error(`There is no file ${file}.`)
  return new Database(file, { readonly, timeout: READ_BUSY_TIMEOUT })
}

/**
 * Makes the file, if it is missing, for its owner alone; SQLite gives the files beside it the same mode. A file that is
 * there is not opened: closing it would drop the POSIX locks of every SQLite connection this process has to it.
 */
function makePrivateFile (file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function kyselyOver (database: Handle): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
}

/** Opening takes a lock as well, where another process opens the file for the first time. */
async function retryWhileBusy<T> (timeout: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + timeout
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
    }
    await sleep(1 + Math.random() * 10)
  }
}
