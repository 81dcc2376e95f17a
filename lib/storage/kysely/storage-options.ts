// The options of kyselyStorage, checked.
import type { Dialect, Kysely } from 'kysely'
import { makeError } from '../../errors.js'
import type { DatabaseType } from './databases/database.js'

const TYPES: readonly unknown[] = ['sqlite', 'postgres'] satisfies DatabaseType[]

interface CommonOptions {
  /** Begins every table name. Lower-case letters, digits and `_`. @default 'self_serve_' */
  tablePrefix?: string
  /**
   * `'start'`: missing migration steps are applied at `ready()`. `'never'`: `ready()` rejects and names the missing step.
   * @default 'start' for `file`, 'never' otherwise
   */
  migrate?: 'start' | 'never'
}

/** Where the tables live: a SQLite file of our own, a dialect that we open and close, or the host's Kysely instance. */
export type KyselyStorageOptions =
  /** Path of a SQLite file, made if missing, or `':memory:'`. Needs better-sqlite3. */
  | CommonOptions & { file: string }
  /** Opened and closed by us, its pool included. */
  | CommonOptions & { dialect: Dialect, type: DatabaseType }
  /** The host's instance, never closed by us. Its plugins are not used. */
  | CommonOptions & { db: Kysely<any>, type: DatabaseType }

/** @returns the table prefix. @throws INVALID_OPTION, naming the option */
export function checkOptions (options: KyselyStorageOptions): string {
  const refuse = (option: string, rule: string): never => {
    throw makeError('INVALID_OPTION', { message: `kyselyStorage: "${option}" ${rule}.`, details: { option } })
  }
  const given = options as unknown as Record<string, unknown>
  const [source = 'file', ...others] = ['file', 'dialect', 'db'].filter((name) => name in given)
  if (!(source in given) || others.length > 0) refuse(source, 'must be given alone: one of file, dialect and db')
  for (const name of Object.keys(given)) {
    if (!['file', 'dialect', 'db', 'type', 'tablePrefix', 'migrate'].includes(name)) refuse(name, 'is not an option')
  }
  const value = given[source]
  if (source === 'file' && (typeof value !== 'string' || value === '')) refuse('file', 'must be a path')
  if (source !== 'file' && (typeof value !== 'object' || value === null)) refuse(source, 'must be one of Kysely\'s')
  if (source === 'file' ? given.type !== undefined : !TYPES.includes(given.type)) {
    refuse('type', 'must be \'sqlite\' or \'postgres\' beside dialect or db, and is not given beside file')
  }
  if (given.migrate !== undefined && given.migrate !== 'start' && given.migrate !== 'never') {
    refuse('migrate', 'must be \'start\' or \'never\'')
  }
  const prefix = given.tablePrefix === undefined ? 'self_serve_' : given.tablePrefix
  if (typeof prefix !== 'string' || !/^[a-z_][a-z0-9_]{0,30}$/.test(prefix)) {
    refuse('tablePrefix', 'must be 1 to 31 lower-case letters, digits and _')
  }
  return prefix as string
}
