// The storage contract on requests that come again: replayed, refused or new, and forgotten in time.
import assert from 'node:assert/strict'
import { sha256 } from '../../crypto.js'
import type { StoredKey } from '../../keys/api-key.js'
import type { Idempotency, IssueKeyInput, RotateKeyInput } from '../../keys/key-changes.js'
import { DAY, HOUR } from '../../time.js'
import type { KeyOutcome, Storage } from '../storage.js'
import { ACCOUNT, context, issuing, NOW, OTHER_ACCOUNT, revoking, rotating, updating } from './samples.js'
import { auditOf, besideOthers, changed, issue, keysOf, revoke, verdict, withoutTrace, type ContractCases } from './steps.js'

const request = (name = 'first', asked = 'this'): Idempotency => ({ hash: sha256(name), requestHash: sha256(asked) })

/** An issue of a default key. Each try makes a secret of its own, as the operations do. */
const issuingAgain = (more: Partial<IssueKeyInput> = {}, accountId = ACCOUNT): IssueKeyInput =>
  issuing({ accountId, isDefault: true }, { idempotency: request(), ...more })
const rotatingAgain = (key: StoredKey, more: Partial<RotateKeyInput> = {}): RotateKeyInput => rotating(key, { idempotency: request(), ...more })

async function isReplayed (storage: Storage, ask: () => Promise<KeyOutcome>, key: StoredKey, revokedPublicIds: readonly string[] = []): Promise<void> {
  assert.deepEqual(await withoutTrace(storage, ask), { outcome: 'replayed', key, revokedPublicIds })
}

async function isRefused (storage: Storage, ask: () => Promise<KeyOutcome>, reason: string): Promise<void> {
  assert.equal(verdict(await withoutTrace(storage, ask)), reason)
}

export const repeatedRequestCases: ContractCases = {
  'the same request to issue comes again: it is replayed, and nothing changes': besideOthers(async (storage) => {
    for (const [name, isDefault] of [['named', false], ['first default', true], ['default in its place', true]] as const) {
      const ask = async (): Promise<KeyOutcome> => await storage.issueKey(issuing({ isDefault }, { idempotency: request(name) }))
      const made = changed(await ask())
      const revoked = made.updated.map(({ publicId }) => publicId)
      assert.equal(revoked.length, name === 'default in its place' ? 1 : 0)
      await isReplayed(storage, ask, made.key, revoked)
      await isReplayed(storage, ask, made.key, revoked)
    }
  }),

  'the same request to rotate comes again: it is replayed, with the keys that ended then and not those that retire': besideOthers(async (storage) => {
    const first = await issue(storage)
    const second = changed(await storage.rotateKey(rotatingAgain(first, { overlap: HOUR, idempotency: request('retires') })))
    const ends = changed(await storage.rotateKey(rotatingAgain(second.key, { now: NOW + 1 })))
    assert.equal(ends.updated.length, 2)
    await isReplayed(storage, async () => await storage.rotateKey(rotatingAgain(second.key)), ends.key, [second.key.publicId, first.publicId])
    await isReplayed(storage, async () => await storage.rotateKey(rotatingAgain(first, { overlap: HOUR, idempotency: request('retires') })), ends.updated[0]!)
  }),

  'a replay tells of the key as it is now': async (storage) => {
    const key = changed(await storage.issueKey(issuingAgain())).key
    const ask = async (): Promise<KeyOutcome> => await storage.issueKey(issuingAgain())
    const renamed = changed(await storage.updateKey(updating(key, { label: 'Renamed' }))).key
    await isReplayed(storage, ask, renamed)
    await isReplayed(storage, ask, await revoke(storage, renamed, NOW + 1))
  },

  'a request without an idempotency key is never known again': async (storage) => {
    for (const action of ['issued', 'rotated', 'rotated']) {
      assert.equal(verdict(await storage.issueKey(issuing({ isDefault: true }))), `api_key.${action}`)
    }
  },

  'another request with the same idempotency key is refused, whatever it asks for': besideOthers(async (storage) => {
    const other = await issue(storage)
    changed(await storage.issueKey(issuingAgain()))
    const idempotency = request('first', 'that')
    await isRefused(storage, async () => await storage.issueKey(issuingAgain({ idempotency })), 'idempotency_key_reused')
    await isRefused(storage, async () => await storage.rotateKey(rotating(other, { idempotency })), 'idempotency_key_reused')
    assert.equal(verdict(await storage.issueKey(issuingAgain({ idempotency: request('second') }))), 'api_key.rotated')
  }),

  'the idempotency keys of one account mean nothing in another': async (storage) => {
    const mine = changed(await storage.issueKey(issuingAgain()))
    const theirs = changed(await storage.issueKey(issuingAgain({ idempotency: request('first', 'that') }, OTHER_ACCOUNT)))
    await isReplayed(storage, async () => await storage.issueKey(issuingAgain()), mine.key)
    assert.deepEqual(await storage.issueKey(issuingAgain({ idempotency: request('first', 'that') }, OTHER_ACCOUNT)),
      { outcome: 'replayed', key: theirs.key, revokedPublicIds: [] })
  },

  'a refused request, or one that rejected, is not remembered: it is tried anew': async (storage) => {
    const key = await issue(storage)
    await isRefused(storage, async () => await storage.issueKey(issuing({}, { maxKeys: 1, idempotency: request('limit') })), 'limit')
    assert.equal(verdict(await storage.issueKey(issuing({}, { maxKeys: 2, idempotency: request('limit') }))), 'api_key.issued')
    const disabled = changed(await storage.updateKey(updating(key, {}, { enabled: false }))).key
    await isRefused(storage, async () => await storage.rotateKey(rotatingAgain(disabled)), 'not_active')
    changed(await storage.updateKey(updating(key, {}, { enabled: true })))
    await withoutTrace(storage, async () => { await assert.rejects(storage.issueKey(issuing({ hash: key.hash }, { idempotency: request('taken') }))) })
    assert.equal(verdict(await storage.issueKey(issuing({}, { idempotency: request('taken', 'that') }))), 'api_key.issued')
    assert.equal(verdict(await storage.rotateKey(rotatingAgain(key))), 'api_key.rotated')
  },

  'a request is remembered for a day and no longer, also where it was not pruned': async (storage) => {
    const first = changed(await storage.issueKey(issuingAgain()))
    await isReplayed(storage, async () => await storage.issueKey(issuingAgain({ now: NOW + DAY - 1 })), first.key)
    const again = changed(await storage.issueKey(issuingAgain({ now: NOW + DAY })))
    assert.equal(verdict(again), 'api_key.rotated')
    // What takes the place of the first has a day of its own.
    const revoked = [first.key.publicId]
    await isReplayed(storage, async () => await storage.issueKey(issuingAgain({ now: NOW + 2 * DAY - 1 })), again.key, revoked)
    const other = issuingAgain({ now: NOW + 2 * DAY, idempotency: request('first', 'that') })
    assert.equal(verdict(await storage.issueKey(other)), 'api_key.rotated')
  },

  'what is over is pruned, at most so much at a time, and nothing else': besideOthers(async (storage) => {
    for (let index = 0; index < 5; index++) {
      changed(await storage.issueKey(issuingAgain({ now: NOW + index, idempotency: request(`${index}`) }, index % 2 === 0 ? ACCOUNT : OTHER_ACCOUNT + index)))
    }
    await withoutTrace(storage, async () => {
      assert.equal(await storage.pruneRequests(NOW + DAY - 1, 9), 0)
      assert.deepEqual([await storage.pruneRequests(NOW + DAY + 3, 3), await storage.pruneRequests(NOW + DAY + 3, 3), await storage.pruneRequests(NOW + DAY + 3, 3)], [3, 1, 0])
    })
    // As the clock was when they were remembered still: those that are gone are new.
    assert.equal(verdict(await storage.issueKey(issuingAgain({ idempotency: request('4') }))), 'replayed')
    for (const name of ['0', '2']) assert.equal(verdict(await storage.issueKey(issuingAgain({ idempotency: request(name) }))), 'api_key.rotated')
  }),

  'the same request twenty times at once, the first of its account: one issues, the others are replayed': besideOthers(async (storage) => {
    const results = await Promise.all(Array.from({ length: 20 }, async () => await storage.issueKey(issuingAgain())))
    const [made, ...rest] = results.filter(({ outcome }) => outcome === 'changed')
    const { key } = changed(made!)
    assert.equal(rest.length, 0)
    for (const result of results) if (result !== made) assert.deepEqual(result, { outcome: 'replayed', key, revokedPublicIds: [] })
    assert.deepEqual([await keysOf(storage), (await auditOf(storage)).length], [[key], 1])
  }),

  'the same rotation twenty times at once: one rotates, the others are replayed; another request is refused': besideOthers(async (storage) => {
    const key = await issue(storage, { isDefault: true })
    const results = await Promise.all(Array.from({ length: 20 }, async (_none, place) =>
      await storage.rotateKey(rotatingAgain(key, { idempotency: request('first', `${place % 2}`) }))))
    assert.deepEqual(['api_key.rotated', 'replayed', 'idempotency_key_reused'].map((one) => results.filter((result) => verdict(result) === one).length), [1, 9, 10])
    assert.deepEqual([(await keysOf(storage)).length, (await auditOf(storage)).length], [2, 2])
  }),

  'an acting key is answered again only while it works and may manage what was made': async (storage) => {
    const acting = await issue(storage, { scopes: ['blocks:read', 'sites:write'] })
    const asks = context({ acting: { publicId: acting.publicId, maxLifetime: null } })
    const ask = async (): Promise<KeyOutcome> => await storage.issueKey(issuing({}, { ...asks, idempotency: request() }))
    const { key } = changed(await ask())
    await isReplayed(storage, ask, key)
    changed(await storage.updateKey(updating(acting, { scopes: ['sites:write'] })))
    await isRefused(storage, ask, 'beyond_acting_key')
    changed(await storage.updateKey(updating(acting, { scopes: null })))
    await isReplayed(storage, ask, key)
    // Of a rotation the key that was replaced counts too.
    const rotate = async (): Promise<KeyOutcome> => await storage.rotateKey(rotatingAgain(key, { ...asks, idempotency: request('rotation') }))
    const { key: successor } = changed(await rotate())
    await isReplayed(storage, rotate, successor, [key.publicId])
    for (const one of [successor, acting]) changed(await storage.updateKey(updating(one, { scopes: ['sites:write'] })))
    await isRefused(storage, rotate, 'beyond_acting_key')
    changed(await storage.revokeKey(revoking(acting)))
    for (const again of [ask, rotate]) await isRefused(storage, again, 'acting_key_ended')
  },

  'a request whose key is gone makes no other; an account that was erased begins anew': async (storage) => {
    const made = changed(await storage.issueKey(issuingAgain())).key
    await revoke(storage, made)
    assert.equal(await storage.pruneKeys(NOW + 1, 9), 1)
    await isRefused(storage, async () => await storage.issueKey(issuingAgain()), 'not_found')
    while (await storage.eraseAccount(ACCOUNT, 1) > 0);
    assert.equal(verdict(await storage.issueKey(issuingAgain())), 'api_key.issued')
  }
}
