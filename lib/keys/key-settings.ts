// What the host decided about the keys that are made, and what of it an account's policy leaves.
import type { Policy } from '../policy/account-policy.js'
import { shorterOf } from '../time.js'
import type { Access, Environment } from './api-key.js'
import { cutScopes } from './scopes.js'

/** How default keys are made. */
export interface DefaultKeySettings {
  readonly label: string
  readonly environment: Environment
  readonly access: Access
  readonly scopes: readonly string[] | null
  /** ms; null: never expires. */
  readonly lifetime: number | null
}

export interface KeySettings {
  readonly prefix: (access: Access, environment: Environment) => string
  readonly defaultKey: DefaultKeySettings
  /** Names of all scopes. */
  readonly catalogue: ReadonlySet<string>
  /** ms that a key lives unless its expiry is chosen; null: it never expires. */
  readonly lifetime: number | null
  /** ms that a key may live at most; null: no limit. */
  readonly maxLifetime: number | null
  /** ms that a rotated key may go on working at most. */
  readonly maxOverlap: number
}

/** ms that a key may live at most; null: no limit. */
export function maxLifetimeUnder (settings: Pick<KeySettings, 'maxLifetime'>, policy: Policy): number | null {
  return shorterOf(settings.maxLifetime, policy.maxLifetime)
}

/** The scopes of a key that names none. */
export function defaultScopesUnder ({ defaultKey }: Pick<KeySettings, 'defaultKey'>, access: Access, policy: Policy): string[] | null {
  // A publishable key is asked for none.
  if (access === 'publishable') return []
  const scopes = cutScopes(defaultKey.scopes, policy.grantable)
  return defaultKey.scopes === null || scopes === null ? null : [...scopes]
}
