// The text of a key against whoever types, truncates or forges it: what is no key of ours is refused before anything is asked of a storage.
import fc from 'fast-check'
import t from 'tap'
import { keyPattern, memoryStorage } from '../../lib/index.js'
import { ACCESSES, ENVIRONMENTS } from '../../lib/keys/api-key.js'
import { displayParts, generateKey, hasKeyShape, keyShape, MAX_LENGTH, standardPrefix } from '../../lib/keys/key-format.js'
import { watched } from '../helpers/app.js'
import { build, raw, storeKey } from '../helpers/host.js'
import { runs, SEED } from '../helpers/strange-values.js'

const brands = fc.option(fc.stringMatching(/^[a-z][a-z0-9]{0,15}$/))
/** What the library begins keys with, and what a host's own function may give. */
const prefixes = fc.oneof(
  fc.tuple(brands, fc.constantFrom(...ACCESSES), fc.constantFrom(...ENVIRONMENTS)).map((parts) => standardPrefix(...parts)), fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
)
/** Every ASCII character, look-alikes of those that keys have, what a terminal or a chat makes of them, halves of pairs. */
const CHARACTERS = [...Array.from({ length: 128 }, (_none, code) => String.fromCharCode(code)), ...'аеоѕіＡ０ıſİÅßé–—…’“\u00a0\u00ad\u200b\u200d\u2028\ufeff\u0300\u202e🔑', '\ud800', '\udc00']

/** The characters that look like this one to whoever sees a byte of them: U+0161 ends in the byte of `a`. */
function sameByte (character: string): string[] {
  const code = character.charCodeAt(0)
  return [0x100, 0x200, 0x4100, 0xff00].map((more) => String.fromCharCode(code + more))
}

/** Every text that one slip makes of a key: nothing but what differs from it. */
function slips (key: string, characters: readonly string[]): Set<string> {
  const texts = new Set([key.toUpperCase(), key.toLowerCase(), `${key}${key}`, [...key].reverse().join(''), key.normalize('NFKC').replaceAll('_', '-')])
  for (let place = 0; place <= key.length; place++) {
    const [head, first, rest] = [key.slice(0, place), key.charAt(place), key.slice(place + 1)]
    for (const character of characters) {
      texts.add(head + character + first + rest)
      if (first !== '') texts.add(head + character + rest)
    }
    for (const character of first === '' ? [] : [...sameByte(first), first.toUpperCase(), first.toLowerCase(), '']) texts.add(head + character + rest)
    if (rest !== '') texts.add(head + rest.charAt(0) + first + rest.slice(1))
    texts.add(head)
    texts.add(first + rest)
    texts.add(head + first + first + rest)
  }
  texts.delete(key)
  return texts
}

t.test('a key of any prefix is known for one, and its parts are those it was made of', async () => {
  fc.assert(fc.property(prefixes, (prefix) => {
    const key = generateKey(prefix)
    const { first8, last4, ...parts } = displayParts(key)
    return hasKeyShape(key) && keyShape([{ pattern: /^$/, maxLength: 1 }])(key) && parts.prefix === prefix && key.startsWith(prefix + first8) && key.endsWith(last4) && /^[0-9A-Za-z]{42}$/.test(key.slice(prefix.length))
  }), { numRuns: runs(500), seed: SEED })
})

t.test('a key of the library\'s own prefixes is found in any text by secret scanners, whole', async () => {
  const around = fc.string({ unit: 'grapheme', maxLength: 10 }).filter((text) => !/\w/.test(text))
  fc.assert(fc.property(brands, fc.constantFrom(...ACCESSES), fc.constantFrom(...ENVIRONMENTS), around, around, (brand, access, environment, before, after) => {
    const key = generateKey(standardPrefix(brand, access, environment))
    return keyPattern.exec(before + key + after)?.[0] === key
  }), { numRuns: runs(300), seed: SEED })
})

t.test('no text that one slip makes of a key has the shape of one: of any character, at any place, by any other', async (t) => {
  let tried = 0
  fc.assert(fc.property(prefixes, (prefix) => {
    const key = generateKey(prefix)
    const texts = slips(key, CHARACTERS)
    tried += texts.size
    return [...texts].filter(hasKeyShape).length === 0
  }), { numRuns: runs(20), seed: SEED })
  t.ok(tried > 100_000, `${tried} texts`)
})

t.test('a text that merely looks like a key is refused: its checksum is a matter of chance', async () => {
  const secrets = fc.stringMatching(/^[0-9A-Za-z]{42}$/)
  fc.assert(fc.property(prefixes, secrets, (prefix, secret) => !hasKeyShape(prefix + secret)), { numRuns: runs(2000), seed: SEED })
  // The checksum is of all before it: that of another prefix, and of another secret, is wrong.
  fc.assert(fc.property(prefixes, prefixes, (prefix, other) => {
    const key = generateKey(prefix)
    return prefix === other || !hasKeyShape(other + key.slice(prefix.length))
  }), { numRuns: runs(500), seed: SEED })
})

t.test('a slip is refused without a question to the storage, however the key is presented', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { storage, accountRoutes: { apiKeys: { read: 'blocks:read', write: 'blocks:read' } } }, { after: (app) => app.get('/blocks', { config: { apiKey: true } }, async () => 'in') })
  const { plaintext } = await storeKey(storage)
  const { plaintext: other } = await storeKey(storage, { publicId: 'key_00000000000000000000000001', environment: 'test' })
  const ask = async (headers: Record<string, string>): Promise<number> => (await app.inject({ url: '/blocks', headers })).statusCode
  t.equal(await ask({ 'x-api-key': plaintext }), 200)
  t.equal(await ask({ authorization: `Bearer ${other}` }), 200)
  t.match(await app.selfServeKeys.verify(plaintext), { ok: true })
  calls.length = 0

  const texts = [...slips(plaintext, ['\0', ' ', '\u00a0', 'é', 'а', '0', 'O', '_', '\ud800'])]
  const wrong: string[] = []
  for (const [place, text] of texts.entries()) {
    const verified = await app.selfServeKeys.verify(text)
    if (verified.ok || verified.code !== 'INVALID_API_KEY') wrong.push(`verify ${JSON.stringify(text)}`)
    // A header has no line breaks; white space around a value is HTTP's own, and is no part of it.
    if (/[\r\n]/.test(text) || text !== text.replace(/^[ \t]+|[ \t]+$/g, '')) continue
    const headers = [{ 'x-api-key': text }, { authorization: `Bearer ${text}` }][place % 2]!
    if (await ask(headers) !== 401) wrong.push(`header ${JSON.stringify(text)}`)
  }
  t.ok(texts.length > 900, `${texts.length} texts`)
  t.strictSame(wrong, [])
  t.strictSame(calls.map(({ name }) => name), [], 'the storage was asked nothing')
})

t.test('over a socket, too, where bytes are what they are', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { storage }, { after: (app) => app.get('/blocks', { config: { apiKey: true } }, async () => 'in') })
  const { plaintext } = await storeKey(storage)
  for (const line of [`x-api-key:\t ${plaintext} \t`, `Authorization: bearer \t${plaintext}\t `]) t.equal((await raw(app, ['GET /blocks HTTP/1.1', line])).status, 200, 'white space around a value is no edit')
  calls.length = 0
  const { length } = plaintext
  const texts = [
    ...[0, 3, 20, length - 1].flatMap((place) => ['\u00a0', 'é', '0', ' ', '%00', '\u0131'].map((character) => `${plaintext.slice(0, place)}${character}${plaintext.slice(place)}`)),
    `${plaintext}\u00a0`, `${plaintext},${plaintext}`, `"${plaintext}"`, plaintext.slice(0, -1), plaintext.slice(1), encodeURIComponent(plaintext).replace('_', '%5F'), 'k'.repeat(15_000), `${plaintext}${'k'.repeat(15_000)}`
  ].filter((text) => text.trim() === text || text.includes('\u00a0'))
  for (const text of texts) {
    for (const line of [`x-api-key: ${text}`, `Authorization: Bearer ${text}`]) {
      // A space at the front is HTTP's.
      if (text.startsWith(' ')) continue
      t.equal((await raw(app, ['GET /blocks HTTP/1.1', line])).status, 401, JSON.stringify(line.slice(0, 90)))
    }
  }
  t.strictSame(calls, [])
})

t.test('the work for a text grows with its length to 256 characters, and for what is longer there is none', async (t) => {
  /** A text of so many characters that counts how many of them are read. */
  const countedText = (length: number, character: string): { text: string, read: () => number } => {
    let reads = 0
    return { text: { length, charCodeAt: () => { reads++; return character.charCodeAt(0) } } as unknown as string, read: () => reads }
  }
  for (const character of ['0', 'r', 'z', 'é', '_']) {
    for (let length = 0; length <= MAX_LENGTH; length++) {
      const { text, read } = countedText(length, character)
      hasKeyShape(text)
      if (read() > 2 * length) t.fail(`${length} of ${character}: ${read()} reads`)
    }
    for (const length of [MAX_LENGTH + 1, 1024, 16 * 1024, 2 ** 29]) {
      const { text, read } = countedText(length, character)
      t.equal(hasKeyShape(text), false)
      t.equal(read(), 0, `${length} of ${character}`)
    }
  }
})

t.test('a shape that a host accepts is asked about nothing longer than it said, and of that only what is no key of ours', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: MAX_LENGTH }), fc.integer({ min: 0, max: 16 * 1024 }), (maxLength, length) => {
    const asked: number[] = []
    const pattern = { test: (text: string) => { asked.push(text.length); return true } } as unknown as RegExp
    const accepts = keyShape([{ pattern, maxLength }])
    return accepts('k'.repeat(length)) === (length <= maxLength) && asked.length === (length <= maxLength ? 1 : 0) && accepts(generateKey('sk_live_')) && asked.length <= 1
  }), { numRuns: runs(300), seed: SEED })
})

t.test('a shape that backtracks for ever does so on what is as short as its maxLength alone', async (t) => {
  // On 16 KB it would not come back: that this test ends is what it claims.
  const { storage, calls } = watched(memoryStorage())
  const { app } = await build(t, { storage, keys: { accept: [{ pattern: /(a+)+b/, maxLength: 16, hash: 'sha256' }] } })
  calls.length = 0
  for (const length of [17, 300, 16 * 1024, 2 ** 20]) t.match(await app.selfServeKeys.verify('a'.repeat(length)), { ok: false, code: 'INVALID_API_KEY' })
  t.strictSame(calls, [])
  t.match(await app.selfServeKeys.verify(`${'a'.repeat(15)}b`), { ok: false, code: 'INVALID_API_KEY' })
  t.strictSame(calls.map(({ name }) => name), ['findKeyByHash'], 'what has the shape is looked for')
})
