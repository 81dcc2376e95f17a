// The hook that guards the host's routes: an API key where a route asks for one, or the session where it takes one.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import { isPromise } from '../time.js'
import type { Credentials } from './credentials.js'
import { authorizeKey, presentedKey, type KeyCredentialParts } from './key-credential.js'
import { signIn, startState, type RequestState } from './request-state.js'
import type { RouteRule } from './route-rule.js'
import type { GuardedRoute, RouteRules } from './route-rules.js'
import { findSession, type SessionSettings } from './session-rule.js'
import { addVary } from './vary.js'

export interface ProtectedRoutesParts {
  readonly rules: RouteRules
  readonly keys: KeyCredentialParts
  readonly sessions: SessionSettings
}

/**
 * Adds the hook. It runs in `onRequest`, before a body is read, so that a stranger cannot make us parse a megabyte; it
 * reads the matched route's config at the time of the request, because an `onRoute` hook never sees routes declared
 * before the plugin and would leave them open.
 */
export function protectedRoutes (app: FastifyInstance, parts: ProtectedRoutesParts): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) {
      done()
      return
    }
    const { config, method, url } = request.routeOptions
    const route = parts.rules.of(config, request.server)
    if (route === null) {
      done()
    } else if (route === 'malformed') {
      request.log.error({ method, url }, 'route config "apiKey" is not valid: the request is refused')
      done(makeError('FORBIDDEN', { message: 'This route is not configured correctly.' }))
    } else {
      const fail = (error: Error): void => { done(parts.keys.failure(error, request.ip)) }
      let authorized: void | Promise<void>
      try {
        authorized = authorize(request, reply, route, parts)
      } catch (error) {
        fail(error as Error)
        return
      }
      if (isPromise(authorized)) authorized.then(() => { done() }, fail)
      else done()
    }
  })
}

/** At once, unless somebody has to be waited for: what need not wait makes no promise. */
function authorize (request: FastifyRequest, reply: FastifyReply, route: GuardedRoute, { sessions, keys }: ProtectedRoutesParts): void | Promise<void> {
  const { rule, charge } = route
  const state = startState(request)
  setCacheHeaders(reply, route.vary)
  const credentials = keys.readCredentials(request.raw.rawHeaders)
  const plaintext = presentedKey(credentials, keys.headers)
  // A presented key decides alone: no session rescues it, and `optional` does not forgive it.
  if (plaintext !== null) {
    const requirement = route.requirementOf(request.method)
    return authorizeKey(request, reply, { plaintext, route: route.url, origin: credentials.origin, requirement, charge }, state, keys)
  }
  if (rule.session === true) return authorizeSession(request, rule, credentials, state, sessions)
  if (credentials.bearer !== null && keys.headers.includes('authorization')) throw makeError('INVALID_API_KEY', { details: {} })
  if (rule.optional !== true) throw makeError('MISSING_API_KEY', {})
}

async function authorizeSession (
  request: FastifyRequest, rule: RouteRule, credentials: Credentials, state: RequestState, sessions: SessionSettings
): Promise<void> {
  const session = await findSession(request, credentials, sessions)
  if (session !== null) signIn(state, session)
  else if (rule.optional !== true) throw makeError('MISSING_API_KEY', { message: 'An API key or a signed-in session is required.' })
}

/** What a shared cache must know: the answer is one caller's. A handler may set its own. */
function setCacheHeaders (reply: FastifyReply, vary: string): void {
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private')
  addVary(reply, vary)
}
