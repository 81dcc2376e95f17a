// The executable form of the rate-limit store's port: one suite that every store passes, under any test runner.
import assert from 'node:assert/strict'
import { HOUR, MINUTE } from '../time.js'
import type { Bucket, Consumed, RateLimit, RateLimitStore } from './rate-limit.js'

/** A store under test. */
export interface RateLimitStoreUnderTest {
  /** Empty, and nobody else's. */
  readonly store: RateLimitStore
  /** Lets time pass for the store: by its clock, or by ending what it holds so much earlier. */
  readonly pass: (ms: number) => void | Promise<void>
  readonly close?: () => void | Promise<void>
}

/** ms that a case may take: a store by a server's clock has counted so much on. */
const SLACK = 5000

const THREE: RateLimit = { name: 'three', max: 3, windowMs: MINUTE }
const FIVE: RateLimit = { name: 'five', max: 5, windowMs: HOUR }

function bucket (limit: RateLimit, owner = 'user_a'): Bucket {
  return { id: `${owner}/${limit.name}`, owner, limit }
}

function near (ms: number, expected: number): void {
  assert.ok(ms <= expected && ms > expected - SLACK, `${ms} ms is not about ${expected}`)
}

/** What is left of each bucket. */
async function left (store: RateLimitStore, ...buckets: Bucket[]): Promise<number[]> {
  return (await store.peek(buckets)).map(({ remaining }) => remaining)
}

async function times (count: number, consume: () => Consumed | Promise<Consumed>): Promise<boolean[]> {
  const admitted = []
  for (let i = 0; i < count; i++) admitted.push((await consume()).allowed)
  return admitted
}

const CASES: Record<string, (parts: RateLimitStoreUnderTest) => Promise<void>> = {
  async 'admits exactly max in a window, and says what is left' ({ store }) {
    for (const remaining of [2, 1, 0]) {
      const { allowed, states, refusedBy } = await store.consume([bucket(THREE)], 1)
      assert.deepEqual({ allowed, refusedBy, limit: states[0]!.limit, remaining: states[0]!.remaining, more: states.length }, { allowed: true, refusedBy: null, limit: THREE, remaining, more: 1 })
      near(states[0]!.resetMs, MINUTE)
    }
    for (let i = 0; i < 3; i++) {
      const { allowed, states, refusedBy } = await store.consume([bucket(THREE)], 1)
      assert.deepEqual([allowed, states[0]!.remaining, refusedBy!.limit], [false, 0, THREE])
      near(refusedBy!.resetMs, MINUTE)
    }
  },

  async 'admits exactly max of 200 at once' ({ store }) {
    const hundred = bucket({ ...THREE, max: 100 })
    const answers = await Promise.all(Array.from({ length: 200 }, async () => await store.consume([hundred], 1)))
    assert.equal(answers.filter(({ allowed }) => allowed).length, 100)
    assert.deepEqual(answers.filter(({ allowed }) => allowed).map(({ states }) => states[0]!.remaining).toSorted((a, b) => a - b), Array.from({ length: 100 }, (_none, left) => left))
    assert.deepEqual(await left(store, hundred), [0])
  },

  async 'charges all limits of a request or none' ({ store }) {
    const both = [bucket(THREE), bucket(FIVE)]
    assert.deepEqual(await times(5, async () => await store.consume(both, 1)), [true, true, true, false, false])
    assert.deepEqual(await left(store, ...both), [0, 2])
    // The same when the first has room and the second has none.
    assert.deepEqual(await times(3, async () => await store.consume([bucket(FIVE)], 1)), [true, true, false])
    const other = bucket({ name: 'other', max: 9, windowMs: MINUTE })
    const { allowed, states, refusedBy } = await store.consume([other, bucket(FIVE)], 1)
    assert.deepEqual([allowed, states.map(({ remaining }) => remaining), refusedBy!.limit], [false, [9, 0], FIVE])
    assert.deepEqual(await left(store, other), [9])
  },

  async 'of several limits that refuse, names the one that opens last' ({ store }) {
    const both = [bucket(THREE), bucket({ ...FIVE, max: 3 })]
    await times(3, async () => await store.consume(both, 1))
    for (const order of [both, both.toReversed()]) {
      const { refusedBy } = await store.consume(order, 1)
      assert.equal(refusedBy!.limit.name, 'five')
      near(refusedBy!.resetMs, HOUR)
    }
  },

  async 'charges the cost, and refuses one that finds no room while a smaller one does' ({ store }) {
    const five = bucket(FIVE)
    assert.equal((await store.consume([five], 3)).states[0]!.remaining, 2)
    assert.equal((await store.consume([five], 3)).allowed, false)
    assert.equal((await store.consume([five], 2)).states[0]!.remaining, 0)
    assert.equal((await store.consume([five], 1)).allowed, false)
  },

  async 'refuses a cost beyond the limit itself, and opens no window for it' ({ store }) {
    const { allowed, states, refusedBy } = await store.consume([bucket(THREE)], 4)
    assert.deepEqual([allowed, states[0]!.remaining, states[0]!.resetMs, refusedBy!.resetMs], [false, 3, 0, MINUTE])
    assert.deepEqual(await times(3, async () => await store.consume([bucket(THREE)], 1)), [true, true, true])
  },

  async 'the first request opens the window, and nothing that follows puts off its end' ({ store, pass }) {
    await store.consume([bucket(THREE)], 1)
    await pass(40_000)
    assert.deepEqual(await times(4, async () => await store.consume([bucket(THREE)], 1)), [true, true, false, false])
    near((await store.peek([bucket(THREE)]))[0]!.resetMs, 20_000)
    await pass(20_000)
    assert.deepEqual(await store.peek([bucket(THREE)]), [{ limit: THREE, remaining: 3, resetMs: 0 }])
    const { states } = await store.consume([bucket(THREE)], 1)
    assert.equal(states[0]!.remaining, 2)
    near(states[0]!.resetMs, MINUTE)
  },

  async 'a limit by the day ends by the day beside one that ended long before' ({ store, pass }) {
    const both = [bucket(THREE), bucket(FIVE)]
    await times(3, async () => await store.consume(both, 1))
    await pass(MINUTE)
    assert.deepEqual(await left(store, ...both), [3, 2])
    assert.deepEqual(await times(3, async () => await store.consume(both, 1)), [true, true, false])
    assert.deepEqual(await left(store, ...both), [1, 0])
  },

  async 'shows a whole list in its order and charges nothing, however often' ({ store }) {
    const buckets = Array.from({ length: 200 }, (_none, place) => bucket({ ...THREE, name: `n${place}` }))
    await store.consume([buckets[7]!], 2)
    await store.consume([buckets[199]!], 3)
    for (let i = 0; i < 3; i++) {
      const states = await store.peek(buckets)
      assert.deepEqual(states.map(({ limit }) => limit.name), buckets.map(({ limit }) => limit.name))
      assert.deepEqual(states.flatMap(({ remaining, resetMs }, place) => remaining === 3 && resetMs === 0 ? [] : [[place, remaining]]), [[7, 1], [199, 0]])
    }
  },

  async 'counts on where the limit was changed; a shorter window holds from now' ({ store }) {
    await store.consume([bucket(FIVE)], 3)
    assert.deepEqual(await left(store, bucket({ ...FIVE, max: 10 }), bucket({ ...FIVE, max: 2 })), [7, 0])
    const short = bucket({ ...FIVE, windowMs: MINUTE })
    near((await store.peek([short]))[0]!.resetMs, MINUTE)
    const refused = await store.consume([{ ...short, limit: { ...short.limit, max: 3 } }], 1)
    near(refused.refusedBy!.resetMs, MINUTE)
    near((await store.consume([short], 1)).states[0]!.resetMs, MINUTE)
    near((await store.peek([bucket(FIVE)]))[0]!.resetMs, MINUTE)
  },

  async 'a window that a changed limit cuts short ends when a refused request was told that it would' ({ store, pass }) {
    await store.consume([bucket(FIVE), bucket(THREE)], 3)
    const short = bucket({ ...FIVE, max: 3, windowMs: MINUTE })
    near((await store.consume([short], 1)).refusedBy!.resetMs, MINUTE)
    await pass(30_000)
    near((await store.consume([short], 1)).refusedBy!.resetMs, 30_000)
    await pass(30_000)
    assert.deepEqual(await times(4, async () => await store.consume([short], 1)), [true, true, true, false])
  },

  async 'empties the buckets it is told to, and no other' ({ store }) {
    const other = bucket(THREE, 'user_b')
    await store.consume([bucket(THREE), bucket(FIVE)], 2)
    await store.consume([other], 2)
    await store.reset([bucket(THREE)])
    await store.reset([bucket({ ...THREE, name: 'never-used' })])
    assert.deepEqual(await store.peek([bucket(THREE)]), [{ limit: THREE, remaining: 3, resetMs: 0 }])
    assert.deepEqual([...await left(store, bucket(FIVE)), ...await left(store, other)], [3, 1])
  },

  async 'keeps apart whatever may be told apart' ({ store }) {
    const owners = ['user_a', 'USER_A', 'user_ä', 'user_a ', ' user_a', 'user_a}', '}', '{}', '{', ':', 'user_a:x', '*', '\n', '用户']
    for (const owner of owners) assert.equal((await store.consume([bucket(THREE, owner)], 3)).allowed, true, JSON.stringify(owner))
    for (const owner of owners) assert.deepEqual(await left(store, bucket(THREE, owner)), [0])
    // And together what is one owner's.
    for (const owner of owners) assert.equal((await store.consume([bucket(FIVE, owner), bucket({ ...FIVE, name: 'more' }, owner)], 1)).allowed, true)
  }
}

/**
 * The suite, for a store of your own:
 * ```ts
 * for (const { name, run } of rateLimitStoreContract(() => ({ store: myStore(clock), pass: clock.advance }))) test(name, run)
 * ```
 * @param create makes a store for each case
 */
export function rateLimitStoreContract (
  create: () => RateLimitStoreUnderTest | Promise<RateLimitStoreUnderTest>
): Array<{ readonly name: string, readonly run: () => Promise<void> }> {
  return Object.entries(CASES).map(([name, check]) => ({
    name,
    async run () {
      const parts = await create()
      try {
        await check(parts)
      } finally {
        await parts.close?.()
      }
    }
  }))
}
