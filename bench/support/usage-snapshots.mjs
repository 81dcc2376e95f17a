// How long a usage snapshot takes, by account and window, over databases of two sizes.
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { accountId } from './key-rows.mjs'
import { median, quantile } from './quantiles.mjs'
import { options } from './servers.mjs'
import { ACCOUNTS, BIG } from './seeded-usage.mjs'

const ROUNDS = 8
/** Samples of a round. */
const ORDINARY = 50
const LARGE = 15
const WINDOWS = ['24h', '30d']

/**
 * @param databases seeded: the large one and, for how it grows, a small one, of each kind
 * @returns tables, and bars
 */
export async function measureSnapshots ({ large, small }, { rounds = ROUNDS, note }) {
  const cases = []
  const apps = []
  for (const [databases, size] of [[large, '10 M'], [small, '1 M']]) {
    for (const { name, storage } of databases) {
      const app = Fastify()
      await app.register(selfServeKeys, { ...options, storage: storage(), usage: { prune: false } })
      await app.ready()
      apps.push(app)
      for (const window of WINDOWS) {
        const snapshot = async (account) => await app.selfServeKeys.usage.snapshot(accountId(account), { window })
        cases.push({ name, size, window, who: 'ordinary', samples: [], count: ORDINARY, run: async () => await snapshot(ordinaryAccount()) })
        if (databases === large) cases.push({ name, size, window, who: '5 000 keys', samples: [], count: LARGE, run: async () => await snapshot(BIG) })
      }
    }
  }
  for (const { run } of cases) for (let times = 0; times < 5; times++) await run()
  for (let round = 0; round < rounds; round++) {
    note(`snapshots, round ${round + 1} of ${rounds}`)
    for (const { run, count, samples } of round % 2 === 0 ? cases : cases.toReversed()) {
      for (let times = 0; times < count; times++) {
        const begun = performance.now()
        await run()
        samples.push(performance.now() - begun)
        await nextTurn()
      }
    }
  }
  for (const app of apps) await app.close()
  return report(large, cases)
}

function ordinaryAccount () {
  return 3 + Math.floor(Math.random() * (ACCOUNTS - 2))
}

function report (databases, cases) {
  const p99 = (wanted) => quantile(samplesOf(cases, wanted), 0.99)
  const rows = cases.map(({ name, size, window, who, samples }) =>
    [`${name}, ${size}, ${who}, ${window}`, [median(samples), quantile(samples, 0.99), Math.max(...samples)].map((ms) => ms.toFixed(2))])
  const most = { SQLite: { ordinary: 3, '24h': 15, '30d': 40 }, Postgres: { ordinary: 5, '24h': 20, '30d': 50 } }
  const bars = databases.flatMap(({ name }) => [
    { bar: `usage snapshot p99, ordinary account, ${name}`, value: Math.max(...WINDOWS.map((window) => p99({ name, size: '10 M', who: 'ordinary', window }))), unit: 'ms', most: most[name].ordinary },
    ...WINDOWS.map((window) => ({ bar: `usage snapshot p99, account of 5 000 keys, ${window}, ${name}`, value: p99({ name, who: '5 000 keys', window }), unit: 'ms', most: most[name][window] })),
    ...WINDOWS.map((window) => ({ bar: `usage snapshot p99, ordinary account, ${window}, 1 M to 10 M events, ${name}`, value: p99({ name, size: '10 M', who: 'ordinary', window }) / p99({ name, size: '1 M', who: 'ordinary', window }), unit: '×', most: 1.5 }))
  ])
  return { tables: [{ title: 'Usage snapshot, ms', columns: ['median', 'p99', 'max'], rows }], bars }
}

function samplesOf (cases, wanted) {
  return cases.find((one) => Object.entries(wanted).every(([name, value]) => one[name] === value)).samples
}
