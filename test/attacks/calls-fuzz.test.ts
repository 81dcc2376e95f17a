// Any value for any argument of `app.selfServeKeys`: done as asked, or refused by name; refused, nothing is written.
import fc, { type Arbitrary } from 'fast-check'
import t from 'tap'
import { isSelfServeKeysError, memoryStorage, type SelfServeKeys, type Storage } from '../../lib/index.js'
import { HOST, NO_KEY, NO_SITE } from '../helpers/account.js'
import { watched } from '../helpers/app.js'
import { build } from '../helpers/host.js'
import { ACCOUNT } from '../helpers/keys.js'
import { shown, withAnything } from '../helpers/strange-values.js'

type Is = (value: unknown) => boolean
interface Call {
  readonly make: (own: SelfServeKeys, value: any) => unknown
  /** What refuses it: the field that INVALID_REQUEST names, or another code. */
  readonly refusal: RegExp
  readonly takes: Is
  readonly near?: Arbitrary<unknown>
}

const WRITES: ReadonlySet<keyof Storage> = new Set([
  'issueKey', 'rotateKey', 'renewKey', 'updateKey', 'revokeKey', 'revokeKeys', 'importKey', 'rehashKeys', 'addSite', 'removeSite', 'recordAudit', 'eraseAccount', 'recordUsage', 'pruneKeys'
])
const none: Is = (value) => value === undefined
const never: Is = () => false
const or = (...ways: Is[]): Is => (value) => ways.some((is) => is(value))
const like = (pattern: RegExp): Is => (value) => typeof value === 'string' && value.isWellFormed() && pattern.test(value)
const among = (...values: unknown[]): Is => (value) => values.includes(value)
const isEmpty: Is = (value) => typeof value === 'object' && value !== null && [null, Object.prototype].includes(Object.getPrototypeOf(value) as null) && Object.keys(value).length === 0
const listOf = (is: Is, least = 0): Is => (value) => Array.isArray(value) && value.length >= least && value.length < 1000 && Array.from(value as unknown[]).every(is)
const text = (least: number, most: number): Is => like(new RegExp(`^[^\\0]{${least},${most}}$`, 'u'))
const isAccount = like(/^(?!\s)\P{Cc}{1,80}(?<!\s)$/u)
const isPerson: Is = (value) => typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string' && ['string', 'undefined'].includes(typeof (value as { name?: unknown }).name)
const isMetadata: Is = (value) => value === null || (typeof value === 'object' && [null, Object.prototype].includes(Object.getPrototypeOf(value) as null) && JSON.stringify(value).startsWith('{') && JSON.stringify(value).length < 4000)
const isTime = like(/^2999-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
const times = fc.date({ min: new Date('2999-01-01'), max: new Date('2999-12-31'), noInvalidDate: true }).map((date) => date.toISOString())
const HASH = 'a'.repeat(64)
/** Nobody's: what is asked of it changes nothing. */
const NOBODY = { accountId: 'nobody', credential: 'host' } as const

const KEY_FIELDS: Record<string, Pick<Call, 'takes' | 'near'>> = {
  label: { takes: text(1, 100), near: fc.string({ unit: 'grapheme', maxLength: 110 }) },
  environment: { takes: or(none, among('live', 'test')), near: fc.constantFrom('live', 'test', 'Live') },
  access: { takes: or(none, among('secret')), near: fc.constantFrom('secret', 'public') },
  scopes: { takes: or(none, among(null), listOf(among('blocks:read', 'transactions:write'), 1)), near: fc.array(fc.constantFrom('blocks:read', 'transactions:write', 'a:b', null), { maxLength: 3 }) },
  allowedOrigins: { takes: or(none, listOf(among('https://a.example', 'http://localhost:3000'))), near: fc.array(fc.constantFrom('https://a.example', 'null', '*', 'http://localhost:3000'), { maxLength: 3 }) },
  allowedIps: { takes: or(none, listOf(among('10.0.0.0/8', '::1'))), near: fc.array(fc.constantFrom('10.0.0.0/8', '::1', '10.0.0.1/8', 5), { maxLength: 3 }) },
  expiresAt: { takes: or(none, among(null), isTime), near: times }
}
const fields = (op: string, make: (own: SelfServeKeys, input: object) => unknown, more: typeof KEY_FIELDS = {}): Array<[string, Call]> =>
  Object.entries({ ...KEY_FIELDS, ...more }).map(([field, call]) => [`${op}: ${field}`, { ...call, refusal: new RegExp(`^${field}(\\.\\d+)?$`), make: (own, value) => make(own, { label: 'x', [field]: value }) }])

const CALLS: Record<string, Call> = {
  ...Object.fromEntries<Call>(([
    ['issueDefault', ({ keys }, by) => keys.issueDefault(by)], ['issue', ({ keys }, by) => keys.issue(by, { label: 'x' })], ['rotate', ({ keys }, by) => keys.rotate(by, NO_KEY)],
    ['renew', ({ keys }, by) => keys.renew(by, NO_KEY)], ['update', ({ keys }, by) => keys.update(by, NO_KEY, {})], ['revoke', ({ keys }, by) => keys.revoke(by, NO_KEY)],
    ['revokeAll', ({ keys }, by) => keys.revokeAll(by)], ['importHashed', ({ keys }, by) => keys.importHashed(by, { label: 'x', hash: HASH })], ['resetRateLimits', ({ keys }, by) => keys.resetRateLimits(by, NO_KEY)],
    ['sites.add', ({ sites }, by) => sites.add(by, 'https://a.example')], ['sites.remove', ({ sites }, by) => sites.remove(by, NO_SITE)], ['audit.record', ({ audit }, by) => audit.record(by, { action: 'login' })]
  ] as Array<[string, Call['make']]>).map(([name, make]) => [`${name}: by`, { make, takes: never, refusal: /^by(\.accountId)?$/ }])),
  ...Object.fromEntries(Object.entries<Pick<Call, 'takes'>>({
    accountId: { takes: isAccount }, credential: { takes: among('bearer', 'cookie', 'host') }, actor: { takes: or(none, isPerson) }, apiKey: { takes: none }, ip: { takes: or(none, text(0, 255)) }, requestId: { takes: or(none, text(0, 255)) }
  }).map(([field, { takes }]) => [`by.${field}`, { takes, make: ({ audit }, value) => audit.record({ ...HOST, [field]: value }, { action: 'login' }), refusal: new RegExp(`^by\\.(${field}|apiKey)$`) } satisfies Call])),
  'by.actor.id': { make: ({ keys }, id) => keys.issue({ ...HOST, actor: { id } }, { label: 'x' }), takes: (value) => typeof value === 'string', refusal: /^by\.actor$/ },
  'by.actor.name': { make: ({ keys }, name) => keys.issue({ ...HOST, actor: { id: 'u1', name } }, { label: 'x' }), takes: or(none, (value) => typeof value === 'string'), refusal: /^by\.actor$/ },
  'by.apiKey of a key that acts': { make: ({ keys }, apiKey) => keys.issue({ ...HOST, credential: 'api_key', apiKey }, { label: 'x' }), takes: never, refusal: /^(by\.apiKey|INVALID_API_KEY)$/ },
  ...Object.fromEntries(fields('issue', ({ keys }, input) => keys.issue(HOST, input as never))),
  ...Object.fromEntries(fields('importHashed', ({ keys }, input) => keys.importHashed(HOST, { hash: `${Math.random().toString(16).slice(2).padEnd(64, '0')}`, ...input } as never), {
    hash: { takes: like(/^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/), near: fc.stringMatching(/^[0-9a-f]{63,65}$/) },
    prefix: { takes: or(none, text(0, 64)) },
    first8: { takes: or(none, text(0, 8)) },
    last4: { takes: or(none, text(0, 4)) },
    createdAt: { takes: or(none, among(null), isTime), near: times },
    disabledBy: { takes: or(none, among(null, 'account', 'host')), near: fc.constantFrom('account', 'host') }
  })),
  'issue: input': { make: ({ keys }, value) => keys.issue(HOST, value), takes: never, refusal: /^(input|label|[^]+)$/ },
  'issue: host': { make: ({ keys }, value) => keys.issue(HOST, { label: 'x' }, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  'issue: metadata': { make: ({ keys }, metadata) => keys.issue(HOST, { label: 'x' }, { metadata }), takes: or(none, isMetadata), refusal: /^metadata$/, near: fc.jsonValue() },
  'issue: idempotencyKey': { make: ({ keys }, idempotencyKey) => keys.issue(HOST, { label: 'x' }, { idempotencyKey }), takes: or(none, like(/^[!-~]{1,255}$/)), refusal: /^idempotencyKey$/, near: fc.string() },
  'issueDefault: options': { make: ({ keys }, value) => keys.issueDefault(HOST, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  'issueDefault: environment': { make: ({ keys }, environment) => keys.issueDefault(HOST, { environment }), takes: or(none, among('live', 'test')), refusal: /^environment$/ },
  'rotate: options': { make: ({ keys }, value) => keys.rotate(NOBODY, NO_KEY, value), takes: never, refusal: /^[^]+$/ },
  'rotate: overlapSeconds': { make: ({ keys }, overlapSeconds) => keys.rotate(NOBODY, NO_KEY, { overlapSeconds }), takes: never, refusal: /^(overlapSeconds|API_KEY_NOT_FOUND)$/, near: fc.integer() },
  'renew: options': { make: ({ keys }, value) => keys.renew(NOBODY, NO_KEY, value), takes: never, refusal: /^[^]+$/ },
  'update: input': { make: ({ keys }, value) => keys.update(NOBODY, NO_KEY, value), takes: never, refusal: /^[^]+$/ },
  'update: enabled': { make: ({ keys }, enabled) => keys.update(NOBODY, NO_KEY, { enabled }), takes: never, refusal: /^(enabled|API_KEY_NOT_FOUND)$/ },
  'update: host': { make: ({ keys }, value) => keys.update(NOBODY, NO_KEY, {}, value), takes: never, refusal: /^[^]+$/ },
  'importHashed: input': { make: ({ keys }, value) => keys.importHashed(HOST, value), takes: never, refusal: /^[^]+$/ },
  'revokeAll: options': { make: ({ keys }, value) => keys.revokeAll(NOBODY, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  'revokeAll: actorId': { make: ({ keys }, actorId) => keys.revokeAll(NOBODY, { actorId }), takes: (value) => typeof value === 'string', refusal: /^actorId$/ },
  ...Object.fromEntries<Call>((['rotate', 'renew', 'revoke', 'resetRateLimits'] as const).map((op) => [`${op}: publicId`, { make: ({ keys }, id) => keys[op](NOBODY, id), takes: never, refusal: /^API_KEY_NOT_FOUND$/, near: fc.constant([NO_KEY]) }])),
  'update: publicId': { make: ({ keys }, id) => keys.update(NOBODY, id, {}), takes: never, refusal: /^API_KEY_NOT_FOUND$/, near: fc.constant([NO_KEY]) },
  'get: publicId': { make: ({ keys }, id) => keys.get(ACCOUNT, id), takes: never, refusal: /^API_KEY_NOT_FOUND$/ },
  'find: publicId': { make: async ({ keys }, id) => { if (await keys.find(id) !== null) throw new Error('found') }, takes: () => true, refusal: /^$/ },
  'usage.ofKey: publicId': { make: ({ usage }, id) => usage.ofKey(ACCOUNT, id), takes: never, refusal: /^API_KEY_NOT_FOUND$/, near: fc.constant([NO_KEY]) },
  'sites.add: origin': { make: ({ sites }, origin) => sites.add(HOST, origin), takes: among('https://a.example'), refusal: /^name$/, near: fc.constantFrom('https://a.example', ['https://a.example']) },
  'sites.remove: siteId': { make: ({ sites }, id) => sites.remove(HOST, id), takes: never, refusal: /^SITE_NOT_FOUND$/, near: fc.constant([NO_SITE]) },
  ...Object.fromEntries<Call>(([
    ['list', ({ keys }, id) => keys.list(id)], ['get', ({ keys }, id) => keys.get(id, NO_KEY).catch((error: unknown) => { if (!isSelfServeKeysError(error, 'API_KEY_NOT_FOUND')) throw error })], ['count', ({ keys }, id) => keys.count(id)],
    ['usage.snapshot', ({ usage }, id) => usage.snapshot(id)], ['sites.list', ({ sites }, id) => sites.list(id)], ['audit.list', ({ audit }, id) => audit.list(id)], ['policy.of', ({ policy }, id) => policy.of(id)],
    ['policy.invalidate', async ({ policy }, id) => { policy.invalidate(id) }], ['accounts.erase', ({ accounts }, id) => accounts.erase(id === ACCOUNT ? 'nobody' : id)]
  ] as Array<[string, Call['make']]>).map(([name, make]) => [`${name}: accountId`, { make, takes: isAccount, refusal: /^accountId$/, near: fc.constant([ACCOUNT]) }])),
  'list: options': { make: ({ keys }, value) => keys.list(ACCOUNT, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  ...Object.fromEntries<Call>(Object.entries<Is>({ environment: among('live', 'test'), status: among('active', 'retiring', 'disabled', 'expired', 'revoked'), before: among('start') })
    .map(([field, is]) => [`list: ${field}`, { make: ({ keys }, value) => keys.list(ACCOUNT, { [field]: value }), takes: or(none, is), refusal: new RegExp(`^${field}$`), near: fc.constantFrom('live', ['live'], 'active', 'start', ['start'], NO_KEY, [NO_KEY]) }])),
  'usage.snapshot: options': { make: ({ usage }, value) => usage.snapshot(ACCOUNT, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  'usage.snapshot: window': { make: ({ usage }, window) => usage.snapshot(ACCOUNT, { window }), takes: or(none, among('1h', '24h', '7d', '30d')), refusal: /^window$/, near: fc.constantFrom('1h', ['1h'], '2h') },
  'audit.list: options': { make: ({ audit }, value) => audit.list(ACCOUNT, value), takes: or(none, isEmpty), refusal: /^[^]+$/ },
  ...Object.fromEntries<Call>(Object.entries<Is>({
    limit: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 100, offset: (value) => Number.isSafeInteger(value) && (value as number) >= 0, action: text(0, 100), search: text(0, 100)
  }).map(([field, is]) => [`audit.list: ${field}`, { make: ({ audit }, value) => audit.list(ACCOUNT, { [field]: value }), takes: or(none, is), refusal: new RegExp(`^${field}$`), near: fc.integer({ min: -1, max: 110 }) }])),
  ...Object.fromEntries<Call>(Object.entries<Is>({ action: like(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/), detail: or(none, text(0, 500)), targetType: or(none, text(0, 255)), targetId: or(none, text(0, 255)) })
    .map(([field, is]) => [`audit.record: ${field}`, { make: ({ audit }, value) => audit.record(HOST, { action: 'login', [field]: value }), takes: is, refusal: new RegExp(`^${field}$`), near: fc.string() }])),
  'audit.record: entry': { make: ({ audit }, value) => audit.record(HOST, value), takes: never, refusal: /^[^]+$/ }
}

t.test('any value for any argument is done as asked, or refused by name; refused, nothing is written', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { storage, usage: { prune: false, flushInterval: '1 week' }, policy: { resolve: () => ({ maxKeys: 100 }) } })
  for (const [name, { make, takes, refusal, near }] of Object.entries(CALLS)) {
    await t.test(name, async () => {
      await withAnything(async (value) => {
        // Room for the keys that are issued on the way.
        await app.selfServeKeys.accounts.erase(ACCOUNT)
        calls.length = 0
        const fault = await outcomeOf(async () => await make(app.selfServeKeys, value))
        const right = isTaken(takes, value)
        if (right ? fault !== null : fault === null || !refusal.test(fault)) throw new Error(`${shown(value)}: ${String(fault)}`)
        const written = calls.filter((call) => WRITES.has(call.name) && !(name === 'accounts.erase: accountId' && right))
        if (fault !== null && written.some((call) => !mayStillRefuse(call.name))) throw new Error(`${shown(value)} wrote: ${written.map((call) => call.name).join()}`)
      }, near, 20)
    })
  }
})

/** The decisions that a storage makes itself, under its lock, and refuses without a change. */
function mayStillRefuse (name: keyof Storage): boolean {
  return ['issueKey', 'rotateKey', 'renewKey', 'updateKey', 'revokeKey', 'removeSite'].includes(name)
}

/** null where it was done; else the field that was refused, or the code. */
async function outcomeOf (call: () => Promise<unknown>): Promise<string | null> {
  try {
    await call()
    return null
  } catch (error) {
    if (!isSelfServeKeysError(error)) throw error
    return isSelfServeKeysError(error, 'INVALID_REQUEST') ? error.details.field : error.code
  }
}

function isTaken (takes: Is, value: unknown): boolean {
  try {
    return takes(value)
  } catch {
    return false
  }
}
