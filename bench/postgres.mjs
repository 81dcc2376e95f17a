// Verification on Postgres: how many requests a second two cores answer, and how many queries one takes.
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { measure } from './harness.mjs'
import { fixed, median, spread } from './support/figures.mjs'
import { temporaryDatabase } from './support/postgres.mjs'
import { credentialsOf } from './support/seeded-keys.mjs'
import { bareServer, options, ourServer, rateLimit } from './support/servers.mjs'

const KEYS = 1000
const BARE = 'bare Fastify'
const VERIFY = 'verify'
const EVERYTHING = 'everything'

function storageOn (pool) {
  return kyselyStorage({ db: new Kysely({ dialect: new PostgresDialect({ pool }) }), type: 'postgres', migrate: 'start' })
}

async function server ({ database }, more) {
  const pool = new pg.Pool({ ...database, max: 10 })
  let queries = 0
  // As docs/storage.md has it; and each question to the server is counted, whoever asks it.
  pool.on('error', () => {}).on('connect', (client) => {
    client.on('error', () => {})
    const { query } = client
    client.query = (...args) => {
      queries++
      return query.apply(client, args)
    }
  })
  const app = await ourServer({ storage: storageOn(pool), rateLimit, ...more })
  app.counters = () => ({ queries })
  return app
}

export const variants = {
  [BARE]: bareServer,
  [VERIFY]: (context) => server(context, { usage: false }),
  [EVERYTHING]: (context) => server(context)
}

/** @returns the credentials of keys that were issued one by one */
async function issueKeys (folder, database) {
  const pool = new pg.Pool({ ...database, max: 10 })
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, storage: storageOn(pool), usage: false })
  const keys = []
  while (keys.length < KEYS) {
    const issued = await Promise.all(Array.from({ length: 10 }, (_, i) => app.selfServeKeys.keys.issue({ accountId: `account_${keys.length + i}`, credential: 'host' }, { label: 'bench' })))
    keys.push(...issued.map(({ plaintextKey }) => plaintextKey))
  }
  await app.close()
  // As the server itself does within a minute.
  await pool.query('analyze')
  await pool.end()
  return credentialsOf(folder, 'keys', keys)
}

export default {
  about: `Verification, a scope and a rate limit with its headers on Postgres, maxDelay: 0, one pepper, a pool of 10; usage off, and on (everything): ${KEYS} keys in turn, wrk, 64 connections; server, Postgres and load share all cores.`,

  async run ({ folder, rounds = 9, note, ...tools }) {
    const database = await temporaryDatabase().catch((error) => { note(`left out, there is no Postgres: ${error.message}`) })
    if (database === undefined) return { tables: [], bars: [] }
    note(`issuing ${KEYS} keys`)
    const credentials = await issueKeys(folder, database)
    const results = await measure({
      ...tools,
      note,
      rounds,
      credentials,
      connections: 64,
      cores: {},
      context: { database },
      file: import.meta.filename,
      cases: Object.keys(variants).map((name) => ({ name }))
    })
    const names = Object.keys(variants)
    const rateOf = (name) => results.get(name).map(({ rate }) => rate)
    // Over the whole run: a round ends while requests wait, whose queries come after it.
    const queriesOf = (name) => {
      const [first, last] = [results.get(name)[0].before, results.get(name).at(-1).after]
      return (last.queries - first.queries) / (last.requests - first.requests)
    }
    return {
      tables: [
        { title: 'Requests a second', columns: ['median', 'min', 'max'], rows: names.map((name) => [name, spread(rateOf(name), 0)]) },
        { title: 'CPU µs a request, the server\'s process', columns: ['median', 'min', 'max'], rows: names.map((name) => [name, spread(results.get(name).map(({ cpu }) => cpu))]) },
        { title: 'Queries a request', columns: ['of the whole run'], rows: [VERIFY, EVERYTHING].map((name) => [name, [fixed(queriesOf(name), 3)]]) }
      ],
      bars: [
        { bar: 'Postgres, maxDelay: 0, queries a request', value: queriesOf(VERIFY), unit: 'queries', most: 1 },
        { bar: 'Postgres, maxDelay: 0', value: median(rateOf(VERIFY)), unit: 'requests a second', least: 12_000 }
      ]
    }
  }
}
