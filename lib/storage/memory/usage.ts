// Memory storage's part of the port about usage: events alone, from which totals are counted when they are asked for.
import type { StoredKey } from '../../keys/api-key.js'
import { slotStart } from '../slots.js'
import { BATCH_MEMORY, type RecordedEvent, type Storage, type UsageQuery, type UsageRows } from '../storage.js'
import type { MemoryEvent, MemoryState } from './state.js'

export function memoryUsage (state: MemoryState): Pick<Storage, 'recordUsage' | 'readUsage' | 'readKeyUsage' | 'pruneUsage'> {
  /** Id → when it was sealed. */
  const recordedBatches = new Map<string, number>()
  let eventCount = 0

  const keyOf = ({ key }: MemoryEvent): StoredKey => state.keys.get(state.publicIdByNumber.get(key.key)!)!

  /** As the key was then. */
  const recorded = (event: MemoryEvent): RecordedEvent => {
    const { key: ref, order: _order, ...rest } = event
    return { ...rest, publicId: keyOf(event).publicId, ...state.versions.get(`${ref.key}/${ref.version}`)! }
  }

  return {
    async recordUsage (batch) {
      if (recordedBatches.has(batch.id)) return
      recordedBatches.set(batch.id, batch.sealedAt)
      for (const [id, sealedAt] of recordedBatches) {
        if (sealedAt < batch.sealedAt - BATCH_MEMORY) recordedBatches.delete(id)
      }
      for (const event of batch.events) {
        const key = state.keys.get(state.publicIdByNumber.get(event.key.key) ?? '')
        if (key === undefined) continue
        state.events.push({ ...event, order: eventCount++ })
        if (key.lastUsedAt === null || key.lastUsedAt < event.time) state.put({ ...key, lastUsedAt: event.time })
      }
    },

    async readUsage (query) {
      const account = state.accounts.get(query.accountId)
      const within = state.events.filter((event) =>
        event.key.account === account?.number && event.time >= query.start && event.time < query.end)
      const newest = newestFirst(within)
      return {
        ...countsOf(query, within, keyOf),
        recentRequests: newest.slice(0, query.recentLimit).map(recorded),
        recentFailures: newest.filter(failed).slice(0, query.recentLimit).map(recorded)
      }
    },

    async readKeyUsage ({ accountId, publicId, start, end }) {
      const key = state.owned(accountId, publicId)
      if (key === null) return null
      const events = newestFirst(state.events.filter((event) => event.key.key === key.ref.key))
      const within = events.filter(({ time }) => time >= start && time < end)
      const [last] = events
      return { requests: within.length, failures: within.filter(failed).length, lastRequest: last === undefined ? null : recorded(last) }
    },

    async pruneUsage (before, limit) {
      const old = new Set(state.events.filter((event) => event.time < before).slice(0, limit))
      state.events = state.events.filter((event) => !old.has(event))
      return old.size
    }
  }
}

function newestFirst (events: readonly MemoryEvent[]): MemoryEvent[] {
  return events.toSorted((a, b) => b.time - a.time || b.order - a.order)
}

function failed ({ status }: MemoryEvent): boolean {
  return status >= 400
}

/** Counts what SQL storages keep as totals: slow and plainly right. */
function countsOf (
  query: UsageQuery, events: readonly MemoryEvent[], keyOf: (event: MemoryEvent) => StoredKey
): Pick<UsageRows, 'timeline' | 'perKey'> {
  const timeline = new Map<number, { requests: number, failures: number }>()
  const perKey = new Map<string, { requests: number, failures: number, key: StoredKey }>()
  for (const event of events) {
    const start = slotStart(event.time, query.unit)
    const slot = timeline.get(start) ?? { requests: 0, failures: 0 }
    const key = keyOf(event)
    const row = perKey.get(key.publicId) ?? { requests: 0, failures: 0, key }
    for (const count of [slot, row]) {
      count.requests++
      if (failed(event)) count.failures++
    }
    timeline.set(start, slot)
    perKey.set(key.publicId, row)
  }
  return {
    timeline: [...timeline].sort(([a], [b]) => a - b).map(([start, count]) => ({ start, ...count })),
    perKey: [...perKey.values()].sort((a, b) => b.requests - a.requests || b.key.sequence - a.key.sequence).slice(0, query.perKeyLimit)
  }
}
