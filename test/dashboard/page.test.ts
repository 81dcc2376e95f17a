// What the page works out by itself: its words, numbers and times, which keys it shows, and when a key may end.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ApiKey } from '../../lib/index.js'
import { formatOf } from '../../lib/dashboard/page/format.js'
import { calledSinceRotation, endedAt, EVERY_CURRENT_KEY, hasEnded, matches, type KeyFilter } from '../../lib/dashboard/page/keys/key-facts.js'
import { expiresAtOf, expiryChoices } from '../../lib/dashboard/page/keys/expiry.js'
import { lineOf, linesOf } from '../../lib/dashboard/page/keys/lines.js'
import { overlapsUpTo } from '../../lib/dashboard/page/keys/overlaps.js'
import { ENGLISH, sayIn } from '../../lib/dashboard/page/text.js'
import { toApiKey } from '../../lib/keys/api-key.js'
import { DAY, HOUR, MINUTE, SECOND, toIso } from '../../lib/time.js'
import { NOW, storedKey } from '../helpers/keys.js'

/** The reader's own: half an hour off the full ones, and a day ahead of UTC in the evening. */
process.env.TZ = 'Asia/Kolkata'
const DAY_SECONDS = DAY / SECOND

/** Spaces that do not break, and the marks of a direction, are no business of a test's. */
const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, ' ').replace(/[\u200e\u200f\u061c]/g, '')

t.test('numbers and times are written as the reader\'s language does, in the reader\'s own time zone', async (t) => {
  const written = (locale: string): string[] => {
    const { number, time, day } = formatOf(locale)
    return [number(1234567.5), time('2026-01-15T19:04:00Z'), day('2026-01-15T19:04:00Z')].map(plain)
  }
  t.strictSame(written('en'), ['1,234,567.5', 'Jan 16, 2026, 12:34 AM', 'Jan 16, 2026'])
  t.strictSame(written('de'), ['1.234.567,5', '16.01.2026, 00:34', '16.01.2026'])
  t.strictSame(written('ar-EG'), ['١٬٢٣٤٬٥٦٧٫٥', '١٦/٠١/٢٠٢٦، ١٢:٣٤ ص', '١٦/٠١/٢٠٢٦'])
  t.equal(formatOf('he').locale, 'he')
})

t.test('a length of time is told in its two largest units, and none is left out between them', async (t) => {
  const spans = (locale: string, ...lengths: number[]): string[] => lengths.map((ms) => plain(formatOf(locale).span(ms)))
  t.strictSame(spans('en', 0, 999, SECOND, 59 * SECOND, 60 * SECOND, 61 * SECOND), ['0 sec', '0 sec', '1 sec', '59 sec', '1 min', '1 min 1 sec'])
  t.strictSame(
    spans('en', HOUR + 5 * MINUTE + 59 * SECOND, HOUR + 59 * SECOND, DAY - 1, 3 * DAY, 3 * DAY + 23 * HOUR, 400 * DAY + MINUTE),
    ['1 hr 5 min', '1 hr', '23 hr 59 min', '3 days', '3 days 23 hr', '400 days']
  )
  t.strictSame(spans('de', HOUR + 5 * MINUTE), ['1 Std., 5 Min.'])
  t.match(spans('ar-EG', 3 * DAY), [/٣/])
})

t.test('how long ago is told by what has passed, both ways, and never by a day of the calendar', async (t) => {
  const ago = (locale: string, ms: number): string => plain(formatOf(locale).ago(toIso(NOW + ms), NOW))
  t.strictSame(
    [-3 * DAY, -47 * HOUR, -DAY, -23 * HOUR, -90 * SECOND, -59_999, -999].map((ms) => ago('en', ms)),
    ['3 days ago', '1 day ago', '1 day ago', '23 hours ago', '1 minute ago', '59 seconds ago', 'now']
  )
  t.strictSame(
    [0, 999, SECOND, 2 * MINUTE, HOUR, 36 * HOUR].map((ms) => ago('en', ms)),
    ['now', 'now', 'in 1 second', 'in 2 minutes', 'in 1 hour', 'in 1 day']
  )
  t.strictSame([ago('de', -2 * DAY), ago('de', 2 * DAY), ago('de', 0)], ['vor 2 Tagen', 'in 2 Tagen', 'jetzt'])
})

t.test('what a request took is in milliseconds to a second, then in seconds to a tenth', async (t) => {
  const { took } = formatOf('en')
  t.strictSame([0, 0.44, 9.96, 12.6, 999, 1000, 1250, 61_000].map(took), ['0 ms', '0.4 ms', '10 ms', '13 ms', '999 ms', '1 sec', '1.3 sec', '61 sec'])
  t.equal(plain(formatOf('de').took(1250)), '1,3 Sek.')
})

const number = (value: number): string => `<${value}>`

t.test('a text is filled with what it names; what is not given stays as it is', async (t) => {
  const say = sayIn('en', { close: '{label} {label} {other} { label } {}' }, number)
  t.equal(say('rotate.title', { label: 'CI {time} $& $1', unused: 'x' }), 'Rotate “CI {time} $& $1”?')
  t.equal(say('rotate.title'), 'Rotate “{label}”?')
  t.equal(say('close', { label: 7 }), '7 7 {other} { label } {}')
  t.equal(say('rotate.title', Object.create({ label: 'inherited' })), 'Rotate “{label}”?')
})

t.test('a text is counted by the reader\'s own forms, with what stands for a form that is missing', async (t) => {
  const english = sayIn('en', {}, number)
  t.strictSame([0, 1, 2, 1000].map((count) => english.count('use.day.requests', count)), ['<0> requests', '<1> request', '<2> requests', '<1000> requests'])
  const forms = { one: '{count} żądanie', few: '{count} żądania', many: '{count} żądań', other: '{count} żądania' }
  const polish = sayIn('pl', Object.fromEntries(Object.entries(forms).map(([form, text]) => [`use.day.requests.${form}`, text])), number)
  t.strictSame([1, 3, 5, 12, 22].map((count) => polish.count('use.day.requests', count)), ['<1> żądanie', '<3> żądania', '<5> żądań', '<12> żądań', '<22> żądania'])
  t.equal(polish.count('audit.total', 5), '<5> entries', 'a text that was not translated')
  t.equal(english.count('use.day.requests', 2, { count: 'overridden' }), '<2> requests')
})

t.test('a translation replaces the texts that it names, and the rest stay English', async (t) => {
  const say = sayIn('de', { cancel: 'Abbrechen', 'no.such.name': 'nichts', close: '' }, number)
  t.strictSame([say('cancel'), say('save'), say('close')], ['Abbrechen', 'Save', ''])
  t.strictSame(['cancel', 'save', 'error.API_KEY_NOT_FOUND', 'error.OTHER', 'toString', '__proto__'].map((name) => say.maybe(name)), [
    'Abbrechen', 'Save', 'This key is no longer there.', null, null, null
  ])
  t.equal(sayIn('en', {}, number)('cancel'), 'Cancel')
})

t.test('every text is used, and every name of one has a text', async (t) => {
  const folder = join(import.meta.dirname, '..', '..', 'lib', 'dashboard', 'page')
  const sources = readdirSync(folder, { recursive: true }).map(String).filter((name) => /(?<!\.d)\.tsx?$/.test(name) && name !== 'text.ts' && !name.startsWith('english/'))
  const code = sources.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n')
  const names = Object.keys(ENGLISH)
  const groups = new Set(names.filter((name) => name.includes('.')).map((name) => name.split('.')[0]))
  const literals = new Set([...code.matchAll(/'([\w-]+(?:\.[\w-]+)*)'/g)].map(([, literal]) => literal!))
  // `status.${status}`: any text whose name has something there.
  const patterns = [...code.matchAll(/`(?!\.)((?:[\w.-]|\$\{\w+(?:\.\w+)*\})+)`/g)].map(([, template]) => template!)
    .filter((template) => /\$\{/.test(template) && /(^|\})[\w-]*\.|\.[\w-]*($|\$)/.test(template))
    .map((template) => new RegExp(`^${template.replaceAll('.', '\\.').replace(/\$\{[^}]*\}/g, '[^.]+')}$`))
  const stemOf = (name: string): string => name.replace(/\.(one|other)$/, '')

  const stems = new Set(names.flatMap((name) => [name, stemOf(name)]))

  t.ok(patterns.length > 5 && literals.size > 100, 'the sources were read')
  t.strictSame(names.filter((name) => !literals.has(name) && !literals.has(stemOf(name)) && !patterns.some((pattern) => pattern.test(name))), [], 'unused texts')
  t.strictSame([...literals].filter((name) => name.includes('.') && groups.has(name.split('.')[0]) && !stems.has(name)), [], 'names without a text')
  t.strictSame(patterns.filter((pattern) => !names.some((name) => pattern.test(name))), [], 'patterns without a text')
  t.strictSame(names.filter((name) => name.endsWith('.one') && !names.includes(`${stemOf(name)}.other`)), [])
})

function key (members: Partial<ApiKey> = {}): ApiKey {
  return { ...toApiKey(storedKey(), [], NOW), publicId: 'key_01A', ...members }
}

t.test('a filter shows the keys of its environment and status, and no others', async (t) => {
  const keys = (['active', 'retiring', 'disabled', 'expired', 'revoked'] as const).flatMap((status) =>
    (['live', 'test'] as const).map((environment) => key({ status, environment, label: `${status} ${environment}` })))
  const shown = (filter: Partial<KeyFilter>): string[] => keys.filter((key) => matches(key, { ...EVERY_CURRENT_KEY, ...filter })).map(({ label }) => label)
  t.strictSame(shown({}), ['active live', 'active test', 'retiring live', 'retiring test', 'disabled live', 'disabled test'])
  t.strictSame(shown({ status: 'ended' }), ['expired live', 'expired test', 'revoked live', 'revoked test'])
  t.strictSame(shown({ status: 'all' }), keys.map(({ label }) => label))
  for (const { status } of keys) t.strictSame(shown({ status, environment: 'test' }), [`${status} test`])
  t.strictSame(keys.filter(hasEnded).map(({ label }) => label), shown({ status: 'ended' }))
})

t.test('a search finds a part of the label, the id or what is shown of the key, in any case', async (t) => {
  const found = (search: string, members: Partial<ApiKey> = {}): boolean => matches(key(members), { ...EVERY_CURRENT_KEY, search })
  for (const search of ['', '  ', 'SERV', ' server ', 'key_01a', '9Z8A', '…9z8a', 'sk_live_aB3', 'ab3de6gh']) t.ok(found(search), search)
  for (const search of ['servers', 'sk_live_aB3dE6gH9', '.*', 'secret']) t.notOk(found(search), search)
  t.ok(found('ÜBER', { label: 'Über uns' }))
  t.notOk(found('server', { status: 'revoked' }), 'a search does not widen the rest of the filter')
})

t.test('a rotated key was called since the rotation if it was used at or after the making of its successor', async (t) => {
  const successor = key({ publicId: 'key_02', rotatedFrom: 'key_01A', createdAt: toIso(NOW) })
  const called = (lastUsedAt: string | null, others = [successor]): boolean | null => calledSinceRotation(key({ lastUsedAt }), [key(), ...others])
  t.equal(called(toIso(NOW - 1)), false)
  t.equal(called(toIso(NOW)), true)
  t.equal(called(null), false)
  t.equal(called(toIso(NOW), []), null, 'a successor that is not in the list tells nothing')
  t.equal(called(toIso(NOW), [key({ publicId: 'key_03', rotatedFrom: 'key_02' })]), null)
})

t.test('a key ended when it was revoked, else when it expired', async (t) => {
  const times = { expiresAt: toIso(NOW), revokedAt: toIso(NOW - 1) }
  t.equal(endedAt(key({ status: 'revoked', ...times })), times.revokedAt)
  t.equal(endedAt(key({ status: 'expired', ...times })), times.expiresAt)
  for (const status of ['active', 'retiring', 'disabled'] as const) t.equal(endedAt(key({ status, expiresAt: toIso(NOW + 1) })), null)
})

t.test('the choices of an expiry are those that the account may make, its own first', async (t) => {
  const rules = { lifetimeSeconds: null, maxLifetimeSeconds: null, requireExpiry: false }
  const days = (count: number): `${number}` => `${count * DAY_SECONDS}`
  const cases = [
    [{}, ['never', days(30), days(90), days(365), 'at'], null],
    [{ requireExpiry: true }, [days(30), days(90), days(365), 'at'], null],
    [{ lifetimeSeconds: 90 * DAY_SECONDS }, ['default', 'never', days(30), days(365), 'at'], 90],
    [{ lifetimeSeconds: 90 * DAY_SECONDS, requireExpiry: true }, ['default', days(30), days(365), 'at'], 90],
    [{ maxLifetimeSeconds: 90 * DAY_SECONDS }, ['default', days(30), 'at'], 90],
    [{ maxLifetimeSeconds: 100 * DAY_SECONDS, lifetimeSeconds: 7 * DAY_SECONDS }, ['default', days(30), days(90), 'at'], 7],
    [{ maxLifetimeSeconds: DAY_SECONDS, lifetimeSeconds: 7 * DAY_SECONDS, requireExpiry: true }, ['default', 'at'], 1]
  ] as const
  for (const [more, choices, usual] of cases) {
    t.strictSame(expiryChoices({ ...rules, ...more }), { choices, default: usual === null ? null : usual * DAY_SECONDS, first: choices[0] }, JSON.stringify(more))
  }
})

t.test('what is chosen is nothing, null or a time; a day ends where the reader is, and no time is later than allowed', async (t) => {
  const at = (choice: Parameters<typeof expiresAtOf>[0], day = '', most: number | null = null) => expiresAtOf(choice, day, NOW, most)
  t.equal(at('default'), undefined)
  t.equal(at('never'), null)
  t.equal(at('60'), toIso(NOW + MINUTE))
  t.equal(at('60', '', 59), toIso(NOW + 29_500), 'less than the most by half of it, or by a minute: the clock of whoever chooses may be ahead')
  t.equal(at('at', '2026-01-16'), '2026-01-16T18:29:59.000Z')
  t.equal(at('at', '2026-01-16', DAY_SECONDS), toIso(NOW + DAY - MINUTE))
  t.equal(at('at', '2020-01-01', DAY_SECONDS), '2020-01-01T18:29:59.000Z', 'the server says what is wrong with it')
})

t.test('overlaps go from none to the most that is allowed, each once', async (t) => {
  t.strictSame(overlapsUpTo(7 * DAY_SECONDS), [0, 3600, DAY_SECONDS, 3 * DAY_SECONDS, 7 * DAY_SECONDS])
  t.strictSame(overlapsUpTo(30 * DAY_SECONDS), [0, 3600, DAY_SECONDS, 3 * DAY_SECONDS, 7 * DAY_SECONDS, 30 * DAY_SECONDS])
  t.strictSame([overlapsUpTo(90), overlapsUpTo(0)], [[0, 90], [0]])
})

t.test('lines are trimmed, and empty ones are none', async (t) => {
  t.strictSame(linesOf(' https://a.example \r\n\n\t\nhttps://b.example'), ['https://a.example', 'https://b.example'])
  t.strictSame(linesOf(' \n'), [])
  t.strictSame([0, 1, 2].map((place) => lineOf('\na\n \n\nb', place)), [2, 5, 3], 'each is told by the line it stands in')
})
