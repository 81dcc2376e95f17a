// Rate limits: the decision, the store in memory, and the limits of keys.
import t from 'tap'
import { keyLimiter } from '../lib/rate-limit/key-limiter.js'
import { memoryRateLimitStore } from '../lib/rate-limit/memory-store.js'
import { admit, standingOf, type Bucket, type Consumed, type RateLimit, type RateLimitStore, type Window } from '../lib/rate-limit/rate-limit.js'
import { testClock } from './helpers/app.js'

const PER_MINUTE: RateLimit = { name: 'minute', max: 3, windowMs: 60_000 }
const PER_HOUR: RateLimit = { name: 'hour', max: 5, windowMs: 3_600_000 }

/** A reproducible sequence of numbers below 1 (mulberry32). */
function numbers (seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** The reference: keeps the time of every admitted request and counts them anew each time. */
function reference (limit: RateLimit) {
  const admitted: number[] = []
  /** The window that is open at `now`: when it opened, and what was admitted in it. */
  const open = (now: number): { start: number, used: number } | null => {
    let window: { start: number, used: number } | null = null
    for (const time of admitted) {
      if (window === null || time >= window.start + limit.windowMs) window = { start: time, used: 1 }
      else window.used++
    }
    return window === null || now >= window.start + limit.windowMs ? null : window
  }
  return {
    request (now: number): boolean {
      const window = open(now)
      const passes = window === null || window.used < limit.max
      if (passes) admitted.push(now)
      return passes
    },
    state (now: number): { remaining: number, resetMs: number } {
      const window = open(now)
      return window === null
        ? { remaining: limit.max, resetMs: 0 }
        : { remaining: limit.max - window.used, resetMs: window.start + limit.windowMs - now }
    }
  }
}

t.test('admit and standingOf agree with a reference that counts every request, over 20 000 random requests', async (t) => {
  const random = numbers(20260115)
  for (let round = 0; round < 100; round++) {
    const limit = { name: 'any', max: 1 + Math.floor(random() * 6), windowMs: 1 + Math.floor(random() * 50) }
    const truth = reference(limit)
    let window: Window | undefined
    let now = 0
    for (let request = 0; request < 200; request++) {
      now += Math.floor(random() * random() * 20)
      const before = { ...window }
      const next = admit(window, limit, now)
      if (window !== undefined && JSON.stringify(before) !== JSON.stringify(window)) t.fail('admit changed its argument')
      window = next ?? window
      if ((next !== null) !== truth.request(now)) t.fail(`round ${round}, request ${request}`)
      const { remaining, resetMs } = standingOf(window, limit, now)
      const expected = truth.state(now)
      if (remaining !== expected.remaining || resetMs !== expected.resetMs) t.fail(`state in round ${round}, request ${request}`)
    }
  }
})

t.test('a window lasts from its first request to the very millisecond of its end', async (t) => {
  const opened = admit(undefined, PER_MINUTE, 100)!
  t.same(opened, { used: 1, endsAt: 60_100 })
  const full = { used: 3, endsAt: 60_100 }
  t.equal(admit(full, PER_MINUTE, 60_099), null)
  t.same(admit(full, PER_MINUTE, 60_100), { used: 1, endsAt: 120_100 })
  t.same(standingOf(full, PER_MINUTE, 60_099), { limit: PER_MINUTE, remaining: 0, resetMs: 1 })
  t.same(standingOf(full, PER_MINUTE, 60_100), { limit: PER_MINUTE, remaining: 3, resetMs: 0 })
  t.same(standingOf(undefined, PER_MINUTE, 0), { limit: PER_MINUTE, remaining: 3, resetMs: 0 })
})

t.test('a limit that was lowered while a window is open leaves nothing, and never less', async (t) => {
  const window = { used: 3, endsAt: 100 }
  const lowered = { ...PER_MINUTE, max: 1 }
  t.equal(standingOf(window, lowered, 0).remaining, 0)
  t.equal(admit(window, lowered, 0), null)
})

t.test('the memory store', async (t) => {
  const bucket = (id: string, limit = PER_MINUTE): Bucket => ({ id, limit })
  const consume = (store: RateLimitStore, ...buckets: Bucket[]): Consumed => store.consume(buckets) as Consumed

  t.test('lets exactly max pass in each window, for each bucket on its own', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock)
    const outcomes = (id: string, count: number): boolean[] => Array.from({ length: count }, () => consume(store, bucket(id)).allowed)
    t.same(outcomes('a', 5), [true, true, true, false, false])
    t.same(outcomes('b', 1), [true], 'nobody burns another\'s budget')
    clock.pass(59_999)
    t.same(outcomes('a', 1), [false])
    clock.pass(1)
    t.same(outcomes('a', 4), [true, true, true, false])
  })

  t.test('charges all limits or none', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock)
    const both = [bucket('k/minute'), bucket('k/hour', PER_HOUR)]
    for (let i = 0; i < 3; i++) t.equal(consume(store, ...both).allowed, true)
    const refused = consume(store, ...both)
    t.equal(refused.allowed, false)
    t.same(refused.states.map(({ remaining }) => remaining), [0, 2], 'what the minute refused was not charged to the hour')
    t.equal(refused.refusedBy?.limit, PER_MINUTE)
    clock.pass(60_000)
    for (let i = 0; i < 2; i++) t.equal(consume(store, ...both).allowed, true)
    const hour = consume(store, ...both)
    t.equal(hour.refusedBy?.limit, PER_HOUR)
    t.same(hour.states.map(({ remaining }) => remaining), [1, 0], 'nor the other way round')
  })

  t.test('says, of several limits that refuse, which one opens last, whatever their order', async (t) => {
    const store = memoryRateLimitStore(testClock())
    const once = (name: string, windowMs: number): Bucket => ({ id: name, limit: { name, max: 1, windowMs } })
    const buckets = [once('second', 1000), once('hour', 3_600_000), once('minute', 60_000)]
    t.equal(consume(store, ...buckets).refusedBy, null)
    for (const order of [buckets, buckets.toReversed(), [buckets[1]!, buckets[0]!, buckets[2]!]]) {
      t.match(consume(store, ...order).refusedBy, { limit: { name: 'hour' }, resetMs: 3_600_000 })
    }
    t.match(consume(store, buckets[0]!, bucket('free')).refusedBy, { limit: { name: 'second' } })
  })

  t.test('peek charges nothing and opens nothing', async (t) => {
    const store = memoryRateLimitStore(testClock())
    for (let i = 0; i < 10; i++) t.same(store.peek([bucket('a')]), [{ limit: PER_MINUTE, remaining: 3, resetMs: 0 }])
    t.equal(store.size, 0)
    consume(store, bucket('a'))
    for (let i = 0; i < 10; i++) t.match(store.peek([bucket('b'), bucket('a')]), [{ remaining: 3 }, { remaining: 2, resetMs: 60_000 }])
    t.same(store.peek([]), [])
  })

  t.test('goes by the monotonic clock: a wall clock that jumps either way changes nothing', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock)
    for (let i = 0; i < 3; i++) consume(store, bucket('a'))
    for (const jump of [-10 * 365 * 86_400_000, 10 * 365 * 86_400_000]) {
      clock.wall += jump
      t.match(consume(store, bucket('a')), { allowed: false, states: [{ remaining: 0, resetMs: 60_000 }] })
    }
    clock.mono += 60_000
    t.equal(consume(store, bucket('a')).allowed, true)
  })

  t.test('holds at most so many buckets: ended ones go first, all of them', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock, 3)
    consume(store, bucket('a'))
    consume(store, bucket('b'))
    clock.pass(30_000)
    consume(store, bucket('c'))
    clock.pass(30_000)
    t.equal(store.size, 3)
    consume(store, bucket('d'))
    t.equal(store.size, 2, 'a and b had ended')
    t.match(store.peek([bucket('c')]), [{ remaining: 2 }])
  })

  t.test('forgets the window that opened first where all are open, and no other', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock, 3)
    consume(store, bucket('a'))
    clock.pass(60_000)
    for (const id of ['b', 'c']) {
      consume(store, bucket(id))
      clock.pass(1)
    }
    consume(store, bucket('a'))
    consume(store, bucket('b'))
    consume(store, bucket('d'))
    t.equal(store.size, 3)
    t.match(store.peek(['a', 'b', 'c', 'd'].map((id) => bucket(id))), [{ remaining: 2 }, { remaining: 3 }, { remaining: 2 }, { remaining: 2 }],
      'b opened first; a was known longest but opened anew')
  })

  t.test('stays within its bound under a hundred thousand buckets', async (t) => {
    const clock = testClock()
    const store = memoryRateLimitStore(clock, 50)
    for (let i = 0; i < 100_000; i++) {
      consume(store, bucket(`k${i}/minute`), bucket(`k${i}/hour`, PER_HOUR))
      if (store.size > 50) t.fail(`${store.size} buckets`)
      if (i % 100 === 0) clock.pass(1)
    }
  })

  t.test('a known bucket is charged without making room', async (t) => {
    const store = memoryRateLimitStore(testClock(), 2)
    for (let i = 0; i < 3; i++) for (const id of ['a', 'b']) t.equal(consume(store, bucket(id)).allowed, true)
    t.equal(store.size, 2)
    t.equal(consume(store, bucket('a')).allowed, false)
  })
})

t.test('the limits of keys', async (t) => {
  const A = { publicId: 'key_a', limits: null }
  const B = { publicId: 'key_b', limits: null }

  t.test('are one bucket per key and limit', async (t) => {
    const clock = testClock()
    const limiter = keyLimiter(memoryRateLimitStore(clock), [PER_MINUTE, PER_HOUR])
    await limiter.consume(A)
    clock.pass(500)
    t.match(await limiter.consume(A), { allowed: true, states: [{ remaining: 1 }, { remaining: 3 }] })
    t.same(await limiter.peek([B, A]), [
      [
        { name: 'minute', max: 3, windowSeconds: 60, remaining: 3, resetSeconds: 0 },
        { name: 'hour', max: 5, windowSeconds: 3600, remaining: 5, resetSeconds: 0 }
      ], [
        { name: 'minute', max: 3, windowSeconds: 60, remaining: 1, resetSeconds: 60 },
        { name: 'hour', max: 5, windowSeconds: 3600, remaining: 3, resetSeconds: 3600 }
      ]
    ])
    t.same(await limiter.peek([]), [])
  })

  t.test('are none where the host sets none: the store is not asked', async (t) => {
    const store: RateLimitStore = { consume () { throw new Error('asked') }, peek () { throw new Error('asked') } }
    const limiter = keyLimiter(store, [])
    t.equal(await limiter.consume(A), null)
    t.same(await limiter.peek([A, B]), [[], []])
  })

  t.test('may be counted by a store that answers later', async (t) => {
    const memory = memoryRateLimitStore(testClock())
    const store: RateLimitStore = { consume: async (buckets) => await memory.consume(buckets), peek: async (buckets) => await memory.peek(buckets) }
    const limiter = keyLimiter(store, [PER_MINUTE])
    t.match(await limiter.consume(A), { allowed: true })
    t.match(await limiter.peek([A]), [[{ remaining: 2 }]])
  })

  t.test('are those of the account\'s policy where it has some: none for an empty list, and nobody else\'s change', async (t) => {
    const limiter = keyLimiter(memoryRateLimitStore(testClock()), [PER_MINUTE])
    const planned = { publicId: 'key_a', limits: [{ ...PER_MINUTE, max: 1 }, PER_HOUR] }
    t.match(await limiter.consume(planned), { allowed: true })
    t.match(await limiter.consume(planned), { allowed: false, refusedBy: { limit: { name: 'minute', max: 1 } } })
    t.equal(await limiter.consume({ publicId: 'key_a', limits: [] }), null)
    t.match(await limiter.peek([{ publicId: 'key_a', limits: [] }, planned, B, A]), [
      [], [{ name: 'minute', max: 1, remaining: 0 }, { name: 'hour', max: 5, remaining: 4 }], [{ max: 3, remaining: 3 }],
      // A plan that grew counts on in the window that is open.
      [{ max: 3, remaining: 2 }]
    ])
  })
})
