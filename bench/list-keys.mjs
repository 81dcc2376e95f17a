// A list of keys where an account has ten thousand that were revoked: the first page and one far behind.
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { openDatabases } from './support/databases.mjs'
import { accountId, accountRows, keyRows, publicId } from './support/key-rows.mjs'
import { median, quantile } from './support/quantiles.mjs'
import { options } from './support/servers.mjs'

const REVOKED = 10_000
const CURRENT = 5
const ROUNDS = 8
const SAMPLES = 50
const DAY = 86_400_000

export default {
  about: `app.selfServeKeys.keys.list for an account with ${CURRENT} current and ${REVOKED} revoked keys, among ${REVOKED} keys of others: the first page and one in the middle, 100 keys each; SQLite and Postgres.`,

  async run ({ folder, note, rounds = ROUNDS }) {
    const databases = await openDatabases(folder, 'list-keys', note)
    const apps = []
    try {
      const cases = []
      for (const { name, storage, run } of databases) {
        const createdAt = Date.now() - 300 * DAY
        const mine = '1'
        await run([
          accountRows(1001),
          ...keyRows({ first: 1, last: REVOKED, account: mine, createdAt, revoked: true }),
          ...keyRows({ first: REVOKED + 1, last: REVOKED + CURRENT, account: mine, createdAt }),
          ...keyRows({ first: REVOKED + CURRENT + 1, last: 2 * REVOKED, account: '(2 + i % 1000)', createdAt })
        ])
        const app = Fastify()
        await app.register(selfServeKeys, { ...options, storage: storage(), usage: false })
        await app.ready()
        apps.push(app)
        for (const [page, options] of [['first page', {}], ['later page', { before: publicId(REVOKED / 2) }]]) {
          const list = async () => await app.selfServeKeys.keys.list(accountId(1), options)
          if ((await list()).apiKeys.length !== 100) throw new Error(`${name}: the ${page} is not full`)
          cases.push({ name, page, list, samples: [] })
        }
      }
      for (let round = -1; round < rounds; round++) {
        note(round < 0 ? 'warming up' : `lists, round ${round + 1} of ${rounds}`)
        for (const { list, samples } of round % 2 === 0 ? cases : cases.toReversed()) {
          for (let times = 0; times < SAMPLES; times++) {
            const begun = performance.now()
            await list()
            if (round >= 0) samples.push(performance.now() - begun)
          }
        }
      }
      return {
        tables: [{
          title: 'A page of 100 keys, ms',
          columns: ['median', 'p99', 'max'],
          rows: cases.map(({ name, page, samples }) => [`${name}, ${page}`, [median(samples), quantile(samples, 0.99), Math.max(...samples)].map((ms) => ms.toFixed(2))])
        }],
        bars: cases.map(({ name, page, samples }) => ({ bar: `list with 10 000 historical keys p99, ${page}, ${name}`, value: quantile(samples, 0.99), unit: 'ms', most: 5 }))
      }
    } finally {
      for (const app of apps) await app.close()
      for (const database of databases) await database.close()
    }
  }
}
