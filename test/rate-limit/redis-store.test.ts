// The store in Redis, against a server: the contract of all stores, several instances, and every way for the server to let us down.
import { equal, ok } from 'node:assert/strict'
import { createRequire } from 'node:module'
import { mock } from 'node:test'
import fc from 'fast-check'
import { Cluster, type Redis } from 'ioredis'
import t from 'tap'
import { guardedRateLimitStore, type RateLimitCounter } from '../../lib/rate-limit/guarded-store.js'
import type { Bucket, LimitState, RateLimit, RateLimitStore } from '../../lib/rate-limit/rate-limit.js'
import { redisRateLimitStore, type RedisClient } from '../../lib/redis.js'
import { rateLimitStoreContract } from '../../lib/testing.js'
import { HOUR, MINUTE } from '../../lib/time.js'
import { testClock } from '../helpers/app.js'
import { histories, RateLimitModel } from '../helpers/rate-limit-model.js'
import { withRedis, type RedisServer } from '../helpers/redis.js'

const THREE: RateLimit = { name: 'three', max: 3, windowMs: MINUTE }
const FIVE: RateLimit = { name: 'five', max: 5, windowMs: HOUR }
const bucketOf = (limit = THREE, id = 'key_a', owner = 'user_a'): Bucket => ({ id: `${id}/${limit.name}`, owner, limit })
const BOTH = [bucketOf(), bucketOf(FIVE)]

/** What a case has besides the store: a prefix that is its own, and time that passes by bringing the ends of counters nearer. */
interface Case { readonly prefix: string, readonly store: RateLimitStore, pass (ms: number): Promise<void> }

const PASS = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local left = redis.call('PTTL', key) - ARGV[2]
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end`

let cases = 0
function newCase ({ client }: Pick<RedisServer, 'client'>, on: RedisClient = client): Case {
  const prefix = `case-${++cases}:`
  return {
    prefix,
    store: redisRateLimitStore({ client: on, prefix }),
    async pass (ms) { await client.eval(PASS, 0, prefix, ms) }
  }
}

/** A client that notes the commands sent through it. */
function noting (client: Redis): RedisClient & { sent: string[] } {
  const sent: string[] = []
  return {
    sent,
    get status () { return client.status },
    async evalsha (...args) { sent.push('evalsha'); return await client.evalsha(...args) },
    async eval (...args) { sent.push('eval'); return await client.eval(...args) },
    async del (...keys) { sent.push('del'); return await client.del(...keys) }
  }
}

async function left (store: RateLimitStore, ...buckets: Bucket[]): Promise<number[]> {
  return (await store.peek(buckets)).map(({ remaining }) => remaining)
}

/** What each of so many requests got. */
async function times (count: number, store: Pick<RateLimitCounter, 'consume'>, buckets = BOTH.slice(0, 1)): Promise<boolean[]> {
  const admitted = []
  for (let i = 0; i < count; i++) admitted.push((await store.consume(buckets, 1))!.allowed)
  return admitted
}

/** A counter's name, of the case that has but one. */
async function onlyKey ({ client }: RedisServer, { prefix }: Case): Promise<string> {
  const keys = await client.keys(`${prefix}*`)
  equal(keys.length, 1)
  return keys[0]!
}

await withRedis(t, 'the Redis store on a server that answers', async (t, redis) => {
  t.test('passes the contract of every store', async (t) => {
    for (const { name, run } of rateLimitStoreContract(() => newCase(redis))) await t.test(name, run)
  })

  t.test('agrees with a model that keeps every request, over random histories', async (t) => {
    let steps = 0
    /** Some of a minute, the unit of the histories, has passed on the server besides. */
    const same = (states: readonly LimitState[], expected: readonly LimitState[]): void => {
      equal(states.length, expected.length)
      states.forEach(({ limit, remaining, resetMs }, place) => {
        equal(limit, expected[place]!.limit)
        equal(remaining, expected[place]!.remaining)
        ok(resetMs <= expected[place]!.resetMs && resetMs > expected[place]!.resetMs - MINUTE, `${resetMs} for ${expected[place]!.resetMs}`)
      })
    }
    await fc.assert(fc.asyncProperty(histories(MINUTE, 40), async ({ plans, steps: history }) => {
      const { store, pass } = newCase(redis)
      const model = new RateLimitModel()
      for (const { pass: ms, kind, cost, plan } of history) {
        steps++
        const limits = plans[plan]!
        const buckets = limits.map((limit) => bucketOf(limit))
        if (ms > 0) await pass(ms)
        model.now += ms
        if (kind === 'peek') same(await store.peek(buckets), model.peek(limits))
        else if (kind === 'reset') {
          await store.reset(buckets)
          model.reset(limits)
        } else {
          const [got, expected] = [await store.consume(buckets, cost), model.consume(limits, cost)]
          equal(got.allowed, expected.allowed)
          same(got.states, expected.states)
          same(got.refusedBy === null ? [] : [got.refusedBy], expected.refusedBy === null ? [] : [expected.refusedBy])
        }
      }
    }), { numRuns: Number(process.env.MODEL_RUNS ?? 60), seed: Number(process.env.MODEL_SEED ?? 20260115) })
    t.ok(steps > 500, `${steps} steps`)
  })

  t.test('admits exactly 100 of 200 requests at once on three instances', async (t) => {
    const { prefix } = newCase(redis)
    const hundred = [bucketOf({ ...THREE, max: 100 }), bucketOf({ ...FIVE, max: 150 })]
    const stores = await Promise.all([1, 2, 3].map(async () => redisRateLimitStore({ client: await redis.connect(), prefix })))
    const answers = await Promise.all(Array.from({ length: 200 }, async (_none, place) => await stores[place % 3]!.consume(hundred, 1)))
    const admitted = answers.filter(({ allowed }) => allowed)
    t.equal(admitted.length, 100)
    t.same(admitted.map(({ states }) => states[0]!.remaining).toSorted((a, b) => a - b), Array.from({ length: 100 }, (_none, place) => place), 'each was told another rest')
    t.ok(answers.every(({ allowed, refusedBy }) => allowed || (refusedBy!.limit === hundred[0]!.limit && refusedBy!.resetMs > 0 && refusedBy!.resetMs <= MINUTE)))
    for (const store of stores) t.same(await left(store, ...hundred), [0, 50], 'what was refused was charged to no limit')
  })

  t.test('sends one command a call, the script itself only where the server does not know it', async (t) => {
    const client = noting(redis.client)
    const { store } = newCase(redis, client)
    await redis.client.script('FLUSH')
    for (let i = 0; i < 4; i++) await store.consume(BOTH, 1)
    await store.peek(BOTH)
    t.same(client.sent, ['evalsha', 'eval', 'evalsha', 'evalsha', 'evalsha', 'evalsha'])
    await redis.client.script('FLUSH')
    t.same(await times(1, store), [false], 'and goes on counting')
    await store.reset(BOTH)
    t.same(client.sent.slice(6), ['evalsha', 'eval', 'del'])
  })

  t.test('counts anew on a server that was emptied', async (t) => {
    const { store } = newCase(redis)
    t.same(await times(4, store), [true, true, true, false])
    await redis.flush()
    t.same(await store.peek(BOTH), [{ limit: THREE, remaining: 3, resetMs: 0 }, { limit: FIVE, remaining: 5, resetMs: 0 }])
    t.same(await times(4, store), [true, true, true, false])
  })

  t.test('gives an end to a counter that has none, for an admitted request and for a refused one', async (t) => {
    for (const [used, allowed] of [[1, true], [3, false]] as const) {
      const parts = newCase(redis)
      await times(used, parts.store)
      const key = await onlyKey(redis, parts)
      await redis.client.persist(key)
      t.match(await parts.store.peek([bucketOf()]), [{ remaining: 3 - used, resetMs: MINUTE }])
      t.equal(await redis.client.pttl(key), -1, 'a look changes nothing')
      t.same(await times(1, parts.store), [allowed])
      const ttl = await redis.client.pttl(key)
      t.ok(ttl > 0 && ttl <= MINUTE, `${ttl} ms`)
      await parts.pass(MINUTE)
      t.same(await times(4, parts.store), [true, true, true, false])
    }
  })

  t.test('cuts a counter that would last longer than its window, and leaves one that lasts less', async (t) => {
    for (const [ttl, wanted] of [[10 * HOUR, MINUTE], [20_000, 20_000]] as const) {
      const parts = newCase(redis)
      await times(3, parts.store)
      const key = await onlyKey(redis, parts)
      await redis.client.pexpire(key, ttl)
      t.same(await times(1, parts.store), [false])
      const now = await redis.client.pttl(key)
      t.ok(now > wanted - 5000 && now <= wanted, `${now} ms`)
    }
  })

  t.test('takes a value that is no count for none', async (t) => {
    for (const value of ['', 'abc', 'nan', 'inf', '-5', '1e3', '1.5', '0x10', ' 1', '3\0']) {
      const parts = newCase(redis)
      await times(1, parts.store)
      const key = await onlyKey(redis, parts)
      for (const keep of [['KEEPTTL'], []] as const) {
        await redis.client.set(key, value, ...keep as ['KEEPTTL'])
        t.same(await parts.store.peek([bucketOf()]), [{ limit: THREE, remaining: 3, resetMs: 0 }], JSON.stringify(value))
        t.same(await times(4, parts.store), [true, true, true, false], JSON.stringify(value))
      }
    }
  })

  t.test('keeps its counters under the prefix, those of one owner in one slot of a cluster', async (t) => {
    const requireOf = createRequire(createRequire(import.meta.url).resolve('ioredis'))
    const slotOf = requireOf('cluster-key-slot') as (key: string) => number
    const parts = newCase(redis)
    const owners = ['user_a', 'user_b', '', '}', '{}', '{', '{user_a}', 'a}b{c', ':', '\n', '用户']
    const slots = new Map<string, number>()
    for (const owner of owners) {
      const before = new Set(await redis.client.keys(`${parts.prefix}*`))
      for (const id of ['key_a', 'key_b', 'a{b}', '}{']) await parts.store.consume([bucketOf(THREE, id, owner), bucketOf(FIVE, id, owner)], 1)
      const keys = (await redis.client.keys(`${parts.prefix}*`)).filter((key) => !before.has(key))
      t.equal(keys.length, 8, JSON.stringify(owner))
      t.equal(new Set(keys.map(slotOf)).size, 1, JSON.stringify(owner))
      slots.set(owner, slotOf(keys[0]!))
    }
    t.ok(new Set(slots.values()).size > owners.length / 2, 'and the owners are spread')
    t.ok((await redis.client.keys('*')).every((key) => key.startsWith('case-')), 'nothing was written elsewhere')
  })

  t.test('counts by whatever way a client is set to give numbers, and with a prefix of the client\'s own', async (t) => {
    for (const options of [{ stringNumbers: true }, { protocol: 3 }, { keyPrefix: 'case-client:' }, { enableAutoPipelining: true }, { enableOfflineQueue: false }] as const) {
      const { prefix } = newCase(redis)
      const client = await redis.connect(options)
      const store = redisRateLimitStore({ client, prefix })
      const { states } = await store.consume([bucketOf(FIVE)], 2)
      t.match(states, [{ limit: FIVE, remaining: 3 }], JSON.stringify(options))
      t.type(states[0]!.resetMs, 'number')
      t.same(await times(4, store, [bucketOf(FIVE)]), [true, true, true, false], JSON.stringify(options))
      await store.reset(BOTH)
      t.same(await left(store, ...BOTH), [3, 5], JSON.stringify(options))
    }
  })

  t.test('with another prefix counts apart; without one the name of the package stands before', async (t) => {
    await redis.flush()
    const [one, other] = [newCase(redis), newCase(redis)]
    await times(3, one.store)
    t.same([await left(one.store, ...BOTH), await left(other.store, ...BOTH)], [[0, 5], [3, 5]])
    await times(1, redisRateLimitStore({ client: redis.client }))
    t.same((await redis.client.keys('*')).filter((key) => !key.startsWith('case-')), ['self-serve-keys:{a:user_a}:key_a/three'])
  })
})

await withRedis(t, 'the Redis store on a server that lets it down', async (t, redis) => {
  /** A store behind the guard, and what that logs. */
  const guarded = (on: RedisClient = redis.client): { counter: RateLimitCounter, lines: string[], clock: ReturnType<typeof testClock>, parts: Case } => {
    const clock = testClock()
    const lines: string[] = []
    const log = (_details: object, message: string): void => { lines.push(message.replace(/:.*/, '')) }
    const parts = newCase(redis, on)
    return { counter: guardedRateLimitStore({ store: parts.store, onStoreError: 'local', timeout: 2000, clock, log: { info: log, warn: log } }), lines, clock, parts }
  }
  const [FAILS, ANSWERS] = ['the rate limit store fails', 'the rate limit store answers again']

  t.test('rejects what a server takes no writes for, and can be looked at all the same', async (t) => {
    const { counter, lines, clock, parts: { store } } = guarded()
    t.same(await times(2, counter), [true, true])
    await redis.setReadOnly(true)
    await t.rejects(async () => await store.consume(BOTH, 1), /READONLY/)
    await t.rejects(async () => { await store.reset(BOTH) }, /READONLY/)
    t.same(await left(store, ...BOTH), [1, 5])
    t.same(await times(4, counter), [true, true, true, false], 'this instance counts')
    clock.pass(1000)
    t.match(await counter.peek(BOTH), [{ remaining: 1 }, { remaining: 5 }])
    t.same(lines, [FAILS], 'which does not mean that it counts again')
    await redis.setReadOnly(false)
    t.same(await times(2, counter), [true, false], 'where it stood')
    t.same(lines, [FAILS, ANSWERS])
  })

  t.test('ends within the guard\'s patience where the server stands still', async (t) => {
    const { counter, lines, clock, parts } = guarded()
    await times(1, counter)
    redis.pause()
    t.teardown(() => { redis.resume() })
    mock.timers.enable({ apis: ['setTimeout'] })
    const waiting = Array.from({ length: 20 }, async () => await counter.consume(BOTH, 1))
    mock.timers.tick(499)
    t.equal(await Promise.race([waiting[0], new Promise((resolve) => { setImmediate(resolve, 'waits') })]), 'waits')
    mock.timers.tick(1)
    const answers = await Promise.all(waiting)
    mock.timers.reset()
    t.equal(answers.filter((consumed) => consumed!.allowed).length, 3, 'by this instance')
    t.same(lines, [FAILS])
    redis.resume()
    await redis.client.ping()
    clock.pass(1000)
    await parts.pass(HOUR)
    t.same(await times(4, counter), [true, true, true, false])
    t.same(lines, [FAILS, ANSWERS])
  })

  t.test('needs no restart where the server goes away and comes back', async (t) => {
    const client = await redis.connect()
    const { counter, lines, clock, parts: { store } } = guarded(client)
    for (let round = 1; round <= 2; round++) {
      t.same(await times(4, counter), [true, true, true, false])
      const gone = new Promise((resolve) => { client.once('close', resolve) })
      await redis.stop()
      await gone
      await t.rejects(async () => await store.consume(BOTH, 1), /connection/i)
      t.same(await times(4, counter), [true, true, true, false], 'this instance counts')
      const back = new Promise((resolve) => { client.once('ready', resolve) })
      await redis.restart()
      await back
      clock.pass(MINUTE)
      t.same(await times(4, counter), [true, true, true, false])
      t.same(await left(store, ...BOTH), [0, 5], 'by the server again')
      t.equal(lines.length, 2 * round)
      clock.pass(MINUTE)
      await store.reset(BOTH)
    }
    t.same(lines, [FAILS, ANSWERS, FAILS, ANSWERS])
  })

  t.test('refuses at once, and sends nothing, in every state in which ioredis would keep a command for later', async (t) => {
    const answer = [0, 0]
    for (const [status, asked] of Object.entries({ wait: true, connecting: true, connect: true, ready: true, close: false, reconnecting: false, disconnecting: false, end: false })) {
      const sent: string[] = []
      const client: RedisClient = {
        status,
        async evalsha () { sent.push('evalsha'); return answer },
        async eval () { sent.push('eval'); return answer },
        async del () { sent.push('del'); return 0 }
      }
      const store = redisRateLimitStore({ client })
      const calls = [store.consume([bucketOf()], 1), store.peek([bucketOf()]), store.reset([bucketOf()])]
      const outcomes = await Promise.allSettled(calls)
      t.same(outcomes.map(({ status }) => status), Array(3).fill(asked ? 'fulfilled' : 'rejected'), status)
      t.same(sent, asked ? ['evalsha', 'evalsha', 'del'] : [], status)
      for (const outcome of outcomes) if (outcome.status === 'rejected') t.match(outcome.reason, { message: `The connection to Redis is in the state "${status}".` })
    }
  })

  t.test('refuses at once through a client that was closed, or finds nobody to connect to', async (t) => {
    const closed = await redis.connect()
    closed.disconnect()
    await t.rejects(async () => await newCase(redis, closed).store.consume(BOTH, 1), /connection/i)
    // Port 1 is nobody's; the next attempt is an hour away.
    const nowhere = redis.newClient({ port: 1, retryStrategy: () => HOUR })
    const refused = new Promise((resolve) => { nowhere.once('reconnecting', resolve) })
    nowhere.connect().catch(() => {})
    await refused
    await t.rejects(async () => await newCase(redis, nowhere).store.consume(BOTH, 1), { message: 'The connection to Redis is in the state "reconnecting".' })
  })

  t.test('connects a lazy client with the first request', async (t) => {
    const lazy = redis.newClient()
    t.equal(lazy.status, 'wait')
    t.same(await times(4, newCase(redis, lazy).store), [true, true, true, false])
  })

  t.test('a key of another type that stands in a counter\'s place locks nobody', async (t) => {
    const parts = newCase(redis)
    await times(1, parts.store)
    const key = await onlyKey(redis, parts)
    await redis.client.del(key)
    await redis.client.lpush(key, 'a list')
    t.match(await parts.store.peek(BOTH), [{ resetMs: 0 }, { resetMs: 0 }])
    t.match(await parts.store.consume(BOTH, 1), { allowed: true }, 'what is no counter is none, and makes room for one')
    t.equal(await redis.client.type(key), 'string')
  })
})

await withRedis(t, 'the Redis store on a cluster', async (t, { client, port }) => {
  await client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
  const cluster = new Cluster([{ host: '127.0.0.1', port }], { clusterRetryStrategy: () => 50 })
  cluster.on('error', () => {})
  t.teardown(() => { cluster.disconnect() })
  // A server takes two seconds until it trusts a cluster of its own.
  await new Promise((resolve) => { cluster.once('ready', resolve) })

  const { store } = newCase({ client }, cluster)
  t.same(await times(4, store, BOTH), [true, true, true, false])
  const other = [bucketOf(THREE, 'key_b', 'user_b'), bucketOf(FIVE, 'key_b', 'user_b')]
  t.same(await times(1, store, other), [true])
  t.same([await left(store, ...BOTH), await left(store, ...other)], [[0, 2], [2, 4]])
  await store.reset(BOTH)
  t.same([await left(store, ...BOTH), await left(store, ...other)], [[3, 5], [2, 4]])
}, ['--cluster-enabled', 'yes', '--cluster-port', '0', '--cluster-announce-ip', '127.0.0.1'])
