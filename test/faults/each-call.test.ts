// Every call that a change makes to a part that may fail goes wrong once, in every way: it is done as a whole or not at all, and the client is told.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { memoryRateLimitStore, memoryStorage, type SelfServeKeysOptions, type Storage } from '../../lib/index.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { DAY } from '../../lib/time.js'
import { asking, KEYS, makeKey, SITES } from '../helpers/account.js'
import { testClock } from '../helpers/app.js'
import { build, login, logTo, SCOPES } from '../helpers/host.js'
import { ACCOUNT, issue, keysOf, NOW, stateOf } from '../helpers/keys.js'
import { answerOf, KEY_SCOPES, MUTATIONS, PROTECTED, Subject, viewOf } from './mutations.js'
import { Attempt, breakable, FAILURES, pass, SILENCES, type Faults } from './nth-call.js'
import { assertAccepts, sweep, type Rig } from './sweep.js'

const PLAINTEXT = /[sp]k_(live|test)_[0-9A-Za-z]{42}/

/** A host whose every part can break. */
async function host (t: Test, storage: Storage, options: Partial<SelfServeKeysOptions>): Promise<{ rig: Rig, printed: () => string }> {
  const { logger: { stream }, text } = logTo()
  const { app } = await build(t, {
    storage: breakable('storage', storage),
    session: breakable('session', login),
    scopes: { ...SCOPES, [KEY_SCOPES.read]: 'Read keys', [KEY_SCOPES.write]: 'Manage keys' },
    policy: { resolve: async () => await pass('policy', async () => ({ maxKeys: 50 })) },
    authorize: () => pass('authorize', async () => true),
    onEvent: (event) => pass('onEvent', async () => event.type),
    revocation: { maxDelay: '1 hour', channel: breakable('channel', { open () {}, async publish () {}, async close () {} }) },
    accountRoutes: { apiKeys: KEY_SCOPES },
    usage: { flushInterval: '1 week', prune: false },
    ...options
  }, { server: { logger: { level: 'warn', stream } }, after: (app) => app.get(PROTECTED, { config: { apiKey: true } }, async (request) => request.apiKey.publicId) })
  const rig: Rig = {
    patient: app,
    storage,
    changes: (call) => /^storage\.((issue|rotate|renew|update|revoke|import)Keys?|addSite|removeSite|recordAudit)$/.test(call),
    fate: (call) => /^(storage|session|authorize)/.test(call) ? 'fails' : /^(onEvent|channel)/.test(call) ? 'succeeds' : undefined
  }
  return { rig, printed: text }
}

const STORAGES: Record<string, { open: () => Storage, timeout: number, faults: Faults }> = {
  'memory storage': { open: memoryStorage, timeout: 150, faults: { ...FAILURES, ...SILENCES } },
  // Where there is more to wait for than what is broken.
  SQLite: { open: () => kyselyStorage({ file: ':memory:' }), timeout: 10_000, faults: FAILURES }
}

for (const [name, { open, timeout, faults }] of Object.entries(STORAGES)) {
  t.test(`on ${name}, a change of which any call fails, or is never answered, is done as a whole or not at all`, async (t) => {
    const { rig, printed } = await host(t, open(), { timeout })
    const began = performance.now()
    const { violations, tries } = await sweep(rig, MUTATIONS, [{ faults, app: rig.patient, timeout, atATime: 8 }])
    t.same(violations.slice(0, 10), [])
    console.log(`${name}: ${tries} tries in ${Math.round(performance.now() - began)} ms`)
    t.notMatch(printed(), PLAINTEXT)
  })
}

t.test('what stops a key waits for no policy', async (t) => {
  const { rig: { patient, storage } } = await host(t, memoryStorage(), { policy: { resolve: () => { throw new Error('The plans are gone.') } } })
  const key = await issue(storage)
  const ask = asking(patient)
  t.equal((await ask('PATCH', `${KEYS}/${key.publicId}`, { enabled: true })).status, 503)
  t.equal((await ask('PATCH', `${KEYS}/${key.publicId}`, { enabled: false })).json.apiKey.status, 'disabled')
  t.equal((await ask('DELETE', `${KEYS}/${key.publicId}`)).json.apiKey.status, 'revoked')
})

/** Changes of which a rate limit hears: by a session, and by a key. */
const LIMITED = ['rotate a key', 'issue a named key', 'revoke a key', 'issue a key by a key, once', 'revoke a key by a key']

for (const onStoreError of ['local', 'deny', 'allow'] as const) {
  t.test(`where the rate limit store fails, and onStoreError is '${onStoreError}', a change is made as a whole or refused, and what is made is answered`, async (t) => {
    const clock = testClock()
    const store = breakable('store', memoryRateLimitStore({ clock }))
    const timeout = 20
    const { rig } = await host(t, memoryStorage(), { clock, timeout, rateLimit: { limits: { max: 100, timeWindow: '1 minute' }, store, onStoreError } })
    // A store that failed is left alone for a second.
    const recover = (): void => { clock.mono += 1000 }
    let byKey = false
    const fate: Rig['fate'] = (call) => call.startsWith('store.') ? byKey && call === 'store.consume' && onStoreError === 'deny' ? 'fails' : 'succeeds' : rig.fate!(call)
    for (const name of LIMITED) {
      byKey = name.includes('by a key')
      const { violations, tries } = await sweep({ ...rig, fate, recover }, { [name]: MUTATIONS[name]! }, [{ faults: { ...FAILURES, ...SILENCES }, app: rig.patient, timeout }], /^store\./)
      t.same(violations, [])
      t.equal(tries, 10, 'one to charge and one to look, in five ways')
    }

    const { selfServeKeys } = rig.patient
    const by = { accountId: ACCOUNT, credential: 'host' } as const
    const { plaintext, publicId } = await makeKey(rig.patient)
    for (const fault of Object.values({ ...FAILURES, ...SILENCES })) {
      recover()
      await new Attempt([]).run(async () => { t.equal((await asking(rig.patient, { 'x-api-key': plaintext })('GET', PROTECTED)).status, 200) })
      const resetting = new Attempt([2], fault)
      t.match(await resetting.run(async () => await answerOf(async () => { await selfServeKeys.keys.resetRateLimits(by, publicId) })), { status: 503, json: { code: 'STORAGE_UNAVAILABLE' } })
      recover()
      await selfServeKeys.keys.resetRateLimits(by, publicId)
      t.match((await selfServeKeys.keys.get(ACCOUNT, publicId)).rateLimits, [{ remaining: 100 }], 'asked for again, it is reset')
    }
  })
}

t.test('a request whose key is looked up in vain is 503, never 401, and usage counts those whose key was known, each once', async (t) => {
  const storages: Array<[string, Storage, number]> = [['memory storage', memoryStorage(), 20], ['a SQLite file', kyselyStorage({ file: join(t.testdir(), 'keys.db') }), 150]]
  for (const [name, storage, timeout] of storages) {
    const { rig: { patient } } = await host(t, storage, { timeout })
    for (const [what, fault] of Object.entries({ ...FAILURES, ...SILENCES })) {
      for (let place = 1, hit = true; hit; place++) {
        const accountId = `${what}-${place}`
        const { credential } = await makeKey(patient, {}, accountId)
        const calling = new Attempt([place], fault)
        const { status, json } = await calling.run(async () => await asking(patient, credential)('GET', PROTECTED))
        const call = calling.calls[place - 1]
        hit = call !== undefined
        t.equal(status, hit ? 503 : 200, `${name}, ${call}, ${what}`)
        if (hit) t.equal(json.code, 'STORAGE_UNAVAILABLE')
        t.equal((await asking(patient, credential)('GET', PROTECTED)).status, 200, 'the next one passes')

        const flushing = new Attempt([1], fault)
        await t.rejects(flushing.run(async () => { await patient.selfServeKeys.flush() }), { code: 'STORAGE_UNAVAILABLE' })
        t.same(flushing.calls, ['storage.recordUsage'])
        await patient.selfServeKeys.flush()
        const { totalRequests, totalFailures } = await patient.selfServeKeys.usage.snapshot(accountId)
        const known = call === undefined || call === 'policy'
        t.same({ totalRequests, totalFailures }, { totalRequests: known ? 2 : 1, totalFailures: call === 'policy' ? 1 : 0 }, `${name}, ${call}, ${what}`)
        t.equal(patient.selfServeKeys.stats().usageBuffered, 0)
      }
    }
  }
})

t.test('erasing and pruning that fail at any step go on where they were when they are asked for again, and spare the rest', async (t) => {
  const clock = testClock()
  const storage = memoryStorage()
  const told: string[] = []
  const { rig: { patient } } = await host(t, storage, { clock, timeout: 20, onEvent: ({ type, accountId }) => { told.push(`${type} ${accountId}`) } })
  const { selfServeKeys } = patient
  const { credential } = await makeKey(patient, {}, 'bystander')
  const bystander = async (): Promise<unknown> => [await stateOf(storage, 'bystander'), (await asking(patient, credential)('GET', PROTECTED)).status]
  const before = await bystander()

  for (const [what, fault] of Object.entries({ ...FAILURES, ...SILENCES })) {
    for (let place = 1, hit = true; hit; place++) {
      const subject = new Subject(`erased, ${what} ${place}`)
      await subject.make(patient)
      await subject.session(patient)('POST', SITES, { name: 'https://a.example' })
      await assertAccepts(patient, storage, subject)
      const erasing = new Attempt([place], fault)
      const { status } = await erasing.run(async () => await answerOf(async () => { await selfServeKeys.accounts.erase(subject.accountId) }))
      hit = erasing.calls.length >= place && erasing.calls[place - 1]!.startsWith('storage.')
      t.equal(status, hit ? 503 : 200, `${erasing.calls[place - 1]}, ${what}`)
      await assertAccepts(patient, storage, subject)
      await selfServeKeys.accounts.erase(subject.accountId)
      t.same(await viewOf(storage, subject.accountId), { keys: [], audit: [], sites: [] })
      t.equal(told.filter((event) => event === `account.erased ${subject.accountId}`).length, hit ? 1 : 2, 'told of at the end alone')
    }
    for (let place = 1, hit = true; hit; place++) {
      const subject = new Subject(`pruned, ${what} ${place}`)
      await subject.make(patient)
      await issue(storage, { accountId: subject.accountId, expiresAt: NOW - 401 * DAY })
      const pruning = new Attempt([place], fault)
      const { status } = await pruning.run(async () => await answerOf(selfServeKeys.prune))
      hit = pruning.calls.length >= place
      t.equal(status, hit ? 503 : 200, `${pruning.calls[place - 1]}, ${what}`)
      await selfServeKeys.prune()
      t.match(await keysOf(storage, subject.accountId), [{ publicId: subject.keys[0]!.publicId }])
    }
  }
  t.same(await bystander(), before)
})
