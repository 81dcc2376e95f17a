// The storage contract on issuing: the default slot, the number of keys, the sequence, many at once.
import assert from 'node:assert/strict'
import type { StoredKey } from '../../keys/api-key.js'
import { ACCOUNT, issuing, NOW, OTHER_ACCOUNT, renewing, revoking } from './samples.js'
import { besideOthers, changed, issue, keyByHash, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

const ISSUED = 'api_key.issued'
const ROTATED = 'api_key.rotated'

export const issueCases: ContractCases = {
  'a default key for an empty slot is issued and replaces nothing': besideOthers(async (storage) => {
    const named = await issue(storage)
    const result = changed(await storage.issueKey(issuing({ isDefault: true })))
    assert.equal(verdict(result), ISSUED)
    assert.deepEqual(result.updated, [])
    assert.equal(result.key.isDefault, true)
    assert.deepEqual(await keysOf(storage), [result.key, named])
  }),

  'a default key for a taken slot revokes the holder alone, takes its slot, and is like it': besideOthers(async (storage) => {
    const holder = await issue(storage, {
      isDefault: true,
      label: 'First',
      scopes: ['first'],
      allowedOrigins: ['https://a.example'],
      allowedIps: ['10.0.0.0/8'],
      metadata: { first: true },
      expiresAt: NOW + 10
    })
    const named = await issue(storage)
    const test = await issue(storage, { isDefault: true, environment: 'test' })
    const { key } = issuing({ isDefault: true, label: 'Second', scopes: null, expiresAt: NOW + 20, createdBy: 'Ada', creatorId: 'a1' })
    const result = changed(await storage.issueKey(issuing(key, { now: NOW + 1 })))
    assert.equal(verdict(result), ROTATED)
    const old = { ...holder, isDefault: false, revokedAt: NOW + 1, revokedReason: 'rotated' }
    assert.deepEqual(result.updated, [old])
    const { label, scopes, allowedOrigins, allowedIps, metadata } = holder
    const { sequence, ref } = result.key
    const unused = { sequence, ref, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null }
    assert.deepEqual(result.key, { ...key, label, scopes, allowedOrigins, allowedIps, metadata, rotatedFrom: holder.publicId, ...unused })
    assert.deepEqual(await keysOf(storage), [result.key, test, named, old])
  }),

  'where default keys are of another access now, the new one is as it was asked for': async (storage) => {
    const holder = await issue(storage, { isDefault: true, label: 'Secret', scopes: null })
    const { key } = issuing({ isDefault: true, label: 'Publishable', scopes: [], access: 'publishable' })
    const result = changed(await storage.issueKey(issuing(key)))
    assert.equal(verdict(result), ROTATED)
    assert.deepEqual({ ...result.key, ...key, rotatedFrom: holder.publicId }, result.key)
  },

  'a named key leaves the default key where it is': async (storage) => {
    const holder = await issue(storage, { isDefault: true, label: 'Default' })
    const result = changed(await storage.issueKey(issuing({ label: 'Default' })))
    assert.equal(verdict(result), ISSUED)
    assert.equal(result.key.isDefault, false)
    assert.deepEqual(await keysOf(storage), [result.key, holder])
  },

  'an expired holder loses its slot for good and is not revoked': async (storage) => {
    const holder = await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    const result = changed(await storage.issueKey(issuing({ isDefault: true }, { now: NOW + 10 })))
    assert.equal(verdict(result), ISSUED)
    const vacated = { ...holder, isDefault: false }
    assert.deepEqual([result.updated, result.key.rotatedFrom], [[vacated], null])
    assert.deepEqual(await keysOf(storage), [result.key, vacated])
    // Even where the clock was set back and the key reads active again, or it is renewed.
    const next = changed(await storage.issueKey(issuing({ isDefault: true })))
    assert.deepEqual([verdict(next), next.updated.map(({ publicId }) => publicId)], [ROTATED, [result.key.publicId]])
    assert.deepEqual(await storage.findKey(holder.publicId), vacated)
    assert.deepEqual(changed(await storage.renewKey(renewing(holder))).key, { ...vacated, expiresAt: null })
  },

  'a holder that has not quite expired is rotated': async (storage) => {
    await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    assert.equal(verdict(await storage.issueKey(issuing({ isDefault: true }, { now: NOW + 9 }))), ROTATED)
  },

  'a holder that its owner disabled is rotated, one that the host disabled stays and is the reason': async (storage) => {
    const holder = await issue(storage, { isDefault: true, disabledBy: 'account' })
    const { key } = changed(await storage.issueKey(issuing({ isDefault: true })))
    assert.deepEqual([key.rotatedFrom, key.disabledBy], [holder.publicId, null])
    for (const [expiresAt, status] of [[null, 'disabled'], [NOW, 'expired']] as const) {
      const accountId = `user ${status}`
      await issue(storage, { accountId, isDefault: true, disabledBy: 'host', expiresAt })
      const result = await withoutTrace(storage, async () => await storage.issueKey(issuing({ accountId, isDefault: true })), accountId)
      assert.deepEqual(result, { outcome: 'refused', refusal: { reason: 'not_active', status, byHost: true } })
      assert.equal(verdict(await storage.issueKey(issuing({ accountId }))), ISSUED)
    }
  },

  'a revoked default key leaves its slot empty': async (storage) => {
    const holder = await revoke(storage, await issue(storage, { isDefault: true }))
    assert.equal(verdict(await storage.issueKey(issuing({ isDefault: true }))), ISSUED)
    assert.deepEqual(await storage.findKey(holder.publicId), holder)
  },

  'exactly maxKeys keys are issued; one more is refused and stores nothing': besideOthers(async (storage) => {
    const attempt = async (isDefault = false): Promise<string> => verdict(await storage.issueKey(issuing({ isDefault }, { maxKeys: 3 })))
    await issue(storage, { isDefault: true, expiresAt: NOW + 10 })
    // A disabled key is one of them.
    await issue(storage, { disabledBy: 'account' })
    assert.equal(await attempt(), ISSUED)
    assert.equal(await withoutTrace(storage, attempt), 'limit')
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 3, active: 3 })
    // A rotation is never refused for the number of keys.
    assert.equal(await attempt(true), ROTATED)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 4, active: 3 })
  }),

  'maxKeys counts neither revoked nor expired keys, and none of another account': async (storage) => {
    await issue(storage, { isDefault: true, expiresAt: NOW })
    await revoke(storage, await issue(storage))
    await issue(storage, { accountId: OTHER_ACCOUNT })
    const attempt = async (isDefault = false): Promise<string> => verdict(await storage.issueKey(issuing({ isDefault }, { maxKeys: 1 })))
    assert.deepEqual([await attempt(), await attempt()], [ISSUED, 'limit'])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 3, active: 1 })
    // A refused default key leaves even an expired holder as it is.
    assert.equal(await withoutTrace(storage, async () => await attempt(true)), 'limit')
  },

  'an account without keys counts none and may be refused its first': async (storage) => {
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 0, active: 0 })
    assert.equal(verdict(await withoutTrace(storage, async () => await storage.issueKey(issuing({}, { maxKeys: 0 })))), 'limit')
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 0, active: 0 })
    assert.deepEqual(await keysOf(storage), [])
  },

  'account ids compare as bytes': async (storage) => {
    const ids = ['user_a', 'USER_A', 'user_ä', 'user_a\u0308', 'user_a ', 'user_', 'user_%', 'usér_a']
    const keys = new Map<string, StoredKey>()
    for (const accountId of ids) {
      const result = changed(await storage.issueKey(issuing({ accountId, isDefault: true }, { maxKeys: 1 })))
      assert.equal(verdict(result), ISSUED, accountId)
      keys.set(accountId, result.key)
    }
    for (const accountId of ids) {
      assert.deepEqual(await storage.countKeys(accountId, NOW), { total: 1, active: 1 })
      assert.deepEqual(await keysOf(storage, accountId), [keys.get(accountId)])
      for (const [owner, { publicId }] of keys) {
        assert.equal((await storage.getKey(accountId, publicId))?.accountId, owner === accountId ? owner : undefined)
        if (owner !== accountId) assert.equal(verdict(await storage.revokeKey(revoking({ accountId, publicId }))), 'not_found')
      }
    }
  },

  'twenty default keys issued at once leave one default and one unbroken chain behind it': besideOthers(async (storage) => {
    const results = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      verdict(await storage.issueKey(issuing({ isDefault: true }, { maxKeys: 1, now: NOW + index })))))
    assert.equal(results.filter((result) => result === ISSUED).length, 1)
    assert.equal(results.filter((result) => result === ROTATED).length, 19)
    const keys = await keysOf(storage)
    assert.equal(keys.length, 20)
    assert.deepEqual(keys.map((key) => key.isDefault), keys.map((_, index) => index === 0))
    assert.deepEqual(keys.map((key) => key.rotatedFrom), [...keys.slice(1).map((key) => key.publicId), null])
    assert.deepEqual(keys.map((key) => key.revokedReason), [null, ...keys.slice(1).map(() => 'rotated')])
  }),

  'of twenty keys issued at once no more than maxKeys are stored': async (storage) => {
    const results = await Promise.all(Array.from({ length: 20 }, async () => verdict(await storage.issueKey(issuing({}, { maxKeys: 7 })))))
    assert.equal(results.filter((result) => result === ISSUED).length, 7)
    assert.equal(results.filter((result) => result === 'limit').length, 13)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 7, active: 7 })
  },

  'each account has its own sequence, without a gap and without a duplicate': async (storage) => {
    await Promise.all(Array.from({ length: 24 }, async (_, index) => await issue(storage, {
      accountId: index % 3 === 0 ? OTHER_ACCOUNT : ACCOUNT, isDefault: index % 4 === 0, createdAt: NOW - index
    })))
    assert.equal(verdict(await storage.issueKey(issuing({}, { maxKeys: 1 }))), 'limit')
    await issue(storage)
    for (const [accountId, count] of [[ACCOUNT, 17], [OTHER_ACCOUNT, 8]] as const) {
      const sequences = (await keysOf(storage, accountId)).map((key) => key.sequence)
      assert.deepEqual(sequences, sequences.map((_, index) => sequences[0]! - index))
      assert.equal(sequences.length, count)
    }
  },

  'a public id or a hash that is taken rejects, and nothing happened': besideOthers(async (storage) => {
    const holder = await issue(storage, { isDefault: true })
    const { publicId, hash } = holder
    await withoutTrace(storage, async () => {
      for (const taken of [{ hash }, { publicId }, { publicId, hash }]) await assert.rejects(storage.issueKey(issuing({ ...taken, isDefault: true })))
      await assert.rejects(storage.issueKey(issuing({ accountId: 'user_c', hash })))
    })
    assert.deepEqual(await keyByHash(storage, [{ hash, pepperId: null }]), holder)
    assert.deepEqual(await storage.countKeys('user_c', NOW), { total: 0, active: 0 })
    // The sequence goes on as if they had never been.
    assert.equal((await issue(storage)).sequence, holder.sequence + 1)
  })
}
