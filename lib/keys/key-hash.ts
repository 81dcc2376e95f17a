// How a plaintext becomes what is stored: HMAC-SHA-256 under the current pepper, plain SHA-256 where there is none.
import { hmacSha256, sha256 } from '../crypto.js'

/** `current` hashes new keys; every pepper in `keys` verifies. A secret has at least 32 characters. */
export interface Peppers { readonly current: string, readonly keys: Readonly<Record<string, string>> }

/** One way a key may have been hashed. */
export interface KeyDigest { readonly hash: string, readonly pepperId: string | null }

export interface KeyHasher {
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
  const plain = (plaintext: string): KeyDigest => ({ hash: sha256(plaintext), pepperId: null })
  if (peppers === null) return { current: plain, candidates: (plaintext) => [plain(plaintext)] }

  const { current, keys } = peppers
  const under = (plaintext: string, pepperId: string): KeyDigest =>
    ({ hash: hmacSha256(keys[pepperId]!, plaintext), pepperId })
  const others = Object.keys(keys).filter((id) => id !== current)
  return {
    current: (plaintext) => under(plaintext, current),
    candidates: (plaintext) => [
      under(plaintext, current),
      ...others.map((id) => under(plaintext, id)),
      plain(plaintext)
    ]
  }
}
