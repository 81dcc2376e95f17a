// The rate limits of API keys: which buckets a key has, and what its owner sees of them.
import type { RateLimitState } from '../keys/api-key.js'
import type { Bucket, Consumed, LimitState, RateLimit, RateLimitStore } from './rate-limit.js'

export interface KeyLimiter {
  /** Charges one request of a verified key; null when keys have no rate limit. */
  consume (publicId: string): Promise<Consumed | null>
  /** Where the limits of these keys stand, one list a key, charging nothing. */
  peek (publicIds: readonly string[]): Promise<RateLimitState[][]>
}

export function keyLimiter (store: RateLimitStore, limits: readonly RateLimit[]): KeyLimiter {
  const bucketsOf = (publicId: string): Bucket[] => limits.map((limit) => ({ id: `${publicId}/${limit.name}`, limit }))
  return {
    async consume (publicId) {
      return limits.length === 0 ? null : await store.consume(bucketsOf(publicId))
    },
    async peek (publicIds) {
      if (limits.length === 0) return publicIds.map(() => [])
      const states = await store.peek(publicIds.flatMap(bucketsOf))
      return publicIds.map((_id, place) =>
        states.slice(place * limits.length, (place + 1) * limits.length).map(toRateLimitState))
    }
  }
}

function toRateLimitState ({ limit, remaining, resetMs }: LimitState): RateLimitState {
  return {
    name: limit.name,
    max: limit.max,
    windowSeconds: Math.ceil(limit.windowMs / 1000),
    remaining,
    resetSeconds: Math.ceil(resetMs / 1000)
  }
}
