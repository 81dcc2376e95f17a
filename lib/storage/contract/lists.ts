// The storage contract on lists: order, pages, filters.
import assert from 'node:assert/strict'
import { ENVIRONMENTS, statusOf, STATUSES, type StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import type { ListKeysQuery, Storage } from '../storage.js'
import { ACCOUNT, NOW, OTHER_ACCOUNT, rotating } from './samples.js'
import { issue, issueIn, keysOf, revoke, type ContractCases } from './steps.js'

type Page = { keys: StoredKey[], ids: string[], before: string | null }

async function list (storage: Storage, query: Partial<ListKeysQuery>): Promise<Page> {
  const page = await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 3, ...query })
  assert.ok(page !== null, '"before" was not found')
  return { keys: [...page.keys], ids: page.keys.map((key) => key.publicId), before: page.before }
}

/** Follows `before` from the first page to the last. */
async function pages (storage: Storage, query: Partial<ListKeysQuery>): Promise<Page[]> {
  const all = [await list(storage, query)]
  for (let { before } = all[0]!; before !== null; { before } = all.at(-1)!) {
    all.push(await list(storage, { ...query, before: before === 'start' ? before : { publicId: before } }))
  }
  return all
}

async function issueMany (storage: Storage, count: number, ended: boolean): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const key = await issue(storage)
    ids.unshift((ended ? await revoke(storage, key) : key).publicId)
  }
  return ids
}

export const listCases: ContractCases = {
  'an account without keys has one empty page': async (storage) => {
    await issue(storage, { accountId: OTHER_ACCOUNT })
    assert.deepEqual(await list(storage, {}), { keys: [], ids: [], before: null })
    assert.deepEqual(await list(storage, { before: 'start' }), { keys: [], ids: [], before: null })
  },

  'a list goes on after a key of the account, and after no other': async (storage) => {
    const other = await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT }))
    const unknown = async (publicId: string): Promise<unknown> =>
      await storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 3, before: { publicId } })
    // Before the account has keys, and after.
    for (let count = 0; count < 2; count++) {
      for (const publicId of [other.publicId, 'key_unknown', '', '%']) assert.equal(await unknown(publicId), null)
      await issue(storage)
    }
  },

  'keys are listed newest first by sequence, whatever their times': async (storage) => {
    const ids: string[] = []
    for (const createdAt of [NOW, NOW, NOW - DAY, NOW + DAY, NOW]) ids.unshift((await issue(storage, { createdAt })).publicId)
    assert.deepEqual(await list(storage, { limit: 100 }), { keys: await keysOf(storage), ids, before: null })
  },

  'the first page holds every current key, however many, and later pages none': async (storage) => {
    const ended = await issueMany(storage, 4, true)
    const current = await issueMany(storage, 5, false)
    const [first, ...later] = await pages(storage, { limit: 3 })
    // No ended key was shown: the next page starts with the newest of them.
    assert.deepEqual([first?.ids, first?.before], [current, 'start'])
    assert.deepEqual(later.map(({ ids, before }) => [ids, before]), [[ended.slice(0, 3), ended[2]], [ended.slice(3), null]])
  },

  'the first page is filled up with the newest ended keys, in the order of all': async (storage) => {
    const [e1] = await issueMany(storage, 1, true)
    const [c1] = await issueMany(storage, 1, false)
    const [e3, e2] = await issueMany(storage, 2, true)
    const [c2] = await issueMany(storage, 1, false)
    assert.deepEqual((await pages(storage, { limit: 4 })).map(({ ids, before }) => [ids, before]), [[[c2, e3, e2, c1], e2], [[e1], null]])
    assert.deepEqual((await pages(storage, { limit: 3 })).map(({ ids, before }) => [ids, before]), [[[c2, e3, c1], e3], [[e2, e1], null]])
  },

  'exactly at the bound there is no next page, one past it there is': async (storage) => {
    const ended = await issueMany(storage, 2, true)
    const current = await issueMany(storage, 1, false)
    assert.equal((await list(storage, { limit: 3 })).before, null)
    assert.equal((await list(storage, { limit: 2 })).before, ended[0])
    assert.equal((await list(storage, { limit: 1 })).before, 'start')
    assert.deepEqual((await list(storage, { limit: 3 })).ids, [...current, ...ended])
    assert.equal((await list(storage, { limit: 2, before: 'start' })).before, null)
    assert.equal((await list(storage, { limit: 1, before: 'start' })).before, ended[0])
    assert.equal((await list(storage, { limit: 1, before: { publicId: ended[0]! } })).before, null)
    assert.deepEqual(await list(storage, { limit: 1, before: { publicId: ended[1]! } }), { keys: [], ids: [], before: null })
  },

  'a current key older than a hundred revoked ones is on the first page': async (storage) => {
    const [current] = await issueMany(storage, 1, false)
    const ended = await issueMany(storage, 101, true)
    const [first, second, ...more] = await pages(storage, { limit: 100 })
    assert.deepEqual(first?.ids, [...ended.slice(0, 99), current])
    assert.deepEqual(second?.ids, ended.slice(99))
    assert.deepEqual(more, [])
  },

  'a page after a key that is still current holds the ended keys older than that': async (storage) => {
    const older = await issueMany(storage, 2, true)
    const [current] = await issueMany(storage, 1, false)
    await issueMany(storage, 2, true)
    assert.deepEqual((await list(storage, { before: { publicId: current! } })).ids, older)
  },

  'a revoked key has ended even where the clock was set back behind its revocation': async (storage) => {
    const [current] = await issueMany(storage, 1, false)
    const revoked = await revoke(storage, await issue(storage), NOW)
    for (const now of [NOW - 1, NOW - DAY]) {
      assert.deepEqual((await pages(storage, { limit: 1, now })).map(({ ids }) => ids), [[current], [revoked.publicId]])
      assert.deepEqual((await list(storage, { now, status: 'revoked' })).ids, [revoked.publicId])
      assert.deepEqual((await list(storage, { now, status: 'active' })).ids, [current])
      assert.deepEqual(await storage.countKeys(ACCOUNT, now), { total: 2, active: 1 })
    }
  },

  'a key has expired from expiresAt on, in lists, counts and filters alike': async (storage) => {
    const { publicId } = await issue(storage, { expiresAt: NOW })
    for (const [now, status, active] of [[NOW - 1, 'active', 1], [NOW, 'expired', 0], [NOW + 1, 'expired', 0]] as const) {
      assert.deepEqual((await list(storage, { now, status })).ids, [publicId])
      assert.deepEqual(await storage.countKeys(ACCOUNT, now), { total: 1, active })
      assert.equal((await list(storage, { now, limit: 0 })).before, active === 1 ? null : 'start')
    }
  },

  'a retiring key is revoked from retiresAt on, by time alone': async (storage) => {
    const { publicId } = await issueIn(storage, 'retiring')
    const end = NOW + DAY
    for (const [now, status, active] of [[NOW, 'retiring', 2], [end - 1, 'retiring', 2], [end, 'revoked', 1], [end + 1, 'revoked', 1]] as const) {
      assert.deepEqual((await list(storage, { now, status })).ids, [publicId])
      assert.deepEqual(await storage.countKeys(ACCOUNT, now), { total: 2, active })
      assert.equal((await list(storage, { now, limit: 0 })).before, active === 2 ? null : 'start')
    }
  },

  'filters by environment and status show the keys that have them, page by page': async (storage) => {
    for (let index = 0; index < 24; index++) {
      const environment = index % 3 === 0 ? 'test' : 'live'
      const expiresAt = [null, NOW - 1, NOW, NOW + 1][index % 4]!
      const key = await issue(storage, { environment, expiresAt, isDefault: index > 20, disabledBy: index % 7 === 5 ? 'account' : null })
      if (index % 5 === 0) await revoke(storage, key)
      // Overlaps that have ended, end now, and go on.
      if (index % 5 === 1) await storage.rotateKey(rotating(key, { now: NOW - 10, overlap: [9, 10, 20][Math.floor(index / 5) % 3]! }))
      await issue(storage, { accountId: OTHER_ACCOUNT, environment, expiresAt })
    }
    const all = await keysOf(storage)
    for (const environment of [undefined, ...ENVIRONMENTS]) {
      for (const status of [undefined, ...STATUSES]) {
        const expected = all.filter((key) => (environment ?? key.environment) === key.environment &&
          (status === undefined || statusOf(key, NOW) === status))
        assert.ok(environment !== undefined || expected.length > 0, status)
        const shown = await pages(storage, { environment, status, limit: 4 })
        const keys = shown.flatMap((page) => page.keys)
        assert.deepEqual(keys.toSorted((a, b) => b.sequence - a.sequence), expected, `${environment} ${status}`)
        for (const page of shown.slice(0, -1)) assert.ok(page.keys.length >= 4, 'a page with a next one is full')
      }
    }
  }
}
