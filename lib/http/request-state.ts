// What the library knows of one request, kept under a symbol on it.
import type { FastifyRequest } from 'fastify'
import type { VerifiedApiKey } from '../keys/api-key.js'
import type { Actor } from '../keys/actor.js'
import type { Account } from '../sessions/session.js'
import type { Session } from './session-rule.js'
import { makeError } from '../errors.js'

/** Who calls: an API key, or a signed-in session. */
export type Caller =
  | { readonly via: 'apiKey', readonly accountId: string, readonly apiKey: VerifiedApiKey }
  | { readonly via: 'session', readonly accountId: string, readonly account: Account }

export interface RequestState {
  caller: Caller | null
  /** How a session came. */
  credential: 'bearer' | 'cookie' | null
  /** Code of the error that the request ended with. */
  failureCode: string | null
}

const kState = Symbol('self-serve-keys.request')
type WithState = FastifyRequest & { [kState]?: RequestState }

/** The state of a request that no rule of ours has looked at is undefined. */
export function stateOf (request: FastifyRequest): RequestState | undefined {
  return (request as WithState)[kState]
}

export function startState (request: FastifyRequest): RequestState {
  return ((request as WithState)[kState] = { caller: null, credential: null, failureCode: null })
}

/** Makes the session's account the caller. */
export function signIn (state: RequestState, { account, credential }: Session): void {
  state.caller = { via: 'session', accountId: account.id, account }
  state.credential = credential
}

/**
 * The verified API key of a request.
 * @throws UNPROTECTED_ROUTE where none was verified: the route asks for no key, or took a session or nobody in its place
 */
export function getApiKey (request: FastifyRequest): VerifiedApiKey {
  const caller = stateOf(request)?.caller
  if (caller?.via !== 'apiKey') throw makeError('UNPROTECTED_ROUTE', {})
  return caller.apiKey
}

/**
 * Who acts in this request: the first argument of every operation that changes something.
 * @throws UNPROTECTED_ROUTE where nobody was identified
 */
export function actorOf (request: FastifyRequest): Actor {
  const state = stateOf(request)
  const caller = state?.caller
  if (state === undefined || caller === null || caller === undefined) {
    throw makeError('UNPROTECTED_ROUTE', { message: 'actorOf() was called where nobody was identified.' })
  }
  const from = sourceOf(request)
  if (caller.via === 'apiKey') {
    const { publicId, label } = caller.apiKey
    return { accountId: caller.accountId, credential: 'api_key', apiKey: publicId, actor: { id: publicId, name: label }, ...from }
  }
  return { accountId: caller.accountId, credential: state.credential!, actor: caller.account.actor, ...from }
}

/** Where a request came from, as far as it may be kept. */
export function sourceOf (request: FastifyRequest): Pick<Actor, 'ip' | 'requestId'> {
  return { ip: keepable(request.ip) ?? undefined, requestId: requestIdOf(request) ?? undefined }
}

/** The request's id if it may be kept: a host may take it from a header. */
export function requestIdOf ({ id }: FastifyRequest): string | null {
  return keepable(id)
}

/**
 * Text that a client may have chosen, such as its address where a proxy is trusted that knows no better: not what is too long to
 * be meant, and no run of characters as long as a key's secret, which it could be.
 */
function keepable (text: unknown): string | null {
  return typeof text === 'string' && /^[\x21-\x7e]{1,128}$/.test(text) && !/[0-9A-Za-z]{42}/.test(text) ? text : null
}
