// What the decisions about keys share: their refusals, the entries they write, and what they ask of the key that acts.
import { auditedChange, type Audited, type Change } from '../audit/audit-entry.js'
import { actingEnded, beyondActing } from './acting-key.js'
import { DAY } from '../time.js'
import { statusOf, type StoredKey } from './api-key.js'
import type {
  ChangeContext, Idempotency, KeyDecision, KeyRefusal, KeyRows, KeyUpdate, OneKey, RememberedRequest, WantedRows
} from './key-changes.js'
import { revokedAmong } from './key-rotation.js'

/** ms that a request is known again by its idempotency key. */
const REQUEST_MEMORY = DAY

export const refused = (refusal: KeyRefusal): KeyDecision => ({ outcome: 'refused', refusal })
/** To revoke or disable takes nothing from the acting key but its environment. */
export const asRevoked = (key: StoredKey, { acting }: KeyRows): StoredKey => ({ ...key, access: 'secret', scopes: [], allowedIps: acting?.allowedIps ?? [] })
export const notFound = refused({ reason: 'not_found' })
export const notActive = (key: StoredKey, now: number): KeyDecision =>
  refused({ reason: 'not_active', status: statusOf(key, now), byHost: key.disabledBy === 'host' })
export const beyond = (field: ReturnType<typeof beyondActing>): KeyDecision | null =>
  field === null ? null : refused({ reason: 'beyond_acting_key', field })
export const wantsOne = ({ accountId, publicId, acting }: OneKey): WantedRows => ({ accountId, publicId, actingId: acting?.publicId })
export const entryOf = (input: ChangeContext, change: Change, { publicId, label }: Pick<StoredKey, 'publicId' | 'label'>, more = {}): Audited =>
  auditedChange(input.audit, change, { type: 'api_key', id: publicId, name: label, ...more }, input.now)

/** The key that asks may have ended since it was verified. */
export function actingFault ({ acting, now }: ChangeContext, rows: KeyRows): KeyDecision | null {
  return actingEnded(acting, rows.acting, now) ? refused({ reason: 'acting_key_ended' }) : null
}

interface Repeatable { readonly idempotency: Idempotency | null, readonly now: number }

/** The same answer to the same request, which an acting key may see if it may manage what was made; null: the request is new. */
export function replayOf ({ idempotency, now }: Repeatable, { remembered, acting }: KeyRows): KeyDecision | null {
  if (idempotency === null || remembered === null || remembered.expiresAt <= now) return null
  const { requestHash, key, revokedPublicIds } = remembered
  if (requestHash !== idempotency.requestHash) return refused({ reason: 'idempotency_key_reused' })
  // A retry never issues twice, also where what was issued is gone already.
  if (key === null) return notFound
  return beyond(beyondActing(acting, key)) ?? { outcome: 'replayed', key, revokedPublicIds }
}

/** What is to be remembered of a request that makes these updates. */
export function rememberedOf ({ idempotency, now }: Repeatable, updates: readonly KeyUpdate[]): RememberedRequest | null {
  if (idempotency === null) return null
  return { ...idempotency, revokedPublicIds: revokedAmong(updates.map(({ key, set }) => ({ ...key, ...set }))), expiresAt: now + REQUEST_MEMORY }
}
