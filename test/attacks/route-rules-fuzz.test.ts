// Any value for a route's rule, for a protected scope's and for `verify()`: understood, or it denies. What is malformed never opens a route.
import Fastify, { type FastifyInstance } from 'fastify'
import fc, { type Arbitrary } from 'fast-check'
import t from 'tap'
import { isSelfServeKeysError, memoryStorage, protect, selfServeKeys } from '../../lib/index.js'
import { watched } from '../helpers/app.js'
import { build, login, logTo, SCOPES, storeKey } from '../helpers/host.js'
import { anything, runs, SEED, shown, STRANGE, withAnything } from '../helpers/strange-values.js'

type Is = (value: unknown) => boolean
const isPlain = (value: unknown): value is object => typeof value === 'object' && value !== null && [null, Object.prototype].includes(Object.getPrototypeOf(value) as null)
const listOf = (...items: string[]): Is => (value) => Array.isArray(value) && value.length > 0 && value.length < 1000 && Array.from(value as unknown[]).every((item) => items.includes(item as string))
const isBoolean: Is = (value) => typeof value === 'boolean'
const MEMBERS: Record<string, Is> = {
  scopes: listOf(...Object.keys(SCOPES)),
  anyOfScopes: listOf(...Object.keys(SCOPES)),
  environments: listOf('live', 'test'),
  allowPublishable: isBoolean,
  session: isBoolean,
  optional: isBoolean,
  cost: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
  rateLimit: (value) => value === undefined || value === false || (Array.isArray(value) && value.length === 0)
}
/** Each member with each strange value: a list with nothing but holes in it, for one. */
const EACH = [...Object.keys(MEMBERS), 'nothing'].flatMap((name) => STRANGE.map((value) => ({ [name]: value })))
const isRule: Is = (value) => isPlain(value) && Object.entries(value).every(([name, member]) => Object.hasOwn(MEMBERS, name) && MEMBERS[name]!(member))
/** Looked at as the library may: what throws is malformed. */
const is = (judge: Is, value: unknown): boolean => {
  try {
    return judge(value)
  } catch {
    return false
  }
}

const scopes = fc.oneof(
  fc.array(fc.constantFrom(...Object.keys(SCOPES), 'no:such', '', 1), { maxLength: 3 }), fc.sparseArray(fc.constantFrom(...Object.keys(SCOPES)), { maxLength: 4 }), fc.integer({ min: 0, max: 3 }).map((length) => new Array(length))
)
const near: Arbitrary<unknown> = fc.record({
  scopes,
  anyOfScopes: scopes,
  environments: fc.oneof(fc.sparseArray(fc.constantFrom('live', 'test', 'Live'), { maxLength: 3 }), fc.constantFrom('live')),
  allowPublishable: fc.boolean(),
  session: fc.constantFrom(true, false, 1, 'true', null),
  optional: fc.constantFrom(true, false, 1, 'true', {}),
  cost: fc.constantFrom(1, 5, 0, -1, NaN, '1', 1.5, Infinity),
  rateLimit: fc.constantFrom(false, true, [], {}, 5, { max: '5', timeWindow: '1 minute' }),
  nothing: fc.constant(undefined)
}, { requiredKeys: [] })
const good: Arbitrary<unknown> = fc.record({
  scopes: fc.subarray(Object.keys(SCOPES), { minLength: 1 }),
  anyOfScopes: fc.subarray(Object.keys(SCOPES), { minLength: 1 }),
  environments: fc.subarray(['live', 'test'], { minLength: 1 }),
  allowPublishable: fc.boolean(),
  session: fc.boolean(),
  optional: fc.boolean(),
  cost: fc.integer({ min: 1, max: 9 }),
  rateLimit: fc.constantFrom(false, [])
}, { requiredKeys: [] })
/** Each member with any value, beside nothing else. */
const single = fc.tuple(fc.constantFrom(...Object.keys(MEMBERS), 'nothing'), anything).map(([name, value]) => ({ [name]: value }))

/** What a live key that may all is answered. */
const withKeyStatus = ({ environments }: { environments?: string[] }): number => environments?.includes('live') === false ? 403 : 200

/** A host whose storage is watched, and what its routes are to be asked with: no credentials, a key that may all. */
async function hostWith (app: FastifyInstance) {
  const { storage, calls } = watched(memoryStorage())
  const { plaintext } = await storeKey(storage, { scopes: null })
  app.register(selfServeKeys, { session: login, scopes: SCOPES, storage })
  return { calls, credential: { 'x-api-key': plaintext } }
}

t.test('a rule of a route that was there before the plugin is understood, or every request is refused and logged', async (t) => {
  const values = [...STRANGE, ...EACH, ...fc.sample(fc.oneof(good, near, single, anything), { numRuns: runs(400), seed: SEED })]
  const { logger, lines } = logTo()
  const app = Fastify({ logger })
  t.teardown(async () => { await app.close() })
  values.forEach((value, place) => { app.get(`/${place}`, { config: { apiKey: value as never } }, async () => 'in') })
  const { calls, credential } = await hostWith(app)
  await app.ready()
  let malformed = 0
  for (const [place, value] of values.entries()) {
    const said = lines.length
    calls.length = 0
    const [without, withKey] = [await app.inject(`/${place}`), await app.inject({ url: `/${place}`, headers: credential })]
    const rule = (value === true ? {} : value) as { optional?: boolean, environments?: string[] }
    const right = typeof value === 'boolean' || is(isRule, value)
    const open = value === false || (right && rule.optional === true)
    if (without.statusCode !== (open ? 200 : right ? 401 : 403)) t.fail(`${shown(value)} without a key: ${without.statusCode}`)
    if (withKey.statusCode !== (right ? withKeyStatus(rule) : 403)) t.fail(`${shown(value)} with a key: ${withKey.statusCode}`)
    if (right) continue
    malformed++
    const errors = lines.slice(said).filter(({ level }) => level === 50)
    if (errors.length !== 2 || calls.length !== 0) t.fail(`${shown(value)}: ${errors.length} lines, ${calls.length} calls`)
  }
  t.ok(malformed > 1200 && malformed < values.length - 80, `${malformed} of ${values.length} were malformed`)
})

for (const [what, declare] of Object.entries<(app: FastifyInstance, value: never) => unknown>({
  'a rule of a route': (app, apiKey) => app.get('/reports', { config: { apiKey } }, async () => 'in'),
  'a rule of a scope': (app, config) => app.register(async (scope) => {
    protect(scope, config)
    scope.get('/reports', async () => 'in')
  })
})) {
  t.test(`${what} that is not understood keeps the host from getting ready, and is named`, async (t) => {
    let refused = 0
    await withAnything(async (value) => {
      const ofScope = what.endsWith('scope')
      const right = (ofScope ? value === true || value === undefined : typeof value === 'boolean') || is(isRule, value)
      const app = Fastify()
      await hostWith(app)
      const outcome = await app.register(async (inner) => { declare(inner, value as never) }).ready().then(() => null, (error: unknown) => error)
      await app.close()
      if (right !== (outcome === null)) throw new Error(`${shown(value)}: ${String(outcome)}`)
      if (right) return
      refused++
      const named = isSelfServeKeysError(outcome, 'INVALID_ROUTE_CONFIG') && outcome.message.startsWith('The route config "apiKey" of GET /reports is not valid: ')
      if (!named) throw new Error(`${shown(value)}: ${String(outcome)}`)
    }, fc.oneof(good, near, single), 40)
    t.ok(refused > 60, `${refused} were refused`)
  })
}

t.test('verify() takes a requirement that is understood, refuses any other by name, and takes nothing but text for a key', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { storage })
  const { plaintext } = await storeKey(storage, { scopes: [] })
  const SOURCE: Record<string, Is> = {
    ip: (value) => value === undefined || typeof value === 'string', origin: (value) => value === undefined || value === null || typeof value === 'string', sameOrigin: (value) => value === undefined || isBoolean(value)
  }
  const { scopes: ofScopes, anyOfScopes, environments, allowPublishable } = MEMBERS
  const members: Record<string, Is> = { ...SOURCE, scopes: ofScopes!, anyOfScopes: anyOfScopes!, environments: environments!, allowPublishable: allowPublishable! }
  const isRequirement: Is = (value) => isPlain(value) && Object.entries(value).every(([name, member]) => Object.hasOwn(members, name) && members[name]!(member))
  const check = async (value: unknown): Promise<void> => {
    const outcome = await app.selfServeKeys.verify(plaintext, value as never).catch((error: unknown) => error)
    if (is(isRequirement, value) || value === undefined) {
      // The key has no scopes: where any is asked for, it must not pass.
      const asks = value !== undefined && Object.keys(value as object).some((name) => /scopes/i.test(name))
      if (asks && (outcome as { ok: boolean }).ok !== false) throw new Error(`${shown(value)} passed`)
    } else if (!isSelfServeKeysError(outcome, 'INVALID_REQUEST') || outcome.details.field !== 'requirement') throw new Error(`${shown(value)}: ${shown(outcome)}`)
  }
  for (const value of EACH) await check(value)
  await withAnything(check, fc.oneof(near, single), 200)
  calls.length = 0
  await withAnything(async (value) => {
    t.match(await app.selfServeKeys.verify(value as never), { ok: false, code: 'INVALID_API_KEY' }, shown(value))
  })
  t.same(calls, [], 'the storage is not asked')
})
