// A process of its own for kysely.test.ts: tells whether better-sqlite3 was loaded by an import, and then by opening a file.
import { createRequire } from 'node:module'

const loaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('better-sqlite3'))

await import('../../lib/index.js')
await import('../../lib/testing.js')
const { kyselyStorage } = await import('../../lib/storage/kysely/index.js')
const storage = kyselyStorage({ file: ':memory:' })
const before = loaded()
await storage.open({ log: console, timeout: 1000 })
await storage.close()
process.stdout.write(JSON.stringify({ before, after: loaded() }))
