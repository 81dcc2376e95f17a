// Changes of an account's sites: the decision that storages make under the account's lock.
import { auditedChange, type Audited, type AuditNote } from '../audit/audit-entry.js'

/** An origin that the account's publishable keys may be used from. Times are ms since the epoch. */
export interface StoredSite { readonly siteId: string, readonly accountId: string, readonly origin: string, readonly createdAt: number }

interface SiteChange { readonly now: number, readonly audit: AuditNote }
export interface AddSiteInput extends SiteChange { readonly site: StoredSite, readonly maxSites: number }
export interface RemoveSiteInput extends SiteChange { readonly accountId: string, readonly siteId: string }

/**
 * Whether a site is added: not twice, and no more than `maxSites`.
 * @param rows the account's site of the same origin, and how many sites it has
 */
export function decideAddSite (
  { maxSites }: AddSiteInput, { same, count }: { same: StoredSite | null, count: number }
): { outcome: 'limit' } | { outcome: 'unchanged', site: StoredSite } | { outcome: 'changed' } {
  if (same !== null) return { outcome: 'unchanged', site: same }
  return count >= maxSites ? { outcome: 'limit' } : { outcome: 'changed' }
}

export function siteEntry ({ audit, now }: SiteChange, change: 'site.added' | 'site.removed', { siteId, origin }: StoredSite): Audited {
  return auditedChange(audit, change, { type: 'site', id: siteId, name: origin }, now)
}
