// What the decisions about keys share: their refusals, the entries they write, and what they ask of the key that acts.
import { auditedChange, type Audited, type Change } from '../audit/audit-entry.js'
import { actingEnded, beyondActing } from './acting-key.js'
import { statusOf, type StoredKey } from './api-key.js'
import type { ChangeContext, KeyDecision, KeyRefusal, KeyRows, OneKey, WantedRows } from './key-changes.js'

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
