// Digests, random text and signatures: the only file that names node:crypto.
import { createPublicKey, hash, randomBytes, timingSafeEqual, verify, type KeyObject } from 'node:crypto'

/** What ECDSA signatures on the curve P-256 are verified with. */
export type PublicKey = KeyObject

export const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** SHA-256 in lower-case hex. Hex, so that a case-insensitive column can never confuse two digests. */
export function sha256 (text: string): string {
  return hash('sha256', text, 'hex')
}

/** SHA-256 in base64url: what tells one content of a file from another. */
export function contentTag (content: Uint8Array): string {
  return hash('sha256', content, 'base64url')
}

/** SHA-256 as text of 32 characters, one a byte: to find things in memory by, never to be stored. */
export function fingerprint (text: string): string {
  return hash('sha256', text, 'binary')
}

/** The name that Redis knows a script by. */
export function scriptDigest (script: string): string {
  return hash('sha1', script, 'hex')
}

/** Bytes that SHA-256 works on at a time. */
const BLOCK = 64

/**
 * HMAC-SHA-256 (RFC 2104) under a secret, in lower-case hex. Two digests in one go each: the object that node:crypto makes for
 * an HMAC costs twice as much, and its memory again.
 */
export function hmacSha256 (secret: string): (text: string) => string {
  const key = Buffer.alloc(BLOCK)
  const bytes = Buffer.from(secret)
  if (bytes.length > BLOCK) key.write(sha256(secret), 'hex')
  else bytes.copy(key)
  const inner = key.map((byte) => byte ^ 0x36)
  const outer = key.map((byte) => byte ^ 0x5c)
  // As text of one character a byte, which is the fastest way out.
  const digest = (text: string): string => hash('sha256', Buffer.concat([inner, Buffer.from(text)]), 'binary')
  return (text) => hash('sha256', Buffer.concat([outer, Buffer.from(digest(text), 'binary')]), 'hex')
}

/** Equality in time that does not depend on where two digests of the same length differ. */
export function sameDigest (a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

/** A public key for ECDSA on the curve P-256, from PEM; null for anything else, private keys too. */
export function readPublicKey (pem: string): PublicKey | null {
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return null
  try {
    const key = createPublicKey(pem)
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : null
  } catch {
    return null
  }
}

/** Did the owner of `key` sign these bytes? ECDSA with SHA-256; the signature in base64 of DER. */
export function isSignedBy (key: PublicKey, content: Uint8Array, signature: string): boolean {
  // Node reads base64 up to the first character that is none, and so the first of two signatures.
  return /^[A-Za-z0-9+/]+={0,2}$/.test(signature) && verify('sha256', content, key, Buffer.from(signature, 'base64'))
}

/** `length` base62 characters from the system's CSPRNG; bytes ≥ 248 are thrown away, so that no character is likelier than another. */
export function randomBase62 (length: number, random: (size: number) => Uint8Array = randomBytes): string {
  let text = ''
  while (text.length < length) {
    for (const byte of random(length + 8)) {
      if (byte < 248 && text.length < length) text += BASE62[byte % 62]
    }
  }
  return text
}

/**
 * A ULID (https://github.com/ulid/spec): 10 characters of time in ms, 16 of randomness, in Crockford's base32.
 * Only its uniqueness is relied on; lists are ordered by a sequence, never by this.
 */
export function ulid (now: number): string {
  let time = Math.max(0, Math.floor(now))
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = CROCKFORD[time % 32]! + head
    time = Math.floor(time / 32)
  }
  let tail = ''
  for (const byte of randomBytes(16)) tail += CROCKFORD[byte % 32]!
  return head + tail
}
