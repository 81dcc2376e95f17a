// Time, background work and digests: the leaves everything else stands on.
import { stat } from 'node:fs'
import { mock } from 'node:test'
import t from 'tap'
import { repeat } from '../lib/background.js'
import { sameDigest, sha256, ulid } from '../lib/crypto.js'
import { DAY, HOUR, isPromise, MINUTE, parseDuration, SECOND, systemClock, toIso, toIsoOrNull, within } from '../lib/time.js'
import { deferred } from './helpers/app.js'

t.test('durations', async (t) => {
  t.test('are a positive integer of ms, or a whole number and a unit', async (t) => {
    const table: Array<[string | number, number]> = [
      [1, 1], [90_000, 90_000], [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
      ['1ms', 1], ['250 ms', 250], ['1 millisecond', 1], ['2 milliseconds', 2],
      ['30s', 30 * SECOND], ['30 s', 30 * SECOND], ['1 second', SECOND], ['2 seconds', 2 * SECOND],
      ['5m', 5 * MINUTE], ['1 minute', MINUTE], ['90 minutes', 90 * MINUTE],
      ['1h', HOUR], ['1 hour', HOUR], ['24 hours', DAY],
      ['7d', 7 * DAY], ['1 day', DAY], ['90 days', 90 * DAY], ['400days', 400 * DAY],
      ['1w', 7 * DAY], ['1 week', 7 * DAY], ['2 weeks', 14 * DAY],
      ['5 min', 5 * MINUTE], ['5 mins', 5 * MINUTE], ['10 sec', 10 * SECOND], ['10 secs', 10 * SECOND], ['3 msecs', 3],
      ['1 hr', HOUR], ['2 hrs', 2 * HOUR], ['1 wk', 7 * DAY], ['2 wks', 14 * DAY], ['1y', 365 * DAY], ['1 yr', 365 * DAY], ['2 yrs', 730 * DAY],
      ['1 year', 365 * DAY], ['2 years', 730 * DAY], ['007 days', 7 * DAY]
    ]
    for (const [text, ms] of table) t.equal(parseDuration(text), ms, String(text))
  })

  t.test('are nothing else: no guess is made', async (t) => {
    for (const value of [
      0, -1, 1.5, NaN, Infinity, 2 ** 53, '', '5', '0 days', '-1 day', '1.5 hours', '1e3 ms', ' 1 day', '1 day ', '1  day', '1 Day', '1 month', 'day',
      '1 dayss', '1 ss', '1 hs', '1 ds', '1 mss', '1 hrss', '1 constructor', '1 constructors', '1 tostring', '9999999999 s', '1 day 2 hours', '１ day',
      null, undefined, true, [], [1], {}, () => 1, 1n, new Date()
    ]) t.equal(parseDuration(value), null, String(value))
  })
})

t.test('times are written in RFC 3339, UTC', async (t) => {
  t.equal(toIso(0), '1970-01-01T00:00:00.000Z')
  t.equal(toIsoOrNull(null), null)
  t.equal(toIsoOrNull(Date.UTC(2024, 1, 29, 23, 59, 59, 999)), '2024-02-29T23:59:59.999Z')
})

t.test('the system\'s clock is the wall clock and one that only grows', async (t) => {
  const before = Date.now()
  const now = systemClock.now()
  t.ok(now >= before && now <= Date.now())
  const ticks = Array.from({ length: 1000 }, () => systemClock.monotonic())
  t.same(ticks, [...ticks].sort((a, b) => a - b))
})

t.test('a promise is known by its then', async (t) => {
  for (const value of [Promise.resolve(), (async () => {})(), { then () {} }]) t.equal(isPromise(value), true)
  for (const value of [null, undefined, 0, 'then', {}, { then: 1 }, () => {}]) t.equal(isPromise(value), false)
})

t.test('within', async (t) => {
  t.beforeEach(() => { mock.timers.enable({ apis: ['setTimeout'] }) })
  t.afterEach(() => { mock.timers.reset() })
  const late = (): Error => new Error('late')

  t.test('gives what the work gives, and its rejection', async (t) => {
    t.equal(await within(10, Promise.resolve('done'), late), 'done')
    await t.rejects(within(10, Promise.reject(new Error('failed')), late), { message: 'failed' })
  })

  t.test('rejects at its limit and not before', async (t) => {
    const { promise, resolve } = deferred()
    let outcome = 'pending'
    const work = within(10, promise, late).then(() => { outcome = 'done' }, (error: Error) => { outcome = error.message })
    mock.timers.tick(9)
    await Promise.resolve()
    t.equal(outcome, 'pending')
    mock.timers.tick(1)
    await work
    t.equal(outcome, 'late')
    resolve()
    await promise
    t.equal(outcome, 'late', 'what comes after is ignored')
  })

  t.test('takes an answer that came while the event loop was blocked', async (t) => {
    mock.timers.reset()
    const work = new Promise((resolve) => { stat(import.meta.filename, () => { resolve('done') }) })
    const outcome = within(5, work, late)
    const until = performance.now() + 40
    while (performance.now() < until);
    t.equal(await outcome, 'done')
  })

  t.test('ignores a rejection that comes too late', async (t) => {
    const work = withResolvers()
    const outcome = within(10, work.promise, late)
    mock.timers.tick(10)
    await t.rejects(outcome, { message: 'late' })
    work.reject(new Error('nobody listens'))
  })
})

function withResolvers () {
  let refuse = (_error: Error): void => {}
  const promise = new Promise((_resolve, reject) => { refuse = reject })
  return { promise, reject: refuse }
}

t.test('repeated work', async (t) => {
  t.beforeEach(() => { mock.timers.enable({ apis: ['setTimeout'] }) })
  t.afterEach(() => { mock.timers.reset() })
  /** Lets the promises of a finished run settle. */
  const settled = async (): Promise<void> => { for (let i = 0; i < 10; i++) await Promise.resolve() }

  t.test('runs first after one time, then every other, counted from the end of the run before', async (t) => {
    let runs = 0
    const work = repeat(100, 10, async () => { runs++ }, () => {})
    mock.timers.tick(9)
    t.equal(runs, 0)
    mock.timers.tick(1)
    t.equal(runs, 1)
    await settled()
    mock.timers.tick(99)
    t.equal(runs, 1)
    mock.timers.tick(1)
    t.equal(runs, 2)
    await settled()
    await work.stop()
    mock.timers.tick(1000)
    t.equal(runs, 2)
  })

  t.test('never runs twice at a time', async (t) => {
    const first = deferred()
    let runs = 0
    const work = repeat(10, 10, async () => { runs++; await first.promise }, () => {})
    mock.timers.tick(10)
    mock.timers.tick(1000)
    await settled()
    t.equal(runs, 1)
    first.resolve()
    await settled()
    mock.timers.tick(10)
    t.equal(runs, 2)
    await work.stop()
  })

  t.test('goes on after a failure, which is told', async (t) => {
    const errors: unknown[] = []
    let runs = 0
    const work = repeat(10, 10, async () => { throw new Error(`run ${++runs}`) }, (error) => { errors.push(error) })
    mock.timers.tick(10)
    await settled()
    mock.timers.tick(10)
    await settled()
    t.match(errors, [{ message: 'run 1' }, { message: 'run 2' }])
    await work.stop()
  })

  t.test('stops when the run under way is over, and no other follows', async (t) => {
    const first = deferred()
    let runs = 0
    const work = repeat(10, 10, async () => { runs++; await first.promise }, () => {})
    mock.timers.tick(10)
    let stopped = false
    const stopping = work.stop().then(() => { stopped = true })
    await settled()
    t.equal(stopped, false)
    first.resolve()
    await stopping
    mock.timers.tick(1000)
    await settled()
    t.equal(runs, 1)
  })

  t.test('may be stopped before it ever ran', async (t) => {
    let runs = 0
    await repeat(10, 10, async () => { runs++ }, () => {}).stop()
    mock.timers.tick(1000)
    t.equal(runs, 0)
  })
})

t.test('repeated work keeps no process alive; an answer that is waited for does, until it is there, for a short limit', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const work = repeat(HOUR, HOUR, async () => {}, () => {})
  t.equal(timers(), before)
  // Else a script whose storage hangs would end before it is told so.
  const { promise, resolve } = deferred()
  const late = (): Error => new Error('late')
  const waiting = within(2000, promise, late)
  t.equal(timers(), before + 1)
  const long = within(HOUR, promise, late)
  t.equal(timers(), before + 1, 'a long limit would hold up the end of the process')
  resolve()
  await Promise.all([waiting, long])
  t.equal(timers(), before)
  await work.stop()
})

t.test('digests', async (t) => {
  t.test('are equal only if every character is', async (t) => {
    const digest = sha256('a')
    t.equal(sameDigest(digest, sha256('a')), true)
    for (let place = 0; place < digest.length; place++) {
      const other = digest.slice(0, place) + (digest[place] === '0' ? '1' : '0') + digest.slice(place + 1)
      if (sameDigest(digest, other)) t.fail(`place ${place}`)
    }
    t.equal(sameDigest(digest, digest.slice(1)), false)
    t.equal(sameDigest('', ''), true)
    t.equal(sameDigest(digest, digest.toUpperCase()), false)
  })
})

t.test('ULIDs', async (t) => {
  t.test('begin with the time in Crockford\'s base32', async (t) => {
    t.match(ulid(1469918176385), /^01ARYZ6S41[0-9A-HJKMNP-TV-Z]{16}$/)
    t.match(ulid(0), /^0000000000/)
    t.match(ulid(281474976710655), /^7ZZZZZZZZZ/)
    t.match(ulid(-5), /^0000000000/, 'a clock before the epoch is no reason to fail')
    t.match(ulid(1469918176385.75), /^01ARYZ6S41/)
  })

  t.test('never repeat within a millisecond', async (t) => {
    t.equal(new Set(Array.from({ length: 1000 }, () => ulid(1))).size, 1000)
  })
})
