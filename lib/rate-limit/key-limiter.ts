// The rate limits of API keys: which buckets a request with a key has, and what the key's owner sees of them.
import type { RateLimitState } from '../keys/api-key.js'
import type { RateLimitCounter } from './guarded-store.js'
import type { Bucket, Consumed, LimitState, RateLimit } from './rate-limit.js'

/** A key and the limits its account's policy gives it; null: the plugin's own. */
export interface LimitedKey {
  readonly key: { readonly publicId: string, readonly accountId: string }
  readonly limits: readonly RateLimit[] | null
  /** Will `key` be this very object next time? @default false */
  readonly held?: boolean | undefined
}

/** What a request is charged besides its key's own limits, and how much. */
export interface Charge {
  readonly cost: number
  /** Is the route free of rate limits? */
  readonly exempt: boolean
  /** Limits of the route: counted for each key by itself, and for each of these names (the route). */
  readonly perKey: { readonly of: string, readonly limits: readonly RateLimit[] } | null
  /** A limit that all keys of an account share. */
  readonly perAccount: RateLimit | null
}

/** The charge of a route that says nothing. */
export const PLAIN_CHARGE: Charge = { cost: 1, exempt: false, perKey: null, perAccount: null }

export interface KeyLimiter {
  /** Charges one request of a verified key; null where there is no limit, or it was admitted uncounted. @throws STORAGE_UNAVAILABLE */
  consume (key: LimitedKey, charge: Charge): Consumed | null | Promise<Consumed | null>
  /** Charges one request of a session. Where the store is away it is counted here: its owner must be able to stop a key that leaked. */
  consumeAccount (accountId: string, limit: RateLimit): Consumed | null | Promise<Consumed | null>
  /** Where the keys' own limits stand, one list a key, charging nothing. All keys are of one account. */
  peek (keys: readonly LimitedKey[]): Promise<RateLimitState[][]>
  /** Empties the key's own limits. @throws STORAGE_UNAVAILABLE */
  reset (key: LimitedKey): Promise<void>
}

/** The buckets of a key's last request, and what they were made for. */
interface Made { readonly limits: LimitedKey['limits'], readonly perKey: Charge['perKey'], readonly perAccount: Charge['perAccount'], readonly buckets: readonly Bucket[] }

export function keyLimiter (counter: RateLimitCounter, defaults: readonly RateLimit[]): KeyLimiter {
  const bucketsOf = ({ key: { publicId, accountId }, limits }: LimitedKey, of = ''): Bucket[] =>
    (limits ?? defaults).map((limit) => ({ id: `${publicId}/${of}${limit.name}`, owner: accountId, limit }))

  const makeBuckets = (limited: LimitedKey, { perKey, perAccount }: Charge): Bucket[] => [
    ...bucketsOf(limited),
    ...(perKey === null ? [] : bucketsOf({ key: limited.key, limits: perKey.limits }, `${perKey.of}/`)),
    ...(perAccount === null ? [] : [accountBucket(limited.key.accountId, perAccount, 'keys')])
  ]

  // A key that is held in memory has the same buckets request after request: making their names costs more than counting.
  // Of a key that is not, they would outlive it: what a weak map holds waits for the garbage collection that takes long.
  const made = new WeakMap<LimitedKey['key'], Made>()
  const chargedBuckets = (limited: LimitedKey, charge: Charge): readonly Bucket[] => {
    if (limited.held !== true) return makeBuckets(limited, charge)
    const { key, limits } = limited
    const { perKey, perAccount } = charge
    const before = made.get(key)
    if (before !== undefined && before.limits === limits && before.perKey === perKey && before.perAccount === perAccount) return before.buckets
    const buckets = makeBuckets(limited, charge)
    made.set(key, { limits, perKey, perAccount, buckets })
    return buckets
  }

  return {
    consume (limited, charge) {
      if (charge.exempt) return null
      const buckets = chargedBuckets(limited, charge)
      return buckets.length === 0 ? null : counter.consume(buckets, charge.cost)
    },

    consumeAccount: (accountId, limit) => counter.consume([accountBucket(accountId, limit, 'sessions')], 1, true),

    async peek (keys) {
      const buckets = keys.map((key) => bucketsOf(key))
      const all = buckets.flat()
      const states = all.length === 0 ? [] : await counter.peek(all)
      let next = 0
      return buckets.map((own) => {
        next += own.length
        return states.slice(next - own.length, next).map(toRateLimitState)
      })
    },

    async reset (key) {
      const buckets = bucketsOf(key)
      if (buckets.length > 0) await counter.reset(buckets)
    }
  }
}

/** Sessions and keys have a budget each: a key that leaked must not keep its owner from revoking it. */
function accountBucket (accountId: string, limit: RateLimit, of: 'sessions' | 'keys'): Bucket {
  return { id: `account/${accountId}/${of}`, owner: accountId, limit }
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
