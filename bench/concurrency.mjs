// How the cost of a request changes with the number of connections.
import { measure } from './harness.mjs'
import { added, median, spread } from './support/figures.mjs'
import { seedKeys, storageOf } from './support/seeded-keys.mjs'
import { bareServer, ourServer, rateLimit } from './support/servers.mjs'

const KEYS = 1000
const CONNECTIONS = [1, 8, 64, 256]
const BARE = 'bare Fastify'
const VERIFY = 'verify'
const EVERYTHING = 'everything'

export const variants = {
  [BARE]: bareServer,
  [VERIFY]: ({ file }) => ourServer({ storage: storageOf(file), usage: false, rateLimit }),
  [EVERYTHING]: ({ file }) => ourServer({ storage: storageOf(file), rateLimit })
}

const caseOf = (variant, connections) => `${variant}, ${connections} connection${connections === 1 ? '' : 's'}`

export default {
  about: `CPU of a request by number of connections: bare, verification with a scope and a rate limit, and with usage written (everything); SQLite by file, one pepper, maxDelay: 0; ${KEYS} keys in turn, wrk.`,

  async run ({ folder, rounds = 7, ...tools }) {
    const { file, credentials } = await seedKeys(folder, KEYS)
    const results = await measure({
      ...tools,
      rounds,
      credentials,
      context: { file },
      file: import.meta.filename,
      cases: CONNECTIONS.flatMap((connections) => Object.keys(variants).map((variant) => ({ name: caseOf(variant, connections), variant, connections })))
    })
    const cpuOf = (variant, connections) => results.get(caseOf(variant, connections)).map(({ cpu }) => cpu)
    const addedBy = (variant, connections) => added(cpuOf(variant, connections), cpuOf(BARE, connections))
    const rows = (variants, roundsOf) => variants.flatMap((variant) => CONNECTIONS.map((connections) => [caseOf(variant, connections), spread(roundsOf(variant, connections))]))
    return {
      tables: [
        { title: 'CPU µs a request', columns: ['median', 'min', 'max'], rows: rows([BARE, VERIFY, EVERYTHING], cpuOf) },
        { title: 'Added CPU, µs a request', columns: ['median', 'min', 'max'], rows: rows([VERIFY, EVERYTHING], addedBy) }
      ],
      bars: [],
      charts: [{
        name: 'concurrency',
        title: 'CPU of a request, by connections',
        x: { label: 'connections', values: CONNECTIONS, log: true },
        y: { label: 'CPU µs a request' },
        series: [EVERYTHING, VERIFY, BARE].map((name) => ({ name, values: CONNECTIONS.map((connections) => median(cpuOf(name, connections))) }))
      }]
    }
  }
}
