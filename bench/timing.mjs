// What the time of an answer tells a stranger: whether an id is somebody's key, and whether a guess comes near to one.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { PostgresDialect } from 'kysely'
import pg from 'pg'
// Ids and keys that nobody has are made as the library makes them.
import { randomBase62, ulid } from '../dist/lib/crypto.js'
import { generateKey } from '../dist/lib/keys/key-format.js'
import { checkCores, LOAD_CORE, SERVER_CORE } from './harness.mjs'
import { fixed } from './support/figures.mjs'
import { openConnection, requestText } from './support/one-connection.mjs'
import { temporaryDatabase } from './support/postgres.mjs'
import { options, rateLimit, withRoute } from './support/servers.mjs'
import { compare } from './support/two-samples.mjs'
import { startVariant } from './support/variant-process.mjs'

/** Requests of each kind in a round. */
const SAMPLES = 1000
/** Of Postgres there are fewer rounds: its answers take several times as long. */
const POSTGRES_PART = 5
const ACCOUNTS = 5
const KEYS_OF_AN_ACCOUNT = 100
const SQLITE = 'SQLite'
const POSTGRES = 'Postgres'
const session = { bearer: (token) => ({ id: token }) }

export const variants = {
  [SQLITE]: ({ file }) => server(kyselyStorage({ file })),
  [POSTGRES]: ({ database }) => server(storageOn(database))
}

async function server (storage) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, session, storage, rateLimit, accountRoutes: { rateLimit: false } })
  return withRoute(app, { apiKey: { scopes: ['blocks:read'] } })
}

function storageOn (database) {
  const pool = new pg.Pool({ ...database, max: 10 })
  pool.on('error', () => {}).on('connect', (client) => { client.on('error', () => {}) })
  return kyselyStorage({ dialect: new PostgresDialect({ pool }), type: 'postgres', migrate: 'start' })
}

/** Keys that work and as many that are revoked, of some accounts. @returns public ids, and both in plain text */
async function seed (storage) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, session, storage, usage: false })
  const { keys } = app.selfServeKeys
  const found = { ids: [], good: [], revoked: [] }
  for (let account = 0; account < ACCOUNTS; account++) {
    const by = { accountId: `account_${account}`, credential: 'host' }
    for (let i = 0; i < KEYS_OF_AN_ACCOUNT; i++) {
      const gone = await keys.issue(by, { label: 'bench' })
      await keys.revoke(by, gone.apiKey.publicId)
      found.revoked.push(gone.plaintextKey)
      const kept = await keys.issue(by, { label: 'bench' })
      found.ids.push(kept.apiKey.publicId)
      found.good.push(kept.plaintextKey)
    }
  }
  // Who asks is known here, too.
  await keys.issue({ accountId: 'stranger', credential: 'host' }, { label: 'bench' })
  await app.close()
  return found
}

const any = (list) => list[randomInt(list.length)]

/** Each with two kinds of requests that must not be told apart by their time. */
function pairsOf ({ ids, good, revoked }) {
  const nobodys = () => `key_${ulid(Date.now())}`
  const guess = () => generateKey('sk_live_')
  const byId = (method, path, body) => (id) => requestText(method, `/v1/me/api-keys/${id}${path}`, { authorization: 'Bearer stranger' }, body)
  const byKey = (key) => requestText('GET', '/', { 'x-api-key': key })
  // Of one length: what is shown of a key, its prefix and eight characters of its secret, or others in their place.
  const near = () => generateKey(any(good).slice(0, 16))
  const far = () => generateKey(`sk_live_${randomBase62(8)}`)
  const ofIds = (name, make) => ({ name: `${name}: an id that nobody has, one of another account`, status: 404, left: () => make(nobodys()), right: () => make(any(ids)) })
  const ofKeys = (name, left, right) => ({ name, status: 401, left: () => byKey(left()), right: () => byKey(right()) })
  return [
    ofIds('DELETE', byId('DELETE', '')),
    ofIds('GET', byId('GET', '')),
    ofIds('PATCH', byId('PATCH', '', '{"label":"mine"}')),
    ofIds('rotate', byId('POST', '/rotate', '{}')),
    ofKeys('a random key, one that begins as a good key does', far, near),
    ofKeys('a random key, a revoked key', guess, () => any(revoked)),
    ofKeys('a random key, a random key', guess, guess)
  ]
}

async function measure (name, context, rounds, note) {
  const { seeded, ...rest } = context
  const server = await startVariant('http-server.mjs', { file: import.meta.filename, name, context: rest, core: SERVER_CORE })
  const connection = await openConnection(server.ready.url)
  const pairs = pairsOf(seeded).map((pair) => ({ ...pair, times: { left: [], right: [] } }))
  for (let round = -1; round < rounds; round++) {
    note(round < 0 ? `${name}: warming up` : `${name}: round ${round + 1} of ${rounds}`)
    for (const pair of round % 2 === 0 ? pairs : pairs.toReversed()) {
      // Beforehand, so that no side has its request made, and the processor's caches changed, right before it is sent.
      const texts = Array.from({ length: SAMPLES }, () => ({ left: pair.left(), right: pair.right() }))
      for (const text of texts) {
        // Which comes first is chance: whatever the first of two leaves behind falls on both kinds alike.
        for (const side of randomInt(2) === 0 ? ['left', 'right'] : ['right', 'left']) {
          const { status, time } = await connection.ask(text[side])
          if (status !== pair.status) throw new Error(`${name}, ${pair.name}: answered ${status}`)
          if (round >= 0) pair.times[side].push(time)
        }
      }
    }
  }
  connection.close()
  await server.stop()
  return pairs.map((pair) => ({ name: pair.name, ...compare(pair.times.left, pair.times.right) }))
}

export default {
  about: `The time of an answer over one connection, one request after the other, two kinds in turn, which first by chance: ids and keys that nobody has, and some that somebody has or had. ${ACCOUNTS * KEYS_OF_AN_ACCOUNT} keys of either, rate limit and usage on, one pepper, maxDelay: 0. SQLite by file: ${fixed(SAMPLES, 0)} of each kind a round; Postgres: a ${POSTGRES_PART}th of the rounds. Effect: how much more often one of the second kind takes longer than one of the first than the other way round.`,

  async run ({ folder, note, rounds = 100 }) {
    checkCores()
    spawnSync('taskset', ['--all-tasks', '--pid', '--cpu-list', LOAD_CORE, String(process.pid)])
    const file = join(folder, 'timing.db')
    const found = new Map()
    found.set(SQLITE, await measure(SQLITE, { file, seeded: await seed(kyselyStorage({ file })) }, rounds, note))
    const database = await temporaryDatabase().catch((error) => { note(`left out, there is no Postgres: ${error.message}`) })
    if (database !== undefined) {
      found.set(POSTGRES, await measure(POSTGRES, { database, seeded: await seed(storageOn(database)) }, Math.ceil(rounds / POSTGRES_PART), note))
    }
    return {
      tables: [...found].map(([database, pairs]) => ({
        title: `${database}, µs`,
        columns: ['median', 'median', 'difference', 'effect'],
        rows: pairs.map(({ name, left, right, difference, effect }) => [name, [fixed(left), fixed(right), fixed(difference), fixed(effect, 3)]])
      })),
      bars: [...found].flatMap(([database, pairs]) => pairs.flatMap(({ name, difference, effect }) => [
        { bar: `${name}, ${database}, difference of medians`, value: Math.abs(difference), unit: 'µs', most: 20 },
        { bar: `${name}, ${database}, effect`, value: Math.abs(effect), unit: '', most: 0.05 }
      ]))
    }
  }
}
