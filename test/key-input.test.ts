// What somebody asks for a key: origins, ranges of addresses, labels, scopes, times, metadata. Right as it is, or refused by name.
import t from 'tap'
import { isText, readFields, readOneOf } from '../lib/fields.js'
import { inRanges, isWithin, parseRange } from '../lib/keys/ip-ranges.js'
import { readExpiry, readLabel, readMetadata, readOrigins, readRanges, readScopes, readTime, type ExpiryRules } from '../lib/keys/key-input.js'
import { matchesOrigin, parseOrigin } from '../lib/keys/origins.js'
import { DAY, HOUR, parseTime } from '../lib/time.js'
import { NOW, STRANGE_TEXTS } from './helpers/keys.js'

const CATALOGUE = new Set(['blocks:read', 'blocks:write', 'reports:read'])
const invalid = (field: string) => ({ code: 'INVALID_REQUEST', statusCode: 400, details: { field } })
/** Values that are never text, whatever a field holds. */
const NO_TEXT: readonly unknown[] = [null, true, 5, NaN, {}, [], ['x'], Symbol('x'), () => 'x', new Date(NOW)]

t.test('origins', async (t) => {
  t.test('are kept as browsers send them: scheme, host, and the port where it is not the scheme\'s own', async (t) => {
    const forms: Record<string, string> = {
      'https://example.com': 'https://example.com',
      'https://example.com/': 'https://example.com',
      'HTTPS://Example.COM': 'https://example.com',
      'https://example.com:443': 'https://example.com',
      'http://example.com:80': 'http://example.com',
      'https://example.com:80': 'https://example.com:80',
      'http://localhost:3000': 'http://localhost:3000',
      'http://127.0.0.1:8080': 'http://127.0.0.1:8080',
      'http://[::1]:3000': 'http://[::1]:3000',
      'http://[2001:DB8:0::1]': 'http://[2001:db8::1]',
      'https://bücher.example': 'https://xn--bcher-kva.example',
      'https://BÜCHER.example': 'https://xn--bcher-kva.example',
      'https://example.com.': 'https://example.com.',
      'https://*.example.com': 'https://*.example.com',
      'https://*.Example.com:8443': 'https://*.example.com:8443',
      'https://*.bücher.example': 'https://*.xn--bcher-kva.example',
      'https://*.a.b.example.com': 'https://*.a.b.example.com'
    }
    for (const [text, form] of Object.entries(forms)) {
      t.equal(parseOrigin(text), form, text)
      t.equal(parseOrigin(form), form, 'the form is its own')
    }
  })

  t.test('are nothing else: no path, query, user, other scheme or wildcard of another kind', async (t) => {
    const bad: unknown[] = [
      ...NO_TEXT, undefined, '', 'null', '*', '*.example.com', 'example.com', '//example.com', 'https://', 'https:///', 'https:example.com', 'https://:443',
      'https://example.com/path', 'https://example.com//', 'https://example.com?x', 'https://example.com/?x', 'https://example.com#x', 'https://example.com\\x',
      'https://user@example.com', 'https://user:password@example.com', 'https://@example.com', 'https://example.com:99999', 'https://example.com:x',
      'https://example.com\0', '\0https://example.com', 'https://example.com\x01\x02', 'https://example.com:80\x1f', 'https://exa\x7fmple.com',
      'javascript:alert(1)', 'javascript://example.com', 'data:text/html,x', 'file:///etc/passwd', 'ftp://example.com', 'ws://example.com', 'blob:https://example.com',
      ' https://example.com', 'https://example.com ', 'https://example.com\n', 'https://exa mple.com', 'https://example.com\thttps://a.example', 'https://exam\0ple.com',
      'https://*', 'https://*.com', 'https://*.com.', 'https://*.localhost', 'https://*.*.example.com', 'https://a.*.example.com', 'https://a*.example.com',
      'https://*a.example.com', 'https://example.*', 'https://**.example.com', 'https://*.example.com:*', 'https://*.127.0.0.1', 'https://*.0x7f.1', 'https://*.[::1]',
      // What only becomes a star when it is read as a host.
      'https://%2a.com', 'https://%2A.example.com', 'https://＊.example.com', 'https://a.%2a.com', 'https://*.%2a.com',
      'https://.example.com', 'https://.', 'https://a..example.com', `https://${'a'.repeat(300)}.example`
    ]
    for (const text of bad) t.equal(parseOrigin(text), null, String(text))
  })

  t.test('match as a whole: scheme, host and port, and never a host that only begins or ends alike', async (t) => {
    const allowed = ['https://example.com', 'http://localhost:3000', 'https://*.shop.example', 'https://*.shop.example:8443', 'http://[::1]:3000', 'https://xn--bcher-kva.example']
    const good = [
      'https://example.com', 'http://localhost:3000', 'https://a.shop.example', 'https://a-b.shop.example', 'https://a.shop.example:8443', 'http://[::1]:3000', 'https://xn--bcher-kva.example'
    ]
    const bad = [
      'null', '', '*', 'https://example.com.evil.io', 'https://evil-example.com', 'https://evilexample.com', 'https://example.com.', 'https://www.example.com',
      'http://example.com', 'https://example.com:8443', 'https://example.com:443', 'https://example.com/', 'HTTPS://example.com', 'https://Example.com', 'https://example.com/x',
      'https://user@example.com', 'https://example.com?', 'https://example.com, https://evil.io', 'https://evil.io https://example.com', 'http://localhost', 'http://localhost:3001',
      'https://localhost:3000', 'https://shop.example', 'https://a.b.shop.example', 'https://.shop.example', 'https://a.shop.example:444', 'http://a.shop.example',
      'https://*.shop.example', 'https://%2a.shop.example', 'https://a.shop.example.evil.io', 'https://ashop.example', 'https://bücher.example', 'javascript:alert(1)',
      'http://[::2]:3000', 'file://', 'data:', 'undefined'
    ]
    for (const origin of good) t.equal(matchesOrigin(origin, allowed), true, origin)
    for (const origin of bad) t.equal(matchesOrigin(origin, allowed), false, origin)
    for (const origin of [...good, ...bad]) t.equal(matchesOrigin(origin, []), false, `${origin}, of none`)
  })

  t.test('of a key are at most fifty, each once, the wrong one named by its place', async (t) => {
    const many = Array.from({ length: 50 }, (_, place) => `https://a${place}.example`)
    t.same(readOrigins(undefined), [])
    t.same(readOrigins([]), [])
    t.same(readOrigins(many), many)
    t.same(readOrigins(['https://a.example', 'https://A.example/', 'https://a.example:443']), ['https://a.example'])
    t.throws(() => readOrigins([...many, 'https://b.example']), invalid('allowedOrigins'))
    for (const value of NO_TEXT.filter((value) => !Array.isArray(value))) t.throws(() => readOrigins(value), invalid('allowedOrigins'))
    t.throws(() => readOrigins(['https://a.example', 'null']), invalid('allowedOrigins.1'))
    // eslint-disable-next-line no-sparse-arrays -- the hole is what is tested
    t.throws(() => readOrigins(['https://a.example', , 'https://b.example']), invalid('allowedOrigins.1'))
    t.throws(() => readOrigins(['https://user@a.example']), {
      ...invalid('allowedOrigins.0'), message: 'allowedOrigins.0: must be an origin such as https://example.com or https://*.example.com'
    })
  })
})

t.test('ranges of addresses', async (t) => {
  t.test('are kept in their normal form, a single address as the range of itself', async (t) => {
    const forms: Record<string, string> = {
      '203.0.113.7': '203.0.113.7/32',
      '203.0.113.7/32': '203.0.113.7/32',
      '203.0.113.0/24': '203.0.113.0/24',
      '10.0.0.0/8': '10.0.0.0/8',
      '203.0.113.128/25': '203.0.113.128/25',
      '0.0.0.0/0': '0.0.0.0/0',
      '::/0': '::/0',
      '::1': '::1/128',
      '2001:DB8::/32': '2001:db8::/32',
      '2001:db8:0:0:0:0:0:1': '2001:db8::1/128',
      '2001:db8::8000/113': '2001:db8::8000/113',
      'fe80::/10': 'fe80::/10',
      '64:ff9b::192.0.2.1': '64:ff9b::c000:201/128'
    }
    for (const [text, form] of Object.entries(forms)) {
      t.equal(parseRange(text), form, text)
      t.equal(parseRange(form), form, 'the form is its own')
    }
  })

  t.test('are nothing else: no bits behind the prefix, no names, no other notation', async (t) => {
    const bad: unknown[] = [
      ...NO_TEXT, undefined, ['203.0.113.7'], { toString: () => '203.0.113.7' }, '', ' ', '/', '/24', '203.0.113.7/24', '203.0.113.1/31', '10.0.0.1/0', '203.0.113.0/33', '203.0.113.0/-1', '203.0.113.0/024', '203.0.113.0/',
      '203.0.113.0/24/8', '203.0.113.0/2.4', '203.0.113.0/ 24', '203.0.113.0/255.255.255.0', ' 203.0.113.7', '203.0.113.7\n', '203.0.113', '203.0.113.256', '203.0.113.07', '0xcb.0.113.7',
      '3405803783', '203.0.113.*', '203.0.113.0-203.0.113.9', 'localhost', 'example.com', '::/129', '2001:db8::1/64', '2001:db8::1::', ':::', '[::1]', '::1]', 'fe80::1%eth0', '12345::',
      // An IPv4 address written as IPv6 is judged as IPv4: a range of such would never hold anything, or too much.
      '::ffff:192.0.2.1', '::FFFF:192.0.2.0/120', '::ffff:c000:201', '::ffff:0:0/96', '0:0:0:0:0:ffff:c000:201', `${'0'.repeat(60)}::1`
    ]
    for (const text of bad) t.equal(parseRange(text), null, String(text))
  })

  t.test('hold exactly the addresses whose first bits are theirs, at every length of the prefix', async (t) => {
    const write = (value: bigint, version: 4 | 6): string => version === 4
      ? [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
      : Array.from({ length: 8 }, (_, place) => ((value >> BigInt(112 - 16 * place)) & 0xffffn).toString(16)).join(':')
    for (const [version, width, some] of [[4, 32, 0xcb007155n], [6, 128, 0x20010db8_a5a55a5a_0123cdef_89ab4567n]] as const) {
      for (let bits = 0; bits <= width; bits++) {
        const rest = BigInt(width - bits)
        const first = (some >> rest) << rest
        const last = first + (1n << rest) - 1n
        const range = parseRange(`${write(first, version)}/${bits}`)!
        t.type(range, 'string')
        const held = [first, last, some].every((address) => inRanges(write(address, version), [range]))
        const outside = [first - 1n, last + 1n].filter((address) => address >= 0n && address < 1n << BigInt(width))
        t.ok(held && outside.every((address) => !inRanges(write(address, version), [range])), `${range}`)
        if (first !== some) t.equal(parseRange(`${write(some, version)}/${bits}`), null)
      }
    }
  })

  t.test('never mix families, and take a mapped IPv4 address for what it is', async (t) => {
    t.equal(inRanges('203.0.113.7', ['::/0']), false)
    t.equal(inRanges('2001:db8::1', ['0.0.0.0/0']), false)
    t.equal(inRanges('::ffff:203.0.113.7', ['203.0.113.0/24']), true)
    t.equal(inRanges('::FFFF:203.0.113.7', ['203.0.113.0/24']), true)
    for (const address of ['::ffff:cb00:7107', '0:0:0:0:0:ffff:203.0.113.7', '::ffff:203.0.113.7%eth0']) {
      t.equal(inRanges(address, ['203.0.113.0/24']), true, address)
      t.equal(inRanges(address, ['::/0']), false, address)
    }
    t.equal(inRanges('::ffff:203.0.113.7', ['::/0']), false)
    t.equal(inRanges('::ffff:203.0.114.7', ['203.0.113.0/24']), false)
    t.equal(inRanges('203.0.113.7', ['10.0.0.0/8', '2001:db8::/32', '203.0.113.7/32']), true)
  })

  t.test('hold nothing that is no address, and none where there are none', async (t) => {
    const all = ['0.0.0.0/0', '::/0']
    for (const ip of [undefined, '', 'unknown', 'localhost', '203.0.113.7:80', '203.0.113.7, 10.0.0.1', '[::1]', '::ffff:999.0.0.1', '203.0.113.7/32', 'a'.repeat(10_000)]) {
      t.equal(inRanges(ip, all), false, String(ip))
    }
    t.equal(inRanges('203.0.113.7', []), false)
    t.equal(inRanges('fe80::1%eth0', ['fe80::/10']), true, 'a zone is no part of the address')
  })

  t.test('are within another only as a whole and of the same family', async (t) => {
    const table: Array<[inner: string, outer: string[], within: boolean]> = [
      ['203.0.113.0/24', ['203.0.113.0/24'], true],
      ['203.0.113.0/25', ['203.0.113.0/24'], true],
      ['203.0.113.7/32', ['203.0.113.0/24'], true],
      ['203.0.113.0/24', ['203.0.113.0/25'], false],
      ['203.0.113.0/24', ['203.0.113.0/25', '203.0.113.128/25'], false],
      ['203.0.114.0/24', ['203.0.113.0/24'], false],
      ['203.0.113.0/24', ['0.0.0.0/0'], true],
      ['0.0.0.0/0', ['203.0.113.0/24'], false],
      ['0.0.0.0/0', ['::/0'], false],
      ['203.0.113.0/24', ['::/0'], false],
      ['2001:db8::/48', ['0.0.0.0/0', '2001:db8::/32'], true],
      ['2001:db8::/32', ['2001:db8::/48'], false],
      ['::1/128', ['::/0'], true],
      ['::/0', ['::/0'], true],
      ['::1/128', [], false]
    ]
    for (const [inner, outer, within] of table) t.equal(isWithin(inner, outer), within, `${inner} in ${outer.join()}`)
  })

  t.test('of a key are at most fifty, each once, the wrong one named by its place', async (t) => {
    const many = Array.from({ length: 50 }, (_, place) => `10.0.${place}.0/24`)
    t.same(readRanges(undefined), [])
    t.same(readRanges(many), many)
    t.same(readRanges(['203.0.113.7', '203.0.113.7/32']), ['203.0.113.7/32'])
    t.throws(() => readRanges([...many, '10.1.0.0/24']), invalid('allowedIps'))
    t.throws(() => readRanges(['10.0.0.0/8', '10.0.0.1/8']), {
      ...invalid('allowedIps.1'), message: 'allowedIps.1: must be an address or a range of addresses such as 203.0.113.0/24'
    })
  })
})

t.test('labels', async (t) => {
  t.test('are kept byte for byte: 1 to 100 code points of anything but NUL and lone surrogates', async (t) => {
    for (const label of [...STRANGE_TEXTS, 'x', ' ', '\t', 'a'.repeat(100), '🔑'.repeat(100), 'é'.repeat(100), 'e\u0301'.repeat(50), '\u202egnp', '\ufeff', '{id}', '$&', '__proto__']) {
      t.equal(readLabel(label), label, JSON.stringify(label))
    }
    t.equal(readLabel('🔑'.repeat(100)).length, 200, 'code points are counted, not UTF-16 units')
  })

  t.test('are refused otherwise, and not cut', async (t) => {
    for (const label of ['', 'a'.repeat(101), '🔑'.repeat(101), `${'🔑'.repeat(100)}a`, 'é'.repeat(101), 'e\u0301'.repeat(51), 'a\0b', '\0', 'a\ud800', '\udc00b', '\udc00\ud800', 'x'.repeat(1e6), ...NO_TEXT]) {
      t.throws(() => readLabel(label), { ...invalid('label'), message: 'label: must be text of 1 to 100 characters, without NUL and lone surrogates' })
    }
    t.throws(() => readLabel(undefined), { ...invalid('label'), message: 'label: is required' })
    t.equal(isText('', 1), true)
    t.equal(isText('ab', 1), false)
  })
})

t.test('scopes', async (t) => {
  t.test('are names of the catalogue, each once in the order given; null is all', async (t) => {
    t.equal(readScopes(null, CATALOGUE, null), null)
    t.equal(readScopes(null, CATALOGUE, []), null, 'all that the account may grant, which may be nothing')
    t.same(readScopes(['blocks:write', 'blocks:read', 'blocks:write'], CATALOGUE, null), ['blocks:write', 'blocks:read'])
    t.same(readScopes(['blocks:read'], CATALOGUE, ['blocks:read']), ['blocks:read'])
    const given = ['blocks:read']
    t.not(readScopes(given, CATALOGUE, null), given, 'a copy')
  })

  t.test('are refused by their place: none, unknown, of another case, nested, missing', async (t) => {
    for (const value of [undefined, [], 'blocks:read', {}, 5, true, { length: 1, 0: 'blocks:read' }, new Set(['blocks:read'])]) {
      t.throws(() => readScopes(value, CATALOGUE, null), { ...invalid('scopes'), message: 'scopes: must be a list of at least one scope, or null for all' })
    }
    for (const scope of ['blocks:delete', 'Blocks:read', 'BLOCKS:READ', 'blocks:read ', 'blocks:*', '*', '', 'toString', '__proto__', ['blocks:read'], { name: 'blocks:read' }, null, undefined, 5]) {
      t.throws(() => readScopes(['blocks:read', scope], CATALOGUE, null), { ...invalid('scopes.1'), message: 'scopes.1: is not a scope of this API' })
    }
    t.throws(() => readScopes(new Array(2), CATALOGUE, null), invalid('scopes.0'))
    t.throws(() => readScopes(['blocks:read'], new Set(), null), invalid('scopes.0'))
  })

  t.test('of the catalogue that the account may not grant are forbidden, not unknown', async (t) => {
    const grantable = ['blocks:read']
    t.throws(() => readScopes(['blocks:read', 'blocks:write'], CATALOGUE, grantable), {
      code: 'FORBIDDEN', statusCode: 403, message: 'scopes.1: this account may not grant blocks:write'
    })
    t.throws(() => readScopes(['blocks:read'], CATALOGUE, []), { code: 'FORBIDDEN' })
    t.throws(() => readScopes(['blocks:delete'], CATALOGUE, grantable), invalid('scopes.0'))
  })
})

t.test('times', async (t) => {
  t.test('are RFC 3339 with any offset', async (t) => {
    const noon = Date.UTC(2026, 0, 15, 12, 34, 56)
    const good: Record<string, number> = {
      '2026-01-15T12:34:56Z': noon,
      '2026-01-15t12:34:56z': noon,
      '2026-01-15T12:34:56.789Z': NOW,
      '2026-01-15T12:34:56.789999999Z': NOW,
      '2026-01-15T12:34:56.7Z': noon + 700,
      '2026-01-15T14:34:56+02:00': noon,
      '2026-01-15T07:04:56-05:30': noon,
      '2026-01-15T12:34:56-00:00': noon,
      '2026-01-16T12:33:56+23:59': noon,
      '2028-02-29T00:00:00Z': Date.UTC(2028, 1, 29),
      '2000-02-29T23:59:59Z': Date.UTC(2000, 1, 29, 23, 59, 59),
      '1969-12-31T23:59:59.999Z': -1,
      '9999-12-31T23:59:59Z': Date.UTC(9999, 11, 31, 23, 59, 59)
    }
    for (const [text, ms] of Object.entries(good)) t.equal(parseTime(text), ms, text)
  })

  t.test('are nothing else: no day that there is not, no leap second, no year that RFC 3339 cannot write', async (t) => {
    const bad: unknown[] = [
      ...NO_TEXT, undefined, '', '0', '1768480496789', '2026', '2026-01-15', '2026-01-15T12:34Z', '2026-01-15T12:34:56', '2026-01-15 12:34:56Z', '2026-01-15T12:34:56 Z',
      ' 2026-01-15T12:34:56Z', '2026-01-15T12:34:56Z\n', '2026-01-15T12:34:56.Z', '2026-01-15T12:34:56,789Z', '2026-01-15T12:34:56.1234567890Z', '20260115T123456Z',
      '2026-02-30T00:00:00Z', '2026-02-29T00:00:00Z', '1900-02-29T00:00:00Z', '2026-04-31T00:00:00Z', '2026-01-32T00:00:00Z', '2026-01-00T00:00:00Z', '2026-00-01T00:00:00Z', '2026-13-01T00:00:00Z',
      '2026-02-30T00:00:00+05:00', '2026-01-15T24:00:00Z', '2026-01-15T25:00:00Z', '2026-01-15T12:60:00Z', '2026-06-30T23:59:60Z', '2016-12-31T23:59:60Z',
      '2026-01-15T12:34:56+24:00', '2026-01-15T12:34:56+12:60', '2026-01-15T12:34:56+2:00', '2026-01-15T12:34:56+0200', '2026-01-15T12:34:56+02', '2026-01-15T12:34:56UTC',
      '+002026-01-15T12:34:56Z', '-000001-01-01T00:00:00Z', '12026-01-15T12:34:56Z', '9999-12-31T23:59:59-00:01', '0000-01-01T00:00:00+00:01', 'Thu, 15 Jan 2026 12:34:56 GMT', 'tomorrow'
    ]
    for (const value of bad) t.equal(parseTime(value), null, String(value))
    t.equal(readTime('createdAt', null), null)
    t.equal(readTime('createdAt', '2026-01-15T12:34:56.789Z'), NOW)
    t.throws(() => readTime('createdAt', '2026-02-30T00:00:00Z'), { ...invalid('createdAt'), message: 'createdAt: must be a time such as 2027-01-31T12:00:00Z, or null' })
  })

  t.test('of expiry: what is not chosen is cut to what is allowed, what is chosen is allowed or refused', async (t) => {
    const at = (ms: number): string => new Date(NOW + ms).toISOString()
    const rules = (lifetime: number | null, maxLifetime: number | null, requireExpiry: boolean): ExpiryRules => ({ now: NOW, lifetime, maxLifetime, requireExpiry })
    const REQUIRED = 'is required: keys of this account must expire'
    const LATE = `must not be later than ${at(10 * DAY)}`
    const PAST = 'must be in the future'
    /** With: neither, a lifetime of 5 days, a limit of 10, both, and a lifetime of 20 beyond the limit. Twice: and an expiry required. */
    const kinds = [[null, null], [5 * DAY, null], [null, 10 * DAY], [5 * DAY, 10 * DAY], [20 * DAY, 10 * DAY]] as const
    const table: Array<[value: string | null | undefined, free: Array<number | null | string>, required: Array<number | null | string>]> = [
      [undefined, [null, 5 * DAY, 10 * DAY, 5 * DAY, 10 * DAY], [REQUIRED, 5 * DAY, 10 * DAY, 5 * DAY, 10 * DAY]],
      [null, [null, null, LATE, LATE, LATE], Array<string>(5).fill(REQUIRED)],
      [at(1), Array<number>(5).fill(1), Array<number>(5).fill(1)],
      [at(0), Array<string>(5).fill(PAST), Array<string>(5).fill(PAST)],
      [at(-HOUR), Array<string>(5).fill(PAST), Array<string>(5).fill(PAST)],
      [at(7 * DAY), Array<number>(5).fill(7 * DAY), Array<number>(5).fill(7 * DAY)],
      [at(10 * DAY), Array<number>(5).fill(10 * DAY), Array<number>(5).fill(10 * DAY)],
      [at(10 * DAY + 1), [10 * DAY + 1, 10 * DAY + 1, LATE, LATE, LATE], [10 * DAY + 1, 10 * DAY + 1, LATE, LATE, LATE]]
    ]
    for (const [value, ...outcomes] of table) {
      for (const [required, expected] of outcomes.entries()) {
        for (const [place, [lifetime, maxLifetime]] of kinds.entries()) {
          const read = (): number | null => readExpiry(value, rules(lifetime, maxLifetime, required === 1))
          const outcome = expected[place]!
          if (typeof outcome === 'string') t.throws(read, { ...invalid('expiresAt'), message: `expiresAt: ${outcome}` }, `${String(value)}, rules ${place}`)
          else t.equal(read(), outcome === null ? null : NOW + outcome, `${String(value)}, rules ${place}`)
        }
      }
    }
    for (const value of ['2026-02-30T00:00:00Z', '2027-01-01', 1893456000000, true, {}]) t.throws(() => readExpiry(value, rules(null, null, false)), invalid('expiresAt'))
  })
})

t.test('metadata is a copy of a JSON object of at most 4096 bytes', async (t) => {
  t.equal(readMetadata(null), null)
  const given = { plan: 'free', nested: { list: [1, null, '🔑'] } }
  const read = readMetadata(given)
  t.same(read, given)
  given.nested.list.push(2)
  t.same(read, { plan: 'free', nested: { list: [1, null, '🔑'] } })
  const fits = { x: 'é'.repeat(2044) }
  t.equal(Buffer.byteLength(JSON.stringify(fits)), 4096)
  t.same(readMetadata(fits), fits)
  t.throws(() => readMetadata({ x: `${fits.x}y` }), { ...invalid('metadata'), message: 'metadata: must not be more than 4096 bytes of JSON' })
  for (const value of [undefined, 'x', 5, true, [], new Map(), new Date(NOW), Promise.resolve({})]) {
    t.throws(() => readMetadata(value), { ...invalid('metadata'), message: 'metadata: must be an object or null' })
  }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  for (const value of [circle, { n: 1n }, { toJSON: () => undefined }, { toJSON: () => 'text' }, { toJSON: () => [] }, { toJSON () { throw new Error('no') } }]) {
    t.throws(() => readMetadata(value), { ...invalid('metadata'), message: 'metadata: must be what JSON can hold' })
  }
})

t.test('members of an input are known by name, or named', async (t) => {
  const given = { label: 'x' }
  t.same(readFields(given, ['label', 'scopes']), given)
  t.not(readFields(given, ['label']), given, 'a copy')
  for (const name of ['accountId', 'metadata', 'isDefault', 'toString', 'constructor', 'Label']) {
    t.throws(() => readFields({ label: 'x', [name]: undefined }, ['label']), { ...invalid(name), message: `${name}: is not known here` })
  }
  t.throws(() => readFields(JSON.parse('{ "__proto__": {} }'), ['label']), invalid('__proto__'))
  for (const value of [undefined, null, 'label', 5, [], new Map(), Promise.resolve({}), Object.create({ label: 'x' })]) {
    t.throws(() => readFields(value, ['label']), { ...invalid('input'), message: 'input: must be an object' })
  }
  t.equal(readOneOf('access', undefined, 'secret', ['secret', 'publishable']), 'secret')
  t.equal(readOneOf('access', 'publishable', 'secret', ['secret', 'publishable']), 'publishable')
  for (const value of [null, '', 'Secret', ['secret'], 0]) {
    t.throws(() => readOneOf('access', value, 'secret', ['secret', 'publishable']), { ...invalid('access'), message: 'access: must be one of secret, publishable' })
  }
})
