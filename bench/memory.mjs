// What the library holds in memory after a million requests over many keys, and whether it goes on growing.
import { setTimeout as sleep } from 'node:timers/promises'
import { checkTools, load, LOAD_CORE, SERVER_CORE } from './harness.mjs'
import { fixed, median } from './support/figures.mjs'
import { seedKeys, storageOf } from './support/seeded-keys.mjs'
import { bareServer, ourServer, rateLimit } from './support/servers.mjs'
import { startVariant } from './support/variant-process.mjs'

const KEYS = 100_000
const EARLY = 300_000
const LATE = 1_000_000
/** Requests around one of these numbers whose samples count for it. */
const AROUND = 50_000
const MIB = 2 ** 20
const BARE = 'bare Fastify'
const OURS = 'everything'

export const variants = {
  [BARE]: bareServer,
  [OURS]: ({ file }) => ourServer({ storage: storageOf(file), rateLimit })
}

/** @returns how much memory it took after how many requests, [{ requests, rss }], some times a second */
async function watch (server, credentials, note) {
  const { ended, stop } = load(server.ready.url, { credentials, connections: 32, core: LOAD_CORE, duration: 3600 })
  const samples = []
  let told = 0
  for (;;) {
    const { requests, rss } = await Promise.race([server.ask('count'), ended.then(() => { throw new Error('wrk has ended.') })])
    samples.push({ requests, rss })
    if (requests >= LATE + AROUND) break
    if (requests >= told + EARLY) note(`${server.name}: ${fixed(told = requests, 0)} requests`)
    await sleep(50)
  }
  stop()
  const { requests, failed } = await ended
  if (failed > 0) throw new Error(`${server.name}: ${failed} of ${requests} requests were not answered as they should be.`)
  return samples
}

/** MiB, the median of the samples around this number of requests. */
function memoryAt (samples, number) {
  return median(samples.filter(({ requests }) => Math.abs(requests - number) <= AROUND).map(({ rss }) => rss)) / MIB
}

export default {
  about: `Resident memory of the server's process while ${fixed(LATE, 0)} requests come with ${fixed(KEYS, 0)} keys in turn: a scope, a rate limit, usage written, SQLite by file, one pepper, maxDelay: 0, keys.cacheSize as it is. One run of each; a figure is the median of the samples around it.`,

  async run ({ folder, note, profile }) {
    checkTools()
    note(`making ${fixed(KEYS, 0)} keys`)
    const { file, credentials } = await seedKeys(folder, KEYS)
    const samples = new Map()
    for (const name of Object.keys(variants)) {
      const server = await startVariant('http-server.mjs', { file: import.meta.filename, name, context: { file }, core: SERVER_CORE, profile })
      samples.set(name, await watch(server, credentials, note))
      await server.stop()
    }
    const at = (name, number) => memoryAt(samples.get(name), number)
    const over = (number) => at(OURS, number) - at(BARE, number)
    const growth = (name) => (at(name, LATE) / at(name, EARLY) - 1) * 100
    const numbers = Array.from({ length: 10 }, (_, i) => (i + 1) * LATE / 10)
    return {
      tables: [
        {
          title: 'Resident memory, MiB, after requests',
          columns: [fixed(EARLY, 0), fixed(LATE, 0), 'growth'],
          rows: [
            ...[BARE, OURS].map((name) => [name, [fixed(at(name, EARLY)), fixed(at(name, LATE)), `${fixed(growth(name))} %`]]),
            ['over bare', [fixed(over(EARLY)), fixed(over(LATE)), '']]
          ]
        }
      ],
      bars: [
        { bar: 'memory over bare', value: over(LATE), unit: 'MiB', most: 80 },
        { bar: 'memory, growth from 0.3 M to 1 M requests', value: growth(OURS), unit: '%', most: 5 }
      ],
      charts: [{
        name: 'memory',
        title: `Resident memory with ${fixed(KEYS, 0)} keys in turn`,
        x: { label: 'requests', values: numbers },
        y: { label: 'MiB' },
        series: [OURS, BARE].map((name) => ({ name, values: numbers.map((number) => at(name, number)) }))
      }]
    }
  }
}
