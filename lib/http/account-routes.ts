// The scope of the account routes: no-store and the session rule first, then the standard routes or the host's own.
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import type { StandardRouteSwitches } from '../options/options.js'
import type { RateLimit, RateLimitStore } from '../rate-limit/rate-limit.js'
import { readCredentials } from './credentials.js'
import { documentRoutes, type RouteDocs } from './openapi.js'
import { applyRateLimit } from './rate-limit-headers.js'
import { signIn, startState } from './request-state.js'
import { standardRoutes } from './routes/standard-routes.js'
import { findSession, isSafe, type SessionSettings } from './session-rule.js'

export interface AccountRoutesOptions {
  readonly sessions: SessionSettings
  readonly routes: Required<StandardRouteSwitches> | FastifyPluginAsync
  /** Of authenticated changes, by account; null: none. */
  readonly mutationLimit: RateLimit | null
  readonly store: RateLimitStore
  readonly openapi: RouteDocs
}

export async function accountRoutes (scope: FastifyInstance, options: AccountRoutesOptions): Promise<void> {
  const { sessions, routes, mutationLimit, store, openapi } = options

  // A host may guard everything with protect(): the account routes have a rule of their own.
  scope.addHook('onRoute', (route) => { route.config = { ...route.config, apiKey: false } })
  documentRoutes(scope, openapi)

  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    // A browser's preflight carries no credentials: a CORS hook of the host answers it, or ours below.
    if (isPreflight(request)) return
    const session = await findSession(request, readCredentials(request.raw.rawHeaders, []), sessions)
    if (session === null) throw makeError('SESSION_REQUIRED', { details: { presented: false } })
    signIn(startState(request), session)
    if (mutationLimit !== null && !isSafe(request.method)) {
      applyRateLimit(reply, await store.consume([{ id: `account/${session.account.id}`, limit: mutationLimit }]))
    }
  })

  // Behind every onRequest hook, the host's CORS among them, and before any handler.
  scope.addHook('preParsing', async (request, reply, payload) => {
    if (!isPreflight(request)) return payload
    await reply.code(204).send()
  })

  if (typeof routes === 'function') await scope.register(routes)
  else await scope.register(standardRoutes, routes)
}

/** https://fetch.spec.whatwg.org/#cors-preflight-request */
function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
