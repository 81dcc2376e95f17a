// The audit log of an account: what its owner may read of it, and the host's own entries in it.
import { auditBy, checkAccountId, checkActor, type Actor } from '../keys/actor.js'
import { isText, readFields, refuseField } from '../fields.js'
import type { Storage } from '../storage/storage.js'
import { toIso, type Clock } from '../time.js'
import { ACTION, type StoredAuditEntry } from './audit-entry.js'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
/** Code points. */
const MAX_DETAIL = 500
const MAX_TARGET = 255
const MAX_SEARCH = 100

/** One entry, as its account's owner reads it. */
export interface AuditEntry {
  /** Ascending by account, from 1. */
  id: number
  /** RFC 3339, UTC. */
  time: string
  action: string
  /** The person or the API key that acted; null for the host. */
  actor: { id: string, name: string | null } | null
  credential: 'bearer' | 'cookie' | 'api_key' | 'host'
  targetType: string | null
  targetId: string | null
  /** A sentence. */
  detail: string
  ip: string | null
  requestId: string | null
}

export interface AuditPage {
  /** Newest first. */
  logs: AuditEntry[]
  /** All that match, whatever the page. */
  total: number
  limit: number
  offset: number
}

/** Which entries of an account. */
export interface AuditOptions {
  /** 1–100. @default 50 */
  limit?: number | undefined
  /** @default 0 */
  offset?: number | undefined
  /** Exactly this action. */
  action?: string | undefined
  /** Literal text within action, target or detail; the case of ASCII letters does not matter. */
  search?: string | undefined
}

/** An entry of the host's own. */
export interface HostEntry {
  /** Such as `login`: 1–64 letters, digits, `_`, `.`, `:` and `-`. */
  action: string
  /** A sentence of at most 500 characters. @default '' */
  detail?: string | undefined
  targetType?: string | undefined
  targetId?: string | undefined
}

/** What `app.selfServeKeys.audit` does. */
export interface AuditLog {
  /** @throws INVALID_REQUEST, STORAGE_UNAVAILABLE */
  list (accountId: string, options?: AuditOptions): Promise<AuditPage>
  /** Adds an entry of the host's own to the account's log. @throws INVALID_REQUEST, STORAGE_UNAVAILABLE */
  record (by: Actor, entry: HostEntry): Promise<AuditEntry>
}

export function auditLog ({ storage, clock }: { storage: Pick<Storage, 'listAudit' | 'recordAudit'>, clock: Clock }): AuditLog {
  return {
    async list (accountId, options = {}) {
      checkAccountId(accountId)
      const { limit = DEFAULT_LIMIT, offset = 0, action, search } = readFields(options, ['limit', 'offset', 'action', 'search'])
      const page = { limit: readCount('limit', limit, 1, MAX_LIMIT), offset: readCount('offset', offset, 0, Number.MAX_SAFE_INTEGER) }
      const { entries, total } = await storage.listAudit({
        accountId, ...page, action: readOptional('action', action, MAX_SEARCH), search: readOptional('search', search, MAX_SEARCH)
      })
      return { logs: entries.map(toAuditEntry), total, ...page }
    },

    async record (by, entry) {
      checkActor(by)
      const { action, detail = '', targetType, targetId } = readFields(entry, ['action', 'detail', 'targetType', 'targetId'])
      if (typeof action !== 'string' || !ACTION.test(action)) refuseField('action', 'must be 1 to 64 letters, digits, _, ., : and -')
      return toAuditEntry(await storage.recordAudit(by.accountId, {
        ...auditBy(by),
        time: clock.now(),
        action,
        targetType: readOptional('targetType', targetType, MAX_TARGET) ?? null,
        targetId: readOptional('targetId', targetId, MAX_TARGET) ?? null,
        detail: readOptional('detail', detail, MAX_DETAIL)!
      }))
    }
  }
}

export function toAuditEntry ({ time, actorId, actorName, credential, targetType, targetId, id, action, detail, ip, requestId }: StoredAuditEntry): AuditEntry {
  const actor = actorId === null ? null : { id: actorId, name: actorName }
  return { id, time: toIso(time), action, actor, credential, targetType, targetId, detail, ip, requestId }
}

function readCount (field: string, value: unknown, min: number, max: number): number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
    ? value as number
    : refuseField(field, `must be an integer from ${min} to ${max}`)
}

function readOptional (field: string, value: unknown, most: number): string | undefined {
  if (value === undefined) return undefined
  return isText(value, most) ? value : refuseField(field, `must be text of at most ${most} characters`)
}
