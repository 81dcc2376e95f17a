// Keys: their text, their digests, who may use them, and what an account may do with them.
import t, { type Test } from 'tap'
import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { BASE62, hmacSha256, randomBase62, sha256 } from '../lib/crypto.js'
import { isSelfServeKeysError, keyPattern, memoryStorage, redactPaths, type Actor, type KeyRequirement, type RequestSource, type Storage } from '../lib/index.js'
import { endOf, statusOf, STATUSES, toApiKey, toVerifiedApiKey, type FoundKey, type StoredKey } from '../lib/keys/api-key.js'
import { crc32 as ownCrc32 } from '../lib/keys/crc32.js'
import { displayParts, generateKey, hasKeyShape, keyShape, standardPrefix } from '../lib/keys/key-format.js'
import { keyHasher } from '../lib/keys/key-hash.js'
import { keyOperations } from '../lib/keys/all-key-operations.js'
import { judgeStatus, judgeUse, type Judgement } from '../lib/keys/judge-key.js'
import { rehashQueue } from '../lib/keys/rehash-queue.js'
import { cutScopes, isScope, missingScopes, readScopes } from '../lib/keys/scopes.js'
import { keyVerifier, unknownKey, type KeyVerifierParts, type Verification } from '../lib/keys/verify-key.js'
import { NO_POLICY } from '../lib/policy/account-policy.js'
import { noPolicies } from '../lib/policy/policies.js'
import { keyLimiter } from '../lib/rate-limit/key-limiter.js'
import { memoryRateLimitStore } from '../lib/rate-limit/memory-store.js'
import type { RehashMove } from '../lib/storage/storage.js'
import { DAY } from '../lib/time.js'
import { hostOf, testClock, watched } from './helpers/app.js'
import { ACCOUNT, IN_STATUS, issuing, keysOf, newKey, NOW, OTHER_ACCOUNT, revoking, storedKey, WORDING } from './helpers/keys.js'

const P1 = 'a secret of the first pepper, long'
const P2 = 'a secret of the second pepper, long'

/** A key whose checksum is right, for texts that `generateKey` would not make. */
function withChecksum (body: string): string {
  let rest = crc32(body)
  let checksum = ''
  for (let i = 0; i < 6; i++) {
    checksum = BASE62[rest % 62]! + checksum
    rest = Math.floor(rest / 62)
  }
  return body + checksum
}

/** Ids that name no key: one that could, one that never can. */
const MISSING = ['key_00000000000000000000000000', 'key_missing']

t.test('the text of a key', async (t) => {
  t.test('has the CRC-32 that everybody has, of as many characters as are asked for', async (t) => {
    t.equal(ownCrc32('123456789', 9), 0xcbf43926, 'the check value of its catalogues')
    t.equal(ownCrc32('', 0), 0)
    for (let length = 1; length <= 256; length++) {
      const text = Array.from({ length }, (_none, place) => String.fromCharCode((place * 31 + length * 7) % 128)).join('')
      t.equal(ownCrc32(text, length), crc32(text))
      t.equal(ownCrc32(text, length >> 1), crc32(text.slice(0, length >> 1)), 'the rest does not count')
    }
    t.type(ownCrc32('schlüssel 🔑', 12), 'number', 'other letters than keys have are no error')
  })

  t.test('is the prefix, 36 random base62 characters and 6 of CRC-32 over all before', async (t) => {
    for (const prefix of ['sk_live_', 'acme_pk_test_', 'x', '', 'ACME-Prod-']) {
      const key = generateKey(prefix)
      t.match(key.slice(prefix.length), /^[0-9A-Za-z]{42}$/)
      t.ok(key.startsWith(prefix))
      t.equal(withChecksum(key.slice(0, -6)), key)
      t.equal(hasKeyShape(key), true)
    }
    t.equal(hasKeyShape(`sk_live_${'0'.repeat(36)}3SKqo7`), true, 'a change of the format would break every key in the field')
  })

  t.test('never repeats', async (t) => {
    t.equal(new Set(Array.from({ length: 1000 }, () => generateKey('sk_live_'))).size, 1000)
  })

  t.test('is looked at up to 256 characters', async (t) => {
    const longest = withChecksum(`${'p'.repeat(214)}${'r'.repeat(36)}`)
    const longer = withChecksum(`${'p'.repeat(215)}${'r'.repeat(36)}`)
    t.equal(longest.length, 256)
    t.equal(hasKeyShape(longest), true)
    t.equal(hasKeyShape(longer), false)
    t.equal(hasKeyShape(withChecksum('r'.repeat(36))), true, 'a prefix may be missing')
    t.equal(hasKeyShape(withChecksum('r'.repeat(35))), false)
    t.equal(hasKeyShape(''), false)
  })

  t.test('may have one of the shapes a host accepts, each up to its length', async (t) => {
    t.equal(keyShape([]), hasKeyShape)
    const shape = keyShape([{ pattern: /^rst_[a-z0-9]+$/, maxLength: 12 }, { pattern: /^[A-Za-z]{64}$/, maxLength: 64 }])
    for (const good of ['rst_abc', 'rst_12345678', 'k'.repeat(64), generateKey('sk_live_')]) t.equal(shape(good), true, good)
    for (const bad of ['', 'rst_', 'rst_123456789', 'k'.repeat(63), 'k'.repeat(65), `${'k'.repeat(63)}1`, ` ${'k'.repeat(64)}`]) t.equal(shape(bad), false, bad)
  })

  t.test('keeps its shape under any brand and any prefix function, and nothing is split on _', async (t) => {
    for (const prefix of ['sk_live_', 'acme_sk_live_', 'other_pk_test_', 'a_b_c_d_', '_', 'no-underscore', '9', 'p'.repeat(64)]) {
      const key = generateKey(prefix)
      t.equal(hasKeyShape(key), true)
      t.same(displayParts(key), { prefix, first8: key.slice(prefix.length, prefix.length + 8), last4: key.slice(-4) })
    }
  })

  t.test('begins with brand, access and environment', async (t) => {
    t.equal(standardPrefix(null, 'secret', 'live'), 'sk_live_')
    t.equal(standardPrefix(null, 'publishable', 'test'), 'pk_test_')
    t.equal(standardPrefix('acme', 'secret', 'test'), 'acme_sk_test_')
  })

  t.test('is found by keyPattern in text, and nothing shorter or longer is', async (t) => {
    for (const brand of [null, 'acme', 'a1']) {
      for (const access of ['secret', 'publishable'] as const) {
        for (const environment of ['live', 'test'] as const) {
          const key = generateKey(standardPrefix(brand, access, environment))
          for (const text of [key, `API_KEY=${key}\n`, `{"key":"${key}"}`, `x ${key}, y`, `https://example.com/?k=${key}&z=1`]) {
            t.equal(keyPattern.exec(text)?.[0], key)
          }
          t.equal(keyPattern.test(key.slice(0, -1)), false)
          t.equal(keyPattern.test(`${key}x`), false)
        }
      }
    }
    t.equal(keyPattern.global, false, 'it has no memory between calls')
    t.notMatch(keyPattern.source, /\(\?[=!<]|\\\d/, 'no look-around and no reference, which RE2 lacks')
  })

  t.test('stays out of the log of a host that prints headers and errors and uses redactPaths', async (t) => {
    const Fastify = (await import('fastify')).default
    let printed = ''
    const app = Fastify({
      logger: {
        redact: [...redactPaths],
        serializers: { req: (request) => ({ headers: request.headers }), res: (reply) => ({ headers: reply.getHeaders?.() }) },
        stream: { write: (line: string) => { printed += line } }
      }
    })
    t.teardown(async () => { await app.close() })
    app.get('/', async (_request, reply) => await reply.headers({ 'set-cookie': 'token=SECRET-4', 'set-auth-token': 'SECRET-5' }).send('ok'))
    await app.inject({ url: '/', headers: { authorization: 'Bearer SECRET-1', 'x-api-key': 'SECRET-2', cookie: 'a=SECRET-3', 'x-other': 'shown' } })
    app.log.warn(Object.assign(new Error('The packet is shown.'), { rawPacket: Buffer.from('SECRET-6'), command: { name: 'auth', args: ['SECRET-7'] } }))
    t.match(printed, 'shown')
    t.match(printed, '[Redacted]')
    t.notMatch(printed, 'SECRET')
    t.notMatch(printed, String([...Buffer.from('SECRET')]))
  })
})

t.test('random text', async (t) => {
  t.test('takes each of the 62 characters from exactly four byte values and throws the other eight away', async (t) => {
    const all = Uint8Array.from({ length: 256 }, (_byte, place) => place)
    const text = randomBase62(248, () => all)
    const counts = new Map<string, number>()
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
    t.same([...counts.keys()].sort(), [...BASE62].sort())
    t.same(new Set(counts.values()), new Set([4]))
  })

  t.test('asks again when too many bytes were thrown away, and stops at its length', async (t) => {
    const answers = [new Uint8Array(20).fill(255), Uint8Array.of(0, 250, 1), new Uint8Array(20).fill(61)]
    t.equal(randomBase62(5, () => answers.shift()!), '01zzz')
    t.equal(answers.length, 0)
  })

  t.test('is spread evenly by the default source: chi-square of 62 000 characters is below the 1 in 10^9 bound', async (t) => {
    const text = randomBase62(62_000)
    const counts = new Map<string, number>()
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
    const chi = [...BASE62].reduce((sum, character) => sum + ((counts.get(character) ?? 0) - 1000) ** 2 / 1000, 0)
    t.ok(chi < 150, `chi-square ${chi}, 61 degrees of freedom`)
  })
})

t.test('scopes', async (t) => {
  t.test('have the form resource:action', async (t) => {
    for (const good of ['blocks:read', 'a:b', 'transactions:write', 'org.team:users:read', 'blocks:*', 'a-b_c.d:e-f_g.h', 'A:B', `${'a'.repeat(98)}:b`]) {
      t.equal(isScope(good), true, good)
    }
    for (const bad of ['', 'blocks', ':', 'a:', ':b', 'a:b ', ' a:b', 'a b:c', 'a:b\n', '*:read', 'é:b', 'a:"b', `${'a'.repeat(99)}:b`]) {
      t.equal(isScope(bad), false, JSON.stringify(bad))
    }
  })

  t.test('of the default key are the catalogue\'s reads, all only when the catalogue is empty', async (t) => {
    t.equal(readScopes(new Set()), null)
    t.same(readScopes(new Set(['blocks:read', 'transactions:write', 'a:b:read', 'x:reader'])), ['blocks:read', 'a:b:read'])
    t.same(readScopes(new Set(['transactions:write'])), [], 'nothing to read grants nothing')
  })

  t.test('asked for must all be there, or one of anyOfScopes; null grants all', async (t) => {
    const table: Array<[granted: string[] | null, required: KeyRequirement, missing: string[] | null]> = [
      [null, { scopes: ['a:b'], anyOfScopes: ['c:d'] }, null],
      [[], {}, null],
      [[], { scopes: [] }, null],
      [[], { scopes: ['a:b'] }, ['a:b']],
      [['a:b'], { scopes: ['a:b'] }, null],
      [['a:b'], { scopes: ['a:b', 'c:d'] }, ['a:b', 'c:d']],
      [['a:b'], { anyOfScopes: ['a:b', 'c:d'] }, null],
      [['e:f'], { anyOfScopes: ['a:b', 'c:d'] }, ['a:b', 'c:d']],
      [['a:b'], { scopes: ['a:b'], anyOfScopes: ['c:d'] }, ['c:d']],
      [['a:*'], { scopes: ['a:b'] }, ['a:b']],
      [['a:b'], { anyOfScopes: [] }, []]
    ]
    for (const [granted, required, missing] of table) t.same(missingScopes(granted, required), missing)
  })

  t.test('of a key are cut to what its account may grant; null is everything', async (t) => {
    t.equal(cutScopes(null, null), null)
    t.same(cutScopes(null, ['a:b']), ['a:b'])
    t.same(cutScopes(['a:b', 'c:d'], null), ['a:b', 'c:d'])
    t.same(cutScopes(['a:b', 'c:d'], ['c:d', 'e:f']), ['c:d'])
    t.same(cutScopes(['a:b'], []), [])
    t.same(cutScopes(null, []), [])
  })
})

t.test('what a key is', async (t) => {
  t.test('has the first status that holds of revoked, expired, disabled, retiring, active', async (t) => {
    for (const [place, status] of STATUSES.entries()) {
      const key = storedKey(IN_STATUS[status])
      t.equal(statusOf(key, NOW), status)
      t.equal(toApiKey(key, [], NOW).status, status)
      // Whatever else holds as well, the stronger one shows.
      const strength = ['revoked', 'expired', 'disabled', 'retiring', 'active']
      for (const other of STATUSES.slice(place + 1)) {
        const both = storedKey({ ...IN_STATUS[other], ...IN_STATUS[status] })
        t.equal(statusOf(both, NOW), strength.find((each) => each === status || each === other))
      }
    }
  })

  t.test('changes its status by time alone, at the very millisecond', async (t) => {
    const retiring = storedKey({ retiresAt: NOW })
    t.equal(statusOf(retiring, NOW - 1), 'retiring')
    t.equal(statusOf(retiring, NOW), 'revoked')
    const expiring = storedKey({ expiresAt: NOW })
    t.equal(statusOf(expiring, NOW - 1), 'active')
    t.equal(statusOf(expiring, NOW), 'expired')
  })

  t.test('that has an end has ended where the clock gives no number', async (t) => {
    t.equal(statusOf(storedKey({ expiresAt: NOW + 1 }), NaN), 'expired')
    t.equal(statusOf(storedKey({ retiresAt: NOW + 1 }), NaN), 'revoked')
    t.equal(statusOf(storedKey({ expiresAt: NOW + 1, disabledBy: 'host' }), NaN), 'expired')
    t.equal(statusOf(storedKey(), NaN), 'active', 'a key without an end needs no clock')
  })

  t.test('ends at the earliest of its three ends', async (t) => {
    t.equal(endOf(storedKey()), null)
    t.equal(endOf(storedKey({ expiresAt: 3 })), 3)
    t.equal(endOf(storedKey({ expiresAt: 3, retiresAt: 2 })), 2)
    t.equal(endOf(storedKey({ expiresAt: 3, retiresAt: 2, revokedAt: 1 })), 1)
  })

  t.test('shows its owner everything but hash, account, pepper, numbers and metadata', async (t) => {
    const key = storedKey({ pepperId: 'p-hidden', metadata: { plan: 'hidden' }, hash: 'f00d'.repeat(16), accountId: 'account-hidden', createdBy: 'Ada' })
    const shown = toApiKey(key, [], NOW)
    t.same(Object.keys(shown), [
      'publicId', 'label', 'environment', 'access', 'scopes', 'allowedOrigins', 'allowedIps', 'status', 'isDefault', 'maskedKey', 'prefix',
      'first8', 'last4', 'rateLimits', 'createdBy', 'disabledBy', 'createdAt', 'lastUsedAt', 'expiresAt', 'retiresAt', 'revokedAt',
      'revokedReason', 'rotatedFrom'
    ])
    t.notMatch(JSON.stringify(shown), /hidden|f00d/)
    t.equal(shown.maskedKey, 'sk_live_…9z8a')
    t.equal(shown.createdAt, '2026-01-15T12:34:56.789Z')
    t.same(Object.keys(toVerifiedApiKey(key, null)), ['publicId', 'accountId', 'label', 'environment', 'access', 'scopes', 'metadata'])
  })

  t.test('shows a retired key as revoked by rotation at the time it retired, and keeps an earlier revocation', async (t) => {
    const before = toApiKey(storedKey({ retiresAt: NOW }), [], NOW - 1)
    t.match(before, { status: 'retiring', revokedAt: null, revokedReason: null, retiresAt: '2026-01-15T12:34:56.789Z' })
    const after = toApiKey(storedKey({ retiresAt: NOW }), [], NOW + 5)
    t.match(after, { status: 'revoked', revokedAt: '2026-01-15T12:34:56.789Z', revokedReason: 'rotated' })
    const revoked = toApiKey(storedKey({ retiresAt: NOW, revokedAt: NOW - 1000, revokedReason: 'leaked' }), [], NOW + 5)
    t.match(revoked, { status: 'revoked', revokedAt: '2026-01-15T12:34:55.789Z', revokedReason: 'leaked' })
  })

  t.test('hands out copies of its lists', async (t) => {
    const key = storedKey({ allowedOrigins: ['https://a.example'], allowedIps: ['10.0.0.0/8'] })
    const shown = toApiKey(key, [], NOW)
    shown.scopes?.push('x:y')
    shown.allowedOrigins.push('https://b.example')
    shown.allowedIps.pop()
    t.match(key, { scopes: ['blocks:read'], allowedOrigins: ['https://a.example'], allowedIps: ['10.0.0.0/8'] })
    t.equal(toApiKey(storedKey({ scopes: null }), [], NOW).scopes, null)
  })
})

t.test('digests', async (t) => {
  t.test('are plain SHA-256 without peppers', async (t) => {
    const hasher = keyHasher(null)
    t.same(hasher.current('abc'), { hash: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', pepperId: null })
    t.same(hasher.candidates('abc'), [hasher.current('abc')])
  })

  t.test('are HMAC-SHA-256 under the current pepper, with every other pepper and the plain digest as candidates', async (t) => {
    const hasher = keyHasher({ current: 'p2', keys: { p1: P1, p2: P2 } })
    t.same(hasher.current('key'), { hash: hmacSha256(P2)('key'), pepperId: 'p2' })
    t.same(hasher.candidates('key'), [
      { hash: hmacSha256(P2)('key'), pepperId: 'p2' }, { hash: hmacSha256(P1)('key'), pepperId: 'p1' }, { hash: sha256('key'), pepperId: null }
    ])
  })

  t.test('are plain SHA-256 while a first pepper is only added, and that pepper verifies already', async (t) => {
    const hasher = keyHasher({ current: null, keys: { p1: P1 } })
    t.same(hasher.current('key'), { hash: sha256('key'), pepperId: null })
    t.same(hasher.candidates('key'), [{ hash: sha256('key'), pepperId: null }, { hash: hmacSha256(P1)('key'), pepperId: 'p1' }])
  })

  t.test('are the HMAC-SHA-256 of RFC 2104, whatever the lengths and alphabets of pepper and key', async (t) => {
    t.equal(hmacSha256('Jefe')('what do ya want for nothing?'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', 'RFC 4231, test case 2')
    for (const letter of ['p', 'é', '\u{1f511}', '\ud800']) {
      for (let length = 0; length <= 140; length++) {
        const [secret, text] = [letter.repeat(length), letter.repeat(140 - length)]
        const hmac = hmacSha256(secret)
        const expected = createHmac('sha256', secret).update(text).digest('hex')
        if (hmac(text) !== expected || hmac('another') === expected || hmac(text) !== expected) t.fail(`${letter}, ${length}`)
      }
    }
  })
})

/** What a storage finds of a key without sites. */
const found = (key: StoredKey): FoundKey => ({ key, siteOrigins: [] })

/** A verifier that looks up and judges in one step, as the routes do. */
function verifierOn (storage: Partial<Pick<Storage, 'findKeyByHash'>>, parts: Partial<KeyVerifierParts> = {}) {
  const verifier = keyVerifier({
    storage: { findKeyByHash: () => null, ...storage },
    hasher: keyHasher(null),
    policies: noPolicies,
    isKeyShaped: hasKeyShape,
    originsRequired: true,
    held: null,
    clock: testClock(),
    onOldHash: () => {},
    ...parts
  })
  return {
    async verify (plaintext: string, requirement: KeyRequirement = {}, source: RequestSource = {}): Promise<Verification> {
      const found = await verifier.find(plaintext)
      return found === null ? { refusal: unknownKey(), key: null } : await verifier.judge(found, plaintext, requirement, source)
    }
  }
}

/** What each generation of a host's configuration makes of one storage. */
function generation (storage: Storage, peppers: Parameters<typeof keyHasher>[0]) {
  const hasher = keyHasher(peppers)
  const queue = rehashQueue(storage)
  const verifier = verifierOn(storage, {
    hasher,
    onOldHash: (key, plaintext) => { queue.add({ publicId: key.publicId, fromHash: key.hash, ...hasher.current(plaintext) }) }
  })
  return {
    async issue () {
      const plaintext = generateKey('sk_live_')
      const key = newKey({ ...displayParts(plaintext), ...hasher.current(plaintext) })
      await storage.issueKey(issuing(key))
      return { plaintext, publicId: key.publicId }
    },
    works: async (plaintext: string) => (await verifier.verify(plaintext)).refusal === null,
    flush: async () => { await queue.flush() }
  }
}

t.test('peppers', async (t) => {
  const NONE = null
  const BEFORE_FIRST = { current: null, keys: { p1: P1 } }
  const FIRST = { current: 'p1', keys: { p1: P1 } }
  const ADDED = { current: 'p1', keys: { p1: P1, p2: P2 } }
  const PROMOTED = { current: 'p2', keys: { p1: P1, p2: P2 } }
  const REMOVED = { current: 'p2', keys: { p2: P2 } }

  t.test('are added, promoted and removed; a key works until its pepper is removed', async (t) => {
    const storage = memoryStorage()
    const before = await generation(storage, NONE).issue()
    const first = await generation(storage, FIRST).issue()
    const added = await generation(storage, ADDED).issue()
    const promoted = await generation(storage, PROMOTED).issue()
    const works = async (peppers: Parameters<typeof keyHasher>[0]): Promise<boolean[]> =>
      await Promise.all([before, first, added, promoted].map(async ({ plaintext }) => await generation(storage, peppers).works(plaintext)))

    t.same(await works(BEFORE_FIRST), [true, true, true, false], 'the first pepper is added like any other, before it hashes')
    t.same(await works(FIRST), [true, true, true, false])
    t.same(await works(ADDED), [true, true, true, true], 'an instance that only knows p2 accepts what a promoted one issued')
    t.same(await works(PROMOTED), [true, true, true, true])
    t.same(await works(REMOVED), [true, false, false, true], 'rows from before the first pepper keep verifying')
    t.same(await works(NONE), [true, false, false, false])
  })

  t.test('under another name or with another secret find nothing', async (t) => {
    const storage = memoryStorage()
    const { plaintext } = await generation(storage, FIRST).issue()
    t.equal(await generation(storage, { current: 'x', keys: { x: P1 } }).works(plaintext), false)
    t.equal(await generation(storage, { current: 'p1', keys: { p1: P2 } }).works(plaintext), false)
  })

  t.test('a used key is moved to the current pepper by the flush, and then outlives the old one', async (t) => {
    const storage = memoryStorage()
    const used = await generation(storage, FIRST).issue()
    const plain = await generation(storage, NONE).issue()
    const unused = await generation(storage, FIRST).issue()
    const promoted = generation(storage, PROMOTED)
    const before = await keysOf(storage)
    t.equal(await promoted.works(used.plaintext), true)
    t.equal(await promoted.works(plain.plaintext), true)
    t.same(await keysOf(storage), before, 'nothing is written on the request path')

    await promoted.flush()
    const after = await keysOf(storage)
    const hashes = (publicId: string): object => after.find((key) => key.publicId === publicId)!
    t.match(hashes(used.publicId), { hash: hmacSha256(P2)(used.plaintext), pepperId: 'p2' })
    t.match(hashes(plain.publicId), { hash: hmacSha256(P2)(plain.plaintext), pepperId: 'p2' })
    t.match(hashes(unused.publicId), { hash: hmacSha256(P1)(unused.plaintext), pepperId: 'p1' })
    const withoutHash = (keys: readonly StoredKey[]): object[] => keys.map(({ hash, pepperId, ...rest }) => rest)
    t.same(withoutHash(after), withoutHash(before), 'only the hash moved')

    const removed = generation(storage, REMOVED)
    t.equal(await removed.works(used.plaintext), true)
    t.equal(await removed.works(plain.plaintext), true)
    t.equal(await removed.works(unused.plaintext), false)
  })

  t.test('a key that was moved meanwhile is left alone: compare and swap', async (t) => {
    const storage = memoryStorage()
    const { plaintext, publicId } = await generation(storage, FIRST).issue()
    const slow = generation(storage, ADDED)
    const older = generation(storage, { current: 'p3', keys: { p1: P1, p3: 'a third secret, which is long as well' } })
    await older.works(plaintext)
    const quick = generation(storage, PROMOTED)
    await quick.works(plaintext)
    await quick.flush()
    await older.flush()
    t.match(await storage.findKey(publicId), { hash: hmacSha256(P2)(plaintext), pepperId: 'p2' })
    t.equal(await slow.works(plaintext), true)
  })

  t.test('keys of the current pepper, refused keys and unknown keys are not moved', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const old = await generation(storage, FIRST).issue()
    const current = await generation(storage, PROMOTED).issue()
    await storage.revokeKey(revoking({ accountId: ACCOUNT, publicId: old.publicId }))
    const promoted = generation(storage, PROMOTED)
    t.equal(await promoted.works(current.plaintext), true)
    t.equal(await promoted.works(old.plaintext), false)
    t.equal(await promoted.works(generateKey('sk_live_')), false)
    await promoted.flush()
    t.equal(calls.some(({ name }) => name === 'rehashKeys'), false)
  })

  t.test('through the plugin: a request queues the move, flush() makes it', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const by: Actor = { accountId: ACCOUNT, credential: 'host' }
    const { app: first } = await hostOf(t, { storage, keys: { peppers: FIRST } })
    const { plaintextKey } = await first.selfServeKeys.keys.issueDefault(by)
    const { app: second } = await hostOf(t, { storage, keys: { peppers: PROMOTED } })
    const answer = await second.inject({ url: '/v1/blocks', headers: { 'x-api-key': plaintextKey! } })
    t.equal(answer.statusCode, 200)
    t.equal(calls.some(({ name }) => name === 'rehashKeys'), false)
    await second.selfServeKeys.flush()
    t.equal(calls.filter(({ name }) => name === 'rehashKeys').length, 1)
    const { app: third } = await hostOf(t, { storage, keys: { peppers: REMOVED } })
    t.match(await third.selfServeKeys.verify(plaintextKey!), { ok: true })
  })
})

t.test('the queue of moves', async (t) => {
  const move = (publicId: string): RehashMove => ({ publicId, fromHash: 'old', hash: 'new', pepperId: 'p2' })

  t.test('holds a key once and a thousand keys at most', async (t) => {
    const sent: Array<readonly RehashMove[]> = []
    const queue = rehashQueue({ rehashKeys: async (moves) => { sent.push(moves) } })
    for (let i = 0; i < 1500; i++) queue.add(move(`key_${i % 1200}`))
    await queue.flush()
    await queue.flush()
    t.equal(sent.length, 1, 'an empty queue asks nothing')
    t.equal(sent[0]!.length, 1000)
    t.equal(new Set(sent[0]!.map(({ publicId }) => publicId)).size, 1000)
  })

  t.test('rejects when the storage does and forgets what it could not move', async (t) => {
    let calls = 0
    const queue = rehashQueue({ rehashKeys: async () => { if (++calls === 1) throw new Error('down') } })
    queue.add(move('key_1'))
    await t.rejects(queue.flush(), { message: 'down' })
    await queue.flush()
    t.equal(calls, 1)
    queue.add(move('key_1'))
    await queue.flush()
    t.equal(calls, 2, 'its next use brings it back')
  })
})

t.test('verification', async (t) => {
  const verifierOf = (storage: Pick<Storage, 'findKeyByHash'>, peppers: Parameters<typeof keyHasher>[0] = null) => verifierOn(storage, { hasher: keyHasher(peppers) })

  t.test('makes no storage call for what has not the shape of a key', async (t) => {
    let calls = 0
    const verifier = verifierOf({ findKeyByHash: () => { calls++; return null } })
    const key = generateKey('sk_live_')
    for (const text of ['', 'x', key.slice(1), key.slice(0, -1), `${key}x`, `${key} `, key.toUpperCase(), 'é'.repeat(60), 'a'.repeat(16 * 1024)]) {
      const { refusal, key: found } = await verifier.verify(text)
      t.match(refusal, { code: 'INVALID_API_KEY', message: 'The API key is not valid.' })
      t.equal(found, null)
    }
    t.equal(calls, 0)
  })

  t.test('makes one storage call for all peppers', async (t) => {
    const asked: unknown[] = []
    const plaintext = generateKey('sk_live_')
    const peppers = { current: 'p2', keys: { p1: P1, p2: P2 } }
    await verifierOf({ findKeyByHash: async (digests) => { asked.push(digests); return null } }, peppers).verify(plaintext)
    t.same(asked, [keyHasher(peppers).candidates(plaintext)])
  })

  t.test('refuses a row that is not one of those asked for, whatever the storage says', async (t) => {
    const plaintext = generateKey('sk_live_')
    const peppers = { current: 'p1', keys: { p1: P1 } }
    const good = keyHasher(peppers).current(plaintext)
    const rows = {
      'another hash': { hash: sha256('another key'), pepperId: 'p1' },
      'the hash in capitals': { ...good, hash: good.hash.toUpperCase() },
      'a shorter hash': { ...good, hash: good.hash.slice(1) },
      'the hash under another pepper': { ...good, pepperId: 'p9' },
      'the hash of one pepper named as none': { ...good, pepperId: null },
      'no hash': { ...good, hash: '' }
    }
    for (const [name, row] of Object.entries(rows)) {
      const { refusal, key } = await verifierOf({ findKeyByHash: () => found(storedKey(row)) }, peppers).verify(plaintext)
      t.match(refusal, { code: 'INVALID_API_KEY', details: { reason: undefined } }, name)
      t.equal(key, null, name)
    }
    t.match(await verifierOf({ findKeyByHash: () => found(storedKey(good)) }, peppers).verify(plaintext), { refusal: null, key: good })
  })

  t.test('rejects when the storage does: a failure is no answer', async (t) => {
    const plaintext = generateKey('sk_live_')
    await t.rejects(verifierOf({ findKeyByHash: async () => { throw new Error('down') } }).verify(plaintext), { message: 'down' })
    await t.rejects(verifierOf({ findKeyByHash: () => { throw new Error('down') } }).verify(plaintext), { message: 'down' })
  })

  t.test('names the stored key with every refusal after the secret matched', async (t) => {
    const plaintext = generateKey('sk_live_')
    const row = storedKey({ ...keyHasher(null).current(plaintext), ...IN_STATUS.revoked })
    const { refusal, key } = await verifierOf({ findKeyByHash: () => found(row) }).verify(plaintext)
    t.match(refusal, { code: 'INVALID_API_KEY', details: { reason: 'revoked' } })
    t.equal(key, row)
  })

  t.test('judges status, plan, access, environment, origin, address and scopes in this order', async (t) => {
    const judged = (key: StoredKey, requirement: KeyRequirement, more: Partial<Judgement> = {}) =>
      judgeStatus(key, NOW) ?? judgeUse({ key, policy: NO_POLICY, requirement, source: {}, origins: key.allowedOrigins, originsRequired: true, ...more })
    const all: KeyRequirement = { scopes: ['a:b'], environments: ['test'] }
    const suspended = { policy: { ...NO_POLICY, suspended: true } }
    const page = { allowedOrigins: ['https://a.example'] }
    const office = { allowedIps: ['203.0.113.0/24'] }
    const publishable = { access: 'publishable', scopes: [] } as const
    const table: Array<[Partial<StoredKey>, KeyRequirement, { code: string, message?: string, details?: object } | null, Partial<Judgement>?]> = [
      [{}, {}, null],
      [IN_STATUS.retiring, {}, null],
      [IN_STATUS.revoked, all, { code: 'INVALID_API_KEY', message: 'The API key was revoked.', details: { reason: 'revoked' } }, suspended],
      [IN_STATUS.expired, all, { code: 'INVALID_API_KEY', message: 'The API key has expired.', details: { reason: 'expired' } }],
      [IN_STATUS.disabled, all, { code: 'INVALID_API_KEY', message: 'The API key is disabled.', details: { reason: 'disabled' } }],
      [{ retiresAt: NOW }, all, { code: 'INVALID_API_KEY', message: 'The API key was revoked.', details: { reason: 'revoked' } }],
      [publishable, all, { code: 'ACCOUNT_SUSPENDED', message: 'The account is suspended.' }, suspended],
      [publishable, all, { code: 'FORBIDDEN', message: 'A publishable API key may not be used here.' }],
      [publishable, { allowPublishable: false }, { code: 'FORBIDDEN' }],
      [{ ...publishable, ...page }, { ...all, allowPublishable: true }, { code: 'FORBIDDEN', message: 'A live API key may not be used here.' }],
      [{}, all, { code: 'FORBIDDEN', message: 'A live API key may not be used here.' }],
      [{ environment: 'test' }, { environments: ['live'] }, { code: 'FORBIDDEN', message: 'A test API key may not be used here.' }],
      [{ ...page, ...office }, { scopes: ['a:b'] }, { code: 'ORIGIN_NOT_ALLOWED' }, { source: { origin: 'https://b.example' } }],
      [{ ...page, ...office }, { scopes: ['a:b'] }, { code: 'IP_NOT_ALLOWED' }, { source: { origin: 'https://a.example', ip: '198.51.100.1' } }],
      [office, {}, { code: 'IP_NOT_ALLOWED' }],
      [office, {}, { code: 'IP_NOT_ALLOWED' }, { source: { ip: 'unknown' } }],
      [office, {}, null, { source: { ip: '::ffff:203.0.113.9' } }],
      [{ ...page, ...office }, { scopes: ['a:b'] }, { code: 'INSUFFICIENT_SCOPE' }, { source: { origin: 'https://a.example', ip: '203.0.113.9' } }],
      [{ environment: 'test' }, all, {
        code: 'INSUFFICIENT_SCOPE', message: 'The API key lacks a scope this route asks for: a:b.', details: { requiredScopes: ['a:b'] }
      }],
      [{ environment: 'test', scopes: ['a:b'] }, all, null],
      [{ environment: 'test', scopes: null }, all, null],
      [{ scopes: null }, { scopes: ['a:b'] }, { code: 'INSUFFICIENT_SCOPE' }, { policy: { ...NO_POLICY, grantable: ['c:d'] } }],
      [{ scopes: ['a:b'] }, { scopes: ['a:b'] }, { code: 'INSUFFICIENT_SCOPE' }, { policy: { ...NO_POLICY, grantable: [] } }],
      [{ scopes: ['a:b'] }, { scopes: ['a:b'] }, null, { policy: { ...NO_POLICY, grantable: ['a:b', 'c:d'] } }],
      [{}, { environments: ['live', 'test'] }, null],
      // A secret key belongs on servers, which send no Origin.
      [page, {}, null],
      [page, {}, { code: 'ORIGIN_NOT_ALLOWED' }, { source: { origin: null } }],
      [page, {}, null, { source: { origin: 'https://a.example' } }],
      [{}, {}, null, { source: { origin: 'https://anywhere.example' } }],
      [{}, { allowPublishable: true, scopes: ['blocks:read'] }, null],
      // A publishable key belongs on pages that are named.
      [{ ...publishable, ...page }, { allowPublishable: true, scopes: ['a:b'] }, null, { source: { origin: 'https://a.example' } }],
      [{ ...publishable, ...page }, { allowPublishable: true }, null, { source: { sameOrigin: true } }],
      [{ ...publishable, ...page }, { allowPublishable: true }, { code: 'ORIGIN_NOT_ALLOWED' }, { source: { sameOrigin: true, origin: 'https://b.example' } }],
      [{ ...publishable, ...page }, { allowPublishable: true }, { code: 'ORIGIN_NOT_ALLOWED' }, { source: { sameOrigin: true, origin: null } }],
      [{ ...publishable, ...page }, { allowPublishable: true }, { code: 'ORIGIN_NOT_ALLOWED' }],
      [{ ...publishable, ...page }, { allowPublishable: true }, { code: 'ORIGIN_NOT_ALLOWED' }, { originsRequired: false }],
      [publishable, { allowPublishable: true }, { code: 'ORIGIN_NOT_ALLOWED' }, { source: { sameOrigin: true } }],
      [publishable, { allowPublishable: true }, null, { originsRequired: false, source: { origin: null } }]
    ]
    for (const [place, [overrides, requirement, expected, more]] of table.entries()) {
      const refusal = judged(storedKey(overrides), requirement, more)
      if (expected === null) t.equal(refusal, null, `row ${place}`)
      else t.match(refusal, expected, `row ${place}`)
    }
  })

  t.test('follows the account\'s sites for a publishable key without origins of its own, and for no other', async (t) => {
    const plaintext = generateKey('pk_live_')
    const on = (overrides: Partial<StoredKey>, parts: Partial<KeyVerifierParts> = {}) => {
      const key = storedKey({ ...keyHasher(null).current(plaintext), access: 'publishable', scopes: [], ...overrides })
      const siteOrigins = key.access === 'publishable' && key.allowedOrigins.length === 0 ? ['https://*.example.com'] : []
      return verifierOn({ findKeyByHash: () => ({ key, siteOrigins }) }, parts)
    }
    const open = { allowPublishable: true }
    t.match(await on({}).verify(plaintext, open, { origin: 'https://shop.example.com' }), { refusal: null })
    t.match(await on({}).verify(plaintext, open, { origin: 'https://example.com' }), { refusal: { code: 'ORIGIN_NOT_ALLOWED' } })
    t.match(await on({ allowedOrigins: ['https://a.example'] }).verify(plaintext, open, { origin: 'https://shop.example.com' }), { refusal: { code: 'ORIGIN_NOT_ALLOWED' } })
    t.match(await on({ access: 'secret' }).verify(plaintext, open, { origin: 'https://elsewhere.example' }), { refusal: null })
    t.match(await on({}).verify(plaintext, {}, { origin: 'https://shop.example.com' }), { refusal: { code: 'FORBIDDEN' } })
    t.match(await on(IN_STATUS.revoked).verify(plaintext, open, { origin: 'https://shop.example.com' }), { refusal: { code: 'INVALID_API_KEY' } })
    const down = on({}, { policies: { current: async () => { throw new Error('down') } } })
    await t.rejects(down.verify(plaintext, open), { message: 'down' })
    t.match(await on(IN_STATUS.expired, { policies: { current: async () => { throw new Error('down') } } }).verify(plaintext), {
      refusal: { code: 'INVALID_API_KEY' }
    }, 'what has ended is refused without asking for its plan')
  })

  t.test('answers with the plan that it judged by', async (t) => {
    const plaintext = generateKey('sk_live_')
    const policy = { ...NO_POLICY, grantable: ['blocks:read'] }
    for (const current of [() => policy, async () => policy]) {
      const verifier = verifierOn({ findKeyByHash: async () => found(storedKey(keyHasher(null).current(plaintext))) }, { policies: { current } })
      t.equal((await verifier.verify(plaintext) as { policy: unknown }).policy, policy)
    }
  })
})

/** The operations on a storage, with settings of a host that has two scopes. */
function operationsOn (storage: Storage, { lifetime = null, clock = testClock() }: { lifetime?: number | null, clock?: ReturnType<typeof testClock> } = {}) {
  return keyOperations({
    storage,
    hasher: keyHasher(null),
    limiter: keyLimiter(memoryRateLimitStore({ clock }), []),
    clock,
    policies: noPolicies,
    wording: WORDING,
    announce: () => {},
    settings: {
      prefix: (access, environment) => standardPrefix('acme', access, environment),
      defaultKey: { label: 'Default', environment: 'live', access: 'secret', scopes: ['blocks:read'], lifetime },
      catalogue: new Set(['blocks:read']),
      lifetime: null,
      maxLifetime: null,
      maxOverlap: 7 * DAY
    }
  })
}
const by: Actor = { accountId: ACCOUNT, credential: 'bearer', actor: { id: 'u1', name: 'Ada Example' } }

t.test('operations', async (t) => {
  t.test('issueDefault issues, then rotates: one default key, the one before revoked and named once', async (t) => {
    const storage = memoryStorage()
    const clock = testClock()
    const keys = operationsOn(storage, { clock })
    const first = await keys.issueDefault(by)
    t.match(first, {
      action: 'issued',
      revokedPublicIds: [],
      replayed: false,
      apiKey: {
        publicId: /^key_[0-9A-HJKMNP-TV-Z]{26}$/,
        label: 'Default',
        environment: 'live',
        access: 'secret',
        scopes: ['blocks:read'],
        status: 'active',
        isDefault: true,
        prefix: 'acme_sk_live_',
        createdBy: 'Ada Example',
        expiresAt: null,
        rotatedFrom: null,
        lastUsedAt: null
      }
    })
    t.match(first.plaintextKey, /^acme_sk_live_[0-9A-Za-z]{42}$/)
    t.equal(first.apiKey.maskedKey, `acme_sk_live_…${first.plaintextKey!.slice(-4)}`)
    t.notMatch(JSON.stringify(first.apiKey), first.plaintextKey!.slice(13))

    clock.pass(1000)
    const second = await keys.issueDefault(by)
    t.match(second, { action: 'rotated', revokedPublicIds: [first.apiKey.publicId], apiKey: { rotatedFrom: first.apiKey.publicId, isDefault: true } })
    t.not(second.plaintextKey, first.plaintextKey)
    t.match(await keys.get(ACCOUNT, first.apiKey.publicId), {
      status: 'revoked', isDefault: false, revokedReason: 'rotated', revokedAt: '2026-01-15T12:34:57.789Z'
    })
    t.same(await keys.count(ACCOUNT), { total: 2, active: 1 })
  })

  t.test('stores the digest and never the plaintext', async (t) => {
    const { storage, calls } = watched(memoryStorage())
    const { plaintextKey } = await operationsOn(storage).issueDefault(by)
    t.notMatch(JSON.stringify(calls), plaintextKey!)
    t.notMatch(JSON.stringify(calls), plaintextKey!.slice('acme_sk_live_'.length + 8, -4))
    t.match(JSON.stringify(calls), sha256(plaintextKey!))
  })

  t.test('hand each key a list of scopes of its own: a storage that changes one changes no other', async (t) => {
    const memory = memoryStorage()
    const { app } = await hostOf(t, {
      scopes: { 'blocks:read': 'Read' },
      storage: {
        ...memory,
        async issueKey (input) {
          const result = await memory.issueKey({ ...input, key: { ...input.key, scopes: [...input.key.scopes!] } })
          ;(input.key.scopes as string[]).push('blocks:write')
          return result
        }
      }
    })
    for (let i = 0; i < 3; i++) t.same((await app.selfServeKeys.keys.issueDefault(by)).apiKey.scopes, ['blocks:read'])
  })

  t.test('keep one default key per environment and account', async (t) => {
    const keys = operationsOn(memoryStorage())
    const live = await keys.issueDefault(by)
    const test = await keys.issueDefault(by, { environment: 'test' })
    const other = await keys.issueDefault({ ...by, accountId: OTHER_ACCOUNT })
    t.same([live, test, other].map(({ action }) => action), ['issued', 'issued', 'issued'])
    t.match(test.apiKey, { environment: 'test', prefix: 'acme_sk_test_' })
    const again = await keys.issueDefault(by, { environment: 'test' })
    t.same(again.revokedPublicIds, [test.apiKey.publicId])
    t.match(await keys.get(ACCOUNT, live.apiKey.publicId), { status: 'active' })
    t.match(await keys.get(OTHER_ACCOUNT, other.apiKey.publicId), { status: 'active' })
  })

  t.test('give the default key its lifetime, counted from now', async (t) => {
    const clock = testClock()
    const keys = operationsOn(memoryStorage(), { lifetime: 90 * DAY, clock })
    const { apiKey } = await keys.issueDefault(by)
    t.equal(apiKey.expiresAt, '2026-04-15T12:34:56.789Z')
    clock.pass(90 * DAY)
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'expired', isDefault: true })
    const next = await keys.issueDefault(by)
    t.match(next, { action: 'issued', revokedPublicIds: [], apiKey: { rotatedFrom: null } })
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'expired', isDefault: false, revokedAt: null })
  })

  t.test('name nobody where the actor has no name', async (t) => {
    const keys = operationsOn(memoryStorage())
    t.equal((await keys.issueDefault({ accountId: ACCOUNT, credential: 'host' })).apiKey.createdBy, null)
    t.equal((await keys.issueDefault({ ...by, actor: { id: 'u1' } })).apiKey.createdBy, null)
  })

  t.test('cut a long name to a hundred code points, and store no lone surrogate', async (t) => {
    const keys = operationsOn(memoryStorage())
    const createdBy = async (name: string): Promise<string | null> =>
      (await keys.issueDefault({ ...by, actor: { id: 'u1', name } })).apiKey.createdBy
    t.equal(await createdBy('🔑'.repeat(150)), '🔑'.repeat(100))
    t.equal(await createdBy('Ann \ud800'), 'Ann \ufffd')
  })

  t.test('refuse an actor without an account and an unknown environment, and store nothing', async (t) => {
    const storage = memoryStorage()
    const keys = operationsOn(storage)
    for (const accountId of ['', ' a', 'a\n', undefined, 5]) {
      await t.rejects(keys.issueDefault({ ...by, accountId: accountId as string }), {
        code: 'INVALID_REQUEST', statusCode: 400, details: { field: 'by.accountId' }
      })
    }
    for (const environment of ['prod', '', null]) {
      await t.rejects(keys.issueDefault(by, { environment: environment as 'live' }), { code: 'INVALID_REQUEST', details: { field: 'environment' } })
    }
    t.same(await keys.count(ACCOUNT), { total: 0, active: 0 })
  })

  t.test('never ask the storage for an id that no key can have', async (t) => {
    const asked: string[] = []
    const storage = new Proxy(memoryStorage(), {
      get: (target, name) => { asked.push(String(name)); return Reflect.get(target, name) as unknown }
    })
    const keys = operationsOn(storage)
    for (const id of ['key_missing', 'x\u0000', '']) {
      t.equal(await keys.find(id), null)
      await t.rejects(keys.get(ACCOUNT, id), { code: 'API_KEY_NOT_FOUND' })
      await t.rejects(keys.revoke(by, id), { code: 'API_KEY_NOT_FOUND' })
      await t.rejects(keys.list(ACCOUNT, { before: id }), { code: 'INVALID_REQUEST' })
    }
    t.same(asked, [])
  })

  t.test('refuse the hundred-and-first key, change nothing, and still rotate', async (t) => {
    const storage = memoryStorage()
    const keys = operationsOn(storage)
    const { apiKey } = await keys.issueDefault(by)
    for (let i = 0; i < 99; i++) await storage.issueKey(issuing())
    const before = await keysOf(storage)
    await t.rejects(keys.issueDefault(by, { environment: 'test' }), {
      code: 'KEY_LIMIT_REACHED', statusCode: 409, details: { maxKeys: 100 }, message: 'The account has as many API keys as it may have: 100.'
    })
    t.same(await keysOf(storage), before)
    t.match(await keys.issueDefault(by), { action: 'rotated', revokedPublicIds: [apiKey.publicId] })
    t.same(await keys.count(ACCOUNT), { total: 101, active: 100 })
  })

  t.test('say so where the host disabled the default key', async (t) => {
    const storage = memoryStorage()
    const keys = operationsOn(storage)
    const { apiKey } = await keys.issueDefault(by)
    await keys.update({ accountId: ACCOUNT, credential: 'host' }, apiKey.publicId, { enabled: false })
    const before = await keysOf(storage)
    await t.rejects(keys.issueDefault(by), {
      code: 'API_KEY_NOT_ACTIVE',
      statusCode: 409,
      details: { status: 'disabled' },
      message: 'The API key was disabled by the operator of this API, who alone can change that.'
    })
    t.same(await keysOf(storage), before)
  })

  t.test('revoke for good: the same answer again, nothing of another account', async (t) => {
    const clock = testClock()
    const keys = operationsOn(memoryStorage(), { clock })
    const { apiKey } = await keys.issueDefault(by)
    const stranger = { ...by, accountId: OTHER_ACCOUNT }
    await t.rejects(keys.revoke(stranger, apiKey.publicId), { code: 'API_KEY_NOT_FOUND', statusCode: 404 })
    t.match(await keys.get(ACCOUNT, apiKey.publicId), { status: 'active' })
    clock.pass(5)
    const revoked = await keys.revoke(by, apiKey.publicId)
    t.match(revoked, { status: 'revoked', isDefault: false, revokedAt: '2026-01-15T12:34:56.794Z', revokedReason: 'revoked' })
    clock.pass(5)
    t.same(await keys.revoke(by, apiKey.publicId), revoked)
    for (const missing of MISSING) await t.rejects(keys.revoke(by, missing), { code: 'API_KEY_NOT_FOUND' })
  })

  t.test('get answers another account\'s key as a missing one; find answers the host for any', async (t) => {
    const keys = operationsOn(memoryStorage())
    const { apiKey } = await keys.issueDefault(by)
    const outcome = async (accountId: string, publicId: string): Promise<unknown> =>
      await keys.get(accountId, publicId).catch((error: unknown) => isSelfServeKeysError(error) && [error.code, error.message, error.details])
    for (const missing of MISSING) t.same(await outcome(OTHER_ACCOUNT, apiKey.publicId), await outcome(OTHER_ACCOUNT, missing))
    t.same(await keys.find(apiKey.publicId), { accountId: ACCOUNT, apiKey })
    for (const missing of MISSING) t.equal(await keys.find(missing), null)
    t.same(await keys.count('nobody'), { total: 0, active: 0 })
  })

  t.test('list newest first, in pages of a hundred, every key once', async (t) => {
    const keys = operationsOn(memoryStorage())
    for (let i = 0; i < 201; i++) await keys.issueDefault(by)
    const first = await keys.list(ACCOUNT)
    t.equal(first.apiKeys.length, 100)
    t.match(first, { truncated: true, before: first.apiKeys[99]!.publicId })
    t.equal(first.apiKeys[0]!.status, 'active')
    const second = await keys.list(ACCOUNT, { before: first.before! })
    t.equal(second.apiKeys.length, 100)
    const third = await keys.list(ACCOUNT, { before: second.before! })
    t.match(third, { truncated: false, before: null })
    t.equal(third.apiKeys.length, 1)
    const all = [...first.apiKeys, ...second.apiKeys, ...third.apiKeys]
    t.equal(new Set(all.map(({ publicId }) => publicId)).size, 201)
    for (const [place, key] of all.entries()) t.equal(key.rotatedFrom, all[place + 1]?.publicId ?? null)
    t.same((await keys.list(ACCOUNT, { status: 'active' })).apiKeys, [first.apiKeys[0]])
    t.same(await keys.list(ACCOUNT, { environment: 'test' }), { apiKeys: [], truncated: false, before: null })
    t.same((await keys.list(ACCOUNT, { before: 'start' })).apiKeys, all.slice(1, 101))
  })

  t.test('refuse a page that begins at a key the account does not have', async (t) => {
    const keys = operationsOn(memoryStorage())
    const { apiKey } = await keys.issueDefault(by)
    for (const before of [...MISSING, '', 'START']) {
      await t.rejects(keys.list(ACCOUNT, { before }), { code: 'INVALID_REQUEST', details: { field: 'before' } })
    }
    await t.rejects(keys.list(OTHER_ACCOUNT, { before: apiKey.publicId }), {
      code: 'INVALID_REQUEST', message: 'before: is not a key of this account'
    })
  })
})

t.test('app.selfServeKeys, on a host', async (t) => {
  const table = async (t: Test) => {
    const { app } = await hostOf(t, {
      scopes: { 'blocks:read': 'Read', 'blocks:write': 'Write' }, rateLimit: { max: 3, timeWindow: '1 minute' }, clock: testClock()
    })
    return { app, keys: app.selfServeKeys.keys }
  }

  t.test('issues, shows the rate limits of, and revokes keys that the host\'s routes take', async (t) => {
    const { app, keys } = await table(t)
    const issued = await keys.issueDefault(by)
    const call = async (): Promise<number> =>
      (await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': issued.plaintextKey! } })).statusCode
    t.equal(await call(), 200)
    t.same((await keys.get(ACCOUNT, issued.apiKey.publicId)).rateLimits, [
      { name: 'default', max: 3, windowSeconds: 60, remaining: 2, resetSeconds: 60 }
    ])
    const rotated = await keys.issueDefault(by)
    t.equal(await call(), 401, 'the key before is refused at once')
    t.same((await keys.list(ACCOUNT)).apiKeys.map(({ publicId }) => publicId), [rotated.apiKey.publicId, issued.apiKey.publicId])
    t.same(await keys.count(ACCOUNT), { total: 2, active: 1 })
    await keys.revoke(by, rotated.apiKey.publicId)
    t.match(await keys.find(rotated.apiKey.publicId), { accountId: ACCOUNT, apiKey: { status: 'revoked' } })
  })

  t.test('names the session\'s actor as who made the key', async (t) => {
    const { app } = await table(t)
    const answer = await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: { authorization: `Bearer ${ACCOUNT}` } })
    t.equal(answer.json().apiKey.createdBy, 'Ada Example')
  })

  t.test('verify answers with the key or the refusal, and charges and records nothing', async (t) => {
    const { app, keys } = await table(t)
    const { plaintextKey, apiKey } = await keys.issueDefault(by)
    const { verify } = app.selfServeKeys
    for (let i = 0; i < 10; i++) {
      t.match(await verify(plaintextKey!, { scopes: ['blocks:read'], environments: ['live'] }), {
        ok: true, apiKey: { publicId: apiKey.publicId, accountId: ACCOUNT, scopes: ['blocks:read'] }
      })
    }
    t.match(await verify(plaintextKey!), { ok: true })
    t.match(await verify(plaintextKey!, { scopes: ['blocks:write'] }), { ok: false, code: 'INSUFFICIENT_SCOPE', message: /blocks:write/ })
    t.match(await verify(plaintextKey!, { environments: ['test'] }), { ok: false, code: 'FORBIDDEN' })
    t.same(await verify('nonsense'), { ok: false, code: 'INVALID_API_KEY', message: 'The API key is not valid.' })
    await keys.revoke(by, apiKey.publicId)
    t.same(await verify(plaintextKey!), { ok: false, code: 'INVALID_API_KEY', message: 'The API key was revoked.' })
    t.same(app.selfServeKeys.stats(), { usageBuffered: 0, usageDropped: 0, usageSinkDropped: 0 })
    t.match((await keys.get(ACCOUNT, apiKey.publicId)).rateLimits, [{ remaining: 3 }])
  })
})
