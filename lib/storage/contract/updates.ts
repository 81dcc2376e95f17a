// The storage contract on updating: each field, versions for usage, switching off and on, what is written beside it.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import { statusOf, type StoredKey } from '../../keys/api-key.js'
import { DAY, SECOND } from '../../time.js'
import { context, event, hostContext, issuing, NOW, STRANGE_TEXTS, updating } from './samples.js'
import { auditOf, besideOthers, changed, issue, issueIn, keyByHash, keysOf, record, verdict, withoutTrace, type ContractCases } from './steps.js'
import { readAll } from './usage-reading.js'

/** The key as it is after a change of label or scopes. */
const nextVersion = (key: StoredKey): Pick<StoredKey, 'ref'> => ({ ref: { ...key.ref, version: key.ref.version + 1 } })

export const updateCases: ContractCases = {
  'each field is changed alone, byte for byte, and only label and scopes make a new version': besideOthers(async (storage) => {
    const sibling = await issue(storage)
    let key = await issue(storage, { isDefault: true, expiresAt: NOW + DAY })
    for (const text of STRANGE_TEXTS) {
      const sets = [
        { label: text }, { scopes: [text, 'blocks:read'] }, { scopes: null }, { allowedOrigins: [text] }, { allowedOrigins: [] }, { allowedIps: [text, '10.0.0.0/8'] },
        { allowedIps: [] }, { metadata: { [text]: { deep: [text, 1.5, true, null] } } }, { metadata: null }, { label: 'Server', scopes: ['a', 'b'] }
      ]
      for (const set of sets) {
        const result = changed(await storage.updateKey(updating(key, set)))
        const updated = { ...key, ...set, ...('label' in set || 'scopes' in set) && nextVersion(key) }
        assert.equal(verdict(result), 'api_key.updated')
        assert.deepEqual([result.key, result.updated], [updated, [updated]])
        assert.equal(result.entries[0]!.entry.detail, `Updated API key "${updated.label}": ${Object.keys(set).join(', ')}`)
        assert.deepEqual(await keysOf(storage), [updated, sibling])
        key = updated
      }
    }
    assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), key)
  }),

  'what a key has already changes nothing and writes no entry': async (storage) => {
    const key = await issue(storage, { metadata: { plan: 'gold' }, allowedIps: ['10.0.0.0/8'] })
    const { label, scopes, allowedOrigins, allowedIps, metadata } = key
    for (const set of [{}, { label }, { scopes }, { label, scopes, allowedOrigins, allowedIps, metadata }]) {
      for (const enabled of [undefined, true]) {
        const result = await withoutTrace(storage, async () => await storage.updateKey(updating(key, set, { enabled })))
        assert.deepEqual(result, { outcome: 'unchanged', key })
      }
    }
    // Of several only what differs is written.
    const result = changed(await storage.updateKey(updating(key, { label, allowedOrigins: ['https://a.example'], allowedIps })))
    assert.deepEqual(result.key, { ...key, allowedOrigins: ['https://a.example'] })
    assert.equal(result.entries[0]!.entry.detail, 'Updated API key "Server": allowedOrigins')
  },

  'usage keeps the label and scopes of its time': async (storage) => {
    const first = await issue(storage, { label: 'First', scopes: ['a'] })
    const second = changed(await storage.updateKey(updating(first, { label: 'Second' }))).key
    const third = changed(await storage.updateKey(updating(second, { scopes: null, allowedIps: ['10.0.0.0/8'] }))).key
    const same = changed(await storage.updateKey(updating(third, { allowedIps: [] }, { enabled: false }))).key
    // Also what is recorded late.
    await record(storage, [event(same, NOW), event(third, NOW - SECOND), event(first, NOW - 2 * SECOND), event(second, NOW - 3 * SECOND)])
    for (const { recentRequests, perKey } of await readAll(storage)) {
      assert.deepEqual(recentRequests.map(({ publicId, label, scopes }) => [publicId, label, scopes]), [
        [first.publicId, 'Second', null], [first.publicId, 'Second', null], [first.publicId, 'First', ['a']], [first.publicId, 'Second', ['a']]
      ])
      assert.deepEqual(perKey, [{ key: { ...same, lastUsedAt: NOW }, requests: 4, failures: 0 }])
    }
  },

  'a key is disabled and enabled by its owner, and is found all the while': besideOthers(async (storage) => {
    const key = await issue(storage, { isDefault: true })
    for (const [enabled, disabledBy, change] of [
      [false, 'account', 'api_key.disabled'], [false, 'account', 'unchanged'], [true, null, 'api_key.enabled'], [true, null, 'unchanged']
    ] as const) {
      assert.equal(verdict(await storage.updateKey(updating(key, {}, { enabled }))), change)
      const expected = { ...key, disabledBy }
      assert.deepEqual(await keysOf(storage), [expected])
      assert.deepEqual(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), expected)
      assert.equal(statusOf(expected, NOW), enabled ? 'active' : 'disabled')
    }
    assert.deepEqual((await auditOf(storage)).map(({ detail }) => detail),
      ['Enabled API key "Server"', 'Disabled API key "Server"', 'Issued API key "Server"'])
  }),

  'a key that the host disabled stays disabled whatever its owner does, and the host takes a key over': async (storage) => {
    const key = await issueIn(storage, 'disabled')
    const host = hostContext()
    assert.equal(changed(await storage.updateKey(updating(key, {}, { ...host, enabled: false }))).key.disabledBy, 'host')
    for (const enabled of [true, false]) {
      const result = await withoutTrace(storage, async () => await storage.updateKey(updating(key, {}, { enabled })))
      assert.deepEqual(result, enabled
        ? { outcome: 'refused', refusal: { reason: 'not_active', status: 'disabled', byHost: true } }
        : { outcome: 'unchanged', key: { ...key, disabledBy: 'host' } })
    }
    // All of it is refused.
    assert.equal(verdict(await withoutTrace(storage, async () => await storage.updateKey(updating(key, { label: 'Mine' }, { enabled: true })))), 'not_active')
    assert.equal(changed(await storage.updateKey(updating(key, { label: 'Mine' }))).key.disabledBy, 'host')
    assert.equal(changed(await storage.updateKey(updating(key, {}, { ...host, enabled: true }))).key.disabledBy, null)
  },

  'fields and switch are changed together, in one entry': async (storage) => {
    const key = await issue(storage)
    const before = await auditOf(storage)
    const result = changed(await storage.updateKey(updating(key, { label: 'Off', allowedIps: ['10.0.0.0/8'] }, { enabled: false })))
    const updated: StoredKey = { ...key, label: 'Off', allowedIps: ['10.0.0.0/8'], disabledBy: 'account', ...nextVersion(key) }
    assert.deepEqual([verdict(result), result.key, await keysOf(storage)], ['api_key.disabled', updated, [updated]])
    assert.deepEqual(await auditOf(storage), [result.entries[0]!.entry, ...before])
  },

  'a disabled key counts against maxKeys': async (storage) => {
    const key = await issue(storage)
    changed(await storage.updateKey(updating(key, {}, { enabled: false })))
    assert.equal(verdict(await storage.issueKey(issuing({}, { maxKeys: 1 }))), 'limit')
  },

  'twenty updates at once are made one after the other, and each is a version of its own': besideOthers(async (storage) => {
    const key = await issue(storage)
    const results = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      changed(await storage.updateKey(updating(key, index % 2 === 0 ? { label: `Label ${index}` } : { scopes: [`scope:${index}`] })))))
    assert.deepEqual(results.map(({ key }) => key.ref.version).sort((a, b) => a - b), results.map((_, index) => index + 2))
    await record(storage, results.map(({ key }) => event(key, NOW + key.ref.version)))
    const last = results.find(({ key }) => key.ref.version === 21)!.key
    assert.deepEqual(await keysOf(storage), [{ ...last, lastUsedAt: NOW + 21 }])
    const [{ recentRequests }] = await readAll(storage) as [Awaited<ReturnType<typeof readAll>>[0]]
    const expected = results.toSorted((a, b) => b.key.ref.version - a.key.ref.version).map(({ key: { label, scopes } }) => ({ label, scopes }))
    assert.deepEqual(recentRequests.map(({ label, scopes }) => ({ label, scopes })), expected)
  }),

  'a hash and a lastUsedAt that are written beside updates are not lost, nor are the updates': async (storage) => {
    const key = await issue(storage)
    const moved = { hash: sha256('moved'), pepperId: 'p1' }
    await Promise.all([
      storage.updateKey(updating(key, { label: 'Renamed' })), storage.rehashKeys([{ publicId: key.publicId, fromHash: key.hash, ...moved }]),
      storage.updateKey(updating(key, { scopes: ['a'] })), record(storage, [event(key, NOW + 5)]), storage.updateKey(updating(key, { allowedIps: ['10.0.0.0/8'] }))
    ])
    const expected = {
      ...key, label: 'Renamed', scopes: ['a'], allowedIps: ['10.0.0.0/8'], lastUsedAt: NOW + 5, ...moved, ref: { ...key.ref, version: 3 }
    }
    assert.deepEqual(await keysOf(storage), [expected])
    assert.deepEqual(await keyByHash(storage, [moved]), expected)
    assert.equal(await keyByHash(storage, [{ hash: key.hash, pepperId: null }]), null)
    // An answer shows them too.
    assert.deepEqual(changed(await storage.updateKey(updating(key, {}, { ...context({ now: NOW + 9 }), enabled: false }))).key, { ...expected, disabledBy: 'account' })
  }
}
