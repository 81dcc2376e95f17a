// What the host decided about the keys that are made.
import type { Access, Environment } from './api-key.js'

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
