// The store in memory: the contract of all stores, its bound, and the clock that it goes by.
import { deepStrictEqual as same } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { memoryRateLimitStore } from '../../lib/rate-limit/memory-store.js'
import type { Bucket, RateLimit } from '../../lib/rate-limit/rate-limit.js'
import { rateLimitStoreContract } from '../../lib/testing.js'
import { DAY, HOUR, MINUTE } from '../../lib/time.js'
import { testClock } from '../helpers/app.js'
import { histories, RateLimitModel } from '../helpers/rate-limit-model.js'

const PER_MINUTE: RateLimit = { name: 'minute', max: 3, windowMs: MINUTE }
const PER_HOUR: RateLimit = { name: 'hour', max: 5, windowMs: HOUR }

const bucket = (id: string, limit = PER_MINUTE): Bucket => ({ id, owner: 'user_a', limit })

t.test('the contract of every store', async (t) => {
  const create = (): Parameters<typeof rateLimitStoreContract>[0] extends () => infer Made ? Awaited<Made> : never => {
    const clock = testClock()
    return { store: memoryRateLimitStore({ clock }), pass: (ms) => { clock.pass(ms) } }
  }
  for (const { name, run } of rateLimitStoreContract(create)) await t.test(name, run)
})

t.test('a case of the contract fails where a store breaks its claim, and closes it all the same', async (t) => {
  let closed = 0
  const cases = rateLimitStoreContract(() => {
    const store = memoryRateLimitStore({ clock: testClock() })
    return {
      store: { consume: (buckets) => ({ ...store.consume(buckets, 1), allowed: true, refusedBy: null }), peek: () => [], reset () {} },
      pass () {},
      close () { closed++ }
    }
  })
  const outcomes = await Promise.allSettled(cases.map(async ({ run }) => { await run() }))
  t.same(outcomes.map(({ status }) => status), cases.map(() => 'rejected'))
  t.equal(closed, cases.length)
})

t.test('agrees with a model that keeps every request, over random histories', async (t) => {
  let steps = 0
  fc.assert(fc.property(histories(1000), (history) => {
    const clock = testClock()
    const store = memoryRateLimitStore({ clock })
    const model = new RateLimitModel()
    for (const { pass, kind, cost, plan } of history.steps) {
      steps++
      const limits = history.plans[plan]!
      const buckets = limits.map((limit) => bucket(limit.name, limit))
      clock.pass(pass)
      model.now += pass
      if (kind === 'consume') same(store.consume(buckets, cost), model.consume(limits, cost))
      else if (kind === 'peek') same(store.peek(buckets), model.peek(limits))
      else same(store.reset(buckets), model.reset(limits))
    }
  }), { numRuns: Number(process.env.MODEL_RUNS ?? 500), seed: Number(process.env.MODEL_SEED ?? 20260115) })
  t.ok(steps > 5000, `${steps} steps`)
})

t.test('answers at once, without a promise', async (t) => {
  const store = memoryRateLimitStore({ clock: testClock() })
  t.equal(store.consume([bucket('a')], 1).states[0]!.remaining, 2)
  t.equal(store.peek([bucket('a')])[0]!.remaining, 2)
  t.equal(store.reset([bucket('a')]), undefined)
  t.same(store.peek([]), [])
})

t.test('goes by the monotonic clock alone', async (t) => {
  for (const [name, jump] of Object.entries({ 'an hour back': -HOUR, 'an hour on': HOUR, 'to 2038': Date.UTC(2038, 0, 19, 3, 14, 8) - Date.UTC(2026, 0, 1), 'to 1970': -56 * 365 * DAY })) {
    const clock = testClock()
    const store = memoryRateLimitStore({ clock })
    for (let i = 0; i < 3; i++) store.consume([bucket('a')], 1)
    clock.mono += 20_000
    clock.wall += jump
    t.match(store.consume([bucket('a')], 1), { allowed: false, refusedBy: { limit: PER_MINUTE, resetMs: 40_000 } }, name)
    t.same(store.peek([bucket('a'), bucket('b')]).map(({ remaining, resetMs }) => [remaining, resetMs]), [[0, 40_000], [3, 0]], name)
    clock.mono += 39_999
    t.equal(store.consume([bucket('a')], 1).allowed, false, name)
    clock.mono += 1
    t.match(store.consume([bucket('a')], 1), { allowed: true, states: [{ remaining: 2, resetMs: MINUTE }] }, name)
  }

  t.test('and by the system\'s where no other is given: the wall clock is never asked', async (t) => {
    const asked = t.capture(Date, 'now', Date.now)
    const store = memoryRateLimitStore()
    const { states } = store.consume([bucket('a')], 1)
    t.equal(states[0]!.resetMs, MINUTE)
    const { resetMs } = store.peek([bucket('a')])[0]!
    t.ok(resetMs > 0 && resetMs <= MINUTE)
    t.same(asked(), [])
  })
})

t.test('a bound', async (t) => {
  /** Which of the buckets are held. */
  const heldOf = (store: ReturnType<typeof memoryRateLimitStore>, ...ids: string[]): string[] =>
    ids.filter((id) => store.peek([bucket(id)])[0]!.remaining < 3)

  t.test('is kept under a hundred thousand buckets', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore({ maxBuckets: 50, clock })
    let most = 0
    for (let i = 0; i < 100_000; i++) {
      store.consume([bucket(`k${i}/minute`), bucket(`k${i}/hour`, PER_HOUR)], 1)
      most = Math.max(most, store.size)
      if (i % 100 === 0) clock.pass(1)
    }
    t.equal(most, 50)
  })

  t.test('makes room by dropping whatever ended, and nothing that is open', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore({ maxBuckets: 3, clock })
    store.consume([bucket('a')], 1)
    store.consume([bucket('b')], 1)
    clock.pass(30_000)
    store.consume([bucket('c')], 1)
    clock.pass(30_000)
    t.equal(store.size, 3)
    store.consume([bucket('d')], 1)
    t.equal(store.size, 2)
    t.same(heldOf(store, 'a', 'b', 'c', 'd'), ['c', 'd'])
  })

  t.test('looks for what ended once a second at most; between, the oldest goes', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore({ maxBuckets: 3, clock })
    const brief = { ...PER_MINUTE, windowMs: 400 }
    for (const id of ['a', 'b']) store.consume([bucket(id)], 1)
    store.consume([bucket('brief', brief)], 1)
    store.consume([bucket('c')], 1)
    t.same(heldOf(store, 'a', 'b', 'c'), ['b', 'c'], 'nothing had ended: the one that opened first went')
    clock.pass(999)
    store.consume([bucket('d')], 1)
    t.same([...heldOf(store, 'b', 'c', 'd'), store.size], ['c', 'd', 3], 'brief had ended, but nobody looked')
    clock.pass(1)
    store.consume([bucket('e')], 1)
    t.same([...heldOf(store, 'c', 'd', 'e'), store.size], ['c', 'd', 'e', 3], 'now brief went, and no other')
  })

  t.test('forgets the window that opened first, however long its bucket has been known', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore({ maxBuckets: 3, clock })
    store.consume([bucket('a')], 1)
    clock.pass(MINUTE)
    for (const id of ['b', 'c', 'a', 'b', 'd']) {
      store.consume([bucket(id)], 1)
      clock.pass(1)
    }
    t.equal(store.size, 3)
    t.same(heldOf(store, 'a', 'b', 'c', 'd'), ['a', 'c', 'd'], 'b opened first; a opened anew, and a charge to b did not make it young')
  })

  t.test('makes no room for a bucket that it holds, for a refusal, or for a look', async (t) => {
    const store = memoryRateLimitStore({ maxBuckets: 2, clock: testClock() })
    for (let i = 0; i < 3; i++) for (const id of ['a', 'b']) t.equal(store.consume([bucket(id)], 1).allowed, true)
    t.equal(store.consume([bucket('a')], 1).allowed, false)
    t.equal(store.consume([bucket('never')], 4).allowed, false)
    store.peek([bucket('c'), bucket('d')])
    store.reset([bucket('e')])
    t.equal(store.size, 2)
    t.same(heldOf(store, 'a', 'b', 'c', 'd', 'never'), ['a', 'b'])
  })
})

t.test('what is emptied is no longer held', async (t) => {
  const store = memoryRateLimitStore({ clock: testClock() })
  store.consume([bucket('a'), bucket('b')], 1)
  store.reset([bucket('a')])
  t.equal(store.size, 1)
})

t.test('two stores count apart', async (t) => {
  const clock = testClock()
  const [one, other] = [memoryRateLimitStore({ clock }), memoryRateLimitStore({ clock })]
  one.consume([bucket('a')], 3)
  t.equal(other.consume([bucket('a')], 3).allowed, true)
})

t.test('a bound that is none is refused by name: it would bind nothing', async (t) => {
  for (const maxBuckets of [0, -1, 1.5, NaN, Infinity, '5', null]) {
    t.throws(() => memoryRateLimitStore({ maxBuckets: maxBuckets as number }), {
      code: 'INVALID_OPTION', message: 'memoryRateLimitStore: "maxBuckets" must be an integer from 1.', details: { option: 'maxBuckets' }
    }, String(maxBuckets))
  }
})
