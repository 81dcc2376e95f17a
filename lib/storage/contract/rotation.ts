// The storage contract on rotation: the successor, the overlap, the default slot, many at once.
import assert from 'node:assert/strict'
import { statusOf, type StoredKey } from '../../keys/api-key.js'
import { DAY, HOUR } from '../../time.js'
import type { Storage } from '../storage.js'
import { ACCOUNT, issuing, NOW, renewing, rotating, STRANGE_TEXTS } from './samples.js'
import { auditOf, besideOthers, changed, issue, issueIn, keyByHash, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

const ended = (key: StoredKey, now: number): StoredKey => ({ ...key, isDefault: false, revokedAt: now, revokedReason: 'rotated' })
const found = async (storage: Storage, { hash, pepperId }: StoredKey): Promise<StoredKey | null> => await keyByHash(storage, [{ hash, pepperId }])

export const rotationCases: ContractCases = {
  'a key that is rotated at once ends now, and its successor is like it but for its secret': besideOthers(async (storage) => {
    const bystander = await issue(storage)
    for (const [index, text] of STRANGE_TEXTS.entries()) {
      const key = await issue(storage, {
        label: text,
        environment: index % 2 === 0 ? 'live' : 'test',
        access: index % 2 === 0 ? 'publishable' : 'secret',
        scopes: index === 0 ? null : [text],
        allowedOrigins: [text],
        allowedIps: ['10.0.0.0/8', text],
        metadata: { [text]: [text] },
        createdBy: 'Ada Example',
        creatorId: 'person_1',
        expiresAt: index === 0 ? null : NOW + DAY + index
      })
      const input = rotating(key, { now: NOW + 5, defaultExpiresAt: NOW + 1 })
      const result = changed(await storage.rotateKey(input))
      const { ref } = result.key
      assert.equal(verdict(result), 'api_key.rotated')
      assert.deepEqual(result.key, { ...key, ...input.secret, rotatedFrom: key.publicId, sequence: key.sequence + 1, ref })
      assert.deepEqual([ref.account, ref.key === key.ref.key], [key.ref.account, false])
      assert.deepEqual(result.updated, [ended(key, NOW + 5)])
      assert.deepEqual((await keysOf(storage)).slice(0, 2), [result.key, ...result.updated])
      for (const one of [result.key, ...result.updated]) {
        assert.deepEqual(await found(storage, one), one)
        assert.deepEqual(await storage.getKey(ACCOUNT, one.publicId), one)
      }
    }
    assert.deepEqual(await storage.findKey(bystander.publicId), bystander)
  }),

  'with an overlap both keys are found, and the old one is retiring until it ends': async (storage) => {
    const key = await issue(storage, { expiresAt: NOW + 9 * DAY })
    const result = changed(await storage.rotateKey(rotating(key, { overlap: DAY })))
    const old = { ...key, retiresAt: NOW + DAY }
    assert.deepEqual(result.updated, [old])
    assert.deepEqual(await keysOf(storage), [result.key, old])
    assert.deepEqual([await found(storage, result.key), await found(storage, old)], [result.key, old])
    assert.deepEqual([NOW, NOW + DAY - 1, NOW + DAY].map((now) => statusOf(old, now)), ['retiring', 'retiring', 'revoked'])
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW + DAY - 1), { total: 2, active: 2 })
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW + DAY), { total: 2, active: 1 })
    // It goes when it has ended, not later by its expiry.
    assert.equal(await storage.pruneKeys(NOW + DAY, 9), 0)
    assert.equal(await storage.pruneKeys(NOW + DAY + 1, 9), 1)
    assert.deepEqual(await keysOf(storage), [result.key])
  },

  'an overlap is never longer than the old key would have lived': async (storage) => {
    for (const [left, retiresAt] of [[10, NOW + 10], [99, NOW + 99], [100, NOW + 100], [101, NOW + 100]] as const) {
      const key = await issue(storage, { expiresAt: NOW + left })
      const [old] = changed(await storage.rotateKey(rotating(key, { overlap: 100 }))).updated
      assert.deepEqual(old, { ...key, retiresAt })
    }
  },

  'a second rotation ends the first overlap, also one without an overlap of its own': async (storage) => {
    for (const overlap of [0, HOUR]) {
      const first = await issue(storage)
      const second = changed(await storage.rotateKey(rotating(first, { overlap: DAY })))
      const third = changed(await storage.rotateKey(rotating(second.key, { overlap, now: NOW + 7 })))
      const oldest = ended(second.updated[0]!, NOW + 7)
      const old = overlap === 0 ? ended(second.key, NOW + 7) : { ...second.key, retiresAt: NOW + 7 + HOUR }
      assert.deepEqual(third.updated, [old, oldest])
      assert.deepEqual((await keysOf(storage)).slice(0, 3), [third.key, old, oldest])
      assert.equal(verdict(third), 'api_key.rotated')
    }
  },

  'an overlap that is over, or was ended by a revocation, stays as it was': async (storage) => {
    for (const end of ['time', 'revocation']) {
      const first = changed(await storage.rotateKey(rotating(await issue(storage), { overlap: 5 })))
      const old = end === 'time' ? first.updated[0]! : await revoke(storage, first.updated[0]!, NOW + 1)
      const second = changed(await storage.rotateKey(rotating(first.key, { overlap: DAY, now: NOW + 5 })))
      assert.deepEqual(second.updated, [{ ...first.key, retiresAt: NOW + 5 + DAY }])
      assert.deepEqual(await storage.findKey(old.publicId), old)
    }
  },

  'a default key passes its slot on, at once and with an overlap, and its successor has a lifetime of its own': besideOthers(async (storage) => {
    const first = await issue(storage, { isDefault: true, expiresAt: NOW + DAY })
    const second = changed(await storage.rotateKey(rotating(first, { defaultExpiresAt: NOW + 5 * DAY })))
    assert.deepEqual([second.key.isDefault, second.key.expiresAt], [true, NOW + 5 * DAY])
    assert.deepEqual(second.updated, [ended(first, NOW)])
    const third = changed(await storage.rotateKey(rotating(second.key, { overlap: DAY })))
    assert.deepEqual([third.key.isDefault, third.key.expiresAt], [true, null])
    assert.deepEqual(third.updated, [{ ...second.key, isDefault: false, retiresAt: NOW + DAY }])
    // Issue or rotate replaces the new holder, and ends the overlap.
    const fourth = changed(await storage.issueKey(issuing({ isDefault: true }, { now: NOW + 1 })))
    assert.deepEqual(fourth.updated, [ended(third.key, NOW + 1), ended(third.updated[0]!, NOW + 1)])
    assert.deepEqual((await keysOf(storage)).map(({ isDefault }) => isDefault), [true, false, false, false])
  }),

  'a rotation is refused for no number of keys, and a retiring key counts until it ends': async (storage) => {
    const key = await issue(storage)
    const attempt = async (now: number): Promise<string> => verdict(await storage.issueKey(issuing({}, { maxKeys: 2, now })))
    changed(await storage.rotateKey(rotating(key, { overlap: DAY })))
    assert.equal(await withoutTrace(storage, async () => await attempt(NOW + DAY - 1)), 'limit')
    assert.equal(await attempt(NOW + DAY), 'api_key.issued')
  },

  'a key is rotated once: a retiring, retired or revoked one has its successor': async (storage) => {
    const key = await issueIn(storage, 'retiring')
    for (const [now, status] of [[NOW, 'retiring'], [NOW + DAY, 'revoked']] as const) {
      const result = await withoutTrace(storage, async () => await storage.rotateKey(rotating(key, { now })))
      assert.deepEqual(result, { outcome: 'refused', refusal: { reason: 'not_active', status, byHost: false } })
    }
  },

  'of twenty rotations of one key at once one succeeds, the rest find it not active': besideOthers(async (storage) => {
    for (const overlap of [0, DAY]) {
      const key = await issue(storage, { isDefault: true })
      const entries = (await auditOf(storage)).length
      const results = await Promise.all(Array.from({ length: 20 }, async () => await storage.rotateKey(rotating(key, { overlap }))))
      const verdicts = results.map(verdict)
      assert.equal(verdicts.filter((one) => one === 'api_key.rotated').length, 1)
      assert.equal(verdicts.filter((one) => one === 'not_active').length, 19)
      const [successor, old, ...rest] = await keysOf(storage)
      assert.deepEqual([successor!.rotatedFrom, successor!.isDefault, successor!.sequence], [key.publicId, true, key.sequence + 1])
      assert.deepEqual([old!.publicId, old!.isDefault], [key.publicId, false])
      assert.ok(rest.every(({ rotatedFrom, isDefault }) => rotatedFrom !== key.publicId && !isDefault))
      assert.equal((await auditOf(storage)).length, entries + 1)
    }
  }),

  'default keys that are issued, rotated and renewed at once stay one chain with one default': async (storage) => {
    const first = await issue(storage, { isDefault: true })
    await Promise.all(Array.from({ length: 10 }, async (_, index) => [
      await storage.issueKey(issuing({ isDefault: true }, { now: NOW + index })),
      await storage.rotateKey(rotating((await keysOf(storage))[0]!, { overlap: index % 2 * DAY, now: NOW + index })),
      await storage.renewKey(renewing(first, { expiresAt: NOW + DAY }))
    ]))
    const keys = await keysOf(storage)
    assert.deepEqual(keys.map(({ isDefault }) => isDefault), keys.map((_, index) => index === 0))
    assert.deepEqual(keys.map(({ rotatedFrom }) => rotatedFrom), [...keys.slice(1).map(({ publicId }) => publicId), null])
    // The newest, and its one retiring predecessor at most.
    assert.ok(keys.filter((key) => ['active', 'retiring'].includes(statusOf(key, NOW + 10))).length <= 2)
  },

  'a successor whose public id or hash is taken rejects, and the old key goes on': besideOthers(async (storage) => {
    const key = await issue(storage, { isDefault: true })
    const other = await issueIn(storage, 'retiring')
    const { secret } = rotating(key)
    await withoutTrace(storage, async () => {
      for (const taken of [{ hash: other.hash }, { publicId: other.publicId }, { hash: key.hash }]) {
        for (const overlap of [0, DAY]) await assert.rejects(storage.rotateKey(rotating(key, { overlap, secret: { ...secret, ...taken } })))
      }
    })
    assert.equal(changed(await storage.rotateKey(rotating(key))).key.sequence, other.sequence + 2)
  })
}
