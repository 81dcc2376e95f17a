// The storage contract on issuing: the default slot, the number of keys, the sequence, many at once.
import assert from 'node:assert/strict'
import type { StoredKey } from '../../keys/api-key.js'
import {
  ACCOUNT, besideOthers, issue, keysOf, newKey, NOW, OTHER_ACCOUNT, revoke, type ContractCases
} from './samples.js'

export const issueCases: ContractCases = {
  'a default key for an empty slot is issued and replaces nothing': besideOthers(async (storage) => {
    const named = await issue(storage)
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW })
    assert.equal(result.outcome, 'issued')
    assert.equal(result.replaced, null)
    assert.equal(result.key.isDefault, true)
    assert.deepEqual(await keysOf(storage), [result.key, named])
  }),

  'a default key for a taken slot revokes the holder alone, names it, and takes its slot': besideOthers(async (storage) => {
    const holder = await issue(storage, { isDefault: true })
    const named = await issue(storage)
    const test = await issue(storage, { isDefault: true, environment: 'test' })
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW + 1 })
    assert.ok(result.outcome === 'rotated')
    assert.deepEqual(result.replaced, { ...holder, isDefault: false, revokedAt: NOW + 1, revokedReason: 'rotated' })
    assert.equal(result.key.rotatedFrom, holder.publicId)
    assert.deepEqual(await keysOf(storage), [result.key, test, named, result.replaced])
  }),

  'a named key leaves the default key where it is': async (storage) => {
    const holder = await issue(storage, { isDefault: true, label: 'Default' })
    const result = await storage.issueKey({ key: newKey({ label: 'Default' }), maxKeys: 100, now: NOW })
    assert.ok(result.outcome === 'issued')
    assert.equal(result.key.isDefault, false)
    assert.deepEqual(await keysOf(storage), [result.key, holder])
  },

  'an expired holder loses its slot for good and is not revoked': async (storage) => {
    const holder = await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW + 10 })
    assert.ok(result.outcome === 'issued')
    assert.deepEqual([result.replaced, result.key.rotatedFrom], [null, null])
    const vacated = { ...holder, isDefault: false }
    assert.deepEqual(await keysOf(storage), [result.key, vacated])
    // Even where the clock was set back and the key reads active again.
    const next = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW })
    assert.ok(next.outcome === 'rotated')
    assert.equal(next.replaced.publicId, result.key.publicId)
    assert.deepEqual(await storage.findKey(holder.publicId), vacated)
  },

  'a holder that has not quite expired is rotated': async (storage) => {
    await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    assert.equal((await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW + 9 })).outcome, 'rotated')
  },

  'a revoked default key leaves its slot empty': async (storage) => {
    const holder = await revoke(storage, await issue(storage, { isDefault: true }))
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW })
    assert.equal(result.outcome, 'issued')
    assert.deepEqual(await storage.findKey(holder.publicId), holder)
  },

  'exactly maxKeys keys are issued; one more is refused and stores nothing': besideOthers(async (storage) => {
    const attempt = async (isDefault = false, now = NOW): Promise<string> =>
      (await storage.issueKey({ key: newKey({ isDefault }), maxKeys: 3, now })).outcome
    await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    assert.deepEqual([await attempt(), await attempt(), await attempt()], ['issued', 'issued', 'limit'])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 3, active: 3 })
    // A rotation is never refused for the number of keys.
    assert.equal(await attempt(true), 'rotated')
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 4, active: 3 })
  }),

  'maxKeys counts neither revoked nor expired keys, and none of another account': async (storage) => {
    const expired = await issue(storage, { isDefault: true, expiresAt: NOW })
    await revoke(storage, await issue(storage))
    await issue(storage, { accountId: OTHER_ACCOUNT })
    const attempt = async (): Promise<string> => (await storage.issueKey({ key: newKey(), maxKeys: 1, now: NOW })).outcome
    assert.deepEqual([await attempt(), await attempt()], ['issued', 'limit'])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 3, active: 1 })
    // A refused default key leaves even an expired holder as it is.
    assert.equal((await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 1, now: NOW })).outcome, 'limit')
    assert.deepEqual(await storage.findKey(expired.publicId), expired)
  },

  'an account without keys counts none and may be refused its first': async (storage) => {
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 0, active: 0 })
    assert.equal((await storage.issueKey({ key: newKey(), maxKeys: 0, now: NOW })).outcome, 'limit')
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 0, active: 0 })
    assert.deepEqual(await keysOf(storage), [])
  },

  'account ids compare as bytes': async (storage) => {
    const ids = ['user_a', 'USER_A', 'user_ä', 'user_a\u0308', 'user_a ', 'user_', 'user_%', 'usér_a']
    const keys = new Map<string, StoredKey>()
    for (const accountId of ids) {
      const result = await storage.issueKey({ key: newKey({ accountId, isDefault: true }), maxKeys: 1, now: NOW })
      assert.ok(result.outcome === 'issued', accountId)
      keys.set(accountId, result.key)
    }
    for (const accountId of ids) {
      assert.deepEqual(await storage.countKeys(accountId, NOW), { total: 1, active: 1 })
      assert.deepEqual(await keysOf(storage, accountId), [keys.get(accountId)])
      for (const [owner, { publicId }] of keys) {
        assert.equal((await storage.getKey(accountId, publicId))?.accountId, owner === accountId ? owner : undefined)
        if (owner !== accountId) assert.equal(await storage.revokeKey({ accountId, publicId, reason: 'mine', now: NOW }), null)
      }
    }
  },

  'twenty default keys issued at once leave one default and one unbroken chain behind it': besideOthers(async (storage) => {
    const results = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 1, now: NOW + index })))
    assert.equal(results.filter(({ outcome }) => outcome === 'issued').length, 1)
    assert.equal(results.filter(({ outcome }) => outcome === 'rotated').length, 19)
    const keys = await keysOf(storage)
    assert.equal(keys.length, 20)
    assert.deepEqual(keys.map((key) => key.isDefault), keys.map((_, index) => index === 0))
    assert.deepEqual(keys.map((key) => key.rotatedFrom), [...keys.slice(1).map((key) => key.publicId), null])
    assert.deepEqual(keys.map((key) => key.revokedReason), [null, ...keys.slice(1).map(() => 'rotated')])
  }),

  'of twenty keys issued at once no more than maxKeys are stored': async (storage) => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, async () =>
      (await storage.issueKey({ key: newKey(), maxKeys: 7, now: NOW })).outcome))
    assert.equal(outcomes.filter((outcome) => outcome === 'issued').length, 7)
    assert.equal(outcomes.filter((outcome) => outcome === 'limit').length, 13)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 7, active: 7 })
  },

  'each account has its own sequence, without a gap and without a duplicate': async (storage) => {
    await Promise.all(Array.from({ length: 24 }, async (_, index) => await issue(storage, {
      accountId: index % 3 === 0 ? OTHER_ACCOUNT : ACCOUNT, isDefault: index % 4 === 0, createdAt: NOW - index
    })))
    await storage.issueKey({ key: newKey(), maxKeys: 1, now: NOW })
    await issue(storage)
    for (const [accountId, count] of [[ACCOUNT, 17], [OTHER_ACCOUNT, 8]] as const) {
      const sequences = (await keysOf(storage, accountId)).map((key) => key.sequence)
      assert.deepEqual(sequences, sequences.map((_, index) => sequences[0]! - index))
      assert.equal(sequences.length, count)
    }
  },

  'a public id or a hash that is taken rejects, and nothing happened': besideOthers(async (storage) => {
    const holder = await issue(storage, { isDefault: true })
    await assert.rejects(storage.issueKey({ key: newKey({ isDefault: true, hash: holder.hash }), maxKeys: 9, now: NOW }))
    await assert.rejects(storage.issueKey({ key: newKey({ isDefault: true, publicId: holder.publicId }), maxKeys: 9, now: NOW }))
    await assert.rejects(storage.issueKey({ key: newKey({ accountId: 'user_c', hash: holder.hash }), maxKeys: 9, now: NOW }))
    assert.deepEqual(await keysOf(storage), [holder])
    assert.deepEqual(await storage.findKeyByHash([{ hash: holder.hash, pepperId: null }]), holder)
    assert.deepEqual(await storage.countKeys('user_c', NOW), { total: 0, active: 0 })
    // The sequence goes on as if they had never been.
    assert.equal((await issue(storage)).sequence, holder.sequence + 1)
  })
}
