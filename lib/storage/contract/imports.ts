// The storage contract on importing keys with the hash of another system.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import { ACCOUNT, hostContext, importing, NOW, OTHER_ACCOUNT, updating } from './samples.js'
import { auditOf, besideOthers, changed, issue, issueIn, keyByHash, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

export const importCases: ContractCases = {
  'an imported key is stored as it comes, disabled if it was, whatever the number of keys': besideOthers(async (storage) => {
    const old = await issue(storage, { isDefault: true })
    for (const overrides of [{ label: 'Old', createdAt: NOW - 9, scopes: null }, { disabledBy: 'host' as const }, { expiresAt: NOW - 1 }]) {
      const input = importing(overrides, hostContext())
      const { key, updated, entries } = changed(await storage.importKey(input))
      assert.deepEqual(key, { ...input.key, sequence: key.sequence, ref: key.ref, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null })
      assert.deepEqual(updated, [])
      assert.deepEqual(entries.map(({ change, entry }) => [change, entry.detail]), [['api_key.imported', `Imported API key "${key.label}"`]])
      assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), key)
      assert.equal((await keysOf(storage))[0]!.publicId, key.publicId)
    }
    assert.deepEqual((await keysOf(storage)).at(-1), old)
    assert.deepEqual((await keysOf(storage)).map(({ sequence }) => sequence), [4, 3, 2, 1])
  }),

  'the same hash again changes nothing, whatever became of its key': async (storage) => {
    const first = changed(await storage.importKey(importing())).key
    const renamed = changed(await storage.updateKey(updating(first, { label: 'Renamed' }))).key
    for (const key of [renamed, await issueIn(storage, 'expired'), await issueIn(storage, 'revoked'), await issueIn(storage, 'disabled')]) {
      const again = importing({ hash: key.hash, label: 'Again', expiresAt: null })
      assert.deepEqual(await withoutTrace(storage, async () => await storage.importKey(again)), { outcome: 'unchanged', key })
    }
  },

  'a hash is known again after it was moved: no second key, and a revoked one stays revoked': async (storage) => {
    const { key } = changed(await storage.importKey(importing()))
    const move = async (from: string, text: string): Promise<void> =>
      await storage.rehashKeys([{ publicId: key.publicId, fromHash: from, hash: sha256(text), pepperId: text }])
    await move(key.hash, 'p1')
    // It is not found by it any more.
    assert.equal(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), null)
    await move(sha256('p1'), 'p2')
    const again = async (): Promise<unknown> => await withoutTrace(storage, async () => await storage.importKey(importing({ hash: key.hash })))
    assert.deepEqual(await again(), { outcome: 'unchanged', key: { ...key, hash: sha256('p2'), pepperId: 'p2' } })
    const revoked = await revoke(storage, key)
    assert.deepEqual(await again(), { outcome: 'unchanged', key: revoked })
    assert.equal(verdict(await storage.importKey(importing({ accountId: 'user_c', hash: key.hash }))), 'hash_taken')
    // Until the key is gone.
    assert.equal(await storage.pruneKeys(NOW + 1, 9), 1)
    assert.equal(verdict(await storage.importKey(importing({ accountId: 'user_c', hash: key.hash }))), 'api_key.imported')
  },

  'a hash that another account has is refused, and neither account changes': async (storage) => {
    const { hash } = await issue(storage)
    await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT }))
    // An account that is not known yet, too.
    for (const accountId of [OTHER_ACCOUNT, 'user_c', 'USER_A']) {
      const result = await withoutTrace(storage, async () =>
        await withoutTrace(storage, async () => await storage.importKey(importing({ accountId, hash })), accountId))
      assert.deepEqual(result, { outcome: 'refused', refusal: { reason: 'hash_taken' } })
    }
  },

  'of twenty imports of one hash at once one stores it, and all answer the same key': async (storage) => {
    const hash = sha256('imported')
    const results = await Promise.all(Array.from({ length: 20 }, async () => await storage.importKey(importing({ hash }))))
    assert.equal(results.filter(({ outcome }) => outcome === 'changed').length, 1)
    const [stored, ...more] = await keysOf(storage)
    assert.deepEqual(more, [])
    for (const result of results) assert.deepEqual(result.outcome !== 'refused' && result.key, stored)
    assert.equal((await auditOf(storage)).length, 1)
  },

  'of two accounts that import one hash at once one gets it': async (storage) => {
    const hash = sha256('imported')
    const verdicts = await Promise.all([ACCOUNT, OTHER_ACCOUNT].map(async (accountId) =>
      verdict(await storage.importKey(importing({ accountId, hash })))))
    assert.deepEqual(verdicts.toSorted(), ['api_key.imported', 'hash_taken'])
  },

  'a public id that is taken rejects, and nothing happened': besideOthers(async (storage) => {
    const { publicId } = await issue(storage)
    await withoutTrace(storage, async () => { await assert.rejects(storage.importKey(importing({ publicId }))) })
  })
}
