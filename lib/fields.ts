// Reads the members of what a caller hands in: each is right, or INVALID_REQUEST names it. Nothing is coerced.
import { makeError, type SelfServeKeysError } from './errors.js'
import { isPlainObject } from './plain-object.js'

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

/** The members of an object; refuses anything else and every member that is not one of `names`. */
export function readFields (value: unknown, names: readonly string[]): Record<string, unknown> {
  if (!isPlainObject(value)) refuseField('input', 'must be an object')
  const unknown = Object.keys(value).find((name) => !names.includes(name))
  return unknown === undefined ? value : refuseField(unknown, 'is not known here')
}

export function readOneOf<T extends string> (field: string, value: unknown, fallback: T, allowed: readonly T[]): T {
  if (value === undefined) return fallback
  return allowed.includes(value as T) ? value as T : refuseField(field, `must be one of ${allowed.join(', ')}`)
}

/** Well-formed text of so many code points at most, without NUL. */
export function isText (value: unknown, most: number): value is string {
  // No text of more UTF-16 units than that has fewer code points.
  return typeof value === 'string' && value.length <= 2 * most && value.isWellFormed() && !value.includes('\0') && [...value].length <= most
}
