// The storage contract on recording usage once, on what it does to keys, and on pruning it.
import assert from 'node:assert/strict'
import { ulid } from '../../crypto.js'
import { DAY, HOUR, MINUTE } from '../../time.js'
import { slotStart } from '../slots.js'
import { BATCH_EVENTS, type UsageRows } from '../storage.js'
import { event, failure, NOW, OTHER_ACCOUNT } from './samples.js'
import { issue, keysOf, record, revoke, type ContractCases } from './steps.js'
import { counts, read, readAll, UNITS } from './usage-reading.js'

export const usageRecordingCases: ContractCases = {
  'a batch is recorded once, however often it is sent': async (storage) => {
    const key = await issue(storage)
    const events = [event(key, NOW), failure(key, NOW - HOUR)]
    const id = ulid(NOW)
    await Promise.all(Array.from({ length: 5 }, async () => await record(storage, events, id)))
    const before = [await readAll(storage), await storage.findKey(key.publicId)]
    await record(storage, events, id)
    assert.deepEqual([await readAll(storage), await storage.findKey(key.publicId)], before)
    // The same events under another id are other requests.
    await record(storage, events)
    for (const rows of (await readAll(storage)).slice(1)) assert.deepEqual(counts(rows), { requests: 4, failures: 2 })
  },

  'a batch is remembered for a day, others recorded since or not': async (storage) => {
    const key = await issue(storage)
    const batch = { id: ulid(NOW), sealedAt: NOW - DAY, events: [event(key, NOW)] }
    await storage.recordUsage(batch)
    await record(storage, [event(key, NOW)])
    await storage.recordUsage(batch)
    for (const rows of await readAll(storage)) assert.deepEqual(counts(rows), { requests: 2, failures: 0 })
  },

  'as many events as a batch may hold are a batch like any other': async (storage) => {
    const key = await issue(storage)
    await record(storage, Array.from({ length: BATCH_EVENTS }, (_, index) => failure(key, NOW, { route: `/${index % 1000}`, requestId: `${index}` })))
    await record(storage, [event(key, NOW)])
    for (const rows of await readAll(storage)) assert.deepEqual(counts(rows), { requests: BATCH_EVENTS + 1, failures: BATCH_EVENTS })
    const { recentFailures } = await read(storage, 'minute', 60, { recentLimit: 3 })
    const last = BATCH_EVENTS - 1
    assert.deepEqual(recentFailures.map(({ route, requestId }) => [route, requestId]),
      [last, last - 1, last - 2].map((index) => [`/${index % 1000}`, `${index}`]))
  },

  'lastUsedAt is the time of the latest event, never moves back, and nothing else of the key changes': async (storage) => {
    const key = await issue(storage, { isDefault: true })
    const revoked = await revoke(storage, await issue(storage))
    const unused = await issue(storage)
    const other = await issue(storage, { accountId: OTHER_ACCOUNT })
    await record(storage, [event(key, NOW - 5), event(key, NOW), failure(key, NOW - 9), failure(revoked, NOW - 7)])
    const expected = [unused, { ...revoked, lastUsedAt: NOW - 7 }, { ...key, lastUsedAt: NOW }]
    assert.deepEqual(await keysOf(storage), expected)
    await record(storage, [event(key, NOW - 1), event(revoked, NOW - HOUR)])
    assert.deepEqual(await keysOf(storage), expected)
    assert.deepEqual(await keysOf(storage, OTHER_ACCOUNT), [other])
  },

  'events of a pruned key are dropped, the rest of their batch is kept': async (storage) => {
    const kept = await issue(storage)
    const pruned = await issue(storage, { expiresAt: NOW - DAY })
    assert.equal(await storage.pruneKeys(NOW, 10), 1)
    await record(storage, [event(kept, NOW - MINUTE), ...Array.from({ length: 3 }, () => failure(pruned, NOW))])
    await record(storage, [failure(pruned, NOW)])
    for (const rows of await readAll(storage)) {
      assert.deepEqual(counts(rows), { requests: 1, failures: 0 })
      assert.deepEqual(rows.perKey.map(({ key }) => key.publicId), [kept.publicId])
      assert.deepEqual([rows.recentRequests.length, rows.recentFailures.length], [1, 0])
    }
  },

  'the usage of a key goes with it when it is pruned, and makes room for the others\'': async (storage) => {
    const kept = await issue(storage)
    const pruned = await issue(storage, { expiresAt: NOW - DAY })
    await record(storage, [event(kept, NOW - MINUTE), failure(kept, NOW - MINUTE)])
    await record(storage, Array.from({ length: 3 }, () => failure(pruned, NOW)))
    assert.equal(await storage.pruneKeys(NOW, 10), 1)
    for (const unit of UNITS) {
      const rows = await read(storage, unit, 24, { perKeyLimit: 1, recentLimit: 2 })
      assert.deepEqual(counts(rows), { requests: 2, failures: 1 })
      assert.deepEqual(rows.perKey.map(({ key }) => key.publicId), [kept.publicId])
      assert.deepEqual([rows.recentRequests.length, rows.recentFailures.length], [2, 1])
    }
  },

  'pruning usage removes what is older, a bounded number of rows at a time, and leaves what is younger': async (storage) => {
    const keys = [await issue(storage), await issue(storage), await issue(storage, { accountId: OTHER_ACCOUNT })]
    const before = slotStart(NOW, 'day') - 7 * DAY
    const younger = [before, before + 1, before + HOUR, NOW].flatMap((time) => keys.map((key) => failure(key, time)))
    await record(storage, younger)
    const all = async (): Promise<UsageRows[]> =>
      [...await readAll(storage), ...await readAll(storage, OTHER_ACCOUNT)]
    const expected = await all()
    const stored = await keysOf(storage)
    const older = [before - 1, before - HOUR, before - DAY, before - 9 * DAY].flatMap((time) => keys.map((key) => failure(key, time)))
    await record(storage, older)

    assert.equal(await storage.pruneUsage(before, 0), 0)
    let removed = 0
    for (let last = 1; last > 0;) {
      last = await storage.pruneUsage(before, 5)
      assert.ok(last <= 5)
      removed += last
    }
    assert.ok(removed >= older.length)
    assert.deepEqual(await all(), expected)
    assert.deepEqual(await keysOf(storage), stored)
  }
}
