// Usage that several instances record at once while another removes what is old: what must hold on every server that they share.
import type { Test } from 'tap'
import { ulid } from '../../lib/crypto.js'
import { slotStart } from '../../lib/storage/slots.js'
import type { Storage, UsageEvent, UsageRows } from '../../lib/storage/storage.js'
import { DAY, HOUR } from '../../lib/time.js'
import { ACCOUNT, event, failure, issue, NOW, OTHER_ACCOUNT, record } from './keys.js'

const WRITERS = 4
/** Of each writer. The first ten are the same ones for all. */
const BATCHES = 50
const SHARED = 10
const DISTINCT = SHARED + WRITERS * (BATCHES - SHARED)
/** Rows that a step of pruning may remove. */
const STEP = 100
/** What is old does not come out even: a step removes rows of two kinds. */
const OLD_BATCHES = 3
const OLD_EVENTS = 997
const HOUR_NOW = slotStart(NOW, 'hour')
/** The first hour that is kept. */
const KEPT = HOUR_NOW - 31 * DAY
const OLD = KEPT - 10 * DAY

/** @param open opens a storage on connections of its own, the same tables for all */
export async function usageAtOnce (t: Test, open: () => Promise<Storage>): Promise<void> {
  const first = await open()
  const keys = [await issue(first), await issue(first), await issue(first, { accountId: OTHER_ACCOUNT }), await issue(first, { accountId: OTHER_ACCOUNT })]
  const events = (count: number, make: (place: number) => UsageEvent): UsageEvent[] => Array.from({ length: count }, (_none, place) => make(place))
  for (let times = 0; times < OLD_BATCHES; times++) await record(first, events(OLD_EVENTS, (place) => event(keys[place % 4]!, OLD + place % 10 * HOUR)))
  // Totals too: of ten hours, each with two of the keys, and of one day.
  const oldRows = OLD_BATCHES * OLD_EVENTS + 20 + 4

  const ids = Array.from({ length: SHARED }, () => ulid(NOW))
  const writers = await Promise.all(Array.from({ length: WRITERS }, open))
  const pruner = await open()
  const load = { steps: [] as number[], over: false }
  const writing = Promise.all(writers.map(async (storage, writer) => {
    for (let index = 0; index < BATCHES; index++) {
      const id = ids[index] ?? ulid(NOW)
      const batch = events(20, (place) => (place % 5 === 0 ? failure : event)(keys[place % 4]!, place === 0 ? KEPT : NOW + index))
      await record(storage, batch, id)
      // The answer was lost: it is sent again, by its writer or by another.
      if (index % 7 === 0) await record(writers[(writer + index) % WRITERS]!, batch, id)
    }
  }))
  const pruning = (async () => {
    while (!load.over || load.steps.at(-1) !== 0) load.steps.push(await pruner.pruneUsage(KEPT, STEP))
  })()
  await writing.finally(() => { load.over = true })
  await pruning

  t.ok(Math.max(...load.steps) <= STEP)
  t.equal(load.steps.reduce((sum, removed) => sum + removed, 0), oldRows)
  const read = async (accountId: string, unit: 'hour' | 'day', start: number, end: number): Promise<UsageRows> =>
    await first.readUsage({ accountId, unit, start, end, perKeyLimit: 9, recentLimit: 10_000 })
  const tomorrow = slotStart(NOW, 'day') + DAY
  const wanted = {
    [ACCOUNT]: [{ start: KEPT, requests: DISTINCT, failures: DISTINCT }, { start: HOUR_NOW, requests: 9 * DISTINCT, failures: DISTINCT }],
    [OTHER_ACCOUNT]: [{ start: HOUR_NOW, requests: 10 * DISTINCT, failures: 2 * DISTINCT }]
  }
  for (const [accountId, timeline] of Object.entries(wanted)) {
    const hours = await read(accountId, 'hour', KEPT, tomorrow)
    t.strictSame(hours.timeline, timeline)
    t.strictSame(hours.perKey.map(({ requests }) => requests), [5 * DISTINCT, 5 * DISTINCT])
    t.strictSame([hours.recentRequests.length, hours.recentFailures.length], [10 * DISTINCT, 2 * DISTINCT])
    t.strictSame((await read(accountId, 'day', slotStart(KEPT, 'day'), tomorrow)).timeline, timeline.map((one) => ({ ...one, start: slotStart(one.start, 'day') })))
    t.strictSame(await read(accountId, 'day', OLD - DAY, slotStart(KEPT, 'day')), { timeline: [], perKey: [], recentRequests: [], recentFailures: [] })
  }
}
