// What may happen to a key: pure decisions on the rows that a storage has read under the account's lock.
import { beyondActing, boundTo, latestEnd } from './acting-key.js'
import { statusOf, type NewKey, type StoredKey } from './api-key.js'
import { actingFault, asRevoked, beyond, entryOf, notActive, notFound, refused, wantsOne } from './intention-parts.js'
import type {
  ChangeContext, ImportKeyInput, KeyIntention, RenewKeyInput, RevokeKeyInput, RevokeKeysInput, UpdateKeyInput
} from './key-changes.js'
import { revoking } from './key-rotation.js'
import { issueKey, rotateKey } from './key-succession.js'

const renewKey: KeyIntention<RenewKeyInput> = {
  wants: wantsOne,
  decide (input, rows) {
    const { now } = input
    const { target, acting } = rows
    if (target === null) return notFound
    const fault = actingFault(input, rows) ?? beyond(beyondActing(acting, target))
    if (fault !== null) return fault
    const status = statusOf(target, now)
    if (!['active', 'disabled', 'expired'].includes(status) || hostAlone(input, target)) return notActive(target, now)
    const asked = target.isDefault ? input.defaultExpiresAt : input.expiresAt
    const { expiresAt } = boundTo(input, acting, input.expiryGiven, { ...target, expiresAt: asked })
    // What nobody chose may be cut to what the acting key may give, but then it would be no renewal.
    const cutShort = expiresAt !== asked && expiresAt! <= (target.expiresAt ?? Infinity) ? 'expiresAt' : null
    const outside = beyond(cutShort ?? beyondActing(acting, { ...target, expiresAt }, latestEnd(acting, input.acting, now)))
    if (outside !== null) return outside
    if (status === 'expired' && rows.current >= input.maxKeys) return refused({ reason: 'limit' })
    if (expiresAt === target.expiresAt) return { outcome: 'unchanged', key: target }
    return { outcome: 'changed', updates: [{ key: target, set: { expiresAt } }], insert: null, entries: [entryOf(input, 'api_key.renewed', target)] }
  }
}

const updateKey: KeyIntention<UpdateKeyInput> = {
  wants: wantsOne,
  decide (input, rows) {
    const { now, enabled } = input
    const { target, acting } = rows
    if (target === null) return notFound
    const fault = actingFault(input, rows)
    if (fault !== null) return fault
    const set = { ...changedFields(target, input.set), ...changedSwitch(input, target) }
    const next = { ...target, ...set }
    // To disable is less than to revoke, which it may.
    const disablesOnly = enabled === false && Object.keys(input.set).length === 0
    const outside = disablesOnly
      ? beyond(beyondActing(acting, asRevoked(target, rows)))
      : beyond(beyondActing(acting, target) ?? beyondActing(acting, next, latestEnd(acting, input.acting, now)))
    if (outside !== null) return outside
    const status = statusOf(target, now)
    if (status === 'revoked') return notActive(target, now)
    if (enabled !== undefined && status !== 'active' && status !== 'disabled') return notActive(target, now)
    if (enabled === true && hostAlone(input, target)) return notActive(target, now)
    const fields = Object.keys(set)
    if (fields.length === 0) return { outcome: 'unchanged', key: target }
    const change = !('disabledBy' in set) ? 'api_key.updated' : next.disabledBy === null ? 'api_key.enabled' : 'api_key.disabled'
    return { outcome: 'changed', updates: [{ key: target, set }], insert: null, entries: [entryOf(input, change, next, { fields })] }
  }
}

const revokeKey: KeyIntention<RevokeKeyInput> = {
  wants: wantsOne,
  decide (input, rows) {
    const { target, acting } = rows
    if (target === null) return notFound
    const fault = actingFault(input, rows) ?? beyond(beyondActing(acting, asRevoked(target, rows)))
    if (fault !== null) return fault
    if (statusOf(target, input.now) === 'revoked') return { outcome: 'unchanged', key: target }
    return {
      outcome: 'changed', updates: [revoking(target, input.reason, input.now)], insert: null, entries: [entryOf(input, 'api_key.revoked', target)]
    }
  }
}

const revokeKeys: KeyIntention<RevokeKeysInput> = {
  wants: ({ accountId, acting }) => ({ accountId, all: true, actingId: acting?.publicId }),
  decide (input, rows) {
    const { creatorId, reason, now } = input
    const fault = actingFault(input, rows)
    if (fault !== null) return fault
    const keys = rows.all.filter((key) =>
      (creatorId === null || key.creatorId === creatorId) && beyondActing(rows.acting, asRevoked(key, rows)) === null)
    if (keys.length === 0) return { outcome: 'unchanged', key: null }
    return {
      outcome: 'changed',
      updates: keys.map((key) => revoking(key, reason, now)),
      insert: null,
      entries: keys.map((key) => entryOf(input, 'api_key.revoked', key))
    }
  }
}

const importKey: KeyIntention<ImportKeyInput> = {
  wants: ({ key, acting }) => ({ accountId: key.accountId, hash: key.hash, actingId: acting?.publicId }),
  decide (input, rows) {
    const { key } = input
    const fault = actingFault(input, rows) ?? beyond(beyondActing(rows.acting, key, latestEnd(rows.acting, input.acting, input.now)))
    if (fault !== null) return fault
    if (rows.sameHash !== null) {
      return rows.sameHash.accountId === key.accountId ? { outcome: 'unchanged', key: rows.sameHash } : refused({ reason: 'hash_taken' })
    }
    return { outcome: 'changed', updates: [], insert: { ...key, creatorId: rows.acting === null ? key.creatorId : rows.acting.creatorId }, importedHash: key.hash, entries: [entryOf(input, 'api_key.imported', key)] }
  }
}

/** Every change there is of keys, for storages: read what it wants under the account's lock, do what it decides. */
export const keyIntentions = { issueKey, rotateKey, renewKey, updateKey, revokeKey, revokeKeys, importKey } as const

/** The key as it is stored at first. */
export function firstState (key: NewKey): Omit<StoredKey, 'sequence' | 'ref'> {
  return { ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null }
}

/** Did the host disable the key, and is it not the host that asks? */
function hostAlone ({ audit }: ChangeContext, key: StoredKey): boolean {
  return key.disabledBy === 'host' && audit.by.credential !== 'host'
}

function changedFields (key: StoredKey, set: UpdateKeyInput['set']): Partial<StoredKey> {
  return Object.fromEntries(Object.entries(set).filter(([name, value]) =>
    JSON.stringify(value) !== JSON.stringify(key[name as keyof StoredKey])))
}

/** A key that the host disabled stays the host's to enable, whatever its owner does. */
function changedSwitch ({ enabled, audit }: UpdateKeyInput, key: StoredKey): Partial<Pick<StoredKey, 'disabledBy'>> {
  const host = audit.by.credential === 'host'
  if (enabled === undefined || (!host && key.disabledBy === 'host')) return {}
  const disabledBy = enabled ? null : host ? 'host' : 'account'
  return disabledBy === key.disabledBy ? {} : { disabledBy }
}
