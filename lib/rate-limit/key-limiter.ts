// The rate limits of API keys: which buckets a key has, and what its owner sees of them.
import type { RateLimitState } from '../keys/api-key.js'
import type { Bucket, Consumed, LimitState, RateLimit, RateLimitStore } from './rate-limit.js'

/** A key and the limits its account's policy gives it; null: the plugin's own. */
export interface LimitedKey { readonly publicId: string, readonly limits: readonly RateLimit[] | null }

export interface KeyLimiter {
  /** Charges one request of a verified key; null when it has no rate limit. */
  consume (key: LimitedKey): Promise<Consumed | null>
  /** Where the limits of these keys stand, one list a key, charging nothing. */
  peek (keys: readonly LimitedKey[]): Promise<RateLimitState[][]>
}

export function keyLimiter (store: RateLimitStore, defaults: readonly RateLimit[]): KeyLimiter {
  const bucketsOf = ({ publicId, limits }: LimitedKey): Bucket[] =>
    (limits ?? defaults).map((limit) => ({ id: `${publicId}/${limit.name}`, limit }))
  return {
    async consume (key) {
      const buckets = bucketsOf(key)
      return buckets.length === 0 ? null : await store.consume(buckets)
    },
    async peek (keys) {
      const buckets = keys.map(bucketsOf)
      const all = buckets.flat()
      const states = all.length === 0 ? [] : await store.peek(all)
      let next = 0
      return buckets.map((own) => {
        next += own.length
        return states.slice(next - own.length, next).map(toRateLimitState)
      })
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
