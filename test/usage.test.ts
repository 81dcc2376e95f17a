// Usage: windows, the snapshot, the recorder, and what an app keeps, writes and prunes.
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { memoryStorage, type Storage } from '../lib/index.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import type { StoredKey } from '../lib/keys/api-key.js'
import { noPolicies } from '../lib/policy/policies.js'
import { keyLimiter } from '../lib/rate-limit/key-limiter.js'
import { memoryRateLimitStore } from '../lib/rate-limit/memory-store.js'
import { slotNumber, slotStart } from '../lib/storage/slots.js'
import { BATCH_EVENTS, BATCH_MEMORY, type RecordedEvent, type UsageBatch, type UsageEvent, type UsageRows } from '../lib/storage/storage.js'
import { DAY, HOUR, MINUTE } from '../lib/time.js'
import { usageRecorder } from '../lib/usage/recorder.js'
import { sinkQueue, type UsageSinkBatch } from '../lib/usage/sink.js'
import { usageSnapshot } from '../lib/usage/snapshot.js'
import { slotsOf, WINDOWS, type UsageWindow } from '../lib/usage/windows.js'
import { deferred, hostOf, testClock, watched, type TestClock } from './helpers/app.js'
import { ACCOUNT, event, failure, issue, keysOf, NOW, OTHER_ACCOUNT, record, revoke, storedKey } from './helpers/keys.js'

const by = { accountId: ACCOUNT, credential: 'host' } as const

t.test('windows', async (t) => {
  t.test('end with the slot under way and begin with a whole one', async (t) => {
    const at = Date.UTC(2026, 0, 15, 12, 34, 56, 789)
    t.same(slotsOf('1h', at), { unit: 'minute', start: Date.UTC(2026, 0, 15, 11, 35), end: Date.UTC(2026, 0, 15, 12, 35) })
    t.same(slotsOf('24h', at), { unit: 'hour', start: Date.UTC(2026, 0, 14, 13), end: Date.UTC(2026, 0, 15, 13) })
    t.same(slotsOf('7d', at), { unit: 'hour', start: Date.UTC(2026, 0, 8, 13), end: Date.UTC(2026, 0, 15, 13) })
    t.same(slotsOf('30d', at), { unit: 'day', start: Date.UTC(2025, 11, 17), end: Date.UTC(2026, 0, 16) })
  })

  t.test('move at the border and at no other millisecond, in UTC, whatever a calendar of summer time or leap days says', async (t) => {
    const borders: Array<[UsageWindow, number]> = [
      ['1h', Date.UTC(2024, 1, 29, 23, 59)], ['24h', Date.UTC(2024, 2, 10, 7)], ['7d', Date.UTC(2024, 2, 31, 1)], ['24h', Date.UTC(2024, 9, 27, 1)],
      ['30d', Date.UTC(2024, 1, 29)], ['30d', Date.UTC(2024, 2, 1)], ['30d', Date.UTC(2025, 0, 1)], ['24h', 0]
    ]
    for (const [window, border] of borders) {
      const { slots } = WINDOWS[window]
      const before = slotsOf(window, border - 1)
      const at = slotsOf(window, border)
      const slot = (at.end - at.start) / slots
      t.equal(before.end, border)
      t.equal(at.end, border + slot)
      t.equal(at.start - before.start, slot)
      t.same(slotsOf(window, border + slot - 1), at)
      t.equal(before.end - before.start, at.end - at.start, 'every window is as long as any other of its name')
    }
  })

  t.test('have 60 minutes, 24 hours, 168 hours and 30 days', async (t) => {
    t.same(Object.entries(WINDOWS).map(([name, { unit, slots }]) => `${name}: ${slots} ${unit}`), ['1h: 60 minute', '24h: 24 hour', '7d: 168 hour', '30d: 30 day'])
  })

  t.test('count slots from the epoch, before it too', async (t) => {
    t.equal(slotNumber(0, 'hour'), 0)
    t.equal(slotNumber(HOUR - 1, 'hour'), 0)
    t.equal(slotNumber(-1, 'hour'), -1)
    t.equal(slotStart(-1, 'day'), -DAY)
    t.equal(slotStart(MINUTE + 1, 'minute'), MINUTE)
  })
})

t.test('the snapshot', async (t) => {
  const parts = (storage: Pick<Storage, 'readUsage'>, clock: TestClock = testClock()) =>
    ({ storage, clock, policies: noPolicies, limiter: keyLimiter(memoryRateLimitStore({ clock }), [{ name: 'default', max: 5, windowMs: MINUTE }]) })
  const recorded: RecordedEvent = {
    time: NOW, method: 'GET', route: '/v1/blocks', status: 200, durationMs: 1, failureCode: null, requestId: null, publicId: 'key_1', label: 'L', environment: 'live', scopes: null
  }
  const rows = (overrides: Partial<UsageRows>): Pick<Storage, 'readUsage'> =>
    ({ readUsage: async () => ({ timeline: [], perKey: [], recentRequests: [], recentFailures: [], ...overrides }) })

  t.test('says of every list that it is cut exactly where one more than its bound was there', async (t) => {
    const of = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item)
    const perKey = { key: storedKey(), requests: 1, failures: 0 }
    for (const [list, bound, item] of [['perKey', 100, perKey], ['recentRequests', 50, recorded], ['recentFailures', 50, recorded]] as const) {
      for (const [count, truncated] of [[0, false], [bound - 1, false], [bound, false], [bound + 1, true]] as const) {
        const snapshot = await usageSnapshot(parts(rows({ [list]: of<unknown>(count, item) })), ACCOUNT, '24h')
        t.equal(snapshot[list].length, Math.min(count, bound))
        t.equal(snapshot[`${list}Truncated`], truncated, `${count} ${list}`)
        const others = ['perKey', 'recentRequests', 'recentFailures'] as const
        for (const other of others.filter((name) => name !== list)) t.equal(snapshot[`${other}Truncated`], false)
      }
    }
  })

  t.test('asks the storage for one more than it shows', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    await usageSnapshot(parts(storage), ACCOUNT, '1h')
    t.same(calls, [{ name: 'readUsage', args: [{ accountId: ACCOUNT, ...slotsOf('1h', NOW), perKeyLimit: 101, recentLimit: 51 }] }])
  })

  t.test('fills every slot with zeros, and its totals are their sum', async (t) => {
    const storage = memoryStorage()
    const key = await issue(storage)
    await record(storage, [
      event(key, NOW), event(key, NOW), failure(key, NOW - HOUR), event(key, NOW - 23 * HOUR), event(key, NOW - 25 * HOUR), failure(key, NOW - 6 * DAY), event(key, NOW - 29 * DAY)
    ])
    const expected = { '1h': [60, 2, 0], '24h': [24, 4, 1], '7d': [168, 6, 2], '30d': [30, 7, 2] } as const
    for (const [window, [slots, requests, failures]] of Object.entries(expected) as Array<[UsageWindow, readonly [number, number, number]]>) {
      const snapshot = await usageSnapshot(parts(storage), ACCOUNT, window)
      t.match(snapshot, { window, totalRequests: requests, totalFailures: failures, windowEnd: '2026-01-15T12:34:56.789Z' })
      t.equal(snapshot.windowStart, snapshot.timeline[0]!.start)
      t.equal(snapshot.timeline.length, slots)
      t.equal(snapshot.timeline.reduce((sum, slot) => sum + slot.requests, 0), requests)
      t.equal(snapshot.timeline.reduce((sum, slot) => sum + slot.failures, 0), failures)
      t.equal(snapshot.perKey.reduce((sum, row) => sum + row.requests, 0), requests)
      const starts = snapshot.timeline.map(({ start }) => Date.parse(start))
      t.same(new Set(starts.slice(1).map((start, place) => start - starts[place]!)).size, 1, 'no slot is missing')
    }
    t.match(await usageSnapshot(parts(storage), OTHER_ACCOUNT, '30d'), { totalRequests: 0, perKey: [], recentRequests: [], recentFailures: [] })
  })

  t.test('shows keys with their status, last use and rate limits, and events without account, number or subject', async (t) => {
    const clock = testClock()
    const storage = memoryStorage()
    const key = await issue(storage, { label: 'Server', scopes: null })
    await record(storage, [event(key, NOW), failure(key, NOW - 1)])
    await revoke(storage, key)
    const snapshot = await usageSnapshot(parts(storage, clock), ACCOUNT, '24h')
    t.same(snapshot.perKey, [{
      publicId: key.publicId,
      label: 'Server',
      environment: 'live',
      scopes: null,
      status: 'revoked',
      requests: 2,
      failures: 1,
      lastUsedAt: '2026-01-15T12:34:56.789Z',
      rateLimits: [{ name: 'default', max: 5, windowSeconds: 60, remaining: 5, resetSeconds: 0 }]
    }])
    const shown = { publicId: key.publicId, label: 'Server', environment: 'live', scopes: null, method: 'GET', route: '/v1/blocks/:height', durationMs: 1.25 }
    t.same(snapshot.recentRequests, [
      { ...shown, time: '2026-01-15T12:34:56.789Z', status: 200, failureCode: null, requestId: null },
      { ...shown, time: '2026-01-15T12:34:56.788Z', status: 429, failureCode: 'RATE_LIMITED', requestId: 'req-1' }
    ])
    t.same(snapshot.recentFailures, snapshot.recentRequests.slice(1))
    t.notMatch(JSON.stringify(snapshot), ACCOUNT)
  })

  t.test('of a window that there is not is refused, and the storage is not asked', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    for (const window of ['2h', '', '24H', 'toString', '__proto__', 'constructor', 'hasOwnProperty', null, 24, {}, ['1h', '24h'], Symbol('24h')]) {
      await t.rejects(usageSnapshot(parts(storage), ACCOUNT, window as UsageWindow), {
        code: 'INVALID_REQUEST', statusCode: 400, message: 'window: must be one of 1h, 24h, 7d, 30d', details: { field: 'window' }
      }, String(window))
    }
    t.same(calls, [])
  })

  t.test('hands out copies of scopes', async (t) => {
    const key = storedKey()
    const snapshot = await usageSnapshot(parts(rows({ perKey: [{ key, requests: 1, failures: 0 }] })), ACCOUNT, '24h')
    snapshot.perKey[0]!.scopes!.push('x:y')
    t.same(key.scopes, ['blocks:read'])
  })
})

/** A recorder on a storage that fails when told to, and all that was written. */
function recorderOn ({ maxBuffered = 10 * BATCH_EVENTS, clock = testClock() } = {}) {
  const written: UsageBatch[] = []
  const sent: UsageBatch[] = []
  const told: unknown[] = []
  const lines: Array<{ level: 'warn' | 'info', message: string, details: Record<string, unknown> }> = []
  /** What the next calls do besides committing: 'lost' fails before, 'unanswered' after the commit; then all is well. */
  const outcomes: Array<'lost' | 'unanswered'> = []
  let gate: Promise<void> = Promise.resolve()
  const recorder = usageRecorder({
    clock,
    maxBuffered,
    sink: { push (batch) { told.push(batch) } },
    log: {
      warn (details, message) { lines.push({ level: 'warn', message, details: details as Record<string, unknown> }) },
      info (details, message) { lines.push({ level: 'info', message, details: details as Record<string, unknown> }) }
    },
    storage: {
      async recordUsage (batch) {
        sent.push(batch)
        await gate
        const outcome = outcomes.shift()
        if (outcome === 'lost') throw new Error('down')
        if (!written.some(({ id }) => id === batch.id)) written.push(batch)
        if (outcome === 'unanswered') throw new Error('the answer was lost')
      }
    }
  })
  return { recorder, written, sent, told, lines, outcomes, clock, block: (until: Promise<void>) => { gate = until } }
}

const key = storedKey()
const numbered = (number: number): [UsageEvent, StoredKey] => [event(key, NOW + number), key]
const timesOf = (batches: UsageBatch[]): number[] => batches.flatMap(({ events }) => events.map(({ time }) => time - NOW))
const upTo = (count: number): number[] => Array.from({ length: count }, (_item, place) => place)

t.test('the recorder', async (t) => {
  t.test('only buffers until a flush, then writes everything once, in order, in batches of a bounded size', async (t) => {
    const { recorder, written, sent } = recorderOn()
    const blocked = deferred()
    const all = 3 * BATCH_EVENTS + 500
    for (let i = 0; i < BATCH_EVENTS - 1; i++) recorder.record(...numbered(i))
    t.equal(sent.length, 0)
    t.equal(recorder.buffered, BATCH_EVENTS - 1)
    await recorder.flush()
    for (let i = BATCH_EVENTS - 1; i < all; i++) recorder.record(...numbered(i))
    await recorder.flush()
    blocked.resolve()
    t.same(timesOf(written), upTo(all))
    t.ok(written.every(({ events }) => events.length >= 1 && events.length <= BATCH_EVENTS))
    t.equal(new Set(written.map(({ id }) => id)).size, written.length)
    t.match(written[0], { id: /^[0-9A-HJKMNP-TV-Z]{26}$/, sealedAt: NOW })
    t.equal(recorder.buffered, 0)
    await recorder.flush()
    t.equal(sent.length, written.length, 'nothing to write asks nothing')
  })

  t.test('flushes by itself when a batch is full, and not at each event after', async (t) => {
    const { recorder, sent, block } = recorderOn()
    const blocked = deferred()
    block(blocked.promise)
    for (let i = 0; i < BATCH_EVENTS + 500; i++) recorder.record(...numbered(i))
    t.equal(sent.length, 1)
    t.equal(recorder.buffered, BATCH_EVENTS + 500)
    blocked.resolve()
    await recorder.flush()
    t.equal(sent.length, 2)
  })

  t.test('does not try at each event of an outage: the interval does', async (t) => {
    const { recorder, sent, outcomes, written } = recorderOn()
    outcomes.push('lost')
    for (let i = 0; i < BATCH_EVENTS; i++) recorder.record(...numbered(i))
    await new Promise(setImmediate)
    for (let i = BATCH_EVENTS; i < 3 * BATCH_EVENTS; i++) recorder.record(...numbered(i))
    t.equal(sent.length, 1)
    await recorder.flush()
    t.same(timesOf(written), upTo(3 * BATCH_EVENTS))
  })

  t.test('sends a failed batch again as it was, under the same id, also when it had been committed', async (t) => {
    for (const outcome of ['lost', 'unanswered'] as const) {
      const { recorder, written, sent, told, outcomes, clock } = recorderOn()
      outcomes.push(outcome, outcome)
      for (let i = 0; i < 3; i++) recorder.record(...numbered(i))
      await t.rejects(recorder.flush())
      t.equal(recorder.buffered, 3, 'what was not acknowledged stays')
      clock.pass(1000)
      recorder.record(...numbered(3))
      await t.rejects(recorder.flush())
      await recorder.flush()
      t.same(timesOf(written), upTo(4))
      t.same(told, written, 'whoever is told of batches is told once, of what the storage has')
      t.equal(sent[0], sent[1])
      t.equal(sent[1], sent[2])
      t.not(sent[3]?.id, sent[0]?.id)
      t.equal(recorder.dropped, 0)
      t.equal(recorder.buffered, 0)
    }
  })

  t.test('counts once, after a lost answer, on a real storage', async (t) => {
    const storage = memoryStorage()
    const issued = await issue(storage)
    let fail = true
    const recorder = usageRecorder({
      clock: testClock(),
      maxBuffered: 100,
      sink: null,
      log: { warn () {}, info () {} },
      storage: {
        async recordUsage (batch) {
          await storage.recordUsage(batch)
          if (fail) throw new Error('the answer was lost')
        }
      }
    })
    for (let i = 0; i < 10; i++) recorder.record(event(issued, NOW), issued)
    await t.rejects(recorder.flush())
    await t.rejects(recorder.flush())
    fail = false
    await recorder.flush()
    const usage = await storage.readUsage({ accountId: ACCOUNT, ...slotsOf('24h', NOW), perKeyLimit: 10, recentLimit: 100 })
    t.match(usage.perKey, [{ requests: 10 }])
    t.equal(usage.recentRequests.length, 10)
  })

  t.test('never holds more than its bound, counts what it drops, and says so once', async (t) => {
    const { recorder, written, outcomes, lines } = recorderOn({ maxBuffered: 5 })
    outcomes.push('lost')
    for (let i = 0; i < 4; i++) recorder.record(...numbered(i))
    await t.rejects(recorder.flush())
    for (let i = 4; i < 12; i++) recorder.record(...numbered(i))
    t.equal(recorder.buffered, 5, 'the unacknowledged batch counts as well')
    t.equal(recorder.dropped, 7)
    await recorder.flush()
    t.same(timesOf(written), upTo(5), 'the oldest are kept')
    recorder.record(...numbered(99))
    t.equal(recorder.buffered, 1, 'there is room again')
    t.same(lines.map(({ level, message }) => `${level} ${message}`), [
      'warn usage could not be written; it is kept and tried again', 'warn usage events are dropped: the buffer is full', 'info usage is written again'
    ])
    t.match(lines[0]!.details, { err: { message: 'down' }, buffered: 4 })
    t.match(lines[2]!.details, { dropped: 7 })
  })

  t.test('logs one line for an outage of any length, one for its end, and again at the next', async (t) => {
    const { recorder, outcomes, lines } = recorderOn()
    for (let round = 0; round < 2; round++) {
      outcomes.push('lost', 'unanswered', 'lost')
      recorder.record(...numbered(round))
      for (let i = 0; i < 3; i++) await t.rejects(recorder.flush())
      await recorder.flush()
    }
    await recorder.flush()
    t.same(lines.map(({ level }) => level), ['warn', 'info', 'warn', 'info'])
  })

  t.test('says nothing while all is well', async (t) => {
    const { recorder, lines } = recorderOn()
    recorder.record(...numbered(0))
    await recorder.flush()
    t.same(lines, [])
  })

  t.test('serves every caller that comes during a flush with one more round, which holds what came before them', async (t) => {
    const { recorder, written, sent, block } = recorderOn()
    const blocked = deferred()
    block(blocked.promise)
    recorder.record(...numbered(0))
    const first = recorder.flush()
    recorder.record(...numbered(1))
    const others = [recorder.flush(), recorder.flush(), recorder.flush()]
    recorder.record(...numbered(2))
    t.equal(sent.length, 1)
    blocked.resolve()
    await first
    await Promise.all(others)
    t.same(timesOf(written), upTo(3))
    t.equal(sent.length, 2)
    t.equal(recorder.buffered, 0)
  })

  t.test('the round behind a failed flush is tried all the same, and its callers learn of their own', async (t) => {
    const { recorder, written, outcomes, block } = recorderOn()
    const blocked = deferred()
    block(blocked.promise)
    outcomes.push('lost', 'lost')
    recorder.record(...numbered(0))
    const first = recorder.flush()
    const second = recorder.flush()
    blocked.resolve()
    await t.rejects(first, { message: 'down' })
    await t.rejects(second, { message: 'down' })
    await recorder.flush()
    t.same(timesOf(written), [0])
  })

  t.test('gives a batch up when the storage may have forgotten its id: rather too few than twice', async (t) => {
    const { recorder, written, outcomes, clock, lines } = recorderOn()
    outcomes.push('unanswered')
    recorder.record(...numbered(0))
    await t.rejects(recorder.flush())
    clock.mono += BATCH_MEMORY - 1
    outcomes.push('unanswered')
    await t.rejects(recorder.flush())
    recorder.record(...numbered(1))
    clock.mono += 1
    await recorder.flush()
    t.same(timesOf(written), [0, 1])
    t.equal(recorder.dropped, 1)
    t.equal(recorder.buffered, 0)
    t.same(lines.map(({ level }) => level), ['warn', 'warn', 'info'])
  })

  t.test('measures that age by the monotonic clock: a wall clock that jumps loses nothing', async (t) => {
    const { recorder, outcomes, clock, sent } = recorderOn()
    outcomes.push('lost')
    recorder.record(...numbered(0))
    await t.rejects(recorder.flush())
    clock.wall += 10 * BATCH_MEMORY
    await recorder.flush()
    t.equal(sent.length, 2)
    t.equal(recorder.dropped, 0)
  })
})

/** Waits, and keeps the process alive meanwhile: the library's own timers never do. */
async function staying (promise: Promise<void>): Promise<void> {
  const alive = setInterval(() => {}, MINUTE)
  await promise.finally(() => { clearInterval(alive) })
}

t.test('on a host', async (t) => {
  const call = async (app: Awaited<ReturnType<typeof hostOf>>['app'], plaintext: string | null, times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': plaintext! } })
  }

  t.test('a snapshot holds every request before it, flushed or not', async (t) => {
    const { app } = await hostOf(t, { clock: testClock() })
    const { plaintextKey, apiKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey, 3)
    t.same(app.selfServeKeys.stats(), { usageBuffered: 3, usageDropped: 0, usageSinkDropped: 0 })
    const snapshot = await app.selfServeKeys.usage.snapshot(ACCOUNT)
    t.match(snapshot, { window: '24h', totalRequests: 3, totalFailures: 0, perKey: [{ publicId: apiKey.publicId, requests: 3, lastUsedAt: '2026-01-15T12:34:56.789Z' }] })
    t.match(await app.selfServeKeys.usage.snapshot(ACCOUNT, { window: '1h' }), { window: '1h', totalRequests: 3 })
    t.same(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
    t.equal((await app.selfServeKeys.keys.get(ACCOUNT, apiKey.publicId)).lastUsedAt, '2026-01-15T12:34:56.789Z')
  })

  t.test('nothing is written on the request path', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const { app } = await hostOf(t, { storage })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    calls.length = 0
    await call(app, plaintextKey, 5)
    t.same(calls.map(({ name }) => name), Array(5).fill('findKeyByHash'))
    await app.selfServeKeys.flush()
    t.same(calls.slice(5).map(({ name }) => name), ['recordUsage'])
  })

  t.test('usage: false records nothing and has no usage route', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const { app } = await hostOf(t, { storage, usage: false })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey, 2)
    await app.selfServeKeys.flush()
    t.same(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
    t.match(await app.selfServeKeys.usage.snapshot(ACCOUNT), { totalRequests: 0 })
    t.equal(calls.some(({ name }) => name === 'recordUsage'), false)
    t.equal((await app.inject({ url: '/v1/me/usage', headers: { authorization: `Bearer ${ACCOUNT}` } })).statusCode, 404)
    await app.selfServeKeys.prune()
    t.equal(calls.some(({ name }) => name === 'pruneUsage'), false)
  })

  t.test('the interval writes what is buffered, without being asked', async (t) => {
    const flushed = deferred()
    const memory = memoryStorage()
    const storage: Storage = { ...memory, recordUsage: async (batch) => { await memory.recordUsage(batch); flushed.resolve() } }
    const { app } = await hostOf(t, { storage, usage: { flushInterval: '1ms', prune: false } })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey)
    await staying(flushed.promise)
    t.match(await memory.readUsage({ accountId: ACCOUNT, ...slotsOf('24h', Date.now()), perKeyLimit: 1, recentLimit: 1 }), { perKey: [{ requests: 1 }] })
  })

  t.test('an outage is logged once by the interval, which goes on', async (t) => {
    const recovered = deferred()
    const memory = memoryStorage()
    let tries = 0
    const storage: Storage = {
      ...memory,
      async recordUsage (batch) {
        if (++tries <= 5) throw new Error('down')
        await memory.recordUsage(batch)
        recovered.resolve()
      }
    }
    const { app, lines } = await hostOf(t, { storage, usage: { flushInterval: '1ms', prune: false } })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey)
    await staying(recovered.promise)
    await app.close()
    t.equal(lines.filter(({ msg }) => msg.startsWith('usage could not be written')).length, 1)
    t.equal(lines.filter(({ msg, level }) => msg === 'flush failed' && level === 20).length, 5)
    t.equal(lines.filter(({ msg }) => msg === 'usage is written again').length, 1)
  })

  t.test('close writes what is buffered, then closes the storage', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const { app } = await hostOf(t, { storage })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey, 4)
    await app.close()
    t.same(calls.slice(-2).map(({ name }) => name), ['recordUsage', 'close'])
    t.equal((calls.at(-2)!.args[0] as UsageBatch).events.length, 4)
  })

  t.test('close with the storage down says what is lost, and closes all the same', async (t) => {
    const { storage, calls } = watched({ ...memoryStorage(), recordUsage: async () => { throw new Error('down') } })
    const { app, lines } = await hostOf(t, { storage })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey, 4)
    await t.rejects(app.selfServeKeys.flush(), { code: 'STORAGE_UNAVAILABLE', statusCode: 503 })
    t.match(app.selfServeKeys.stats(), { usageBuffered: 4 })
    await app.close()
    t.match(lines.find(({ msg }) => msg === 'what was buffered could not be written before the end'), { lost: 4, level: 50 })
    t.equal(calls.at(-1)?.name, 'close')
  })

  t.test('close with a storage that hangs resolves within five seconds, and says what is lost and what was not closed', async (t) => {
    const { storage, calls } = watched({ ...memoryStorage(), recordUsage: async () => await new Promise(() => {}), close: async () => await new Promise(() => {}) })
    const { app, lines } = await hostOf(t, { storage, timeout: '3s' })
    const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
    await call(app, plaintextKey, 4)
    const start = performance.now()
    await app.close()
    const took = performance.now() - start
    t.ok(took > 4000 && took < 5000, `${took} ms`)
    t.match(lines.filter(({ level }) => level === 50), [
      { lost: 4, msg: 'what was buffered could not be written before the end', err: { message: 'no end in 2200 ms' } },
      { msg: 'the storage could not be closed', err: { message: 'no end in 2200 ms' } }
    ])
    t.same(calls.slice(-2).map(({ name }) => name), ['recordUsage', 'close'])
  })

  t.test('close with a storage that cannot be closed resolves, and says so', async (t) => {
    for (const close of [async () => { throw new Error('down') }, () => { throw new Error('down') }]) {
      const { storage, calls } = watched({ ...memoryStorage(), close })
      const { app, lines } = await hostOf(t, { storage })
      const { plaintextKey } = await app.selfServeKeys.keys.issueDefault(by)
      await call(app, plaintextKey, 4)
      await app.close()
      t.same(calls.slice(-2).map(({ name }) => name), ['recordUsage', 'close'], 'what was buffered is written all the same')
      t.match(lines.filter(({ level }) => level === 50), [{ msg: 'the storage could not be closed', err: { code: 'STORAGE_UNAVAILABLE' } }])
    }
  })

  t.test('is exact after a graceful close on a SQLite file', async (t) => {
    const file = join(t.testdir(), 'keys.db')
    const first = await hostOf(t, { storage: kyselyStorage({ file }), rateLimit: { max: 1500, timeWindow: '1 hour' }, usage: { flushInterval: '5ms' }, timeout: '1 minute' })
    const { plaintextKey, apiKey } = await first.app.selfServeKeys.keys.issueDefault(by)
    for (let round = 0; round < 20; round++) await Promise.all(upTo(100).map(async () => { await call(first.app, plaintextKey) }))
    await first.app.selfServeKeys.flush()
    await call(first.app, plaintextKey, 10)
    await first.app.close()
    const second = await hostOf(t, { storage: kyselyStorage({ file }) })
    const snapshot = await second.app.selfServeKeys.usage.snapshot(ACCOUNT)
    t.match(snapshot, { totalRequests: 2010, totalFailures: 510, perKey: [{ publicId: apiKey.publicId, requests: 2010, failures: 510 }] })
    t.equal(snapshot.recentRequestsTruncated, true)
    t.match(snapshot.recentFailures[0], { status: 429, failureCode: 'RATE_LIMITED', route: '/v1/blocks' })
  })
})

t.test('pruning', async (t) => {
  t.test('removes usage and keys past their retention, and nothing younger', async (t) => {
    const clock = testClock()
    const storage = memoryStorage()
    const { app } = await hostOf(t, { storage, clock, usage: { retention: '31 days', flushInterval: '1 week', prune: false }, keys: { retention: '31 days' } })
    const ended = await issue(storage)
    const kept = await issue(storage)
    await revoke(storage, ended)
    await record(storage, [event(kept, NOW), event(kept, NOW + HOUR)])
    const count = async (): Promise<number> =>
      (await storage.readUsage({ accountId: ACCOUNT, unit: 'day', start: 0, end: NOW + 100 * DAY, perKeyLimit: 10, recentLimit: 10 })).recentRequests.length
    clock.pass(31 * DAY)
    await app.selfServeKeys.prune()
    t.equal(await count(), 2, 'the hour under way at the border is whole')
    t.equal((await keysOf(storage)).length, 2, 'a key goes when its end lies further back than its retention')
    clock.pass(HOUR)
    await app.selfServeKeys.prune()
    t.equal(await count(), 1)
    t.same((await keysOf(storage)).map(({ publicId }) => publicId), [kept.publicId])
    clock.pass(365 * DAY)
    await app.selfServeKeys.prune()
    t.equal(await count(), 0)
    t.same((await keysOf(storage)).map(({ publicId }) => publicId), [kept.publicId], 'an active key is never pruned')
  })

  t.test('goes in steps of 2000, usage before keys, with a turn for others between any two', async (t) => {
    const left = { pruneUsage: 4500, pruneKeys: 2000 }
    const steps: string[] = []
    const step = (name: keyof typeof left) => async (_before: number, limit: number): Promise<number> => {
      const removed = Math.min(limit, left[name])
      left[name] -= removed
      steps.push(`${name} ${removed}`)
      setImmediate(() => { steps.push('others') })
      return removed
    }
    const { app } = await hostOf(t, { storage: { ...memoryStorage(), pruneUsage: step('pruneUsage'), pruneKeys: step('pruneKeys') } })
    await app.selfServeKeys.prune()
    t.same(steps, [
      'pruneUsage 2000', 'others', 'pruneUsage 2000', 'others', 'pruneUsage 500', 'others', 'pruneUsage 0',
      'pruneKeys 2000', 'others', 'others', 'pruneKeys 0'
    ])
  })

  t.test('asks by the retention of each, usage by the whole hour', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const { app } = await hostOf(t, { storage, clock: testClock(), usage: { retention: '40 days', prune: false }, keys: { retention: '50 days' }, audit: { retention: '60 days' } })
    calls.length = 0
    await app.selfServeKeys.prune()
    t.same(calls, [
      { name: 'pruneUsage', args: [Date.UTC(2025, 11, 6, 12), 2000] },
      { name: 'pruneKeys', args: [NOW - 50 * DAY, 2000] },
      { name: 'pruneRequests', args: [NOW, 2000] },
      { name: 'pruneAudit', args: [NOW - 60 * DAY, 2000] }
    ])
  })

  t.test('under way stops when the app closes', async (t) => {
    const steps: string[] = []
    let closed = false
    const step = (name: string) => async (): Promise<number> => {
      if (closed) t.fail('a closed storage was asked to prune')
      steps.push(name)
      // Without an end it would go on for long.
      return steps.length < 500 ? 2000 : 0
    }
    const memory = memoryStorage()
    const { app } = await hostOf(t, {
      storage: {
        ...memory,
        pruneUsage: step('usage'),
        pruneKeys: step('keys'),
        async close () { closed = true }
      }
    })
    const pruning = app.selfServeKeys.prune()
    await nextTurn()
    t.ok(steps.length > 0)
    await app.close()
    await pruning
    t.ok(steps.length < 100, `${steps.length} steps`)
    t.ok(steps.every((name) => name === 'usage'), 'nor does the next kind begin')
  })

  t.test('that fails says so', async (t) => {
    const { app } = await hostOf(t, { storage: { ...memoryStorage(), pruneUsage: async () => { throw new Error('down') } } })
    await t.rejects(app.selfServeKeys.prune(), { code: 'STORAGE_UNAVAILABLE', statusCode: 503, details: { part: 'storage', retryAfter: 1 } })
  })
})

t.test('a sink', async (t) => {
  type Line = [level: string, message: string]
  const queueOn = (sink: (batch: UsageSinkBatch) => unknown) => {
    const lines: Line[] = []
    const queue = sinkQueue({ sink, log: { warn (_details, message) { lines.push(['warn', message]) }, info (_details, message) { lines.push(['info', message]) } } })
    let batches = 0
    const push = (count = 1): void => {
      queue.push({ id: `batch ${batches++}`, sealedAt: NOW, events: Array.from({ length: count }, (_item, place) => event(key, NOW + place)) }, Array(count).fill(key))
    }
    return { queue, lines, push }
  }

  t.test('is given what was recorded, with whose it was, and nothing of how it is stored', async (t) => {
    const given: UsageSinkBatch[] = []
    const { app } = await hostOf(t, { clock: testClock(), usage: { prune: false, flushInterval: '1 week', sink: (batch) => { given.push(batch) } } })
    const { plaintextKey, apiKey } = await app.selfServeKeys.keys.issue(by, { label: 'One', environment: 'test' })
    const headers = { 'x-api-key': plaintextKey! }
    await app.inject({ url: '/v1/blocks', headers })
    await app.inject({ url: '/v1/blocks', headers })
    t.same(given, [], 'not before the storage has it')
    await app.selfServeKeys.flush()
    await nextTurn()
    t.equal(given.length, 1)
    t.match(given[0]!.id, /^[0-9A-HJKMNP-TV-Z]{26}$/)
    t.same(given[0]!.events.map(({ durationMs, ...rest }) => rest), Array(2).fill({
      accountId: ACCOUNT,
      publicId: apiKey.publicId,
      environment: 'test',
      time: NOW,
      method: 'GET',
      route: '/v1/blocks',
      status: 200,
      failureCode: null,
      requestId: null
    }))
    t.ok(given[0]!.events.every(({ durationMs }) => durationMs >= 0))
    const { recentRequests } = await app.selfServeKeys.usage.snapshot(ACCOUNT)
    t.equal(recentRequests.length, 2)
    t.notOk('accountId' in recentRequests[0]!)
  })

  t.test('gets one batch at a time, in their order, and holds nobody up', async (t) => {
    const gate = deferred()
    const given: string[] = []
    let under = 0
    const { queue, push } = queueOn(async ({ id }) => {
      t.equal(++under, 1)
      given.push(id)
      await gate.promise
      under--
    })
    for (let turn = 0; turn < 5; turn++) push()
    await nextTurn()
    t.same(given, ['batch 0'])
    gate.resolve()
    await queue.drained()
    t.same(given, ['batch 0', 'batch 1', 'batch 2', 'batch 3', 'batch 4'])
    t.equal(queue.dropped, 0)
  })

  t.test('that fails is told of once an outage; what it did not take is counted and not offered again', async (t) => {
    const given: string[] = []
    const answers: Array<() => unknown> = [
      () => { throw new Error('down') }, async () => { throw new Error('down') }, () => {}, () => { throw new TypeError('not even a batch') }, async () => {}
    ]
    const { queue, lines, push } = queueOn(({ id }) => {
      given.push(id)
      return answers.shift()!()
    })
    for (const count of [1, 10, 100, 1000, 10]) push(count)
    await queue.drained()
    t.same(given, ['batch 0', 'batch 1', 'batch 2', 'batch 3', 'batch 4'])
    t.equal(queue.dropped, 1011)
    const [fails, takes]: [Line, Line] = [
      ['warn', 'usage.sink fails: what it does not take is not offered again'], ['info', 'usage.sink takes batches again']
    ]
    t.same(lines, [fails, takes, fails, takes])
  })

  t.test('that hangs fills a bounded queue: two full batches, or as many events in smaller ones', async (t) => {
    const { queue, push, lines } = queueOn(async () => await new Promise(() => {}))
    for (const count of [BATCH_EVENTS, 1, BATCH_EVENTS - 1]) push(count)
    t.equal(queue.dropped, 0)
    push(1)
    push(100)
    t.equal(queue.dropped, 101)
    t.same(lines, [['warn', 'usage.sink fails: what it does not take is not offered again']])
  })

  t.test('that hangs stops no request, no flush and no end', async (t) => {
    const { app } = await hostOf(t, { usage: { prune: false, flushInterval: '1 week', sink: async () => await new Promise(() => {}) } })
    const { plaintextKey } = await app.selfServeKeys.keys.issue(by, { label: 'One' })
    for (let turn = 0; turn < 20; turn++) {
      t.equal((await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': plaintextKey! } })).statusCode, 200)
      await app.selfServeKeys.flush()
    }
    t.same(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
    t.equal((await app.selfServeKeys.usage.snapshot(ACCOUNT)).totalRequests, 20, 'nothing that is stored is lost')
    const start = performance.now()
    await app.close()
    t.ok(performance.now() - start < 4000)
  })

  t.test('is not given a batch that was never recorded, and one whose answer was lost only once', async (t) => {
    const { recorder, told, outcomes } = recorderOn()
    outcomes.push('lost', 'unanswered')
    recorder.record(...numbered(1))
    await t.rejects(recorder.flush())
    t.same(told, [])
    await t.rejects(recorder.flush())
    t.same(told, [])
    await recorder.flush()
    t.equal(told.length, 1)
  })
})
