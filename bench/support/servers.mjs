// The servers that are measured: one route, bare, and with this library in front of it as a host would write it.
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'

/** So high that nobody is refused. */
export const MAX = 1_000_000_000
/** One limit by key, with its headers. */
export const rateLimit = { max: MAX, timeWindow: '1 minute' }

/** What all hosts here have: a scope, a pepper, and nobody who signs in. */
export const options = {
  session: { bearer: () => null },
  scopes: { 'blocks:read': 'Read blocks' },
  keys: { peppers: { current: 'p1', keys: { p1: 'a pepper of the benchmarks, which is long enough' } } }
}

/** The same route in all variants. */
export function withRoute (app, config = {}) {
  const response = { 200: { type: 'object', properties: { hello: { type: 'string' } } } }
  app.get('/', { config, schema: { response } }, (_request, reply) => { reply.send({ hello: 'world' }) })
  return app
}

export function bareServer () {
  return withRoute(Fastify())
}

/** @param more options beside those above: `storage` at least */
export async function ourServer (more) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, ...more })
  return withRoute(app, { apiKey: { scopes: ['blocks:read'] } })
}
