// The options about reports of leaked keys, as a host writes them.
import type { OnLeak } from '../leaks/leaked-keys.js'

/** Reports of secret scanners, by GitHub's partner protocol. */
export interface SecretScanningOptions {
  /**
   * What becomes of a secret key that is reported. `notify`: it goes on working. `disable`: it is stopped, and you alone can
   * enable it. `revoke`: it ends for good. The audit log and `onEvent` are told in every case.
   */
  onLeak: OnLeak
  /** Where reports are taken, by POST. @default '/v1/secret-scanning' */
  path?: string
  /** Where the scanner publishes the keys it signs with; https. @default 'https://api.github.com/meta/public_keys/secret_scanning' */
  keysUrl?: string
  /** These keys instead, identifier → PEM: nothing is fetched. @default none */
  publicKeys?: Record<string, string>
}
