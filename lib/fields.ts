// Reads the members of what a caller hands in, once: each is right, or INVALID_REQUEST names it. Nothing is coerced.
import { makeError, type SelfServeKeysError } from './errors.js'
import * as members from './members.js'

/** Characters of a name that is repeated whole. Those of ours are shorter. */
const LONGEST_NAME = 40

/** The name of a member as errors, and so logs, may repeat it: a long one is not ours, and may be a key in a name's place. */
export function shownName (name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, 8)}…` : name
}

/** The INVALID_REQUEST of a member, parameter or header. */
export function wrongField (name: string, rule: string): SelfServeKeysError<'INVALID_REQUEST'> {
  const field = shownName(name)
  return makeError('INVALID_REQUEST', { message: `${field}: ${rule}`, details: { field } })
}

/** @throws INVALID_REQUEST */
export function refuseField (field: string, rule: string): never {
  throw wrongField(field, rule)
}

/** What `look` gives or refuses; what throws there is refused too. */
export function lookAt<T> (field: string, look: () => T): T {
  return members.lookAt(field, look, refuseField)
}

/** The members of an object; refuses anything else and every member that is not one of `names`. @param what it is called */
export function readFields (value: unknown, names: readonly string[], what = 'input'): Record<string, unknown> {
  return members.readMembers(value, names, { whole: what, nameOf: (name) => name, unknown: 'is not known here', refuse: refuseField })
}

export function readOneOf<T extends string, F extends T | undefined> (field: string, value: unknown, fallback: F, allowed: readonly T[]): T | F {
  if (value === undefined) return fallback
  return allowed.includes(value as T) ? value as T : refuseField(field, `must be one of ${allowed.join(', ')}`)
}

/** Well-formed text of so many code points at most, without NUL. */
export function isText (value: unknown, most: number): value is string {
  // No text of more UTF-16 units than that has fewer code points.
  return typeof value === 'string' && value.length <= 2 * most && value.isWellFormed() && !value.includes('\0') && [...value].length <= most
}
