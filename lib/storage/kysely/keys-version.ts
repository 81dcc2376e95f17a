// Whether any key has changed, told by SQLite without looking at keys (https://www.sqlite.org/pragma.html#pragma_data_version).
import type { CompiledQuery, Kysely } from 'kysely'
import type { SqliteFile } from './sqlite.js'
import type { Tables } from './tables.js'

/** The number that each change of a key replaces: by triggers, so that whoever writes to the file takes part. */
export function selectKeysVersion (db: Kysely<Tables>): CompiledQuery<{ version: number }> {
  return db.selectFrom('keys_version').select('version').where('number', '=', 1).compile()
}

/** @returns reads that number, and only where anything was committed since it was read last: usage is, all the time */
export function keysVersionOf (file: Pick<SqliteFile, 'all' | 'dataVersion'>, select: CompiledQuery<{ version: number }>): () => number {
  let seen: number | undefined
  let version = 0
  return () => {
    // First: what is committed from here on moves it for the next call.
    const dataVersion = file.dataVersion()
    if (dataVersion !== seen) {
      version = file.all(select)[0]!.version
      seen = dataVersion
    }
    return version
  }
}
