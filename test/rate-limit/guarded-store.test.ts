// A store that fails, hangs and comes back: what requests get meanwhile, what the log says, and how seldom it is asked.
import { mock } from 'node:test'
import t from 'tap'
import { RETRY_AFTER } from '../../lib/errors.js'
import { guardedRateLimitStore, type OnStoreError, type RateLimitCounter } from '../../lib/rate-limit/guarded-store.js'
import { memoryRateLimitStore } from '../../lib/rate-limit/memory-store.js'
import type { Bucket, RateLimit, RateLimitStore } from '../../lib/rate-limit/rate-limit.js'
import { HOUR, MINUTE } from '../../lib/time.js'
import { testClock } from '../helpers/app.js'

const THREE: RateLimit = { name: 'three', max: 3, windowMs: MINUTE }
const bucketOf = (id = 'a'): Bucket => ({ id, owner: 'user_a', limit: THREE })
const A = [bucketOf()]

const AWAY = { code: 'STORAGE_UNAVAILABLE', statusCode: 503, details: { part: 'rateLimit', retryAfter: RETRY_AFTER } }
const FAILS = /^the rate limit store fails: until it answers, /
const ANSWERS = 'the rate limit store answers again'
const MODES: OnStoreError[] = ['local', 'deny', 'allow']

/** How the store takes a call: it answers, or fails in one of the ways there are. `readOnly`: it can only be looked at. */
type Manner = 'answers' | 'throws' | 'rejects' | 'hangs' | 'readOnly'

interface Watched {
  counter: RateLimitCounter
  /** The store itself, which the guard cannot keep us from. */
  store: RateLimitStore
  /** Names of the calls that reached it. */
  calls: string[]
  manner: Manner
  lines: Array<{ level: string, message: string, err?: Error }>
  /** The clock and the timers go on. */
  pass (ms: number): void
  /** Ends the calls that hang, the first first: with its answer, or a failure. */
  release (how: 'answer' | 'failure', count?: number): void
}

const settled = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve() }

function watched (onStoreError: OnStoreError, timeout = 2000): Watched {
  const clock = testClock()
  const memory = memoryRateLimitStore({ clock })
  const hanging: Array<(how: 'answer' | 'failure') => void> = []
  const taking = <T>(name: string, answer: () => T): T | Promise<T> => {
    self.calls.push(name)
    switch (self.manner) {
      case 'answers': return answer()
      case 'throws': throw new Error('thrown')
      case 'rejects': return Promise.reject(new Error('rejected'))
      case 'hangs': return new Promise((resolve, reject) => {
        hanging.push((how) => { if (how === 'answer') resolve(answer()); else reject(new Error('failed late')) })
      })
      case 'readOnly': {
        if (name !== 'consume') return name === 'peek' ? answer() : Promise.reject(new Error('read-only'))
        // As a script does: nothing is written for a refused request.
        const before = memory.peek(A)
        return before[0]!.remaining === 0 ? answer() : Promise.reject(new Error('read-only'))
      }
    }
  }
  const note = (level: string) => (details: object, message: string) => { self.lines.push({ level, message, ...details }) }
  const self: Watched = {
    counter: guardedRateLimitStore({
      store: {
        consume: (buckets, cost) => taking('consume', () => memory.consume(buckets, cost)),
        peek: (buckets) => taking('peek', () => memory.peek(buckets)),
        reset: (buckets) => taking('reset', () => { memory.reset(buckets) })
      },
      onStoreError,
      timeout,
      clock,
      log: { info: note('info'), warn: note('warn') }
    }),
    store: memory,
    calls: [],
    manner: 'answers',
    lines: [],
    pass (ms) {
      clock.pass(ms)
      mock.timers.tick(ms)
    },
    release (how, count = hanging.length) { hanging.splice(0, count).forEach((end) => { end(how) }) }
  }
  return self
}

/** What a request got: admitted or refused by the limit, `uncounted`, or 503. */
async function ask (counter: RateLimitCounter, buckets = A): Promise<'admitted' | 'refused' | 'uncounted' | '503'> {
  try {
    const consumed = await counter.consume(buckets, 1)
    return consumed === null ? 'uncounted' : consumed.allowed ? 'admitted' : 'refused'
  } catch (error) {
    if ((error as { code?: string }).code !== AWAY.code) throw error
    return '503'
  }
}

async function times (count: number, counter: RateLimitCounter, buckets = A): Promise<string[]> {
  const answers = []
  for (let i = 0; i < count; i++) answers.push(await ask(counter, buckets))
  return answers
}

/** The state that the guard is in, seen from outside: it asks the store, or leaves it alone. */
async function isAsked (parts: Watched): Promise<boolean> {
  const before = parts.calls.length
  await Promise.allSettled([parts.counter.consume([bucketOf('probe of the test')], 1)])
  return parts.calls.length > before
}

t.beforeEach(() => {
  mock.timers.reset() // those of the test around this one
  mock.timers.enable({ apis: ['setTimeout'] })
})
t.afterEach(() => { mock.timers.reset() })

t.test('a store that answers is handed on as it is, and nothing is logged', async (t) => {
  for (const mode of MODES) {
    const parts = watched(mode)
    t.same(await times(4, parts.counter), ['admitted', 'admitted', 'admitted', 'refused'], mode)
    t.same(await parts.counter.peek([...A, bucketOf('b')]), await parts.store.peek([...A, bucketOf('b')]), mode)
    await parts.counter.reset(A)
    t.same(await times(1, parts.counter), ['admitted'], mode)
    t.same([parts.calls.length, parts.lines], [7, []], mode)
  }
})

t.test('while the store fails', async (t) => {
  const expected: Record<OnStoreError, { answers: string[], line: RegExp }> = {
    local: { answers: ['admitted', 'admitted', 'admitted', 'refused', 'refused'], line: /this instance counts by itself$/ },
    deny: { answers: Array(5).fill('503'), line: /refused with 503$/ },
    allow: { answers: Array(5).fill('uncounted'), line: /admitted uncounted$/ }
  }
  for (const mode of MODES) {
    for (const manner of ['throws', 'rejects'] as const) {
      await t.test(`and ${manner}, onStoreError "${mode}" holds from the first request on, with one line in the log`, async (t) => {
        const parts = watched(mode)
        parts.manner = manner
        t.same(await times(5, parts.counter), expected[mode].answers)
        t.same(parts.calls, ['consume'], 'the store is asked once, and then left alone')
        t.equal(parts.lines.length, 1)
        t.equal(parts.lines[0]!.level, 'warn')
        t.match(parts.lines[0]!.message, FAILS)
        t.match(parts.lines[0]!.message, expected[mode].line)
        t.equal(parts.lines[0]!.err!.message, manner === 'throws' ? 'thrown' : 'rejected')
      })
    }
  }

  t.test('the refusal says which part is away, and when to try again', async (t) => {
    const parts = watched('deny')
    parts.manner = 'rejects'
    for (let i = 0; i < 2; i++) await t.rejects(async () => await parts.counter.consume(A, 1), AWAY)
  })

  t.test('a key that the store knows to be used up has its full limit in this instance, and its own window', async (t) => {
    const parts = watched('local')
    await parts.counter.consume(A, 3)
    parts.manner = 'rejects'
    t.match(await parts.counter.consume(A, 2), { allowed: true, states: [{ remaining: 1 }] })
    t.match(await parts.counter.consume(A, 2), { allowed: false, refusedBy: { limit: THREE } })
    parts.pass(MINUTE)
    t.match(await parts.counter.consume(A, 3), { allowed: true })
  })

  t.test('a look shows what this instance counted, and never fails', async (t) => {
    for (const mode of MODES) {
      const parts = watched(mode)
      parts.manner = 'throws'
      await times(1, parts.counter)
      const remaining = mode === 'local' ? 2 : 3
      t.match(await parts.counter.peek([bucketOf('b'), ...A]), [{ remaining: 3 }, { limit: THREE, remaining }], mode)
      const other = watched(mode)
      other.manner = 'rejects'
      t.match(await other.counter.peek(A), [{ remaining: 3 }], mode)
      t.same([other.lines.length, other.calls], [1, ['peek']], mode)
    }
  })

  t.test('a reset is refused with 503, but holds for what this instance counts', async (t) => {
    for (const mode of MODES) {
      const parts = watched(mode)
      parts.manner = 'rejects'
      await times(3, parts.counter)
      await t.rejects(async () => { await parts.counter.reset(A) }, AWAY, mode)
      t.equal(await ask(parts.counter), { local: 'admitted', deny: '503', allow: 'uncounted' }[mode])
      t.same([parts.calls, parts.lines.length], [['consume'], 1], mode)
    }
  })
})

t.test('a store that hangs is waited for half a second, or as long as `timeout` if that is less', async (t) => {
  for (const [timeout, patience] of [[2000, 500], [500, 500], [499, 499], [50, 50]] as const) {
    for (const call of ['consume', 'peek', 'reset'] as const) {
      const parts = watched('local', timeout)
      parts.manner = 'hangs'
      let ended = false
      const work = Promise.allSettled([call === 'consume' ? parts.counter.consume(A, 1) : parts.counter[call](A)]).then(() => { ended = true })
      await settled()
      parts.pass(patience - 1)
      await settled()
      t.equal(ended, false, `${call} under ${timeout}`)
      parts.pass(1)
      await work
      t.match(parts.lines, [{ level: 'warn', err: { message: `no answer in ${patience} ms` } }], `${call} under ${timeout}`)
      t.equal(await ask(parts.counter), 'admitted', 'the next does not wait at all')
      t.equal(parts.calls.length, 1)
    }
  }
})

t.test('an answer that comes after its time changes nothing', async (t) => {
  for (const how of ['answer', 'failure'] as const) {
    const parts = watched('deny')
    parts.manner = 'hangs'
    const late = ask(parts.counter)
    parts.pass(500)
    t.equal(await late, '503')
    parts.release(how)
    await settled()
    t.equal(await ask(parts.counter), '503')
    t.equal(parts.lines.length, 1, how)
  }
})

t.test('a store that failed is left alone for a second, and then tried by one request', async (t) => {
  const parts = watched('local')
  parts.manner = 'throws'
  await times(1, parts.counter)
  parts.pass(999)
  t.equal(await isAsked(parts), false)
  parts.pass(1)
  parts.manner = 'hangs'
  const probe = ask(parts.counter)
  const others = await Promise.all(Array.from({ length: 50 }, async (_none, place) => await ask(parts.counter, [bucketOf(`b${place}`)])))
  t.same([parts.calls.length, new Set(others)], [2, new Set(['admitted'])], 'while one tries it, the others do not wait')
  parts.pass(500)
  t.equal(await probe, 'admitted', 'by this instance')
  parts.pass(999)
  t.equal(await isAsked(parts), false, 'the pause begins anew')
  parts.pass(1)
  parts.manner = 'answers'
  t.equal(await isAsked(parts), true)
  t.same(parts.lines.map(({ level }) => level), ['warn', 'info'])
})

t.test('the pause goes by the monotonic clock', async (t) => {
  const clock = testClock()
  let calls = 0
  const lines: string[] = []
  const log = (_details: object, message: string): void => { lines.push(message) }
  const counter = guardedRateLimitStore({
    store: { ...memoryRateLimitStore({ clock }), consume () { calls++; throw new Error('away') } }, onStoreError: 'allow', timeout: 2000, clock, log: { info: log, warn: log }
  })
  await times(1, counter)
  for (const jump of [HOUR, -2 * HOUR, Date.UTC(2038, 0, 20)]) {
    clock.wall += jump
    t.equal(await ask(counter), 'uncounted')
  }
  t.equal(calls, 1)
  clock.mono += 1000
  await times(2, counter)
  t.equal(calls, 2)
  t.equal(lines.length, 1)
})

t.test('a store that answers again is used at once, as often as it comes and goes, with one line each time', async (t) => {
  for (const mode of MODES) {
    const parts = watched(mode)
    for (let round = 0; round < 3; round++) {
      parts.manner = 'rejects'
      await times(5, parts.counter)
      parts.pass(1000)
      await times(5, parts.counter)
      parts.manner = 'answers'
      await parts.store.reset(A)
      parts.pass(1000)
      t.same(await times(5, parts.counter), ['admitted', 'admitted', 'admitted', 'refused', 'refused'], `${mode}: the store counts, not what was counted meanwhile`)
      t.same(await parts.counter.peek(A), await parts.store.peek(A))
      t.equal(parts.lines.length, 2 * round + 2)
      t.match(parts.lines.at(-1), { level: 'info', message: ANSWERS })
    }
    t.same(parts.lines.map(({ level }) => level), ['warn', 'info', 'warn', 'info', 'warn', 'info'], mode)
  }
})

t.test('many requests at once that fail are one line', async (t) => {
  for (const manner of ['throws', 'rejects', 'hangs'] as const) {
    const parts = watched('allow')
    parts.manner = manner
    const answers = Promise.all(Array.from({ length: 200 }, async () => await ask(parts.counter)))
    parts.pass(500)
    t.same(new Set(await answers), new Set(['uncounted']), manner)
    t.equal(parts.lines.length, 1, manner)
  }
})

t.test('what was asked before the failure does not end it, and is not told twice', async (t) => {
  const parts = watched('deny')
  parts.manner = 'hangs'
  const before = [ask(parts.counter), ask(parts.counter, [bucketOf('b')]), ask(parts.counter, [bucketOf('c')])]
  await settled()
  parts.pass(100)
  parts.manner = 'throws'
  t.equal(await ask(parts.counter), '503')
  parts.release('answer', 1)
  t.equal(await before[0], 'admitted', 'it was counted')
  parts.pass(100)
  parts.release('failure', 1)
  t.equal(await before[1], '503')
  t.same(parts.lines.map(({ level }) => level), ['warn'])
  parts.manner = 'answers'
  t.equal(await isAsked(parts), false, 'the store is still left alone')
  parts.pass(300)
  t.equal(await before[2], '503')
  t.same(parts.lines.map(({ level }) => level), ['warn'])
  parts.pass(1000)
  t.equal(await ask(parts.counter), 'admitted')
  t.same(parts.lines.map(({ level }) => level), ['warn', 'info'])
})

t.test('a store that can only be read', async (t) => {
  t.test('is away until it counts again: a look does not end that', async (t) => {
    const parts = watched('local')
    parts.manner = 'readOnly'
    t.equal(await ask(parts.counter), 'admitted')
    for (let i = 0; i < 3; i++) {
      parts.pass(1000)
      t.match(await parts.counter.peek(A), [{ remaining: 3 }], 'of the store, which may be looked at')
      t.equal(await ask(parts.counter, [bucketOf(`b${i}`)]), 'admitted')
      t.match(await parts.counter.peek(A), [{ remaining: 2 }], 'of this instance again')
    }
    t.same(parts.lines.map(({ level }) => level), ['warn'])
    parts.manner = 'answers'
    parts.pass(1000)
    await parts.counter.peek(A)
    t.equal(parts.lines.length, 1)
    await ask(parts.counter)
    t.same(parts.lines.map(({ level }) => level), ['warn', 'info'])
  })

  t.test('and neither does a refusal, for which nothing is written', async (t) => {
    const parts = watched('local')
    await times(3, parts.counter)
    parts.manner = 'readOnly'
    t.equal(await ask(parts.counter), 'refused', 'nothing failed yet')
    parts.manner = 'rejects'
    t.equal(await ask(parts.counter), 'admitted')
    parts.manner = 'readOnly'
    for (let i = 0; i < 3; i++) {
      parts.pass(1000)
      t.equal(await ask(parts.counter), 'refused', 'by the store')
    }
    t.same(parts.lines.map(({ level }) => level), ['warn'])
    parts.manner = 'answers'
    parts.pass(MINUTE)
    t.equal(await ask(parts.counter), 'admitted')
    t.same(parts.lines.map(({ level }) => level), ['warn', 'info'])
  })
})

t.test('a reset that the store took ends the failure: it was written', async (t) => {
  const parts = watched('deny')
  await times(3, parts.counter)
  parts.manner = 'rejects'
  await times(1, parts.counter)
  parts.manner = 'answers'
  await t.rejects(async () => { await parts.counter.reset(A) }, AWAY, 'not while it is left alone')
  parts.pass(1000)
  await parts.counter.reset(A)
  t.same(parts.lines.map(({ level }) => level), ['warn', 'info'])
  t.same(await times(4, parts.counter), ['admitted', 'admitted', 'admitted', 'refused'])
})

t.test('two guards know nothing of each other', async (t) => {
  const [one, other] = [watched('deny'), watched('deny')]
  one.manner = 'throws'
  t.equal(await ask(one.counter), '503')
  t.equal(await ask(other.counter), 'admitted')
  t.same(other.lines, [])
})

t.test('while a store that failed answers with refusals alone, everyone may ask it', async (t) => {
  const clock = testClock()
  const memory = memoryRateLimitStore({ clock })
  let away = true
  let asked = 0
  const store: RateLimitStore = {
    ...memory, consume (buckets, cost) { asked++; if (away) throw new Error('away'); return memory.consume(buckets, cost) }
  }
  const lines: string[] = []
  const log = (_details: object, message: string): void => { lines.push(message) }
  const counter = guardedRateLimitStore({ store, onStoreError: 'deny', timeout: 2000, clock, log: { info: log, warn: log } })
  memory.consume(A, 3)
  await t.rejects(async () => await counter.consume(A, 1), AWAY)
  away = false
  clock.pass(1000)
  // A key that is used up has the one probe there is. Those beside it are refused; those behind it ask for themselves.
  const probe = counter.consume(A, 1)
  await t.rejects(async () => await counter.consume([bucketOf('b')], 1), AWAY)
  t.match(await probe, { allowed: false })
  const both = [counter.consume(A, 1), counter.consume([bucketOf('b')], 1)]
  t.match(await Promise.all(both), [{ allowed: false }, { allowed: true }])
  t.strictSame([asked, lines.length, lines[1]], [4, 2, ANSWERS])
})

t.test('an answer that is none is a failure, and no error of ours', async (t) => {
  const good = memoryRateLimitStore({ clock: testClock() })
  const answers = [undefined, null, {}, { allowed: 'yes', states: [], refusedBy: null }, { allowed: true, states: [], refusedBy: null }, { allowed: false, states: good.peek(A), refusedBy: null }, { allowed: true }, { allowed: true, states: [{ remaining: 5 }], refusedBy: null },
    { allowed: false, states: good.peek(A), refusedBy: {} }]
  for (const answer of answers) {
    const lines: string[] = []
    const log = (_details: object, message: string): void => { lines.push(message) }
    const store = { consume: () => answer, peek: () => answer, reset () {} } as unknown as RateLimitStore
    const counter = guardedRateLimitStore({ store, onStoreError: 'local', timeout: 2000, clock: testClock(), log: { info: log, warn: log } })
    t.match(await counter.consume(A, 1), { allowed: true, states: [{ remaining: 2 }] }, JSON.stringify(answer))
    t.match(await counter.peek(A), [{ remaining: 2 }])
    t.match(lines, [FAILS])
    t.equal(lines.length, 1)
  }
})
