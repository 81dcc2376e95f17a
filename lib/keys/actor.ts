// Who acts, for which account: the first argument of every operation that changes something.
import type { AuditBy } from '../audit/audit-entry.js'
import { isText, lookAt, refuseField } from '../fields.js'

/** `actorOf(request)` makes it from a request; a host's own jobs write `{ accountId, credential: 'host' }`. */
export interface Actor {
  readonly accountId: string
  readonly credential: 'bearer' | 'cookie' | 'api_key' | 'host'
  readonly actor?: { readonly id: string, readonly name?: string | undefined } | undefined
  /** Public id of the key that acts. */
  readonly apiKey?: string | undefined
  readonly ip?: string | undefined
  readonly requestId?: string | undefined
}

/** A name that is shown is cut to so many code points. */
const MAX_NAME = 100
/** So are ids that the host's auth gives people. */
const MAX_ID = 255

/** Is this an account id: well-formed text of 1–255 bytes without control characters or white space at its ends? */
export function isAccountId (id: unknown): id is string {
  return typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= 255 &&
    // eslint-disable-next-line no-control-regex -- control characters are what it looks for
    id.isWellFormed() && id.trim() === id && !/[\u0000-\u001f\u007f-\u009f]/.test(id)
}

/** @throws INVALID_REQUEST */
export function checkAccountId (accountId: unknown): asserts accountId is string {
  if (!isAccountId(accountId)) refuseField('accountId', 'must be an account id')
}

/** Is this who acts for an account: an id, and perhaps a name? */
export function isPerson (value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('id' in value)) return false
  const { id, name } = value as { id: unknown, name?: unknown }
  return typeof id === 'string' && (name === undefined || typeof name === 'string')
}

const CREDENTIALS: ReadonlySet<string> = new Set(['bearer', 'cookie', 'api_key', 'host'] satisfies Array<Actor['credential']>)

/** @throws INVALID_REQUEST if the actor names no account, or a key that acts without its id, or has what an audit entry cannot hold */
export function checkActor (by: Actor): void {
  if (typeof by !== 'object' || by === null) refuseField('by', 'must be an actor, such as { accountId, credential: \'host\' }')
  lookAt('by', () => { checkMembers(by) })
}

function checkMembers ({ accountId, credential, actor, apiKey, ip, requestId }: Actor): void {
  if (!isAccountId(accountId)) refuseField('by.accountId', 'must be an account id')
  if (!CREDENTIALS.has(credential)) refuseField('by.credential', `must be one of ${[...CREDENTIALS].join(', ')}`)
  if (credential === 'api_key' ? typeof apiKey !== 'string' : apiKey !== undefined) {
    refuseField('by.apiKey', 'must be the public id of the key that acts, beside the credential api_key alone')
  }
  if (actor !== undefined && !lookAt('by.actor', () => isPerson(actor))) refuseField('by.actor', 'must have an id, and may have a name, both text')
  for (const [name, value] of Object.entries({ ip, requestId })) {
    if (value !== undefined && !isText(value, MAX_ID)) refuseField(`by.${name}`, `must be text of at most ${MAX_ID} characters`)
  }
}

/** The actor as the audit log keeps it: the person, or the key. An account without a person acts by itself. */
export function auditBy (by: Actor): AuditBy {
  const { accountId, credential, actor, apiKey, ip, requestId } = by
  const actorId = actor?.id ?? apiKey ?? (credential === 'host' ? null : accountId)
  return {
    credential,
    actorId: actorId === null ? null : cut(actorId, MAX_ID),
    actorName: displayName(by),
    ip: ip ?? null,
    requestId: requestId ?? null
  }
}

/** The actor's name as it is kept beside a key; null if it has none. */
export function displayName ({ actor }: Actor): string | null {
  return actor?.name === undefined ? null : cut(actor.name, MAX_NAME)
}

/** The id of a person as it is kept beside a key they issued. */
export function creatorIdOf (id: string): string {
  return cut(id, MAX_ID)
}

function cut (text: string, length: number): string {
  return [...text.toWellFormed().replaceAll('\0', '')].slice(0, length).join('')
}
