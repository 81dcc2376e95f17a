// A process of its own for kysely.test.ts: opens five storages on one file at once and issues a default key with each.
import { once } from 'node:events'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { issuing, verdict } from '../helpers/keys.js'

const storages = Array.from({ length: 5 }, () => kyselyStorage({ file: process.argv[2]! }))
process.stdout.write('ready')
await once(process.stdin, 'data')
process.stdin.destroy()
const outcomes = await Promise.all(storages.map(async (storage) => {
  await storage.open({ log: console, timeout: 30_000 })
  return verdict(await storage.issueKey(issuing({ isDefault: true }, { maxKeys: 1 })))
}))
await Promise.all(storages.map(async (storage) => { await storage.close() }))
process.stdout.write(outcomes.join(' '))
