// The storage contract on what one key did: its totals by whole hours, and its newest request.
import assert from 'node:assert/strict'
import type { StoredKey } from '../../keys/api-key.js'
import { DAY, HOUR, MINUTE } from '../../time.js'
import { slotStart } from '../slots.js'
import type { KeyUsageQuery, KeyUsageRows, RecordedEvent, Storage, UsageEvent } from '../storage.js'
import { ACCOUNT, event, failure, NOW, OTHER_ACCOUNT, updating } from './samples.js'
import { issue, record, revoke, type ContractCases } from './steps.js'
import { readAll } from './usage-reading.js'

/** The end of the hour of NOW. */
const END = slotStart(NOW, 'hour') + HOUR

/** What the key did in the 24 hours that end with the one of NOW. */
async function read (storage: Storage, { publicId }: Pick<StoredKey, 'publicId'>, query: Partial<KeyUsageQuery> = {}): Promise<KeyUsageRows | null> {
  return await storage.readKeyUsage({ accountId: ACCOUNT, publicId, start: END - DAY, end: END, ...query })
}

/** The event as it is told, with what the key was then. */
function told ({ key: _key, ...rest }: UsageEvent, { publicId, label, environment, scopes }: StoredKey): RecordedEvent {
  return { ...rest, publicId, label, environment, scopes }
}

export const keyUsageCases: ContractCases = {
  'of a key that did nothing there is nothing to tell, and of one that is not the account\'s not even that': async (storage) => {
    const [key, theirs] = [await issue(storage), await issue(storage, { accountId: OTHER_ACCOUNT })]
    await record(storage, [event(theirs, NOW)])
    assert.deepEqual(await read(storage, key), { requests: 0, failures: 0, lastRequest: null })
    assert.equal(await read(storage, theirs), null)
    assert.equal(await read(storage, key, { accountId: OTHER_ACCOUNT }), null)
    assert.equal(await read(storage, key, { accountId: 'nobody' }), null)
    assert.equal(await read(storage, { publicId: 'key_none' }), null)
  },

  'what a key did is counted by whole hours, and nothing that other keys did': async (storage) => {
    const [key, other, theirs] = [await issue(storage), await issue(storage), await issue(storage, { accountId: OTHER_ACCOUNT })]
    const times = [END - DAY - 1, END - DAY, END - DAY + HOUR, NOW - HOUR, NOW - 1, NOW, END - 1, END]
    await record(storage, times.flatMap((time) => [event(key, time), failure(key, time), event(other, time), failure(theirs, time)]))
    await record(storage, [failure(key, NOW - MINUTE)])
    const before = await readAll(storage)
    const counted = async (query?: Partial<KeyUsageQuery>): Promise<unknown> => {
      const { requests, failures } = (await read(storage, key, query))!
      return { requests, failures }
    }
    assert.deepEqual(await counted(), { requests: 13, failures: 7 })
    assert.deepEqual(await counted({ start: END - HOUR }), { requests: 7, failures: 4 })
    assert.deepEqual(await counted({ start: END - DAY - HOUR, end: END - DAY }), { requests: 2, failures: 1 })
    assert.deepEqual(await counted({ start: END + HOUR, end: END + 2 * HOUR }), { requests: 0, failures: 0 })
    assert.deepEqual(await readAll(storage), before)
  },

  'the newest request of a key is told whenever it was, with the label and scopes of that time': async (storage) => {
    const [key, other] = [await issue(storage, { environment: 'test' }), await issue(storage)]
    const newest = failure(key, NOW - 5 * DAY, { route: '/v1/old', status: 503, durationMs: 12.345, failureCode: 'X', requestId: 'req-9' })
    await record(storage, [newest, event(key, NOW - 6 * DAY), event(other, NOW - 5 * DAY), event(other, NOW)])
    await record(storage, [event(key, NOW - 7 * DAY)])
    await storage.updateKey(updating(key, { label: 'Renamed', scopes: null }))
    assert.deepEqual(await read(storage, key), { requests: 0, failures: 0, lastRequest: told(newest, key) })

    const renamed = (await storage.getKey(ACCOUNT, key.publicId))!
    await record(storage, [event(renamed, NOW)])
    assert.deepEqual(await read(storage, key), { requests: 1, failures: 0, lastRequest: told(event(renamed, NOW), renamed) })
    await revoke(storage, key)
    await record(storage, [failure(renamed, NOW + 1)])
    assert.deepEqual((await read(storage, key))?.lastRequest, told(failure(renamed, NOW + 1), renamed), 'a revoked key that is still tried')
  },

  'of requests of one millisecond the one recorded last is the newest, and other keys\' of that millisecond are theirs': async (storage) => {
    const [key, other] = [await issue(storage), await issue(storage)]
    const at = (of: StoredKey, requestId: string): UsageEvent => failure(of, NOW, { requestId })
    await record(storage, [at(key, 'a'), at(key, 'b'), at(other, 'c')])
    assert.equal((await read(storage, key))?.lastRequest?.requestId, 'b')
    await record(storage, [at(other, 'd'), at(key, 'e'), event(key, NOW - 1), at(other, 'f')])
    assert.equal((await read(storage, key))?.lastRequest?.requestId, 'e')
    assert.equal((await read(storage, other))?.lastRequest?.requestId, 'f')
  },

  'a request that was pruned is told no more, and the key is there all the same': async (storage) => {
    const [key, other] = [await issue(storage), await issue(storage)]
    await record(storage, [event(key, NOW - 40 * DAY), event(other, NOW)])
    while (await storage.pruneUsage(slotStart(NOW - 31 * DAY, 'hour'), 100) > 0);
    assert.deepEqual(await read(storage, key), { requests: 0, failures: 0, lastRequest: null })
    assert.equal((await storage.getKey(ACCOUNT, key.publicId))?.lastUsedAt, NOW - 40 * DAY)
    assert.deepEqual(await read(storage, other), { requests: 1, failures: 0, lastRequest: told(event(other, NOW), other) })
  }
}
