// Reads the members of what a caller hands in: each is right, or INVALID_REQUEST names it. Nothing is coerced.
import { makeError } from './errors.js'
import { isPlainObject } from './plain-object.js'

/** @throws INVALID_REQUEST */
export function refuseField (field: string, rule: string): never {
  throw makeError('INVALID_REQUEST', { message: `${field}: ${rule}`, details: { field } })
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
