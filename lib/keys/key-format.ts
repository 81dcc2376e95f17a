// The text of a key: `<prefix>` + 36 random base62 characters + 6 of CRC-32 over all before.
import { BASE62, randomBase62 } from '../crypto.js'
import type { Access, Environment } from './api-key.js'
import { crc32 } from './crc32.js'

const RANDOM_LENGTH = 36
const CHECKSUM_LENGTH = 6
const SECRET_LENGTH = RANDOM_LENGTH + CHECKSUM_LENGTH
/** No more of a presented value is looked at: what is longer is no key. */
export const MAX_LENGTH = 256

/**
 * Finds keys with the library's own prefixes (any brand) in text, for secret scanners. RE2-safe.
 * Hosts whose `keys.prefix` is a function write their own.
 */
export const keyPattern = /\b(?:[a-z][a-z0-9]{0,15}_)?(?:sk|pk)_(?:live|test)_[0-9A-Za-z]{42}\b/

/**
 * What pino's `redact` needs to keep keys, session credentials and passwords out of a log that prints headers and errors:
 * Node hangs the bytes of a request it cannot read on its error, which Fastify logs at `trace`; ioredis the command it failed.
 */
export const redactPaths: readonly string[] = [
  'req.headers.authorization', 'req.headers.cookie', 'req.headers["x-api-key"]',
  'res.headers["set-cookie"]', 'res.headers["set-auth-token"]', 'err.rawPacket', 'err.command.args'
]

/** 42 letters and digits, no more: what every key of ours ends with, whatever its prefix. */
const SECRETS = /(?<![0-9A-Za-z])[0-9A-Za-z]{38}([0-9A-Za-z]{4})(?![0-9A-Za-z])/g

/**
 * Text with every key masked as the library shows it, `acme_sk_live_…9z8a`: for whole lines of a log, where a URL may hold a
 * key that a client put there. As pino's `hooks: { streamWrite: maskKeys }`.
 */
export function maskKeys (text: string): string {
  return text.replace(SECRETS, '…$1')
}

/** `[brand_]sk|pk_live|test_` */
export function standardPrefix (brand: string | null, access: Access, environment: Environment): string {
  return `${brand === null ? '' : `${brand}_`}${access === 'secret' ? 'sk' : 'pk'}_${environment}_`
}

/** A new plaintext key. */
export function generateKey (prefix: string): string {
  const body = prefix + randomBase62(RANDOM_LENGTH)
  return body + checksum(body)
}

/**
 * Has this the shape of a key: 42 base62 characters at its end, of which the last 6 are the checksum of all before?
 * The prefix is never compared, so that a new brand leaves old keys valid; nothing is split on `_`.
 */
export function hasKeyShape (value: string): boolean {
  if (value.length < SECRET_LENGTH || value.length > MAX_LENGTH) return false
  const end = value.length - CHECKSUM_LENGTH
  const start = value.length - SECRET_LENGTH
  // The checksum is of one byte a character: it cannot tell a letter from others that end in the same byte.
  for (let i = 0; i < start; i++) {
    if (value.charCodeAt(i) > 127) return false
  }
  for (let i = start; i < end; i++) {
    if (digitAt(value, i) === NO_DIGIT) return false
  }
  let claimed = 0
  for (let i = end; i < value.length; i++) {
    const digit = digitAt(value, i)
    if (digit === NO_DIGIT) return false
    claimed = claimed * 62 + digit
  }
  return claimed === crc32(value, end)
}

/** A shape of keys that another system issued. They carry no checksum of ours. */
export interface AcceptedShape {
  /** Matches the whole of such a key. */
  readonly pattern: RegExp
  readonly maxLength: number
}

/** Tells what may be an API key: by our checksum, or by one of the shapes the host accepts. */
export type KeyShape = (value: string) => boolean

export function keyShape (accepted: readonly AcceptedShape[]): KeyShape {
  if (accepted.length === 0) return hasKeyShape
  return (value) => hasKeyShape(value) ||
    accepted.some(({ pattern, maxLength }) => value.length <= maxLength && pattern.test(value))
}

/** The parts of a plaintext that may be kept for display. */
export function displayParts (plaintext: string): { prefix: string, first8: string, last4: string } {
  const start = plaintext.length - SECRET_LENGTH
  return { prefix: plaintext.slice(0, start), first8: plaintext.slice(start, start + 8), last4: plaintext.slice(-4) }
}

function checksum (text: string): string {
  let rest = crc32(text, text.length)
  let out = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    out = BASE62[rest % 62]! + out
    rest = Math.floor(rest / 62)
  }
  return out
}

const NO_DIGIT = 255
/** What each character code is worth in base62. */
const DIGITS = Uint8Array.from({ length: 128 }, (_none, code) => {
  const digit = BASE62.indexOf(String.fromCharCode(code))
  return digit === -1 ? NO_DIGIT : digit
})

function digitAt (text: string, place: number): number {
  return DIGITS[text.charCodeAt(place)] ?? NO_DIGIT
}
