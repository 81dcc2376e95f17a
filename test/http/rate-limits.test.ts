// Rate limits over HTTP: what the answers say of them, what a plan changes, and that exactly `max` requests pass.
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { isSelfServeKeysError, memoryStorage, type AccountPolicy, type RateLimitOption, type SelfServeKeysOptions, type Storage } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { HOUR, MINUTE, SECOND } from '../../lib/time.js'
import { asking, HOST, KEYS, makeKey } from '../helpers/account.js'
import { watched } from '../helpers/app.js'
import { portOf, SIGNED_IN, storeKey } from '../helpers/host.js'
import { ACCOUNT, OTHER_ACCOUNT } from '../helpers/keys.js'
import { limited, lineOf, notingStore } from '../helpers/limits.js'

const PER_MINUTE: RateLimitOption = { max: 3, timeWindow: '1 minute' }
const OURS = /^(x-)?ratelimit|^retry-after$/
const shown = (headers: Record<string, unknown>): Record<string, unknown> => Object.fromEntries(Object.entries(headers).filter(([name]) => OURS.test(name)))

t.test('what the headers say', async (t) => {
  t.test('lists of structured fields, one item a limit under its quoted name, in the order in which the host named them', async (t) => {
    const { get, clock } = await limited(t, {
      rateLimit: [{ name: 'per_day-2', max: 5, timeWindow: '1 day' }, { max: 2, timeWindow: '1 minute' }, { name: 'a', max: 4, timeWindow: '1 hour' }]
    }, { before: (app) => app.get('/broken', { config: { apiKey: true } }, async () => { throw new Error('broken') }) })
    const policy = '"per_day-2";q=5;w=86400, "default";q=2;w=60, "a";q=4;w=3600'
    t.strictSame(shown((await get('/x')).headers), { 'ratelimit-policy': policy, ratelimit: '"per_day-2";r=4;t=86400, "default";r=1;t=60, "a";r=3;t=3600' })
    clock.pass(10 * SECOND)
    const broken = await get('/broken')
    t.equal(broken.statusCode, 500)
    t.strictSame(shown(broken.headers), { 'ratelimit-policy': policy, ratelimit: '"per_day-2";r=3;t=86390, "default";r=0;t=50, "a";r=2;t=3590' })
    t.strictSame(shown((await get('/x')).headers), {
      'ratelimit-policy': policy, ratelimit: '"per_day-2";r=3;t=86390, "default";r=0;t=50, "a";r=2;t=3590', 'retry-after': '50'
    })
    for (const value of [policy, String(broken.headers.ratelimit)]) t.match(value, /^"[a-z0-9_-]+"(;[a-z]=\d+)+(, "[a-z0-9_-]+"(;[a-z]=\d+)+)*$/)
  })

  t.test('none of them where there is no limit, nor where no key was admitted or refused by one', async (t) => {
    const options: Array<[Partial<SelfServeKeysOptions>, headers: number]> = [
      [{}, 0], [{ rateLimit: false }, 0], [{ rateLimit: [] }, 0], [{ rateLimit: { legacyHeaders: true } }, 0], [{ rateLimit: PER_MINUTE }, 2],
      [{ rateLimit: { limits: PER_MINUTE, legacyHeaders: true } }, 5]
    ]
    for (const [given, headers] of options) {
      const { get, app } = await limited(t, given, {
        before (app) {
          app.get('/public', async () => ({}))
          app.get('/scope', { config: { apiKey: { scopes: ['transactions:write'] } } }, async () => ({}))
          app.get('/either', { config: { apiKey: { session: true, optional: true } } }, async () => ({}))
        }
      })
      const answers = [
        await get('/public'), await get('/scope'), await get('/nowhere'), await get('/x', 'no key'), await app.inject('/x'), await app.inject('/either'),
        await app.inject({ url: '/either', headers: SIGNED_IN })
      ]
      t.strictSame(answers.map(({ statusCode }) => statusCode), [200, 403, 404, 401, 401, 200, 200])
      for (const { headers } of answers) t.strictSame(shown(headers), {})
      t.equal(Object.keys(shown((await get('/x')).headers)).length, headers, JSON.stringify(given))
    }
  })

  t.test('whole seconds, rounded up: whoever waits as long is admitted', async (t) => {
    const { told, get, clock } = await limited(t, { rateLimit: { max: 1, timeWindow: 1500 } })
    const first = await get('/x')
    t.strictSame(shown(first.headers), { 'ratelimit-policy': '"default";q=1;w=2', ratelimit: '"default";r=0;t=2' })
    clock.pass(499)
    t.equal(await told('/x'), '429 "default";r=0;t=2 after 2')
    clock.pass(1)
    t.equal(await told('/x'), '429 "default";r=0;t=1 after 1')
    clock.pass(999)
    t.equal(await told('/x'), '429 "default";r=0;t=1 after 1')
    clock.pass(1)
    t.equal(await told('/x'), '200 "default";r=0;t=2')
  })

  t.test('with legacyHeaders, X-RateLimit-* besides: of the limit that has least left, and of a refusal the one that opens last', async (t) => {
    const limits = [{ name: 'daily', max: 4, timeWindow: '1 day' }, { name: 'burst', max: 2, timeWindow: '1 second' }] as const
    const { get, clock } = await limited(t, { rateLimit: { limits: [...limits], legacyHeaders: true } })
    const legacy = async (): Promise<unknown[]> => {
      const { statusCode, headers } = await get('/x')
      return [statusCode, headers['x-ratelimit-limit'], headers['x-ratelimit-remaining'], headers['x-ratelimit-reset'], headers['retry-after'], headers.ratelimit]
    }
    t.strictSame(await legacy(), [200, '2', '1', '1', undefined, '"daily";r=3;t=86400, "burst";r=1;t=1'])
    t.strictSame(await legacy(), [200, '2', '0', '1', undefined, '"daily";r=2;t=86400, "burst";r=0;t=1'])
    t.strictSame(await legacy(), [429, '2', '0', '1', '1', '"daily";r=2;t=86400, "burst";r=0;t=1'])
    clock.pass(SECOND)
    t.strictSame(await legacy(), [200, '4', '1', '86399', undefined, '"daily";r=1;t=86399, "burst";r=1;t=1'])
    t.strictSame(await legacy(), [200, '4', '0', '86399', undefined, '"daily";r=0;t=86399, "burst";r=0;t=1'])
    t.strictSame(await legacy(), [429, '4', '0', '86399', '86399', '"daily";r=0;t=86399, "burst";r=0;t=1'])
  })
})

t.test('a refusal is RATE_LIMITED with typed details, to a host\'s own error handler too, which keeps the headers', async (t) => {
  const limits = [{ ...PER_MINUTE, max: 1 }, { name: 'daily', max: 9, timeWindow: '1 day' }]
  const plain = await limited(t, { rateLimit: limits })
  await plain.get('/x')
  const refused = await plain.get('/x')
  t.strictSame(refused.json(), { statusCode: 429, code: 'RATE_LIMITED', error: 'Too Many Requests', message: 'Too many requests: at most 1 in 60 seconds.' })
  t.equal(refused.headers['www-authenticate'], undefined, 'the key is good')

  const seen: unknown[] = []
  const own = await limited(t, { rateLimit: limits }, {
    before (app) {
      app.setErrorHandler((error, _request, reply) => {
        if (isSelfServeKeysError(error, 'RATE_LIMITED')) {
          seen.push(error.details, error.statusCode)
          return reply.code(429).send(`wait ${error.details.retryAfter.toFixed()}`)
        }
        throw error
      })
    }
  })
  await own.get('/x')
  own.clock.pass(15 * SECOND)
  const answer = await own.get('/x')
  t.strictSame(seen, [{ name: 'default', max: 1, windowSeconds: 60, retryAfter: 45 }, 429])
  t.equal(answer.body, 'wait 45')
  t.equal(lineOf(answer), '429 "default";r=0;t=45, "daily";r=8;t=86385 after 45')
})

t.test('a request that one limit refuses is charged to none, in whichever order they stand', async (t) => {
  const limits = [{ name: 'burst', max: 2, timeWindow: '1 second' }, { name: 'daily', max: 3, timeWindow: '1 day' }]
  for (const rateLimit of [limits, limits.toReversed()]) {
    const { told, clock, get } = await limited(t, { rateLimit })
    const last = rateLimit === limits ? (burst: string, daily: string) => `${burst}, ${daily}` : (burst: string, daily: string) => `${daily}, ${burst}`
    for (let i = 0; i < 2; i++) t.equal((await get('/x')).statusCode, 200)
    for (let i = 0; i < 5; i++) t.equal(await told('/x'), `429 ${last('"burst";r=0;t=1', '"daily";r=1;t=86400')} after 1`)
    clock.pass(SECOND)
    t.equal(await told('/x'), `200 ${last('"burst";r=1;t=1', '"daily";r=0;t=86399')}`)
    for (let i = 0; i < 5; i++) t.equal(await told('/x'), `429 ${last('"burst";r=1;t=1', '"daily";r=0;t=86399')} after 86399`)
  }
})

t.test('a plan', async (t) => {
  t.test('that changes holds at the next request, in the window that is open, and nothing stored changes', async (t) => {
    let plan: AccountPolicy = {}
    const { storage, calls } = watched(memoryStorage())
    const { app, told, clock, publicId } = await limited(t, {
      storage, rateLimit: { name: 'option', max: 50, timeWindow: '1 minute' }, usage: false, policy: { resolve: (accountId) => accountId === ACCOUNT ? plan : {} }
    })
    const other = await storeKey(storage, { accountId: OTHER_ACCOUNT })
    const stored = await storage.findKey(publicId)
    calls.length = 0
    const under = async (rateLimits?: AccountPolicy['rateLimits']): Promise<string> => {
      plan = rateLimits === undefined ? {} : { rateLimits }
      app.selfServeKeys.policy.invalidate(ACCOUNT)
      return await told('/x')
    }
    t.equal(await under({ max: 3, timeWindow: '1 hour' }), '200 "default";r=2;t=3600')
    t.equal(await under({ max: 10, timeWindow: '1 hour' }), '200 "default";r=8;t=3600', 'larger')
    t.equal(await under({ max: 2, timeWindow: '1 hour' }), '429 "default";r=0;t=3600 after 3600', 'smaller: what was used counts')
    t.equal(await under({ max: 1, timeWindow: '1 hour' }), '429 "default";r=0;t=3600 after 3600')
    t.equal(await under({ max: 10, timeWindow: '1 hour' }), '200 "default";r=7;t=3600', 'and no refusal was')
    t.equal(await under({ max: 3, timeWindow: '1 minute' }), '429 "default";r=0;t=60 after 60', 'shorter: nobody waits for longer than his plan\'s window')
    t.equal(await under({ max: 4, timeWindow: '1 minute' }), '200 "default";r=0;t=60')
    t.equal(await under({ max: 5, timeWindow: '1 day' }), '200 "default";r=0;t=60', 'longer: the window that is open ends when it was to')
    clock.pass(MINUTE)
    t.equal(await under({ max: 5, timeWindow: '1 day' }), '200 "default";r=4;t=86400')
    t.equal(await under([{ max: 5, timeWindow: '1 day' }, { name: 'burst', max: 2, timeWindow: '1 second' }]), '200 "default";r=3;t=86400, "burst";r=1;t=1', 'one more')
    t.equal(await under({ name: 'renamed', max: 5, timeWindow: '1 day' }), '200 "renamed";r=4;t=86400', 'another name is another budget')
    t.equal(await under(false), '200', 'none')
    t.equal(await under([]), '200')
    t.equal(await under(), '200 "option";r=49;t=60', 'a plan that says nothing: the option\'s')
    t.equal(await told('/x', other.plaintext), '200 "option";r=49;t=60', 'another account\'s plan is its own')
    t.strictSame(new Set(calls.map(({ name }) => name)), new Set(['findKeyByHash']))
    t.strictSame(await storage.findKey(publicId), stored)
  })

  t.test('is remembered for cacheFor, and each account charged by its own', async (t) => {
    const plans: Record<string, number> = { [ACCOUNT]: 1, [OTHER_ACCOUNT]: 2 }
    const { told, clock, storage } = await limited(t, { policy: { resolve: (id) => ({ rateLimits: { max: plans[id]!, timeWindow: '1 hour' } }), cacheFor: '30s' } })
    const other = (await storeKey(storage, { accountId: OTHER_ACCOUNT })).plaintext
    t.equal(await told('/x'), '200 "default";r=0;t=3600')
    t.equal(await told('/x', other), '200 "default";r=1;t=3600')
    plans[ACCOUNT] = 3
    clock.pass(30 * SECOND - 1)
    t.equal(await told('/x'), '429 "default";r=0;t=3571 after 3571')
    clock.pass(1)
    t.equal(await told('/x'), '200 "default";r=1;t=3570')
    t.equal(await told('/x', other), '200 "default";r=0;t=3570')
  })
})

t.test('of 200 requests at once on a limit of 100 exactly 100 pass', async (t) => {
  const memory = memoryStorage()
  /** Each lookup takes a turn of the event loop, so that the requests overtake each other. */
  const slow: Storage = { ...memory, findKeyByHash: async (digests) => { await nextTurn(); return await memory.findKeyByHash(digests) } }
  const late = notingStore().store
  const ways: Array<[name: string, options: Parameters<typeof limited>[1]]> = [
    ['in memory', {}], ['behind a slow storage', { storage: slow }], ['in a store that answers late', { rateLimit: { limits: { max: 100, timeWindow: '1 hour' }, store: late } }]
  ]
  for (const [name, options] of ways) {
    for (const over of ['injected', 'over sockets'] as const) {
      const { app, key, get, told } = await limited(t, { rateLimit: { max: 100, timeWindow: '1 hour' }, ...options })
      const url = over === 'injected' ? '' : `http://127.0.0.1:${await portOf(app)}/x`
      const one = async (): Promise<string> => {
        if (over === 'injected') return lineOf(await get('/x'))
        const { status, headers } = await fetch(url, { headers: { 'x-api-key': key } })
        return lineOf({ statusCode: status, headers: Object.fromEntries(headers) })
      }
      const answers = await Promise.all(Array.from({ length: 200 }, one))
      t.strictSame(answers.filter((line) => line.startsWith('200')).sort(), Array.from({ length: 100 }, (_none, left) => `200 "default";r=${left};t=3600`).sort(), `${name}, ${over}`)
      t.strictSame(answers.filter((line) => line.startsWith('429')), Array(100).fill('429 "default";r=0;t=3600 after 3600'))
      t.equal(await told('/x'), '429 "default";r=0;t=3600 after 3600')
    }
  }
})

t.test('a wall clock that jumps in the middle of a window neither frees nor locks a key', async (t) => {
  for (const jump of [-HOUR, HOUR, Date.UTC(2038, 0, 19, 3, 14, 8) - Date.UTC(2026, 0, 15), -20 * 365 * 24 * HOUR]) {
    const { told, clock, get } = await limited(t, { rateLimit: PER_MINUTE, usage: false })
    t.equal(await told('/x'), '200 "default";r=2;t=60')
    clock.wall += jump
    t.equal(await told('/x'), '200 "default";r=1;t=60')
    t.equal(await told('/x'), '200 "default";r=0;t=60')
    clock.mono += 20 * SECOND
    for (const more of [0, -jump, jump]) {
      clock.wall += more
      const { statusCode, headers } = await get('/x')
      t.equal(statusCode, 429)
      t.ok(Number(headers['retry-after']) >= 0 && Number(headers['retry-after']) <= 60, `${headers['retry-after']} seconds`)
      t.equal(headers.ratelimit, '"default";r=0;t=40')
    }
    clock.mono += 40 * SECOND
    t.equal(await told('/x'), '200 "default";r=2;t=60', 'the window ended when it was to')
  }
})

t.test('6000 other keys, good and bad, neither burn nor reset the budget of one', async (t) => {
  const { app, storage, key, told, clock } = await limited(t, { rateLimit: { max: 2, timeWindow: '1 hour' }, usage: false, logBindings: false })
  const others = await Promise.all(Array.from({ length: 3000 }, async (_none, i) => (await storeKey(storage, { accountId: `account ${i % 50}` })).plaintext))
  await told('/x')
  const refusedAfter = (seconds: number): string => `429 "default";r=0;t=${seconds} after ${seconds}`
  t.equal(await told('/x'), '200 "default";r=0;t=3600')
  const statuses: Record<number, number> = {}
  const flood = async (keys: readonly string[]): Promise<void> => {
    for (const other of keys) {
      const { statusCode } = await app.inject({ url: '/x', headers: { 'x-api-key': other } })
      statuses[statusCode] = (statuses[statusCode] ?? 0) + 1
    }
  }
  await flood(others)
  t.equal(await told('/x'), refusedAfter(3600))
  clock.pass(MINUTE)
  // Unknown keys, what has no key's shape, and the limited key with one character wrong.
  await flood(others.map((other, i) => [generateKey('sk_live_'), other.slice(0, -7), `${key.slice(0, -1)}_`][i % 3]!))
  t.strictSame(statuses, { 200: 3000, 401: 3000 })
  t.equal(await told('/x'), refusedAfter(3540))
  t.equal(await told('/x', others[0]), '200 "default";r=0;t=3540', 'each of them has its own')
  clock.pass(59 * MINUTE)
  t.equal(await told('/x'), '200 "default";r=1;t=3600')
})

t.test('lists and usage tell what the headers tell, from one call a list, and charge nothing', async (t) => {
  const noting = notingStore()
  const { app, told, clock } = await limited(t, {
    rateLimit: { limits: [PER_MINUTE, { name: 'daily', max: 9, timeWindow: '1 day' }], store: noting.store }, accountRoutes: { rateLimit: false }
  })
  const ask = asking(app)
  const made = await Promise.all(Array.from({ length: 20 }, async (_none, i) => await makeKey(app, { label: `n${i}` })))
  const used = made[7]!
  for (let i = 0; i < 2; i++) await told('/x', used.plaintext)
  clock.pass(1500)
  t.equal(await told('/x', used.plaintext), '200 "default";r=0;t=60, "daily";r=6;t=86400', 'the store\'s own clock stands still')
  const standing = [
    { name: 'default', max: 3, windowSeconds: 60, remaining: 0, resetSeconds: 60 }, { name: 'daily', max: 9, windowSeconds: 86400, remaining: 6, resetSeconds: 86400 }
  ]
  const untouched = standing.map(({ max, ...rest }) => ({ ...rest, max, remaining: max, resetSeconds: 0 }))
  const charged = noting.consumed.length
  for (let i = 0; i < 5; i++) {
    noting.peeked.length = 0
    const { apiKeys } = (await ask('GET', KEYS)).json as { apiKeys: Array<{ publicId: string, rateLimits: unknown }> }
    t.equal(apiKeys.length, 21)
    t.strictSame(noting.peeked.map((ids) => ids.length), [42], 'one call')
    for (const { publicId, rateLimits } of apiKeys) t.same(rateLimits, publicId === used.publicId ? standing : untouched)
    t.same((await ask('GET', used.url)).json.apiKey.rateLimits, standing)
    const { perKey } = (await ask('GET', '/v1/me/usage')).json
    t.same(perKey.map(({ publicId, rateLimits }: Record<string, unknown>) => [publicId, rateLimits]), [[used.publicId, standing]])
    t.strictSame(noting.peeked.map((ids) => ids.length), [42, 2, 2])
  }
  t.equal(noting.consumed.length, charged)
  t.equal(await told('/x', used.plaintext), '429 "default";r=0;t=60, "daily";r=6;t=86400 after 60')
})

t.test('resetRateLimits() gives a key its budget back at once, and no other anything', async (t) => {
  const { app, told, key, publicId, storage } = await limited(t, { rateLimit: [{ ...PER_MINUTE, max: 1 }, { name: 'daily', max: 2, timeWindow: '1 day' }] }, {
    before: (app) => app.get('/own', { config: { apiKey: { rateLimit: { max: 1, timeWindow: '1 hour' } } } }, async () => ({}))
  })
  const neighbour = (await storeKey(storage)).plaintext
  const theirs = await storeKey(storage, { accountId: OTHER_ACCOUNT })
  const { resetRateLimits, get: show } = app.selfServeKeys.keys
  const full = '429 "default";r=0;t=60, "daily";r=1;t=86400 after 60'
  const all = [key, neighbour, theirs.plaintext]
  for (const one of all) await told('/own', one)
  for (const one of all) t.equal(await told('/x', one), full)
  await t.rejects(resetRateLimits(HOST, theirs.key.publicId), { code: 'API_KEY_NOT_FOUND', statusCode: 404 })
  await t.rejects(resetRateLimits(HOST, 'key_00000000000000000000000000'), { code: 'API_KEY_NOT_FOUND' })
  for (const one of all) t.equal(await told('/x', one), full)
  await resetRateLimits(HOST, publicId)
  t.match((await show(ACCOUNT, publicId)).rateLimits, [{ remaining: 1, resetSeconds: 0 }, { remaining: 2, resetSeconds: 0 }])
  t.equal(await told('/own'), '429 "default";r=1;t=0, "daily";r=2;t=0, "route";r=0;t=3600 after 3600', 'the budget of a single route stays')
  t.equal(await told('/x'), '200 "default";r=0;t=60, "daily";r=1;t=86400')
  for (const one of [neighbour, theirs.plaintext]) t.equal(await told('/x', one), full)
})
