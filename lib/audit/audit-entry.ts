// What an audit entry is, and how the entry of a change is worded.

/** Every change that is audited, and what else the library notes, with the sentence it gets unless the host words it otherwise. */
export const CHANGES = {
  'api_key.issued': 'Issued API key "{name}"',
  'api_key.imported': 'Imported API key "{name}"',
  'api_key.rotated': 'Rotated API key "{name}", its successor is {successor}',
  'api_key.renewed': 'Renewed API key "{name}"',
  'api_key.updated': 'Updated API key "{name}": {fields}',
  'api_key.disabled': 'Disabled API key "{name}"',
  'api_key.enabled': 'Enabled API key "{name}"',
  'api_key.revoked': 'Revoked API key "{name}"',
  'api_key.leaked': 'Found API key "{name}" in public: {url}',
  'site.added': 'Added site {name}',
  'site.removed': 'Removed site {name}'
} as const satisfies Record<string, string>

/** What the name of an action looks like. */
export const ACTION = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/

/** A change that is audited. */
export type Change = keyof typeof CHANGES
/** Action and sentence of each change's entry. `{name}`, `{id}`, `{successor}`, `{fields}` and `{url}` stand for the change's own. */
export type Wording = Readonly<Record<Change, { readonly action: string, readonly detail: string }>>

/** Who made a change, and how they came. */
export interface AuditBy {
  readonly credential: 'bearer' | 'cookie' | 'api_key' | 'host'
  readonly actorId: string | null
  readonly actorName: string | null
  readonly ip: string | null
  readonly requestId: string | null
}

/** What a storage needs to write the entries of a change. */
export interface AuditNote { readonly by: AuditBy, readonly wording: Wording }

/** An entry about to be stored. `time` in ms since the epoch. */
export interface NewAuditEntry extends AuditBy {
  readonly time: number
  readonly action: string
  readonly targetType: string | null
  readonly targetId: string | null
  readonly detail: string
}
/** `id`: ascending by account, from 1. */
export interface StoredAuditEntry extends NewAuditEntry { readonly id: number }

/** A change with its entry. */
export interface Audited<E extends NewAuditEntry = NewAuditEntry> { readonly change: Change, readonly entry: E }

/** What a change was made to. */
export interface AuditTarget {
  readonly type: 'api_key' | 'site'
  readonly id: string
  /** The key's label or the site's origin. */
  readonly name: string
  readonly successor?: string | undefined
  readonly fields?: readonly string[] | undefined
  /** Where a leaked key was found. */
  readonly url?: string | undefined
}

/** The entry of a change. Pure. */
export function auditedChange (note: AuditNote, change: Change, target: AuditTarget, time: number): Audited {
  const { action, detail } = note.wording[change]
  const words: Record<string, string> = {
    name: target.name, id: target.id, successor: target.successor ?? '', fields: (target.fields ?? []).join(', '), url: target.url ?? ''
  }
  const entry: NewAuditEntry = {
    ...note.by,
    time,
    action,
    targetType: target.type,
    targetId: target.id,
    // In one pass: a label may itself read `{id}`.
    detail: detail.replace(/\{(name|id|successor|fields|url)\}/g, (_placeholder, word: string) => words[word]!)
  }
  return { change, entry }
}

/** Text as `search` compares it: the case of ASCII letters alone does not matter, as in every database. */
export function foldCase (text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
