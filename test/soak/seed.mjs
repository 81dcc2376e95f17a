// Makes a soak's database: thousands of keys that work, and some of every other kind.
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import selfServeKeys from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { Kysely, SqliteDialect } from 'kysely'
import { OPTIONS, personOf } from './settings.mjs'

const DAY = 86_400_000
const KEYS_OF_AN_ACCOUNT = 20
const OTHERS = 200
export const SITE = 'https://app.example.com'

/**
 * @param count keys that work
 * @returns { good, greedy, publishable, revoked, expired, hasty }: lists of { plaintext, publicId, accountId }
 */
export async function seed (file, count) {
  const database = new Database(file)
  // Nobody has been told of these keys yet: they need not outlive the machine's power.
  database.pragma('journal_mode = wal')
  database.pragma('synchronous = off')
  const app = Fastify()
  let now = Date.now() - DAY
  await app.register(selfServeKeys, {
    ...OPTIONS,
    session: { bearer: personOf },
    storage: kyselyStorage({ db: new Kysely({ dialect: new SqliteDialect({ database }) }), type: 'sqlite', migrate: 'start' }),
    clock: { now: () => now, monotonic: () => performance.now() }
  })
  const { keys } = app.selfServeKeys
  const several = async (number, label, input = {}) => {
    const made = []
    for (let i = 0; i < number; i++) {
      const by = { accountId: `${label}-${Math.floor(i / KEYS_OF_AN_ACCOUNT)}`, credential: 'host' }
      const { plaintextKey: plaintext, apiKey: { publicId } } = await keys.issue(by, { label, scopes: null, ...input })
      made.push({ plaintext, publicId, accountId: by.accountId })
    }
    return made
  }
  const expired = await several(OTHERS, 'expired', { expiresAt: new Date(now + 1000).toISOString() })
  now = Date.now()
  const revoked = await several(OTHERS, 'revoked')
  for (const { accountId, publicId } of revoked) await keys.revoke({ accountId, credential: 'host' }, publicId)
  const seeded = {
    good: await several(count, 'good'),
    greedy: await several(3, 'greedy'),
    hasty: await several(OTHERS, 'hasty'),
    publishable: await several(OTHERS, 'publishable', { access: 'publishable', scopes: undefined, allowedOrigins: [SITE] }),
    revoked,
    expired
  }
  await app.close()
  database.close()
  return seeded
}
