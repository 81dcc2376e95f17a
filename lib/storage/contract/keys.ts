// The storage contract on keys that are stored: find, revoke, rehash, prune.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import type { StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import {
  ACCOUNT, besideOthers, issue, keysOf, newKey, NOW, OTHER_ACCOUNT, revoke, STRANGE_TEXTS, type ContractCases
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

  'a revocation is seen by every read that begins after its answer, and changes three fields alone': besideOthers(async (storage) => {
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

  'a hash is moved only from the one it is believed to have, and nothing else of the key changes': besideOthers(async (storage) => {
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
    // No number that usage refers to is given twice.
    assert.ok([...gone, ...kept].every(({ ref }) => ref.key !== result.key.ref.key))
    assert.ok(result.key.sequence > kept[3]!.sequence)
  },

  'pruning removes at most as many keys as it is told': async (storage) => {
    for (let count = 0; count < 5; count++) await issue(storage, { expiresAt: NOW - 10 })
    assert.deepEqual([await storage.pruneKeys(NOW, 2), (await keysOf(storage)).length], [2, 3])
    assert.deepEqual([await storage.pruneKeys(NOW, 0), (await keysOf(storage)).length], [0, 3])
    assert.deepEqual([await storage.pruneKeys(NOW, 3), await storage.pruneKeys(NOW, 3)], [3, 0])
  }
}
