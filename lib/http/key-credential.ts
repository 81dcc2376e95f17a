// What a presented API key goes through, on protected routes and on account routes that are open to keys.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorOf, makeError } from '../errors.js'
import { endOf, toVerifiedApiKey, type IdentifiedKey, type VerifiableKey } from '../keys/api-key.js'
import type { KeyRequirement } from '../keys/judge-key.js'
import { cutScopes } from '../keys/scopes.js'
import { unknownKey, type KeyVerifier, type Verification } from '../keys/verify-key.js'
import type { Charge, KeyLimiter } from '../rate-limit/key-limiter.js'
import { andThen, DAY, toIso, type Clock } from '../time.js'
import type { Credentials, CredentialReader } from './credentials.js'
import { applyRateLimit } from './rate-limit-headers.js'
import type { RequestState } from './request-state.js'

/** ms before its end from which a key's answers say when that is. */
const NOTICE = 30 * DAY

export interface KeyCredentialParts {
  readonly verifier: KeyVerifier
  readonly limiter: KeyLimiter
  readonly legacyHeaders: boolean
  readonly clock: Clock
  /** Lower-case names of the headers that carry keys. */
  readonly headers: readonly string[]
  readonly readCredentials: CredentialReader
  readonly logBindings: boolean
  /** Called once for a request with an identified key, before its key is judged. */
  readonly onIdentified: (request: FastifyRequest, reply: FastifyReply, key: VerifiableKey, route: string) => void
  /** What a request is answered that failed with this error: the error, or RATE_LIMITED after too many bad keys. */
  readonly failure: (error: Error, ip: string) => Error
}

/** A key that a request presents, where and from where, what is asked of it, and what it is charged. */
export interface Presented {
  readonly plaintext: string
  /** The pattern of the route. */
  readonly route: string
  readonly origin: Credentials['origin']
  readonly requirement: KeyRequirement
  readonly charge: Charge
}

/**
 * Makes the key of a request its caller: at once, unless storage, policy or limits have to be waited for.
 * @throws INVALID_API_KEY, FORBIDDEN and the like, RATE_LIMITED, STORAGE_UNAVAILABLE
 */
export function authorizeKey (
  request: FastifyRequest, reply: FastifyReply, presented: Presented, state: RequestState, parts: KeyCredentialParts
): void | Promise<void> {
  const { plaintext, route, origin, requirement, charge } = presented
  const { verifier, limiter, legacyHeaders, clock, logBindings, onIdentified } = parts

  const judge = (found: IdentifiedKey | null): void | Promise<void> => {
    if (found === null) throw errorOf(unknownKey())
    const { key } = found
    onIdentified(request, reply, key, route)
    if (logBindings) request.log = reply.log = request.log.child({ apiKeyId: key.publicId })
    const sameOrigin = request.headers['sec-fetch-site'] === 'same-origin'
    return andThen(verifier.judge(found, plaintext, requirement, { ip: request.ip, origin, sameOrigin }), (judged) => admit(judged, found.held))
  }

  const admit = (judged: Verification, held: IdentifiedKey['held']): void | Promise<void> => {
    if (judged.refusal !== null) throw errorOf(judged.refusal)
    const { key, policy } = judged
    announceEnd(reply, key, clock)
    return andThen(limiter.consume({ key, limits: policy.rateLimits, held }, charge), (consumed) => {
      if (consumed !== null) applyRateLimit(reply, consumed, legacyHeaders)
      state.caller = { via: 'apiKey', accountId: key.accountId, apiKey: toVerifiedApiKey(key, cutScopes(key.scopes, policy.grantable)) }
    })
  }

  return andThen(verifier.find(plaintext), judge)
}

/** The one key of the credentials, null if there is none. @throws INVALID_REQUEST for two: never the more privileged one */
export function presentedKey ({ key, twoKeys }: Credentials, headers: readonly string[]): string | null {
  if (twoKeys) {
    throw makeError('INVALID_REQUEST', { message: 'The request carries two different API keys.', details: { field: headers.join(', ') } })
  }
  return key
}

/** A key that ends soon says so on each answer, so that whoever runs the client sees it in time. */
function announceEnd (reply: FastifyReply, key: VerifiableKey, clock: Clock): void {
  if (key.expiresAt === null && key.retiresAt === null) return
  const end = endOf(key)!
  if (end - clock.now() <= NOTICE) reply.header('x-api-key-expires-at', toIso(end))
}
