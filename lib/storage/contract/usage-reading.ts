// The storage contract on reading usage: totals, windows, order, limits.
import assert from 'node:assert/strict'
import { DAY, HOUR, MINUTE, SECOND } from '../../time.js'
import { SLOT_MS, slotStart, type SlotUnit } from '../slots.js'
import type { Storage, UsageEvent, UsageQuery, UsageRows } from '../storage.js'
import { ACCOUNT, event, failure, NOW, OTHER_ACCOUNT, STRANGE_TEXTS } from './samples.js'
import { issue, record, revoke, type ContractCases } from './steps.js'

export const UNITS: readonly SlotUnit[] = ['minute', 'hour', 'day']
const NOTHING: UsageRows = { timeline: [], perKey: [], recentRequests: [], recentFailures: [] }

/** The usage of the `slots` slots that end with the one of NOW. */
export async function read (storage: Storage, unit: SlotUnit, slots: number, query: Partial<UsageQuery> = {}): Promise<UsageRows> {
  const end = slotStart(NOW, unit) + SLOT_MS[unit]
  return await storage.readUsage({
    accountId: ACCOUNT, unit, start: end - slots * SLOT_MS[unit], end, perKeyLimit: 100, recentLimit: 50, ...query
  })
}

/** What must not change when others are recorded or pruned: every unit's answer. */
export async function readAll (storage: Storage, accountId = ACCOUNT): Promise<UsageRows[]> {
  return [
    await read(storage, 'minute', 60, { accountId }), await read(storage, 'hour', 168, { accountId }),
    await read(storage, 'day', 30, { accountId })
  ]
}

export function counts (rows: UsageRows): { requests: number, failures: number } {
  const sum = (field: 'requests' | 'failures'): number => rows.timeline.reduce((total, slot) => total + slot[field], 0)
  return { requests: sum('requests'), failures: sum('failures') }
}

export const usageReadingCases: ContractCases = {
  'an account that has no usage, or is not known, has none': async (storage) => {
    await issue(storage)
    for (const unit of UNITS) {
      assert.deepEqual(await read(storage, unit, 24), NOTHING)
      assert.deepEqual(await read(storage, unit, 24, { accountId: 'nobody' }), NOTHING)
    }
  },

  'an event comes back as it went in, with the key\'s label, environment and scopes': async (storage) => {
    const { publicId, label, environment, scopes, ...key } = await issue(storage, { label: STRANGE_TEXTS[0]!, environment: 'test' })
    const all = await issue(storage, { scopes: null })
    const sent = STRANGE_TEXTS.map((text, index) => failure(key, NOW - index, {
      method: index % 2 === 0 ? 'GET' : 'POST',
      route: text,
      status: 400 + index,
      durationMs: 12.345 + index,
      failureCode: text,
      requestId: text
    }))
    await record(storage, [...sent, event(all, NOW - SECOND)])
    const { recentRequests, recentFailures } = await read(storage, 'minute', 60)
    const expected = sent.map(({ key: _key, ...rest }) => ({ ...rest, publicId, label, environment, scopes }))
    assert.deepEqual(recentFailures, expected)
    assert.deepEqual(recentRequests.slice(0, -1), expected)
    const { key: _key, ...rest } = event(all, NOW - SECOND)
    assert.deepEqual(recentRequests.at(-1),
      { ...rest, publicId: all.publicId, label: all.label, environment: all.environment, scopes: null })
  },

  'totals equal the events in every unit, at the borders of slots too': async (storage) => {
    const keys = [await issue(storage), await issue(storage), await issue(storage, { environment: 'test' })]
    const events: UsageEvent[] = []
    for (const unit of UNITS) {
      for (const slots of [0, 1, 2, 3, 5, 8, 13, 21, 29]) {
        const border = slotStart(NOW, unit) - slots * SLOT_MS[unit]
        for (const [index, time] of [border - 1, border, border, border + 1].entries()) {
          events.push(index % 2 === 0 ? event(keys[slots % 3]!, time) : failure(keys[index % 3]!, time))
        }
      }
    }
    // In two batches and out of order: totals are added to.
    const [early, late] = [events.filter((_, index) => index % 3 === 0), events.filter((_, index) => index % 3 !== 0).reverse()]
    await record(storage, late)
    await record(storage, early)

    for (const [unit, slots] of [['minute', 1], ['minute', 60], ['hour', 24], ['hour', 168], ['day', 1], ['day', 30]] as const) {
      const end = slotStart(NOW, unit) + SLOT_MS[unit]
      const within = events.filter(({ time }) => time >= end - slots * SLOT_MS[unit] && time < end)
      const count = (counted: readonly UsageEvent[]): { requests: number, failures: number } =>
        ({ requests: counted.length, failures: counted.filter(({ status }) => status >= 400).length })
      const starts = [...new Set(within.map(({ time }) => slotStart(time, unit)))].sort((a, b) => a - b)
      const { timeline, perKey } = await read(storage, unit, slots)
      assert.deepEqual(timeline, starts.map((start) =>
        ({ start, ...count(within.filter(({ time }) => slotStart(time, unit) === start)) })), unit)
      assert.deepEqual(
        new Map(perKey.map(({ key, requests, failures }) => [key.ref.key, { requests, failures }])),
        new Map(keys.map(({ ref }) => [ref.key, count(within.filter(({ key }) => key.key === ref.key))] as const)
          .filter(([, { requests }]) => requests > 0)), unit)
    }
  },

  'a window begins with its start and stops short of its end': async (storage) => {
    const key = await issue(storage)
    for (const [index, unit] of UNITS.entries()) {
      // Minutes are kept for the last two hours only.
      const start = slotStart(NOW - (unit === 'minute' ? HOUR : index * 100 * DAY), unit)
      const end = start + 2 * SLOT_MS[unit]
      const times = [start - 1, start, start + SLOT_MS[unit] - 1, start + SLOT_MS[unit], end - 1, end]
      await record(storage, times.map((time) => failure(key, time)))
      const rows = await read(storage, unit, 0, { start, end })
      assert.deepEqual(rows.timeline, [{ start, requests: 2, failures: 2 }, { start: start + SLOT_MS[unit], requests: 2, failures: 2 }])
      assert.deepEqual(rows.perKey.map(({ requests, failures }) => ({ requests, failures })), [{ requests: 4, failures: 4 }])
      for (const recent of [rows.recentRequests, rows.recentFailures]) {
        assert.deepEqual(recent.map(({ time }) => time), times.slice(1, -1).reverse())
      }
    }
  },

  'a failure is a status of 400 and above': async (storage) => {
    const key = await issue(storage)
    await record(storage, [200, 304, 399, 400, 401, 499, 500, 503].map((status) => event(key, NOW, { status })))
    for (const rows of await readAll(storage)) {
      assert.deepEqual(counts(rows), { requests: 8, failures: 5 })
      assert.deepEqual(rows.recentFailures.map(({ status }) => status), [503, 500, 499, 401, 400])
    }
  },

  'the keys with most requests come first, the newer first among equals, and no more than asked': async (storage) => {
    const [one, three, two, alsoTwo] = [await issue(storage), await issue(storage), await issue(storage), await issue(storage)]
    await issue(storage)
    const events = [[one, 1], [three, 3], [two, 2], [alsoTwo, 2]] as const
    await record(storage, events.flatMap(([key, count]) => Array.from({ length: count }, () => event(key, NOW))))
    await revoke(storage, three)
    const expected = [three, alsoTwo, two, one].map(({ publicId }) => publicId)
    for (const unit of UNITS) {
      const { perKey } = await read(storage, unit, 24)
      assert.deepEqual(perKey.map(({ key }) => key.publicId), expected)
      // The keys are the ones that storage holds now, not those of the time of the event.
      for (const { key } of perKey) assert.deepEqual(key, await storage.findKey(key.publicId))
      const limited = await read(storage, unit, 24, { perKeyLimit: 2 })
      assert.deepEqual(limited.perKey, perKey.slice(0, 2))
      assert.deepEqual(limited.timeline, (await read(storage, unit, 24)).timeline)
    }
  },

  'recent events are the newest, newest first, those recorded later first among equals': async (storage) => {
    const keys = [await issue(storage), await issue(storage)]
    const sent: UsageEvent[] = []
    for (const [batch, ago] of [[0, 3 * HOUR], [1, 0], [2, 26 * HOUR], [3, 0], [4, HOUR]] as const) {
      const events = Array.from({ length: 10 }, (_, index) =>
        failure(keys[index % 2]!, NOW - ago - Math.floor(index / 3), { requestId: `${batch}-${index}` }))
      await record(storage, events)
      sent.push(...events)
    }
    const expected = sent.map((event, order) => ({ ...event, order }))
      .sort((a, b) => b.time - a.time || b.order - a.order).map(({ requestId }) => requestId)
    for (const limit of [0, 1, 9, 25, 50]) {
      const { recentRequests, recentFailures } = await read(storage, 'hour', 48, { recentLimit: limit })
      assert.deepEqual(recentRequests.map(({ requestId }) => requestId), expected.slice(0, limit))
      assert.deepEqual(recentFailures, recentRequests)
    }
  },

  'recent failures are not crowded out by newer successes': async (storage) => {
    const key = await issue(storage)
    await record(storage, Array.from({ length: 12 }, (_, index) => failure(key, NOW - HOUR - index * MINUTE)))
    await record(storage, Array.from({ length: 60 }, (_, index) => event(key, NOW - index)))
    const { recentRequests, recentFailures } = await read(storage, 'hour', 24, { recentLimit: 10 })
    assert.deepEqual(recentRequests.map(({ time }) => time), Array.from({ length: 10 }, (_, index) => NOW - index))
    assert.deepEqual(recentFailures.map(({ time }) => time), Array.from({ length: 10 }, (_, index) => NOW - HOUR - index * MINUTE))
  },

  'an account sees its own usage, and no other\'s': async (storage) => {
    const mine = await issue(storage, { isDefault: true })
    const theirs = await issue(storage, { accountId: OTHER_ACCOUNT, isDefault: true })
    await issue(storage, { accountId: 'USER_A' })
    await record(storage, [event(mine, NOW)])
    const before = await readAll(storage)
    await record(storage, [failure(theirs, NOW), failure(theirs, NOW - HOUR), event(theirs, NOW - DAY)])
    assert.deepEqual(await readAll(storage), before)
    const [, hours] = await readAll(storage, OTHER_ACCOUNT)
    assert.deepEqual(counts(hours!), { requests: 3, failures: 2 })
    assert.deepEqual(hours!.perKey.map(({ key }) => key.publicId), [theirs.publicId])
    for (const rows of await readAll(storage, 'USER_A')) assert.deepEqual(rows, NOTHING)
  }
}
