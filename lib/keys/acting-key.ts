// An API key that changes keys of its account: it may not give away more than it has itself.
import { endOf, statusOf, type NewKey, type StoredKey } from './api-key.js'
import { isWithin } from './ip-ranges.js'

/** The API key that asks for a change. */
export interface ActingKey {
  readonly publicId: string
  /** ms that a key of the account may live at most, from now; null: no such limit. */
  readonly maxLifetime: number | null
}

type Handled = Pick<NewKey, 'access' | 'environment' | 'scopes' | 'allowedIps' | 'expiresAt'>

/**
 * Has the key that asks ended since it was verified?
 * @param acting what there is of it now in the account
 */
export function actingEnded (asks: Pick<ActingKey, 'publicId'> | null, acting: StoredKey | null, now: number): boolean {
  return asks !== null && (acting === null || !['active', 'retiring'].includes(statusOf(acting, now)))
}

/**
 * What of `key` is more than the acting key has; null if nothing is, or no key acts.
 * @param latest when a key that is handed out must have ended; null or left out: its end does not matter
 */
export function beyondActing (
  acting: StoredKey | null, key: Handled, latest: number | null = null
): 'environment' | 'scopes' | 'allowedIps' | 'expiresAt' | null {
  if (acting === null) return null
  if (acting.environment === 'test' && key.environment === 'live') return 'environment'
  const { scopes, allowedIps } = acting
  if (scopes !== null && (hasAllScopes(key) || key.scopes!.some((scope) => !scopes.includes(scope)))) return 'scopes'
  // Without a range a key works from everywhere.
  if (allowedIps.length > 0 && (key.allowedIps.length === 0 || !key.allowedIps.every((range) => isWithin(range, allowedIps)))) return 'allowedIps'
  return latest !== null && (key.expiresAt === null || key.expiresAt > latest) ? 'expiresAt' : null
}

/** No scope is asked of a publishable key: it opens what routes allow it, whatever that asks of others. */
function hasAllScopes ({ access, scopes }: Handled): boolean {
  return access === 'publishable' || scopes === null
}

/**
 * When a key that the acting one hands out must have ended, null for never: with itself, or as late as any key of the
 * account may. A retiring key hands nothing on that outlives it: it is being replaced, perhaps because it leaked.
 */
export function latestEnd (acting: StoredKey | null, settings: ActingKey | null, now: number): number | null {
  const own = acting === null ? null : endOf(acting)
  if (own === null || acting?.retiresAt !== null || settings === null || settings.maxLifetime === null) return own
  return Math.max(own, now + settings.maxLifetime)
}

/**
 * The key with what nobody chose cut to what the acting key may give: its expiry, and where it may be used from. It belongs
 * to the person whom the acting key belongs to: when that person leaves, it ends with the others.
 */
export function boundTo<K extends Handled & Pick<NewKey, 'creatorId'>> (
  { acting: settings, now }: { acting: ActingKey | null, now: number }, acting: StoredKey | null, expiryGiven: boolean, key: K
): K {
  const latest = latestEnd(acting, settings, now)
  return {
    ...key,
    creatorId: acting === null ? key.creatorId : acting.creatorId,
    allowedIps: key.allowedIps.length > 0 ? key.allowedIps : acting?.allowedIps ?? [],
    expiresAt: expiryGiven || latest === null ? key.expiresAt : Math.min(key.expiresAt ?? latest, latest)
  }
}
