// The hook that guards the host's routes: an API key where a route asks for one, or the session where it takes one.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import { toVerifiedApiKey, type KeyRef } from '../keys/api-key.js'
import type { KeyVerifier } from '../keys/verify-key.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'
import { readCredentials } from './credentials.js'
import { applyRateLimit } from './rate-limit-headers.js'
import { signIn, startState, type RequestState } from './request-state.js'
import type { RouteRule, RouteRules } from './route-rules.js'
import { findSession, type SessionSettings } from './session-rule.js'

export interface ProtectedRoutesParts {
  readonly rules: RouteRules
  readonly verifier: KeyVerifier
  readonly limiter: KeyLimiter
  readonly sessions: SessionSettings
  readonly logBindings: boolean
  /** Called once for a request with an identified key, before its key is judged. */
  readonly onIdentified: (request: FastifyRequest, reply: FastifyReply, key: KeyRef) => void
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
    const rule = parts.rules.of(config, request.server)
    if (rule === null) {
      done()
    } else if (rule === 'malformed') {
      request.log.error({ method, url }, 'route config "apiKey" is not valid: the request is refused')
      done(makeError('FORBIDDEN', { message: 'This route is not configured correctly.' }))
    } else {
      authorize(request, reply, rule, parts).then(() => { done() }, done)
    }
  })
}

async function authorize (request: FastifyRequest, reply: FastifyReply, rule: RouteRule, parts: ProtectedRoutesParts): Promise<void> {
  const { sessions } = parts
  const state = startState(request)
  setCacheHeaders(reply, rule, sessions.headers)
  const credentials = readCredentials(request.raw.rawHeaders, sessions.headers)
  if (credentials.keys.length > 1) {
    throw makeError('INVALID_REQUEST', {
      message: 'The request carries two different API keys.',
      details: { field: sessions.headers.join(', ') }
    })
  }
  // A presented key decides alone: no session rescues it, and `optional` does not forgive it.
  if (credentials.keys.length === 1) {
    await authorizeKey(request, reply, credentials.keys[0]!, rule, state, parts)
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

async function authorizeKey (
  request: FastifyRequest, reply: FastifyReply, plaintext: string, rule: RouteRule, state: RequestState,
  { verifier, limiter, logBindings, onIdentified }: ProtectedRoutesParts
): Promise<void> {
  const { key, refusal } = await verifier.verify(plaintext, rule)
  if (key !== null) {
    onIdentified(request, reply, key.ref)
    if (logBindings) request.log = reply.log = request.log.child({ apiKeyId: key.publicId })
  }
  if (refusal !== null) throw refusal
  const consumed = await limiter.consume(key.publicId)
  if (consumed !== null) applyRateLimit(reply, consumed)
  const apiKey = toVerifiedApiKey(key)
  state.caller = { via: 'apiKey', accountId: key.accountId, apiKey }
}

/** What a shared cache must know: the answer is one caller's. A handler may set its own. */
function setCacheHeaders (reply: FastifyReply, rule: RouteRule, keyHeaders: readonly string[]): void {
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private')
  const names = rule.session === true ? new Set([...keyHeaders, 'authorization', 'cookie']) : keyHeaders
  const vary = reply.getHeader('vary')
  reply.header('vary', [...(vary === undefined ? [] : [String(vary)]), ...names].join(', '))
}
