// The audit log, the account's sites, its end, and what the host is told of every change: on memory and on SQLite.
import t, { type Test } from 'tap'
import { ACTION, auditedChange, CHANGES, foldCase } from '../lib/audit/audit-entry.js'
import { memoryStorage, type AccountEvent, type Actor, type HostEntry, type SelfServeKeysOptions, type Storage } from '../lib/index.js'
import { auditBy, displayName } from '../lib/keys/actor.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { DAY, toIso } from '../lib/time.js'
import { deferred, hostOf, testClock } from './helpers/app.js'
import { ACCOUNT, CUSTOMER, keysOf, NOW, OTHER_ACCOUNT, STRANGE_TEXTS, WORDING } from './helpers/keys.js'

const STORAGES = { memory: () => memoryStorage(), sqlite: () => kyselyStorage({ file: ':memory:' }) }
const SCOPES = { 'blocks:read': 'Read blocks' }
const host: Actor = { accountId: ACCOUNT, credential: 'host' }
const ada: Actor = { accountId: ACCOUNT, credential: 'bearer', actor: { id: 'u1', name: 'Ada Example' }, ip: '203.0.113.7', requestId: 'req-1' }
const stranger: Actor = { accountId: OTHER_ACCOUNT, credential: 'cookie' }
const MISSING_SITES = ['site_00000000000000000000000000', 'site_missing', '', 'key_00000000000000000000000000', 'site_0000000000000000000000000\0', undefined]

async function keeperOf (t: Test, storage: Storage, options: Partial<SelfServeKeysOptions> = {}) {
  const clock = testClock()
  const events: AccountEvent[] = []
  const { app, lines } = await hostOf(t, { clock, storage, scopes: SCOPES, onEvent: (event) => { events.push(event) }, ...options })
  return { app, clock, events, lines, ...app.selfServeKeys }
}

t.test('the entry of a change', async (t) => {
  const target = { type: 'api_key', id: 'key_1', name: 'Server' } as const
  const note = { by: CUSTOMER, wording: WORDING }

  t.test('names who made it, what it was made to, and says so in a sentence', async (t) => {
    t.same(auditedChange(note, 'api_key.rotated', { ...target, successor: 'key_2' }, NOW), {
      change: 'api_key.rotated',
      entry: {
        credential: 'bearer',
        actorId: 'person_1',
        actorName: 'Ada Example',
        ip: '203.0.113.7',
        requestId: 'req-1',
        time: NOW,
        action: 'api_key.rotated',
        targetType: 'api_key',
        targetId: 'key_1',
        detail: 'Rotated API key "Server", its successor is key_2'
      }
    })
    t.equal(auditedChange(note, 'api_key.updated', { ...target, fields: ['label', 'scopes'] }, NOW).entry.detail, 'Updated API key "Server": label, scopes')
    t.equal(auditedChange(note, 'api_key.updated', target, NOW).entry.detail, 'Updated API key "Server": ')
    for (const change of Object.keys(CHANGES)) t.match(change, ACTION)
  })

  t.test('replaces each placeholder once: a label that reads like one, or like a pattern, stays as it is', async (t) => {
    const wording = { ...WORDING, 'api_key.issued': { action: 'created', detail: '{name} {id} {name} {successor}{fields} {other} {}' } }
    for (const name of ['{id}', '{name}', '$&', '$1', '$$', '{successor}', ...STRANGE_TEXTS]) {
      t.match(auditedChange({ by: CUSTOMER, wording }, 'api_key.issued', { ...target, name }, NOW), {
        change: 'api_key.issued', entry: { action: 'created', detail: `${name} key_1 ${name}  {other} {}` }
      })
    }
  })

  t.test('folds the case of ASCII letters alone', async (t) => {
    t.equal(foldCase('AZaz09 ÄÖ İ ẞ 🔑'), 'azaz09 ÄÖ İ ẞ 🔑')
  })

  t.test('names the person, else the key, else the account; for the host nobody', async (t) => {
    const none = { actorName: null, ip: null, requestId: null }
    t.same(auditBy(host), { ...none, credential: 'host', actorId: null })
    t.same(auditBy({ ...host, actor: { id: 'support', name: 'Grace' } }), { ...none, credential: 'host', actorId: 'support', actorName: 'Grace' })
    t.same(auditBy(stranger), { ...none, credential: 'cookie', actorId: OTHER_ACCOUNT })
    t.same(auditBy({ accountId: ACCOUNT, credential: 'api_key', apiKey: 'key_1' }), { ...none, credential: 'api_key', actorId: 'key_1' })
    t.same(auditBy(ada), { credential: 'bearer', actorId: 'u1', actorName: 'Ada Example', ip: '203.0.113.7', requestId: 'req-1' })
    t.equal(displayName({ ...ada, actor: { id: 'u1', name: `${'🔑'.repeat(150)}` } }), '🔑'.repeat(100))
    t.match(auditBy({ ...ada, actor: { id: `a\0${'b'.repeat(300)}`, name: 'x\ud800' } }), { actorId: `a${'b'.repeat(254)}`, actorName: 'x\ufffd' })
  })
})

for (const [name, create] of Object.entries(STORAGES)) {
  t.test(`on ${name}`, async (t) => {
    t.test('the log holds one entry for each committed change in its order, and none for one that was refused', async (t) => {
      const { keys, sites, audit, clock } = await keeperOf(t, create())
      const { apiKey } = await keys.issue(ada, { label: 'Server' })
      clock.pass(1)
      await t.rejects(keys.issue(ada, { label: '' }), { code: 'INVALID_REQUEST' })
      await t.rejects(keys.revoke(stranger, apiKey.publicId), { code: 'API_KEY_NOT_FOUND' })
      await keys.update(host, apiKey.publicId, { label: 'Renamed' })
      await keys.update(host, apiKey.publicId, { label: 'Renamed' })
      const site = await sites.add(stranger, 'https://a.example')
      const { logs, total, limit, offset } = await audit.list(ACCOUNT)
      t.same({ total, limit, offset }, { total: 2, limit: 50, offset: 0 })
      t.same(logs, [
        {
          id: 2,
          time: toIso(NOW + 1),
          action: 'api_key.updated',
          actor: null,
          credential: 'host',
          targetType: 'api_key',
          targetId: apiKey.publicId,
          detail: 'Updated API key "Renamed": label',
          ip: null,
          requestId: null
        },
        {
          id: 1,
          time: toIso(NOW),
          action: 'api_key.issued',
          actor: { id: 'u1', name: 'Ada Example' },
          credential: 'bearer',
          targetType: 'api_key',
          targetId: apiKey.publicId,
          detail: 'Issued API key "Server"',
          ip: '203.0.113.7',
          requestId: 'req-1'
        }
      ])
      t.match(await audit.list(OTHER_ACCOUNT), {
        total: 1, logs: [{ id: 1, action: 'site.added', actor: { id: OTHER_ACCOUNT, name: null }, targetType: 'site', targetId: site.siteId, detail: 'Added site https://a.example' }]
      }, 'an account without a person acts by itself')
      t.same(await audit.list('nobody'), { logs: [], total: 0, limit: 50, offset: 0 })
    })

    t.test('actions are called what the host calls them; the event keeps the name of the change', async (t) => {
      const { keys, sites, audit, events } = await keeperOf(t, create(), {
        audit: { names: { 'api_key.issued': { action: 'api_key.created', detail: 'Created {name} ({id})' }, 'site.added': { action: 'site_add' }, 'site.removed': { detail: 'Gone: {name}' } } }
      })
      const { apiKey } = await keys.issueDefault(ada)
      const { siteId } = await sites.add(ada, 'https://a.example')
      await sites.remove(ada, siteId)
      await keys.revoke(ada, apiKey.publicId)
      t.match((await audit.list(ACCOUNT)).logs.map(({ action, detail }) => [action, detail]).reverse(), [
        ['api_key.created', `Created Default (${apiKey.publicId})`], ['site_add', 'Added site https://a.example'], ['site.removed', 'Gone: https://a.example'], ['api_key.revoked', 'Revoked API key "Default"']
      ])
      t.same(events.map(({ type, entry }) => [type, entry?.action]), [
        ['api_key.issued', 'api_key.created'], ['site.added', 'site_add'], ['site.removed', 'site.removed'], ['api_key.revoked', 'api_key.revoked']
      ])
      t.match(await audit.list(ACCOUNT, { action: 'api_key.issued' }), { total: 0 })
      t.match(await audit.list(ACCOUNT, { action: 'api_key.created' }), { total: 1 })
    })

    t.test('the host adds entries of its own, byte for byte, between those of changes', async (t) => {
      const { keys, audit, events } = await keeperOf(t, create())
      await keys.issueDefault(ada)
      t.same(await audit.record({ ...ada, actor: { id: 'u1' } }, { action: 'login' }), {
        id: 2, time: toIso(NOW), action: 'login', actor: { id: 'u1', name: null }, credential: 'bearer', targetType: null, targetId: null, detail: '', ip: '203.0.113.7', requestId: 'req-1'
      })
      for (const detail of [...STRANGE_TEXTS, '🔑'.repeat(500)]) {
        const entry = await audit.record(host, { action: 'Plan.changed:to-pro_2', detail, targetType: 'plan', targetId: 'pro' })
        t.match(entry, { detail, targetType: 'plan', targetId: 'pro', actor: null })
        t.same((await audit.list(ACCOUNT, { limit: 1 })).logs, [entry])
      }
      t.equal((await keys.issueDefault(ada, { environment: 'test' })).action, 'issued')
      t.match((await audit.list(ACCOUNT, { limit: 1 })).logs, [{ id: STRANGE_TEXTS.length + 4, action: 'api_key.issued' }])
      t.same(events.map(({ type }) => type), ['api_key.issued', 'api_key.issued'], 'the host knows its own')
      t.match(await audit.record({ accountId: 'new account', credential: 'host' }, { action: 'signup' }), { id: 1 })
      t.match(await audit.list('new account'), { total: 1 })
    })

    t.test('what is wrong in an entry or in a query is named, and nothing is added', async (t) => {
      const { audit } = await keeperOf(t, create())
      const entries: Array<[unknown, string]> = [
        [null, 'input'], [{}, 'action'], ...['', 'a b', '.x', 'a'.repeat(65), 'é', 'a\n', 5, null].map((action): [unknown, string] => [{ action }, 'action']),
        [{ action: 'x', time: NOW }, 'time'], [{ action: 'x', actor: 'me' }, 'actor'], [{ action: 'x', detail: '🔑'.repeat(501) }, 'detail'], [{ action: 'x', detail: 'a\0' }, 'detail'],
        [{ action: 'x', detail: null }, 'detail'], [{ action: 'x', detail: '\ud800' }, 'detail'], [{ action: 'x', targetType: 5 }, 'targetType'], [{ action: 'x', targetId: 'a'.repeat(256) }, 'targetId']
      ]
      for (const [entry, field] of entries) await t.rejects(audit.record(host, entry as HostEntry), { code: 'INVALID_REQUEST', statusCode: 400, details: { field } }, field)
      await t.rejects(audit.record({ ...host, accountId: '' }, { action: 'x' }), { code: 'INVALID_REQUEST', details: { field: 'by.accountId' } })
      const queries: Array<[unknown, string]> = [
        ...[0, 101, -1, 1.5, '5', NaN, null, Infinity].map((limit): [unknown, string] => [{ limit }, 'limit']),
        ...[-1, 0.5, '0', NaN, null, 2 ** 53].map((offset): [unknown, string] => [{ offset }, 'offset']),
        [{ action: 5 }, 'action'], [{ action: null }, 'action'], [{ search: ['x'] }, 'search'], [{ search: 'a'.repeat(101) }, 'search'], [{ search: 'a\0' }, 'search'], [{ search: '\ud800' }, 'search'],
        [{ before: 5 }, 'before'], [{ accountId: OTHER_ACCOUNT }, 'accountId'], [null, 'input'], [[], 'input']
      ]
      for (const [query, field] of queries) await t.rejects(audit.list(ACCOUNT, query as object), { code: 'INVALID_REQUEST', details: { field } }, field)
      t.match(await audit.list(ACCOUNT), { total: 0 })
    })

    t.test('pages come newest first with the exact total of what matches, past the end too', async (t) => {
      const { audit } = await keeperOf(t, create())
      for (let i = 1; i <= 120; i++) await audit.record(host, { action: i % 3 === 0 ? 'third' : 'other', detail: `Entry ${i}` })
      await audit.record({ ...host, accountId: OTHER_ACCOUNT }, { action: 'third' })
      const ids = async (query: object): Promise<number[]> => (await audit.list(ACCOUNT, query)).logs.map(({ id }) => id)
      const from = (start: number, count: number): number[] => Array.from({ length: count }, (_, place) => start - place)
      t.same(await ids({}), from(120, 50))
      t.same(await ids({ limit: 100 }), from(120, 100))
      t.same(await ids({ limit: 100, offset: 100 }), from(20, 20))
      t.same(await ids({ limit: 1, offset: 119 }), [1])
      t.same(await audit.list(ACCOUNT, { limit: 7, offset: 120 }), { logs: [], total: 120, limit: 7, offset: 120 })
      t.match(await audit.list(ACCOUNT, { offset: Number.MAX_SAFE_INTEGER }), { logs: [], total: 120 })
      t.match(await audit.list(ACCOUNT, { action: 'third', limit: 2, offset: 1 }), { total: 40, logs: [{ id: 117 }, { id: 114 }] })
      t.match(await audit.list(ACCOUNT, { action: 'third', search: 'entry 1', limit: 1 }), { total: 10, logs: [{ id: 120 }] }, '12, 15, 18 and 102 to 120')
    })

    t.test('search is literal over action, target and detail: % and _ are characters, and only ASCII letters have no case', async (t) => {
      const { audit } = await keeperOf(t, create())
      const details = ['100 % sure', '100 percent', 'snake_case', 'snakeXcase', 'It\'s "Ünïcode"', 'back\\slash', '[a-z]*', 'end']
      for (const detail of details) await audit.record(ada, { action: 'note', detail, targetType: 'page', targetId: 'target-7' })
      const found = async (search: string): Promise<string[]> => (await audit.list(ACCOUNT, { search })).logs.map(({ detail }) => detail).reverse()
      const table: Record<string, string[]> = {
        '%': ['100 % sure'],
        _: ['snake_case'],
        '0 %': ['100 % sure'],
        e_c: ['snake_case'],
        SNAKE: ['snake_case', 'snakeXcase'],
        xCASE: ['snakeXcase'],
        ünï: [],
        ÜNï: ['It\'s "Ünïcode"'],
        '\'s "': ['It\'s "Ünïcode"'],
        '\\': ['back\\slash'],
        '[A-Z]*': ['[a-z]*'],
        NOTE: details,
        'Target-7': details,
        PAGE: details,
        '': details,
        'Ada Example': [],
        u1: [],
        '203.0.113.7': [],
        nothing: []
      }
      for (const [search, expected] of Object.entries(table)) {
        t.same(await found(search), expected, search)
        t.equal((await audit.list(ACCOUNT, { search, limit: 1 })).total, expected.length)
      }
    })

    t.test('entries go when they are older than their retention; ids are never given again', async (t) => {
      const { audit, clock, prune } = await keeperOf(t, create(), { audit: { retention: '10 days' } })
      await audit.record(host, { action: 'old' })
      clock.pass(10 * DAY)
      await prune()
      t.match(await audit.list(ACCOUNT), { total: 1 }, 'not at the very end')
      clock.pass(1)
      await audit.record(host, { action: 'new' })
      await prune()
      t.match(await audit.list(ACCOUNT), { total: 1, logs: [{ action: 'new', id: 2 }] })
      clock.pass(11 * DAY)
      await prune()
      t.match(await audit.record(host, { action: 'newest' }), { id: 3 })
    })

    t.test('sites are normal origins, each once, newest first, bounded by the plan, and the account\'s own', async (t) => {
      const plan: { maxSites?: number, suspended?: boolean } = { maxSites: 3 }
      const { sites, events, audit, clock } = await keeperOf(t, create(), { policy: { resolve: () => plan } })
      const first = await sites.add(ada, 'HTTPS://Shop.Example:443/')
      t.match(first, { siteId: /^site_[0-9A-HJKMNP-TV-Z]{26}$/, origin: 'https://shop.example', createdAt: toIso(NOW) })
      t.same(Object.keys(first), ['siteId', 'origin', 'createdAt'])
      clock.pass(1)
      t.same(await sites.add(ada, 'https://shop.example'), first, 'again: as it is, and nothing changes')
      const second = await sites.add(ada, 'https://*.shop.example')
      const foreign = await sites.add(stranger, 'https://shop.example')
      t.same(await sites.list(ACCOUNT), { sites: [second, first], truncated: false })
      await sites.add(ada, 'http://localhost:3000')
      await t.rejects(sites.add(ada, 'https://fourth.example'), { code: 'SITE_LIMIT_REACHED', statusCode: 409, details: { maxSites: 3 } })
      t.same(await sites.add(ada, 'https://shop.example'), first, 'what is there is not refused for the limit')
      for (const bad of ['javascript:alert(1)', 'https://user@shop.example', 'https://shop.example/path', 'null', '*', 'https://*', 'https://*.com', '', null, 5, {}]) {
        await t.rejects(sites.add(ada, bad as string), {
          code: 'INVALID_REQUEST', statusCode: 400, details: { field: 'name' }, message: 'name: must be an origin such as https://example.com or https://*.example.com'
        }, String(bad))
      }
      const refusal = async (siteId: unknown): Promise<unknown> => await sites.remove(ada, siteId as string).then(() => 'removed', ({ code, statusCode, message, details }: Record<string, unknown>) => ({ code, statusCode, message, details }))
      for (const siteId of [foreign.siteId, ...MISSING_SITES]) {
        t.same(await refusal(siteId), { code: 'SITE_NOT_FOUND', statusCode: 404, message: 'There is no such site.', details: {} }, String(siteId))
      }
      for (const by of [{ ...ada, accountId: '' }, { ...ada, credential: 'x' as 'host' }]) {
        await t.rejects(sites.add(by, 'https://a.example'), { code: 'INVALID_REQUEST' })
        await t.rejects(sites.remove(by, first.siteId), { code: 'INVALID_REQUEST' })
      }
      t.equal((await sites.list(ACCOUNT)).sites.length, 3)
      t.same((await sites.list(OTHER_ACCOUNT)).sites, [foreign])
      plan.maxSites = 0
      await t.rejects(sites.add(stranger, 'https://b.example'), { code: 'SITE_LIMIT_REACHED', details: { maxSites: 0 } })
      plan.suspended = true
      await t.rejects(sites.add(ada, 'https://shop.example'), { code: 'ACCOUNT_SUSPENDED' })
      await sites.remove(ada, first.siteId)
      t.match(await refusal(first.siteId), { code: 'SITE_NOT_FOUND' })
      t.same(events.map(({ type, accountId }) => [type, accountId]), [
        ['site.added', ACCOUNT], ['site.added', ACCOUNT], ['site.added', OTHER_ACCOUNT], ['site.added', ACCOUNT], ['site.removed', ACCOUNT]
      ])
      t.match(await audit.list(ACCOUNT), { total: 4, logs: [{ action: 'site.removed', detail: 'Removed site https://shop.example', targetId: first.siteId }] })
    })

    t.test('a publishable key without origins follows the sites, from the very next request', async (t) => {
      const { keys, sites, verify } = await keeperOf(t, create())
      const { plaintextKey } = await keys.issue(ada, { label: 'Page', access: 'publishable' })
      const from = async (origin: string): Promise<boolean> => (await verify(plaintextKey!, { allowPublishable: true, origin })).ok
      t.equal(await from('https://a.shop.example'), false)
      await sites.add(stranger, 'https://*.shop.example')
      t.equal(await from('https://a.shop.example'), false, 'another account\'s site')
      const { siteId } = await sites.add(ada, 'https://*.shop.example')
      t.same([await from('https://a.shop.example'), await from('https://a.b.shop.example'), await from('https://shop.example')], [true, false, false])
      await sites.remove(ada, siteId)
      t.equal(await from('https://a.shop.example'), false)
    })

    t.test('a hundred and one sites from before a smaller plan are listed as truncated; fifty added at once leave as many as may be', async (t) => {
      const storage = create()
      const { sites, events } = await keeperOf(t, storage, { policy: { resolve: () => ({ maxSites: 5 }) } })
      const settled = await Promise.allSettled(Array.from({ length: 50 }, async (_, place) => await sites.add(ada, `https://a${place}.example`)))
      t.equal(settled.filter(({ status }) => status === 'fulfilled').length, 5)
      t.equal((await sites.list(ACCOUNT)).sites.length, 5)
      t.equal(events.length, 5)
      for (let i = 0; i < 96; i++) {
        const siteId = `site_${String(i).padStart(26, '0')}`
        await storage.addSite({ site: { siteId, accountId: ACCOUNT, origin: `https://b${i}.example`, createdAt: NOW }, maxSites: 1000, now: NOW, acting: null, audit: { by: CUSTOMER, wording: WORDING } })
      }
      const { sites: shown, truncated } = await sites.list(ACCOUNT)
      t.same([shown.length, truncated, shown[0]!.origin], [100, true, 'https://b95.example'])
    })

    t.test('erasing an account leaves nothing of it, and everything of the others', async (t) => {
      const storage = create()
      const questions: string[] = []
      const { app, keys, sites, audit, accounts, usage, flush, verify, events, clock } = await keeperOf(t, storage, {
        policy: { resolve: (accountId) => { questions.push(accountId); return {} } }
      })
      const fill = async (by: Actor): Promise<string> => {
        const issued = await keys.issue(by, { label: 'Server' })
        for (let i = 0; i < 3; i++) await keys.issueDefault(by)
        await sites.add(by, 'https://a.example')
        for (let i = 0; i < 5; i++) await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': issued.plaintextKey! } })
        await flush()
        return issued.plaintextKey!
      }
      const gone = await fill(ada)
      const kept = await fill(stranger)
      const stateOf = async (accountId: string): Promise<unknown> =>
        [await keysOf(storage, accountId), await sites.list(accountId), await audit.list(accountId), await usage.snapshot(accountId), await keys.count(accountId)]
      const before = await stateOf(OTHER_ACCOUNT)
      const told = events.length

      await accounts.erase(ACCOUNT)
      t.match(await verify(gone), { ok: false, code: 'INVALID_API_KEY', message: 'The API key is not valid.' }, 'as if it had never been')
      t.same(await stateOf(ACCOUNT), await stateOf('nobody'))
      t.same(await stateOf(OTHER_ACCOUNT), before)
      t.match(await verify(kept), { ok: true })
      t.same(events.slice(told), [{ type: 'account.erased', accountId: ACCOUNT, entry: null }])
      await accounts.erase(ACCOUNT)
      for (const accountId of ['', ' a', 'a\0', undefined, null]) {
        await t.rejects(accounts.erase(accountId as string), { code: 'INVALID_REQUEST', details: { field: 'accountId' } })
      }

      questions.length = 0
      clock.pass(1)
      const again = await keys.issueDefault(ada)
      t.match(again, { action: 'issued', revokedPublicIds: [] })
      t.same(questions, [ACCOUNT])
      t.match(await audit.list(ACCOUNT), { total: 1 })
      t.match(await usage.snapshot(ACCOUNT), { totalRequests: 0 }, 'nothing of before comes back')
    })
  })
}

t.test('an erased account\'s policy is forgotten, and one of many rows goes in steps', async (t) => {
  const memory = memoryStorage()
  const steps: number[] = []
  let suspended = false
  const { keys, accounts, verify, audit } = await keeperOf(t, {
    ...memory,
    async eraseAccount (accountId, limit) {
      const removed = await memory.eraseAccount(accountId, limit)
      steps.push(removed)
      setImmediate(() => { steps.push(-1) })
      return removed
    }
  }, { policy: { resolve: () => ({ suspended }) } })
  for (let i = 0; i < 1100; i++) await audit.record(host, { action: 'note' })
  await keys.issueDefault(ada)
  await accounts.erase(ACCOUNT)
  t.same(steps.filter((removed) => removed >= 0), [1, 500, 500, 101, 1, 0])
  for (const [place, removed] of steps.slice(0, -1).entries()) if (removed >= 0) t.equal(steps[place + 1], -1, 'others have a turn between any two')
  suspended = true
  const imported = await keys.importHashed(host, { hash: '0'.repeat(64), label: 'Old' })
  t.match(imported, { status: 'active' }, 'the plan is not asked')
  t.match(await verify('nonsense'), { ok: false })
})

t.test('onEvent', async (t) => {
  t.test('is told of every committed change after its commit, with its entry, and of no other', async (t) => {
    const storage = memoryStorage()
    const seen: Array<[string, number]> = []
    const { keys } = await keeperOf(t, storage, {
      onEvent: async (event) => { seen.push([event.type, (await storage.listAudit({ accountId: event.accountId, limit: 100, offset: 0 })).total]) }
    })
    const { apiKey } = await keys.issueDefault(ada)
    await keys.update(ada, apiKey.publicId, { enabled: false })
    await keys.update(ada, apiKey.publicId, { enabled: false })
    await keys.update(ada, apiKey.publicId, { enabled: true })
    await t.rejects(keys.issueDefault(ada, { environment: 'prod' as 'live' }), { code: 'INVALID_REQUEST' })
    await keys.revoke(ada, apiKey.publicId)
    await keys.revoke(ada, apiKey.publicId)
    await new Promise(setImmediate)
    t.same(seen, [['api_key.issued', 1], ['api_key.disabled', 2], ['api_key.enabled', 3], ['api_key.revoked', 4]])
  })

  t.test('is handed the entry as the account\'s owner reads it, never a secret', async (t) => {
    const { keys, audit, events } = await keeperOf(t, memoryStorage())
    const { plaintextKey, apiKey } = await keys.issue(ada, { label: 'Server' })
    await keys.rotate(ada, apiKey.publicId)
    const { logs } = await audit.list(ACCOUNT)
    t.same(events, logs.reverse().map((entry) => ({ type: entry.action, accountId: ACCOUNT, entry })))
    t.notMatch(JSON.stringify(events), plaintextKey!.slice(8))
  })

  t.test('that throws or rejects is logged and hurts nobody: neither the change nor the events after it', async (t) => {
    for (const [how, fail] of Object.entries({
      throws: () => { throw new Error('the mail server is down') },
      rejects: async () => { throw new Error('the mail server is down') },
      'answers with a thing that throws': () => ({ get then () { throw new Error('the mail server is down') } })
    })) {
      let told = 0
      const { keys, lines } = await keeperOf(t, memoryStorage(), { onEvent: () => { told++; return fail() } })
      await keys.issueDefault(ada)
      await keys.issue(ada, { label: 'Second' })
      t.equal((await keys.revokeAll(ada)).revokedPublicIds.length, 2)
      await new Promise(setImmediate)
      t.equal(told, 4, how)
      t.same(lines.filter(({ msg }) => msg === 'onEvent failed').map(({ level, err, type }) => [level, err?.message, type]), [
        'api_key.issued', 'api_key.issued', 'api_key.revoked', 'api_key.revoked'
      ].map((type) => [50, 'the mail server is down', type]), how)
    }
  })

  t.test('is not waited for', async (t) => {
    const { promise, resolve } = deferred()
    const { keys } = await keeperOf(t, memoryStorage(), { onEvent: async () => { await promise } })
    t.match(await keys.issueDefault(ada), { action: 'issued' })
    resolve()
  })

  t.test('may itself make changes, which it is told of as well', async (t) => {
    const types: string[] = []
    const { keys, app } = await keeperOf(t, memoryStorage(), {
      onEvent: async (event) => {
        types.push(event.type)
        if (event.type === 'api_key.issued') await app.selfServeKeys.keys.update(host, event.entry.targetId!, { label: 'Named by the host' })
      }
    })
    const { apiKey } = await keys.issueDefault(ada)
    await new Promise(setImmediate)
    t.same(types, ['api_key.issued', 'api_key.updated'])
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { label: 'Named by the host' })
  })

  t.test('is not told of what the storage did not commit', async (t) => {
    const memory = memoryStorage()
    const { keys, sites, accounts, events } = await keeperOf(t, {
      ...memory,
      issueKey: async () => { throw new Error('down') },
      addSite: async () => { throw new Error('down') },
      eraseAccount: async () => { throw new Error('down') }
    })
    for (const change of [async () => await keys.issueDefault(ada), async () => await sites.add(ada, 'https://a.example'), async () => { await accounts.erase(ACCOUNT) }]) {
      await t.rejects(change as () => Promise<unknown>, { code: 'STORAGE_UNAVAILABLE', details: { part: 'storage' } })
    }
    t.same(events, [])
  })
})
