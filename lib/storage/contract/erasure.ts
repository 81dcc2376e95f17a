// The storage contract on erasing an account: in bounded steps, all of it, and nothing of others.
import assert from 'node:assert/strict'
import { HOUR } from '../../time.js'
import type { Storage } from '../storage.js'
import { ACCOUNT, adding, event, failure, issuing, newEntry, NOW, OTHER_ACCOUNT, rotating, updating } from './samples.js'
import { auditOf, besideOthers, changed, issue, keyByHash, keysOf, record, revoke, stateOf, type ContractCases } from './steps.js'
import { readAll } from './usage-reading.js'

const NOTHING = [[], { total: 0, active: 0 }, [], []]

/** An account with something of everything. */
async function furnish (storage: Storage, accountId: string): Promise<void> {
  const key = await issue(storage, { accountId, isDefault: true })
  await revoke(storage, await issue(storage, { accountId }))
  const { key: renamed } = changed(await storage.updateKey(updating(key, { label: 'Renamed' })))
  changed(await storage.rotateKey(rotating(renamed, { overlap: HOUR, idempotency: { hash: 'a', requestHash: 'b' } })))
  for (let index = 0; index < 5; index++) {
    changed(await storage.addSite(adding(`https://${index}.example`, { accountId })))
    await storage.recordAudit(accountId, newEntry())
  }
  await record(storage, [event(key, NOW), failure(renamed, NOW - HOUR), event(key, NOW - 30 * HOUR)])
}

/** Erases the account to the end; answers how many steps did something. */
async function erase (storage: Storage, accountId: string, limit: number): Promise<number> {
  let [steps, removed] = [0, limit]
  while (removed > 0) {
    removed = await storage.eraseAccount(accountId, limit)
    assert.ok(removed >= 0 && removed <= limit, `${removed} of ${limit} at most`)
    assert.ok(++steps < 1000, 'it comes to an end')
  }
  return steps - 1
}

export const erasureCases: ContractCases = {
  'an account is erased with its keys, sites, entries and usage, and others are not touched': async (storage) => {
    for (const accountId of [ACCOUNT, OTHER_ACCOUNT, 'USER_A']) await furnish(storage, accountId)
    const keys = await keysOf(storage)
    const others = async (): Promise<unknown> => await Promise.all([OTHER_ACCOUNT, 'USER_A'].map(async (accountId) =>
      [await stateOf(storage, accountId), await readAll(storage, accountId)]))
    const before = await others()
    assert.ok(await erase(storage, ACCOUNT, 100) > 0)
    assert.deepEqual(await stateOf(storage), NOTHING)
    for (const { publicId, hash, pepperId } of keys) {
      assert.equal(await storage.findKey(publicId), null)
      assert.equal(await storage.getKey(ACCOUNT, publicId), null)
      assert.equal(await keyByHash(storage, [{ hash, pepperId }]), null)
    }
    for (const rows of await readAll(storage)) assert.deepEqual(rows, { timeline: [], perKey: [], recentRequests: [], recentFailures: [] })
    assert.deepEqual(await others(), before)
  },

  'each step removes no more than it is told, keys first, and 0 says that nothing is left': besideOthers(async (storage) => {
    await furnish(storage, ACCOUNT)
    const entries = await auditOf(storage)
    assert.deepEqual([await storage.eraseAccount(ACCOUNT, 2), (await keysOf(storage)).length], [2, 1])
    assert.deepEqual([await storage.eraseAccount(ACCOUNT, 1), await keysOf(storage)], [1, []])
    assert.deepEqual(await auditOf(storage), entries)
    assert.ok(await erase(storage, ACCOUNT, 2) >= (entries.length + 5 + 1 + 1) / 2)
    assert.deepEqual(await stateOf(storage), NOTHING)
    assert.equal(await storage.eraseAccount(ACCOUNT, 2), 0)
  }),

  'an account that is not known has nothing to erase': besideOthers(async (storage) => {
    for (const accountId of ['nobody', 'USER_B', 'user_', '%', '']) assert.equal(await storage.eraseAccount(accountId, 9), 0)
  }),

  'an account that comes back begins anew, and its numbers are new': besideOthers(async (storage) => {
    await furnish(storage, ACCOUNT)
    const old = await keysOf(storage)
    await erase(storage, ACCOUNT, 3)
    const { key, entries } = changed(await storage.issueKey(issuing({ isDefault: true, hash: old[0]!.hash })))
    assert.deepEqual([key.sequence, key.rotatedFrom, entries[0]!.entry.id], [1, null, 1])
    assert.deepEqual(await keysOf(storage), [key])
    assert.ok(old.every(({ ref }) => ref.account !== key.ref.account && ref.key !== key.ref.key))
    // Usage that was under way when the account was erased is dropped, and is never taken for the new one's.
    await record(storage, [...old.map((gone) => failure(gone, NOW + 1)), event(key, NOW)])
    await record(storage, old.map((gone) => event(gone, NOW + 1)))
    assert.deepEqual(await keysOf(storage), [{ ...key, lastUsedAt: NOW }])
    for (const { timeline, perKey, recentRequests, recentFailures } of await readAll(storage)) {
      assert.deepEqual([timeline.length, perKey.map(({ requests }) => requests), recentRequests.length, recentFailures.length], [1, [1], 1, 0])
    }
  }),

  'a key that is issued between two steps is erased with the rest': async (storage) => {
    await furnish(storage, ACCOUNT)
    await storage.eraseAccount(ACCOUNT, 1)
    const late = await issue(storage, { isDefault: true })
    await erase(storage, ACCOUNT, 4)
    assert.equal(await storage.findKey(late.publicId), null)
    assert.deepEqual(await stateOf(storage), NOTHING)
  }
}
