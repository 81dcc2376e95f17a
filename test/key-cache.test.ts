// Keys held in memory: for how long, how many, and what an eviction does to questions under way.
import t from 'tap'
import { fingerprint, sha256 } from '../lib/crypto.js'
import type { FoundKey, IdentifiedKey } from '../lib/keys/api-key.js'
import { keyCache } from '../lib/keys/key-cache.js'
import { generateKey, hasKeyShape } from '../lib/keys/key-format.js'
import { keyHasher } from '../lib/keys/key-hash.js'
import { keyLookup } from '../lib/keys/key-lookup.js'
import { versionedKeys } from '../lib/keys/versioned-keys.js'
import { testClock } from './helpers/app.js'
import { storedKey } from './helpers/keys.js'

const found = (publicId: string, accountId = 'user_a'): FoundKey => ({ key: storedKey({ publicId, accountId }), siteOrigins: [] })
/** A key as it is held: without what only its owner sees. */
const held = ({ key, siteOrigins }: FoundKey): IdentifiedKey => {
  const { sequence, isDefault, prefix, first8, last4, createdBy, creatorId, createdAt, lastUsedAt, revokedReason, rotatedFrom, ...needed } = key
  return { key: needed, siteOrigins, held: true }
}
/** What is looked for by: 32 bytes, unlike the digests of one character in tests where only one key matters. */
const digest = (place: number): string => fingerprint(`key ${place}`)

t.test('keys in memory', async (t) => {
  const cacheOf = (maxSize = 100) => {
    const clock = testClock()
    return { clock, cache: keyCache({ maxAge: 1000, maxSize, clock }) }
  }

  t.test('serve until they are as old as they may be, from when they were asked for', async (t) => {
    const { clock, cache } = cacheOf()
    const askedAt = clock.monotonic()
    clock.pass(400)
    const one = found('key_1')
    cache.put('d1', one, askedAt)
    const kept = cache.get('d1', clock.monotonic())
    t.strictSame(kept, held(one))
    t.equal(cache.get('d2', clock.monotonic()), undefined)
    clock.pass(599)
    t.equal(cache.get('d1', clock.monotonic()), kept, 'the same object each time')
    clock.pass(1)
    t.equal(cache.get('d1', clock.monotonic()), undefined, 'a thousand ms after the question, not after the answer')
    cache.put('d1', one, clock.monotonic())
    t.same(cache.get('d1', clock.monotonic()), held(one))
  })

  t.test('are gone after an eviction of the key, the account or all, and no others are', async (t) => {
    const { clock, cache } = cacheOf()
    const keys = [found('key_1'), found('key_2'), found('key_3', 'user_b')]
    const digests = (): string[] => ['d0', 'd1', 'd2'].filter((digest) => cache.get(digest, clock.monotonic()) !== undefined)
    const fill = (): void => {
      clock.pass(1)
      keys.forEach((one, place) => { cache.put(`d${place}`, one, clock.monotonic()) })
      clock.pass(1)
      t.same(digests(), ['d0', 'd1', 'd2'])
    }
    fill()
    cache.evictKey('key_1')
    t.same(digests(), ['d1', 'd2'])
    cache.evictKey('key_1')
    fill()
    cache.evictAccount('user_a')
    t.same(digests(), ['d2'])
    fill()
    cache.evictAll()
    t.same(digests(), [])
    t.equal(cache.size, 0)
    fill()
    cache.evictKey('key_unknown')
    cache.evictAccount('key_1')
    t.same(digests(), ['d0', 'd1', 'd2'], 'an account that is called like a key is another thing')
  })

  t.test('are not filled by a question that was asked before an eviction, however late its answer comes', async (t) => {
    for (const evict of [(cache: ReturnType<typeof keyCache>) => { cache.evictKey('key_1') }, (cache: ReturnType<typeof keyCache>) => { cache.evictAccount('user_a') }, (cache: ReturnType<typeof keyCache>) => { cache.evictAll() }]) {
      const { clock, cache } = cacheOf()
      const askedAt = clock.monotonic()
      clock.pass(10)
      evict(cache)
      for (const wait of [0, 500, 489, 1, 5000]) {
        clock.pass(wait)
        cache.put('d1', found('key_1'), askedAt)
        t.equal(cache.get('d1', clock.monotonic()), undefined, `${wait} ms later`)
      }
      // Notes of evictions are thrown away only when everything from before them is too old.
      for (let other = 0; other < 10; other++) cache.evictKey(`key_other${other}`)
      cache.put('d1', found('key_1'), askedAt)
      t.equal(cache.get('d1', clock.monotonic()), undefined)
      clock.pass(1)
      cache.put('d1', found('key_1'), clock.monotonic())
      t.ok(cache.get('d1', clock.monotonic()))
    }
  })

  const bounded = () => {
    const { clock, cache } = cacheOf(10)
    const holds = (place: number): boolean => cache.get(digest(place), clock.monotonic()) !== undefined
    /** @returns was it held already? */
    const use = (place: number): boolean => {
      const was = holds(place)
      if (!was) cache.put(digest(place), found(`key_${place}`), clock.monotonic())
      t.ok(cache.size <= 10, 'never more than ten')
      return was
    }
    const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_none, i) => first + i)
    return { use, holds, range }
  }

  t.test('are bounded, and what is used goes on being held', async (t) => {
    const { use, holds, range } = bounded()
    for (const place of range(0, 999)) {
      use(place)
      use(place)
      if (place > 0) t.ok(use(0), 'it is used again and again')
      t.ok(holds(place), 'what was looked for twice is let in')
    }
    t.ok(range(997, 999).every(holds))
    t.notOk(range(1, 970).some(holds), 'what came first and was not used since is dropped')
    // The same key again takes no room.
    for (let turn = 0; turn < 100; turn++) use(999)
    t.ok(range(997, 999).every(holds))
  })

  t.test('are not pushed out by more keys than there is room for, each looked for once in a while', async (t) => {
    const { use, holds, range } = bounded()
    for (const place of range(0, 9)) use(place)
    const before = range(0, 9).filter(holds)
    t.equal(before.length, 10)
    let letIn = 0
    for (let turn = 0; turn < 20; turn++) {
      for (const place of range(100, 299)) if (use(place)) letIn++
      t.same(range(0, 9).filter(use), before, 'those that are in use stay')
    }
    t.ok(letIn <= 20, 'one in two hundred and some comes upon what another left')
    t.ok(use(500) === false && use(500) === false && use(500), 'a second look in a row lets it in')
  })

  t.test('share the lists of scopes that are alike', async (t) => {
    const { clock, cache } = cacheOf(10_000)
    const scopesOf = (place: number, scopes: readonly string[] | null): unknown => {
      const key = storedKey({ scopes, environment: 'test', access: 'publishable' })
      cache.put(digest(place), { key, siteOrigins: [] }, clock.monotonic())
      const { key: kept } = cache.get(digest(place), clock.monotonic())!
      t.match(kept, { scopes, environment: 'test', access: 'publishable' })
      return kept.scopes
    }
    const first = scopesOf(1, ['blocks:read', 'blocks:write'])
    t.equal(scopesOf(2, ['blocks:read', 'blocks:write']), first)
    t.not(scopesOf(3, ['blocks:read']), first)
    t.equal(scopesOf(4, null), null)
    for (let place = 5; place < 1005; place++) scopesOf(place, [`blocks:${place}`])
    const second = scopesOf(1005, ['blocks:read', 'blocks:write'])
    t.not(second, first, 'a thousand lists are enough to look through: then they begin anew')
    t.equal(scopesOf(1006, ['blocks:read', 'blocks:write']), second)
    t.not(scopesOf(1007, ['blocks:read blocks:write']), second, 'what a storage of the host has is not mistaken for another')
  })

  t.test('all go when more evictions come at once than are worth remembering', async (t) => {
    const { clock, cache } = cacheOf()
    cache.put('d1', found('key_1'), clock.monotonic())
    clock.pass(1)
    for (let place = 0; place < 10_000; place++) cache.evictKey(`key_other${place}`)
    t.ok(cache.get('d1', clock.monotonic()))
    cache.evictKey('key_other')
    t.equal(cache.get('d1', clock.monotonic()), undefined)
    t.equal(cache.size, 0)
  })
})

t.test('keys held by what they stand at', async (t) => {
  const heldBy = (maxAge: number) => {
    const clock = testClock()
    const storage = { version: 1, asked: 0 }
    const held = versionedKeys({ version: () => { storage.asked++; return storage.version }, maxAge, maxSize: 10, clock })
    const holds = (digest: string): boolean => held.get(digest, held.stamp()) !== undefined
    return { clock, storage, held, holds }
  }

  t.test('serve until that moves, and are asked for again then', async (t) => {
    const { storage, held, holds } = heldBy(0)
    const stamp = held.stamp()
    held.put('d1', found('key_1'), stamp)
    for (let turn = 0; turn < 5; turn++) t.ok(holds('d1'))
    t.equal(storage.asked, 6, 'each request asks')
    storage.version = -7
    t.notOk(holds('d1'))
    held.put('d1', found('key_1'), stamp)
    t.notOk(holds('d1'), 'an answer to a question from before is none')
    held.put('d1', found('key_1'), held.stamp())
    t.ok(holds('d1'))
    for (let place = 0; place < 100; place++) held.put(digest(place), found(`key_${place}`), held.stamp())
    t.ok(held.size <= 10)
  })

  t.test('within a delay serve without a question, unless somebody says that something has changed', async (t) => {
    for (const evict of ['evictKey', 'evictAccount', 'evictAll'] as const) {
      const { clock, storage, held, holds } = heldBy(1000)
      held.put('d1', found('key_1'), held.stamp())
      storage.version = 2
      clock.pass(999)
      t.ok(holds('d1'))
      t.equal(storage.asked, 1)
      held[evict]('user_other')
      t.notOk(holds('d1'), evict)
      t.equal(storage.asked, 2)
      held.put('d1', found('key_1'), held.stamp())
      clock.pass(1000)
      t.ok(holds('d1'), 'what has not changed is held for longer than the delay')
      t.equal(storage.asked, 3)
      storage.version = 3
      clock.pass(1000)
      t.notOk(holds('d1'), 'the delay is over')
    }
  })
})

t.test('a lookup', async (t) => {
  const lookupOf = (answer: (digest: string) => FoundKey | null | Promise<FoundKey | null>) => {
    const clock = testClock()
    const cache = keyCache({ maxAge: 1000, maxSize: 100, clock })
    const hasher = keyHasher({ current: 'p1', keys: { p1: 'x'.repeat(32) } })
    const calls = { storage: 0, hashes: 0 }
    const find = keyLookup({
      storage: { findKeyByHash (digests) { calls.storage++; return answer(digests[0]!.hash) } },
      hasher: { ...hasher, candidates (plaintext) { calls.hashes++; return hasher.candidates(plaintext) } },
      isKeyShaped: hasKeyShape,
      held: cache
    })
    const key = (plaintext: string, publicId = 'key_1'): FoundKey => ({ key: storedKey({ publicId, ...hasher.current(plaintext) }), siteOrigins: [] })
    return { clock, cache, calls, find, key }
  }

  t.test('asks the storage once, and neither it nor a pepper again while the key is held', async (t) => {
    const plaintext = generateKey('sk_live_')
    for (const later of [false, true]) {
      const lookup = lookupOf(() => later ? Promise.resolve(stored) : stored)
      const stored = lookup.key(plaintext)
      t.equal(await lookup.find(plaintext), stored)
      for (let turn = 0; turn < 100; turn++) t.same(lookup.find(plaintext), held(stored), 'at once')
      t.same(lookup.calls, { storage: 1, hashes: 1 })
      lookup.clock.pass(1000)
      t.equal(await lookup.find(plaintext), stored)
      t.same(lookup.calls, { storage: 2, hashes: 2 })
    }
  })

  t.test('holds nothing of keys that are unknown, malformed, or not what was asked for', async (t) => {
    let stranger: FoundKey | null = null
    const lookup = lookupOf(() => stranger)
    for (let turn = 0; turn < 1000; turn++) t.equal(lookup.find(generateKey('sk_live_')), null)
    t.equal(lookup.calls.storage, 1000)
    stranger = lookup.key(generateKey('sk_live_'))
    t.equal(lookup.find(generateKey('sk_live_')), null)
    for (const text of ['', 'x', `${generateKey('sk_live_')}x`, sha256('x'), undefined as never]) t.equal(lookup.find(text), null)
    t.equal(lookup.calls.storage, 1001, 'what has not the shape of a key asks nobody')
    t.equal(lookup.cache.size, 0)
  })

  t.test('asks for itself: it never waits for an answer that was asked for before a revocation', async (t) => {
    const plaintext = generateKey('sk_live_')
    const answers: Array<(found: FoundKey) => void> = []
    const lookup = lookupOf(async () => await new Promise((resolve) => { answers.push(resolve) }))
    const before = lookup.find(plaintext)
    lookup.clock.pass(5)
    lookup.cache.evictKey('key_1')
    lookup.clock.pass(5)
    const after = lookup.find(plaintext)
    t.equal(answers.length, 2)
    const revoked = { ...lookup.key(plaintext), key: { ...lookup.key(plaintext).key, revokedAt: 1 } }
    answers[1]!(revoked)
    t.equal(await after, revoked)
    answers[0]!(lookup.key(plaintext))
    t.equal((await before)!.key.revokedAt, null, 'it began before')
    t.not((await lookup.find(plaintext))?.key.revokedAt, null, 'and what it was answered serves nobody else')
    t.equal(answers.length, 2)
  })

  t.test('that fails leaves nothing behind', async (t) => {
    const plaintext = generateKey('sk_live_')
    let down = true
    const lookup = lookupOf(() => down ? Promise.reject(new Error('down')) : lookup.key(plaintext))
    await t.rejects(Promise.resolve(lookup.find(plaintext)), { message: 'down' })
    down = false
    t.ok(await lookup.find(plaintext))
  })
})
