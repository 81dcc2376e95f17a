// Memory storage's part of the port about sites, the audit log and the end of an account.
import { foldCase } from '../../audit/audit-entry.js'
import { decideAddSite, refuseSite, siteEntry, type AddSiteInput, type StoredSite } from '../../sites/site-changes.js'
import type { StoredKey } from '../../keys/api-key.js'
import type { Storage } from '../storage.js'
import type { MemoryState } from './state.js'

type AccountPart = Pick<Storage, 'addSite' | 'removeSite' | 'listSites' | 'recordAudit' | 'listAudit' | 'pruneAudit' | 'eraseAccount'>

export function memoryAccounts (state: MemoryState): AccountPart {
  const sitesOf = (accountId: string): readonly StoredSite[] => state.accounts.get(accountId)?.sites ?? []
  const actingOf = ({ acting }: Pick<AddSiteInput, 'acting'>, accountId: string): StoredKey | null =>
    acting === null ? null : state.owned(accountId, acting.publicId)
  return {
    async addSite (input) {
      const { site } = input
      const sites = sitesOf(site.accountId)
      const decision = decideAddSite(input, { acting: actingOf(input, site.accountId), same: sites.find(({ origin }) => origin === site.origin) ?? null, count: sites.length })
      if (decision.outcome !== 'changed') return decision
      for (const { sites } of state.accounts.values()) {
        if (sites.some(({ siteId }) => siteId === site.siteId)) throw new Error('The site id is taken.')
      }
      state.accountOf(site.accountId).sites.unshift(site)
      const audited = siteEntry(input, 'site.added', site)
      return { outcome: 'changed', site, entries: [{ ...audited, entry: state.addEntry(site.accountId, audited.entry) }] }
    },

    async removeSite (input) {
      const { accountId, siteId } = input
      const site = sitesOf(accountId).find((one) => one.siteId === siteId)
      const refusal = refuseSite(input, actingOf(input, accountId))
      if (refusal !== null) return refusal
      if (site === undefined) return null
      const account = state.accountOf(accountId)
      account.sites = account.sites.filter((one) => one !== site)
      const audited = siteEntry(input, 'site.removed', site)
      return { outcome: 'changed', site, entries: [{ ...audited, entry: state.addEntry(accountId, audited.entry) }] }
    },

    async listSites (accountId, limit) {
      return sitesOf(accountId).slice(0, limit)
    },

    async recordAudit (accountId, entry) {
      return state.addEntry(accountId, entry)
    },

    async listAudit ({ accountId, limit, offset, action, search }) {
      const wanted = foldCase(search ?? '')
      const entries = (state.accounts.get(accountId)?.audit ?? []).filter((entry) =>
        (action === undefined || entry.action === action) &&
        [entry.action, entry.targetType, entry.targetId, entry.detail].some((text) => text !== null && foldCase(text).includes(wanted)))
      return { entries: entries.reverse().slice(offset, offset + limit), total: entries.length }
    },

    async pruneAudit (before, limit) {
      let removed = 0
      for (const { audit } of state.accounts.values()) {
        const old = audit.filter(({ time }) => time < before).slice(0, limit - removed)
        for (const entry of old) audit.splice(audit.indexOf(entry), 1)
        removed += old.length
      }
      return removed
    },

    async eraseAccount (accountId, limit) {
      const account = state.accounts.get(accountId)
      if (account === undefined) return 0
      const keys = state.keysOf(accountId).slice(0, limit)
      state.remove(keys)
      const requests = keys.length > 0 ? [] : [...account.requests.keys()].slice(0, limit)
      for (const hash of requests) account.requests.delete(hash)
      const removed = keys.length || requests.length || account.audit.splice(0, limit).length || account.sites.splice(0, limit).length
      if (removed > 0) return removed
      state.accounts.delete(accountId)
      return 1
    }
  }
}
