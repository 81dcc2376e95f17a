// The decisions every storage makes inside its transaction, free of effects: what a change means for the rows it has read.
import type { NewKey, StoredKey } from '../keys/api-key.js'
import { endOf, statusOf } from '../keys/api-key.js'
import type { KeyPage, ListKeysQuery } from './storage.js'

export type IssueDecision =
  | { readonly outcome: 'limit' }
  | { readonly outcome: 'disabled_by_host' }
  /** Store the key; if `vacates`, that key gives up the default slot; if `revokes`, it ends now as well. */
  | { readonly outcome: 'issued', readonly vacates: StoredKey | null }
  | { readonly outcome: 'rotated', readonly revokes: StoredKey }

/**
 * @param holder who holds the default slot the key is for; null if nobody or if the key is a named one
 * @param current how many keys of the account are neither revoked nor expired
 */
export function decideIssue (
  { holder, current, maxKeys, now }: { holder: StoredKey | null, current: number, maxKeys: number, now: number }
): IssueDecision {
  if (holder !== null) {
    if (holder.disabledBy === 'host') return { outcome: 'disabled_by_host' }
    // An expired default is not revoked, it only loses its slot: nothing was taken from the customer.
    if (statusOf(holder, now) !== 'expired') return { outcome: 'rotated', revokes: holder }
  }
  // A rotation replaces one key by one and is never refused for the number of keys.
  return current >= maxKeys ? { outcome: 'limit' } : { outcome: 'issued', vacates: holder }
}

/** The key as it is stored at first. */
export function firstState (key: NewKey): Omit<StoredKey, 'sequence' | 'ref'> {
  return { ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null, disabledBy: null }
}

/** What revoking changes in a row, `null` if the key is revoked already and stays as it is. */
export function decideRevoke (
  key: StoredKey, reason: string, now: number
): Pick<StoredKey, 'revokedAt' | 'revokedReason' | 'isDefault'> | null {
  return statusOf(key, now) === 'revoked' ? null : { revokedAt: now, revokedReason: reason, isDefault: false }
}

/** Has the key ended at `now`: is it revoked or expired? */
export function hasEnded (key: StoredKey, now: number): boolean {
  const end = endOf(key)
  return key.revokedAt !== null || (end !== null && end <= now)
}

/**
 * Puts a page together: `current` keys (first page only) and `ended` ones, both newest first and already filtered.
 * `ended` must hold `query.limit + 1` keys if there are as many.
 */
export function assemblePage (query: ListKeysQuery, current: readonly StoredKey[], ended: readonly StoredKey[]): NonNullable<KeyPage> {
  const fill = ended.slice(0, Math.max(0, query.limit - current.length))
  const keys = [...current, ...fill].sort((a, b) => b.sequence - a.sequence)
  const more = ended.length > fill.length
  return { keys, before: more ? fill.at(-1)?.publicId ?? 'start' : null }
}
