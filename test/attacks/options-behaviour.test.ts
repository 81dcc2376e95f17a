// What is configured is what happens: hosts with random options, each asked over HTTP for everything those options decide.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { isSelfServeKeysError, memoryStorage, type SelfServeKeysOptions } from '../../lib/index.js'
import { ACCOUNT, NOW } from '../helpers/keys.js'
import { HOST } from '../helpers/account.js'
import { watched } from '../helpers/app.js'
import { BROWSER, build, SIGNED_IN } from '../helpers/host.js'
import { DAY } from '../helpers/option-rules.js'
import { runs, SEED } from '../helpers/strange-values.js'

const MINUTE = 60_000
const text = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const length = fc.integer({ min: 1000, max: 1000 * DAY })
const limit = fc.record({ max: fc.integer({ min: 20, max: 10 ** 9 }), timeWindow: fc.integer({ min: MINUTE, max: DAY }).map((ms) => ms - ms % 1000) })
const CHOICES = {
  prefix: text,
  label: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((label) => /^(?=.*\S)[^\p{Cc}\p{Cs}]{1,100}$/su.test(label)),
  environment: fc.constantFrom('live' as const, 'test' as const),
  scopes: fc.constantFrom(null, ['blocks:read'], ['transactions:write', 'blocks:read']),
  defaultLifetime: fc.option(length),
  lifetime: fc.option(length),
  maxLifetime: fc.option(length),
  maxOverlap: length,
  retention: fc.integer({ min: 31 * DAY, max: 900 * DAY }),
  usageRetention: fc.integer({ min: 31 * DAY, max: 900 * DAY }),
  auditRetention: length,
  limit,
  mutations: fc.option(limit),
  header: text.map((name) => `x-${name}-key`),
  routePrefix: fc.array(text, { minLength: 1, maxLength: 3 }).map((parts) => `/account/${parts.join('/')}`),
  routes: fc.record({ profile: fc.boolean(), defaultKey: fc.boolean(), keys: fc.boolean(), usage: fc.boolean(), sites: fc.boolean(), audit: fc.boolean() }, { requiredKeys: [] }),
  realm: text,
  cookies: fc.option(fc.constantFrom([], ['https://app.example'])),
  title: text,
  action: text
}
type Chosen = { -readonly [N in keyof typeof CHOICES]?: (typeof CHOICES)[N] extends fc.Arbitrary<infer V> ? V : never }

/** The options of what was chosen; what was not is left out, and must then be as documented. */
function optionsOf (chosen: Chosen): Partial<SelfServeKeysOptions> {
  const { prefix, label, environment, scopes, defaultLifetime, lifetime, maxLifetime, maxOverlap, retention, usageRetention, auditRetention, limit, mutations, header, routePrefix, routes, realm, cookies, title, action } = chosen
  const given = <T extends object>(members: T): T => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T
  return given({
    keys: given({ prefix, defaultKey: given({ label, environment, scopes, lifetime: defaultLifetime }), lifetime, maxLifetime, maxOverlap, retention: retention === undefined ? undefined : Math.max(retention, usageRetention ?? 0) }),
    usage: given({ retention: usageRetention, prune: false }),
    audit: given({ retention: auditRetention, names: action === undefined ? undefined : { 'api_key.issued': { action } } }),
    rateLimit: limit,
    accountRoutes: given({ rateLimit: mutations === null ? false : mutations }),
    headers: header === undefined ? undefined : [header],
    routePrefix,
    routes,
    realm,
    cookieMutations: cookies === null ? false : cookies === undefined ? undefined : { origins: cookies },
    dashboard: title === undefined ? undefined : { title }
  }) as Partial<SelfServeKeysOptions>
}

const session = { bearer: (token: string) => token === `token-${ACCOUNT}` ? { id: ACCOUNT, profile: {} } : null, cookie: ({ cookies }: { cookies: Readonly<Record<string, string>> }) => cookies.session === `token-${ACCOUNT}` ? { id: ACCOUNT, profile: {} } : null, token: () => 'x' }
const shorter = (...lengths: Array<number | null | undefined>): number | null => lengths.reduce<number | null>((least, one) => one == null ? least : Math.min(least ?? Infinity, one), null)
const endOf = (ms: number | null): string | null => ms === null ? null : new Date(NOW + ms).toISOString()

/** What happens, and what must, by name. */
async function behaviour (t: Test, chosen: Chosen): Promise<Record<string, [is: unknown, must: unknown]>> {
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { session, storage, ...optionsOf(chosen) }, { after: (app) => app.get('/in', { config: { apiKey: true } }, async () => 'in') })
  const { keys, audit, usage, prune } = app.selfServeKeys
  const { defaultLifetime, lifetime, maxLifetime, header = 'x-api-key', routePrefix = '/v1/me', environment = 'live', mutations = { max: 60, timeWindow: MINUTE } } = chosen
  const routes = { profile: false, defaultKey: true, keys: true, usage: true, sites: true, audit: true, ...chosen.routes }
  const ask = async (method: 'GET' | 'POST', url: string, headers: Record<string, string>) => await app.inject({ method, url, headers })

  const issued = await keys.issueDefault(HOST)
  const named = (await keys.issue(HOST, { label: 'Named' })).apiKey
  const entry = (await audit.list(ACCOUNT)).logs.at(-1)!
  const most = Math.floor((chosen.maxOverlap ?? 7 * DAY) / 1000)
  const tooLong = await keys.rotate(HOST, named.publicId, { overlapSeconds: most + 1 }).catch((error: unknown) => isSelfServeKeysError(error, 'INVALID_REQUEST') && error.details.field)
  const rotated = await keys.rotate(HOST, named.publicId, { overlapSeconds: most })
  await usage.snapshot(ACCOUNT)
  const withKey = await ask('GET', '/in', { [header]: issued.plaintextKey! })
  const otherHeader = await ask('GET', '/in', { [header === 'x-api-key' ? 'x-other' : 'x-api-key']: issued.plaintextKey! })
  const changed = await ask('POST', `${routePrefix}/api-keys`, SIGNED_IN)
  const byCookie = await ask('POST', `${routePrefix}/sites`, { ...BROWSER, origin: 'https://app.example' })
  const status = async (url: string): Promise<number> => (await ask('GET', `${routePrefix}${url}`, SIGNED_IN)).statusCode
  const page = await ask('GET', '/api-key', BROWSER)
  calls.length = 0
  await prune()
  const pruned = (name: string): unknown => calls.find((call) => call.name === name)?.args[0]

  const { apiKey } = issued
  const on = (switched: boolean): number => switched ? 200 : 404
  const challenge = `Bearer realm="${chosen.realm ?? 'api'}"`
  const posts = routes.defaultKey || routes.keys
  return {
    'prefix of a key': [apiKey.prefix, `${chosen.prefix === undefined ? '' : `${chosen.prefix}_`}sk_${environment}_`],
    'the default key': [[apiKey.label, apiKey.environment, apiKey.access, apiKey.scopes], [chosen.label ?? 'Default', environment, 'secret', chosen.scopes === undefined ? ['blocks:read'] : chosen.scopes]],
    'end of the default key': [apiKey.expiresAt, endOf(shorter(defaultLifetime, maxLifetime))],
    'a named key': [[named.environment, named.scopes, named.expiresAt], [environment, apiKey.scopes, endOf(shorter(lifetime, maxLifetime))]],
    'the longest overlap': [[tooLong, rotated.revokedPublicIds], ['overlapSeconds', most === 0 ? [named.publicId] : []]],
    'the entry of an issue': [entry.action, chosen.action ?? 'api_key.issued'],
    'a key in its header': [withKey.statusCode, 200],
    'a key in another header': [[otherHeader.statusCode, otherHeader.headers['www-authenticate']], [401, challenge]],
    'rate limits of a key': [withKey.headers['ratelimit-policy'], chosen.limit === undefined ? undefined : `"default";q=${chosen.limit.max};w=${chosen.limit.timeWindow / 1000}`],
    'rate limit of changes': [changed.headers['ratelimit-policy'], !posts || mutations === null ? undefined : `"account";q=${mutations.max};w=${mutations.timeWindow / 1000}`],
    'a change by cookie': [byCookie.statusCode, !routes.sites ? 404 : (chosen.cookies ?? []).length > 0 ? 400 : 403],
    'account routes': [
      [await status(''), await status('/api-keys'), await status('/usage'), await status('/sites'), await status('/audit'), await status('/policy')],
      [on(routes.profile), on(routes.keys), on(routes.usage), on(routes.sites), on(routes.audit), on(posts)]
    ],
    'the page': [[page.statusCode, chosen.title === undefined || page.body.includes(chosen.title)], [on(chosen.title !== undefined), true]],
    'what is pruned': [
      [pruned('pruneKeys'), pruned('pruneAudit'), pruned('pruneUsage')],
      [NOW - Math.max(chosen.retention ?? 400 * DAY, chosen.usageRetention ?? 0), NOW - (chosen.auditRetention ?? 400 * DAY), hourOf(NOW - (chosen.usageRetention ?? 31 * DAY))]
    ]
  }
}

/** Usage is removed by the hour. */
function hourOf (time: number): number {
  return time - ((time % (60 * MINUTE)) + 60 * MINUTE) % (60 * MINUTE)
}

t.test('each option that is chosen is honoured exactly, and each that is left out is its documented default', async (t) => {
  await fc.assert(fc.asyncProperty(fc.record(CHOICES, { requiredKeys: [] }), async (chosen) => {
    for (const [what, [is, must]] of Object.entries(await behaviour(t, chosen as Chosen))) {
      if (!isDeepStrictEqual(is, must)) throw new Error(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(must)}`)
    }
  }), { numRuns: runs(60), seed: SEED, examples: [[{}]] })
})
