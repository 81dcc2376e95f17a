// The idempotency key that a request to issue or rotate may bring, and the hashes that it is remembered by.
import { sha256 } from '../crypto.js'
import { refuseField } from '../fields.js'
import type { Actor } from './actor.js'
import type { Idempotency } from './key-changes.js'

/** Kept byte for byte, quotes included. @throws INVALID_REQUEST */
export function readIdempotencyKey (field: string, value: unknown): string {
  // No white space: what reads `a, b` may be two headers that a proxy made one.
  if (typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value)) return value
  refuseField(field, 'must be 1 to 255 visible ASCII characters without a space')
}

/**
 * What a request is known by; null where it brings no idempotency key. The actor is a part of it, so that nobody is answered
 * what somebody else asked for. The token is none: it may have been refreshed between two tries.
 * @param asked the arguments as they were given, which JSON can hold; in whatever order
 */
export function idempotencyOf (key: unknown, by: Actor, operation: string, asked: Readonly<Record<string, unknown>>): Idempotency | null {
  if (key === undefined) return null
  const inOrder = Object.fromEntries(Object.entries(asked).sort(([a], [b]) => a < b ? -1 : 1))
  return {
    hash: sha256(readIdempotencyKey('idempotencyKey', key)),
    requestHash: sha256(JSON.stringify([operation, by.credential, by.apiKey ?? null, by.actor?.id ?? null, inOrder]))
  }
}
