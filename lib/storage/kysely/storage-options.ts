// The options of kyselyStorage, checked.
import type { Dialect, Kysely } from 'kysely'
import { makeError } from '../../errors.js'
import { readPart } from '../../part-options.js'
import type { DatabaseType } from './databases/database.js'
import { readTableNames, type TableNames } from './table-names.js'

const NAME = 'kyselyStorage'
/** By which what is given is known to be Kysely's. */
const METHODS = { dialect: ['createDriver', 'createQueryCompiler'], db: ['selectFrom', 'transaction', 'withoutPlugins'] } as const
const TYPES: readonly unknown[] = ['sqlite', 'postgres', 'mysql'] satisfies DatabaseType[]

interface CommonOptions {
  /** Begins every table name. Lower-case letters, digits and `_`. @default 'self_serve_' */
  tablePrefix?: string
  /**
   * `'start'`: missing migration steps are applied at `ready()`. `'never'`: `ready()` rejects and names the missing step.
   * @default 'start' for `file`, 'never' otherwise
   */
  migrate?: 'start' | 'never'
}

interface ServerOptions extends CommonOptions {
  type: DatabaseType
  /**
   * The schema of the tables, which is there already; not for SQLite.
   * @default the one that the connection finds by itself: on Postgres the first of its search_path
   */
  schema?: string
}

/** Where the tables live: a SQLite file of our own, a dialect that we open and close, or the host's Kysely instance. */
export type KyselyStorageOptions =
  /** Path of a SQLite file, made if missing, or `':memory:'`. Needs better-sqlite3. */
  | CommonOptions & { file: string }
  /** Opened and closed by us, its pool included. */
  | ServerOptions & { dialect: Dialect }
  /** The host's instance, never closed by us. Its plugins are not used. */
  | ServerOptions & { db: Kysely<any> }

/** @throws INVALID_OPTION, naming the option */
export function refuse (option: string, rule: string): never {
  throw makeError('INVALID_OPTION', { message: `${NAME}: "${option}" ${rule}.`, details: { option } })
}

/** @returns what stands before the names of the tables. @throws INVALID_OPTION, naming the option */
export function checkOptions (options: KyselyStorageOptions): TableNames {
  const { given, methodsOf } = readPart(NAME, options, ['file', 'dialect', 'db', 'type', 'schema', 'tablePrefix', 'migrate'])
  const [source = 'file', ...others] = (['file', 'dialect', 'db'] as const).filter((name) => name in given)
  if (!(source in given) || others.length > 0) refuse(source, 'must be given alone: one of file, dialect and db')
  if (source !== 'file') methodsOf(source, METHODS[source])
  else if (typeof given.file !== 'string' || given.file === '' || given.file.includes('\0')) refuse('file', 'must be a path')
  if (source === 'file' ? given.type !== undefined : !TYPES.includes(given.type)) {
    refuse('type', 'must be \'sqlite\', \'postgres\' or \'mysql\' beside dialect or db, and is not given beside file')
  }
  if (given.migrate !== undefined && given.migrate !== 'start' && given.migrate !== 'never') {
    refuse('migrate', 'must be \'start\' or \'never\'')
  }
  return readTableNames(given, source === 'file' ? 'sqlite' : given.type as DatabaseType, refuse)
}
