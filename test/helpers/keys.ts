// Keys for tests: about to be stored, stored, and stored in a given status.
import type { KeyStatus, StoredKey } from '../../lib/keys/api-key.js'
import { firstState } from '../../lib/keys/key-lifecycle.js'
import { newKey, NOW } from '../../lib/storage/contract/samples.js'

export * from '../../lib/storage/contract/samples.js'
export * from '../../lib/storage/contract/steps.js'

/** A key as a storage would hand it out. */
export function storedKey (overrides: Partial<StoredKey> = {}): StoredKey {
  return { ...firstState(newKey()), sequence: 1, ref: { account: 1, key: 1, version: 1 }, ...overrides }
}

/** What makes a key read as each status at NOW. */
export const IN_STATUS = {
  active: {},
  retiring: { retiresAt: NOW + 1 },
  disabled: { disabledBy: 'account' },
  expired: { expiresAt: NOW },
  revoked: { revokedAt: NOW - 1, revokedReason: 'revoked by its owner' }
} as const satisfies Record<KeyStatus, Partial<StoredKey>>
