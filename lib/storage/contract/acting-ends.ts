// The storage contract on the end of an API key that asks for changes: nothing that outlives it, and nothing once it has ended.
import assert from 'node:assert/strict'
import type { StoredKey } from '../../keys/api-key.js'
import type { ChangeContext } from '../../keys/key-changes.js'
import { DAY } from '../../time.js'
import type { KeyOutcome, Storage } from '../storage.js'
import { by, CHANGES, NARROW, refused, refusesAll, TAKES_AWAY, WIDE } from './acting.js'
import { issuing, NOW, OTHER_ACCOUNT, renewing, revoking, revokingAll, rotating, updating } from './samples.js'
import {
  auditOf, besideOthers, changed, issue, issueIn, revoke, verdict, withoutTrace, type ContractCases
} from './steps.js'

export const actingEndCases: ContractCases = {
  'a key hands out none that outlives it, and cuts what nobody chose': besideOthers(async (storage) => {
    const acting = await issue(storage, { ...WIDE, expiresAt: NOW + DAY })
    const shorter = await issue(storage, { ...WIDE, expiresAt: NOW + DAY - 1 })
    const renewed = await storage.renewKey(renewing(shorter, { ...by(acting), expiresAt: NOW + 2 * DAY, expiryGiven: false }))
    assert.equal(changed(renewed).key.expiresAt, NOW + DAY)
    for (const expiresAt of [null, NOW + DAY + 1]) {
      const target = await issue(storage, { ...WIDE, expiresAt })
      await refusesAll(storage, 'expiresAt', acting, target, [...TAKES_AWAY, 'renew'])
      const renew = async (expiryGiven: boolean): Promise<KeyOutcome> =>
        await storage.renewKey(renewing(target, { ...by(acting), expiresAt: NOW + 2 * DAY, expiryGiven }))
      await refused(storage, async () => await renew(true), 'expiresAt')
      // It would end earlier than it does.
      await refused(storage, async () => await renew(false), 'expiresAt')
      const issued = changed(await storage.issueKey(issuing({ ...WIDE, expiresAt }, { ...by(acting), expiryGiven: false })))
      assert.equal(issued.key.expiresAt, NOW + DAY)
      const rotateDefault = async (key: StoredKey): Promise<KeyOutcome> =>
        await storage.rotateKey(rotating(key, { ...by(acting), defaultExpiresAt: expiresAt }))
      const byDefault = await issue(storage, { ...WIDE, isDefault: true, expiresAt: NOW + DAY })
      assert.equal(changed(await rotateDefault(byDefault)).key.expiresAt, NOW + DAY)
      // No successor that ends earlier.
      const longer = await issue(storage, { ...WIDE, isDefault: true, environment: 'test', expiresAt })
      await refused(storage, async () => await rotateDefault(longer), 'expiresAt')
      await storage.revokeKey(revoking(longer))
    }
  }),

  'where the lifetime of keys is limited, an expiry within the limit is no later than allowed': besideOthers(async (storage) => {
    const acting = await issue(storage, { ...WIDE, expiresAt: NOW + DAY })
    const attempt = async (expiresAt: number | null, maxLifetime: number, now = NOW): Promise<string> =>
      verdict(await storage.issueKey(issuing({ ...WIDE, expiresAt }, by(acting, maxLifetime, now))))
    assert.deepEqual([await attempt(NOW + 9 * DAY, 9 * DAY), await attempt(NOW + 9 * DAY + 1, 9 * DAY), await attempt(null, 9 * DAY)],
      ['api_key.issued', 'beyond_acting_key', 'beyond_acting_key'])
    // Its own expiry is never too late.
    assert.deepEqual([await attempt(NOW + DAY, 5), await attempt(NOW + DAY + 1, 5)], ['api_key.issued', 'beyond_acting_key'])
    await refusesAll(storage, 'expiresAt', acting, await issue(storage, { ...WIDE, expiresAt: NOW + 9 * DAY + 1 }), [...TAKES_AWAY, 'renew'], 9 * DAY)
    // A key that is being replaced hands out nothing that outlives it.
    const retiring = await issueIn(storage, 'retiring', WIDE)
    for (const [expiresAt, expected] of [[NOW + DAY, 'api_key.issued'], [NOW + DAY + 1, 'beyond_acting_key']] as const) {
      assert.equal(verdict(await storage.issueKey(issuing({ ...WIDE, expiresAt }, by(retiring, 9 * DAY)))), expected)
    }
  }),

  'a key that has ended, is disabled, or is not the account\'s changes nothing': besideOthers(async (storage) => {
    const target = await issue(storage, { ...WIDE, isDefault: true })
    const retired = changed(await storage.rotateKey(rotating(await issue(storage, WIDE), { now: NOW - 9, overlap: 9 }))).updated[0]!
    const acting = [
      await issueIn(storage, 'revoked', WIDE), await issueIn(storage, 'expired', WIDE), await issueIn(storage, 'disabled', WIDE),
      await issue(storage, { ...WIDE, disabledBy: 'host' }), retired, { publicId: 'key_gone' }, { publicId: '' },
      await issue(storage, { ...WIDE, accountId: 'user_c' })
    ]
    const all = { ...CHANGES, 'revoke all': async (storage: Storage, _key: StoredKey, by: ChangeContext) => await storage.revokeKeys(revokingAll(by)) }
    for (const key of acting) {
      for (const [name, change] of Object.entries(all)) {
        const result = await withoutTrace(storage, async () => await change(storage, target, by(key)))
        assert.deepEqual(result, { outcome: 'refused', refusal: { reason: 'acting_key_ended' } }, name)
      }
    }
    assert.equal(verdict(await storage.issueKey(issuing({ accountId: OTHER_ACCOUNT }, by(target)))), 'acting_key_ended')
    const retiring = await issueIn(storage, 'retiring', WIDE)
    assert.equal(verdict(await storage.updateKey(updating(target, { label: 'Renamed' }, by(retiring)))), 'beyond_acting_key')
    assert.equal(verdict(await storage.revokeKey(revoking(target, by(retiring)))), 'api_key.revoked')
  }),

  'a key may rotate and revoke itself, and has ended then': async (storage) => {
    const acting = await issue(storage, NARROW)
    const { key } = changed(await storage.rotateKey(rotating(acting, by(acting))))
    assert.equal(verdict(await storage.rotateKey(rotating(key, by(acting)))), 'acting_key_ended')
    assert.equal(verdict(await storage.revokeKey(revoking(key, by(key)))), 'api_key.revoked')
    assert.equal(verdict(await storage.revokeKey(revoking(key, by(key)))), 'acting_key_ended')
  },

  'keys that a key asks for while it is revoked are issued before its end, or not at all': async (storage) => {
    const acting = await issue(storage, WIDE)
    const asked = async (): Promise<string> => verdict(await storage.issueKey(issuing(WIDE, by(acting))))
    const [before, , after] = await Promise.all([
      Promise.all([asked(), asked(), asked()]), revoke(storage, acting), Promise.all([asked(), asked(), asked()])
    ])
    const issued = [...before, ...after].filter((one) => one === 'api_key.issued').length
    assert.equal([...before, ...after].filter((one) => one === 'acting_key_ended').length, 6 - issued)
    const actions = (await auditOf(storage)).map(({ action }) => action)
    assert.deepEqual(actions, ['api_key.revoked', ...Array<string>(issued + 1).fill('api_key.issued')])
  }
}
