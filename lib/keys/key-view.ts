// Keys as their owner sees them, with where their rate limits stand.
import type { Policy } from '../policy/account-policy.js'
import type { Policies } from '../policy/policies.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'
import type { Clock } from '../time.js'
import { toApiKey, type ApiKey, type StoredKey } from './api-key.js'

export interface KeyView {
  /** Keys of one account. @throws STORAGE_UNAVAILABLE if the policy cannot be resolved */
  showAll (accountId: string, keys: readonly StoredKey[]): Promise<ApiKey[]>
  /** A key under a policy that is known. */
  show (key: StoredKey, policy: Policy): Promise<ApiKey>
}

export function keyView ({ limiter, policies, clock }: { limiter: KeyLimiter, policies: Pick<Policies, 'current'>, clock: Clock }): KeyView {
  const view = async (keys: readonly StoredKey[], { rateLimits: limits }: Policy): Promise<ApiKey[]> => {
    const now = clock.now()
    const states = await limiter.peek(keys.map((key) => ({ key, limits })))
    return keys.map((key, place) => toApiKey(key, states[place]!, now))
  }
  return {
    showAll: async (accountId, keys) => await view(keys, await policies.current(accountId)),
    show: async (key, policy) => (await view([key], policy))[0]!
  }
}
