// Rate-limit headers in the form of draft-ietf-httpapi-ratelimit-headers, and the refusal of a request that is too many.
import type { FastifyReply } from 'fastify'
import { makeError, type SelfServeKeysError } from '../errors.js'
import type { Consumed, LimitState } from '../rate-limit/rate-limit.js'

/**
 * Tells where the limits stand: one item of `RateLimit-Policy` and `RateLimit` for each.
 * @param legacy `X-RateLimit-*` besides, of the limit that has least left; all three in requests or seconds from now
 * @throws RATE_LIMITED if the request was refused
 */
export function applyRateLimit (reply: FastifyReply, { allowed, states, refusedBy }: Consumed, legacy: boolean): void {
  let policy = ''
  let standing = ''
  for (const { limit, remaining, resetMs } of states) {
    const comma = policy === '' ? '' : ', '
    policy += `${comma}"${limit.name}";q=${limit.max};w=${seconds(limit.windowMs)}`
    standing += `${comma}"${limit.name}";r=${remaining};t=${seconds(resetMs)}`
  }
  reply.header('ratelimit-policy', policy)
  reply.header('ratelimit', standing)
  if (legacy) setLegacyHeaders(reply, refusedBy ?? states.reduce((least, state) => state.remaining < least.remaining ? state : least))
  if (!allowed) throw tooMany(refusedBy!)
}

export function tooMany ({ limit, resetMs }: LimitState): SelfServeKeysError<'RATE_LIMITED'> {
  const windowSeconds = seconds(limit.windowMs)
  return makeError('RATE_LIMITED', {
    message: `Too many requests: at most ${limit.max} in ${windowSeconds} seconds.`,
    details: { name: limit.name, max: limit.max, windowSeconds, retryAfter: seconds(resetMs) }
  })
}

function setLegacyHeaders (reply: FastifyReply, { limit, remaining, resetMs }: LimitState): void {
  reply.header('x-ratelimit-limit', limit.max)
  reply.header('x-ratelimit-remaining', remaining)
  reply.header('x-ratelimit-reset', seconds(resetMs))
}

function seconds (ms: number): number {
  return Math.ceil(ms / 1000)
}
