// Who acts, for which account: the first argument of every operation that changes something.
import { makeError } from '../errors.js'

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

/** Is this an account id: well-formed text of 1–255 bytes without control characters or white space at its ends? */
export function isAccountId (id: unknown): id is string {
  return typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= 255 &&
    // eslint-disable-next-line no-control-regex -- control characters are what it looks for
    id.isWellFormed() && id.trim() === id && !/[\u0000-\u001f\u007f-\u009f]/.test(id)
}

/** @throws INVALID_REQUEST if the actor names no account */
export function checkActor ({ accountId }: Actor): void {
  if (!isAccountId(accountId)) {
    throw makeError('INVALID_REQUEST', { message: 'by.accountId: must be an account id', details: { field: 'by.accountId' } })
  }
}

/** The actor's name as it is kept beside a key; null if it has none. */
export function displayName ({ actor }: Actor): string | null {
  return actor?.name === undefined ? null : [...actor.name.toWellFormed()].slice(0, MAX_NAME).join('')
}
