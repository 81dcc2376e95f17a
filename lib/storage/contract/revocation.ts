// The storage contract on revoking: one key, all of an account, all that one person issued.
import assert from 'node:assert/strict'
import type { StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import {
  ACCOUNT, hostContext, issuing, NOW, OTHER_ACCOUNT, revoking, revokingAll, rotating, STRANGE_TEXTS
} from './samples.js'
import { auditOf, besideOthers, changed, issue, issueIn, keyByHash, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

const ended = (key: StoredKey, reason: string, now: number): StoredKey => ({ ...key, isDefault: false, revokedAt: now, revokedReason: reason })

export const revocationCases: ContractCases = {
  'a revocation is seen by every read that begins after its answer, and changes three fields alone': besideOthers(async (storage) => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW + DAY })
    const sibling = await issue(storage)
    const result = changed(await storage.revokeKey(revoking(key, { reason: STRANGE_TEXTS[0]!, now: NOW + 5 })))
    const revoked = ended(key, STRANGE_TEXTS[0]!, NOW + 5)
    assert.equal(verdict(result), 'api_key.revoked')
    assert.deepEqual([result.key, result.updated], [revoked, [revoked]])
    assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), revoked)
    assert.deepEqual(await storage.getKey(ACCOUNT, key.publicId), revoked)
    assert.deepEqual(await keysOf(storage), [sibling, revoked])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 2, active: 1 })
  }),

  'a second revocation answers the same revokedAt and changes nothing, whatever its clock and reason': async (storage) => {
    const revoked = await revoke(storage, await issue(storage))
    for (const now of [NOW + 1, NOW - DAY]) {
      const again = await withoutTrace(storage, async () => await storage.revokeKey(revoking(revoked, { reason: 'again', now })))
      assert.deepEqual(again, { outcome: 'unchanged', key: revoked })
    }
  },

  'of twenty revocations at once one changes the key and all answer the same': async (storage) => {
    const key = await issue(storage)
    const results = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      await storage.revokeKey(revoking(key, { reason: `number ${index}`, now: NOW + index }))))
    assert.equal(results.filter(({ outcome }) => outcome === 'changed').length, 1)
    const stored = await storage.findKey(key.publicId)
    for (const result of results) assert.deepEqual(result.outcome !== 'refused' && result.key, stored)
    assert.equal((await auditOf(storage)).length, 2)
  },

  'an expired key can be revoked': async (storage) => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW - 10 })
    const result = changed(await storage.revokeKey(revoking(key, { reason: 'leaked' })))
    assert.deepEqual(result.key, ended(key, 'leaked', NOW))
  },

  'a retiring key can be revoked before its overlap ends, and a retired one is revoked already': async (storage) => {
    const key = await issueIn(storage, 'retiring')
    const late = await withoutTrace(storage, async () => await storage.revokeKey(revoking(key, { now: NOW + DAY })))
    assert.deepEqual(late, { outcome: 'unchanged', key })
    assert.deepEqual(changed(await storage.revokeKey(revoking(key, { reason: 'leaked' }))).key, ended(key, 'leaked', NOW))
  },

  'a key that is rotated and revoked at once has one successor at most, and is revoked': async (storage) => {
    const key = await issue(storage)
    const results = await Promise.all([
      storage.rotateKey(rotating(key)), storage.revokeKey(revoking(key)), storage.rotateKey(rotating(key, { overlap: DAY }))
    ])
    const keys = await keysOf(storage)
    assert.ok(keys.length <= 2)
    assert.notEqual(keys.at(-1)!.revokedAt, null)
    assert.equal((await auditOf(storage)).length, 1 + results.filter(({ outcome }) => outcome === 'changed').length)
  },

  'all keys of an account are revoked at once, those that ended before stay as they are': besideOthers(async (storage) => {
    const expired = await issueIn(storage, 'expired')
    const revoked = await issueIn(storage, 'revoked')
    const retired = changed(await storage.rotateKey(rotating(await issue(storage), { now: NOW - 9, overlap: 5 })))
    const retiring = changed(await storage.rotateKey(rotating(await issue(storage, { isDefault: true }), { overlap: 5 })))
    const others = [
      await issueIn(storage, 'disabled'), await issue(storage, { disabledBy: 'host' }), await issue(storage, { environment: 'test', isDefault: true })
    ]
    const current = [...others.toReversed(), retiring.key, ...retiring.updated, retired.key]
    const before = (await auditOf(storage)).length
    const result = changed(await storage.revokeKeys(revokingAll({ ...hostContext(), reason: 'account closed', now: NOW + 1 })))
    const expected = current.map((key) => ended(key, 'account closed', NOW + 1))
    assert.deepEqual(result.updated, expected)
    assert.deepEqual(result.key, expected[0])
    assert.deepEqual(await keysOf(storage), [...expected, ...retired.updated, revoked, expired])
    // One entry a key.
    assert.deepEqual(result.entries.map(({ entry }) => entry.targetId), expected.map(({ publicId }) => publicId))
    assert.equal((await auditOf(storage)).length, before + expected.length)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 9, active: 0 })
    for (const { hash, pepperId } of current) assert.equal((await keyByHash(storage, [{ hash, pepperId }]))?.revokedAt, NOW + 1)
    // The default slots are empty.
    for (const environment of ['live', 'test'] as const) {
      assert.equal(verdict(await storage.issueKey(issuing({ isDefault: true, environment }))), 'api_key.issued')
    }
  }),

  'the keys that one person issued are revoked, those of others and of nobody stay': besideOthers(async (storage) => {
    const [hers, his, nobodys, hersToo] = [
      await issue(storage, { creatorId: 'ada' }), await issue(storage, { creatorId: 'ADA' }), await issue(storage, { createdBy: 'ada' }),
      await issue(storage, { creatorId: 'ada', disabledBy: 'account' })
    ]
    await issue(storage, { accountId: 'user_c', creatorId: 'ada' })
    const result = await withoutTrace(storage, async () =>
      changed(await storage.revokeKeys(revokingAll({ creatorId: 'ada', reason: 'left' }))), 'user_c')
    const expected = [ended(hersToo, 'left', NOW), ended(hers, 'left', NOW)]
    assert.deepEqual(result.updated, expected)
    assert.deepEqual(await keysOf(storage), [expected[0], nobodys, his, expected[1]])
  }),

  'where there is no key to revoke nothing is changed': async (storage) => {
    await issueIn(storage, 'revoked')
    await issueIn(storage, 'expired')
    await issue(storage, { creatorId: 'ada' })
    for (const more of [{ creatorId: 'bob' }, { accountId: OTHER_ACCOUNT }, { accountId: OTHER_ACCOUNT, creatorId: 'ada' }]) {
      const result = await withoutTrace(storage, async () => await storage.revokeKeys(revokingAll(more)))
      assert.deepEqual(result, { outcome: 'unchanged', key: null })
    }
    assert.equal(verdict(await storage.revokeKeys(revokingAll())), 'api_key.revoked')
    assert.deepEqual(await storage.revokeKeys(revokingAll()), { outcome: 'unchanged', key: null })
  }
}
