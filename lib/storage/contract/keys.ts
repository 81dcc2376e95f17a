// The storage contract on keys that are stored: find, rehash, prune.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import type { StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import {
  ACCOUNT, issuing, newKey, NOW, OTHER_ACCOUNT, renewing, revoking, rotating, STRANGE_TEXTS, updating
} from './samples.js'
import { besideOthers, changed, issue, keyByHash, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

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
        creatorId: text,
        disabledBy: ([null, 'account', 'host'] as const)[index % 3]!,
        metadata: { [text]: { deep: [text, 1.5, true, null] } },
        expiresAt: index === 0 ? null : NOW + index,
        rotatedFrom: text
      })
      const { ref, sequence, ...stored } = await issue(storage, key)
      assert.deepEqual(stored, {
        ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null
      })
      const whole: StoredKey = { ...stored, ref, sequence }
      assert.deepEqual(await storage.findKey(key.publicId), whole)
      assert.deepEqual(await storage.getKey(key.accountId, key.publicId), whole)
      assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: key.pepperId }]), whole)
      assert.deepEqual(await keysOf(storage, key.accountId), [whole])
    }
  },

  'a key is found by any of several digests, each a hash under its pepper': async (storage) => {
    const key = await issue(storage, { hash: sha256('a'), pepperId: 'p1' })
    const plain = await issue(storage, { hash: sha256('b'), pepperId: null })
    const found = async (...digests: Array<[string, string | null]>): Promise<string | undefined> =>
      (await keyByHash(storage, digests.map(([text, pepperId]) => ({ hash: sha256(text), pepperId }))))?.publicId
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
      assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), key)
    }
  },

  'an id that is not there, or not the account\'s, is not found by any way to a key': async (storage) => {
    const key = await issue(storage)
    const changes = async (one: { accountId: string, publicId: string }): Promise<string[]> => [
      verdict(await storage.rotateKey(rotating(one))), verdict(await storage.renewKey(renewing(one))),
      verdict(await storage.updateKey(updating(one, { label: 'Mine' }))), verdict(await storage.revokeKey(revoking(one)))
    ]
    const none = Array<string>(4).fill('not_found')
    await withoutTrace(storage, async () => {
      for (const publicId of ['', 'key_', '%', '\' or 1 = 1 --', key.publicId.toLowerCase(), `${key.publicId} `]) {
        assert.equal(await storage.findKey(publicId), null)
        assert.equal(await storage.getKey(ACCOUNT, publicId), null)
        assert.deepEqual(await changes({ accountId: ACCOUNT, publicId }), none)
      }
      // Of an account that is not known, and of one that is.
      for (let count = 0; count < 2; count++) {
        assert.equal(await storage.getKey(OTHER_ACCOUNT, key.publicId), null)
        assert.deepEqual(await changes({ accountId: OTHER_ACCOUNT, publicId: key.publicId }), none)
        await issue(storage, { accountId: OTHER_ACCOUNT })
      }
    })
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
    assert.equal(await keyByHash(storage, [{ hash: moved.hash, pepperId: null }]), null)
    assert.deepEqual(await keyByHash(storage, [{ hash: after(moved).hash, pepperId: 'p1' }]), after(moved))
    // A move that was made already makes no difference.
    await storage.rehashKeys([move(moved)])
    assert.deepEqual(await storage.findKey(moved.publicId), after(moved))
  }),

  'a hash that another key has is not taken, and the other moves of the call are made': async (storage) => {
    const [one, two, three] = [await issue(storage), await issue(storage), await issue(storage)]
    const moved = { hash: sha256('p1'), pepperId: 'p1' }
    await storage.rehashKeys([
      { publicId: one.publicId, fromHash: one.hash, hash: two.hash, pepperId: 'p1' }, { publicId: three.publicId, fromHash: three.hash, ...moved }
    ])
    assert.deepEqual(await keysOf(storage), [{ ...three, ...moved }, two, one])
  },

  'of several digests that keys are stored under, the first one finds its key': async (storage) => {
    const keys = [await issue(storage, { pepperId: 'p1' }), await issue(storage), await issue(storage, { pepperId: 'p2' })]
    for (const order of [keys, keys.toReversed(), [keys[1]!, keys[2]!, keys[0]!]]) {
      assert.deepEqual(await keyByHash(storage, order.map(({ hash, pepperId }) => ({ hash, pepperId }))), order[0])
    }
  },

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
      assert.equal(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), null)
    }
    for (const key of kept) assert.deepEqual(await storage.findKey(key.publicId), key)
    const result = changed(await storage.issueKey(issuing({ isDefault: true })))
    assert.equal(verdict(result), 'api_key.issued')
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
