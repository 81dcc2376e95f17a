// What a form may offer: the account's policy, on the standard account routes and in process.
import t, { type Test } from 'tap'
import { memoryStorage, type AccountPolicy, type EffectivePolicy, type SelfServeKeysOptions } from '../../lib/index.js'
import { DAY, SECOND, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, makeKey, type Ask } from '../helpers/account.js'
import { BROWSER, build, OTHER_SIGNED_IN, SIGNED_IN, type Host } from '../helpers/host.js'
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
