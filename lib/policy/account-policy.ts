// What an account may do: the policy that a host resolves for it, and what holds where it resolves none.
import type { RateLimit } from '../rate-limit/rate-limit.js'

/** An account's policy, completed. */
export interface Policy {
  /** Keys of the account that are active, disabled or retiring, at most. */
  readonly maxKeys: number
  readonly maxSites: number
  /** Scopes its keys may have; null: all of the catalogue. */
  readonly grantable: readonly string[] | null
  /** ms that a key may live at most; null: no limit. */
  readonly maxLifetime: number | null
  readonly requireExpiry: boolean
  /** In place of the plugin's own; null: those. */
  readonly rateLimits: readonly RateLimit[] | null
  readonly suspended: boolean
}

/** Keys, and sites, that an account may have where its policy does not say. */
export const MOST = 100

export const NO_POLICY: Policy = {
  maxKeys: MOST, maxSites: MOST, grantable: null, maxLifetime: null, requireExpiry: false, rateLimits: null, suspended: false
}
