// Rotation: what a successor takes over, and how its predecessors end.
import { hasEnded, type NewKey, type StoredKey } from './api-key.js'
import type { KeyUpdate, NewSecret } from './key-changes.js'

/** A successor is like its predecessor but for its secret and its end. */
export function successorOf (key: StoredKey, secret: NewSecret, expiresAt: number | null): NewKey {
  const { accountId, label, environment, access, scopes, allowedOrigins, allowedIps, isDefault, metadata } = key
  const { publicId, prefix, first8, last4, hash, pepperId, createdBy, creatorId, createdAt } = secret
  return {
    publicId,
    accountId,
    label,
    environment,
    access,
    scopes,
    allowedOrigins,
    allowedIps,
    isDefault,
    prefix,
    first8,
    last4,
    hash,
    pepperId,
    createdBy,
    creatorId,
    disabledBy: null,
    metadata,
    createdAt,
    expiresAt,
    rotatedFrom: key.publicId
  }
}

/**
 * The old key ends now, or when the overlap does but never later than it would have. An overlap under way ends: a key has
 * one retiring predecessor at most.
 */
export function updatesOfRotation (key: StoredKey, predecessor: StoredKey | null, overlap: number, now: number): KeyUpdate[] {
  const old: KeyUpdate = overlap === 0
    ? revoking(key, 'rotated', now)
    : { key, set: { isDefault: false, retiresAt: Math.min(now + overlap, key.expiresAt ?? Infinity) } }
  const retiring = predecessor !== null && predecessor.retiresAt !== null && !hasEnded(predecessor, now)
  return retiring ? [old, revoking(predecessor, 'rotated', now)] : [old]
}

/** A key that is revoked leaves its slot. */
export function revoking (key: StoredKey, reason: string, now: number): KeyUpdate {
  return { key, set: { revokedAt: now, revokedReason: reason, isDefault: false } }
}

/** The public ids of those that were revoked. */
export function revokedAmong (keys: ReadonlyArray<Pick<StoredKey, 'publicId' | 'revokedAt'>>): string[] {
  return keys.filter(({ revokedAt }) => revokedAt !== null).map(({ publicId }) => publicId)
}
