// Any value for any option: refused by the option's name, or it means what the documentation says, and nothing else changes.
import { isDeepStrictEqual } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import { isSelfServeKeysError, memoryStorage, selfServeKeys, type SelfServeKeysOptions } from '../../lib/index.js'
import { completeOptions, type CompleteOptions } from '../../lib/options/complete.js'
import { optionNames } from '../helpers/option-names.js'
import { acceptedBy, BASE, KINDS, OPTION_RULES, type OptionRule } from '../helpers/option-rules.js'
import { shown, STRANGE, withAnything } from '../helpers/strange-values.js'

const DEFAULTS = comparable(completeOptions(BASE))

t.test('no option is left out, and none is invented', async (t) => {
  const ruled = new Set(OPTION_RULES.map(({ name }) => name))
  t.same(optionNames().filter((name) => !ruled.has(name)), [])
  const known = new Set(optionNames())
  // Members whose types are declared elsewhere, or made of others.
  const more = /^(keys\.peppers\.\w+|audit\.names\["site\.added"\](\.\w+)?|(rateLimit\.failedVerifications|accountRoutes\.rateLimit)\.(max|timeWindow))$/
  t.same([...ruled].filter((name) => !known.has(name) && !more.test(name)), [])
})

for (const rule of OPTION_RULES) {
  t.test(`${rule.name}: any value is refused by name, or is that value and changes nothing else`, async (t) => {
    let [taken, refused] = [0, 0]
    await withAnything((value) => {
      const meaning = rule.meaning(value)
      const complete = completed(rule, value)
      if (meaning === null) {
        refused++
        if (typeof complete !== 'string') throw new Error(`${shown(value)} was taken`)
        return
      }
      taken++
      if (typeof complete === 'string') throw new Error(`${shown(value)} was refused: ${complete}`)
      const expected = meaning.reduce((options, [place, meant]) => put(options, place.split('.'), meant), DEFAULTS)
      if (!isDeepStrictEqual(comparable(complete), expected)) t.same(comparable(complete), expected, shown(value))
    }, rule.near)
    t.ok(taken > 0, `${taken} values were taken`)
    t.ok(refused > 40, `${refused} values were refused`)
  })
}

t.test('a host with a value that is refused never gets ready, and says the name; with one that is taken it does', async (t) => {
  let [ready, rejected] = [0, 0]
  for (const rule of OPTION_RULES) {
    // Two that are taken and two that are not, others for each option: a host costs more than all the reading above.
    const apart = (one: number, other: number): number => (one * 31 + ready) % STRANGE.length - (other * 31 + ready) % STRANGE.length
    const order = STRANGE.map((_value, place) => place).sort(apart).map((place) => STRANGE[place])
    const chosen = [...order.filter((value) => rule.meaning(value) !== null).slice(0, 2), ...order.filter((value) => rule.meaning(value) === null).slice(0, 2)]
    for (const value of chosen) {
      // The default storage is a file where the tests run: a test of its own makes it elsewhere.
      if (rule.name === 'storage' && value === undefined) continue
      const app = Fastify()
      const outcome = await app.register(selfServeKeys, { ...BASE, storage: memoryStorage(), ...rule.given(value) } as unknown as SelfServeKeysOptions).ready().then(() => null, (error: unknown) => error)
      if (outcome === null) ready++
      else {
        rejected++
        // What a plugin of the host's throws is the host's own.
        const own = rule.name === 'routes' && typeof value === 'function'
        if (!own && (!isOwn(rule, outcome) || rule.meaning(value) !== null)) t.fail(`${rule.name} = ${shown(value)}: ${String(outcome)}`)
      }
      if (outcome === null && rule.meaning(value) === null) t.fail(`${rule.name} = ${shown(value)} was taken`)
      await app.close()
    }
  }
  t.ok(ready > 100 && rejected > 150, `${ready} got ready, ${rejected} did not`)
})

t.test('a member that is no option is refused at every level, whatever its value', async (t) => {
  for (const { name, given } of OPTION_RULES) {
    for (const value of [{ nothing: undefined }, { nothing: Symbol('s') }, JSON.parse('{"__proto__":1}'), Object.defineProperty({}, 'nothing', { enumerable: true, get () { throw new Error('read') } })]) {
      const outcome = completed({ name, given } as OptionRule, value)
      if (typeof outcome !== 'string') t.equal(name, 'clock', `${name} took ${shown(value)}`)
    }
  }
})

/** The options completed, or the message of the refusal, which names the option. */
function completed (rule: Pick<OptionRule, 'name' | 'given'>, value: unknown): CompleteOptions | string {
  try {
    return completeOptions({ ...BASE, ...rule.given(value) } as unknown as SelfServeKeysOptions)
  } catch (error) {
    if (!isOwn(rule, error)) throw error
    return error.message
  }
}

/** Is this the refusal of this option, or of a place in its value? */
function isOwn ({ name }: Pick<OptionRule, 'name'>, error: unknown): error is Error {
  if (!isSelfServeKeysError(error, 'INVALID_OPTION')) return false
  const { option } = error.details
  const place = option.replace(/\[\d+\]/g, '')
  return error.message.includes(`"${option}"`) && (place === name || (place.startsWith(name) && '.['.includes(place[name.length]!)))
}

/** Completed options as data: in the place of functions stands what they answer. */
function comparable ({ keys: { prefix, isKeyShaped, ...keys }, audit: { wording: { 'site.added': siteAdded, ...wording }, ...audit }, policy, ...rest }: CompleteOptions): object {
  return {
    ...rest,
    keys: { ...keys, prefix: KINDS.map(([access, environment]) => prefix(access, environment)), accepts: acceptedBy(isKeyShaped) },
    audit: { ...audit, wording, siteAdded },
    policy: policy === null ? null : { cacheFor: policy.cacheFor, onError: policy.onError }
  }
}

/** A copy of the object with something else at a place in it. */
function put (into: object, [first, ...rest]: string[], value: unknown): object {
  if (first === undefined) return value as object
  const members = into as Record<string, object>
  if (!Object.hasOwn(members, first)) throw new Error(`there is no ${first}`)
  return { ...members, [first]: put(members[first]!, rest, value) }
}
