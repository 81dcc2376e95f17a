// Changes of an account's sites: the decision that storages make under the account's lock.
import { auditedChange, type Audited, type AuditNote } from '../audit/audit-entry.js'
import { actingEnded, type ActingKey } from '../keys/acting-key.js'
import type { StoredKey } from '../keys/api-key.js'

/** An origin that the account's publishable keys may be used from. Times are ms since the epoch. */
export interface StoredSite { readonly siteId: string, readonly accountId: string, readonly origin: string, readonly createdAt: number }

interface SiteChange {
  readonly now: number
  readonly audit: AuditNote
  /** The API key that asks; null where a person or the host does. */
  readonly acting: Pick<ActingKey, 'publicId'> | null
}

export interface AddSiteInput extends SiteChange { readonly site: StoredSite, readonly maxSites: number }
export interface RemoveSiteInput extends SiteChange { readonly accountId: string, readonly siteId: string }

/** Why the key that asks may not: it has ended since it was verified, or it is a test key, and sites are where live keys work. */
export interface RefusedSite { readonly outcome: 'refused', readonly refusal: { readonly reason: 'acting_key_ended' | 'environment' } }

/** @param row what there is of the key that asks, now, in the account */
export function refuseSite ({ acting, now }: SiteChange, row: StoredKey | null): RefusedSite | null {
  if (actingEnded(acting, row, now)) return { outcome: 'refused', refusal: { reason: 'acting_key_ended' } }
  return row?.environment === 'test' ? { outcome: 'refused', refusal: { reason: 'environment' } } : null
}

/**
 * Whether a site is added: not twice, and no more than `maxSites`.
 * @param rows the key that asks, the account's site of the same origin, and how many sites it has
 */
export function decideAddSite (
  input: AddSiteInput, { acting, same, count }: { acting: StoredKey | null, same: StoredSite | null, count: number }
): RefusedSite | { outcome: 'limit' } | { outcome: 'unchanged', site: StoredSite } | { outcome: 'changed' } {
  const refusal = refuseSite(input, acting)
  if (refusal !== null) return refusal
  if (same !== null) return { outcome: 'unchanged', site: same }
  return count >= input.maxSites ? { outcome: 'limit' } : { outcome: 'changed' }
}

export function siteEntry ({ audit, now }: SiteChange, change: 'site.added' | 'site.removed', { siteId, origin }: StoredSite): Audited {
  return auditedChange(audit, change, { type: 'site', id: siteId, name: origin }, now)
}
