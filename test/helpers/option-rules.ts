// What each option of the plugin takes and what that means, told a second time and without the library's readers: for the fuzz to compare.
import fc, { type Arbitrary } from 'fast-check'
import { memoryRateLimitStore, memoryStorage } from '../../lib/index.js'

export const DAY = 86_400_000
const HUNDRED_YEARS = 36_500 * DAY
const MOST_IN_A_HEADER = 999_999_999_999_999
const MAX_TIMER = 2 ** 31 - 1

/** Where the completed options differ from those without the option, and what is there. null: the option must be refused. */
export type Meaning = ReadonlyArray<readonly [place: string, value: unknown]> | null

export interface OptionRule {
  /** As its name is in messages, but for places in lists: `keys.accept[0].pattern` is `keys.accept.pattern`. */
  readonly name: string
  /** The options with this one, and what must stand beside it. */
  readonly given: (value: unknown) => object
  readonly meaning: (value: unknown) => Meaning
  /** Values that it takes, and such that it nearly takes. */
  readonly near: Arbitrary<unknown>
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: DAY, w: 7 * DAY, millisecond: 1, second: 1000, minute: 60_000, hour: 3_600_000, day: DAY, week: 7 * DAY, year: 365 * DAY }
const SHORT = new Set(['ms', 's', 'm', 'h', 'd', 'w'])
/** As `@fastify/rate-limit` has them too. */
const MORE_WORDS: Record<string, number> = { msec: 1, msecs: 1, sec: 1000, secs: 1000, min: 60_000, mins: 60_000, hr: 3_600_000, hrs: 3_600_000, wk: 7 * DAY, wks: 7 * DAY, y: 365 * DAY, yr: 365 * DAY, yrs: 365 * DAY }
const WORDS = new Map([...Object.entries(UNITS).flatMap(([word, ms]) => SHORT.has(word) ? [[word, ms]] : [[word, ms], [`${word}s`, ms]]), ...Object.entries(MORE_WORDS)] as Array<[string, number]>)

function ms (value: unknown, { min = 1, max = Number.MAX_SAFE_INTEGER } = {}): number | null {
  let length: number | null = null
  if (typeof value === 'number') length = Number.isSafeInteger(value) ? value : null
  if (typeof value === 'string' && value.length < 40) {
    const digits = /^[0-9]*/.exec(value)![0]
    const unit = value.slice(digits.length).replace(/^ /, '')
    if (digits.length > 0 && digits.length < 10 && WORDS.has(unit)) length = Number(digits) * WORDS.get(unit)!
  }
  return length !== null && length >= Math.max(min, 1) && length <= max ? length : null
}

export const durations: Arbitrary<unknown> = fc.oneof(
  fc.integer({ min: -1, max: 10 ** 12 }), fc.maxSafeInteger(),
  fc.tuple(fc.integer({ min: 0, max: 10 ** 10 }), fc.constantFrom('', ' ', '  ', '\t'), fc.constantFrom(...WORDS.keys(), 'fortnight', 'Days', 'months', '')).map((parts) => parts.join(''))
)

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && [null, Object.prototype].includes(Object.getPrototypeOf(value) as null)
const isEmpty = (value: unknown): boolean => isPlain(value) && Object.keys(value).length === 0
const isWhole = (value: unknown, min: number, max: number): boolean => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
const isList = (value: unknown): value is unknown[] => Array.isArray(value)
const isEmptyList = (value: unknown): boolean => isList(value) && value.length === 0
const hasMethods = (value: unknown, methods: readonly string[]): boolean =>
  typeof value === 'object' && value !== null && methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')

/** Where the value is put: `keys.accept.pattern` is a member of an item, and its siblings are given. */
function path (name: string, siblings: object = {}): OptionRule['given'] {
  const [top, ...rest] = name.split('.') as [string, ...string[]]
  const put = (names: readonly string[], value: unknown): unknown => {
    const [first, ...others] = names
    return first === undefined ? value : { ...(others.length === 0 && siblings), [first]: put(others, value) }
  }
  return (value) => ({ [top]: put(rest, value) })
}

const some = (values: readonly unknown[]): Arbitrary<unknown> => fc.constantFrom(...values)
const rule = (name: string, place: string, means: (value: unknown) => unknown, near: Arbitrary<unknown>, given = path(name)): OptionRule => ({
  name,
  given,
  near,
  meaning: (value) => {
    if (value === undefined) return []
    const meant = means(value)
    return meant === undefined ? null : [[place, meant]]
  }
})
const required = (one: OptionRule): OptionRule => ({ ...one, meaning: (value) => value === undefined ? null : one.meaning(value) })
const flag = (name: string, place = name): OptionRule => rule(name, place, (value) => typeof value === 'boolean' ? value : undefined, fc.boolean())
const word = (name: string, place: string, words: Record<string, unknown>): OptionRule =>
  rule(name, place, (value) => typeof value === 'string' && Object.hasOwn(words, value) ? words[value] : undefined, some([...Object.keys(words), 'live ', 'LIVE', 'required,optional']))
const duration = (name: string, place: string, bounds: { min?: number, max?: number } = {}, given = path(name)): OptionRule =>
  rule(name, place, (value) => ms(value, bounds) ?? undefined, durations, given)
const lifetime = (name: string): OptionRule => rule(name, name, (value) => value === null ? null : ms(value, { max: HUNDRED_YEARS }) ?? undefined, durations)
const whole = (name: string, place: string, min: number, max: number, given = path(name)): OptionRule =>
  rule(name, place, (value) => isWhole(value, min, max) ? value : undefined, fc.oneof(fc.integer({ min: min - 2, max: min + 50 }), fc.integer({ min: max - 1, max: max + 2 })), given)
const text = (name: string, place: string, is: RegExp, near: Arbitrary<unknown>, given = path(name)): OptionRule =>
  rule(name, place, (value) => typeof value === 'string' && is.test(value) ? value : undefined, fc.oneof(near, fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 4 })), given)
const callable = (name: string, place = name): OptionRule => rule(name, place, (value) => typeof value === 'function' ? value : undefined, fc.func(fc.anything()))
const methods = (name: string, place: string, good: object, names: readonly string[], given = path(name)): OptionRule => rule(
  name, place, (value) => hasMethods(value, names) ? value : undefined,
  fc.oneof(fc.constant(good), fc.constantFrom(...names).map((left) => ({ ...good, [left]: undefined })), fc.constantFrom(...names).map((wrong) => ({ ...good, [wrong]: 'text' }))), given
)
/** An object whose members have rules of their own: empty, it says nothing. */
const group = (name: string, also: (value: unknown) => Meaning = () => null, near: readonly unknown[] = [{}, { nothing: 1 }]): OptionRule => ({
  name, given: path(name), near: some(near), meaning: (value) => value === undefined || isEmpty(value) ? [] : also(value)
})

const LIMIT = { max: 7, timeWindow: '1 minute' }
const complete = { name: 'default', max: 7, windowMs: 60_000 }
const limitName = /^[a-z][a-z0-9_-]{0,31}$/
/** The members of a limit at a path, and where they end up. */
function limit (name: string, place: string, list: boolean, own: string | null = null): OptionRule[] {
  const made = { ...complete, name: own ?? 'default' }
  const rules = [
    required(rule(`${name}.max`, place, (value) => isWhole(value, 1, MOST_IN_A_HEADER) ? { ...made, max: value } : undefined, fc.integer({ min: -1, max: 1000 }), path(`${name}.max`, LIMIT))),
    required(rule(`${name}.timeWindow`, place, (value) => ms(value, { min: 1000 }) === null ? undefined : { ...made, windowMs: ms(value) }, durations, path(`${name}.timeWindow`, LIMIT)))
  ]
  if (own === null) rules.push({ ...rule(`${name}.name`, place, (value) => typeof value === 'string' && limitName.test(value) ? { ...made, name: value } : undefined, fc.string({ maxLength: 6 }), path(`${name}.name`, LIMIT)), meaning: (value) => value === undefined || (typeof value === 'string' && limitName.test(value)) ? [[place, { ...made, name: value ?? 'default' }]] : null })
  return list ? rules.map((one) => ({ ...one, meaning: (value) => one.meaning(value)?.map(([at, meant]) => [at, [meant]] as const) ?? null })) : rules
}
const noLimit = (name: string): OptionRule => ({ name, given: path(name), near: some([false, [], true, {}]), meaning: (value) => value === undefined || value === false || isEmptyList(value) ? [] : null })

const ownPath = /^\/(?!\/)[!-[\]-~]*$/
const isLink = (value: unknown): boolean => typeof value === 'string' && (ownPath.test(value) || (/^https:\/\/[!-~]+$/.test(value) && URL.canParse(value)))
const url = (name: string, place: string): OptionRule => rule(name, place, (value) => isLink(value) ? value : undefined, fc.oneof(fc.webUrl(), fc.webPath(), fc.constantFrom('//a.example', '/\\a', 'http://a.example', 'javascript:0')))
const printable = (most: number): RegExp => new RegExp(`^(?=.*\\S)[^\\p{Cc}\\p{Cs}]{1,${most}}$`, 'su')
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const TAKEN = ['cookie', 'origin', 'host', 'content-length', 'content-type', 'connection', 'transfer-encoding']
const SCOPE = /^[a-z0-9][a-z0-9_.-]*(:[a-z0-9*][a-z0-9_.*-]*)+$/i
const SECRET = 'a secret of more than 32 characters'
const ACCEPT = { pattern: /rst_a*/, maxLength: 64, hash: 'sha256' }
const accepting = (member: string): OptionRule['given'] => (value) => ({ keys: { accept: [{ ...ACCEPT, [member]: value }] } })
const PEPPERS = { current: null, keys: { p1: SECRET } }
const EVERY_PAGE = { path: '/api-key', title: 'API keys', accentColor: null, logo: null, links: [], signInUrl: null, exampleUrl: null, features: ['defaultKey', 'keys', 'usage', 'sites', 'audit'] }
/** Of an option of the page, which is there for it. */
const onPage = (one: OptionRule): OptionRule => ({ ...one, meaning: (value) => { const meant = one.meaning(value); return meant === null ? null : [['dashboard', EVERY_PAGE], ...meant] } })
const SCANNING = { path: '/v1/secret-scanning', onLeak: 'notify', keys: 'https://api.github.com/meta/public_keys/secret_scanning' }
/** Of an option about leaked keys, whose reports are taken for it. */
const onScanning = (one: OptionRule): OptionRule => ({ ...one, meaning: (value) => { const meant = one.meaning(value); return meant === null ? null : [['secretScanning', SCANNING], ...meant] } })
const isSafeUrl = (value: unknown): boolean => {
  if (typeof value !== 'string' || !/^https?:\/\//.test(value) || !URL.canParse(value)) return false
  const { protocol, hostname, username, password } = new URL(value)
  return username === '' && password === '' && (protocol === 'https:' || /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname))
}
/** Of an option of `policy`, which is there for it. */
const onPolicy = (one: OptionRule): OptionRule => ({ ...one, meaning: (value) => value === undefined ? [['policy', { cacheFor: 30_000, onError: 'stale' }]] : one.meaning(value) })
const FEATURES = ['defaultKey', 'keys', 'usage', 'sites', 'audit']
const link = { text: 'Docs', url: '/docs' }
const session = { bearer: () => null, cookie: () => null, token: () => null }
export const SCOPES = { 'blocks:read': 'Read blocks', 'blocks:write': 'Write blocks' }

/** What the fuzz starts from: a session that the page can do with. */
export const BASE = { session, scopes: SCOPES }

const RULES: readonly OptionRule[] = [
  required({ ...methods('session', 'session', session, ['bearer']), meaning: (value) => hasMethods(value, ['bearer']) && hasMethods({ cookie: () => {}, token: () => {}, ...value as object }, ['cookie', 'token']) ? [['session', value]] : null }),
  methods('storage', 'storage', memoryStorage(), Object.keys(memoryStorage())),
  text('routePrefix', 'routePrefix', /^(\/[^/?#\s]+)+$/, fc.array(fc.stringMatching(/^[a-z:.]{0,4}$/)).map((parts) => `/${parts.join('/')}`)),
  group('routes', (value) => {
    if (value === true) return []
    return value === false || (typeof value === 'function' && !isClass(value)) ? [['routes', value]] : null
  }, [true, false, {}, async () => {}, class {}, { nothing: true }]),
  ...['profile', 'defaultKey', 'keys', 'usage', 'sites', 'audit'].map((name) => flag(`routes.${name}`)),
  rule('headers', 'headers', (value) => {
    if (!isList(value) || value.length === 0 || value.length > 1e6) return undefined
    const names = Array.from(value, (name) => typeof name === 'string' ? name.toLowerCase() : '')
    return names.every((name) => TOKEN.test(name) && !TAKEN.includes(name)) ? [...new Set(names)] : undefined
  }, fc.array(fc.constantFrom('X-Key', 'x-key', 'authorization', 'Cookie', 'ORIGIN', 'a b', '', 'Host', 'é'), { maxLength: 4 })),
  {
    name: 'scopes',
    given: path('scopes'),
    near: fc.dictionary(fc.constantFrom('a:read', 'a:b:c', 'A:x', 'a', 'a:', '*:read', 'b:*', `${'a'.repeat(99)}:b`), fc.oneof(fc.string(), fc.constant(1))),
    meaning: (value) => {
      if (value === undefined) return [...['scopes', 'scopeDescriptions'].map((place) => [place, new Map()] as const), ['scopes', new Set()], ['keys.defaultKey.scopes', null]]
      if (!isPlain(value) || !Object.entries(value).every(([name, about]) => name.length <= 100 && SCOPE.test(name) && typeof about === 'string')) return null
      const names = Object.keys(value)
      return [['scopes', new Set(names)], ['scopeDescriptions', new Map(Object.entries(value))], ['keys.defaultKey.scopes', names.length === 0 ? null : names.filter((name) => name.endsWith(':read'))]]
    }
  },
  group('keys'),
  rule('keys.prefix', 'keys.prefix', prefixesOf, fc.oneof(
    fc.constantFrom('acme', 'a', 'a1', '1a', 'acme_', 'Acme', 'abcdefghijklmnop', 'abcdefghijklmnopq'), fc.func(fc.constantFrom('ok_', 'a-B_9', '', 'a b', 'p'.repeat(65), 5, null)))),
  { ...group('keys.peppers'), meaning: (value) => value === undefined ? [] : null },
  required(rule('keys.peppers.current', 'keys.peppers', (value) => value === null || value === 'p1' ? { ...PEPPERS, current: value } : undefined, some(['p1', 'p2', null]), path('keys.peppers.current', PEPPERS))),
  required(rule('keys.peppers.keys', 'keys.peppers', (value) => isPlain(value) && Object.entries(value).every(([id, secret]) => /^[\w-]{1,32}$/.test(id) && typeof secret === 'string' && secret.length >= 32) ? { current: null, keys: { ...value } } : undefined,
    fc.dictionary(fc.string({ maxLength: 4 }), fc.constantFrom(SECRET, 'short')), path('keys.peppers.keys', PEPPERS))),
  group('keys.defaultKey'),
  text('keys.defaultKey.label', 'keys.defaultKey.label', printable(100), fc.string({ unit: 'grapheme', maxLength: 110 })),
  word('keys.defaultKey.environment', 'keys.defaultKey.environment', { live: 'live', test: 'test' }),
  word('keys.defaultKey.access', 'keys.defaultKey.access', { secret: 'secret', publishable: 'publishable' }),
  rule('keys.defaultKey.scopes', 'keys.defaultKey.scopes', (value) => {
    if (value === null) return null
    return isList(value) && value.length > 0 && value.length < 100 && Array.from(value).every((name) => typeof name === 'string' && Object.hasOwn(SCOPES, name)) ? [...new Set(value)] : undefined
  }, fc.array(fc.constantFrom(...Object.keys(SCOPES), 'a:b', '', 1), { maxLength: 3 })),
  lifetime('keys.defaultKey.lifetime'), lifetime('keys.lifetime'), lifetime('keys.maxLifetime'),
  duration('keys.maxOverlap', 'keys.maxOverlap', { max: HUNDRED_YEARS }),
  word('keys.origins', 'keys.originsRequired', { required: true, optional: false }),
  { name: 'keys.accept', given: path('keys.accept'), near: some([[], [ACCEPT], [ACCEPT, 1], [{ ...ACCEPT, more: 1 }]]), meaning: (value) => value === undefined || isEmptyList(value) ? [] : isList(value) && value[0] === ACCEPT && value.length === 1 ? [['keys.accepts', acceptedBy(shapeOf(ACCEPT))]] : null },
  required(rule('keys.accept.pattern', 'keys.accepts', (pattern) => pattern instanceof RegExp ? acceptedBy(shapeOf({ ...ACCEPT, pattern })) : undefined, some([/rst_a*/, /x_a*/g, /^y_a*$/my, /x/, 'rst_']), accepting('pattern'))),
  required(rule('keys.accept.maxLength', 'keys.accepts', (maxLength) => isWhole(maxLength, 1, 256) ? acceptedBy(shapeOf({ ...ACCEPT, maxLength: maxLength as number })) : undefined, fc.integer({ min: -1, max: 260 }), accepting('maxLength'))),
  required(rule('keys.accept.hash', 'keys.accepts', (value) => value === 'sha256' ? acceptedBy(shapeOf(ACCEPT)) : undefined, some(['sha256', 'SHA256', 'md5']), accepting('hash'))),
  duration('keys.retention', 'keys.retention', { min: 31 * DAY }),
  whole('keys.cacheSize', 'keys.cacheSize', 2, 10_000_000),
  { ...group('policy'), meaning: (value) => value === undefined ? [] : null },
  required(rule('policy.resolve', 'policy', (value) => typeof value === 'function' ? { cacheFor: 30_000, onError: 'stale' } : undefined, fc.func(fc.anything()))),
  onPolicy(rule('policy.cacheFor', 'policy', (value) => ms(value) === null ? undefined : { cacheFor: ms(value), onError: 'stale' }, durations, path('policy.cacheFor', { resolve: () => ({}) }))),
  onPolicy(rule('policy.onError', 'policy', (value) => value === 'stale' || value === 'deny' ? { cacheFor: 30_000, onError: value } : undefined, some(['stale', 'deny', 'allow']), path('policy.onError', { resolve: () => ({}) }))),
  noLimit('rateLimit'), ...limit('rateLimit', 'rateLimit.limits', true),
  noLimit('rateLimit.limits'), ...limit('rateLimit.limits', 'rateLimit.limits', true),
  methods('rateLimit.store', 'rateLimit.store', memoryRateLimitStore(), ['consume', 'peek', 'reset']),
  word('rateLimit.onStoreError', 'rateLimit.onStoreError', { local: 'local', deny: 'deny', allow: 'allow' }),
  flag('rateLimit.legacyHeaders'),
  { ...noLimit('rateLimit.failedVerifications'), meaning: (value) => value === undefined || value === false ? [] : null }, ...limit('rateLimit.failedVerifications', 'rateLimit.failedVerifications', false, 'failed-verifications'),
  group('usage', (value) => value === false ? [['usage', null]] : null, [{}, false, true]),
  { ...duration('usage.retention', 'usage.retention', { min: 31 * DAY }), meaning: (value) => value === undefined ? [] : ms(value, { min: 31 * DAY }) === null ? null : [['usage.retention', ms(value)], ['keys.retention', Math.max(400 * DAY, ms(value)!)]] },
  duration('usage.flushInterval', 'usage.flushInterval', { max: MAX_TIMER }),
  whole('usage.maxBuffered', 'usage.maxBuffered', 1, 10_000_000), flag('usage.prune'), callable('usage.sink'),
  group('audit'), group('audit.names'),
  { ...group('audit.names["site.added"]'), given: (value) => ({ audit: { names: { 'site.added': value } } }) },
  text('audit.names["site.added"].action', 'audit.siteAdded.action', /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/, fc.constantFrom('a', 'a.b:c-d_e', '.a'), (value) => ({ audit: { names: { 'site.added': { action: value } } } })),
  text('audit.names["site.added"].detail', 'audit.siteAdded.detail', /^[^\n\r\u2028\u2029]{1,200}$/u, fc.constantFrom('Added {name}', 'x'.repeat(200), 'x'.repeat(201), 'a\nb'), (value) => ({ audit: { names: { 'site.added': { detail: value } } } })),
  duration('audit.retention', 'audit.retention'),
  callable('authorize'), callable('onEvent'),
  group('revocation'),
  { ...duration('revocation.maxDelay', 'revocation.maxDelay', { max: 3_600_000 }), meaning: (value) => value === undefined || value === 0 ? [] : ms(value, { max: 3_600_000 }) === null ? null : [['revocation.maxDelay', ms(value)]] },
  methods('revocation.channel', 'revocation.channel', { open () {}, async publish () {}, async close () {} }, ['open', 'publish', 'close']),
  group('accountRoutes'),
  { ...noLimit('accountRoutes.rateLimit'), meaning: (value) => value === undefined ? [] : value === false ? [['accountRoutes.mutationLimit', null]] : null }, ...limit('accountRoutes.rateLimit', 'accountRoutes.mutationLimit', false, 'account'),
  { ...noLimit('accountRoutes.apiKeys'), meaning: (value) => value === undefined || value === false ? [] : null },
  ...['read', 'write'].map((name) => {
    const both = { read: 'blocks:read', write: 'blocks:read' }
    return required(rule(`accountRoutes.apiKeys.${name}`, 'accountRoutes.apiKeys', (value) => typeof value === 'string' && Object.hasOwn(SCOPES, value) ? { ...both, [name]: value } : undefined, some([...Object.keys(SCOPES), 'a:b']), path(`accountRoutes.apiKeys.${name}`, both)))
  }),
  { ...noLimit('cookieMutations'), meaning: (value) => value === undefined || value === false ? [] : null },
  required(rule('cookieMutations.origins', 'cookieMutationOrigins', (value) => isList(value) && value.length < 100 && Array.from(value).every((one) => typeof one === 'string' && /^https?:\/\/[^*]+$/.test(one) && URL.canParse(one) && new URL(one).origin === one) ? [...value] : undefined,
    fc.array(fc.constantFrom('https://a.example', 'http://localhost:3000', 'https://a.example/', '*', 'null', 'HTTPS://a.example', 'https://*.a.example'), { maxLength: 2 }))),
  { ...group('dashboard'), near: some([true, false, {}]), meaning: (value) => value === undefined || value === false ? [] : value === true || isEmpty(value) ? [['dashboard', EVERY_PAGE]] : null },
  ...[
    text('dashboard.path', 'dashboard.path', /^(\/(?!\.{1,2}(\/|$))[\w.~-]+)+$/, fc.array(fc.constantFrom('a', '..', '.', 'a.b', '~', ':id', '')).map((parts) => `/${parts.join('/')}`)),
    text('dashboard.title', 'dashboard.title', printable(60), fc.string({ unit: 'grapheme', maxLength: 65 })),
    text('dashboard.accentColor', 'dashboard.accentColor', /^#[0-9A-Fa-f]{6}$/, fc.stringMatching(/^#[0-9a-g]{5,7}$/)),
    rule('dashboard.logo', 'dashboard.logo', (value) => typeof value === 'string' && value.length <= 64_000 && (ownPath.test(value) || /^data:image\/(png|svg\+xml|webp|jpeg);base64,[A-Za-z0-9+/]+={0,2}$/.test(value)) ? value : undefined, some(['/logo.svg', '//a.example/x', 'data:image/png;base64,AAAA', 'data:image/gif;base64,AAAA'])),
    { name: 'dashboard.links', given: path('dashboard.links'), near: some([[], [link], [link, 1]]), meaning: (value: unknown): Meaning => value === undefined || isEmptyList(value) ? [] : isList(value) && value.length === 1 && value[0] === link ? [['dashboard.links', [link]]] : null },
    required(rule('dashboard.links.text', 'dashboard.links', (value) => typeof value === 'string' && printable(60).test(value) ? [{ ...link, text: value }] : undefined, fc.string(), (value) => ({ dashboard: { links: [{ ...link, text: value }] } }))),
    required(rule('dashboard.links.url', 'dashboard.links', (value) => isLink(value) ? [{ ...link, url: value }] : undefined, fc.webUrl(), (value) => ({ dashboard: { links: [{ ...link, url: value }] } }))),
    url('dashboard.signInUrl', 'dashboard.signInUrl'), url('dashboard.exampleUrl', 'dashboard.exampleUrl'), group('dashboard.features'),
    ...FEATURES.map((name) => rule(`dashboard.features.${name}`, 'dashboard.features', (value) => typeof value === 'boolean' ? FEATURES.filter((one) => value || one !== name) : undefined, fc.boolean()))
  ].map(onPage),
  { ...group('secretScanning'), near: some([true, false, {}]), meaning: (value) => value === undefined || value === false ? [] : null },
  onScanning(required(word('secretScanning.onLeak', 'secretScanning.onLeak', { notify: 'notify', disable: 'disable', revoke: 'revoke' }))),
  ...[
    text('secretScanning.path', 'secretScanning.path', /^(\/[\w.~-]+)+$/, fc.array(fc.constantFrom('a', 'b-c', 'd.e', '~', ':id', '')).map((parts) => `/${parts.join('/')}`), path('secretScanning.path', { onLeak: 'notify' })),
    rule('secretScanning.keysUrl', 'secretScanning.keys', (value) => isSafeUrl(value) ? value : undefined, fc.oneof(fc.webUrl({ validSchemes: ['http', 'https', 'ftp'] }), fc.constantFrom('http://localhost:1/', 'https://u@a.example/', 'https://:p@a.example/')), path('secretScanning.keysUrl', { onLeak: 'notify' })),
    rule('secretScanning.publicKeys', 'secretScanning.keys', () => undefined, fc.dictionary(fc.string(), fc.string()), path('secretScanning.publicKeys', { onLeak: 'notify' }))
  ].map(onScanning),
  group('openapi'), text('openapi.sessionScheme', 'openapi.sessionScheme', /^[A-Za-z0-9._-]+$/, fc.constantFrom('bearerAuth', 'a b')), flag('openapi.hide'),
  text('realm', 'realm', /^[ !#-[\]-~]+$/, fc.string()), flag('logBindings'),
  methods('clock', 'clock', { now: () => 1, monotonic: () => 1 }, ['now', 'monotonic']),
  duration('timeout', 'timeout', { max: MAX_TIMER })
]

/** What cannot even be looked at without throwing must be refused. */
export const OPTION_RULES: readonly OptionRule[] = RULES.map((one) => ({
  ...one,
  meaning (value) {
    try {
      return one.meaning(value)
    } catch {
      return null
    }
  }
}))

/** What every kind of key begins with under this option; undefined for what it does not take. */
function prefixesOf (value: unknown): string[] | undefined {
  if (typeof value === 'string') return /^[a-z][a-z0-9]{0,15}$/.test(value) ? KINDS.map(([access, environment]) => `${value}_${access[0]}k_${environment}_`) : undefined
  if (typeof value !== 'function') return undefined
  const given = KINDS.map((kind) => (value as (...kind: readonly string[]) => unknown)(...kind))
  return given.every((one) => typeof one === 'string' && /^[\w-]{1,64}$/.test(one)) ? given as string[] : undefined
}

export const KINDS = [['secret', 'live'], ['secret', 'test'], ['publishable', 'live'], ['publishable', 'test']] as const

function shapeOf ({ pattern, maxLength }: typeof ACCEPT): (text: string) => boolean {
  return (text) => text.length <= maxLength && new RegExp(`^(?:${pattern.source})$`).test(text)
}

/** Which of some texts are taken for keys. */
export function acceptedBy (isKeyShaped: (text: string) => boolean): string[] {
  return ['rst_', 'x_', 'y_', 'x', 'rst_\n'].flatMap((head) => [head, ...[60, 200, 252, 253].map((length) => head + 'a'.repeat(length))]).filter(isKeyShaped)
}

function isClass (value: unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value))
}
