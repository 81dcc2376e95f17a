// What the whole costs a request, usage written to disk among it, beside a JSON Web Token's check and Better Auth's API keys.
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { measure } from './harness.mjs'
import { betterAuthServer, seedBetterAuth } from './support/better-auth.mjs'
import { added, fixed, median, spread, times } from './support/figures.mjs'
import { credentialsOf, seedKeys, storageOf } from './support/seeded-keys.mjs'
import { bareServer, ourServer, rateLimit, withRoute } from './support/servers.mjs'

const KEYS = 1000
const BARE = 'bare Fastify'
const OURS = 'everything'
const JWT = '@fastify/jwt, HS256'
const BETTER_AUTH = 'Better Auth, verifyApiKey'
const SECRET = 'a secret of the benchmarks, which is long enough'

export const variants = {
  [BARE]: bareServer,
  [OURS]: ({ file }) => ourServer({ storage: storageOf(file), rateLimit }),
  async [JWT] () {
    const app = await jwtApp()
    app.addHook('onRequest', async (request, reply) => {
      try {
        await request.jwtVerify()
      } catch (error) {
        reply.send(error)
      }
    })
    return withRoute(app)
  },
  [BETTER_AUTH]: ({ betterAuthFile }) => betterAuthServer(betterAuthFile)
}

async function jwtApp () {
  const app = Fastify()
  await app.register(jwt, { secret: SECRET })
  return app
}

export default {
  about: `Verification, a scope, a rate limit with its headers and usage written to the file, over a bare route; beside it @fastify/jwt and Better Auth's verifyApiKey (its rate limit raised, SQLite in WAL mode). SQLite by file, one pepper, maxDelay: 0; ${KEYS} keys or tokens in turn, wrk, 32 connections.`,

  async run ({ folder, rounds = 11, note, ...tools }) {
    note(`making ${KEYS} keys for each`)
    const ours = await seedKeys(folder, KEYS)
    const betterAuth = await seedBetterAuth(folder, KEYS)
    const app = await jwtApp()
    const tokens = Array.from({ length: KEYS }, (_, i) => `Bearer ${app.jwt.sign({ sub: `account_${i}` }, { expiresIn: '1h' })}`)
    const results = await measure({
      ...tools,
      note,
      rounds,
      file: import.meta.filename,
      context: { file: ours.file, betterAuthFile: betterAuth.file },
      cases: [
        { name: BARE, credentials: ours.credentials },
        { name: OURS, credentials: ours.credentials },
        { name: JWT, credentials: credentialsOf(folder, 'tokens', tokens, 'authorization') },
        { name: BETTER_AUTH, credentials: betterAuth.credentials }
      ]
    })
    const cpuOf = (name) => results.get(name).map(({ cpu }) => cpu)
    const rateOf = (name) => results.get(name).map(({ rate }) => rate)
    const addedBy = (name) => added(cpuOf(name), cpuOf(BARE))
    const names = Object.keys(variants)
    const [ourCpu, jwtCpu, betterAuthCpu] = [OURS, JWT, BETTER_AUTH].map((name) => median(addedBy(name)))
    return {
      tables: [
        { title: 'CPU µs a request', columns: ['median', 'min', 'max'], rows: names.map((name) => [name, spread(cpuOf(name))]) },
        {
          title: 'Added CPU, µs a request',
          columns: ['median', 'min', 'max', 'ratio'],
          rows: [OURS, JWT, BETTER_AUTH].map((name) => [name, [...spread(addedBy(name)), `${fixed(median(addedBy(name)) / ourCpu, 2)}×`]])
        },
        {
          title: 'Requests a second',
          columns: ['median', 'min', 'max', 'of bare'],
          rows: names.map((name) => [name, [...spread(rateOf(name), 0), `${fixed(median(times(rateOf(name), rateOf(BARE))), 3)}×`]])
        }
      ],
      bars: [
        { bar: 'everything', value: ourCpu, unit: 'CPU µs a request', most: 10 },
        { bar: 'everything, against @fastify/jwt, added CPU', value: ourCpu / jwtCpu, unit: '×', most: 1 },
        { bar: 'everything, against Better Auth, throughput', value: median(times(rateOf(OURS), rateOf(BETTER_AUTH))), unit: '×', least: 20 },
        { bar: 'everything, against Better Auth, added CPU', value: betterAuthCpu / ourCpu, unit: '×', least: 50 }
      ]
    }
  }
}
