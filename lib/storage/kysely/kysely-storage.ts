// The storage port on SQL through Kysely: runs the statements in their transactions.
import type { Kysely } from 'kysely'
import type { FoundKey } from '../../keys/api-key.js'
import type { ChangeContext, KeyIntention } from '../../keys/key-changes.js'
import { keyIntentions } from '../../keys/key-lifecycle.js'
import { andThen } from '../../time.js'
import type { KeyOutcome, Storage } from '../storage.js'
import * as accounts from './account-queries.js'
import * as audit from './audit-queries.js'
import { connect, type Connections } from './connections.js'
import type { On } from './databases/database.js'
import type { Found } from './found-keys.js'
import { changeKeys } from './key-changes.js'
import * as keys from './key-queries.js'
import { readKeyUsage } from './key-usage-reads.js'
import { applySteps, checkSchema } from './migrate.js'
import { migrationSteps } from './migration-steps.js'
import { pruneRequests } from './request-queries.js'
import { checkOptions, refuse, type KyselyStorageOptions } from './storage-options.js'
import { MEMORY } from './sqlite.js'
import { toStoredKey, type Tables } from './tables.js'
import { readUsage } from './usage-reads.js'
import { pruneUsage } from './usage-removal.js'
import { recordUsage } from './usage-writes.js'

/**
 * Keys and usage in a SQL database.
 * @param options default: the SQLite file `./self-serve-keys.db`
 * @throws INVALID_OPTION, naming the option
 */
export function kyselyStorage (options: KyselyStorageOptions = { file: './self-serve-keys.db' }): Storage {
  const names = checkOptions(options)
  const migrate = options.migrate ?? ('file' in options ? 'start' : 'never')
  let opened: Connections | undefined

  const connections = (): Connections => {
    if (opened === undefined) throw new Error('The storage is not open.')
    return opened
  }
  const write = async <T>(work: (on: On) => Promise<T>): Promise<T> => {
    const { write, database } = connections()
    return await write(async (db) => await work({ db, database }))
  }
  const change = async <I extends ChangeContext>(intention: KeyIntention<I>, input: I): Promise<KeyOutcome> =>
    await write(async (on) => await changeKeys(on, intention, input))
  const reader = (): Kysely<Tables> => connections().reader
  const reading = (): On => ({ db: connections().reader, database: connections().database })

  return {
    get server () { return 'type' in options && options.type !== 'sqlite' },

    async open ({ timeout }) {
      opened = await connect(options, names, timeout)
      try {
        const unfit = await opened.database.unfit(opened.reader)
        if (unfit !== null) refuse('db' in options ? 'db' : 'dialect', unfit)
        const steps = migrationSteps(opened.database.type)
        if (migrate === 'start') await write(async (on) => { await applySteps(on, steps, names, Date.now()) })
        await checkSchema(reading(), steps, names)
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
      const keyAmong = (found: readonly Found[]): FoundKey | null => {
        for (const { hash, pepperId } of digests) {
          const one = found.find(({ row }) => row.key_hash === hash && row.pepper_id === pepperId)
          if (one !== undefined) return { key: toStoredKey(one.row), siteOrigins: one.siteOrigins }
        }
        return null
      }
      return andThen(connections().find(digests.map(({ hash }) => hash)), keyAmong)
    },
    ...('file' in options && options.file !== MEMORY && { keysVersion: () => connections().keysVersion!() }),
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
    rehashKeys: async (moves) => await write(async ({ db }) => await keys.rehashKeys(db, moves)),
    pruneKeys: async (endedBefore, limit) => await write(async ({ db }) => await keys.pruneKeys(db, endedBefore, limit)),
    pruneRequests: async (now, limit) => await write(async ({ db }) => await pruneRequests(db, now, limit)),

    addSite: async (input) => await write(async (on) => await accounts.addSite(on, input)),
    removeSite: async (input) => await write(async (on) => await accounts.removeSite(on, input)),
    listSites: async (accountId, limit) => await accounts.listSites(reader(), accountId, limit),
    recordAudit: async (accountId, entry) => await write(async (on) => await audit.recordAudit(on, accountId, entry)),
    listAudit: async (query) => await audit.listAudit(reading(), query),
    pruneAudit: async (before, limit) => await write(async ({ db, database }) => await database.pruneAudit(db, before, limit)),
    async eraseAccount (accountId, limit) {
      const removed = await write(async (on) => await accounts.eraseAccount(on, accountId, limit))
      if (removed === 0) await connections().emptyLog()
      return removed
    },

    async recordUsage (batch) {
      const { usage } = connections()
      if (usage !== null && usage.takes(batch)) await usage.record(batch)
      else await write(async (on) => { await recordUsage(on, batch) })
    },
    readUsage: async (query) => await readUsage(reading(), query),
    readKeyUsage: async (query) => await readKeyUsage(reader(), query),
    async pruneUsage (before, limit) {
      const { usage } = connections()
      return usage?.running === true ? await usage.prune(before, limit) : await write(async (on) => await pruneUsage(on, before, limit))
    }
  }
}
