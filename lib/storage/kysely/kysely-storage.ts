// The storage port on SQL through Kysely: opens or borrows a database and runs the statements in their transactions.
import { Kysely, type CompiledQuery, type Dialect } from 'kysely'
import { makeError } from '../../errors.js'
import type { StoredKey } from '../../keys/api-key.js'
import type { ChangeContext, KeyIntention } from '../../keys/key-changes.js'
import { keyIntentions } from '../../keys/key-lifecycle.js'
import type { KeyOutcome, Storage } from '../storage.js'
import * as accounts from './account-queries.js'
import * as audit from './audit-queries.js'
import { changeKeys } from './key-changes.js'
import * as keys from './key-queries.js'
import { applySteps, checkSchema, migrationSteps } from './migrate.js'
import { openSqliteFile } from './sqlite.js'
import { TablePrefixPlugin } from './table-prefix.js'
import { toStoredKey, type KeyRow, type Tables } from './tables.js'
import { readUsage } from './usage-reads.js'
import { pruneUsage } from './usage-removal.js'
import { recordUsage } from './usage-writes.js'
import { writeQueue, type Write } from './write-queue.js'

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
  | CommonOptions & { dialect: Dialect, type: 'sqlite' }
  /** The host's instance, never closed by us. Its plugins are not used. */
  | CommonOptions & { db: Kysely<any>, type: 'sqlite' }

interface Connections {
  /** For changes. */
  readonly write: Write
  /** For lists and snapshots. */
  readonly reader: Kysely<Tables>
  /** For verification: the fastest way there is. */
  find (query: CompiledQuery): KeyRow[] | Promise<KeyRow[]>
  /** Leaves nothing of what was deleted in a log of the database. */
  emptyLog (): void
  close (): Promise<void>
}

/**
 * Keys and usage in a SQL database.
 * @param options default: the SQLite file `./self-serve-keys.db`
 * @throws INVALID_OPTION, naming the option
 */
export function kyselyStorage (options: KyselyStorageOptions = { file: './self-serve-keys.db' }): Storage {
  const prefix = checkOptions(options)
  const migrate = options.migrate ?? ('file' in options ? 'start' : 'never')
  let opened: Connections | undefined
  /** The lookup of a key by so many digests, compiled once: building it costs more than running it. */
  const lookups = new Map<number, CompiledQuery>()

  const connections = (): Connections => {
    if (opened === undefined) throw new Error('The storage is not open.')
    return opened
  }
  const write: Write = async (work) => await connections().write(work)
  const change = async <I extends ChangeContext>(intention: KeyIntention<I>, input: I): Promise<KeyOutcome> =>
    await write(async (db) => await changeKeys(db, intention, input))
  const reader = (): Kysely<Tables> => connections().reader

  return {
    async open ({ timeout }) {
      opened = await connect(options, prefix, timeout)
      try {
        const steps = migrationSteps('sqlite')
        if (migrate === 'start') await write(async (db) => { await applySteps(db, steps, prefix, Date.now()) })
        await checkSchema(reader(), steps, prefix)
      } catch (error) {
        await this.close()
        throw error
      }
    },
    async close () {
      await opened?.close()
      opened = undefined
    },

    findKeyByHash (digests) {
      const hashes = digests.map(({ hash }) => hash)
      let lookup = lookups.get(hashes.length)
      if (lookup === undefined) {
        lookup = keys.keyByHash(reader(), hashes).compile()
        lookups.set(hashes.length, lookup)
      }
      const keyAmong = (rows: KeyRow[]): StoredKey | null => {
        for (const { hash, pepperId } of digests) {
          const row = rows.find((one) => one.key_hash === hash && one.pepper_id === pepperId)
          if (row !== undefined) return toStoredKey(row)
        }
        return null
      }
      const rows = connections().find({ ...lookup, parameters: hashes })
      return rows instanceof Promise ? rows.then(keyAmong) : keyAmong(rows)
    },
    findKey: async (publicId) => await keys.findKey(reader(), publicId),
    getKey: async (accountId, publicId) => await keys.getKey(reader(), accountId, publicId),
    listKeys: async (query) => await keys.listKeys(reader(), query),
    countKeys: async (accountId, now) => await keys.countKeys(reader(), accountId, now),
    issueKey: async (input) => await change(keyIntentions.issueKey, input),
    rotateKey: async (input) => await change(keyIntentions.rotateKey, input),
    renewKey: async (input) => await change(keyIntentions.renewKey, input),
    updateKey: async (input) => await change(keyIntentions.updateKey, input),
    revokeKey: async (input) => await change(keyIntentions.revokeKey, input),
    revokeKeys: async (input) => await change(keyIntentions.revokeKeys, input),
    importKey: async (input) => await change(keyIntentions.importKey, input),
    rehashKeys: async (moves) => await write(async (db) => await keys.rehashKeys(db, moves)),
    pruneKeys: async (endedBefore, limit) => await write(async (db) => await keys.pruneKeys(db, endedBefore, limit)),

    addSite: async (input) => await write(async (db) => await accounts.addSite(db, input)),
    removeSite: async (input) => await write(async (db) => await accounts.removeSite(db, input)),
    listSites: async (accountId, limit) => await accounts.listSites(reader(), accountId, limit),
    recordAudit: async (accountId, entry) => await write(async (db) => await audit.recordAudit(db, accountId, entry)),
    listAudit: async (query) => await audit.listAudit(reader(), query),
    pruneAudit: async (before, limit) => await write(async (db) => await audit.pruneAudit(db, before, limit)),
    async eraseAccount (accountId, limit) {
      const removed = await write(async (db) => await accounts.eraseAccount(db, accountId, limit))
      if (removed === 0) connections().emptyLog()
      return removed
    },

    recordUsage: async (batch) => await write(async (db) => await recordUsage(db, batch)),
    readUsage: async (query) => await readUsage(reader(), query),
    pruneUsage: async (before, limit) => await write(async (db) => await pruneUsage(db, before, limit))
  }
}

async function connect (options: KyselyStorageOptions, prefix: string, timeout: number): Promise<Connections> {
  const plugin = new TablePrefixPlugin(prefix)
  if ('file' in options) {
    const file = await openSqliteFile(options.file, timeout)
    return {
      write: writeQueue(file.writer.withPlugin(plugin), timeout),
      reader: file.reader.withPlugin(plugin),
      find: (query) => file.all(query),
      emptyLog: file.emptyLog,
      close: async () => { await file.close() }
    }
  }
  const db = 'db' in options ? options.db as Kysely<Tables> : new Kysely<Tables>({ dialect: options.dialect })
  const ours = db.withoutPlugins().withPlugin(plugin)
  return {
    write: writeQueue(ours, timeout),
    reader: ours,
    emptyLog () {},
    find: async (query) => (await db.withoutPlugins().executeQuery<KeyRow>(query as CompiledQuery<KeyRow>)).rows,
    close: async () => { if ('dialect' in options) await db.destroy() }
  }
}

function checkOptions (options: KyselyStorageOptions): string {
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
  if (source === 'file' ? given.type !== undefined : given.type !== 'sqlite') {
    refuse('type', 'must be \'sqlite\' beside dialect or db, and is not given beside file')
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
