// The audit log as it is shown: its newest page, and under it the older ones that were asked for.
import type { AuditEntry, AuditPage } from '../../../audit/audit-log.js'

/** The newest page of what matches a search. */
export interface AuditStart extends AuditPage { readonly search: string }

export interface AuditShown {
  /** What the older entries continue. */
  readonly start: AuditStart
  readonly logs: readonly AuditEntry[]
  /** Offset of the next older page; null: there is none. */
  readonly next: number | null
}

export function firstShown (start: AuditStart): AuditShown {
  return { start, logs: start.logs, next: nextOf(start) }
}

/** With one page more. Entries that came meanwhile have moved the others along: what is shown already is not shown twice. */
export function withPage ({ start, logs }: AuditShown, page: AuditPage): AuditShown {
  const last = logs.at(-1)?.id ?? Infinity
  return { start, logs: [...logs, ...page.logs.filter(({ id }) => id < last)], next: nextOf(page) }
}

/** By the page's own total: entries that came meanwhile are in it. A page without any is the end, whatever the total. */
function nextOf ({ offset, logs, total }: AuditPage): number | null {
  const next = offset + logs.length
  return logs.length > 0 && next < total ? next : null
}
