// The host's say in who may do what on the standard account routes.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { makeError, RETRY_AFTER } from '../errors.js'
import type { AccountAction, Authorize } from '../options/policy-options.js'
import { within } from '../time.js'
import { stateOf } from './request-state.js'

/** @throws FORBIDDEN, STORAGE_UNAVAILABLE */
export type Authorizer = (request: FastifyRequest, action: AccountAction) => Promise<void>

const kAuthorizer = Symbol('self-serve-keys.authorizer')
type Authorized = FastifyInstance & { [kAuthorizer]?: Authorizer }

/** Makes the authorizer hold for an instance and the scopes inside it, a host's own use of `standardRoutes` included. */
export function authorizeBy (instance: FastifyInstance, authorizer: Authorizer): void {
  (instance as Authorized)[kAuthorizer] = authorizer
}

export function authorizerOf (scope: FastifyInstance): Authorizer {
  return (scope as Authorized)[kAuthorizer]!
}

/** @param authorize null: every actor may do everything */
export function authorizer (authorize: Authorize | null, timeout: number): Authorizer {
  if (authorize === null) return async () => {}
  return async (request, action) => {
    const caller = stateOf(request)?.caller
    let allowed: unknown
    try {
      allowed = await within(timeout, (async () => await authorize({
        account: caller?.via === 'session' ? caller.account : null,
        apiKey: caller?.via === 'apiKey' ? caller.apiKey : null,
        action,
        request
      }))(), () => new Error(`authorize gave no answer in ${timeout} ms.`))
      if (typeof allowed !== 'boolean') throw new TypeError('authorize answered neither true nor false.')
    } catch (cause) {
      throw makeError('STORAGE_UNAVAILABLE', {
        message: 'Whether this is allowed could not be checked. Try again shortly.',
        cause,
        details: { part: 'authorize', retryAfter: RETRY_AFTER }
      })
    }
    if (!allowed) throw makeError('FORBIDDEN', { message: `This account's ${caller?.via === 'apiKey' ? 'API key' : 'session'} may not do ${action}.` })
  }
}
