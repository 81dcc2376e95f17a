// Named keys, sites, audit log and profile on the standard account routes: what each takes, answers and refuses.
import t, { type Test } from 'tap'
import { memoryStorage, type AccountAction, type AccountPolicy, type Authorize, type Profile, type SelfServeKeysOptions, type SessionResolver, type Storage } from '../../lib/index.js'
import { DAY, HOUR, MINUTE, SECOND, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, madeBy, makeKey, NO_KEY, NO_SITE, SITES, type Answer, type Ask } from '../helpers/account.js'
import { BROWSER, build, OTHER_SIGNED_IN, portOf, raw, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, NOW, OTHER_ACCOUNT, stateOf, STRANGE_TEXTS } from '../helpers/keys.js'

interface Hosted extends Host { ask: Ask, use: (plaintext: string) => Promise<number> }

/** A host without a limit on changes, whose `/x` takes any key. */
async function hostOf (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Hosted> {
  const host = await build(t, { accountRoutes: { rateLimit: false }, ...options }, {
    ...parts, before: (app) => { app.get('/x', { config: { apiKey: true } }, async () => ({})) }
  })
  const ask = asking(host.app)
  return { ...host, ask, use: async (plaintext) => (await ask('GET', '/x', undefined, { 'x-api-key': plaintext })).status }
}

/** Everything under the account routes, with a body that each takes. */
const ROUTES: Array<[method: string, url: string, body: unknown, action: AccountAction]> = [
  ['GET', KEYS, undefined, 'keys:read'],
  ['HEAD', KEYS, undefined, 'keys:read'],
  ['POST', KEYS, undefined, 'keys:issue'],
  ['POST', KEYS, { label: 'CI' }, 'keys:issue'],
  ['GET', `${KEYS}/${NO_KEY}`, undefined, 'keys:read'],
  ['GET', `${KEYS}/${NO_KEY}/usage`, undefined, 'usage:read'],
  ['PATCH', `${KEYS}/${NO_KEY}`, { label: 'CI' }, 'keys:update'],
  ['POST', `${KEYS}/${NO_KEY}/rotate`, {}, 'keys:rotate'],
  ['POST', `${KEYS}/${NO_KEY}/renew`, {}, 'keys:renew'],
  ['DELETE', `${KEYS}/${NO_KEY}`, undefined, 'keys:revoke'],
  ['GET', '/v1/me', undefined, 'profile:read'],
  ['GET', '/v1/me/policy', undefined, 'policy:read'],
  ['GET', '/v1/me/usage', undefined, 'usage:read'],
  ['GET', SITES, undefined, 'sites:read'],
  ['POST', SITES, { name: 'https://example.com' }, 'sites:add'],
  ['DELETE', `${SITES}/${NO_SITE}`, undefined, 'sites:remove'],
  ['GET', '/v1/me/audit', undefined, 'audit:read']
]
const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

t.test('a label makes a named key: what was asked for comes back, the rest has its default, and other keys stay', async (t) => {
  const { app, ask, use } = await hostOf(t, { rateLimit: { max: 5, timeWindow: '1 minute' } })
  const standing = madeBy(await ask('POST', KEYS))

  const plain = await ask('POST', KEYS, { label: 'CI' })
  t.equal(plain.status, 201)
  t.equal(plain.headers['cache-control'], 'no-store')
  t.equal(plain.headers['content-type'], 'application/json; charset=utf-8')
  const { plaintextKey, apiKey } = plain.json
  t.match(plaintextKey, /^sk_live_[0-9A-Za-z]{42}$/)
  const named = {
    publicId: apiKey.publicId,
    label: 'CI',
    environment: 'live',
    access: 'secret',
    scopes: ['blocks:read'],
    allowedOrigins: [],
    allowedIps: [],
    status: 'active',
    isDefault: false,
    maskedKey: `sk_live_…${plaintextKey.slice(-4)}`,
    prefix: 'sk_live_',
    first8: plaintextKey.slice(8, 16),
    last4: plaintextKey.slice(-4),
    rateLimits: [{ name: 'default', max: 5, windowSeconds: 60, remaining: 5, resetSeconds: 0 }],
    createdBy: 'Ada',
    disabledBy: null,
    createdAt: toIso(NOW),
    lastUsedAt: null,
    expiresAt: null,
    retiresAt: null,
    revokedAt: null,
    revokedReason: null,
    rotatedFrom: null
  }
  t.strictSame(plain.json, { action: 'issued', plaintextKey, apiKey: named, revokedPublicIds: [], replayed: false })

  const asked = {
    label: 'Shop window',
    environment: 'test',
    access: 'publishable',
    allowedOrigins: ['https://Shop.example:443/', 'https://*.shop.example', 'https://shop.example'],
    allowedIps: ['203.0.113.7', '2001:DB8::/32'],
    expiresAt: '2026-06-01T02:00:00.5+02:00'
  }
  const full = await ask('POST', KEYS, asked)
  t.match(full.json.plaintextKey, /^pk_test_[0-9A-Za-z]{42}$/)
  t.match(full.json, {
    action: 'issued',
    apiKey: {
      label: 'Shop window',
      environment: 'test',
      access: 'publishable',
      scopes: [],
      allowedOrigins: ['https://shop.example', 'https://*.shop.example'],
      allowedIps: ['203.0.113.7/32', '2001:db8::/32'],
      status: 'active',
      isDefault: false,
      expiresAt: '2026-06-01T00:00:00.500Z'
    }
  })
  const twin = await ask('POST', KEYS, { label: 'CI', scopes: ['transactions:write', 'blocks:read', 'transactions:write'] })
  t.strictSame(twin.json.apiKey.scopes, ['transactions:write', 'blocks:read'], 'each once')
  t.not(twin.json.apiKey.publicId, named.publicId, 'a label need not be unique')
  t.equal((await ask('POST', KEYS, { label: 'all', scopes: null })).json.apiKey.scopes, null)

  const { apiKeys } = (await ask('GET', KEYS)).json
  t.strictSame(apiKeys.map(({ label }: { label: string }) => label), ['all', 'CI', 'Shop window', 'CI', 'Default'])
  t.strictSame(apiKeys[3], named)
  t.strictSame(apiKeys[4], standing.apiKey, 'the default key is as it was')
  t.strictSame((await ask('GET', `${KEYS}/${full.json.apiKey.publicId}`)).json, { apiKey: full.json.apiKey })
  t.equal(await use(plaintextKey), 200)
  t.equal(await use(standing.plaintext), 200)
  t.equal((await app.selfServeKeys.keys.count(ACCOUNT)).active, 5)
})

t.test('a label of 1 to 100 code points comes back byte for byte, and longer ones are refused', async (t) => {
  const { ask } = await hostOf(t)
  const labels = [...STRANGE_TEXTS, 'x', ' ', '\t', 'é'.repeat(100), '🔑'.repeat(100), '👩‍👩‍👧'.repeat(20), 'e\u0301', '\u202eright to left', '"\\/\b', '\u0001\u007f\uffff', 'null']
  const { url } = madeBy(await ask('POST', KEYS, { label: 'before' }))
  for (const label of labels) {
    const { json } = await ask('POST', KEYS, { label })
    t.equal(json.apiKey.label, label)
    t.equal((await ask('GET', `${KEYS}/${json.apiKey.publicId}`)).json.apiKey.label, label)
    t.equal((await ask('PATCH', url, { label })).json.apiKey.label, label)
  }
  const before = (await ask('GET', KEYS)).text
  for (const label of ['', 'x'.repeat(101), '🔑'.repeat(101), 'é'.repeat(101), '👩‍👩‍👧'.repeat(21), 'a\0', '\ud800', 'a\udc00b']) {
    for (const [method, to] of [['POST', KEYS], ['PATCH', url]] as const) {
      const { status, json } = await ask(method, to, JSON.stringify({ label }))
      t.equal(status, 400, JSON.stringify(label))
      t.match(json, { code: 'INVALID_REQUEST', message: /^label: must be text of 1 to 100 characters/ })
    }
  }
  t.equal((await ask('GET', KEYS)).text, before)
})

const WRONG: Record<string, Array<[member: string, field: string]>> = {
  scopes: [['[]', 'scopes'], ['["blocks:write"]', 'scopes.0'], ['["blocks:read","Blocks:read"]', 'scopes.1'], ['[["blocks:read"]]', 'scopes'], ['"blocks:read"', 'scopes'],
    ['["__proto__"]', 'scopes.0'], ['["blocks:read\\u0000"]', 'scopes.0'], ['[null]', 'scopes'], ['{"0":"blocks:read"}', 'scopes'], ['true', 'scopes']],
  allowedOrigins: ['javascript:alert(1)', 'https://user@example.com', 'https://example.com/path', 'https://example.com?', 'https://example.com#x', 'example.com', 'null', '*', 'https://*',
    'https://*.com', 'https://a.*.com', 'https://*.1.2.3.4', 'ftp://example.com', 'https://example.com:99999', 'https://exa mple.com', 'https://ex\\u0000ample.com', 'https://\\ud800.com', '']
    .map((origin) => [`["https://example.com","${origin}"]`, 'allowedOrigins.1']),
  allowedIps: ['10.0.0.1/8', '10.0.0.0/33', '10.0.0.0/08', '10.0.0', '010.0.0.1', '::ffff:10.0.0.1', 'fe80::1%eth0', '2001:db8::1/32', '::/129', 'localhost', '10.0.0.1\\u0000', '']
    .map((ip) => [`["10.0.0.0/8","${ip}"]`, 'allowedIps.1'])
}
for (const name of ['allowedOrigins', 'allowedIps']) {
  WRONG[name]!.push(['null', name], ['"x"', name], ['[5]', `${name}.0`], ['{}', name], [JSON.stringify(Array(51).fill('10.0.0.1')), name])
}
WRONG.environment = ['"prod"', '"LIVE"', 'null', '["live"]', '1'].map((value) => [value, 'environment'])
WRONG.access = ['"public"', '"Secret"', 'null', '["secret"]'].map((value) => [value, 'access'])
WRONG.expiresAt = ['"2026-01-15T12:34:56.789Z"', '"2020-01-01T00:00:00Z"', '"2027-01-01"', '"tomorrow"', '"2027-02-30T00:00:00Z"', '"2027-01-01T24:00:00Z"', '"2027-01-01T00:00:00"',
  '""', '1800000000000', 'true', '["2027-01-01T00:00:00Z"]', '"2027-01-01T00:00:00Z\\u0000"'].map((value) => [value, 'expiresAt'])
WRONG.label = ['null', '5', '["x"]', '{}', 'true'].map((value) => [value, 'label'])
WRONG.enabled = ['null', '0', '"false"', '[]'].map((value) => [value, 'enabled'])
WRONG.overlapSeconds = ['"5"', '-1', '0.5', 'null', '1e400', '604801', 'true', '[5]'].map((value) => [value, 'overlapSeconds'])
WRONG.name = ['null', '5', '[]', ...WRONG.allowedOrigins!.slice(0, 18).map(([list]) => JSON.stringify((JSON.parse(list) as string[])[1]))].map((value) => [value, 'name'])

t.test('a bad body is refused, names its field, and changes nothing', async (t) => {
  const { app, ask, storage } = await hostOf(t, { policy: { resolve: () => ({ maxKeys: 5 }) } })
  const { url } = await makeKey(app)
  await app.selfServeKeys.sites.add(HOST, 'https://example.com')
  const takes: Array<[method: string, url: string, known: string[], more: string]> = [
    ['POST', KEYS, ['scopes', 'allowedOrigins', 'allowedIps', 'environment', 'access', 'expiresAt'], '"label":"x",'],
    ['POST', KEYS, ['label'], ''],
    ['PATCH', url, ['label', 'scopes', 'allowedOrigins', 'allowedIps', 'enabled'], ''],
    ['POST', `${url}/rotate`, ['overlapSeconds'], ''],
    ['POST', `${url}/renew`, ['expiresAt'], ''],
    ['POST', SITES, ['name'], '']
  ]
  const members = ['publicId', 'accountId', 'metadata', 'isDefault', 'status', 'plaintextKey', 'hash', 'revokedAt', 'constructor', 'toString', 'a\u0000', ...Object.keys(WRONG)]
  const before = await stateOf(storage)
  const refused = async (method: string, to: string, body: string, field: string): Promise<void> => {
    const { status, json, headers } = await ask(method, to, body)
    const claim = `${method} ${to} ${body}`
    t.equal(status, 400, claim)
    t.match(json, { statusCode: 400, code: 'INVALID_REQUEST', error: 'Bad Request' }, claim)
    t.ok(json.message.startsWith(`${field}: `), `${claim}: ${json.message}`)
    t.equal(headers['cache-control'], 'no-store', claim)
  }
  for (const [method, to, known, more] of takes) {
    for (const name of known) {
      for (const [value, field] of WRONG[name]!) await refused(method, to, `{${more}"${name}":${value}}`, field)
    }
    const all = takes.filter((other) => other[0] === method && other[1] === to).flatMap((other) => other[2])
    for (const name of members.filter((member) => !all.includes(member))) {
      await refused(method, to, JSON.stringify({ ...(to === KEYS && { label: 'x' }), ...(to === SITES && { name: 'https://x.example' }), [name]: 1 }), name)
    }
    for (const body of ['[]', '"x"', '5', 'true', 'null', `[{${more}}]`.replace(',}', '}')]) await refused(method, to, body, 'body')
    for (const [body, type, status] of [
      ['{"label":', 'application/json', 400], [' ', 'application/json', 400], ['{"__proto__":{"label":"x"}}', 'application/json', 400],
      ['{"label":"x","__proto__":null}', 'application/json', 400], ['{"constructor":{"prototype":{"label":1}}}', 'application/json', 400],
      ['label=x', 'application/x-www-form-urlencoded', 415], ['{}', 'text/plain', 415], ['{}', 'application/json-patch+json', 415],
      [`{"label":"${'x'.repeat(16 * 1024)}"}`, 'application/json', 413]
    ] as const) {
      const answer = await ask(method, to, body, { ...SIGNED_IN, 'content-type': type })
      t.equal(answer.status, status, `${method} ${to} ${body.slice(0, 40)}: ${answer.text}`)
      t.equal(answer.headers['cache-control'], 'no-store')
    }
  }
  await refused('POST', KEYS, '{"label":"x","access":"publishable","scopes":["blocks:read"]}', 'scopes')
  await refused('POST', KEYS, '{"label":"x","access":"publishable","scopes":null}', 'scopes')
  await refused('POST', KEYS, '{"access":"publishable"}', 'label')
  await refused('POST', KEYS, '{"environment":"test","expiresAt":null}', 'label')
  await refused('POST', SITES, '{}', 'name')
  for (const [method, to] of [['DELETE', url], ['DELETE', `${SITES}/${NO_SITE}`]] as const) {
    await refused(method, to, '{"reason":"leaked"}', 'reason')
    await refused(method, to, '["x"]', '0')
  }
  t.strictSame(await stateOf(storage), before)
  t.equal(({} as Record<string, unknown>).label, undefined)
})

t.test('a body that may be left out: none, an empty one under the content type of JSON, and {} are the same', async (t) => {
  const { app, ask } = await hostOf(t)
  for (const body of [undefined, '', {}]) {
    const { url, apiKey } = await makeKey(app)
    t.strictSame((await ask('PATCH', url, body)).json, { apiKey })
    t.strictSame((await ask('POST', `${url}/renew`, body)).json, { apiKey })
    t.match(await ask('POST', `${url}/rotate`, body), { status: 201, json: { action: 'rotated', revokedPublicIds: [apiKey.publicId] } })
  }
  t.match(await ask('POST', SITES, ''), { status: 400, json: { message: 'name: is required' } })
})

t.test('PATCH changes what it names and nothing else, and holds from the next request on', async (t) => {
  const { app, ask, clock, use } = await hostOf(t)
  const { url, apiKey, plaintext, publicId } = await makeKey(app, { label: 'CI', scopes: ['blocks:read'], allowedIps: ['127.0.0.1'] })
  const others = await makeKey(app)
  let now = apiKey
  for (const change of [
    { label: 'Build server' }, { scopes: ['transactions:write', 'blocks:read'] }, { scopes: null }, { allowedOrigins: ['https://example.com'] }, { allowedIps: ['127.0.0.0/8', '::1/128'] },
    { label: 'x', scopes: ['blocks:read'], allowedOrigins: [], allowedIps: [] }
  ]) {
    clock.advance(SECOND)
    now = { ...now, ...change } as typeof now
    const answer = await ask('PATCH', url, change)
    t.equal(answer.status, 200)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.strictSame(answer.json, { apiKey: now }, JSON.stringify(change))
    t.strictSame((await ask('GET', url)).json, { apiKey: now })
  }
  const written = (await app.selfServeKeys.audit.list(ACCOUNT)).total
  t.strictSame((await ask('PATCH', url, { label: 'x', scopes: ['blocks:read'], allowedIps: [], enabled: true })).json, { apiKey: now }, 'what is so already changes nothing')
  t.equal((await app.selfServeKeys.audit.list(ACCOUNT)).total, written)

  t.equal((await ask('PATCH', url, { allowedIps: ['192.0.2.1'] })).status, 200)
  t.equal(await use(plaintext), 403, 'from another address')
  await ask('PATCH', url, { allowedIps: [] })
  t.match((await ask('PATCH', url, { enabled: false })).json, { apiKey: { publicId, status: 'disabled', disabledBy: 'account', revokedAt: null } })
  t.equal(await use(plaintext), 401)
  t.match((await ask('PATCH', url, { label: 'off' })).json, { apiKey: { label: 'off', status: 'disabled' } }, 'a disabled key may be renamed')
  t.match((await ask('PATCH', url, { enabled: true })).json, { apiKey: { status: 'active', disabledBy: null } })
  t.equal(await use(plaintext), 200)

  await app.selfServeKeys.keys.update(HOST, publicId, { enabled: false })
  t.match(await ask('PATCH', url, { enabled: true }), { status: 409, json: { code: 'API_KEY_NOT_ACTIVE', message: /disabled by the operator/ } })
  t.match((await ask('PATCH', url, { enabled: false, label: 'mine' })).json, { apiKey: { disabledBy: 'host', label: 'mine' } }, 'it stays the host\'s')
  for (const path of ['/rotate', '/renew']) t.match(await ask('POST', `${url}${path}`), { status: 409, json: { code: 'API_KEY_NOT_ACTIVE' } })
  t.equal(await use(plaintext), 401)
  t.equal((await ask('DELETE', url)).status, 200, 'to revoke it is its owner\'s right')
  for (const change of [{ label: 'y' }, { enabled: true }, { enabled: false }, {}]) {
    t.match(await ask('PATCH', url, change), { status: 409, json: { code: 'API_KEY_NOT_ACTIVE', message: 'The API key is revoked.' } }, JSON.stringify(change))
  }
  const window = await makeKey(app, { access: 'publishable' })
  t.match(await ask('PATCH', window.url, { scopes: ['blocks:read'] }), { status: 400, json: { message: /^scopes: must be left out/ } })
  t.strictSame((await ask('GET', others.url)).json, { apiKey: others.apiKey })
})

t.test('a key rotated with an overlap goes on beside its successor until retiresAt', async (t) => {
  const { app, ask, clock, use } = await hostOf(t)
  const old = await makeKey(app, { label: 'CI', scopes: ['transactions:write'], allowedIps: ['127.0.0.1'], allowedOrigins: ['https://example.com'], expiresAt: toIso(NOW + 10 * DAY) })
  const answer = await ask('POST', `${old.url}/rotate`, { overlapSeconds: 3600 })
  t.equal(answer.status, 201)
  t.equal(answer.headers['cache-control'], 'no-store')
  const next = madeBy(answer)
  t.strictSame(answer.json, {
    action: 'rotated',
    plaintextKey: next.plaintext,
    apiKey: { ...old.apiKey, publicId: next.publicId, maskedKey: next.apiKey.maskedKey, first8: next.plaintext.slice(8, 16), last4: next.plaintext.slice(-4), createdBy: 'Ada', rotatedFrom: old.publicId },
    revokedPublicIds: [],
    replayed: false
  }, 'it keeps label, scopes, addresses, origins and end')
  const retiring = { ...old.apiKey, status: 'retiring', retiresAt: toIso(NOW + HOUR) }
  t.strictSame((await ask('GET', old.url)).json, { apiKey: retiring })
  for (const path of ['/rotate', '/renew']) t.match(await ask('POST', `${old.url}${path}`), { status: 409, json: { message: 'The API key is retiring.' } })
  t.match(await ask('PATCH', old.url, { enabled: false }), { status: 409 })

  clock.advance(HOUR - 1)
  t.strictSame([await use(old.plaintext), await use(next.plaintext)], [200, 200])
  clock.advance(1)
  t.strictSame([await use(old.plaintext), await use(next.plaintext)], [401, 200])
  const ended = { ...retiring, status: 'revoked', revokedAt: retiring.retiresAt, revokedReason: 'rotated' }
  const { json: { apiKey } } = await ask('GET', old.url)
  t.strictSame({ ...apiKey, lastUsedAt: null }, ended)
  clock.advance(HOUR)
  t.match((await ask('DELETE', old.url)).json.apiKey, { revokedAt: retiring.retiresAt, revokedReason: 'rotated' }, 'revoking it again moves nothing')
  t.equal(await use(next.plaintext), 200)
})

t.test('a second rotation ends the first overlap; no overlap is longer than the key would have lived, or than 7 days', async (t) => {
  const { app, ask, use } = await hostOf(t)
  const first = await makeKey(app)
  const second = madeBy(await ask('POST', `${first.url}/rotate`, { overlapSeconds: 604_800 }))
  t.equal((await ask('GET', first.url)).json.apiKey.retiresAt, toIso(NOW + 7 * DAY))
  const rotated = await ask('POST', `${second.url}/rotate`, { overlapSeconds: 60 })
  t.strictSame(rotated.json.revokedPublicIds, [first.publicId])
  t.match((await ask('GET', first.url)).json, { apiKey: { status: 'revoked', revokedAt: toIso(NOW), revokedReason: 'rotated' } })
  t.strictSame([await use(first.plaintext), await use(second.plaintext), await use(rotated.json.plaintextKey)], [401, 200, 200])
  const third = madeBy(rotated)
  t.strictSame((await ask('POST', `${third.url}/rotate`)).json.revokedPublicIds.sort(), [second.publicId, third.publicId].sort(), 'at once: the key and its predecessor')

  const brief = await makeKey(app, { expiresAt: toIso(NOW + MINUTE) })
  await ask('POST', `${brief.url}/rotate`, { overlapSeconds: 3600 })
  t.equal((await ask('GET', brief.url)).json.apiKey.retiresAt, toIso(NOW + MINUTE))

  const own = await hostOf(t, { keys: { maxOverlap: '1 hour' } })
  const { url } = await makeKey(own.app)
  t.match(await own.ask('POST', `${url}/rotate`, { overlapSeconds: 3601 }), { status: 400, json: { message: 'overlapSeconds: must be an integer from 0 to 3600' } })
  t.equal((await own.ask('POST', `${url}/rotate`, { overlapSeconds: 3600 })).status, 201)
})

t.test('the default key rotates and is renewed by its id too, and its slot goes to the successor', async (t) => {
  const { ask, clock, use } = await hostOf(t, { keys: { defaultKey: { lifetime: '2 hours' } } })
  const first = madeBy(await ask('POST', KEYS))
  clock.advance(HOUR)
  const second = madeBy(await ask('POST', `${first.url}/rotate`, { overlapSeconds: 600 }))
  t.match(second.apiKey, { isDefault: true, rotatedFrom: first.publicId, expiresAt: toIso(NOW + 3 * HOUR) })
  t.match((await ask('GET', first.url)).json, { apiKey: { isDefault: false, status: 'retiring' } })
  t.strictSame([await use(first.plaintext), await use(second.plaintext)], [200, 200])
  const third = await ask('POST', KEYS)
  t.match(third.json, { action: 'rotated', apiKey: { rotatedFrom: second.publicId } })
  t.strictSame(third.json.revokedPublicIds.sort(), [first.publicId, second.publicId].sort())
  clock.advance(2 * HOUR)
  const { url, plaintext } = madeBy(third)
  t.equal(await use(plaintext), 401)
  t.match((await ask('POST', `${url}/renew`)).json, { apiKey: { status: 'active', isDefault: true, expiresAt: toIso(NOW + 5 * HOUR) } })
  t.equal(await use(plaintext), 200)
  t.strictSame((await ask('GET', KEYS)).json.apiKeys.map(({ isDefault }: { isDefault: boolean }) => isDefault), [true, false, false])
})

t.test('renew moves the end of a key, also of one that has expired, within what the account may have', async (t) => {
  const { app, ask, clock, use } = await hostOf(t, { keys: { lifetime: '30 days', maxLifetime: '90 days' } })
  const { url, plaintext, apiKey } = await makeKey(app)
  t.equal(apiKey.expiresAt, toIso(NOW + 30 * DAY))
  t.equal((await makeKey(app, { expiresAt: toIso(NOW + 90 * DAY) })).apiKey.expiresAt, toIso(NOW + 90 * DAY))
  clock.advance(DAY)
  const renewed = await ask('POST', `${url}/renew`)
  t.equal(renewed.status, 200)
  t.equal(renewed.headers['cache-control'], 'no-store')
  t.strictSame(renewed.json, { apiKey: { ...apiKey, expiresAt: toIso(NOW + 31 * DAY) } })
  t.equal((await ask('POST', `${url}/renew`, { expiresAt: toIso(NOW + 91 * DAY) })).json.apiKey.expiresAt, toIso(NOW + 91 * DAY))
  for (const expiresAt of [toIso(NOW + 91 * DAY + 1), null]) {
    t.match(await ask('POST', `${url}/renew`, { expiresAt }), { status: 400, json: { message: /^expiresAt: must not be later than/ } })
  }
  t.equal((await ask('POST', `${url}/renew`, { expiresAt: toIso(NOW + DAY + 1) })).json.apiKey.expiresAt, toIso(NOW + DAY + 1), 'an earlier end is a move too')
  clock.advance(1)
  t.equal(await use(plaintext), 401)
  t.match((await ask('POST', `${url}/renew`)).json, { apiKey: { status: 'active' } })
  t.equal(await use(plaintext), 200)
  await ask('DELETE', url)
  t.match(await ask('POST', `${url}/renew`), { status: 409, json: { code: 'API_KEY_NOT_ACTIVE', message: 'The API key is revoked.' } })
})

t.test('what an account may do is its policy\'s to say, at the time of each change', async (t) => {
  let policy: AccountPolicy = {}
  const { app, ask, clock, use } = await hostOf(t, { policy: { resolve: () => policy } })
  const standing = await makeKey(app, { label: 'standing', scopes: null })
  policy = { maxKeys: 2, grantableScopes: ['transactions:write'] }
  t.match(await ask('POST', KEYS, { label: 'x', scopes: ['blocks:read'] }), { status: 403, json: { code: 'FORBIDDEN', message: 'scopes.0: this account may not grant blocks:read' } })
  t.match(await ask('PATCH', standing.url, { scopes: ['transactions:write', 'blocks:read'] }), { status: 403, json: { message: /^scopes\.1: / } })
  const second = madeBy(await ask('POST', KEYS, { label: 'x', scopes: ['transactions:write'], expiresAt: toIso(NOW + HOUR) }))
  t.match(await ask('POST', KEYS, { label: 'third', scopes: null }), { status: 409, json: { code: 'KEY_LIMIT_REACHED' } })
  t.match(await ask('POST', KEYS), { status: 409 })
  t.equal((await ask('POST', `${standing.url}/rotate`, { overlapSeconds: 60 })).status, 201, 'a rotation is never refused for the number of keys')
  clock.advance(HOUR)
  const replaced = madeBy(await ask('POST', KEYS))
  t.strictSame(replaced.apiKey.scopes, [], 'the default key\'s scopes, cut to what the account may grant')
  t.match(await ask('POST', `${second.url}/renew`, { expiresAt: null }), { status: 409, json: { code: 'KEY_LIMIT_REACHED' } }, 'an expired key counts once it is renewed')

  policy = { requireExpiry: true, maxLifetime: '1 day' }
  t.match(await ask('POST', KEYS, { label: 'x', expiresAt: null }), { status: 400, json: { message: /^expiresAt: is required/ } })
  t.equal((await ask('POST', KEYS, { label: 'x' })).json.apiKey.expiresAt, toIso(clock.now() + DAY), 'cut to what is allowed')
  policy = { requireExpiry: true }
  t.match(await ask('POST', KEYS, { label: 'x' }), { status: 400, json: { message: /^expiresAt: is required/ } })

  policy = { suspended: true }
  const before = (await ask('GET', KEYS)).text
  for (const [method, url, body] of [
    ['POST', KEYS, undefined], ['POST', KEYS, { label: 'x' }], ['POST', `${replaced.url}/rotate`, {}], ['POST', `${replaced.url}/renew`, {}],
    ['PATCH', replaced.url, { enabled: true }], ['PATCH', replaced.url, { scopes: null }], ['POST', SITES, { name: 'https://x.example' }]
  ] as const) {
    t.match(await ask(method, url, body), { status: 403, json: { code: 'ACCOUNT_SUSPENDED' } }, `${method} ${url}`)
  }
  t.equal((await ask('GET', KEYS)).text, before, 'reading is open, and shows that nothing changed')
  app.selfServeKeys.policy.invalidate(ACCOUNT)
  t.equal(await use(replaced.plaintext), 403)
  t.equal((await ask('PATCH', replaced.url, { enabled: false })).status, 200, 'what takes from a key works')
  t.equal((await ask('DELETE', replaced.url)).status, 200)
})

t.test('a policy that cannot be had is 503 where something is given, and stops nobody from revoking', async (t) => {
  let broken = false
  const { app, ask } = await hostOf(t, {
    policy: { resolve: () => { if (broken) throw new Error('password=hunter2'); return {} }, cacheFor: 1, onError: 'stale' }
  })
  const { url } = await makeKey(app)
  const before = (await ask('GET', KEYS)).text
  broken = true
  for (const [method, to, body] of [['POST', KEYS, undefined], ['POST', KEYS, { label: 'x' }], ['POST', `${url}/rotate`, {}], ['POST', `${url}/renew`, {}], ['PATCH', url, { scopes: null }], ['POST', SITES, { name: 'https://x.example' }]] as const) {
    const { status, headers, json, text } = await ask(method, to, body)
    t.equal(status, 503, `${method} ${to}`)
    t.match(json, { code: 'STORAGE_UNAVAILABLE', message: /policy/ })
    t.equal(headers['retry-after'], '1')
    t.notMatch(text, 'hunter2')
  }
  t.equal((await ask('GET', KEYS)).text, before)
  app.selfServeKeys.policy.invalidate(ACCOUNT)
  t.equal((await ask('PATCH', url, { enabled: false })).status, 200)
  t.match((await ask('DELETE', url)).json, { apiKey: { status: 'revoked' } })
  t.equal((await ask('GET', KEYS)).status, 503, 'where rate limits stand is the policy\'s to say')
})

t.test('another account\'s key or site answers exactly as a missing one, whatever is asked, and stays as it is', async (t) => {
  const { app, ask, storage } = await hostOf(t)
  const theirs = asking(app, OTHER_SIGNED_IN)
  const { publicId, url } = await makeKey(app)
  const { siteId } = (await ask('POST', SITES, { name: 'https://example.com' })).json
  const before = await stateOf(storage)
  const shown = ({ status, headers, text }: Answer): unknown => [status, { ...headers, date: '' }, text]
  const same = async (method: string, path: (id: string) => string, ids: [string, string], body?: unknown): Promise<void> => {
    const [foreign, missing] = [await theirs(method, path(ids[0]), body), await theirs(method, path(ids[1]), body)]
    t.strictSame(shown(foreign), shown(missing), `${method} ${path(':id')} ${JSON.stringify(body)}`)
    t.equal(foreign.status, 404)
  }
  const key = (suffix = '') => (id: string): string => `${KEYS}/${id}${suffix}`
  for (const body of [undefined, {}, { label: 'x' }, { scopes: ['blocks:read'] }, { scopes: null }, { enabled: false }, { enabled: true }]) {
    await same('PATCH', key(), [publicId, NO_KEY], body)
  }
  for (const overlapSeconds of [0, 60]) await same('POST', key('/rotate'), [publicId, NO_KEY], { overlapSeconds })
  for (const body of [{}, { expiresAt: null }, { expiresAt: toIso(NOW + DAY) }]) await same('POST', key('/renew'), [publicId, NO_KEY], body)
  for (const method of ['GET', 'HEAD', 'DELETE']) await same(method, key(), [publicId, NO_KEY])
  await same('DELETE', (id) => `${SITES}/${id}`, [siteId, NO_SITE])
  t.strictSame(await stateOf(storage), before)
  t.strictSame((await theirs('GET', SITES)).json, { sites: [], truncated: false })
  t.match((await theirs('GET', '/v1/me/audit')).json, { logs: [], total: 0 })
  t.equal((await ask('GET', url)).status, 200)

  for (const id of ['x', '%00', '%F0%9F%94%91', '__proto__', 'constructor', '..%2f', '%20', publicId.toLowerCase(), `${publicId}x`, siteId, 'k'.repeat(100)]) {
    for (const [method, to, body] of [['PATCH', key()(id), { label: 'x' }], ['PATCH', key()(id), { scopes: null }], ['POST', key('/rotate')(id), {}], ['POST', key('/renew')(id), {}]] as const) {
      t.match(await ask(method, to, body), { status: 404, json: { code: 'API_KEY_NOT_FOUND' } }, `${method} ${to}`)
    }
  }
  for (const id of ['x', '%00', '__proto__', siteId.toLowerCase(), publicId]) t.match(await ask('DELETE', `${SITES}/${id}`), { status: 404, json: { code: 'SITE_NOT_FOUND' } }, id)
  t.strictSame(await stateOf(storage), before)
})

t.test('sites are origins in their normal form, once each, as many as the policy says', async (t) => {
  const { app, ask, clock } = await hostOf(t, { policy: { resolve: (accountId) => ({ maxSites: accountId === ACCOUNT ? 3 : 0 }) } })
  t.strictSame((await ask('GET', SITES)).json, { sites: [], truncated: false })
  const added = await ask('POST', SITES, { name: 'HTTPS://Shop.Example:443/' })
  t.equal(added.status, 201)
  t.equal(added.headers['cache-control'], 'no-store')
  t.strictSame(added.json, { siteId: added.json.siteId, origin: 'https://shop.example', createdAt: toIso(NOW) })
  t.match(added.json.siteId, /^site_[0-9A-HJKMNP-TV-Z]{26}$/)
  clock.advance(SECOND)
  t.strictSame((await ask('POST', SITES, { name: 'https://shop.example' })).json, added.json, 'one that is there is answered as it is')
  const second = (await ask('POST', SITES, { name: 'http://localhost:3000' })).json
  const third = (await ask('POST', SITES, { name: 'https://*.shop.example' })).json
  t.strictSame((await ask('GET', SITES)).json, { sites: [third, second, added.json], truncated: false })
  t.match(await ask('POST', SITES, { name: 'https://one.more' }), { status: 409, json: { code: 'SITE_LIMIT_REACHED' } })
  t.equal((await ask('POST', SITES, { name: 'https://shop.example' })).status, 201, 'it is none more')
  t.match(await ask('POST', SITES, { name: 'https://shop.example' }, OTHER_SIGNED_IN), { status: 409 }, 'an account without sites')

  const removed = await ask('DELETE', `${SITES}/${second.siteId}`)
  t.strictSame([removed.status, removed.text, removed.headers['cache-control']], [204, '', 'no-store'])
  t.match(await ask('DELETE', `${SITES}/${second.siteId}`), { status: 404, json: { code: 'SITE_NOT_FOUND' } })
  t.strictSame((await ask('GET', SITES)).json, { sites: [third, added.json], truncated: false })
  t.equal((await ask('DELETE', `${SITES}/${third.siteId}`, '')).status, 204, 'a client that always sends a content type')
  t.strictSame((await app.selfServeKeys.audit.list(ACCOUNT)).logs.map(({ action }) => action),
    ['site.removed', 'site.removed', 'site.added', 'site.added', 'site.added'], 'an entry for each change, none for what changed nothing')
})

t.test('a request id that could be a secret is not kept', async (t) => {
  const requestId = 'a'.repeat(42)
  const { ask } = await hostOf(t, {}, { server: { genReqId: () => requestId } })
  madeBy(await ask('POST', KEYS, { label: 'CI' }))
  const { logs } = (await ask('GET', '/v1/me/audit')).json
  t.match(logs, [{ action: 'api_key.issued', requestId: null }])
  t.notMatch(JSON.stringify(logs), requestId)
})

t.test('an address that a trusted proxy was told is kept as long as it may be one', async (t) => {
  const { ask } = await hostOf(t, {}, { server: { trustProxy: true } })
  const addresses = ['2001:db8::1', '[2001:db8::1]:443', 'fe80::1%eth0', '9'.repeat(129), `for ${'a'.repeat(42)}`, 'a'.repeat(42), '\xe9']
  for (const address of addresses) madeBy(await ask('POST', KEYS, { label: 'CI' }, { ...SIGNED_IN, 'x-forwarded-for': address }))
  const { logs } = (await ask('GET', '/v1/me/audit')).json
  t.strictSame(logs.map(({ ip }: { ip: string | null }) => ip).reverse(), [...addresses.slice(0, 3), null, null, null, null])
})

t.test('the audit log tells the account\'s own changes, newest first, with an exact total', async (t) => {
  const { app, ask, clock } = await hostOf(t)
  const { url, publicId } = madeBy(await ask('POST', KEYS, { label: '100 % "CI"_{id}' }))
  clock.advance(SECOND)
  await ask('PATCH', url, { label: 'CI', scopes: null })
  await ask('PATCH', url, { enabled: false })
  await ask('PATCH', url, { enabled: true })
  await ask('POST', `${url}/renew`, { expiresAt: toIso(NOW + DAY) })
  const next = madeBy(await ask('POST', `${url}/rotate`))
  await ask('DELETE', next.url)
  await ask('DELETE', next.url)
  const { siteId } = (await ask('POST', SITES, { name: 'https://example.com' })).json
  await ask('DELETE', `${SITES}/${siteId}`)
  await app.selfServeKeys.audit.record(HOST, { action: 'login', detail: 'Signed in' })
  await ask('POST', KEYS, { label: 'theirs' }, OTHER_SIGNED_IN)
  await ask('POST', KEYS, { label: 'refused', scopes: [] })

  const answer = await ask('GET', '/v1/me/audit')
  t.equal(answer.status, 200)
  t.equal(answer.headers['cache-control'], 'no-store')
  const { logs } = answer.json
  t.strictSame({ ...answer.json, logs: logs.length }, { logs: 10, total: 10, limit: 50, offset: 0 })
  t.strictSame(logs.map(({ id, action }: { id: number, action: string }) => `${id} ${action}`), [
    '10 login', '9 site.removed', '8 site.added', '7 api_key.revoked', '6 api_key.rotated', '5 api_key.renewed', '4 api_key.enabled', '3 api_key.disabled', '2 api_key.updated', '1 api_key.issued'
  ])
  t.strictSame(logs.at(-1), {
    id: 1,
    time: toIso(NOW),
    action: 'api_key.issued',
    actor: { id: `person of ${ACCOUNT}`, name: 'Ada' },
    credential: 'bearer',
    targetType: 'api_key',
    targetId: publicId,
    detail: 'Issued API key "100 % "CI"_{id}"',
    ip: '127.0.0.1',
    requestId: 'req-1'
  })
  t.match(logs.map(({ detail }: { detail: string }) => detail), [
    'Signed in', 'Removed site https://example.com', 'Added site https://example.com', 'Revoked API key "CI"', `Rotated API key "CI", its successor is ${next.publicId}`, 'Renewed API key "CI"', 'Enabled API key "CI"'
  ])
  t.match(logs[0], { actor: null, credential: 'host', targetType: null, targetId: null, requestId: null })

  const cases: Array<[query: string, ids: number[], total: number, limit?: number, offset?: number]> = [
    ['limit=3', [10, 9, 8], 10, 3],
    ['limit=1&offset=9', [1], 10, 1, 9],
    ['limit=100&offset=8', [2, 1], 10, 100, 8],
    ['offset=10', [], 10, 50, 10],
    ['offset=999999999999999', [], 10, 50, 999999999999999],
    ['action=api_key.revoked', [7], 1],
    ['action=API_KEY.revoked', [], 0],
    ['action=api_key', [], 0],
    ['search=100%20%25', [1], 1],
    ['search=%25', [1], 1],
    ['search=_%7Bid%7D', [1], 1],
    ['search=_', [7, 6, 5, 4, 3, 2, 1, 9, 8].sort((a, b) => b - a), 9],
    ['search=SITE', [9, 8], 2],
    [`search=${next.publicId.toLowerCase()}`, [7, 6], 2],
    ['search=person%20of', [], 0],
    ['search=', [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 10],
    ['search=ci&action=api_key.enabled&limit=1', [4], 1, 1]
  ]
  for (const [query, ids, total, limit = 50, offset = 0] of cases) {
    const { json } = await ask('GET', `/v1/me/audit?${query}`)
    t.strictSame({ ...json, logs: json.logs.map(({ id }: { id: number }) => id) }, { logs: ids, total, limit, offset }, query)
  }
})

t.test('a bad query of the new routes is 400 and names its parameter', async (t) => {
  const { ask } = await hostOf(t, { routes: { profile: true } })
  const cases: Array<[query: string, field: string]> = [
    ...['0', '101', '05', '1e1', '-1', '', '1.0', '%31%00', 'ten', '1&limit=1'].map((value): [string, string] => [`audit?limit=${value}`, 'limit']),
    ...['-1', '01', '', '1e3', '9999999999999999', '0&offset=0'].map((value): [string, string] => [`audit?offset=${value}`, 'offset']),
    ...['%00', 'x'.repeat(101), 'a&action=b'].map((value): [string, string] => [`audit?action=${value}`, 'action']),
    ...['%00', 'x'.repeat(101), 'a&search=b'].map((value): [string, string] => [`audit?search=${value}`, 'search']),
    ['audit?__proto__=x', '__proto__'], ['audit?accountId=x', 'accountId'], ['audit?before=x', 'before'],
    ['sites?limit=1', 'limit'], ['sites?__proto__=x', '__proto__'], [`api-keys/${NO_KEY}?x=1`, 'x'], ['?x=1', 'x']
  ]
  for (const [query, field] of cases) {
    const { status, json, headers } = await ask('GET', `/v1/me/${query}`.replace('/?', '?'))
    t.equal(status, 400, query)
    t.equal(json.code, 'INVALID_REQUEST', query)
    t.ok(json.message.startsWith(`${field}: `), `${query}: ${json.message}`)
    t.equal(headers['cache-control'], 'no-store', query)
  }
  for (const [method, url] of [['POST', KEYS], ['PATCH', `${KEYS}/${NO_KEY}`], ['POST', `${KEYS}/${NO_KEY}/rotate`], ['DELETE', `${SITES}/${NO_SITE}`]] as const) {
    t.match(await ask(method, `${url}?label=x`), { status: 400, json: { message: 'label: is not known here' } }, `${method} ${url}`)
  }
})

t.test('the profile is the session\'s, 404 where it has none, and off unless it is asked for', async (t) => {
  class Person {
    constructor (readonly name: string) {}
    get password (): string { return 'hunter2' }
    toJSON (): object { return { name: this.name, greets: 'yes' } }
  }
  const profiles: Record<string, unknown> = {
    ada: { name: 'Ada', email: 'ada@example.com', emailVerified: true, createdAt: new Date(NOW), teams: [{ id: 1, lead: null }], nothing: undefined },
    empty: {},
    methods: { name: 'Ada', save () {}, toString () { return 'x' } },
    model: new Person('Ada')
  }
  const session: SessionResolver = { bearer: (token) => ({ id: token, ...(token in profiles && { profile: profiles[token] as Profile }) }), cookie: () => ({ id: 'ada', profile: profiles.ada as Profile }) }
  const { ask } = await hostOf(t, { session, routes: { profile: true } })
  const shown = { name: 'Ada', email: 'ada@example.com', emailVerified: true, createdAt: toIso(NOW), teams: [{ id: 1, lead: null }] }
  const expected: Record<string, unknown> = { ada: shown, empty: {}, methods: { name: 'Ada' }, model: { name: 'Ada', greets: 'yes' } }
  for (const [token, json] of Object.entries(expected)) {
    const answer = await ask('GET', '/v1/me', undefined, { authorization: `Bearer ${token}` })
    t.equal(answer.status, 200, token)
    t.strictSame(answer.json, json, token)
    t.equal(answer.headers['cache-control'], 'no-store', token)
    const head = await ask('HEAD', '/v1/me', undefined, { authorization: `Bearer ${token}` })
    t.strictSame([head.status, head.text, head.headers['content-length']], [200, '', String(Buffer.byteLength(answer.text))], token)
  }
  t.strictSame((await ask('GET', '/v1/me', undefined, { cookie: 'session=x' })).json, shown)
  for (const method of ['GET', 'HEAD']) {
    const none = await ask(method, '/v1/me', undefined, { authorization: 'Bearer nobody' })
    t.equal(none.status, 404)
    t.equal(none.headers['cache-control'], 'no-store')
  }
  t.equal((await ask('OPTIONS', '/v1/me')).headers.allow, 'GET, HEAD, OPTIONS')
  t.equal((await ask('GET', '/v1/me', undefined, {})).status, 401)
  const off = await hostOf(t, { session })
  t.equal((await off.ask('GET', '/v1/me', undefined, { authorization: 'Bearer ada' })).status, 404)
})

t.test('the switches of the default key and of named keys divide POST between them', async (t) => {
  const statuses = async (routes: object): Promise<unknown[]> => {
    const { ask } = await hostOf(t, { routes })
    const answers = [await ask('POST', KEYS), await ask('POST', KEYS, { environment: 'test' }), await ask('POST', KEYS, { label: 'CI' }), await ask('POST', KEYS, { access: 'secret' })]
    return answers.map(({ status, json }) => status === 201 ? json.apiKey.label : `${status} ${json.message}`)
  }
  t.strictSame(await statuses({}), ['Default', 'Default', 'CI', '400 label: is required'])
  t.strictSame(await statuses({ defaultKey: false }), ['400 label: is required', '400 label: is required', 'CI', '400 label: is required'])
  t.strictSame(await statuses({ keys: false }), ['Default', 'Default', '400 label: is not known here', '400 access: is not known here'])
  const { ask } = await hostOf(t, { routes: { keys: false } })
  for (const [method, path] of [['GET', ''], ['GET', `/${NO_KEY}`], ['PATCH', `/${NO_KEY}`], ['POST', `/${NO_KEY}/rotate`], ['POST', `/${NO_KEY}/renew`], ['DELETE', `/${NO_KEY}`]] as const) {
    t.match((await ask(method, `${KEYS}${path}`)).json, { statusCode: 404, message: /^Route / }, `${method} ${path} is not there`)
  }
})

t.test('every route asks for a session, reads with a cookie, changes with a bearer, and says no-store in every case', async (t) => {
  const { ask, storage } = await hostOf(t, { routes: { profile: true } })
  const before = await stateOf(storage)
  for (const [method, url, body] of ROUTES) {
    const claim = `${method} ${url}`
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { cookie: 'session=wrong' }, { authorization: 'Bearer wrong', ...BROWSER }]) {
      const nobody = await ask(method, url, body, headers)
      t.equal(nobody.status, 401, claim)
      t.equal(nobody.headers['cache-control'], 'no-store', claim)
      t.match(nobody.headers['www-authenticate'], /^Bearer realm="api"/, claim)
    }
    const cookie = await ask(method, url, body, BROWSER)
    t.equal(cookie.headers['cache-control'], 'no-store', claim)
    if (isRead(method)) t.ok([200, 404].includes(cookie.status), claim)
    else t.match(cookie, { status: 403, json: { code: 'BEARER_REQUIRED' } }, claim)
  }
  t.strictSame(await stateOf(storage), before)
  for (const [method, url] of [['PUT', KEYS], ['PATCH', KEYS], ['GET', `${KEYS}/${NO_KEY}/rotate`], ['PATCH', SITES], ['GET', `${SITES}/${NO_SITE}`], ['POST', '/v1/me/audit'], ['DELETE', '/v1/me/audit'], ['POST', '/v1/me']] as const) {
    t.match((await ask(method, url)).json, { statusCode: 404, message: /^Route / }, `${method} ${url} is not there`)
  }
})

t.test('a stranger, and an actor who may not, are refused before the body is read', async (t) => {
  const { app, ask } = await hostOf(t, { authorize: ({ action }) => action === 'keys:read' })
  const { url } = await makeKey(app)
  t.ok(await portOf(app) > 0)
  for (const [authorization, status] of [['Bearer wrong', 401], [SIGNED_IN.authorization, 403]] as const) {
    for (const [method, to] of [['POST', KEYS], ['PATCH', url], ['POST', `${url}/rotate`], ['POST', SITES]] as const) {
      const answer = await raw(app, [`${method} ${to} HTTP/1.1`, `Authorization: ${authorization}`, 'Content-Type: application/json', 'Content-Length: 1000'])
      t.equal(answer.status, status, `${method} ${to}: the answer came though the body never did`)
    }
  }
  t.equal((await ask('GET', url)).status, 200)
})

t.test('authorize is asked by each route for its own action, and its no is 403', async (t) => {
  const asked: Array<Parameters<Authorize>[0]> = []
  let allowed = true
  const { ask, storage } = await hostOf(t, { routes: { profile: true }, authorize: async (question) => { asked.push(question); return allowed } })
  for (const [method, url, body, action] of ROUTES) {
    t.ok((await ask(method, url, body)).status < 500)
    t.equal(asked[0]!.apiKey, null, `${method} ${url}`)
    t.match(asked.splice(0), [{ account: { id: ACCOUNT, actor: { name: 'Ada' } }, action, request: { method, url } }], `${method} ${url}`)
  }
  allowed = false
  const before = await stateOf(storage)
  for (const [method, url, body, action] of ROUTES) {
    const answer = await ask(method, url, body)
    t.equal(answer.status, 403, `${method} ${url}`)
    if (method !== 'HEAD') t.match(answer.json, { code: 'FORBIDDEN', message: `This account's session may not do ${action}.` })
    t.equal(answer.headers['cache-control'], 'no-store')
    t.equal(answer.headers['www-authenticate'], undefined)
  }
  t.strictSame(await stateOf(storage), before)
  asked.length = 0
  t.equal((await ask('OPTIONS', KEYS)).status, 204, 'what there is may be asked by whoever is signed in')
  await ask('POST', KEYS, { label: 'x' }, {})
  await ask('POST', KEYS, { label: 'x' }, BROWSER)
  t.strictSame(asked, [], 'nobody is asked about those who are not signed in')
})

t.test('an authorize that fails, hangs or says neither yes nor no is 503, and nothing is done', async (t) => {
  const answers: Record<string, () => unknown> = {
    throws: () => { throw new Error('password=hunter2') },
    rejects: async () => { throw new Error('password=hunter2') },
    hangs: async () => await new Promise(() => {}),
    'says nothing': () => undefined,
    'says 1': () => 1,
    'says "true"': () => 'true',
    'says null': async () => null,
    'says an object': () => ({ allowed: true })
  }
  for (const [name, authorize] of Object.entries(answers)) {
    const { ask, storage } = await hostOf(t, { authorize: authorize as Authorize, timeout: 30 })
    for (const [method, url, body] of [['POST', KEYS, { label: 'x' }], ['GET', KEYS, undefined], ['POST', SITES, { name: 'https://x.example' }]] as const) {
      const { status, json, headers, text } = await ask(method, url, body)
      t.equal(status, 503, name)
      t.match(json, { code: 'STORAGE_UNAVAILABLE', message: 'Whether this is allowed could not be checked. Try again shortly.' }, name)
      t.equal(headers['retry-after'], '1', name)
      t.equal(headers['cache-control'], 'no-store', name)
      t.notMatch(text, 'hunter2', name)
    }
    t.equal((await storage.countKeys(ACCOUNT, NOW)).total, 0, name)
  }
})

t.test('a storage that fails is 503 on every new route, and no-store', async (t) => {
  const failing = async (): Promise<never> => { throw new Error('disk full at /var/keys') }
  const broken = Object.fromEntries(['issueKey', 'getKey', 'rotateKey', 'renewKey', 'updateKey', 'revokeKey', 'listKeys', 'countKeys', 'addSite', 'removeSite', 'listSites', 'listAudit', 'readUsage', 'readKeyUsage']
    .map((name) => [name, failing]))
  const { ask } = await hostOf(t, { storage: { ...memoryStorage(), ...broken } as Storage })
  for (const [method, url, body] of ROUTES.filter(([, to]) => to !== '/v1/me')) {
    const answer = await ask(method, url, body)
    t.equal(answer.status, 503, `${method} ${url}`)
    t.equal(answer.headers['retry-after'], '1')
    t.equal(answer.headers['cache-control'], 'no-store')
    t.notMatch(answer.text, 'disk')
  }
})

t.test('fifty parallel creates at maxKeys 5 leave 5', async (t) => {
  const { app, ask } = await hostOf(t, { policy: { resolve: async () => ({ maxKeys: 5 }) } })
  const answers = await Promise.all(Array.from({ length: 50 }, async (_, i) => await ask('POST', KEYS, i % 2 === 0 ? { label: `k${i}` } : undefined)))
  const { json: { apiKeys } } = await ask('GET', KEYS)
  t.equal(apiKeys.filter(({ status }: { status: string }) => status === 'active').length, 5)
  t.equal(apiKeys.filter(({ isDefault }: { isDefault: boolean }) => isDefault).length <= 1, true)
  t.strictSame([...new Set(answers.map(({ status }) => status))].sort(), [201, 409])
  t.equal((await app.selfServeKeys.audit.list(ACCOUNT)).total, answers.filter(({ status }) => status === 201).length)
  t.equal((await app.selfServeKeys.keys.count(OTHER_ACCOUNT)).total, 0)
})

t.test('what the host attached and what the storage holds besides leave by no route', async (t) => {
  const { app, ask, storage } = await hostOf(t)
  const { plaintextKey, apiKey } = await app.selfServeKeys.keys.issue(
    { accountId: ACCOUNT, credential: 'host', actor: { id: 'subject-7', name: 'Grace' } }, { label: 'CI' }, { metadata: { plan: 'gold' } })
  const url = `${KEYS}/${apiKey.publicId}`
  const { hash } = (await storage.getKey(ACCOUNT, apiKey.publicId))!
  const answers = [
    await ask('GET', url), await ask('PATCH', url, { label: 'x' }), await ask('POST', `${url}/renew`), await ask('POST', `${url}/rotate`, { overlapSeconds: 5 }), await ask('DELETE', url),
    await ask('GET', KEYS), await ask('GET', SITES), await ask('GET', '/v1/me/usage')
  ]
  for (const { text } of answers) {
    for (const secret of [hash, plaintextKey!, 'gold', 'metadata', 'subject-7', `"${ACCOUNT}"`]) t.notOk(text.includes(secret), secret)
  }
  t.equal((await storage.getKey(ACCOUNT, answers[3]!.json.apiKey.publicId))!.metadata?.plan, 'gold', 'a successor takes it over')
})

t.test('the routes say in the host\'s log what failed, and never a key', async (t) => {
  let printed = ''
  const { ask } = await hostOf(t, {}, { server: { logger: { level: 'trace', stream: { write: (line: string) => { printed += line } } } } })
  const made = madeBy(await ask('POST', KEYS, { label: 'CI' }))
  const next = madeBy(await ask('POST', `${made.url}/rotate`, { overlapSeconds: 60 }))
  await ask('PATCH', next.url, { scopes: [] })
  t.ok(printed.includes('/v1/me/api-keys'))
  for (const { plaintext } of [made, next]) t.notOk(printed.includes(plaintext))
})
