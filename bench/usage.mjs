// Usage at ten million events: how long snapshots take, and what writing, keeping and removing events costs.
import { openDatabases, seedAll } from './support/databases.mjs'
import { seedUsage } from './support/seeded-usage.mjs'
import { measureSnapshots } from './support/usage-snapshots.mjs'
import { measureDisk, measureFlushes, measureIngest, measurePruning } from './support/usage-writes.mjs'

const LARGE = 10_000_000
const SMALL = 1_000_000

export default {
  about: '10 M usage events of 30 days, 10 000 keys and 1 251 accounts (one with 5 000 keys and 1 M events, the others\' 9 M unevenly spread), 3 % failures, in a SQLite file and in Postgres, ' +
    'with 1 M beside it for growth. Snapshots by app.selfServeKeys.usage.snapshot; the rest through the storage port with default options: batches of events drawn from the same keys, ' +
    '8 000 as fast as it goes by one instance (SQLite) or two (Postgres), 1 000 (some 580 different keys) with pauses, or as the day after at its own pace; then the first day is pruned in steps of 2 000.',

  async run ({ folder, note, rounds }) {
    const end = Date.now()
    const all = []
    const open = async (name) => {
      const databases = await openDatabases(folder, name, note)
      all.push(...databases)
      return databases
    }
    try {
      const [large, small] = [await open('usage'), await open('usage-small')]
      for (const [databases, count] of [[small, SMALL], [large, LARGE]]) {
        note(`seeding ${count / 1e6} M events`)
        await seedAll(databases, async (database) => { await seedUsage(database, count, end) })
      }
      const options = { note, rounds }
      const results = [
        await measureSnapshots({ large, small }, options),
        await measureFlushes(large, options),
        await measureIngest(large, options),
        await measureDisk(large, LARGE, end, options),
        await measurePruning(large, end, options)
      ]
      return { tables: results.flatMap(({ tables }) => tables), bars: results.flatMap(({ bars }) => bars) }
    } finally {
      for (const database of all) await database.close()
    }
  }
}
