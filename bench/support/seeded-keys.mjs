// A SQLite file with accounts that have a key each, made once for a run and copied for each server.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'

/** @returns the file, and the keys in plain text */
export async function seedKeys (folder, count) {
  const database = join(folder, 'seeded.db')
  const app = Fastify()
  await app.register(selfServeKeys, { ...withoutSessions, storage: kyselyStorage({ file: database }), usage: false })
  const keys = []
  for (let i = 0; i < count; i++) {
    const { plaintextKey } = await app.selfServeKeys.keys.issue({ accountId: `account_${i}`, credential: 'host' }, { label: 'bench' })
    keys.push(plaintextKey)
  }
  // Closing also brings everything into the one file.
  await app.close()
  return { database, keys }
}

/** Storage on a copy of the file that is this process's own. */
export function storageOf (database) {
  const file = `${database}-${process.pid}`
  copyFileSync(database, file)
  return kyselyStorage({ file })
}

/** Nobody signs in to a benchmark. */
export const withoutSessions = { session: { bearer: () => null } }
