// The scope of the account routes: no-store and the session rule first, then the standard routes or the host's own.
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import type { CompleteAccountRoutes } from '../options/complete-account-routes.js'
import type { StandardRouteSwitches } from '../options/options.js'
import type { RateLimitStore } from '../rate-limit/rate-limit.js'
import { readCredentials } from './credentials.js'
import { authorizeKey, presentedKey, type KeyCredentialParts } from './key-credential.js'
import { documentRoutes, type RouteDocs } from './openapi.js'
import { applyRateLimit } from './rate-limit-headers.js'
import { signIn, startState, stateOf } from './request-state.js'
import { standardRoutes } from './routes/standard-routes.js'
import { findSession, isSafe, type SessionSettings } from './session-rule.js'

export interface AccountRoutesOptions {
  readonly sessions: SessionSettings
  readonly keys: KeyCredentialParts
  readonly routes: StandardRouteSwitches | FastifyPluginAsync
  readonly settings: CompleteAccountRoutes
  readonly store: RateLimitStore
  readonly openapi: RouteDocs
}

export async function accountRoutes (scope: FastifyInstance, options: AccountRoutesOptions): Promise<void> {
  const { routes, settings: { mutationLimit }, store, openapi } = options

  // A host may guard everything with protect(): the account routes have a rule of their own.
  scope.addHook('onRoute', (route) => { route.config = { ...route.config, apiKey: false } })
  documentRoutes(scope, openapi)

  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    // A browser's preflight carries no credentials: a CORS hook of the host answers it, or ours below.
    if (isPreflight(request)) return
    const accountId = await identify(request, reply, options)
    if (mutationLimit !== null && !isSafe(request.method)) {
      // Sessions and keys have a budget each: a key that leaked must not keep its owner from revoking it.
      applyRateLimit(reply, await store.consume([{ id: `account/${accountId}/${stateOf(request)!.caller!.via}`, limit: mutationLimit }]))
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

/** The account that a request acts for: its session's, or its key's where keys open these routes. */
async function identify (request: FastifyRequest, reply: FastifyReply, { sessions, keys, settings: { apiKeys } }: AccountRoutesOptions): Promise<string> {
  const credentials = readCredentials(request.raw.rawHeaders, apiKeys === null ? [] : keys.headers, sessions.isKeyShaped)
  if (apiKeys !== null) {
    const plaintext = presentedKey(credentials, keys.headers)
    if (plaintext !== null) {
      if (credentials.bearer !== null) {
        throw makeError('INVALID_REQUEST', {
          message: 'The request carries an API key and a session token. Send one of them.', details: { field: 'authorization' }
        })
      }
      const state = startState(request)
      await authorizeKey(request, reply, plaintext, { scopes: [isSafe(request.method) ? apiKeys.read : apiKeys.write] }, state, keys)
      return state.caller!.accountId
    }
    if (sessions.session === null && credentials.bearer !== null) throw makeError('INVALID_API_KEY', { details: {} })
  }
  const session = await findSession(request, credentials, sessions)
  if (session === null) {
    throw apiKeys === null
      ? makeError('SESSION_REQUIRED', { details: { presented: false } })
      : makeError('MISSING_API_KEY', sessions.session === null ? {} : { message: 'An API key or a signed-in session is required.' })
  }
  signIn(startState(request), session)
  return session.account.id
}

/** https://fetch.spec.whatwg.org/#cors-preflight-request */
function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
