// A store of the host's own behind the limits of a host: what happens while it fails, and that nobody waits for it or loses a key.
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isSelfServeKeysError, memoryRateLimitStore, memoryStorage, type RateLimitStore, type SelfServeKeysOptions } from '../../lib/index.js'
import { MINUTE, SECOND } from '../../lib/time.js'
import { asking, HOST, KEYS, NO_KEY } from '../helpers/account.js'
import { testClock } from '../helpers/app.js'
import { build, logTo, SIGNED_IN } from '../helpers/host.js'
import { ACCOUNT } from '../helpers/keys.js'
import { limited, lineOf, notingStore, type Limited } from '../helpers/limits.js'

const THREE = { max: 3, timeWindow: '1 minute' }
const MODES = ['local', 'deny', 'allow'] as const
type Way = 'throws' | 'rejects' | 'hangs'
type Call = 'consume' | 'peek' | 'reset'

/** A store that works until a call of it is told how to fail. */
function failing () {
  const clock = testClock()
  const memory = memoryRateLimitStore({ clock })
  const ways = new Map<Call, Way>()
  let asked = 0
  const call = <T>(name: Call, work: () => T): T | Promise<T> => {
    asked++
    const way = ways.get(name)
    if (way === 'throws') throw new Error('password=hunter2')
    if (way === 'rejects') return Promise.reject(new Error('password=hunter2'))
    return way === 'hangs' ? new Promise<T>(() => {}) : work()
  }
  const store: RateLimitStore = {
    consume: (buckets, cost) => call('consume', () => memory.consume(buckets, cost)),
    peek: (buckets) => call('peek', () => memory.peek(buckets)),
    reset: (buckets) => call('reset', () => { memory.reset(buckets) })
  }
  return {
    store,
    clock,
    get asked () { return asked },
    fail (way: Way, ...calls: Call[]) { for (const name of calls.length === 0 ? ['consume', 'peek', 'reset'] as const : calls) ways.set(name, way) },
    recover () { ways.clear() }
  }
}

interface Failing extends Limited {
  away: ReturnType<typeof failing>
  /** What the log says of the store. */
  changes: () => Array<[level: unknown, msg: unknown]>
  /** Details of the 503s. */
  details: unknown[]
}

/** A host on such a store. Where the store hangs, a request waits for it for 5 ms. */
async function onFailingStore (t: Test, onStoreError: typeof MODES[number] | undefined, options: Partial<SelfServeKeysOptions> = {}): Promise<Failing> {
  const away = failing()
  const log = logTo()
  const details: unknown[] = []
  const host = await limited(t, {
    rateLimit: { limits: THREE, store: away.store, ...(onStoreError !== undefined && { onStoreError }) }, timeout: 5, usage: false, accountRoutes: { rateLimit: false }, ...options
  }, {
    server: { logger: log.logger },
    before (app) {
      app.get('/free', { config: { apiKey: { rateLimit: false } } }, async () => ({}))
      app.addHook('onError', async (_request, _reply, error) => { if (isSelfServeKeysError(error, 'STORAGE_UNAVAILABLE')) details.push(error.details) })
    }
  })
  const changes: Failing['changes'] = () => log.lines.filter(({ msg }) => /rate limit store/.test(String(msg))).map(({ level, msg }) => [level, msg])
  return { ...host, away, changes, details }
}

t.test('a store of the host\'s own is asked for everything, may answer late, and is not closed with the host', async (t) => {
  const noting = notingStore()
  const { told, publicId, app } = await limited(t, { rateLimit: { limits: THREE, store: noting.store } })
  for (const left of [2, 1, 0]) t.equal(await told('/x'), `200 "default";r=${left};t=60`)
  t.equal(await told('/x'), '429 "default";r=0;t=60 after 60')
  await asking(app)('DELETE', `${KEYS}/${NO_KEY}`)
  t.strictSame(noting.consumed.map(({ ids }) => ids), [...Array(4).fill([`${publicId}/default`]) as string[][], [`account/${ACCOUNT}/sessions`]])
  t.match((await app.selfServeKeys.keys.get(ACCOUNT, publicId)).rateLimits, [{ remaining: 0, resetSeconds: 60 }])
  t.strictSame(noting.peeked, [[`${publicId}/default`]])
})

for (const way of ['throws', 'rejects', 'hangs'] as const) {
  t.test(`while the store ${way}`, async (t) => {
    t.test('local (the default): this instance counts by itself, exactly max a window, and shows what it counts', async (t) => {
      for (const mode of [undefined, 'local'] as const) {
        const { away, told, clock, app, publicId } = await onFailingStore(t, mode)
        t.equal(await told('/x'), '200 "default";r=2;t=60')
        away.fail(way)
        for (const left of [2, 1, 0]) t.equal(await told('/x'), `200 "default";r=${left};t=60`)
        t.equal(await told('/x'), '429 "default";r=0;t=60 after 60')
        t.match((await asking(app)('GET', `${KEYS}/${publicId}`)).json.apiKey.rateLimits, [{ remaining: 0, resetSeconds: 60 }])
        clock.pass(MINUTE)
        t.equal(await told('/x'), '200 "default";r=2;t=60')
      }
    })

    t.test('deny: a key that has a limit is 503 with Retry-After and the part that failed, and nobody else', async (t) => {
      const { away, told, get, app, details } = await onFailingStore(t, 'deny', { accountRoutes: { rateLimit: { max: 5, timeWindow: '1 hour' } } })
      away.fail(way)
      const refused = await get('/x')
      t.equal(lineOf(refused), '503 after 1')
      t.match(refused.json(), { code: 'STORAGE_UNAVAILABLE', message: 'The rate limit could not be checked. Try again shortly.' })
      t.notMatch(refused.body, 'hunter2')
      t.equal(await told('/free'), '200')
      t.equal(await told('/x', 'no key'), '401')
      const ask = asking(app)
      const leaked = (await ask('GET', KEYS)).json.apiKeys[0].publicId
      t.match(await ask('DELETE', `${KEYS}/${leaked}`), { status: 200, json: { apiKey: { status: 'revoked' } } }, 'in a session a key that leaked is revoked')
      for (let i = 0; i < 4; i++) t.equal((await ask('DELETE', `${KEYS}/${leaked}`)).status, 200)
      t.equal((await ask('DELETE', `${KEYS}/${leaked}`)).status, 429, 'counted by this instance')
      t.strictSame(details, [{ part: 'rateLimit', retryAfter: 1 }])
    })

    t.test('allow: everybody passes, uncounted and without headers', async (t) => {
      const { away, told, app, publicId } = await onFailingStore(t, 'allow')
      away.fail(way)
      for (let i = 0; i < 10; i++) t.equal(await told('/x'), '200')
      t.equal(await told('/x', 'no key'), '401')
      t.match((await app.selfServeKeys.keys.get(ACCOUNT, publicId)).rateLimits, [{ remaining: 3, resetSeconds: 0 }])
    })

    t.test('a key that is issued is given away in every mode, and so is every other change of a key', async (t) => {
      for (const mode of MODES) {
        const { away, app } = await onFailingStore(t, mode)
        const ask = asking(app)
        away.fail(way)
        const issued = await ask('POST', KEYS, { label: 'Server' })
        t.match(issued, { status: 201, json: { plaintextKey: /^sk_live_/, apiKey: { rateLimits: [{ max: 3, remaining: 3 }] } } }, mode)
        const url = `${KEYS}/${issued.json.apiKey.publicId}`
        const rotated = await ask('POST', `${url}/rotate`)
        t.match(rotated, { status: 201, json: { plaintextKey: /^sk_live_/ } }, mode)
        t.equal((await ask('DELETE', `${KEYS}/${rotated.json.apiKey.publicId}`)).status, 200, mode)
        t.equal((await ask('GET', KEYS)).status, 200)
      }
    })

    t.test('resetRateLimits() says that it did not', async (t) => {
      const { away, app, publicId, told } = await onFailingStore(t, 'local')
      for (let i = 0; i < 3; i++) await told('/x')
      away.fail(way)
      await t.rejects(app.selfServeKeys.keys.resetRateLimits(HOST, publicId), { code: 'STORAGE_UNAVAILABLE', statusCode: 503, details: { part: 'rateLimit', retryAfter: 1 } })
      away.recover()
      await t.rejects(app.selfServeKeys.keys.resetRateLimits(HOST, publicId), { code: 'STORAGE_UNAVAILABLE' }, 'it is left alone for a second')
      t.equal((await app.selfServeKeys.keys.get(ACCOUNT, publicId)).publicId, publicId)
    })
  })
}

t.test('a store that fails only to be read takes no plaintext with it, though the change was charged', async (t) => {
  for (const mode of MODES) {
    const { away, app } = await onFailingStore(t, mode, { accountRoutes: { rateLimit: { max: 5, timeWindow: '1 hour' } } })
    away.fail('rejects', 'peek')
    const issued = await asking(app)('POST', KEYS)
    t.match(issued, { status: 201, json: { plaintextKey: /^sk_live_/ }, headers: { ratelimit: '"account";r=4;t=3600' } }, mode)
  }
})

t.test('one line in the log as it begins to fail and one as it answers again; no restart is needed, and it is left alone in between', async (t) => {
  for (const [mode, meanwhile, line] of [
    ['local', 'this instance counts by itself', '200 "default";r=2;t=60'], ['deny', 'requests that have one are refused with 503', '503 after 1'],
    ['allow', 'requests are admitted uncounted', '200']
  ] as const) {
    const { away, told, clock, changes } = await onFailingStore(t, mode)
    const began: [number, string] = [40, `the rate limit store fails: until it answers, ${meanwhile}`]
    t.equal(await told('/x'), '200 "default";r=2;t=60')
    t.strictSame(changes(), [])
    away.fail('rejects')
    t.equal(await told('/x'), line)
    const { asked } = away
    for (let i = 0; i < 50; i++) await told('/x')
    t.equal(away.asked, asked, `${mode}: not for each request`)
    for (let i = 1; i <= 3; i++) {
      clock.pass(SECOND)
      await Promise.all(Array.from({ length: 20 }, async () => await told('/x')))
      t.equal(away.asked, asked + i, `${mode}: one of many tries it`)
    }
    t.strictSame(changes(), [began], mode)
    away.recover()
    await told('/x')
    t.equal(away.asked, asked + 3)
    clock.pass(SECOND)
    t.equal(await told('/x'), '200 "default";r=1;t=60', `${mode}: it counts on from before`)
    t.strictSame(changes(), [began, [30, 'the rate limit store answers again']])
    away.fail('rejects')
    await told('/x')
    t.strictSame(changes(), [began, [30, 'the rate limit store answers again'], began])
  }
})

t.test('200 requests at once all wait no longer than the timeout for a store that hangs, and are counted meanwhile', async (t) => {
  const { away, told, changes } = await onFailingStore(t, 'local')
  away.fail('hangs')
  const lines = await Promise.all(Array.from({ length: 200 }, async () => await told('/x')))
  t.equal(lines.filter((line) => line.startsWith('200')).length, 3)
  t.equal(lines.filter((line) => line === '429 "default";r=0;t=60 after 60').length, 197)
  t.equal(changes().length, 1)
})

t.test('where there is no limit the store is not asked', async (t) => {
  const away = failing()
  away.fail('throws')
  const { told, app } = await limited(t, { rateLimit: { store: away.store, onStoreError: 'deny' }, accountRoutes: { rateLimit: false } })
  t.equal(await told('/x'), '200')
  t.match(await asking(app)('POST', KEYS), { status: 201, json: { apiKey: { rateLimits: [] } } })
  t.equal(away.asked, 0)
})

t.test('a storage that several instances share, with no store named, is warned of once at ready()', async (t) => {
  const warnings = async (server: boolean | undefined, options: Partial<SelfServeKeysOptions> = {}): Promise<number> => {
    const log = logTo()
    const storage = { ...memoryStorage(), ...(server !== undefined && { server }) }
    const { app } = await build(t, { storage, ...options }, { server: { logger: log.logger } })
    await app.ready()
    await app.inject({ url: KEYS, headers: SIGNED_IN })
    await nextTurn()
    return log.lines.filter(({ level, msg }) => level === 40 && /^rate limits are counted by each instance for itself: name a store in rateLimit/.test(String(msg))).length
  }
  t.equal(await warnings(true), 1)
  t.equal(await warnings(true, { rateLimit: THREE }), 1)
  t.equal(await warnings(true, { rateLimit: { limits: THREE, onStoreError: 'deny' } }), 1)
  t.equal(await warnings(true, { rateLimit: { limits: THREE, store: memoryRateLimitStore() } }), 0, 'the host says that it is meant')
  t.equal(await warnings(true, { rateLimit: { store: notingStore().store } }), 0)
  t.equal(await warnings(false, { rateLimit: THREE }), 0)
  t.equal(await warnings(undefined, { rateLimit: THREE }), 0)
})
