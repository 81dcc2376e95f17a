// The hook that guards the host's routes: an API key where a route asks for one, or the session where it takes one.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import type { KeyRequirement } from '../keys/judge-key.js'
import { readCredentials } from './credentials.js'
import { authorizeKey, presentedKey, type KeyCredentialParts } from './key-credential.js'
import { signIn, startState } from './request-state.js'
import type { RouteRule } from './route-rule.js'
import type { GuardedRoute, RouteRules } from './route-rules.js'
import { findSession, type SessionSettings } from './session-rule.js'

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
      authorize(request, reply, route, parts).then(() => { done() }, (error: Error) => { done(parts.keys.failure(error, request.ip)) })
    }
  })
}

async function authorize (request: FastifyRequest, reply: FastifyReply, { rule, charge }: GuardedRoute, parts: ProtectedRoutesParts): Promise<void> {
  const { sessions, keys } = parts
  const state = startState(request)
  setCacheHeaders(reply, rule, sessions.headers)
  const credentials = readCredentials(request.raw.rawHeaders, sessions.headers, sessions.isKeyShaped)
  const plaintext = presentedKey(credentials, sessions.headers)
  // A presented key decides alone: no session rescues it, and `optional` does not forgive it.
  if (plaintext !== null) {
    await authorizeKey(request, reply, { plaintext, requirement: requirementOf(rule, request.method), charge }, state, keys)
    return
  }
  if (rule.session === true) {
    const session = await findSession(request, credentials, sessions)
    if (session !== null) {
      signIn(state, session)
      return
    }
  } else if (credentials.bearer !== null && sessions.headers.includes('authorization')) {
    throw makeError('INVALID_API_KEY', { details: {} })
  }
  if (rule.optional !== true) {
    throw makeError('MISSING_API_KEY', rule.session === true ? { message: 'An API key or a signed-in session is required.' } : {})
  }
}

/** What anyone may see in a page's source may read, and nothing more. */
function requirementOf (rule: RouteRule, method: string): KeyRequirement {
  return rule.allowPublishable === true && method !== 'GET' && method !== 'HEAD' ? { ...rule, allowPublishable: false } : rule
}

/** What a shared cache must know: the answer is one caller's. A handler may set its own. */
function setCacheHeaders (reply: FastifyReply, rule: RouteRule, keyHeaders: readonly string[]): void {
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private')
  const names = rule.session === true ? new Set([...keyHeaders, 'authorization', 'cookie']) : keyHeaders
  const vary = reply.getHeader('vary')
  reply.header('vary', [...(vary === undefined ? [] : [String(vary)]), ...names].join(', '))
}
