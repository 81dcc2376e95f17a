// What can be told of keys from their list alone.
import type { ApiKey, KeyStatus } from '../answers.js'

export interface KeyFilter {
  readonly environment: ApiKey['environment'] | 'all'
  readonly status: KeyStatus | 'all' | 'current' | 'ended'
  /** Part of a label, of a public id, or of what is shown of the key, in any case. */
  readonly search: string
}

export const EVERY_CURRENT_KEY: KeyFilter = { environment: 'all', status: 'current', search: '' }

export function hasEnded ({ status }: Pick<ApiKey, 'status'>): boolean {
  return status === 'expired' || status === 'revoked'
}

export function matches (key: ApiKey, { environment, status, search }: KeyFilter): boolean {
  if (environment !== 'all' && key.environment !== environment) return false
  if (status === 'current' || status === 'ended' ? hasEnded(key) !== (status === 'ended') : status !== 'all' && key.status !== status) return false
  const wanted = search.trim().toLowerCase()
  return [key.label, key.publicId, key.maskedKey, `${key.prefix}${key.first8}`].some((text) => text.toLowerCase().includes(wanted))
}

/** Of a key that was rotated: has anybody called it since its successor was made? null where that is not in the list. */
export function calledSinceRotation (key: ApiKey, keys: readonly ApiKey[]): boolean | null {
  const successor = keys.find(({ rotatedFrom }) => rotatedFrom === key.publicId)
  if (successor === undefined) return null
  return key.lastUsedAt !== null && Date.parse(key.lastUsedAt) >= Date.parse(successor.createdAt)
}

/** When a key ended, or null while it has not. */
export function endedAt (key: ApiKey): string | null {
  return key.status === 'revoked' ? key.revokedAt : key.status === 'expired' ? key.expiresAt : null
}

export type KeyAction = 'edit' | 'rotate' | 'renew' | 'disable' | 'enable' | 'revoke'

/** What may be done with a key, as the account routes let it: one that the host disabled is the host's to bring back. */
export function actionsOf ({ status, disabledBy }: Pick<ApiKey, 'status' | 'disabledBy'>): readonly KeyAction[] {
  const locked = disabledBy === 'host'
  switch (status) {
    case 'active': return ['edit', 'rotate', 'renew', 'disable', 'revoke']
    case 'retiring': return ['edit', 'revoke']
    case 'disabled': return locked ? ['edit', 'revoke'] : ['edit', 'renew', 'enable', 'revoke']
    case 'expired': return locked ? ['edit', 'revoke'] : ['edit', 'renew', 'revoke']
    case 'revoked': return []
  }
}
