// The storage contract on renewing: what moves, the number of keys, the default key's own lifetime.
import assert from 'node:assert/strict'
import { statusOf } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import { ACCOUNT, hostContext, issuing, NOW, renewing } from './samples.js'
import { besideOthers, changed, issue, issueIn, keyByHash, keysOf, verdict, withoutTrace, type ContractCases } from './steps.js'

export const renewalCases: ContractCases = {
  'a renewed key has the new expiry, sooner, later or never, and nothing else of it changes': besideOthers(async (storage) => {
    const key = await issue(storage, { expiresAt: NOW + DAY })
    const sibling = await issue(storage)
    for (const expiresAt of [NOW + 9 * DAY, NOW + 1, null, NOW + DAY]) {
      const result = changed(await storage.renewKey(renewing(key, { expiresAt })))
      const renewed = { ...key, expiresAt }
      assert.equal(verdict(result), 'api_key.renewed')
      assert.deepEqual([result.key, result.updated], [renewed, [renewed]])
      assert.deepEqual(await keysOf(storage), [sibling, renewed])
      assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), renewed)
    }
  }),

  'the expiry that a key has already changes nothing and writes no entry': async (storage) => {
    for (const expiresAt of [null, NOW + DAY]) {
      const key = await issue(storage, { expiresAt })
      const result = await withoutTrace(storage, async () => await storage.renewKey(renewing(key, { expiresAt })))
      assert.deepEqual(result, { outcome: 'unchanged', key })
    }
  },

  'an expired key that is renewed works again and keeps its place, and pruning passes it by': async (storage) => {
    const key = await issue(storage, { expiresAt: NOW - DAY })
    const newer = await issue(storage)
    const renewed = changed(await storage.renewKey(renewing(key, { expiresAt: NOW + DAY }))).key
    assert.equal(statusOf(renewed, NOW), 'active')
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 2, active: 2 })
    assert.equal(await storage.pruneKeys(NOW, 9), 0)
    assert.deepEqual(await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 1 }), { keys: [newer, renewed], before: null })
  },

  'to renew an expired key counts against maxKeys, to renew another does not': besideOthers(async (storage) => {
    const expired = await issueIn(storage, 'expired')
    const active = await issue(storage, { expiresAt: NOW + DAY })
    const disabled = await issueIn(storage, 'disabled', { expiresAt: NOW + DAY })
    const attempt = async (key: typeof active, maxKeys: number): Promise<string> =>
      verdict(await storage.renewKey(renewing(key, { maxKeys, expiresAt: NOW + 2 * DAY })))
    for (const maxKeys of [0, 2]) assert.equal(await withoutTrace(storage, async () => await attempt(expired, maxKeys)), 'limit')
    assert.deepEqual([await attempt(active, 0), await attempt(disabled, 0)], ['api_key.renewed', 'api_key.renewed'])
    assert.equal(await attempt(expired, 3), 'api_key.renewed')
  }),

  'of twenty expired keys renewed at once no more than maxKeys work again': async (storage) => {
    const keys = []
    for (let count = 0; count < 20; count++) keys.push(await issueIn(storage, 'expired'))
    const verdicts = (await Promise.all(keys.map(async (key) => await storage.renewKey(renewing(key, { maxKeys: 7 }))))).map(verdict)
    assert.equal(verdicts.filter((one) => one === 'api_key.renewed').length, 7)
    assert.equal(verdicts.filter((one) => one === 'limit').length, 13)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 20, active: 7 })
  },

  'a key is renewed as what it is by then: the default key, or another': async (storage) => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW })
    const input = renewing(key, { expiresAt: NOW + DAY, defaultExpiresAt: NOW + 2 * DAY })
    assert.equal(changed(await storage.renewKey(input)).key.expiresAt, NOW + 2 * DAY)
    changed(await storage.issueKey(issuing({ isDefault: true }, { now: NOW + 2 * DAY })))
    assert.equal(changed(await storage.renewKey(input)).key.expiresAt, NOW + DAY)
  },

  'a default key is renewed in its slot, for as long as no other has taken it': async (storage) => {
    const key = await issue(storage, { isDefault: true, expiresAt: NOW })
    const renewed = changed(await storage.renewKey(renewing(key, { expiresAt: NOW + DAY }))).key
    assert.deepEqual(renewed, { ...key, expiresAt: NOW + DAY })
    const [old] = changed(await storage.issueKey(issuing({ isDefault: true }, { now: NOW + DAY }))).updated
    assert.deepEqual(old, { ...renewed, isDefault: false })
    assert.deepEqual(changed(await storage.renewKey(renewing(key, { now: NOW + DAY, expiresAt: null }))).key, { ...old, expiresAt: null })
  },

  'a key that the host disabled is renewed by the host alone, and stays disabled': async (storage) => {
    for (const [expiresAt, status] of [[null, 'disabled'], [NOW, 'expired']] as const) {
      const key = await issue(storage, { disabledBy: 'host', expiresAt })
      const later = { expiresAt: NOW + DAY }
      const result = await withoutTrace(storage, async () => await storage.renewKey(renewing(key, later)))
      assert.deepEqual(result, { outcome: 'refused', refusal: { reason: 'not_active', status, byHost: true } })
      const renewed = changed(await storage.renewKey(renewing(key, { ...hostContext(), ...later }))).key
      assert.deepEqual(renewed, { ...key, ...later })
      assert.equal(statusOf(renewed, NOW), 'disabled')
    }
  }
}
