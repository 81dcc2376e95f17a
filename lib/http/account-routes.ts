// The scope of the account routes: no-store and the session rule first, then the standard routes or the host's own.
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import type { CompleteAccountRoutes } from '../options/complete-account-routes.js'
import type { StandardRouteSwitches } from '../options/options.js'
import { PLAIN_CHARGE } from '../rate-limit/key-limiter.js'
import { credentialReader, type CredentialReader } from './credentials.js'
import { authorizeKey, presentedKey, type KeyCredentialParts } from './key-credential.js'
import { documentRoutes, type RouteDocs } from './openapi.js'
import { applyRateLimit } from './rate-limit-headers.js'
import { signIn, startState } from './request-state.js'
import { standardRoutes } from './routes/standard-routes.js'
import { findSession, isSafe, type SessionSettings } from './session-rule.js'

export interface AccountRoutesOptions {
  readonly sessions: SessionSettings
  readonly keys: KeyCredentialParts
  readonly routes: StandardRouteSwitches | FastifyPluginAsync
  readonly settings: CompleteAccountRoutes
  readonly openapi: RouteDocs
}

export async function accountRoutes (scope: FastifyInstance, options: AccountRoutesOptions): Promise<void> {
  const { routes, keys, openapi, sessions, settings } = options
  const readCredentials = settings.apiKeys === null ? credentialReader([], sessions.isKeyShaped) : keys.readCredentials

  // A host may guard everything with protect(): the account routes have a rule of their own.
  scope.addHook('onRoute', (route) => { route.config = { ...route.config, apiKey: false } })
  documentRoutes(scope, openapi)

  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    // A browser's preflight carries no credentials: a CORS hook of the host answers it, or ours below.
    if (isPreflight(request)) return
    try {
      await identify(request, reply, readCredentials, options)
    } catch (error) {
      throw keys.failure(error as Error, request.ip)
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

/** Finds out whom a request acts for, its session's account or its key's where keys open these routes, and charges a change. */
async function identify (
  request: FastifyRequest, reply: FastifyReply, readCredentials: CredentialReader,
  { sessions, keys, settings: { apiKeys, mutationLimit } }: AccountRoutesOptions
): Promise<void> {
  const perAccount = isSafe(request.method) ? null : mutationLimit
  const credentials = readCredentials(request.raw.rawHeaders)
  if (apiKeys !== null) {
    const plaintext = presentedKey(credentials, keys.headers)
    if (plaintext !== null) {
      if (credentials.bearer !== null) {
        throw makeError('INVALID_REQUEST', {
          message: 'The request carries an API key and a session token. Send one of them.', details: { field: 'authorization' }
        })
      }
      const requirement = { scopes: [isSafe(request.method) ? apiKeys.read : apiKeys.write] }
      const { url: route } = request.routeOptions
      await authorizeKey(request, reply, { plaintext, route: route!, origin: credentials.origin, requirement, charge: { ...PLAIN_CHARGE, perAccount } }, startState(request), keys)
      return
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
  const consumed = perAccount === null ? null : await keys.limiter.consumeAccount(session.account.id, perAccount)
  if (consumed !== null) applyRateLimit(reply, consumed, keys.legacyHeaders)
}

/** https://fetch.spec.whatwg.org/#cors-preflight-request */
function isPreflight ({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}
