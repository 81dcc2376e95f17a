// Policies: when they are asked for, how long they are remembered, what a host may answer, and what a changed plan does to keys.
import t, { type Test } from 'tap'
import { isSelfServeKeysError, memoryStorage, type AccountPolicy, type Actor, type SelfServeKeysOptions, type Storage } from '../lib/index.js'
import { completeOptions } from '../lib/options/complete.js'
import { MOST, NO_POLICY, type Policy } from '../lib/policy/account-policy.js'
import { noPolicies, policies, type PolicySettings } from '../lib/policy/policies.js'
import { DAY, MINUTE, SECOND } from '../lib/time.js'
import { hostOf, testClock, tokenSession, type LogLine } from './helpers/app.js'
import { ACCOUNT, keysOf, NOW, OTHER_ACCOUNT } from './helpers/keys.js'

const CACHE = 30 * SECOND
const SCOPES = { 'blocks:read': 'Read blocks', 'blocks:write': 'Write blocks', 'reports:read': 'Read reports' }
const by: Actor = { accountId: ACCOUNT, credential: 'bearer', actor: { id: 'u1', name: 'Ada Example' } }
const unavailable = { code: 'STORAGE_UNAVAILABLE', statusCode: 503, details: { part: 'policy', retryAfter: 1 } }
/** A policy that is told from others. */
const plan = (maxKeys: number): Policy => ({ ...NO_POLICY, maxKeys })

/** Policies whose questions the test answers, one by one. */
function asked ({ onError = 'stale', timeout = 60_000 }: { onError?: PolicySettings['onError'], timeout?: number } = {}) {
  const clock = testClock()
  const questions: Array<{ accountId: string, answer: (policy: Policy) => void, fail: (error: Error) => void }> = []
  const lines: Array<{ level: string, message: string, details: object }> = []
  const line = (level: string) => (details: object, message: string): void => { lines.push({ level, message, details }) }
  const known = policies({
    clock,
    timeout,
    log: { info: line('info'), warn: line('warn') },
    settings: {
      cacheFor: CACHE,
      onError,
      resolve: async (accountId) => await new Promise((resolve, reject) => { questions.push({ accountId, answer: resolve, fail: reject }) })
    }
  })
  return {
    ...known,
    clock,
    questions,
    lines,
    /** Answers the newest question. */
    answer (policy: Policy) { questions.at(-1)!.answer(policy) },
    fail (message = 'down') { questions.at(-1)!.fail(new Error(message)) },
    /** Asks and answers at once. */
    async resolved (policy: Policy, accountId = ACCOUNT) {
      const answer = known.fresh(accountId)
      questions.at(-1)!.answer(policy)
      return await answer
    }
  }
}

t.test('what is remembered', async (t) => {
  t.test('a change asks anew every time; a verification asks once in cacheFor', async (t) => {
    const plans = asked()
    t.same(await plans.resolved(plan(1)), plan(1))
    t.same(await plans.resolved(plan(2)), plan(2))
    t.equal(plans.questions.length, 2)
    t.same(plans.current(ACCOUNT), plan(2), 'at once, what the change was told')
    plans.clock.pass(CACHE - 1)
    t.same(plans.current(ACCOUNT), plan(2))
    t.equal(plans.questions.length, 2)
    plans.clock.pass(1)
    const later = plans.current(ACCOUNT)
    t.equal(plans.questions.length, 3)
    plans.answer(plan(3))
    t.same(await later, plan(3))
    t.same(plans.current(ACCOUNT), plan(3))
  })

  t.test('its age counts from the question, not from a late answer', async (t) => {
    const plans = asked()
    const answer = plans.current(ACCOUNT)
    plans.clock.pass(CACHE - 1)
    plans.answer(plan(1))
    t.same(await answer, plan(1))
    t.same(plans.current(ACCOUNT), plan(1))
    plans.clock.pass(1)
    t.type(plans.current(ACCOUNT), Promise, 'it is as old as it may be')
  })

  t.test('many requests of an account wait for one question; another account asks its own', async (t) => {
    const plans = asked()
    const waiting = Array.from({ length: 50 }, () => plans.current(ACCOUNT))
    const other = plans.current(OTHER_ACCOUNT)
    t.same(plans.questions.map(({ accountId }) => accountId), [ACCOUNT, OTHER_ACCOUNT])
    plans.questions[0]!.answer(plan(7))
    t.same(new Set(await Promise.all(waiting)), new Set([plan(7)]))
    plans.questions[1]!.answer(plan(8))
    t.same(await other, plan(8))
    t.same(plans.current(ACCOUNT), plan(7))
  })

  t.test('an invalidation holds at once, for its account alone', async (t) => {
    const plans = asked()
    await plans.resolved(plan(1))
    await plans.resolved(plan(2), OTHER_ACCOUNT)
    plans.invalidate(ACCOUNT)
    const anew = plans.current(ACCOUNT)
    t.equal(plans.questions.length, 3)
    plans.answer(plan(3))
    t.same(await anew, plan(3))
    t.same(plans.current(OTHER_ACCOUNT), plan(2))
    t.equal(plans.questions.length, 3)
    plans.invalidate('nobody')
  })

  t.test('an answer that was asked for before an invalidation is not remembered after it, and nobody new waits for it', async (t) => {
    const plans = asked()
    const early = plans.current(ACCOUNT)
    plans.invalidate(ACCOUNT)
    const late = plans.current(ACCOUNT)
    t.equal(plans.questions.length, 2)
    plans.questions[1]!.answer(plan(2))
    t.same(await late, plan(2))
    plans.questions[0]!.answer(plan(1))
    t.same(await early, plan(1), 'who asked before is told what was true before')
    t.same(plans.current(ACCOUNT), plan(2))
    plans.invalidate(ACCOUNT)
    const third = plans.current(ACCOUNT)
    plans.invalidate(ACCOUNT)
    plans.answer(plan(3))
    await third
    t.type(plans.current(ACCOUNT), Promise, 'nothing is remembered of it')
  })

  t.test('of two questions the one that was asked last is remembered, in whichever order they are answered', async (t) => {
    for (const order of [[0, 1], [1, 0]]) {
      const plans = asked()
      const answers = [plans.fresh(ACCOUNT), plans.fresh(ACCOUNT)]
      for (const place of order) {
        plans.questions[place]!.answer(plan(place + 1))
        t.same(await answers[place], plan(place + 1))
      }
      t.same(plans.current(ACCOUNT), plan(2))
    }
  })

  t.test('is bounded: the ten thousand and first makes the one asked for first go', async (t) => {
    const plans = asked()
    for (let i = 0; i <= 10_000; i++) await plans.resolved(plan(1), `account ${i}`)
    t.type(plans.current('account 0'), Promise)
    t.same(plans.current('account 1'), plan(1))
    t.same(plans.current('account 10000'), plan(1))
  })

  t.test('without a policy option every account may do everything', async (t) => {
    t.equal(noPolicies.current(ACCOUNT), NO_POLICY)
    t.equal(await noPolicies.fresh(ACCOUNT), NO_POLICY)
    noPolicies.invalidate(ACCOUNT)
    t.same(NO_POLICY, { maxKeys: MOST, maxSites: MOST, grantable: null, maxLifetime: null, requireExpiry: false, rateLimits: null, suspended: false })
  })
})

t.test('a resolver that fails', async (t) => {
  t.test('is a 503 for a change, whatever is remembered', async (t) => {
    for (const onError of ['stale', 'deny'] as const) {
      const plans = asked({ onError })
      await plans.resolved(plan(1))
      const change = plans.fresh(ACCOUNT)
      plans.fail()
      await t.rejects(change, { ...unavailable, message: 'The policy of the account could not be resolved. Try again shortly.', cause: { message: 'down' } })
      t.same(plans.current(ACCOUNT), plan(1), 'what is remembered is not forgotten for it')
    }
  })

  t.test('leaves requests their last policy where the host says stale, and asks again after a second', async (t) => {
    const plans = asked()
    await plans.resolved(plan(1))
    plans.clock.pass(100 * CACHE)
    const waiting = [plans.current(ACCOUNT), plans.current(ACCOUNT)]
    t.equal(plans.questions.length, 2)
    plans.fail()
    t.same(await Promise.all(waiting), [plan(1), plan(1)])
    plans.clock.pass(SECOND - 1)
    t.same(plans.current(ACCOUNT), plan(1))
    t.equal(plans.questions.length, 2, 'a resolver that is down is not asked for every request')
    plans.clock.pass(1)
    const recovered = plans.current(ACCOUNT)
    plans.answer(plan(2))
    t.same(await recovered, plan(2))
    plans.clock.pass(CACHE - 1)
    t.same(plans.current(ACCOUNT), plan(2))
  })

  t.test('refuses requests where the host says deny, once the last policy is too old', async (t) => {
    const plans = asked({ onError: 'deny' })
    await plans.resolved(plan(1))
    plans.clock.pass(CACHE - 1)
    t.same(plans.current(ACCOUNT), plan(1))
    plans.clock.pass(1)
    const late = plans.current(ACCOUNT)
    plans.fail()
    await t.rejects(Promise.resolve(late), unavailable)
  })

  t.test('refuses requests of an account of which nothing is remembered, never asked for or invalidated', async (t) => {
    const plans = asked()
    await plans.resolved(plan(1), OTHER_ACCOUNT)
    const first = plans.current(ACCOUNT)
    plans.fail()
    await t.rejects(Promise.resolve(first), unavailable)
    await plans.resolved(plan(1))
    plans.invalidate(ACCOUNT)
    const second = plans.current(ACCOUNT)
    plans.fail()
    await t.rejects(Promise.resolve(second), unavailable)
    await plans.resolved(plan(1))
    plans.clock.pass(CACHE)
    const third = plans.current(ACCOUNT)
    plans.invalidate(ACCOUNT)
    plans.fail()
    await t.rejects(Promise.resolve(third), unavailable, 'invalidated while it was asked')
  })

  t.test('of two questions does not hide the answer to the other, nor shorten its time', async (t) => {
    const plans = asked()
    await plans.resolved(plan(1))
    plans.clock.pass(CACHE)
    const request = plans.current(ACCOUNT)
    t.same(await plans.resolved(plan(2)), plan(2))
    plans.questions[1]!.fail(new Error('down'))
    t.same(await request, plan(2))
    plans.clock.pass(CACHE - 1)
    t.same(plans.current(ACCOUNT), plan(2))
  })

  t.test('or gives no answer in time is the same', async (t) => {
    const plans = asked({ timeout: 1 })
    await t.rejects(plans.fresh(ACCOUNT), { ...unavailable, cause: { message: 'The policy was not resolved in 1 ms.' } })
    await t.rejects(Promise.resolve(plans.current(ACCOUNT)), unavailable)
    plans.questions[0]!.answer(plan(1))
    await new Promise(setImmediate)
    t.type(plans.current(ACCOUNT), Promise, 'an answer that came too late is not remembered')
    plans.answer(plan(2))
  })

  t.test('is logged once as it begins and once as it ends, by account; of a thousand at most', async (t) => {
    const plans = asked()
    const failed = async (accountId: string): Promise<void> => {
      const answer = plans.fresh(accountId)
      plans.fail()
      await t.rejects(answer, unavailable)
    }
    await failed(ACCOUNT)
    await failed(ACCOUNT)
    await failed(OTHER_ACCOUNT)
    await plans.resolved(plan(1))
    await plans.resolved(plan(1))
    t.same(plans.lines.map(({ level, details }) => [level, (details as { accountId: string }).accountId]), [
      ['warn', ACCOUNT], ['warn', OTHER_ACCOUNT], ['info', ACCOUNT]
    ])
    for (let i = 0; i < 1000; i++) await failed(`account ${i}`)
    plans.lines.length = 0
    await failed('account 0')
    t.equal(plans.lines.length, 0)
    await failed('account 999')
    t.equal(plans.lines.length, 0, 'of one that found no room the log says nothing: it would say it each time')
  })
})

t.test('what a resolver may answer', async (t) => {
  const settingsOf = (resolve: (accountId: string) => unknown, more: object = {}): PolicySettings =>
    completeOptions({ session: tokenSession, scopes: SCOPES, policy: { resolve: resolve as () => AccountPolicy, ...more } }).policy!
  const readOf = async (answer: unknown): Promise<Policy> => await settingsOf(() => answer).resolve(ACCOUNT)

  t.test('is completed from what is left out, at once or later', async (t) => {
    const table: Array<[answer: AccountPolicy, policy: Partial<Policy>]> = [
      [{}, {}],
      [{ maxKeys: 1, maxSites: 0 }, { maxKeys: 1, maxSites: 0 }],
      [{ maxKeys: 100, maxSites: 100 }, {}],
      [{ grantableScopes: [] }, { grantable: [] }],
      [{ grantableScopes: ['blocks:read'] }, { grantable: ['blocks:read'] }],
      [{ maxLifetime: '1 year', requireExpiry: true }, { maxLifetime: 365 * DAY, requireExpiry: true }],
      [{ rateLimits: false }, { rateLimits: [] }],
      [{ rateLimits: [] }, { rateLimits: [] }],
      [{ rateLimits: { max: 5, timeWindow: '1 minute' } }, { rateLimits: [{ name: 'default', max: 5, windowMs: MINUTE }] }],
      [{ suspended: true }, { suspended: true }]
    ]
    for (const [answer, policy] of table) {
      t.same(await readOf(answer), { ...NO_POLICY, ...policy })
      t.same(await readOf(Promise.resolve(answer)), { ...NO_POLICY, ...policy })
    }
    t.match(settingsOf(() => ({})), { cacheFor: 30 * SECOND, onError: 'stale' })
    t.match(settingsOf(() => ({}), { cacheFor: 5, onError: 'deny' }), { cacheFor: 5, onError: 'deny' })
    t.equal(completeOptions({ session: tokenSession }).policy, null)
  })

  t.test('is asked of the host\'s own object', async (t) => {
    const plans = { paid: [ACCOUNT], resolve (accountId: string) { return { maxKeys: this.paid.includes(accountId) ? 50 : 1 } } }
    const settings = completeOptions({ session: tokenSession, policy: { resolve: (accountId) => plans.resolve(accountId) } }).policy!
    t.match(await settings.resolve(ACCOUNT), { maxKeys: 50 })
    t.match(await settings.resolve(OTHER_ACCOUNT), { maxKeys: 1 })
  })

  t.test('is refused by the name of what is wrong: nothing is read as "no limit"', async (t) => {
    const table: Array<[answer: unknown, option: string]> = [
      ...[undefined, null, 'free', 5, true, [], new Map([['maxKeys', 5]]), new (class Plan { maxKeys = 5 })()].map((answer): [unknown, string] => [answer, '']),
      [{ maxApiKeys: 5 }, '.maxApiKeys'],
      [{ plan: 'free' }, '.plan'],
      ...['5', 0, -1, 101, 1.5, NaN, Infinity, null].map((maxKeys): [unknown, string] => [{ maxKeys }, '.maxKeys']),
      ...['0', -1, 101, 0.5, null].map((maxSites): [unknown, string] => [{ maxSites }, '.maxSites']),
      ...[null, 'blocks:read', {}, new Set(['blocks:read']), ['blocks:delete'], ['Blocks:read'], ['toString']].map((grantableScopes): [unknown, string] =>
        [{ grantableScopes }, '.grantableScopes']),
      [{ grantableScopes: ['blocks:read', 5] }, '.grantableScopes[1]'],
      ...[null, 0, -1, 'forever', '101 years', {}].map((maxLifetime): [unknown, string] => [{ maxLifetime }, '.maxLifetime']),
      ...[null, 0, 'yes', 1].map((requireExpiry): [unknown, string] => [{ requireExpiry }, '.requireExpiry']),
      ...[null, 0, 'no'].map((suspended): [unknown, string] => [{ suspended }, '.suspended']),
      ...[null, true, 5].map((rateLimits): [unknown, string] => [{ rateLimits }, '.rateLimits']),
      [{ rateLimits: { max: '5', timeWindow: 1000 } }, '.rateLimits.max'],
      [{ rateLimits: [{ max: 5 }] }, '.rateLimits[0].timeWindow'],
      [{ rateLimits: [{ max: 5, timeWindow: 1000 }, { max: 6, timeWindow: 1000 }] }, '.rateLimits']
    ]
    for (const [answer, option] of table) await t.rejects(readOf(answer), { code: 'INVALID_OPTION', details: { option: `policy.resolve()${option}` } })
    await t.rejects(settingsOf(() => { throw new Error('down') }).resolve(ACCOUNT), { message: 'down' })
    await t.rejects(settingsOf(async () => { throw new Error('down') }).resolve(ACCOUNT), { message: 'down' })
  })
})

/** A host whose plans the test changes; whatever it puts there is what the resolver answers, an error is thrown. */
async function planned (t: Test, { policy = {}, ...options }: Omit<Partial<SelfServeKeysOptions>, 'policy'> & { policy?: object } = {}) {
  const plans: Record<string, unknown> = {}
  const clock = testClock()
  const storage = memoryStorage()
  const questions: string[] = []
  const resolve = (accountId: string): AccountPolicy => {
    questions.push(accountId)
    const answer = plans[accountId] ?? {}
    if (answer instanceof Error) throw answer
    return answer as AccountPolicy
  }
  const { app, lines } = await hostOf(t, { clock, storage, scopes: SCOPES, policy: { resolve, ...policy }, ...options })
  const call = async (key: string) => await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': key } })
  const { selfServeKeys: keeper } = app
  return { plans, clock, storage, questions, call, lines, keeper, keys: keeper.keys }
}
/** The account's keys as they are stored, but for what usage writes. */
const rowsOf = async (storage: Storage): Promise<unknown[]> => (await keysOf(storage)).map(({ lastUsedAt, ...key }) => key)
const failures = (lines: readonly LogLine[]): unknown[] => lines.filter(({ msg }) => msg === 'the policy of an account could not be resolved').map(({ err }) => err?.message)

t.test('a plan, on a host', async (t) => {
  t.test('that suspends an account stops every key of it, and the next answer undoes it', async (t) => {
    const { plans, clock, call, keeper, keys } = await planned(t)
    const { plaintextKey, apiKey } = await keys.issue(by, { label: 'Server' })
    const other = await keys.issue({ ...by, accountId: OTHER_ACCOUNT }, { label: 'Other' })
    plans[ACCOUNT] = { suspended: true }
    t.equal((await call(plaintextKey!)).statusCode, 200, 'for as long as the last answer is remembered')
    clock.pass(CACHE)
    const refused = await call(plaintextKey!)
    t.equal(refused.statusCode, 403)
    t.match(refused.json(), { code: 'ACCOUNT_SUSPENDED', message: 'The account is suspended.' })
    t.match(await keeper.verify(plaintextKey!), { ok: false, code: 'ACCOUNT_SUSPENDED' })
    t.equal((await call(other.plaintextKey!)).statusCode, 200)
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'active' }, 'the key itself is as it was')

    const host: Actor = { accountId: ACCOUNT, credential: 'host' }
    for (const actor of [by, host]) {
      const changes: Record<string, () => Promise<unknown>> = {
        issue: async () => await keys.issue(actor, { label: 'x' }),
        issueDefault: async () => await keys.issueDefault(actor),
        rotate: async () => await keys.rotate(actor, apiKey.publicId),
        renew: async () => await keys.renew(actor, apiKey.publicId),
        enable: async () => await keys.update(actor, apiKey.publicId, { enabled: true }),
        scopes: async () => await keys.update(actor, apiKey.publicId, { scopes: ['blocks:read'] }),
        site: async () => await keeper.sites.add(actor, 'https://a.example')
      }
      for (const [name, change] of Object.entries(changes)) await t.rejects(change, { code: 'ACCOUNT_SUSPENDED', statusCode: 403 }, name)
    }
    t.match(await keys.update(by, apiKey.publicId, { label: 'Renamed' }), { label: 'Renamed' })
    t.match(await keys.update(by, apiKey.publicId, { enabled: false }), { status: 'disabled' })
    t.same(await keys.count(ACCOUNT), { total: 1, active: 1 })

    plans[ACCOUNT] = {}
    await keys.update(by, apiKey.publicId, { enabled: true })
    t.equal((await call(plaintextKey!)).statusCode, 200)
    plans[ACCOUNT] = { suspended: true }
    keeper.policy.invalidate(ACCOUNT)
    t.equal((await call(plaintextKey!)).statusCode, 403, 'at once after an invalidation')
    t.match(await keys.revoke(by, apiKey.publicId), { status: 'revoked' })
  })

  t.test('that grants less holds for keys that were issued before, and more gives them back what they had', async (t) => {
    const { plans, keeper, storage, keys } = await planned(t)
    const narrow = await keys.issue(by, { label: 'Narrow', scopes: ['blocks:read', 'blocks:write'] })
    const all = await keys.issue(by, { label: 'All', scopes: null })
    const before = await keysOf(storage)
    const scopesOf = async (key: string | null): Promise<unknown> => {
      const verified = await keeper.verify(key!)
      return verified.ok ? verified.apiKey.scopes : verified.code
    }
    const ask = async (key: string | null, scope: string): Promise<boolean> => (await keeper.verify(key!, { scopes: [scope] })).ok
    t.same(await scopesOf(narrow.plaintextKey), ['blocks:read', 'blocks:write'])
    t.equal(await scopesOf(all.plaintextKey), null)

    plans[ACCOUNT] = { grantableScopes: ['blocks:read', 'reports:read'] }
    keeper.policy.invalidate(ACCOUNT)
    t.same(await scopesOf(narrow.plaintextKey), ['blocks:read'])
    t.same(await scopesOf(all.plaintextKey), ['blocks:read', 'reports:read'])
    t.same([await ask(narrow.plaintextKey, 'blocks:write'), await ask(all.plaintextKey, 'blocks:write'), await ask(all.plaintextKey, 'reports:read')], [false, false, true])

    plans[ACCOUNT] = { grantableScopes: [] }
    keeper.policy.invalidate(ACCOUNT)
    t.same([await scopesOf(narrow.plaintextKey), await scopesOf(all.plaintextKey)], [[], []])
    t.same(await keysOf(storage), before, 'no row was touched')
    t.match((await keys.get(ACCOUNT, narrow.apiKey.publicId)).scopes, ['blocks:read', 'blocks:write'])

    plans[ACCOUNT] = {}
    keeper.policy.invalidate(ACCOUNT)
    t.same([await scopesOf(narrow.plaintextKey), await scopesOf(all.plaintextKey)], [['blocks:read', 'blocks:write'], null])
  })

  t.test('bounds what is issued: scopes, keys, lifetimes, an expiry; the default key is cut to it', async (t) => {
    const { plans, keys, storage } = await planned(t, { keys: { maxLifetime: '30 days', lifetime: '20 days', defaultKey: { scopes: ['blocks:read', 'blocks:write'] } } })
    plans[ACCOUNT] = { grantableScopes: ['blocks:read'], maxKeys: 3 }
    await t.rejects(keys.issue(by, { label: 'x', scopes: ['blocks:read', 'blocks:write'] }), { code: 'FORBIDDEN', message: 'scopes.1: this account may not grant blocks:write' })
    await t.rejects(keys.issue(by, { label: 'x', scopes: ['blocks:delete'] }), { code: 'INVALID_REQUEST', details: { field: 'scopes.0' } })
    const { apiKey } = await keys.issue(by, { label: 'x' })
    t.match(apiKey, { scopes: ['blocks:read'], expiresAt: new Date(NOW + 20 * DAY).toISOString() })
    await t.rejects(keys.update(by, apiKey.publicId, { scopes: ['blocks:write'] }), { code: 'FORBIDDEN' })
    t.match(await keys.update(by, apiKey.publicId, { scopes: null }), { scopes: null }, 'all that the account may grant')
    t.match((await keys.issueDefault(by)).apiKey, { scopes: ['blocks:read'] })

    for (const [maxLifetime, days] of [['10 days', 10], ['90 days', 30]] as const) {
      plans[ACCOUNT] = { maxLifetime }
      const latest = NOW + days * DAY
      await t.rejects(keys.renew(by, apiKey.publicId, { expiresAt: new Date(latest + 1).toISOString() }), {
        code: 'INVALID_REQUEST', message: `expiresAt: must not be later than ${new Date(latest).toISOString()}`
      }, 'the shorter of both limits')
      await t.rejects(keys.renew(by, apiKey.publicId, { expiresAt: null }), { code: 'INVALID_REQUEST', details: { field: 'expiresAt' } })
      t.match(await keys.renew(by, apiKey.publicId, { expiresAt: new Date(latest).toISOString() }), { expiresAt: new Date(latest).toISOString() })
      t.match(await keys.renew(by, apiKey.publicId), { expiresAt: new Date(NOW + Math.min(20, days) * DAY).toISOString() })
    }

    plans[ACCOUNT] = { maxKeys: 2 }
    const before = await keysOf(storage)
    await t.rejects(keys.issue(by, { label: 'third' }), { code: 'KEY_LIMIT_REACHED', statusCode: 409, details: { maxKeys: 2 } })
    await t.rejects(keys.issueDefault(by, { environment: 'test' }), { code: 'KEY_LIMIT_REACHED' })
    t.same(await keysOf(storage), before)
    plans[ACCOUNT] = { maxKeys: 1 }
    t.match(await keys.rotate(by, apiKey.publicId), { action: 'rotated' }, 'a smaller plan takes no key away, and lets them be rotated')
    t.match(await keys.issueDefault(by), { action: 'rotated' })
  })

  t.test('that asks for an expiry refuses a key without one, the default key too where it has no lifetime', async (t) => {
    const { plans, keys } = await planned(t)
    const { apiKey } = await keys.issue(by, { label: 'From before' })
    plans[ACCOUNT] = { requireExpiry: true }
    const refused = { code: 'INVALID_REQUEST', details: { field: 'expiresAt' }, message: 'expiresAt: is required: keys of this account must expire' }
    await t.rejects(keys.issue(by, { label: 'x' }), refused)
    await t.rejects(keys.issue(by, { label: 'x', expiresAt: null }), refused)
    await t.rejects(keys.issueDefault(by), refused)
    await t.rejects(keys.renew(by, apiKey.publicId), refused)
    t.match((await keys.issue(by, { label: 'x', expiresAt: '2027-01-01T00:00:00+01:00' })).apiKey, { expiresAt: '2026-12-31T23:00:00.000Z' })
    plans[ACCOUNT] = { requireExpiry: true, maxLifetime: '1 day' }
    t.match((await keys.issueDefault(by)).apiKey, { expiresAt: new Date(NOW + DAY).toISOString() })
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'active', expiresAt: null }, 'what was issued before stays')
  })

  t.test('has rate limits of its own: shown, charged and changed without touching a row', async (t) => {
    const { plans, clock, storage, call, keeper, keys } = await planned(t, { rateLimit: { max: 9, timeWindow: '1 hour' } })
    const { plaintextKey, apiKey } = await keys.issue(by, { label: 'Server' })
    t.match(apiKey.rateLimits, [{ name: 'default', max: 9, windowSeconds: 3600 }])
    const before = await rowsOf(storage)
    plans[ACCOUNT] = { rateLimits: [{ name: 'burst', max: 2, timeWindow: '10s' }] }
    keeper.policy.invalidate(ACCOUNT)
    const statuses: number[] = []
    for (let i = 0; i < 3; i++) statuses.push((await call(plaintextKey!)).statusCode)
    t.same(statuses, [200, 200, 429])
    t.same((await keys.list(ACCOUNT)).apiKeys[0]!.rateLimits, [{ name: 'burst', max: 2, windowSeconds: 10, remaining: 0, resetSeconds: 10 }])
    t.match((await keeper.usage.snapshot(ACCOUNT)).perKey, [{ rateLimits: [{ name: 'burst', remaining: 0 }] }])
    plans[ACCOUNT] = { rateLimits: false }
    keeper.policy.invalidate(ACCOUNT)
    t.equal((await call(plaintextKey!)).statusCode, 200)
    t.same((await keys.get(ACCOUNT, apiKey.publicId)).rateLimits, [])
    plans[ACCOUNT] = {}
    clock.pass(CACHE)
    t.match((await call(plaintextKey!)).headers, { 'ratelimit-policy': '"default";q=9;w=3600' })
    t.same(await rowsOf(storage), before)
  })

  t.test('is asked for by each change and by the first request of thirty seconds', async (t) => {
    const { clock, questions, call, keys } = await planned(t)
    const { plaintextKey } = await keys.issue(by, { label: 'Server' })
    t.equal(questions.length, 1)
    for (let i = 0; i < 5; i++) await call(plaintextKey!)
    t.equal(questions.length, 1, 'the change has told it')
    await keys.issue(by, { label: 'Second' })
    t.equal(questions.length, 2)
    clock.pass(CACHE)
    await Promise.all(Array.from({ length: 20 }, async () => await call(plaintextKey!)))
    t.equal(questions.length, 3)
  })

  t.test('that is none, or does not come, is a 503 that names what is wrong in its cause and in the log alone', async (t) => {
    const { plans, clock, storage, questions, call, keeper, keys, lines } = await planned(t, { policy: { onError: 'deny' } })
    const { plaintextKey, apiKey } = await keys.issue(by, { label: 'Server' })
    const before = await rowsOf(storage)
    for (const [answer, cause] of [
      [{ maxKeys: '5' }, { code: 'INVALID_OPTION', details: { option: 'policy.resolve().maxKeys' } }],
      [new Error('the billing database is down'), { message: 'the billing database is down' }]
    ] as const) {
      plans[ACCOUNT] = answer
      clock.pass(CACHE)
      const calls: Array<() => Promise<unknown>> = [
        async () => await keys.issue(by, { label: 'x' }),
        async () => await keys.issueDefault(by),
        async () => await keys.rotate(by, apiKey.publicId),
        async () => await keys.renew(by, apiKey.publicId),
        async () => await keys.update(by, apiKey.publicId, { enabled: true }),
        async () => await keys.update(by, apiKey.publicId, { scopes: ['blocks:read'] }),
        async () => await keeper.sites.add(by, 'https://a.example'),
        async () => await keys.get(ACCOUNT, apiKey.publicId),
        async () => await keys.list(ACCOUNT),
        async () => await keys.find(apiKey.publicId),
        async () => await keeper.usage.snapshot(ACCOUNT),
        async () => await keeper.policy.of(ACCOUNT),
        async () => await keeper.verify(plaintextKey!)
      ]
      for (const [place, call] of calls.entries()) await t.rejects(call, { ...unavailable, cause }, `call ${place}`)
      const answered = await call(plaintextKey!)
      t.equal(answered.statusCode, 503)
      t.equal(answered.headers['retry-after'], '1')
      t.notMatch(answered.body, /maxKeys|billing/)
    }
    t.same(failures(lines), ['Option "policy.resolve().maxKeys" must be an integer from 1 to 100.'], 'once, while it lasts')
    t.same(await rowsOf(storage), before)

    questions.length = 0
    t.match(await keeper.verify('nonsense'), { ok: false, code: 'INVALID_API_KEY' }, 'what is no key needs no plan')
    t.same(questions, [])
    t.match(await keys.update(by, apiKey.publicId, { label: 'Renamed', allowedIps: ['10.0.0.0/8'] }), { label: 'Renamed' })
    t.match(await keys.update(by, apiKey.publicId, { enabled: false }), { status: 'disabled' })
    t.match(await keys.revoke(by, apiKey.publicId), { status: 'revoked', rateLimits: [] }, 'a leaked key can always be stopped')
    t.match(await keys.revokeAll(by), { revokedPublicIds: [] })
    t.same(await keys.count(ACCOUNT), { total: 1, active: 0 })
  })

  t.test('that was remembered goes on serving requests, and no change, where the host says stale', async (t) => {
    const { plans, clock, call, keys } = await planned(t)
    const { plaintextKey, apiKey } = await keys.issue(by, { label: 'Server' })
    plans[ACCOUNT] = new Error('down')
    clock.pass(100 * CACHE)
    t.equal((await call(plaintextKey!)).statusCode, 200)
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'active' })
    const refused: unknown = await keys.rotate(by, apiKey.publicId).catch((error: unknown) => error)
    t.ok(isSelfServeKeysError(refused, 'STORAGE_UNAVAILABLE'))
    t.equal((await call(plaintextKey!)).statusCode, 200)
  })
})
