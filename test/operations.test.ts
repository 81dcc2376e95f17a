// The operations on keys in process, as a host calls them: on memory and on SQLite, by the host, a session, a cookie and a key.
import t, { type Test } from 'tap'
import { sha256 } from '../lib/crypto.js'
import { memoryStorage, type AccountEvent, type AccountPolicy, type Actor, type ApiKey, type IssueInput, type KeyOperations, type SelfServeKeysOptions, type Storage } from '../lib/index.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { DAY, HOUR, MINUTE, SECOND, toIso } from '../lib/time.js'
import { hostOf, testClock } from './helpers/app.js'
import { ACCOUNT, keysOf, NOW, OTHER_ACCOUNT, STRANGE_TEXTS } from './helpers/keys.js'

const STORAGES = { memory: () => memoryStorage(), sqlite: () => kyselyStorage({ file: ':memory:' }) }
const SCOPES = { 'blocks:read': 'Read blocks', 'blocks:write': 'Write blocks', 'reports:read': 'Read reports' }
const MISSING = ['key_00000000000000000000000000', 'key_missing', '', 'key_0000000000000000000000000\0']
const host: Actor = { accountId: ACCOUNT, credential: 'host' }
const ada: Actor = { accountId: ACCOUNT, credential: 'bearer', actor: { id: 'u1', name: 'Ada Example' }, ip: '203.0.113.7', requestId: 'req-1' }
const grace: Actor = { ...ada, credential: 'cookie', actor: { id: 'u2' } }
const stranger: Actor = { accountId: OTHER_ACCOUNT, credential: 'bearer' }
/** The key as an actor of its account. */
const acting = ({ publicId, label }: ApiKey, accountId = ACCOUNT): Actor => ({ accountId, credential: 'api_key', apiKey: publicId, actor: { id: publicId, name: label } })
const later = (ms: number): string => toIso(NOW + ms)

/** A host whose events are noted, and ways to ask what became of a change. */
async function keeperOf (t: Test, storage: Storage, options: Partial<SelfServeKeysOptions> = {}) {
  const clock = testClock()
  const events: AccountEvent[] = []
  const { app, lines } = await hostOf(t, { clock, storage, scopes: SCOPES, onEvent: (event) => { events.push(event) }, ...options })
  const keeper = app.selfServeKeys
  const works = async (key: string | null): Promise<boolean> => (await keeper.verify(key!)).ok
  /** All that a change could have changed of two accounts. */
  const everything = async (): Promise<unknown> => {
    const of = async (accountId: string): Promise<unknown> => [await keysOf(storage, accountId), await keeper.audit.list(accountId, { limit: 1 }), await keeper.sites.list(accountId)]
    return [await of(ACCOUNT), await of(OTHER_ACCOUNT), events.length]
  }
  return { app, keeper, keys: keeper.keys, clock, events, lines, works, everything }
}

/** Makes a key of each status, with the host's and the owner's way to be disabled, an ended overlap, and its end. */
const IN_STATUS: Record<string, (keys: KeyOperations, by: Actor, pass: (ms: number) => void) => Promise<ApiKey>> = {
  active: async (keys, by) => (await keys.issue(by, { label: 'Server' })).apiKey,
  async retiring (keys, by) {
    const { apiKey } = await keys.issue(by, { label: 'Server' })
    await keys.rotate(by, apiKey.publicId, { overlapSeconds: 600 })
    return await keys.get(by.accountId, apiKey.publicId)
  },
  async disabled (keys, by) {
    const { apiKey } = await keys.issue(by, { label: 'Server' })
    return await keys.update(by, apiKey.publicId, { enabled: false })
  },
  async 'disabled by the host' (keys, by) {
    const { apiKey } = await keys.issue(by, { label: 'Server' })
    return await keys.update({ ...host, accountId: by.accountId }, apiKey.publicId, { enabled: false })
  },
  async expired (keys, by, pass) {
    const { apiKey } = await keys.issue(by, { label: 'Server', expiresAt: later(HOUR) })
    pass(HOUR)
    return await keys.get(by.accountId, apiKey.publicId)
  },
  async retired (keys, by, pass) {
    const { apiKey } = await keys.issue(by, { label: 'Server' })
    await keys.rotate(by, apiKey.publicId, { overlapSeconds: 60 })
    pass(MINUTE)
    return await keys.get(by.accountId, apiKey.publicId)
  },
  async revoked (keys, by) {
    const { apiKey } = await keys.issue(by, { label: 'Server' })
    return await keys.revoke(by, apiKey.publicId)
  }
}
const CHANGES: Record<string, (keys: KeyOperations, by: Actor, id: string) => Promise<unknown>> = {
  rotate: async (keys, by, id) => await keys.rotate(by, id),
  renew: async (keys, by, id) => await keys.renew(by, id, { expiresAt: later(30 * DAY) }),
  enable: async (keys, by, id) => await keys.update(by, id, { enabled: true }),
  disable: async (keys, by, id) => await keys.update(by, id, { enabled: false }),
  rename: async (keys, by, id) => await keys.update(by, id, { label: 'Renamed' }),
  revoke: async (keys, by, id) => await keys.revoke(by, id)
}

for (const [name, create] of Object.entries(STORAGES)) {
  t.test(`on ${name}`, async (t) => {
    t.test('a change is made, changes nothing or is refused by the status of the key; each that is made is one entry and one event', async (t) => {
      type Outcome = string | 'unchanged' | number
      const REVOKED = { rotate: 409, renew: 409, enable: 409, disable: 409, rename: 409, revoke: 'unchanged' }
      const table: Record<string, Record<string, Outcome>> = {
        active: { rotate: 'api_key.rotated', renew: 'api_key.renewed', enable: 'unchanged', disable: 'api_key.disabled', rename: 'api_key.updated', revoke: 'api_key.revoked' },
        retiring: { rotate: 409, renew: 409, enable: 409, disable: 409, rename: 'api_key.updated', revoke: 'api_key.revoked' },
        disabled: { rotate: 409, renew: 'api_key.renewed', enable: 'api_key.enabled', disable: 'unchanged', rename: 'api_key.updated', revoke: 'api_key.revoked' },
        'disabled by the host': { rotate: 409, renew: 409, enable: 409, disable: 'unchanged', rename: 'api_key.updated', revoke: 'api_key.revoked' },
        expired: { rotate: 409, renew: 'api_key.renewed', enable: 409, disable: 409, rename: 'api_key.updated', revoke: 'api_key.revoked' },
        retired: REVOKED,
        revoked: REVOKED
      }
      t.same(Object.keys(table), Object.keys(IN_STATUS))
      for (const [status, outcomes] of Object.entries(table)) {
        for (const [change, outcome] of Object.entries(outcomes)) {
          const { keys, clock, events, everything } = await keeperOf(t, create())
          const key = await IN_STATUS[status]!(keys, ada, (ms) => { clock.pass(ms) })
          const before = await everything()
          const told = events.length
          const of = `${change} of one that is ${status}`
          if (outcome === 409) {
            await t.rejects(CHANGES[change]!(keys, ada, key.publicId), { code: 'API_KEY_NOT_ACTIVE', statusCode: 409, details: { status: key.status } }, of)
          } else await CHANGES[change]!(keys, ada, key.publicId)
          if (outcome === 409 || outcome === 'unchanged') t.same(await everything(), before, of)
          else t.same(events.slice(told).map(({ type, entry }) => [type, entry?.targetId]), [[outcome, key.publicId]], of)
        }
      }
    })

    t.test('another account\'s key is answered as a missing one by every change, and stays as it is', async (t) => {
      const { keys, everything } = await keeperOf(t, create())
      const { apiKey } = await keys.issue(ada, { label: 'Server' })
      const own = await keys.issue(stranger, { label: 'Own' })
      const before = await everything()
      for (const by of [stranger, { ...host, accountId: OTHER_ACCOUNT }, acting(own.apiKey, OTHER_ACCOUNT)]) {
        for (const [change, make] of Object.entries(CHANGES)) {
          const refusals = await Promise.all([apiKey.publicId, ...MISSING].map(async (id) =>
            await make(keys, by, id).then(() => 'made', ({ code, message, details }: Record<string, unknown>) => JSON.stringify([code, message, details]))))
          t.same(new Set(refusals), new Set(['["API_KEY_NOT_FOUND","There is no such API key.",{}]']), `${change} by ${by.credential}`)
        }
      }
      t.same(await everything(), before)
    })

    t.test('a named key is as it was asked for, byte for byte; what was not said is the default', async (t) => {
      const storage = create()
      const { keys, works } = await keeperOf(t, storage)
      const plain = await keys.issue(ada, { label: 'Server' })
      t.match(plain, {
        action: 'issued',
        revokedPublicIds: [],
        replayed: false,
        apiKey: {
          label: 'Server',
          environment: 'live',
          access: 'secret',
          scopes: ['blocks:read', 'reports:read'],
          allowedOrigins: [],
          allowedIps: [],
          status: 'active',
          isDefault: false,
          prefix: 'sk_live_',
          createdBy: 'Ada Example',
          createdAt: later(0),
          expiresAt: null,
          rotatedFrom: null,
          disabledBy: null,
          lastUsedAt: null
        }
      })
      t.match(plain.plaintextKey, /^sk_live_[0-9A-Za-z]{42}$/)
      t.equal(await works(plain.plaintextKey), true)
      const asked = {
        environment: 'test',
        scopes: ['blocks:write', 'blocks:write'],
        allowedOrigins: ['HTTPS://Example.com/', 'https://*.example.com'],
        allowedIps: ['203.0.113.7', '2001:DB8::/32'],
        expiresAt: '2026-02-01T01:00:00+01:00'
      } as const
      for (const label of [...STRANGE_TEXTS, '🔑'.repeat(100), 'a'.repeat(100)]) {
        const { apiKey, plaintextKey } = await keys.issue(ada, { ...asked, label } as unknown as IssueInput)
        const expected = {
          label,
          environment: 'test',
          scopes: ['blocks:write'],
          allowedOrigins: ['https://example.com', 'https://*.example.com'],
          allowedIps: ['203.0.113.7/32', '2001:db8::/32'],
          expiresAt: '2026-02-01T00:00:00.000Z'
        }
        t.match(apiKey, expected)
        t.same(await keys.get(ACCOUNT, apiKey.publicId), apiKey)
        t.match(plaintextKey, /^sk_test_/)
        t.notMatch(JSON.stringify(await keysOf(storage)), plaintextKey!.slice(8))
      }
      const open = await keys.issue(ada, { label: 'Page', access: 'publishable' })
      t.match(open, { plaintextKey: /^pk_live_/, apiKey: { access: 'publishable', scopes: [], prefix: 'pk_live_' } })
      t.equal((await keys.issue(ada, { label: 'All', scopes: null })).apiKey.scopes, null)
    })

    t.test('what is wrong in what is asked for is named, and nothing is stored', async (t) => {
      const { keys, everything } = await keeperOf(t, create(), { keys: { maxOverlap: '1 hour' } })
      const { apiKey } = await keys.issue(ada, { label: 'Server' })
      const page = await keys.issue(ada, { label: 'Page', access: 'publishable' })
      const before = await everything()
      const rules = new Set<string>()
      const refused = async (change: Promise<unknown>, field: string): Promise<void> => {
        await t.rejects(change, { code: 'INVALID_REQUEST', statusCode: 400, details: { field } }, field)
        const { message } = await change.catch((error: Error) => error) as Error
        t.ok(message.startsWith(`${field}: `), message)
        rules.add(message.endsWith(': is not known here') ? 'is not known here' : message)
      }
      const label = 'x'
      const inputs: Array<[input: unknown, field: string]> = [
        [undefined, 'input'], [null, 'input'], [[], 'input'], ['Server', 'input'],
        [{}, 'label'], [{ label: '' }, 'label'], [{ label: 'a'.repeat(101) }, 'label'], [{ label: 'a\0' }, 'label'],
        ...['metadata', 'accountId', 'isDefault', 'createdBy', 'disabledBy', 'hash', 'enabled', 'expiresIn'].map((name): [unknown, string] => [{ label, [name]: null }, name]),
        [{ label, environment: 'prod' }, 'environment'], [{ label, environment: null }, 'environment'], [{ label, access: 'public' }, 'access'],
        [{ label, scopes: [] }, 'scopes'], [{ label, scopes: 'blocks:read' }, 'scopes'], [{ label, scopes: ['blocks:read', 'Blocks:read'] }, 'scopes.1'],
        [{ label, access: 'publishable', scopes: ['blocks:read'] }, 'scopes'], [{ label, access: 'publishable', scopes: null }, 'scopes'],
        [{ label, allowedOrigins: ['javascript:alert(1)'] }, 'allowedOrigins.0'], [{ label, allowedIps: null }, 'allowedIps'], [{ label, allowedIps: ['10.0.0.1/8'] }, 'allowedIps.0'],
        [{ label, expiresAt: later(0) }, 'expiresAt'], [{ label, expiresAt: '2026-02-30T00:00:00Z' }, 'expiresAt'], [{ label, expiresAt: NOW + DAY }, 'expiresAt']
      ]
      for (const [input, field] of inputs) await refused(keys.issue(ada, input as IssueInput), field)
      await refused(keys.issue(ada, { label }, { metadata: [] as never }), 'metadata')
      for (const [input, field] of [[null, 'input'], [{ label }, 'label'], [{ enviroment: 'test' }, 'enviroment']] as const) await refused(keys.issueDefault(ada, input as object), field)
      const updates: Array<[input: unknown, field: string]> = [
        [null, 'input'], [{ enabled: 'no' }, 'enabled'], [{ enabled: null }, 'enabled'], [{ label: '' }, 'label'], [{ label: null }, 'label'], [{ scopes: [] }, 'scopes'],
        ...['metadata', 'environment', 'access', 'expiresAt', 'isDefault', 'accountId', 'disabledBy'].map((name): [unknown, string] => [{ label, [name]: null }, name]),
        [{ allowedOrigins: ['null'] }, 'allowedOrigins.0'], [{ allowedIps: ['x'] }, 'allowedIps.0']
      ]
      for (const [input, field] of updates) await refused(keys.update(ada, apiKey.publicId, input as object), field)
      await refused(keys.update(ada, apiKey.publicId, {}, { metadata: 'x' as never }), 'metadata')
      for (const scopes of [null, ['blocks:read']]) await refused(keys.update(ada, page.apiKey.publicId, { scopes }), 'scopes')
      for (const overlapSeconds of [-1, 0.5, NaN, Infinity, '60', null, 3601]) await refused(keys.rotate(ada, apiKey.publicId, { overlapSeconds: overlapSeconds as number }), 'overlapSeconds')
      await refused(keys.rotate(ada, apiKey.publicId, { overlap: 60 } as object), 'overlap')
      await refused(keys.renew(ada, apiKey.publicId, { expiresAt: later(0) }), 'expiresAt')
      await refused(keys.renew(ada, apiKey.publicId, { label } as object), 'label')
      await refused(keys.revokeAll(ada, { actorId: 5 as never }), 'actorId')
      await refused(keys.revokeAll(ada, { creatorId: 'u1' } as object), 'creatorId')
      await refused(keys.list(ACCOUNT, { status: 'gone' as never }), 'status')
      await refused(keys.list(ACCOUNT, { environment: 'prod' as never }), 'environment')
      const actors: Array<[Partial<Record<keyof Actor, unknown>>, string]> = [
        [{ accountId: '' }, 'by.accountId'], [{ accountId: 'a\0' }, 'by.accountId'], [{ credential: 'root' }, 'by.credential'], [{ credential: undefined }, 'by.credential'],
        [{ credential: 'api_key' }, 'by.apiKey'], [{ credential: 'bearer', apiKey: apiKey.publicId }, 'by.apiKey'], [{ credential: 'host', apiKey: apiKey.publicId }, 'by.apiKey']
      ]
      for (const [wrong, field] of actors) {
        const by = { ...ada, ...wrong } as Actor
        await refused(keys.issue(by, { label }), field)
        await refused(keys.importHashed(by, { label, hash: sha256('x') }), field)
        for (const make of Object.values(CHANGES)) await refused(make(keys, by, apiKey.publicId), field)
        await refused(keys.revokeAll(by), field)
      }
      t.strictSame([...rules].sort(), [
        'access: must be one of secret, publishable',
        'actorId: must be text',
        'allowedIps.0: must be an address or a range of addresses such as 203.0.113.0/24',
        'allowedIps: must be a list of at most 50',
        'allowedOrigins.0: must be an origin such as https://example.com or https://*.example.com',
        'by.accountId: must be an account id',
        'by.apiKey: must be the public id of the key that acts, beside the credential api_key alone',
        'by.credential: must be one of bearer, cookie, api_key, host',
        'enabled: must be true or false',
        'environment: must be one of live, test',
        'expiresAt: must be a time such as 2027-01-31T12:00:00Z, or null',
        'expiresAt: must be in the future',
        'input: must be an object',
        'is not known here',
        'label: is required',
        'label: must be text of 1 to 100 characters, without NUL and lone surrogates',
        'metadata: must be an object or null',
        'overlapSeconds: must be an integer from 0 to 3600',
        'scopes.1: is not a scope of this API',
        'scopes: must be a list of at least one scope, or null for all',
        'scopes: must be left out: a publishable key has none',
        'status: must be one of active, retiring, disabled, expired, revoked'
      ], 'each rule says what it asks for')
      t.same(await everything(), before)
    })

    t.test('metadata comes from the host alone: on the verified key, in no answer, and a successor takes it over', async (t) => {
      const { keeper, keys } = await keeperOf(t, create())
      const metadataOf = async (key: string | null): Promise<unknown> => {
        const verified = await keeper.verify(key!)
        return verified.ok ? verified.apiKey.metadata : verified
      }
      const given = { plan: 'hidden-plan' }
      const { plaintextKey, apiKey } = await keys.issue(ada, { label: 'Server' }, { metadata: given })
      given.plan = 'changed'
      t.same(await metadataOf(plaintextKey), { plan: 'hidden-plan' })
      t.notMatch(JSON.stringify([apiKey, await keys.list(ACCOUNT), await keys.find(apiKey.publicId)]), 'hidden-plan')
      const rotated = await keys.rotate(ada, apiKey.publicId)
      t.same(await metadataOf(rotated.plaintextKey), { plan: 'hidden-plan' })
      await keys.update(host, rotated.apiKey.publicId, {}, { metadata: { plan: 'next' } })
      t.same(await metadataOf(rotated.plaintextKey), { plan: 'next' })
      await keys.update(ada, rotated.apiKey.publicId, { label: 'Renamed' })
      t.same(await metadataOf(rotated.plaintextKey), { plan: 'next' }, 'what is not named stays')
      await keys.update(host, rotated.apiKey.publicId, {}, { metadata: null })
      t.equal(await metadataOf(rotated.plaintextKey), null)
    })

    t.test('fifty parallel creates at maxKeys 5 leave five keys, five entries and five events', async (t) => {
      const { keys, keeper, events, works } = await keeperOf(t, create(), { policy: { resolve: () => ({ maxKeys: 5 }) } })
      const settled = await Promise.allSettled(Array.from({ length: 50 }, async (_, place) =>
        await (place % 10 === 0 ? keys.issueDefault(ada, { environment: 'test' }) : keys.issue(ada, { label: `Key ${place}` }))))
      const made = settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value)
      const issued = made.filter(({ action }) => action === 'issued')
      t.equal(issued.length, 5)
      for (const one of settled) if (one.status === 'rejected') t.match(one.reason, { code: 'KEY_LIMIT_REACHED', details: { maxKeys: 5 } })
      t.match(await keys.count(ACCOUNT), { active: 5 })
      t.equal((await keeper.audit.list(ACCOUNT)).total, made.length)
      t.equal(events.length, made.length)
      const alive = await Promise.all(made.map(async ({ plaintextKey }) => await works(plaintextKey)))
      t.equal(alive.filter(Boolean).length, 5)
      await t.rejects(keys.issue(ada, { label: 'Sixth' }), { code: 'KEY_LIMIT_REACHED' })
    })

    t.test('maxKeys counts active, disabled and retiring keys; one that is renewed from its end counts again', async (t) => {
      const { keys, clock } = await keeperOf(t, create(), { policy: { resolve: () => ({ maxKeys: 3 }) } })
      const expiring = await keys.issue(ada, { label: 'Expiring', expiresAt: later(HOUR) })
      const disabled = await keys.issue(ada, { label: 'Disabled' })
      await keys.update(ada, disabled.apiKey.publicId, { enabled: false })
      const rotated = await keys.issue(ada, { label: 'Rotated' })
      await keys.rotate(ada, rotated.apiKey.publicId, { overlapSeconds: 7200 })
      t.match(await keys.count(ACCOUNT), { total: 4, active: 4 }, 'a rotation is never refused for it')
      const refused = { code: 'KEY_LIMIT_REACHED', details: { maxKeys: 3 } }
      await t.rejects(keys.issue(ada, { label: 'x' }), refused)
      clock.pass(HOUR)
      t.match(await keys.count(ACCOUNT), { active: 3 })
      await t.rejects(keys.issue(ada, { label: 'x' }), refused)
      await t.rejects(keys.renew(ada, expiring.apiKey.publicId), refused)
      t.match(await keys.get(ACCOUNT, expiring.apiKey.publicId), { status: 'expired' })
      clock.pass(HOUR)
      t.match(await keys.renew(ada, expiring.apiKey.publicId), { status: 'active', expiresAt: null })
      await t.rejects(keys.issue(ada, { label: 'x' }), refused)
      await keys.revoke(ada, disabled.apiKey.publicId)
      t.match(await keys.issue(ada, { label: 'x' }), { action: 'issued' })
    })

    t.test('an overlap lets both keys pass until its very end, never longer than the old one would have lived', async (t) => {
      const { keys, clock, works } = await keeperOf(t, create())
      const first = await keys.issue(ada, { label: 'Server', expiresAt: later(HOUR), scopes: ['blocks:write'], allowedIps: [], allowedOrigins: ['https://a.example'] })
      clock.pass(1000)
      const second = await keys.rotate(grace, first.apiKey.publicId, { overlapSeconds: 60 })
      t.match(second, {
        action: 'rotated',
        revokedPublicIds: [],
        apiKey: { label: 'Server', scopes: ['blocks:write'], allowedOrigins: ['https://a.example'], expiresAt: later(HOUR), rotatedFrom: first.apiKey.publicId, createdBy: null, status: 'active' }
      })
      t.not(second.apiKey.publicId, first.apiKey.publicId)
      const both = async (): Promise<boolean[]> => [await works(first.plaintextKey), await works(second.plaintextKey)]
      const end = later(1000 + MINUTE)
      t.match(await keys.get(ACCOUNT, first.apiKey.publicId), { status: 'retiring', retiresAt: end, revokedAt: null, isDefault: false })
      clock.pass(MINUTE - 1)
      t.same(await both(), [true, true])
      clock.pass(1)
      t.same(await both(), [false, true], 'by time alone')
      t.match(await keys.get(ACCOUNT, first.apiKey.publicId), { status: 'revoked', retiresAt: end, revokedAt: end, revokedReason: 'rotated' })
      t.match(await keys.revoke(ada, first.apiKey.publicId), { revokedAt: end, revokedReason: 'rotated' })
      const third = await keys.rotate(ada, second.apiKey.publicId, { overlapSeconds: 7 * 86_400 })
      t.match(await keys.get(ACCOUNT, second.apiKey.publicId), { status: 'retiring', retiresAt: later(HOUR) }, 'its own end is the limit')
      clock.wall = NOW + HOUR
      t.same([await works(second.plaintextKey), await works(third.plaintextKey)], [false, false])
    })

    t.test('a second rotation ends the first overlap, and is told of both keys', async (t) => {
      const { keys, works, events } = await keeperOf(t, create())
      const first = await keys.issueDefault(ada)
      const second = await keys.rotate(ada, first.apiKey.publicId, { overlapSeconds: 600 })
      t.match(second.apiKey, { isDefault: true })
      const third = await keys.rotate(ada, second.apiKey.publicId, { overlapSeconds: 600 })
      t.same(third.revokedPublicIds, [first.apiKey.publicId])
      t.same(await Promise.all([first, second, third].map(async ({ plaintextKey }) => await works(plaintextKey))), [false, true, true])
      const fourth = await keys.issueDefault(ada)
      t.same([...fourth.revokedPublicIds].sort(), [second.apiKey.publicId, third.apiKey.publicId].sort())
      t.same(await Promise.all([second, third, fourth].map(async ({ plaintextKey }) => await works(plaintextKey))), [false, false, true])
      t.same(events.map(({ type }) => type), ['api_key.issued', 'api_key.rotated', 'api_key.rotated', 'api_key.rotated'])
      t.match((await keys.list(ACCOUNT)).apiKeys.map(({ isDefault }) => isDefault), [true, false, false, false])
    })

    t.test('rotated in parallel, a key gets one successor', async (t) => {
      const { keys, works } = await keeperOf(t, create())
      const { apiKey } = await keys.issue(ada, { label: 'Server' })
      const settled = await Promise.allSettled(Array.from({ length: 20 }, async () => await keys.rotate(ada, apiKey.publicId, { overlapSeconds: 60 })))
      const made = settled.filter((one) => one.status === 'fulfilled')
      t.equal(made.length, 1)
      for (const one of settled) if (one.status === 'rejected') t.match(one.reason, { code: 'API_KEY_NOT_ACTIVE', details: { status: 'retiring' } })
      t.equal(await works(made[0]!.value.plaintextKey), true)
      t.same(await keys.count(ACCOUNT), { total: 2, active: 2 })
    })

    t.test('renewing moves the end: by the lifetime such a key has, or as it is asked; the secret stays', async (t) => {
      const { keys, clock, works } = await keeperOf(t, create(), { keys: { lifetime: '10 days', defaultKey: { lifetime: '5 days' } } })
      const named = await keys.issue(ada, { label: 'Server' })
      const standard = await keys.issueDefault(ada)
      t.same([named.apiKey.expiresAt, standard.apiKey.expiresAt], [later(10 * DAY), later(5 * DAY)])
      clock.pass(20 * DAY)
      t.equal(await works(named.plaintextKey), false)
      t.match(await keys.renew(ada, named.apiKey.publicId), { status: 'active', expiresAt: later(30 * DAY) })
      t.match(await keys.renew(ada, standard.apiKey.publicId), { status: 'active', isDefault: true, expiresAt: later(25 * DAY) })
      t.same([await works(named.plaintextKey), await works(standard.plaintextKey)], [true, true])
      t.match(await keys.renew(ada, named.apiKey.publicId, { expiresAt: null }), { expiresAt: null })
      t.match(await keys.renew(ada, named.apiKey.publicId, { expiresAt: later(20 * DAY + 1) }), { expiresAt: later(20 * DAY + 1) }, 'sooner as well')
      clock.pass(10 * DAY)
      t.match(await keys.issueDefault(ada), { action: 'issued' })
      t.match(await keys.renew(ada, standard.apiKey.publicId), { isDefault: false, expiresAt: later(40 * DAY) }, 'a default that lost its slot is a named key')
    })

    t.test('a default key is renewed by its own lifetime where its account\'s keys must expire and others have none', async (t) => {
      const { keys, clock } = await keeperOf(t, create(), { keys: { defaultKey: { lifetime: '5 days' } }, policy: { resolve: () => ({ requireExpiry: true }) } })
      const { apiKey } = await keys.issueDefault(ada)
      clock.pass(DAY)
      t.match(await keys.renew(ada, apiKey.publicId), { isDefault: true, expiresAt: later(6 * DAY) })
      const named = await keys.issue(ada, { label: 'Server', expiresAt: later(2 * DAY) })
      await t.rejects(keys.renew(ada, named.apiKey.publicId), { code: 'INVALID_REQUEST' })
    })

    t.test('what the host disabled stays disabled whatever its owner does, and the host alone enables it', async (t) => {
      const { keys, works } = await keeperOf(t, create())
      const { apiKey, plaintextKey } = await keys.issueDefault(ada)
      await keys.update(ada, apiKey.publicId, { enabled: false })
      t.match(await keys.update(host, apiKey.publicId, { enabled: false }), { disabledBy: 'host' })
      const self = (await keys.issue(ada, { label: 'Wide', scopes: null })).apiKey
      const refused = {
        code: 'API_KEY_NOT_ACTIVE', details: { status: 'disabled' }, message: 'The API key was disabled by the operator of this API, who alone can change that.'
      }
      for (const by of [ada, grace, acting(self)]) {
        for (const change of ['enable', 'renew', 'rotate']) await t.rejects(CHANGES[change]!(keys, by, apiKey.publicId), refused, `${change} by ${by.credential}`)
        await t.rejects(keys.issueDefault(by), refused)
        t.match(await keys.update(by, apiKey.publicId, { enabled: false, label: `Off, by ${by.credential}` }), { disabledBy: 'host' })
        t.equal(await works(plaintextKey), false)
      }
      t.match(await keys.update(host, apiKey.publicId, { enabled: true }), { status: 'active', disabledBy: null })
      t.equal(await works(plaintextKey), true)
      await keys.update(ada, apiKey.publicId, { enabled: false })
      t.match(await keys.issueDefault(ada), { action: 'rotated', revokedPublicIds: [apiKey.publicId], apiKey: { status: 'active' } }, 'what its owner disabled is replaced')
    })

    t.test('revokeAll ends every key of the account, or those one person issued, and no other', async (t) => {
      const { keys, events, works } = await keeperOf(t, create())
      const ofAda = await keys.issue(ada, { label: 'Ada\'s' })
      const ofGrace = await keys.issue(grace, { label: 'Grace\'s', environment: 'test' })
      const standard = await keys.issueDefault(grace)
      const ofHost = await keys.issue(host, { label: 'Host\'s' })
      const other = await keys.issue({ ...stranger, actor: { id: 'u2' } }, { label: 'Other' })
      const all = [ofAda, ofGrace, standard, ofHost, other]
      const alive = async (): Promise<boolean[]> => await Promise.all(all.map(async ({ plaintextKey }) => await works(plaintextKey)))
      t.same(await keys.revokeAll(host, { actorId: 'u3' }), { revokedPublicIds: [] })
      t.same(await keys.revokeAll(host, { actorId: '' }), { revokedPublicIds: [] })
      const told = events.length
      const { revokedPublicIds } = await keys.revokeAll(host, { actorId: 'u2' })
      t.same([...revokedPublicIds].sort(), [ofGrace.apiKey.publicId, standard.apiKey.publicId].sort())
      t.same(await alive(), [true, false, false, true, true])
      t.same(events.slice(told).map(({ type, entry }) => [type, entry?.targetId]), revokedPublicIds.map((id) => ['api_key.revoked', id]))
      t.equal((await keys.revokeAll(ada)).revokedPublicIds.length, 2)
      t.same(await alive(), [false, false, false, false, true])
      t.same(await keys.revokeAll(ada), { revokedPublicIds: [] })
      t.equal(events.length, told + 4)
      t.match(await keys.issueDefault(grace), { action: 'issued', revokedPublicIds: [] })
    })

    t.test('when a person leaves, what they made with keys of theirs ends too; a member without a value ends nothing', async (t) => {
      const { keys, works } = await keeperOf(t, create())
      const own = (await keys.issue(grace, { label: 'Grace\'s', scopes: null })).apiKey
      const child = await keys.issue(acting(own), { label: 'Child', scopes: null })
      const successor = await keys.rotate(acting(own), own.publicId)
      const ofAda = await keys.issue(ada, { label: 'Ada\'s' })
      // @ts-expect-error -- An id that nobody looked up must not end every key of the account.
      await t.rejects(keys.revokeAll(host, { actorId: undefined }), { code: 'INVALID_REQUEST', details: { field: 'actorId' } })
      const { revokedPublicIds } = await keys.revokeAll(host, { actorId: 'u2' })
      t.same([...revokedPublicIds].sort(), [child, successor].map(({ apiKey }) => apiKey.publicId).sort())
      t.same(await Promise.all([child, successor, ofAda].map(async ({ plaintextKey }) => await works(plaintextKey))), [false, false, true])
    })

    t.test('keys of another system go on working by their hashes, in any writing of them', async (t) => {
      const betterAuth = 'kQwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUiOpA'
      const rst = 'rst_3f9a0c7d5e1b2a4c6d8e0f1a2b3c4d5e'
      const accept = [{ pattern: /[A-Za-z]{64}/, maxLength: 64, hash: 'sha256' as const }, { pattern: /rst_[0-9a-f]{32}/, maxLength: 36, hash: 'sha256' as const }]
      const storage = create()
      const { keys, keeper, app, events, everything } = await keeperOf(t, storage, { keys: { accept } })
      const base64 = Buffer.from(sha256(betterAuth), 'hex')
      t.equal(betterAuth.length, 64)
      const imported = await keys.importHashed(host, {
        hash: base64.toString('base64url'), label: 'From Better Auth', prefix: 'ba_', first8: 'kQwErTyU', last4: 'OpA', scopes: ['blocks:write'], createdAt: '2024-05-06T07:08:09Z', expiresAt: null
      }, { metadata: { old: 1 } })
      t.match(imported, {
        label: 'From Better Auth',
        environment: 'live',
        access: 'secret',
        scopes: ['blocks:write'],
        status: 'active',
        isDefault: false,
        maskedKey: 'ba_…OpA',
        first8: 'kQwErTyU',
        createdAt: '2024-05-06T07:08:09.000Z',
        createdBy: null,
        expiresAt: null,
        lastUsedAt: null
      })
      t.match(await keeper.verify(betterAuth, { scopes: ['blocks:write'] }), { ok: true, apiKey: { publicId: imported.publicId, metadata: { old: 1 } } })
      t.match(await keeper.verify(betterAuth, { scopes: ['blocks:read'] }), { ok: false, code: 'INSUFFICIENT_SCOPE' })
      t.match(await keeper.verify(`${betterAuth.slice(0, -1)}B`), { ok: false, code: 'INVALID_API_KEY' })
      const plain = await keys.importHashed(ada, { hash: sha256(rst).toUpperCase(), label: 'From rst', createdAt: null as never })
      t.match(plain, { scopes: ['blocks:read', 'reports:read'], maskedKey: '…', createdAt: later(0), createdBy: 'Ada Example' })
      t.match(await keeper.verify(rst), { ok: true })
      t.equal((await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': rst } })).statusCode, 200)
      t.same(events.map(({ type, entry }) => [type, entry?.detail]), [['api_key.imported', 'Imported API key "From Better Auth"'], ['api_key.imported', 'Imported API key "From rst"']])
      await keeper.flush()

      const before = await everything()
      for (const hash of [base64.toString('base64url'), base64.toString('base64'), base64.toString('hex')]) {
        t.match(await keys.importHashed(ada, { hash, label: 'Again', scopes: null }), { publicId: imported.publicId, label: 'From Better Auth', scopes: ['blocks:write'] })
      }
      await t.rejects(keys.importHashed(stranger, { hash: sha256(rst), label: 'x' }), { code: 'INVALID_REQUEST', message: 'hash: is that of another key', details: { field: 'hash' } })
      const fine = { hash: sha256('x'), label: 'x' }
      const wrong: Array<[unknown, string]> = [
        [null, 'input'], [{ ...fine, label: undefined }, 'label'], [{ ...fine, plaintext: 'x' }, 'plaintext'], [{ ...fine, hash: undefined }, 'hash'], [{ ...fine, hash: 'x' }, 'hash'],
        [{ ...fine, hash: sha256('x').slice(1) }, 'hash'], [{ ...fine, hash: `${sha256('x')}0` }, 'hash'], [{ ...fine, hash: base64 }, 'hash'], [{ ...fine, hash: `${'A'.repeat(43)}==` }, 'hash'],
        [{ ...fine, scopes: ['x:y'] }, 'scopes.0'], [{ ...fine, prefix: 'p'.repeat(65) }, 'prefix'], [{ ...fine, first8: '123456789' }, 'first8'], [{ ...fine, last4: 5 }, 'last4'],
        [{ ...fine, disabledBy: 'me' }, 'disabledBy'], [{ ...fine, createdAt: 'then' }, 'createdAt'], [{ ...fine, expiresAt: 0 }, 'expiresAt'], [{ ...fine, environment: 'prod' }, 'environment'],
        [{ ...fine, access: 'x' }, 'access'], [{ ...fine, allowedIps: ['x'] }, 'allowedIps.0'], [{ ...fine, allowedOrigins: ['x'] }, 'allowedOrigins.0']
      ]
      for (const [input, field] of wrong) await t.rejects(keys.importHashed(host, input as never), { code: 'INVALID_REQUEST', details: { field } }, field)
      t.same(await everything(), before)

      const off = await keys.importHashed(host, { hash: sha256('off'), label: 'Off', disabledBy: 'host', access: 'publishable', environment: 'test', expiresAt: '2025-01-01T00:00:00Z' })
      t.match(off, { status: 'expired', disabledBy: 'host', access: 'publishable', scopes: [] })
      t.match(await keys.importHashed(host, { hash: sha256('on'), label: 'On', disabledBy: null }), { disabledBy: null })
      t.match(await keys.rotate(ada, imported.publicId), { plaintextKey: /^sk_live_[0-9A-Za-z]{42}$/, apiKey: { label: 'From Better Auth', scopes: ['blocks:write'] } })
      t.match(await keeper.verify(betterAuth), { ok: false, code: 'INVALID_API_KEY', message: 'The API key was revoked.' })
    })

    t.test('an imported key is hashed under the current pepper after its first use, and works on', async (t) => {
      const storage = create()
      const rst = 'rst_3f9a0c7d5e1b2a4c6d8e0f1a2b3c4d5e'
      const { keys, keeper, works } = await keeperOf(t, storage, {
        keys: { accept: [{ pattern: /rst_[0-9a-f]{32}/, maxLength: 36, hash: 'sha256' }], peppers: { current: 'p1', keys: { p1: 'a secret of the first pepper, long' } } }
      })
      const { publicId } = await keys.importHashed(host, { hash: sha256(rst), label: 'From rst' })
      await keeper.flush()
      t.match(await storage.findKey(publicId), { hash: sha256(rst), pepperId: null })
      t.equal(await works(rst), true)
      t.match(await storage.findKey(publicId), { pepperId: null }, 'not on the request path')
      await keeper.flush()
      const moved = await storage.findKey(publicId)
      t.match(moved, { pepperId: 'p1', hash: /^[0-9a-f]{64}$/, label: 'From rst' })
      t.not(moved!.hash, sha256(rst))
      t.equal(await works(rst), true)
      t.match(await keys.importHashed(host, { hash: sha256(rst), label: 'Again' }), { publicId, label: 'From rst' }, 'an import that runs again makes no second key')
      t.same(await keys.count(ACCOUNT), { total: 1, active: 1 })
      await keys.revoke(host, publicId)
      t.match(await keys.importHashed(host, { hash: sha256(rst), label: 'Again' }), { publicId, status: 'revoked' })
      t.equal(await works(rst), false)
    })

    t.test('a key that acts gives away no more than it has, by no operation', async (t) => {
      const { keys, keeper, everything } = await keeperOf(t, create())
      const make = async (input: Partial<IssueInput>): Promise<ApiKey> => (await keys.issue(ada, { label: 'x', ...input })).apiKey
      const narrow = await make({ label: 'Narrow', scopes: ['blocks:read'], allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY) })
      const test = await make({ label: 'Test', environment: 'test', scopes: null })
      const within = { scopes: ['blocks:read'], allowedIps: ['10.1.2.0/24'], expiresAt: later(DAY) }
      const targets: Record<string, [by: ApiKey, target: Partial<IssueInput>, message: RegExp]> = {
        scopes: [narrow, { ...within, scopes: ['blocks:read', 'blocks:write'] }, /more scopes/],
        'all scopes': [narrow, { ...within, scopes: null }, /more scopes/],
        addresses: [narrow, { ...within, allowedIps: ['10.0.0.0/8'] }, /more addresses/],
        'any address': [narrow, { ...within, allowedIps: [] }, /more addresses/],
        end: [narrow, { ...within, expiresAt: later(11 * DAY) }, /outlive/],
        'no end': [narrow, { ...within, expiresAt: null }, /outlive/],
        environment: [test, { environment: 'live', scopes: ['blocks:read'] }, /test API key/]
      }
      for (const [more, [by, input, message]] of Object.entries(targets)) {
        const wide = await make({ ...input, label: `Wide: ${more}` })
        const before = await everything()
        const refused = async (change: Promise<unknown>, what: string): Promise<void> => { await t.rejects(change, { code: 'FORBIDDEN', statusCode: 403, message }, `${what}: ${more}`) }
        await refused(keys.rotate(acting(by), wide.publicId), 'rotate')
        await refused(keys.update(acting(by), wide.publicId, { label: 'Mine' }), 'rename')
        await refused(keys.update(acting(by), wide.publicId, { enabled: true }), 'enable')
        await refused(keys.update(acting(by), wide.publicId, { enabled: false, label: 'Mine' }), 'disable and rename')
        if (more !== 'end' && more !== 'no end') await refused(keys.renew(acting(by), wide.publicId), 'renew')
        // Without ranges of its own a key takes over those of the key that issues it.
        if (more !== 'any address') await refused(keys.issue(acting(by), { label: 'x', ...input }), 'issue')
        await refused(keys.importHashed(acting(by), { label: 'x', hash: sha256(more), ...input }), 'import')
        t.same(await everything(), before, more)
        if (more === 'environment') await refused(keys.revoke(acting(by), wide.publicId), 'revoke')
        else t.match(await keys.revoke(acting(by), wide.publicId), { status: 'revoked' }, 'what it may not change it may end')
      }
      await t.rejects(keys.issueDefault(acting(test), { environment: 'live' }), { code: 'FORBIDDEN' })
      await t.rejects(keys.issueDefault(acting(narrow)), { code: 'FORBIDDEN' }, 'the default key has scopes that it lacks')
      const own = await make(within)
      for (const [set, message] of [
        [{ scopes: ['blocks:read', 'blocks:write'] }, /more scopes/], [{ scopes: null }, /more scopes/], [{ allowedIps: [] }, /more addresses/], [{ allowedIps: ['10.0.0.0/8'] }, /more addresses/]
      ] as const) await t.rejects(keys.update(acting(narrow), own.publicId, set as object), { code: 'FORBIDDEN', message })
      for (const expiresAt of [null, later(10 * DAY + 1)]) await t.rejects(keys.renew(acting(narrow), own.publicId, { expiresAt }), { code: 'FORBIDDEN', message: /outlive/ })
      t.match(await keys.get(ACCOUNT, own.publicId), { ...within, label: 'x', status: 'active' })
      t.equal((await keeper.audit.list(ACCOUNT, { search: own.publicId })).total, 1)
    })

    t.test('a key that acts does what is within its own: its end and its addresses are those of what nobody chose', async (t) => {
      const { keys, keeper } = await keeperOf(t, create(), { keys: { defaultKey: { scopes: ['blocks:read'] } } })
      const by = (await keys.issue(ada, { label: 'Deploy', scopes: ['blocks:read'], allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY) })).apiKey
      const issued = await keys.issue(acting(by), { label: 'Child' })
      t.match(issued.apiKey, { scopes: ['blocks:read'], allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY), createdBy: 'Deploy' })
      t.match(await keeper.verify(issued.plaintextKey!, { ip: '10.1.9.9' }), { ok: true })
      t.match(await keeper.verify(issued.plaintextKey!, { ip: '10.2.0.1' }), { ok: false, code: 'IP_NOT_ALLOWED' })
      await t.rejects(keys.issue(acting(by), { label: 'Page', access: 'publishable' }), { code: 'FORBIDDEN', message: /more scopes/ }, 'a publishable key is asked for no scope')
      t.match((await keys.issue(acting(by), { label: 'Test', environment: 'test' })).apiKey, { environment: 'test', expiresAt: later(10 * DAY) }, 'a live key manages test keys')
      const rotated = await keys.rotate(acting(by), issued.apiKey.publicId, { overlapSeconds: 60 })
      t.match(rotated.apiKey, { allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY) })
      t.match(await keys.renew(acting(by), rotated.apiKey.publicId, { expiresAt: later(DAY) }), { expiresAt: later(DAY) })
      t.match(await keys.renew(acting(by), rotated.apiKey.publicId), { expiresAt: later(10 * DAY) })
      t.match(await keys.update(acting(by), rotated.apiKey.publicId, { label: 'Renamed', enabled: false }), { label: 'Renamed', disabledBy: 'account' })
      t.match(await keys.update(acting(by), rotated.apiKey.publicId, { enabled: true }), { status: 'active' })
      t.match((await keys.issueDefault(acting(by))).apiKey, { isDefault: true, allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY) })
      t.match((await keys.issueDefault(acting(by))), { action: 'rotated', apiKey: { allowedIps: ['10.1.0.0/16'], expiresAt: later(10 * DAY) } })
      const wide = (await keys.issue(ada, { label: 'Wide', scopes: null })).apiKey
      t.match(await keys.update(acting(by), wide.publicId, { enabled: false }), { status: 'disabled' }, 'to disable is less than to revoke')
      t.match((await keeper.audit.list(ACCOUNT)).logs[0], { credential: 'api_key', actor: { id: by.publicId, name: 'Deploy' }, targetId: wide.publicId })
      t.match(await keys.rotate(acting(by), by.publicId), { action: 'rotated', apiKey: { label: 'Deploy' } }, 'itself too')
    })

    t.test('a key that acts may hand on as late an end as any key of the account may have, unless it is being replaced', async (t) => {
      const plan: AccountPolicy = { maxLifetime: '90 days' }
      const { keys } = await keeperOf(t, create(), { keys: { maxLifetime: '60 days' }, policy: { resolve: () => plan } })
      const by = (await keys.issue(ada, { label: 'Deploy', scopes: null, expiresAt: later(10 * DAY) })).apiKey
      t.match((await keys.issue(acting(by), { label: 'Child', expiresAt: later(60 * DAY) })).apiKey, { expiresAt: later(60 * DAY) })
      t.match((await keys.issue(acting(by), { label: 'Child' })).apiKey, { expiresAt: later(60 * DAY) })
      plan.maxLifetime = '30 days'
      t.match((await keys.issue(acting(by), { label: 'Child', expiresAt: later(30 * DAY) })).apiKey, { expiresAt: later(30 * DAY) })
      await keys.rotate(ada, by.publicId, { overlapSeconds: 3600 })
      await t.rejects(keys.issue(acting(by), { label: 'Child', expiresAt: later(DAY) }), { code: 'FORBIDDEN', message: /outlive/ })
      t.match((await keys.issue(acting(by), { label: 'Child' })).apiKey, { expiresAt: later(HOUR) }, 'a retiring key hands nothing on that outlives it')
    })

    t.test('a key that has ended, is disabled, unknown or another account\'s acts no more', async (t) => {
      const { keys, clock, everything } = await keeperOf(t, create())
      const target = (await keys.issue(ada, { label: 'Target', scopes: ['blocks:read'] })).apiKey
      const foreign = (await keys.issue(stranger, { label: 'Foreign', scopes: null })).apiKey
      const actors: Array<[string, string]> = [['unknown', MISSING[0]!], ['no id at all', 'nonsense'], ['another account\'s', foreign.publicId]]
      for (const status of ['disabled', 'disabled by the host', 'retired', 'revoked', 'expired']) {
        actors.push([status, (await IN_STATUS[status]!(keys, ada, (ms) => { clock.pass(ms) })).publicId])
      }
      const before = await everything()
      for (const [what, apiKey] of actors) {
        const by: Actor = { accountId: ACCOUNT, credential: 'api_key', apiKey }
        const refused = { code: 'INVALID_API_KEY', statusCode: 401 }
        for (const [change, make] of Object.entries(CHANGES)) await t.rejects(make(keys, by, target.publicId), refused, `${change}, ${what}`)
        await t.rejects(keys.issue(by, { label: 'x' }), refused, what)
        await t.rejects(keys.issueDefault(by), refused, what)
        await t.rejects(keys.revokeAll(by), refused, what)
        await t.rejects(keys.importHashed(by, { label: 'x', hash: sha256('x') }), refused, what)
      }
      t.same(await everything(), before)
      const retiring = await IN_STATUS.retiring!(keys, ada, () => {})
      t.match(await keys.revoke(acting(retiring), target.publicId), { status: 'revoked' }, 'one that is retiring works on')
    })

    t.test('a test key that acts revokes the test keys of its account and leaves the live ones', async (t) => {
      const { keys } = await keeperOf(t, create())
      const make = async (environment: 'live' | 'test', by = ada): Promise<string> => (await keys.issue(by, { label: environment, environment, scopes: null })).apiKey.publicId
      const [live, test, foreign] = [await make('live'), await make('test'), await make('test', stranger)]
      const by = (await keys.issue(ada, { label: 'Test', environment: 'test', scopes: ['blocks:read'] })).apiKey
      t.same([...(await keys.revokeAll(acting(by))).revokedPublicIds].sort(), [test, by.publicId].sort())
      t.match(await keys.get(ACCOUNT, live), { status: 'active' })
      t.match(await keys.get(OTHER_ACCOUNT, foreign), { status: 'active' })
    })

    t.test('find and count see any account; list goes by environment and status', async (t) => {
      const { keys, clock } = await keeperOf(t, create())
      const made: Record<string, string> = {}
      for (const [status, make] of Object.entries(IN_STATUS)) made[status] = (await make(keys, ada, (ms) => { clock.pass(ms) })).publicId
      const { total, active } = await keys.count(ACCOUNT)
      t.equal(total, 9, 'two are successors')
      t.equal(active, (await keys.list(ACCOUNT)).apiKeys.filter(({ status }) => !['revoked', 'expired'].includes(status)).length)
      t.match(await keys.find(made.revoked!), { accountId: ACCOUNT, apiKey: { status: 'revoked' } })
      t.same((await keys.list(ACCOUNT, { status: 'disabled' })).apiKeys.map(({ publicId }) => publicId), [made['disabled by the host'], made.disabled])
      t.same((await keys.list(ACCOUNT, { status: 'expired', environment: 'live' })).apiKeys.map(({ publicId }) => publicId), [made.expired])
      t.same((await keys.list(ACCOUNT, { environment: 'test' })).apiKeys, [])
      t.same((await keys.list(OTHER_ACCOUNT)).apiKeys, [])
    })
  })
}

t.test('the second hand of a clock that steps back opens nothing that was closed', async (t) => {
  const { keys, clock, works } = await keeperOf(t, memoryStorage())
  const { apiKey, plaintextKey } = await keys.issue(ada, { label: 'Server' })
  await keys.revoke(ada, apiKey.publicId)
  clock.wall -= 10 * SECOND
  t.equal(await works(plaintextKey), false)
  t.match(await keys.revoke(ada, apiKey.publicId), { revokedAt: later(0) })
})
