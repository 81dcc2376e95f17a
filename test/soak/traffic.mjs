// What a soak asks: every kind of request there is, good and bad, in shares that stay the same from beginning to end.
import { randomUUID } from 'node:crypto'
import { generateKey } from '../../dist/lib/keys/key-format.js'
import { SITE } from './seed.mjs'

/** Of a thousand requests. Those that come rarely are the dear ones. */
export const SHARES = {
  unknown: 560,
  hot: 100,
  inTurn: 100,
  strangers: 80,
  malformed: 40,
  ended: 30,
  publishable: 25,
  reads: 24,
  byKey: 15,
  greedy: 10,
  page: 5,
  hangUpLater: 5,
  hangUpNow: 5,
  // Each asks some fifteen times, one after the other.
  life: 1
}
/** Keys that are asked for again and again, where there are as many. */
const HOT = 1000
/** Accounts whose keys change, in turn: so many that none meets its limit of changes. */
const CHANGING = 500
const KEYS = '/v1/me/api-keys'
const NO_KEY = 'key_00000000000000000000000000'
const NEIGHBOURS = Array.from({ length: 50 }, (_none, i) => `10.0.0.${i}`)
const GARBAGE = ['', 'x', 'null', 'sk_live_', 'soak_sk_live_0000', 'a'.repeat(48), 'b'.repeat(256), 'c'.repeat(8000), 'é'.repeat(40), '__proto__']

/** A fresh address: every second one of IPv6, in a network of its own. */
function addressOf (number) {
  const [high, low] = [Math.floor(number / 65536), number % 65536]
  return number % 2 === 0
    ? `${20 + (high >> 8)}.${high & 255}.${low >> 8}.${low & 255}`
    : `2001:db8:${high.toString(16)}:${low.toString(16)}::1`
}

/** @returns by kind what makes one such request; its promise resolves when that is over */
export function trafficOf ({ ask, hangUpLater, hangUpNow }, seeded) {
  let addresses = 0
  const turns = new Map()
  /** The next of the list. */
  const next = (list) => {
    const turn = turns.get(list) ?? 0
    turns.set(list, turn + 1)
    return list[turn % list.length]
  }
  const from = (headers) => ({ 'x-forwarded-for': addressOf(addresses++), ...headers })
  const withKey = ({ plaintext }) => from({ 'x-api-key': plaintext })
  const signedIn = (accountId) => from({ authorization: `Bearer ${accountId}` })
  const changing = Array.from({ length: CHANGING }, (_none, i) => `changing-${i}`)
  const hot = seeded.good.slice(0, HOT)
  const ended = [...seeded.revoked, ...seeded.expired]
  let unknown = 0
  let strangers = 0

  const read = (key) => ask({ path: '/v1/blocks', headers: withKey(key), key, expected: [200] })
  const write = (key) => ask({ method: 'POST', path: '/v1/transactions', headers: withKey(key), body: { amount: 1 }, key, expected: [200] })
  const good = [read, read, read, write]

  const origins = [{ origin: SITE, status: 200 }, { origin: 'https://elsewhere.example.com', status: 403 }]
  const sessions = [signedIn, (accountId) => from({ cookie: `session=${accountId}` })]
  const reads = [KEYS, `${KEYS}?status=revoked`, '/v1/me/usage', '/v1/me/usage?window=30d', '/v1/me/audit', '/v1/me/sites', '/v1/me/policy', '/v1/me']
  const readsByKey = [KEYS, '/v1/me/audit', '/v1/me/policy', '/v1/me/usage']
  const pages = [
    { path: '/api-key', expected: [200] },
    { path: '/api-key/element.js', expected: [200] },
    { path: '/api-key/token', headers: { cookie: 'session=good-0' }, expected: [200] },
    { path: '/api-key/token', expected: [401] },
    { path: '/nowhere', expected: [404] },
    { method: 'OPTIONS', path: KEYS, headers: { cookie: 'session=good-0' }, expected: [204] },
    { method: 'DELETE', path: `${KEYS}/${NO_KEY}`, headers: { cookie: 'session=good-0' }, expected: [403] }
  ]

  const guesses = [
    (value) => ask({ path: '/v1/blocks', headers: from({ 'x-api-key': value }), expected: [401] }),
    // Keys may use the account routes here.
    (value) => ask({ path: KEYS, headers: from({ authorization: `Bearer ${value}` }), expected: [401] })
  ]
  const visits = [
    (headers) => ask({ path: next(reads), headers, expected: [200] }),
    (headers) => ask({ path: '/v1/reports', headers, expected: [200] }),
    (headers) => ask({ method: 'DELETE', path: `${KEYS}/${NO_KEY}`, headers, expected: [404] })
  ]
  const flights = [
    () => hangUpNow({ path: '/v1/blocks', headers: from({ 'x-api-key': generateKey('soak_sk_live_') }) }),
    () => {
      const key = next(seeded.hasty)
      return hangUpNow({ path: '/v1/endless', headers: withKey(key), key })
    }
  ]

  /** All that happens to keys, in an account of its own for as long as it lasts. */
  const life = async () => {
    const accountId = next(changing)
    const change = (method, path, expected, body, headers = {}) => ask({ method, path, headers: { ...signedIn(accountId), ...headers }, body, expected: [expected] })
    const made = (issued) => ({ plaintext: issued.plaintextKey, publicId: issued.apiKey.publicId, accountId })
    const call = (key, status) => ask({ path: '/v1/blocks', headers: withKey(key), key, expected: [status] })

    const again = { 'idempotency-key': randomUUID() }
    await change('POST', KEYS, 201, undefined, again)
    await change('POST', KEYS, 200, undefined, again)
    const first = made(await change('POST', KEYS, 201, { label: 'soaked', scopes: null }))
    await call(first, 200)
    await change('PATCH', `${KEYS}/${first.publicId}`, 200, { label: 'renamed', enabled: false })
    await call(first, 401)
    await change('PATCH', `${KEYS}/${first.publicId}`, 200, { enabled: true })
    const second = made(await change('POST', `${KEYS}/${first.publicId}/rotate`, 201, { overlapSeconds: 1 }))
    await call(second, 200)
    await change('DELETE', `${KEYS}/${first.publicId}`, 200)
    await call(first, 401)
    await ask({ method: 'DELETE', path: `${KEYS}/${second.publicId}`, headers: withKey(second), key: second, expected: [200] })
    await call(second, 401)
    const { siteId } = await change('POST', '/v1/me/sites', 201, { name: `https://${randomUUID()}.example.com` })
    await change('DELETE', `/v1/me/sites/${siteId}`, 204)
    await change('GET', `${KEYS}/${second.publicId}/usage`, 200)
  }

  return {
    /** Keys that nobody has, so far. */
    get unknown () { return unknown },

    kinds: {
      unknown () {
        unknown++
        return next(guesses)(generateKey('soak_sk_live_'))
      },
      hot: () => next(good)(next(hot)),
      inTurn: () => next(good)(next(seeded.good)),
      // Signed in once in their lives.
      strangers: () => next(visits)(signedIn(`stranger-${++strangers}`)),
      // From a few addresses, which are soon told to stop.
      malformed: () => ask({ path: '/v1/blocks', headers: { 'x-forwarded-for': next(NEIGHBOURS), 'x-api-key': next(GARBAGE) }, expected: [401, 429] }),
      ended () {
        const key = next(ended)
        return ask({ path: '/v1/blocks', headers: withKey(key), key, expected: [401] })
      },
      publishable () {
        const key = next(seeded.publishable)
        const { origin, status } = next(origins)
        return ask({ path: '/v1/open', headers: { ...withKey(key), origin }, key, expected: [status] })
      },
      reads () {
        const { accountId } = next(seeded.good)
        return ask({ path: next(reads), headers: next(sessions)(accountId), expected: [200] })
      },
      byKey () {
        const key = next(hot)
        return ask({ path: next(readsByKey), headers: withKey(key), key, expected: [200] })
      },
      greedy () {
        const key = next(seeded.greedy)
        return ask({ path: '/v1/blocks', headers: withKey(key), key, expected: [200, 429] })
      },
      page: () => ask(next(pages)),
      hangUpLater () {
        const key = next(hot)
        return hangUpLater({ path: '/v1/endless', headers: withKey(key), key })
      },
      hangUpNow: () => next(flights)(),
      life
    }
  }
}

/** Kinds in an order that mixes them, each as often as its share. The same in every run. */
export function deckOf (shares) {
  const cards = Object.entries(shares).flatMap(([kind, share]) => Array.from({ length: share }, (_none, i) => ({ kind, at: (i + 0.5) / share })))
  return cards.sort((a, b) => a.at - b.at).map(({ kind }) => kind)
}
