// What verification adds to a request: a key, its scope and one rate limit, without usage.
import { measure } from './harness.mjs'
import { added, median, spread } from './support/figures.mjs'
import { seedKeys, storageOf } from './support/seeded-keys.mjs'
import { bareServer, ourServer, rateLimit } from './support/servers.mjs'

const KEYS = 1000
const BARE = 'bare Fastify'
const AT_ONCE = 'verify, maxDelay: 0'
const DELAYED = 'verify, maxDelay: 1000'

const verifying = ({ file }, maxDelay) => ourServer({ storage: storageOf(file), usage: false, rateLimit, revocation: { maxDelay } })

export const variants = {
  [BARE]: bareServer,
  [AT_ONCE]: (context) => verifying(context, 0),
  [DELAYED]: (context) => verifying(context, 1000)
}

export default {
  about: `Verification, a scope and a rate limit with its headers over a bare route with a response schema: SQLite by file, one pepper, usage off; ${KEYS} keys in turn, wrk, 32 connections.`,

  async run ({ folder, rounds = 11, ...tools }) {
    const { file, credentials } = await seedKeys(folder, KEYS)
    const results = await measure({
      ...tools, rounds, credentials, context: { file }, file: import.meta.filename, cases: Object.keys(variants).map((name) => ({ name }))
    })
    const cpuOf = (name) => results.get(name).map(({ cpu }) => cpu)
    const rateOf = (name) => results.get(name).map(({ rate }) => rate)
    const addedBy = (name) => added(cpuOf(name), cpuOf(BARE))
    return {
      tables: [
        { title: 'CPU µs a request', columns: ['median', 'min', 'max'], rows: Object.keys(variants).map((name) => [name, spread(cpuOf(name))]) },
        { title: 'Added CPU, µs a request', columns: ['median', 'min', 'max'], rows: [AT_ONCE, DELAYED].map((name) => [name, spread(addedBy(name))]) },
        { title: 'Requests a second', columns: ['median', 'min', 'max'], rows: Object.keys(variants).map((name) => [name, spread(rateOf(name), 0)]) }
      ],
      bars: [
        { bar: AT_ONCE, value: median(addedBy(AT_ONCE)), unit: 'CPU µs a request', most: 5 },
        { bar: DELAYED, value: median(addedBy(DELAYED)), unit: 'CPU µs a request', most: 4 }
      ]
    }
  }
}
