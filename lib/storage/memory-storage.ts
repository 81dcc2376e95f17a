// Memory storage: the reference for the storage port, for tests and trials. Everything is gone when the process ends.
import type { StoredKey } from '../keys/api-key.js'
import { endOf, statusOf } from '../keys/api-key.js'
import { assemblePage, decideIssue, decideRevoke, firstState, hasEnded } from './decide.js'
import { slotStart } from './slots.js'
import { BATCH_MEMORY, type RecordedEvent, type Storage, type UsageEvent, type UsageQuery, type UsageRows } from './storage.js'

interface Account { readonly number: number, nextSequence: number }
type Stored = UsageEvent & { readonly order: number }

/** A storage in this process's memory. */
export function memoryStorage (): Storage {
  const accounts = new Map<string, Account>()
  const keys = new Map<string, StoredKey>()
  const publicIdByHash = new Map<string, string>()
  const publicIdByNumber = new Map<number, string>()
  /** Id → when it was sealed. */
  const recordedBatches = new Map<string, number>()
  let events: Stored[] = []
  let keyCount = 0
  let eventCount = 0

  const keysOf = (accountId: string): StoredKey[] =>
    [...keys.values()].filter((key) => key.accountId === accountId).sort((a, b) => b.sequence - a.sequence)

  const put = (key: StoredKey): StoredKey => {
    keys.set(key.publicId, key)
    publicIdByHash.set(key.hash, key.publicId)
    publicIdByNumber.set(key.ref.key, key.publicId)
    return key
  }

  const accountOf = (accountId: string): Account => {
    const account = accounts.get(accountId) ?? { number: accounts.size + 1, nextSequence: 1 }
    accounts.set(accountId, account)
    return account
  }

  const owned = (accountId: string, publicId: string): StoredKey | null => {
    const key = keys.get(publicId)
    return key !== undefined && key.accountId === accountId ? key : null
  }

  return {
    async open () {},
    async close () {},

    findKeyByHash (digests) {
      for (const { hash, pepperId } of digests) {
        const key = keys.get(publicIdByHash.get(hash) ?? '')
        if (key !== undefined && key.pepperId === pepperId) return key
      }
      return null
    },

    async findKey (publicId) {
      return keys.get(publicId) ?? null
    },

    async getKey (accountId, publicId) {
      return owned(accountId, publicId)
    },

    async listKeys (query) {
      const { accountId, now, environment, status, before, limit } = query
      const matching = keysOf(accountId).filter((key) =>
        (environment === undefined || key.environment === environment) &&
        (status === undefined || statusOf(key, now) === status))
      let ended = matching.filter((key) => hasEnded(key, now))
      if (before === undefined) {
        return assemblePage(query, matching.filter((key) => !hasEnded(key, now)), ended.slice(0, limit + 1))
      }
      if (before !== 'start') {
        const from = owned(accountId, before.publicId)
        if (from === null) return null
        ended = ended.filter((key) => key.sequence < from.sequence)
      }
      return assemblePage(query, [], ended.slice(0, limit + 1))
    },

    async countKeys (accountId, now) {
      const all = keysOf(accountId)
      return { total: all.length, active: all.filter((key) => !hasEnded(key, now)).length }
    },

    async issueKey ({ key, maxKeys, now }) {
      if (keys.has(key.publicId) || publicIdByHash.has(key.hash)) throw new Error('The public id or the hash is taken.')
      const all = keysOf(key.accountId)
      const holder = key.isDefault
        ? all.find((other) => other.isDefault && other.environment === key.environment) ?? null
        : null
      const current = all.filter((other) => !hasEnded(other, now)).length
      const decision = decideIssue({ holder, current, maxKeys, now })
      if (decision.outcome === 'limit' || decision.outcome === 'disabled_by_host') return decision

      const account = accountOf(key.accountId)
      const number = ++keyCount
      const ref = { account: account.number, key: number, version: number }
      const stored: StoredKey = { ...firstState(key), sequence: account.nextSequence++, ref }
      if (decision.outcome === 'issued') {
        if (decision.vacates !== null) put({ ...decision.vacates, isDefault: false })
        return { outcome: 'issued', key: put(stored), replaced: null }
      }
      const replaced = put({ ...decision.revokes, ...decideRevoke(decision.revokes, 'rotated', now) })
      return { outcome: 'rotated', key: put({ ...stored, rotatedFrom: replaced.publicId }), replaced }
    },

    async revokeKey ({ accountId, publicId, reason, now }) {
      const key = owned(accountId, publicId)
      if (key === null) return null
      const change = decideRevoke(key, reason, now)
      return change === null ? { key, changed: false } : { key: put({ ...key, ...change }), changed: true }
    },

    async rehashKeys (moves) {
      for (const { publicId, fromHash, hash, pepperId } of moves) {
        const key = keys.get(publicId)
        if (key === undefined || key.hash !== fromHash) continue
        publicIdByHash.delete(fromHash)
        put({ ...key, hash, pepperId })
      }
    },

    async pruneKeys (endedBefore, limit) {
      const old = [...keys.values()].filter((key) => (endOf(key) ?? Infinity) < endedBefore).slice(0, limit)
      for (const key of old) {
        keys.delete(key.publicId)
        publicIdByHash.delete(key.hash)
        publicIdByNumber.delete(key.ref.key)
      }
      const gone = new Set(old.map((key) => key.ref.key))
      events = events.filter((event) => !gone.has(event.key.key))
      return old.length
    },

    async recordUsage (batch) {
      if (recordedBatches.has(batch.id)) return
      recordedBatches.set(batch.id, batch.sealedAt)
      for (const [id, sealedAt] of recordedBatches) {
        if (sealedAt < batch.sealedAt - BATCH_MEMORY) recordedBatches.delete(id)
      }
      for (const event of batch.events) {
        const key = keys.get(publicIdByNumber.get(event.key.key) ?? '')
        if (key === undefined) continue
        events.push({ ...event, order: eventCount++ })
        if (key.lastUsedAt === null || key.lastUsedAt < event.time) put({ ...key, lastUsedAt: event.time })
      }
    },

    async readUsage (query) {
      const account = accounts.get(query.accountId)
      const within = events.filter((event) =>
        event.key.account === account?.number && event.time >= query.start && event.time < query.end)
      return usageRows(query, within, (event) => keys.get(publicIdByNumber.get(event.key.key)!)!)
    },

    async pruneUsage (before, limit) {
      const old = new Set(events.filter((event) => event.time < before).slice(0, limit))
      events = events.filter((event) => !old.has(event))
      return old.size
    }
  }
}

/** Counts what SQL storages keep as totals: slow and plainly right. */
function usageRows (query: UsageQuery, events: readonly Stored[], keyOf: (event: Stored) => StoredKey): UsageRows {
  const timeline = new Map<number, { requests: number, failures: number }>()
  const perKey = new Map<string, { requests: number, failures: number, key: StoredKey }>()
  for (const event of events) {
    const start = slotStart(event.time, query.unit)
    const slot = timeline.get(start) ?? { requests: 0, failures: 0 }
    const key = keyOf(event)
    const row = perKey.get(key.publicId) ?? { requests: 0, failures: 0, key }
    for (const count of [slot, row]) {
      count.requests++
      if (event.status >= 400) count.failures++
    }
    timeline.set(start, slot)
    perKey.set(key.publicId, row)
  }
  const newest = events.toSorted((a, b) => b.time - a.time || b.order - a.order)
  const recorded = ({ key: _key, order: _order, ...event }: Stored, key: StoredKey): RecordedEvent =>
    ({ ...event, publicId: key.publicId, label: key.label, environment: key.environment, scopes: key.scopes })
  return {
    timeline: [...timeline].sort(([a], [b]) => a - b).map(([start, count]) => ({ start, ...count })),
    perKey: [...perKey.values()]
      .sort((a, b) => b.requests - a.requests || b.key.sequence - a.key.sequence).slice(0, query.perKeyLimit),
    recentRequests: newest.slice(0, query.recentLimit).map((event) => recorded(event, keyOf(event))),
    recentFailures: newest.filter((event) => event.status >= 400).slice(0, query.recentLimit)
      .map((event) => recorded(event, keyOf(event)))
  }
}
