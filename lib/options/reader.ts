// Reads a value of a known type out of options, once, or throws INVALID_OPTION with the option's name. Nothing is coerced.
import { makeError } from '../errors.js'
import * as members from '../members.js'
import { isPlainObject } from '../plain-object.js'
import { parseDuration } from '../time.js'

/** @throws INVALID_OPTION */
export function refuseOption (option: string, rule: string, cause?: unknown): never {
  throw makeError('INVALID_OPTION', { message: `Option "${option}" ${rule}.`, cause, details: { option } })
}

/** What `look` gives. It may run code of the host's, a getter or a function: what that throws is refused by name, as the cause. */
export function lookAt<T> (option: string, look: () => T): T {
  return members.lookAt(option, look, refuseOption)
}

/** Like readObject, for an object that may be left out. */
export function readOptionalObject (option: string, value: unknown, names: readonly string[]): Record<string, unknown> {
  return value === undefined ? {} : readObject(option, value, names)
}

/** The members of an options object; refuses anything else and every member that is not one of `names`. */
export function readObject (option: string, value: unknown, names: readonly string[]): Record<string, unknown> {
  const [whole, nameOf] = option === '' ? ['options', (name: string) => name] as const : [option, (name: string) => `${option}.${name}`] as const
  return members.readMembers(value, names, { whole, nameOf, unknown: 'is not an option', refuse: refuseOption })
}

/** An object whose member names are the host's to choose. They may be secrets in the wrong place: no message of ours repeats them. */
export function readMap (option: string, value: unknown): Record<string, unknown> {
  return lookAt(option, () => isPlainObject(value) ? { ...value } : refuseOption(option, 'must be an object'))
}

/** The items of a list, holes among them; `read` is told what each is called. */
export function readList<T> (option: string, value: unknown, read: (name: string, item: unknown) => T): T[] {
  if (!isList(option, value)) refuseOption(option, 'must be a list')
  const items: T[] = []
  const length = lookAt(option, () => value.length)
  for (let place = 0; place < length; place++) {
    const name = `${option}[${place}]`
    items.push(read(name, lookAt(name, () => value[place])))
  }
  return items
}

export function isList (option: string, value: unknown): value is readonly unknown[] {
  return lookAt(option, () => Array.isArray(value))
}

export function readBoolean (option: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  return typeof value === 'boolean' ? value : refuseOption(option, 'must be true or false')
}

export function readInteger (option: string, value: unknown, fallback: number, max = Number.MAX_SAFE_INTEGER): number {
  if (value === undefined) return fallback
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max
    ? value as number
    : refuseOption(option, `must be an integer from 1 to ${max}`)
}

/** ms */
export function readDuration (
  option: string, value: unknown, fallback: number, { min = 1, max = Number.MAX_SAFE_INTEGER } = {}
): number {
  if (value === undefined) return fallback
  const ms = parseDuration(value)
  if (ms === null) refuseOption(option, 'must be a positive integer of milliseconds or text such as \'90 days\'')
  if (ms < min || ms > max) refuseOption(option, `must be from ${min} to ${max} milliseconds`)
  return ms
}

/** @param rule what `pattern` asks for, in words: "must be …" */
export function readString<F extends string | null> (
  option: string, value: unknown, fallback: F, pattern: RegExp, rule: string
): string | F {
  if (value === undefined) return fallback
  return readText(option, value, pattern, rule)
}

/** Like readString, for text that must be there. */
export function readText (option: string, value: unknown, pattern: RegExp, rule: string): string {
  return typeof value === 'string' && pattern.test(value) ? value : refuseOption(option, rule)
}

export function readStrings (option: string, value: unknown, pattern: RegExp, rule: string): string[] {
  return readList(option, value, (name, item) => readText(name, item, pattern, rule))
}

export function readOneOf<T extends string> (option: string, value: unknown, fallback: T, allowed: readonly T[]): T {
  if (value === undefined) return fallback
  return allowed.includes(value as T) ? value as T : refuseOption(option, `must be one of ${allowed.join(', ')}`)
}

/** A function; null where it was left out. */
export function readFunction<T> (option: string, value: unknown): T | null {
  if (value === undefined) return null
  return typeof value === 'function' ? value as T : refuseOption(option, 'must be a function')
}

/** An object with these methods, checked for being there and not called. */
export function readMethods<T> (option: string, value: unknown, names: readonly string[]): T {
  return members.readMethods(option, value, names, refuseOption)
}
