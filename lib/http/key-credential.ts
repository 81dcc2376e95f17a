// What a presented API key goes through, on protected routes and on account routes that are open to keys.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { makeError } from '../errors.js'
import { endOf, toVerifiedApiKey, type StoredKey } from '../keys/api-key.js'
import type { KeyRequirement, RequestSource } from '../keys/judge-key.js'
import { cutScopes } from '../keys/scopes.js'
import { unknownKey, type KeyVerifier } from '../keys/verify-key.js'
import type { Charge, KeyLimiter } from '../rate-limit/key-limiter.js'
import { DAY, toIso, type Clock } from '../time.js'
import type { Credentials } from './credentials.js'
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
  readonly logBindings: boolean
  /** Called once for a request with an identified key, before its key is judged. */
  readonly onIdentified: (request: FastifyRequest, reply: FastifyReply, key: StoredKey) => void
  /** What a request is answered that failed with this error: the error, or RATE_LIMITED after too many bad keys. */
  readonly failure: (error: Error, ip: string) => Error
}

/** A key that a request presents, what is asked of it, and what it is charged. */
export interface Presented { readonly plaintext: string, readonly requirement: KeyRequirement, readonly charge: Charge }

/**
 * Makes the key of a request its caller.
 * @throws INVALID_API_KEY, FORBIDDEN and the like, RATE_LIMITED, STORAGE_UNAVAILABLE
 */
export async function authorizeKey (
  request: FastifyRequest, reply: FastifyReply, { plaintext, requirement, charge }: Presented, state: RequestState,
  { verifier, limiter, legacyHeaders, clock, logBindings, onIdentified }: KeyCredentialParts
): Promise<void> {
  const found = await verifier.find(plaintext)
  if (found === null) throw unknownKey()
  const { key } = found
  onIdentified(request, reply, key)
  if (logBindings) request.log = reply.log = request.log.child({ apiKeyId: key.publicId })
  const judged = await verifier.judge(found, plaintext, requirement, sourceOf(request))
  if (judged.refusal !== null) throw judged.refusal
  const { policy } = judged
  announceEnd(reply, key, clock.now())
  const consumed = await limiter.consume({ publicId: key.publicId, accountId: key.accountId, limits: policy.rateLimits }, charge)
  if (consumed !== null) applyRateLimit(reply, consumed, legacyHeaders)
  state.caller = { via: 'apiKey', accountId: key.accountId, apiKey: toVerifiedApiKey(key, cutScopes(key.scopes, policy.grantable)) }
}

/** The one key of the credentials, null if there is none. @throws INVALID_REQUEST for two: never the more privileged one */
export function presentedKey ({ keys }: Credentials, headers: readonly string[]): string | null {
  if (keys.length > 1) {
    throw makeError('INVALID_REQUEST', { message: 'The request carries two different API keys.', details: { field: headers.join(', ') } })
  }
  return keys[0] ?? null
}

/** A key that ends soon says so on each answer, so that whoever runs the client sees it in time. */
function announceEnd (reply: FastifyReply, key: StoredKey, now: number): void {
  const end = endOf(key)
  if (end !== null && end - now <= NOTICE) reply.header('x-api-key-expires-at', toIso(end))
}

/** Read from the raw headers: of two `Origin` headers Node keeps the first. */
function sourceOf ({ ip, raw, headers }: FastifyRequest): RequestSource {
  const origins = raw.rawHeaders.filter((_value, place) => place % 2 === 1 && raw.rawHeaders[place - 1]!.toLowerCase() === 'origin')
  return {
    ip,
    origin: origins.length > 1 ? null : origins[0],
    sameOrigin: headers['sec-fetch-site'] === 'same-origin'
  }
}
