// How a plaintext becomes what is stored: HMAC-SHA-256 under the current pepper, plain SHA-256 where there is none.
import { hmacSha256, sha256 } from '../crypto.js'

/**
 * `current` hashes new keys; every pepper in `keys` verifies. A secret has at least 32 characters. `current: null` adds
 * the first pepper everywhere before it hashes anything: until it is promoted, new keys are plain SHA-256.
 */
export interface Peppers { readonly current: string | null, readonly keys: Readonly<Record<string, string>> }

/** One way a key may have been hashed. */
export interface KeyDigest { readonly hash: string, readonly pepperId: string | null }

export interface KeyHasher {
  /** The pepper of new digests. */
  readonly pepperId: string | null
  /** The digest a new key is stored under. */
  current (plaintext: string): KeyDigest
  /** Every digest under which this plaintext may be stored, the current one first. */
  candidates (plaintext: string): KeyDigest[]
}

/**
 * Rows from before the first pepper carry plain SHA-256 and keep verifying, so that digest is always a candidate.
 * @param peppers null: keys are hashed with plain SHA-256
 */
export function keyHasher (peppers: Peppers | null): KeyHasher {
  const { current, keys } = peppers ?? { current: null, keys: {} }
  const ways = new Map<string | null, (plaintext: string) => string>(Object.entries(keys).map(([id, secret]) => [id, hmacSha256(secret)]))
  ways.set(null, sha256)
  const digest = (plaintext: string, pepperId: string | null): KeyDigest => ({ hash: ways.get(pepperId)!(plaintext), pepperId })
  const ids = [...new Set([current, ...ways.keys()])]
  return {
    pepperId: current,
    current: (plaintext) => digest(plaintext, current),
    candidates: (plaintext) => ids.map((id) => digest(plaintext, id))
  }
}
