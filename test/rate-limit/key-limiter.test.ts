// The limits of keys: which buckets a request is charged to, and what the owner of the keys sees of them.
import t from 'tap'
import type { RateLimitCounter } from '../../lib/rate-limit/guarded-store.js'
import { keyLimiter, PLAIN_CHARGE, type Charge, type LimitedKey } from '../../lib/rate-limit/key-limiter.js'
import { memoryRateLimitStore } from '../../lib/rate-limit/memory-store.js'
import type { Bucket, RateLimit } from '../../lib/rate-limit/rate-limit.js'
import { DAY, HOUR, MINUTE } from '../../lib/time.js'
import { testClock, type TestClock } from '../helpers/app.js'

const PER_MINUTE: RateLimit = { name: 'minute', max: 3, windowMs: MINUTE }
const PER_HOUR: RateLimit = { name: 'hour', max: 5, windowMs: HOUR }
const A: LimitedKey = { key: { publicId: 'key_a', accountId: 'user_a' }, limits: null }
const B: LimitedKey = { key: { publicId: 'key_b', accountId: 'user_a' }, limits: null }
const STRANGER: LimitedKey = { key: { publicId: 'key_s', accountId: 'user_s' }, limits: null }

interface Call { readonly name: keyof RateLimitCounter, readonly buckets: readonly Bucket[], readonly cost?: number }

/** Counts in memory, and what it was asked. */
function counterOf (clock: TestClock = testClock()): RateLimitCounter & { calls: Call[] } {
  const store = memoryRateLimitStore({ clock })
  const calls: Call[] = []
  return {
    calls,
    consume (buckets, cost) {
      calls.push({ name: 'consume', buckets, cost })
      return store.consume(buckets, cost)
    },
    peek (buckets) {
      calls.push({ name: 'peek', buckets })
      return store.peek(buckets)
    },
    reset (buckets) {
      calls.push({ name: 'reset', buckets })
      store.reset(buckets)
    }
  }
}

const charge = (more: Partial<Charge>): Charge => ({ ...PLAIN_CHARGE, ...more })

t.test('a key has one bucket per limit, and shares none of them', async (t) => {
  const clock = testClock()
  const limiter = keyLimiter(counterOf(clock), [PER_MINUTE, PER_HOUR])
  limiter.consume(A, PLAIN_CHARGE)
  clock.pass(500)
  t.match(limiter.consume(A, PLAIN_CHARGE), { allowed: true, states: [{ remaining: 1 }, { remaining: 3 }], refusedBy: null })
  t.strictSame(await limiter.peek([B, A]), [
    [
      { name: 'minute', max: 3, windowSeconds: 60, remaining: 3, resetSeconds: 0 },
      { name: 'hour', max: 5, windowSeconds: 3600, remaining: 5, resetSeconds: 0 }
    ], [
      { name: 'minute', max: 3, windowSeconds: 60, remaining: 1, resetSeconds: 60 },
      { name: 'hour', max: 5, windowSeconds: 3600, remaining: 3, resetSeconds: 3600 }
    ]
  ], 'seconds are rounded up')
})

t.test('of one request, all limits are charged in one call for its owner, or none', async (t) => {
  const counter = counterOf()
  const limiter = keyLimiter(counter, [PER_MINUTE, { ...PER_HOUR, max: 2 }])
  for (const allowed of [true, true, false]) t.match(limiter.consume(A, PLAIN_CHARGE), { allowed })
  t.strictSame(counter.calls.map(({ name, buckets, cost }) => [name, buckets.map(({ owner }) => owner), cost]), Array(3).fill(['consume', ['user_a', 'user_a'], 1]))
  t.match(await limiter.peek([A]), [[{ name: 'minute', remaining: 1 }, { name: 'hour', remaining: 0 }]])
})

t.test('six thousand other keys neither burn nor reset the limit of one', async (t) => {
  const limiter = keyLimiter(counterOf(), [PER_MINUTE])
  for (let i = 0; i < 3; i++) limiter.consume(A, PLAIN_CHARGE)
  for (let i = 0; i < 6000; i++) limiter.consume({ ...STRANGER, key: { ...STRANGER.key, publicId: `key_${i}` } }, PLAIN_CHARGE)
  t.match(limiter.consume(A, PLAIN_CHARGE), { allowed: false })
  t.match(limiter.consume(B, PLAIN_CHARGE), { allowed: true })
})

t.test('without limits the counter is not asked', async (t) => {
  const counter = counterOf()
  const limiter = keyLimiter(counter, [])
  t.equal(limiter.consume(A, PLAIN_CHARGE), null)
  t.same(await limiter.peek([A, B]), [[], []])
  await limiter.reset(A)
  t.same(await keyLimiter(counter, [PER_MINUTE]).peek([]), [])
  t.same(counter.calls, [])
})

t.test('limits are those of the account\'s policy where it has some: none for an empty list', async (t) => {
  const limiter = keyLimiter(counterOf(), [PER_MINUTE])
  const planned = { ...A, limits: [{ ...PER_MINUTE, max: 1 }, PER_HOUR] }
  t.match(limiter.consume(planned, PLAIN_CHARGE), { allowed: true })
  t.match(limiter.consume(planned, PLAIN_CHARGE), { allowed: false, refusedBy: { limit: { name: 'minute', max: 1 } } })
  t.equal(limiter.consume({ ...A, limits: [] }, PLAIN_CHARGE), null)
  t.match(await limiter.peek([{ ...A, limits: [] }, planned, B, A]), [
    [], [{ name: 'minute', max: 1, remaining: 0 }, { name: 'hour', max: 5, remaining: 4 }], [{ max: 3, remaining: 3 }],
    // A plan that grew counts on in the window that is open.
    [{ max: 3, remaining: 2 }]
  ])
})

t.test('an exempt route charges nothing, whatever limits there are', async (t) => {
  const counter = counterOf()
  const limiter = keyLimiter(counter, [PER_MINUTE])
  const exempt = charge({ exempt: true, cost: 3, perKey: { of: 'GET /a', limits: [PER_HOUR] }, perAccount: PER_HOUR })
  t.equal(limiter.consume(A, exempt), null)
  t.same(counter.calls, [])
  t.match(await limiter.peek([A]), [[{ remaining: 3 }]])
})

t.test('a cost is charged to every limit of the request', async (t) => {
  const limiter = keyLimiter(counterOf(), [PER_MINUTE, PER_HOUR])
  t.match(limiter.consume(A, charge({ cost: 2 })), { allowed: true, states: [{ remaining: 1 }, { remaining: 3 }] })
  t.match(limiter.consume(A, charge({ cost: 2 })), { allowed: false, states: [{ remaining: 1 }, { remaining: 3 }], refusedBy: { limit: PER_MINUTE } })
  t.match(limiter.consume(A, PLAIN_CHARGE), { allowed: true, states: [{ remaining: 0 }, { remaining: 2 }] })
})

t.test('limits of a route', async (t) => {
  const route = (of: string, max = 1): Charge => charge({ perKey: { of, limits: [{ ...PER_MINUTE, max }] } })

  t.test('are charged besides the key\'s own, for each key and route by itself', async (t) => {
    const limiter = keyLimiter(counterOf(), [PER_MINUTE])
    t.match(limiter.consume(A, route('GET /a')), { allowed: true, states: [{ limit: { max: 3 }, remaining: 2 }, { limit: { max: 1 }, remaining: 0 }] })
    t.match(limiter.consume(A, route('GET /a')), { allowed: false, refusedBy: { limit: { max: 1 } } })
    t.match(limiter.consume(A, route('GET /b')), { allowed: true, states: [{ remaining: 1 }, { remaining: 0 }] })
    t.match(limiter.consume(B, route('GET /a')), { allowed: true, states: [{ remaining: 2 }, { remaining: 0 }] })
    t.match(await limiter.peek([A, B]), [[{ max: 3, remaining: 1 }], [{ max: 3, remaining: 2 }]], 'and are no part of what is shown of the key')
  })

  t.test('hold where the key has none', async (t) => {
    const limiter = keyLimiter(counterOf(), [])
    for (const allowed of [true, false]) t.match(limiter.consume({ ...A, limits: [] }, route('GET /a')), { allowed })
  })

  t.test('are told apart from the key\'s own whatever the route is called', async (t) => {
    const limiter = keyLimiter(counterOf(), [{ ...PER_MINUTE, max: 9 }])
    for (const of of ['', '/', 'minute', 'key_a/minute']) t.match(limiter.consume(A, route(of, 9)), { states: [{}, { remaining: 8 }] }, `"${of}"`)
  })
})

t.test('limits of an account', async (t) => {
  const shared: RateLimit = { name: 'account', max: 2, windowMs: DAY }

  t.test('are shared by all of its keys, and by nobody else\'s', async (t) => {
    const limiter = keyLimiter(counterOf(), [PER_MINUTE])
    const both = charge({ perAccount: shared })
    t.match(limiter.consume(A, both), { allowed: true, states: [{ remaining: 2 }, { limit: shared, remaining: 1 }] })
    t.match(limiter.consume(B, both), { allowed: true, states: [{ remaining: 2 }, { limit: shared, remaining: 0 }] })
    t.match(limiter.consume(A, both), { allowed: false, refusedBy: { limit: shared, resetMs: DAY } })
    t.match(limiter.consume(STRANGER, both), { allowed: true })
    t.match(limiter.consume(A, PLAIN_CHARGE), { allowed: true, states: [{ remaining: 1 }] }, 'the refusal charged the key nothing')
  })

  t.test('leave its sessions a budget of their own: no key can use it up', async (t) => {
    const limiter = keyLimiter(counterOf(), [])
    for (const allowed of [true, true, false]) t.match(limiter.consume(A, charge({ perAccount: shared })), { allowed })
    for (const allowed of [true, true, false]) t.match(limiter.consumeAccount('user_a', shared), { allowed, states: [{ limit: shared }] })
    t.match(limiter.consumeAccount('user_s', shared), { allowed: true, states: [{ remaining: 1 }] })
  })
})

t.test('a key that is held in memory keeps its buckets, as long as they are what it is charged', async (t) => {
  const counter = counterOf()
  const limiter = keyLimiter(counter, [PER_MINUTE])
  const routeLimit = charge({ perKey: { of: 'GET /x', limits: [PER_HOUR] } })
  const bucketsOf = (key: LimitedKey, charge: Charge): readonly Bucket[] => {
    limiter.consume(key, charge)
    return counter.calls.at(-1)!.buckets
  }
  const held = { ...A, held: true }
  const plain = bucketsOf(held, PLAIN_CHARGE)
  t.same(plain.map(({ id }) => id), ['key_a/minute'])
  t.equal(bucketsOf(held, PLAIN_CHARGE), plain, 'the very same')
  t.same(bucketsOf(held, routeLimit).map(({ id }) => id), ['key_a/minute', 'key_a/GET /x/hour'], 'another route')
  t.same(bucketsOf({ ...held, limits: [PER_HOUR] }, PLAIN_CHARGE).map(({ id }) => id), ['key_a/hour'], 'another plan')
  const again = bucketsOf(held, PLAIN_CHARGE)
  t.same(again, plain)
  t.not(bucketsOf(A, PLAIN_CHARGE), again, 'what is read for one request is made for it')
  t.same(bucketsOf(A, PLAIN_CHARGE), again)
})

t.test('a whole list of keys is looked up in one call, and charges nothing', async (t) => {
  const counter = counterOf()
  const limiter = keyLimiter(counter, [PER_MINUTE])
  limiter.consume(A, PLAIN_CHARGE)
  const limits = [[], null, [PER_HOUR, PER_MINUTE]]
  const keys = Array.from({ length: 100 }, (_none, place): LimitedKey => ({ key: { ...A.key, publicId: place === 70 ? 'key_a' : `key_${place}` }, limits: limits[place % 3]! }))
  for (let i = 0; i < 5; i++) {
    const states = await limiter.peek(keys)
    t.same(states.map((own) => own.length), keys.map(({ limits }) => limits?.length ?? 1), 'one list a key, of its own limits')
    t.match(states[70], [{ name: 'minute', remaining: 2 }])
    t.match(states[71], [{ name: 'hour', remaining: 5 }, { name: 'minute', remaining: 3 }])
  }
  t.strictSame(counter.calls.map(({ name, buckets }) => [name, buckets.length]), [['consume', 1], ...Array(5).fill(['peek', 99])])
})

t.test('a reset empties the key\'s own limits and no other', async (t) => {
  const limiter = keyLimiter(counterOf(), [PER_MINUTE, PER_HOUR])
  const all = charge({ cost: 3, perKey: { of: 'GET /a', limits: [PER_MINUTE] }, perAccount: { ...PER_HOUR, max: 9 } })
  for (const key of [A, B]) limiter.consume(key, all)
  await limiter.reset(A)
  t.match(await limiter.peek([A, B]), [[{ remaining: 3 }, { remaining: 5 }], [{ remaining: 0 }, { remaining: 2 }]])
  t.match(limiter.consume(A, charge({ perKey: all.perKey })), { allowed: false, states: [{ remaining: 3 }, { remaining: 5 }, { remaining: 0 }] })
  t.match(limiter.consume({ ...A, key: { ...A.key, publicId: 'key_c' } }, all), { allowed: true, states: [{}, {}, {}, { remaining: 0 }] })
})

t.test('a counter may answer later, or not know', async (t) => {
  const memory = memoryRateLimitStore({ clock: testClock() })
  const later = keyLimiter({
    consume: async (buckets, cost) => memory.consume(buckets, cost), peek: async (buckets) => memory.peek(buckets), reset: async (buckets) => { memory.reset(buckets) }
  }, [PER_MINUTE])
  t.match(await later.consume(A, PLAIN_CHARGE), { allowed: true })
  t.match(await later.peek([A]), [[{ remaining: 2 }]])
  await later.reset(A)
  t.match(await later.peek([A]), [[{ remaining: 3 }]])
  const away = new Error('away')
  const failing = keyLimiter({ consume: async () => null, peek: async () => [], reset: async () => { throw away } }, [PER_MINUTE])
  t.equal(await failing.consume(A, PLAIN_CHARGE), null, 'admitted uncounted')
  await t.rejects(failing.reset(A), away)
})
