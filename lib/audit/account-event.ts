// What a host is told of a change, and how it is told: after the commit, without holding up the answer.
import type { Audited, StoredAuditEntry } from './audit-entry.js'
import { toAuditEntry, type AuditEntry } from './audit-log.js'

/** A committed change. */
export type AccountEvent =
  /** `type` is the change under its own name, whatever `audit.names` calls it. */
  | { readonly type: Audited['change'], readonly accountId: string, readonly entry: AuditEntry }
  | { readonly type: 'account.erased', readonly accountId: string, readonly entry: null }

export type Announce = (accountId: string, entries: ReadonlyArray<Audited<StoredAuditEntry>>) => void

/** Tells `onEvent` of one event. What it throws is logged and hurts nobody. */
export type Tell = (event: AccountEvent) => void

export function telling (onEvent: ((event: AccountEvent) => unknown) | null, log: { error (details: object, message: string): void }): Tell {
  if (onEvent === null) return () => {}
  const failed = (event: AccountEvent, err: unknown): void => { log.error({ err, type: event.type }, 'onEvent failed') }
  return (event) => {
    try {
      const done = onEvent(event)
      Promise.resolve(done).catch((error: unknown) => { failed(event, error) })
    } catch (error) {
      failed(event, error)
    }
  }
}

/** Tells of every change in its order. */
export function announcing (tell: Tell): Announce {
  return (accountId, entries) => {
    for (const { change, entry } of entries) tell({ type: change, accountId, entry: toAuditEntry(entry) })
  }
}
