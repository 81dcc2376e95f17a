// Every storage we ship passes the storage contract, however it is opened.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { CamelCasePlugin, Kysely, SqliteDialect } from 'kysely'
import t from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { memoryStorage } from '../../lib/storage/memory-storage.js'
import { storageContract } from '../../lib/storage/storage-contract.js'
import type { Storage, UsageBatch } from '../../lib/storage/storage.js'
import { DAY, HOUR } from '../../lib/time.js'
import { ACCOUNT, event, issue, NOW } from '../helpers/keys.js'

let files = 0
const folder = t.testdir()
const newFile = (): string => join(folder, `${++files}.db`)

/** A host's own Kysely instance, with a plugin that renames every column and table. */
function hostDatabase (): Kysely<unknown> {
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: new Database(':memory:') }), plugins: [new CamelCasePlugin()] })
  t.teardown(async () => { await db.destroy() })
  return db
}

const storages: Record<string, () => Storage> = {
  'memory storage': memoryStorage,
  'kysely storage on a file': () => kyselyStorage({ file: newFile() }),
  'kysely storage in memory': () => kyselyStorage({ file: ':memory:' }),
  'kysely storage on a host\'s db with plugins, with a table prefix': () =>
    kyselyStorage({ db: hostDatabase(), type: 'sqlite', migrate: 'start', tablePrefix: 'x_' }),
  'kysely storage on a dialect': () =>
    kyselyStorage({ dialect: new SqliteDialect({ database: new Database(':memory:') }), type: 'sqlite', migrate: 'start' })
}

for (const [name, create] of Object.entries(storages)) {
  t.test(name, async (t) => {
    for (const { name, run } of storageContract(create)) await t.test(name, run)
  })
}

t.test('memory storage remembers the id of a batch for a day, and no longer', async (t) => {
  const storage = memoryStorage()
  const key = await issue(storage)
  const batch = (id: string, sealedAt: number): UsageBatch => ({ id, sealedAt, events: [event(key, NOW)] })
  const requests = async (): Promise<number | undefined> =>
    (await storage.readUsage({ accountId: ACCOUNT, start: NOW - NOW % HOUR, end: NOW - NOW % HOUR + HOUR, unit: 'hour', perKeyLimit: 1, recentLimit: 1 }))
      .timeline[0]?.requests
  for (const [id, sealedAt, total] of [
    ['old', NOW - DAY, 1], ['other', NOW, 2], ['old', NOW - DAY, 2], ['later', NOW + 1, 3], ['old', NOW - DAY, 4], ['other', NOW, 4]
  ] as const) {
    await storage.recordUsage(batch(id, sealedAt))
    t.equal(await requests(), total, id)
  }
})

t.test('a case fails where a storage breaks its claim, and closes it all the same', async (t) => {
  let closed = 0
  const forgetful = (): Storage => ({ ...memoryStorage(), findKey: async () => null, close: async () => { closed++ } })
  const outcomes = await Promise.allSettled(storageContract(forgetful).map(async ({ run }) => { await run() }))
  t.ok(outcomes.some(({ status }) => status === 'rejected'))
  t.equal(closed, outcomes.length)
})
