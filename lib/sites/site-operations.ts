// What may be done with an account's sites, in process.
import type { Audited, StoredAuditEntry, Wording } from '../audit/audit-entry.js'
import { ulid } from '../crypto.js'
import { makeError } from '../errors.js'
import { auditBy, checkAccountId, checkActor, type Actor } from '../keys/actor.js'
import { refuseField } from '../fields.js'
import { parseOrigin } from '../keys/origins.js'
import type { Policies } from '../policy/policies.js'
import type { Storage } from '../storage/storage.js'
import { toIso, type Clock } from '../time.js'
import type { AddSiteInput, RefusedSite, StoredSite } from './site-changes.js'

/** Sites shown at most. */
const PAGE = 100

/** A site as its account's owner sees it. */
export interface Site {
  siteId: string
  /** In its normal form: scheme, host, and the port where it is not the scheme's own. */
  origin: string
  createdAt: string
}

/** What `app.selfServeKeys.sites` does. */
export interface SiteOperations {
  /** Newest first, at most 100. @throws STORAGE_UNAVAILABLE */
  list (accountId: string): Promise<{ sites: Site[], truncated: boolean }>
  /**
   * Adds an origin that the account's publishable keys may be used from; `https://*.example.com` stands for one label. One
   * that is there already is answered as it is, and nothing changes.
   * @throws INVALID_REQUEST, SITE_LIMIT_REACHED, FORBIDDEN (a test key asks), ACCOUNT_SUSPENDED, STORAGE_UNAVAILABLE
   */
  add (by: Actor, origin: string): Promise<Site>
  /** @throws SITE_NOT_FOUND, for another account's site too; FORBIDDEN (a test key asks), STORAGE_UNAVAILABLE */
  remove (by: Actor, siteId: string): Promise<void>
}

export interface SiteOperationsParts {
  readonly storage: Pick<Storage, 'addSite' | 'removeSite' | 'listSites'>
  readonly policies: Pick<Policies, 'fresh'>
  readonly clock: Clock
  readonly wording: Wording
  /** Called after the commit. */
  readonly announce: (accountId: string, entries: ReadonlyArray<Audited<StoredAuditEntry>>) => void
}

export function siteOperations ({ storage, policies, clock, wording, announce }: SiteOperationsParts): SiteOperations {
  const contextOf = (by: Actor, now: number): Pick<AddSiteInput, 'now' | 'audit' | 'acting'> =>
    ({ now, audit: { by: auditBy(by), wording }, acting: by.credential === 'api_key' ? { publicId: by.apiKey! } : null })

  return {
    async list (accountId) {
      checkAccountId(accountId)
      const sites = await storage.listSites(accountId, PAGE + 1)
      return { sites: sites.slice(0, PAGE).map(toSite), truncated: sites.length > PAGE }
    },

    async add (by, name) {
      checkActor(by)
      const origin = parseOrigin(name) ?? refuseField('name', 'must be an origin such as https://example.com or https://*.example.com')
      const { maxSites, suspended } = await policies.fresh(by.accountId)
      if (suspended) throw makeError('ACCOUNT_SUSPENDED', {})
      const now = clock.now()
      const site = { siteId: `site_${ulid(now)}`, accountId: by.accountId, origin, createdAt: now }
      const outcome = await storage.addSite({ site, maxSites, ...contextOf(by, now) })
      if (outcome.outcome === 'refused') throw refusalOf(outcome)
      if (outcome.outcome === 'limit') {
        throw makeError('SITE_LIMIT_REACHED', { message: `The account has as many sites as it may have: ${maxSites}.`, details: { maxSites } })
      }
      if (outcome.outcome === 'changed') announce(by.accountId, outcome.entries)
      return toSite(outcome.site)
    },

    async remove (by, siteId) {
      checkActor(by)
      const known = typeof siteId === 'string' && /^site_[0-9A-HJKMNP-TV-Z]{26}$/.test(siteId)
      const outcome = known
        ? await storage.removeSite({ accountId: by.accountId, siteId, ...contextOf(by, clock.now()) })
        : null
      if (outcome?.outcome === 'refused') throw refusalOf(outcome)
      if (outcome?.outcome !== 'changed') throw makeError('SITE_NOT_FOUND', {})
      announce(by.accountId, outcome.entries)
    }
  }
}

function refusalOf ({ refusal }: RefusedSite): Error {
  return refusal.reason === 'acting_key_ended'
    ? makeError('INVALID_API_KEY', { details: {} })
    : makeError('FORBIDDEN', { message: 'A test API key may not manage sites: live API keys are used from them.' })
}

function toSite ({ siteId, origin, createdAt }: StoredSite): Site {
  return { siteId, origin, createdAt: toIso(createdAt) }
}
