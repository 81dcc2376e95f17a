// Rate-limit headers in the form of draft-ietf-httpapi-ratelimit-headers, and the refusal of a request that is too many.
import type { FastifyReply } from 'fastify'
import { makeError } from '../errors.js'
import type { Consumed } from '../rate-limit/rate-limit.js'

/** Sets `RateLimit-Policy` and `RateLimit`, behind what is there of another limit. @throws RATE_LIMITED if the request was refused */
export function applyRateLimit (reply: FastifyReply, { allowed, states, refusedBy }: Consumed): void {
  addToList(reply, 'ratelimit-policy', states.map(({ limit }) => `"${limit.name}";q=${limit.max};w=${seconds(limit.windowMs)}`))
  addToList(reply, 'ratelimit', states.map(({ limit, remaining, resetMs }) => `"${limit.name}";r=${remaining};t=${seconds(resetMs)}`))
  if (allowed) return
  const { limit, resetMs } = refusedBy!
  throw makeError('RATE_LIMITED', {
    message: `Too many requests: at most ${limit.max} in ${seconds(limit.windowMs)} seconds.`,
    details: { name: limit.name, retryAfter: seconds(resetMs) }
  })
}

function addToList (reply: FastifyReply, name: string, items: readonly string[]): void {
  const there = reply.getHeader(name)
  reply.header(name, [...(there === undefined ? [] : [String(there)]), ...items].join(', '))
}

function seconds (ms: number): number {
  return Math.ceil(ms / 1000)
}
