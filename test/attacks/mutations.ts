// Requests of the corpus, changed by chance: each is made of its seed and number alone.
import { CORPUS } from './corpus/index.js'
import { bytesOf, type Message } from './message.js'
import { andLast } from './plans.js'
import type { Random } from './random.js'
import { oddCredentials, requestOf, ROUTES, turnOf } from './requests.js'
import type { Plan } from './sender.js'
import type { World } from './world.js'

/** What parsers, decoders and objects take for something else. */
const TOKENS = [
  '\r\n', '\n', '\r', '\0', ' ', '\t', ':', ';', ',', '"', '\\', '%', '%00', '%0d%0a', '%c0%ae', '%ed%a0%80', '\xc0\xae', '\xff', '\xed\xa0\x80', '\ufeff',
  '__proto__', 'constructor', 'prototype', '"__proto__":', '{"__proto__":1}', '[[[[[[[[', '}}}}', '\\u0000', '\\ud800', '1e400', '-1', '99999999999999999999', '0x10',
  'null', 'Bearer ', '../', '//', '?', '&', '#', '*', 'key_', '0\r\n\r\n', ';a=b\r\n', 'HTTP/1.1', '\r\n\r\n', '🔑'
].map((token) => Buffer.from(token, /[\u0100-\uffff]/.test(token) ? 'utf8' : 'latin1'))

const LINES = [
  'Transfer-Encoding: chunked', 'Content-Length: 0', 'Content-Length: 5', 'Connection: close', 'Connection: keep-alive', 'Expect: 100-continue', 'Upgrade: h2c',
  'Authorization: Bearer x', 'X-API-Key: x', 'Cookie: session=x', 'Cookie: __proto__=x', 'Origin: null', 'Host: elsewhere', '__proto__: x', 'X-Forwarded-For: ::1%x',
  'Content-Type: application/json', 'Content-Type: text/plain', 'Content-Encoding: gzip', 'Idempotency-Key: again', 'If-None-Match: *', 'Range: bytes=0-'
]

type Change = (bytes: Buffer, random: Random) => Buffer

const replace = (bytes: Buffer, start: number, end: number, ...by: Buffer[]): Buffer => Buffer.concat([bytes.subarray(0, start), ...by, bytes.subarray(end)])
/** Mostly in the head, where there is most to break. */
const placeIn = (bytes: Buffer, random: Random): number => random.below(Math.min(bytes.length, random.once(3) ? bytes.length : 400) + 1)
const lineChange = (change: (line: string, random: Random) => string[]): Change => (bytes, random) => {
  const head = Math.max(0, bytes.indexOf('\r\n\r\n'))
  const lines = bytes.toString('latin1', 0, head).split('\r\n')
  const place = random.below(lines.length)
  lines.splice(place, 1, ...change(lines[place]!, random))
  return replace(bytes, 0, head, Buffer.from(lines.join('\r\n'), 'latin1'))
}

const CHANGES: readonly Change[] = [
  function flipBit (bytes, random) {
    const place = Math.min(placeIn(bytes, random), bytes.length - 1)
    return place < 0 ? bytes : replace(bytes, place, place + 1, Buffer.from([bytes[place]! ^ (1 << random.below(8))]))
  },
  function insertToken (bytes, random) {
    const place = placeIn(bytes, random)
    return replace(bytes, place, place, random.of(TOKENS))
  },
  function insertByte (bytes, random) {
    const place = placeIn(bytes, random)
    return replace(bytes, place, place, Buffer.from([random.below(256)]))
  },
  function remove (bytes, random) {
    const place = placeIn(bytes, random)
    return replace(bytes, place, place + 1 + random.below(8))
  },
  function repeat (bytes, random) {
    const place = placeIn(bytes, random)
    return replace(bytes, place, place, bytes.subarray(place, place + random.below(64)))
  },
  function truncate (bytes, random) { return bytes.subarray(0, placeIn(bytes, random)) },
  lineChange((line, random) => [line, random.of(LINES)]),
  lineChange((line) => [line, line]),
  lineChange((line) => [line, line.toLowerCase()]),
  lineChange((line) => [line.toUpperCase()]),
  lineChange(() => []),
  lineChange((line, random) => [line.replace(':', `${random.of(['', ' ', '\t'])}:${random.of([' ', '\t', '   ', ''])}`)]),
  lineChange((line, random) => [`${line}${random.of([' ', '\t', ' \t \t', ' '.repeat(2000)])}`]),
  lineChange((line, random) => [line, `${random.of([' ', '\t'])}${random.of(LINES)}`])
]

const TWISTS = Object.entries(CORPUS)
/** Bytes that are worth sending many times over. */
const SMALL = 4096

/** A request of the corpus, or several in one, of the account whose turn it is. */
function source (world: World, seed: string): { name: string, bytes: Buffer, random: Random } {
  const { attacker, random } = turnOf(world, seed)
  const message = requestOf(random.of(ROUTES), attacker, random.of(oddCredentials(world))(attacker), random)
  const names: string[] = []
  let twisted: Message | Buffer = message
  for (let times = random.below(3); times > 0 && !Buffer.isBuffer(twisted); times--) {
    const [name, twist] = random.of(TWISTS)
    names.push(name)
    twisted = twist(twisted)
  }
  return { name: names.join(' + '), bytes: bytesOf(twisted), random }
}

export function mutantOf (world: World, seed: string, number: number): Plan {
  const { name, bytes: first, random } = source(world, `mutant ${number} of ${seed}`)
  let bytes = first
  if (random.once(8)) {
    const other = source(world, `half of mutant ${number} of ${seed}`).bytes
    bytes = Buffer.concat([bytes.subarray(0, placeIn(bytes, random)), other.subarray(placeIn(other, random))])
  }
  for (let times = random.below(4); times > 0; times--) bytes = random.of(CHANGES)(bytes, random)
  const together = bytes.length > SMALL || !random.once(10) ? 1 : random.once(10) ? 100 : 2 + random.below(8)
  const then = random.once(16) ? 'half-closes' : random.once(16) ? 'resets' : 'reads'
  const all = Buffer.concat(Array.from({ length: together }, () => bytes))
  return { name: `mutant ${number}: ${name}${together > 1 ? `, ${together} times` : ''}`, pieces: cut(Buffer.concat(then === 'reads' ? andLast(all) : [all]), random), then }
}

/** In one piece or several; now and then a byte at a time. */
function cut (bytes: Buffer, random: Random): Buffer[] {
  if (!random.once(4)) return [bytes]
  const single = random.once(5)
  const places = single
    ? Array.from({ length: Math.min(60, bytes.length) }, (_none, place) => place)
    : Array.from({ length: 1 + random.below(5) }, () => placeIn(bytes, random)).sort((a, b) => a - b)
  return [0, ...places].map((place, index) => bytes.subarray(place, places[index]))
}
