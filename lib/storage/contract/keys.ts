// The storage contract on keys: issue, replace, find, revoke, rehash, prune.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import { DAY } from '../../time.js'
import type { StoredKey } from '../../keys/api-key.js'
import {
  ACCOUNT, issue, keysOf, leavesOthersAlone, newKey, NOW, OTHER_ACCOUNT, revoke, STRANGE_TEXTS, type ContractCases
} from './samples.js'

export const keyCases: ContractCases = {
  'a key comes back as it went in, byte for byte, by every way there is to it': async (storage) => {
    for (const [index, text] of STRANGE_TEXTS.entries()) {
      const key = newKey({
        publicId: `key_${text}`,
        accountId: text.trim() + index,
        label: text,
        environment: index % 2 === 0 ? 'live' : 'test',
        access: index % 2 === 0 ? 'secret' : 'publishable',
        scopes: index === 0 ? null : [text, 'blocks:read'],
        allowedOrigins: [text],
        allowedIps: ['10.0.0.0/8', text],
        prefix: text,
        first8: text,
        last4: text,
        pepperId: index === 0 ? null : text,
        createdBy: text,
        metadata: { [text]: { deep: [text, 1.5, true, null] } },
        expiresAt: index === 0 ? null : NOW + index,
        rotatedFrom: text
      })
      const { ref, sequence, ...stored } = await issue(storage, key)
      assert.deepEqual(stored, {
        ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null, disabledBy: null
      })
      const whole: StoredKey = { ...stored, ref, sequence }
      assert.deepEqual(await storage.findKey(key.publicId), whole)
      assert.deepEqual(await storage.getKey(key.accountId, key.publicId), whole)
      assert.deepEqual(await storage.findKeyByHash([{ hash: key.hash, pepperId: key.pepperId }]), whole)
      assert.deepEqual(await keysOf(storage, key.accountId), [whole])
    }
  },

  'a default key for an empty slot is issued and replaces nothing': async (storage) => await leavesOthersAlone(storage, async () => {
    const named = await issue(storage)
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW })
    assert.equal(result.outcome, 'issued')
    assert.equal(result.replaced, null)
    assert.equal(result.key.isDefault, true)
    assert.deepEqual(await keysOf(storage), [result.key, named])
  }),

  'a default key for a taken slot revokes the holder alone, names it, and takes its slot': async (storage) => await leavesOthersAlone(storage, async () => {
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

  'exactly maxKeys keys are issued; one more is refused and stores nothing': async (storage) => await leavesOthersAlone(storage, async () => {
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

  'twenty default keys issued at once leave one default and one unbroken chain behind it': async (storage) => await leavesOthersAlone(storage, async () => {
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

  'a public id or a hash that is taken rejects, and nothing happened': async (storage) => await leavesOthersAlone(storage, async () => {
    const holder = await issue(storage, { isDefault: true })
    await assert.rejects(storage.issueKey({ key: newKey({ isDefault: true, hash: holder.hash }), maxKeys: 9, now: NOW }))
    await assert.rejects(storage.issueKey({ key: newKey({ isDefault: true, publicId: holder.publicId }), maxKeys: 9, now: NOW }))
    await assert.rejects(storage.issueKey({ key: newKey({ accountId: 'user_c', hash: holder.hash }), maxKeys: 9, now: NOW }))
    assert.deepEqual(await keysOf(storage), [holder])
    assert.deepEqual(await storage.findKeyByHash([{ hash: holder.hash, pepperId: null }]), holder)
    assert.deepEqual(await storage.countKeys('user_c', NOW), { total: 0, active: 0 })
    // The sequence goes on as if they had never been.
    assert.equal((await issue(storage)).sequence, holder.sequence + 1)
  }),

  'a key is found by any of several digests, each a hash under its pepper': async (storage) => {
    const key = await issue(storage, { hash: sha256('a'), pepperId: 'p1' })
    const plain = await issue(storage, { hash: sha256('b'), pepperId: null })
    const found = async (...digests: Array<[string, string | null]>): Promise<string | undefined> =>
      (await storage.findKeyByHash(digests.map(([text, pepperId]) => ({ hash: sha256(text), pepperId }))))?.publicId
    assert.equal(await found(['x', 'p2'], ['a', 'p1'], ['y', null]), key.publicId)
    assert.equal(await found(['x', 'p2'], ['y', 'p1'], ['b', null]), plain.publicId)
    assert.equal(await found(['x', 'p2'], ['y', 'p1']), undefined)
    assert.equal(await found(['a', 'p2'], ['a', null], ['b', 'p1']), undefined)
    assert.equal(await found(), undefined)
  },

  'revoked and expired keys are found by their hash too': async (storage) => {
    const revoked = await revoke(storage, await issue(storage))
    const expired = await issue(storage, { expiresAt: NOW - 1 })
    for (const key of [revoked, expired]) {
      assert.deepEqual(await storage.findKeyByHash([{ hash: key.hash, pepperId: null }]), key)
    }
  },

  'an id that is not there, or not the account\'s, finds nothing': async (storage) => {
    const key = await issue(storage)
    for (const publicId of ['', 'key_', '%', '\' or 1 = 1 --', key.publicId.toLowerCase(), `${key.publicId} `]) {
      assert.equal(await storage.findKey(publicId), null)
      assert.equal(await storage.getKey(ACCOUNT, publicId), null)
      assert.equal(await storage.revokeKey({ accountId: ACCOUNT, publicId, reason: '', now: NOW }), null)
    }
    assert.equal(await storage.getKey(OTHER_ACCOUNT, key.publicId), null)
    assert.equal(await storage.revokeKey({ accountId: OTHER_ACCOUNT, publicId: key.publicId, reason: '', now: NOW }), null)
    assert.deepEqual(await storage.findKey(key.publicId), key)
  },

  'a revocation is seen by every read that begins after its answer, and changes nothing but its three fields': async (storage) => await leavesOthersAlone(storage, async () => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW + DAY })
    const sibling = await issue(storage)
    const result = await storage.revokeKey({ accountId: ACCOUNT, publicId: key.publicId, reason: STRANGE_TEXTS[0]!, now: NOW + 5 })
    const revoked = { ...key, isDefault: false, revokedAt: NOW + 5, revokedReason: STRANGE_TEXTS[0]! }
    assert.deepEqual(result, { key: revoked, changed: true })
    assert.deepEqual(await storage.findKeyByHash([{ hash: key.hash, pepperId: null }]), revoked)
    assert.deepEqual(await storage.getKey(ACCOUNT, key.publicId), revoked)
    assert.deepEqual(await keysOf(storage), [sibling, revoked])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 2, active: 1 })
  }),

  'a second revocation answers the same revokedAt and changes nothing, whatever its clock and reason': async (storage) => {
    const revoked = await revoke(storage, await issue(storage))
    for (const now of [NOW + 1, NOW - DAY]) {
      const again = await storage.revokeKey({ accountId: ACCOUNT, publicId: revoked.publicId, reason: 'again', now })
      assert.deepEqual(again, { key: revoked, changed: false })
    }
    assert.deepEqual(await storage.findKey(revoked.publicId), revoked)
  },

  'of twenty revocations at once one changes the key and all answer the same': async (storage) => {
    const { publicId } = await issue(storage)
    const results = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      await storage.revokeKey({ accountId: ACCOUNT, publicId, reason: `number ${index}`, now: NOW + index })))
    assert.equal(results.filter((result) => result?.changed).length, 1)
    const stored = await storage.findKey(publicId)
    for (const result of results) assert.deepEqual(result?.key, stored)
  },

  'an expired key can be revoked': async (storage) => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW - 10 })
    const result = await storage.revokeKey({ accountId: ACCOUNT, publicId: key.publicId, reason: 'leaked', now: NOW })
    assert.deepEqual(result, { key: { ...key, isDefault: false, revokedAt: NOW, revokedReason: 'leaked' }, changed: true })
  },

  'a hash is moved only from the one it is believed to have, and nothing else of the key changes': async (storage) => await leavesOthersAlone(storage, async () => {
    const moved = await issue(storage, { isDefault: true })
    const changedMeanwhile = await issue(storage)
    const revoked = await revoke(storage, await issue(storage))
    const move = (key: StoredKey, fromHash = key.hash): Parameters<typeof storage.rehashKeys>[0][number] =>
      ({ publicId: key.publicId, fromHash, hash: sha256(`p1 ${key.publicId}`), pepperId: 'p1' })
    const after = (key: StoredKey): StoredKey => ({ ...key, hash: move(key).hash, pepperId: 'p1' })
    await storage.rehashKeys([])
    await storage.rehashKeys([move(moved), move(changedMeanwhile, sha256('old')), move(revoked), { ...move(moved), publicId: 'key_gone' }])
    assert.deepEqual(await keysOf(storage), [after(revoked), changedMeanwhile, after(moved)])
    assert.equal(await storage.findKeyByHash([{ hash: moved.hash, pepperId: null }]), null)
    assert.deepEqual(await storage.findKeyByHash([{ hash: after(moved).hash, pepperId: 'p1' }]), after(moved))
    // A move that was made already makes no difference.
    await storage.rehashKeys([move(moved)])
    assert.deepEqual(await storage.findKey(moved.publicId), after(moved))
  }),

  'pruning removes keys that ended before the given time, and no other': async (storage) => {
    const before = NOW - 100
    const gone = [
      await revoke(storage, await issue(storage), before - 1),
      await issue(storage, { expiresAt: before - 1, isDefault: true }),
      // Ended by its expiry, although revoked later.
      await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT, expiresAt: before - 1 }), NOW)
    ]
    const kept = [
      await issue(storage, { createdAt: before - DAY }),
      await issue(storage, { createdAt: before - DAY, expiresAt: NOW + 1 }),
      await revoke(storage, await issue(storage), before),
      await issue(storage, { expiresAt: before }),
      await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT }), NOW)
    ]
    assert.equal(await storage.pruneKeys(before, 100), 3)
    assert.equal(await storage.pruneKeys(before, 100), 0)
    for (const key of gone) {
      assert.equal(await storage.findKey(key.publicId), null)
      assert.equal(await storage.findKeyByHash([{ hash: key.hash, pepperId: null }]), null)
    }
    for (const key of kept) assert.deepEqual(await storage.findKey(key.publicId), key)
    const result = await storage.issueKey({ key: newKey({ isDefault: true }), maxKeys: 100, now: NOW })
    assert.ok(result.outcome === 'issued')
    // Neither a sequence nor a number that usage refers to is given twice.
    assert.ok([...gone, ...kept].every(({ ref }) => ref.key !== result.key.ref.key && ref.version !== result.key.ref.version))
    assert.ok(result.key.sequence > kept[3]!.sequence)
  },

  'pruning removes at most as many keys as it is told': async (storage) => {
    for (let count = 0; count < 5; count++) await issue(storage, { expiresAt: NOW - 10 })
    assert.deepEqual([await storage.pruneKeys(NOW, 2), (await keysOf(storage)).length], [2, 3])
    assert.deepEqual([await storage.pruneKeys(NOW, 0), (await keysOf(storage)).length], [0, 3])
    assert.deepEqual([await storage.pruneKeys(NOW, 3), await storage.pruneKeys(NOW, 3)], [3, 0])
  }
}
