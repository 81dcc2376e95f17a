// What a form may offer and a warning says, the account's policy and what one key did: on the standard account routes and in process.
import t, { type Test } from 'tap'
import { memoryStorage, type AccountPolicy, type EffectivePolicy, type KeyUsage, type SelfServeKeysOptions, type Storage } from '../../lib/index.js'
import { DAY, HOUR, SECOND, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, makeKey, NO_KEY, type Ask, type Made } from '../helpers/account.js'
import { BROWSER, build, OTHER_SIGNED_IN, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW, OTHER_ACCOUNT, stateOf } from '../helpers/keys.js'

const POLICY = '/v1/me/policy'
const SCOPES = { 'transactions:write': 'Submit transactions', 'blocks:read': 'Read blocks', 'reports:read': '' }
const DAY_SECONDS = DAY / SECOND

interface Hosted extends Host { ask: Ask, policy: () => Promise<EffectivePolicy> }

async function hosted (t: Test, options: Partial<SelfServeKeysOptions> = {}): Promise<Hosted> {
  const host = await build(t, { scopes: SCOPES, accountRoutes: { rateLimit: false }, ...options })
  const ask = asking(host.app)
  return { ...host, ask, policy: async () => (await ask('GET', POLICY)).json as EffectivePolicy }
}

t.test('without a policy option an account may do everything the host lets any', async (t) => {
  const { app, ask, storage } = await hosted(t)
  await makeKey(app)
  const before = await stateOf(storage)
  const { status, json, headers } = await ask('GET', POLICY)
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.strictSame(json, {
    scopes: [
      { name: 'transactions:write', description: 'Submit transactions', grantable: true },
      { name: 'blocks:read', description: 'Read blocks', grantable: true },
      { name: 'reports:read', description: '', grantable: true }
    ],
    environments: ['live', 'test'],
    defaultKey: { label: 'Default', environment: 'live', access: 'secret', scopes: ['blocks:read', 'reports:read'], lifetimeSeconds: null },
    keys: { max: 100, active: 1 },
    maxSites: 100,
    lifetimeSeconds: null,
    maxLifetimeSeconds: null,
    requireExpiry: false,
    maxOverlapSeconds: 7 * DAY_SECONDS,
    originsRequired: true,
    suspended: false
  } satisfies EffectivePolicy)
  t.strictSame(await app.selfServeKeys.policy.of(ACCOUNT), json, 'in process too')
  t.strictSame((await ask('GET', POLICY, undefined, BROWSER)).json, json, 'a cookie may read it')
  t.strictSame((await ask('GET', POLICY, undefined, OTHER_SIGNED_IN)).json, { ...json, keys: { max: 100, active: 0 } })
  t.strictSame(await stateOf(storage), before)

  const bare = await hosted(t, { scopes: {} })
  t.match(await bare.policy(), { scopes: [], defaultKey: { scopes: null } }, 'an empty catalogue')
})

t.test('what the host set for every account is in it, in whole seconds', async (t) => {
  const { policy } = await hosted(t, {
    keys: {
      defaultKey: { label: 'Main', environment: 'test', access: 'publishable', lifetime: '30 days' },
      lifetime: '60 days',
      maxLifetime: 90 * DAY + 999,
      maxOverlap: 2500,
      origins: 'optional'
    }
  })
  t.match(await policy(), {
    defaultKey: { label: 'Main', environment: 'test', access: 'publishable', scopes: [], lifetimeSeconds: 30 * DAY_SECONDS },
    lifetimeSeconds: 60 * DAY_SECONDS,
    maxLifetimeSeconds: 90 * DAY_SECONDS,
    maxOverlapSeconds: 2,
    originsRequired: false
  })
})

t.test('the account\'s policy cuts it: scopes, lifetimes by the shorter, numbers, suspension', async (t) => {
  const plans: Record<string, AccountPolicy> = {
    [ACCOUNT]: { maxKeys: 3, maxSites: 0, grantableScopes: ['blocks:read'], maxLifetime: '10 days', requireExpiry: true, suspended: true },
    [OTHER_ACCOUNT]: { maxLifetime: '100 days', grantableScopes: [] }
  }
  const { ask, policy } = await hosted(t, {
    policy: { resolve: (accountId) => plans[accountId]! },
    keys: { defaultKey: { lifetime: '20 days' }, lifetime: '5 days', maxLifetime: '50 days' }
  })
  t.match(await policy(), {
    scopes: [{ name: 'transactions:write', grantable: false }, { name: 'blocks:read', grantable: true }, { name: 'reports:read', grantable: false }],
    defaultKey: { scopes: ['blocks:read'], lifetimeSeconds: 10 * DAY_SECONDS },
    keys: { max: 3, active: 0 },
    maxSites: 0,
    lifetimeSeconds: 5 * DAY_SECONDS,
    maxLifetimeSeconds: 10 * DAY_SECONDS,
    requireExpiry: true,
    suspended: true
  })
  const other = (await ask('GET', POLICY, undefined, OTHER_SIGNED_IN)).json
  t.match(other, { maxLifetimeSeconds: 50 * DAY_SECONDS, defaultKey: { scopes: [], lifetimeSeconds: 20 * DAY_SECONDS }, keys: { max: 100 }, suspended: false })
  t.ok(other.scopes.every(({ grantable }: { grantable: boolean }) => !grantable))
})

t.test('what it says is what an issue does: lifetimes, scopes, and the number of keys that count', async (t) => {
  const { app, ask, clock, policy } = await hosted(t, {
    policy: { resolve: () => ({ maxKeys: 2, grantableScopes: ['blocks:read'], maxLifetime: '10 days' }) },
    keys: { defaultKey: { lifetime: '20 days' }, lifetime: '5 days' }
  })
  const said = await policy()
  const named = (await ask('POST', KEYS, { label: 'CI' })).json.apiKey
  const standing = (await ask('POST', KEYS)).json.apiKey
  t.equal(named.expiresAt, toIso(NOW + said.lifetimeSeconds! * SECOND))
  t.equal(standing.expiresAt, toIso(NOW + said.defaultKey.lifetimeSeconds! * SECOND))
  t.strictSame([named.scopes, standing.scopes], [said.defaultKey.scopes, said.defaultKey.scopes])
  t.strictSame((await policy()).keys, { max: 2, active: 2 })
  t.match((await ask('POST', KEYS, { label: 'one more' })).json, { code: 'KEY_LIMIT_REACHED' })
  await app.selfServeKeys.keys.update(HOST, named.publicId, { enabled: false })
  t.equal((await policy()).keys.active, 2, 'a disabled key counts')
  clock.advance(5 * DAY)
  t.equal((await policy()).keys.active, 1, 'an expired one does not')
  await ask('DELETE', `${KEYS}/${standing.publicId}`)
  t.equal((await policy()).keys.active, 0)
})

t.test('a changed plan shows within cacheFor, at once where it is invalidated, and one that cannot be resolved is 503', async (t) => {
  let maxKeys = 1
  const { app, ask, clock, policy } = await hosted(t, {
    policy: { cacheFor: 30 * SECOND, onError: 'deny', resolve: () => { if (maxKeys === 0) throw new Error('billing is down'); return { maxKeys } } }
  })
  t.equal((await policy()).keys.max, 1)
  maxKeys = 2
  t.equal((await policy()).keys.max, 1, 'as lists do')
  app.selfServeKeys.policy.invalidate(ACCOUNT)
  t.equal((await policy()).keys.max, 2)
  maxKeys = 0
  clock.advance(30 * SECOND)
  const { status, json, text } = await ask('GET', POLICY)
  t.equal(status, 503)
  t.match(json, { code: 'STORAGE_UNAVAILABLE' })
  t.notMatch(text, 'billing')
  await t.rejects(app.selfServeKeys.policy.of(ACCOUNT), { code: 'STORAGE_UNAVAILABLE', details: { part: 'policy' } })
})

t.test('it is there while default or named keys are, and takes no query and no body', async (t) => {
  const switches = [[{}, 200], [{ defaultKey: false }, 200], [{ keys: false }, 200], [{ defaultKey: false, keys: false }, 404]] as const
  for (const [routes, status] of switches) {
    const { ask } = await hosted(t, { routes })
    t.equal((await ask('GET', POLICY)).status, status, JSON.stringify(routes))
    t.equal((await ask('OPTIONS', POLICY)).status, status === 200 ? 204 : 404, JSON.stringify(routes))
  }
  const { app, ask } = await hosted(t, { storage: memoryStorage() })
  t.match((await ask('GET', `${POLICY}?environment=live`)).json, { code: 'INVALID_REQUEST', message: 'environment: is not known here' })
  t.match((await ask('POST', POLICY, {})).status, 404)
  const head = await app.inject({ method: 'HEAD', url: POLICY, headers: SIGNED_IN })
  t.equal(head.statusCode, 200)
})

interface Used extends Hosted { use: (key: Made, path?: string) => Promise<void>, usageOf: (key: Made) => Promise<KeyUsage> }

/** A host that records the use of its `/x`, and of `/y`, which fails; flushed only when it is asked. */
async function used (t: Test, options: Partial<SelfServeKeysOptions> = {}): Promise<Used> {
  const parts: HostParts = {
    before (app) {
      app.get('/x/:id', { config: { apiKey: true } }, async () => ({}))
      app.get('/y', { config: { apiKey: true } }, async (_request, reply) => await reply.code(500).send({}))
    }
  }
  const host = await build(t, { scopes: SCOPES, usage: { flushInterval: '1 week' }, ...options }, parts)
  const ask = asking(host.app)
  return {
    ...host,
    ask,
    policy: async () => await host.app.selfServeKeys.policy.of(ACCOUNT),
    async use ({ credential }, path = '/x/1') { await ask('GET', path, undefined, credential) },
    usageOf: async ({ url }) => (await ask('GET', `${url}/usage`)).json as KeyUsage
  }
}

t.test('what one key did in 24 hours, and its newest request: nobody has to wait for a flush', async (t) => {
  const { app, ask, clock, storage, use, usageOf } = await used(t)
  const [key, other] = [await makeKey(app, { label: 'CI' }), await makeKey(app)]
  const window = { publicId: key.publicId, windowStart: '2026-01-14T13:00:00.000Z', windowEnd: toIso(NOW) }
  t.strictSame(await usageOf(key), { ...window, requests: 0, failures: 0, lastRequest: null })

  await use(key)
  clock.advance(1)
  await use(key, '/y')
  await use(other)
  const { status, json, headers } = await ask('GET', `${key.url}/usage`)
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  const { durationMs, requestId, ...last } = json.lastRequest
  t.strictSame({ ...json, lastRequest: last }, {
    ...window,
    windowEnd: toIso(NOW + 1),
    requests: 2,
    failures: 1,
    lastRequest: {
      time: toIso(NOW + 1),
      publicId: key.publicId,
      label: 'CI',
      environment: 'live',
      scopes: ['blocks:read', 'reports:read'],
      method: 'GET',
      route: '/y',
      status: 500,
      failureCode: null
    }
  })
  t.type(durationMs, 'number')
  t.match(requestId, /^req-/)
  t.strictSame(await app.selfServeKeys.usage.ofKey(ACCOUNT, key.publicId), json, 'in process too')
  t.strictSame((await ask('GET', `${key.url}/usage`, undefined, BROWSER)).json, json, 'a cookie may read it')
  const { recentRequests, perKey } = await app.selfServeKeys.usage.snapshot(ACCOUNT)
  t.strictSame(recentRequests.find(({ publicId }) => publicId === key.publicId), json.lastRequest, 'as in the snapshot')
  t.match(perKey.find(({ publicId }) => publicId === key.publicId), { requests: 2, failures: 1 })

  const before = await stateOf(storage)
  clock.advance(DAY)
  t.match(await usageOf(key), { requests: 0, failures: 0, lastRequest: { time: toIso(NOW + 1), route: '/y' } }, 'older than the window')
  clock.advance(40 * DAY)
  await app.selfServeKeys.prune()
  t.match(await usageOf(key), { requests: 0, failures: 0, lastRequest: null }, 'usage is not kept that long')
  t.strictSame(await stateOf(storage), before)
})

t.test('the slots are those of the snapshot: the hour under way and 23 before it', async (t) => {
  const { app, clock, use, usageOf } = await used(t)
  const key = await makeKey(app)
  for (const wait of [0, HOUR, 22 * HOUR, HOUR]) {
    clock.advance(wait)
    await use(key)
    const { totalRequests, windowStart, windowEnd } = await app.selfServeKeys.usage.snapshot(ACCOUNT)
    t.match(await usageOf(key), { requests: totalRequests, windowStart, windowEnd }, String(wait))
  }
  t.equal((await usageOf(key)).requests, 3, 'the first fell out')
})

t.test('a revoked key that is still tried is seen, and a key that is missing, another\'s or none is the same 404', async (t) => {
  const { app, ask, use, usageOf } = await used(t)
  const key = await makeKey(app)
  const theirs = await makeKey(app, {}, OTHER_ACCOUNT)
  await use(theirs)
  await ask('DELETE', key.url)
  await use(key)
  t.match(await usageOf(key), { requests: 1, failures: 1, lastRequest: { status: 401, failureCode: 'INVALID_API_KEY' } })

  const absent = await ask('GET', `${KEYS}/${NO_KEY}/usage`)
  t.equal(absent.status, 404)
  t.strictSame(absent.json, (await ask('GET', `${KEYS}/${NO_KEY}`)).json)
  for (const id of [theirs.publicId, 'x', 'key_1', theirs.publicId.toLowerCase(), '%00']) {
    const answer = await ask('GET', `${KEYS}/${id}/usage`)
    t.strictSame([answer.status, answer.json], [404, absent.json], id)
  }
  await t.rejects(app.selfServeKeys.usage.ofKey(ACCOUNT, theirs.publicId), { code: 'API_KEY_NOT_FOUND' })
  t.match((await ask('GET', `${theirs.url}/usage`, undefined, OTHER_SIGNED_IN)).json, { requests: 1, failures: 0 })
  t.match((await ask('GET', `${key.url}/usage?window=1h`)).json, { code: 'INVALID_REQUEST', message: 'window: is not known here' })
})

t.test('a buffer that cannot be written, and a storage that does not answer, are 503: no zeros are made up', async (t) => {
  const failing = async (): Promise<never> => { throw new Error('disk full') }
  for (const name of ['recordUsage', 'readKeyUsage'] as const) {
    const { app, ask, use } = await used(t, { storage: { ...memoryStorage(), [name]: failing } as Storage })
    const key = await makeKey(app)
    await use(key)
    const { status, json, text } = await ask('GET', `${key.url}/usage`)
    t.equal(status, 503, name)
    t.match(json, { code: 'STORAGE_UNAVAILABLE' })
    t.notMatch(text, 'disk')
  }
})

t.test('a key\'s usage is there while keys and usage are, and usage is recorded', async (t) => {
  const cases: Array<[Partial<SelfServeKeysOptions>, number]> = [
    [{}, 200], [{ routes: { usage: false } }, 404], [{ routes: { keys: false } }, 404], [{ usage: false }, 404], [{ routes: { defaultKey: false } }, 200]
  ]
  for (const [options, status] of cases) {
    const { app, ask } = await used(t, options)
    const { url } = await makeKey(app)
    const name = JSON.stringify(options)
    t.equal((await ask('GET', `${url}/usage`)).status, status, name)
    t.equal((await ask('OPTIONS', `${url}/usage`)).status, status === 200 ? 204 : 404, name)
    t.equal((await ask('GET', url)).status, options.routes !== undefined && 'keys' in (options.routes as object) ? 404 : 200, `${name}: the key itself`)
  }
})
