// Reads what somebody hands in, once. It may have getters or be a proxy: what those throw is refused by name, like any other fault.
import { isSelfServeKeysError } from './errors.js'
import { isPlainObject } from './plain-object.js'

/** Throws the fault of what is called `name`. */
export type Refuse = (name: string, rule: string, cause?: unknown) => never

/** What `look` gives or refuses. */
export function lookAt<T> (name: string, look: () => T, refuse: Refuse): T {
  try {
    return look()
  } catch (error) {
    if (isSelfServeKeysError(error)) throw error
    return refuse(name, 'threw an error', error)
  }
}

export interface Reading {
  /** What the object is called, and a member of it. */
  readonly whole: string
  readonly nameOf: (member: string) => string
  /** What is said of a member that is not known. */
  readonly unknown: string
  readonly refuse: Refuse
}

/** The members of an object literal, each read once. Refuses anything else, and every member that is not one of `names`. */
export function readMembers (value: unknown, names: readonly string[], { whole, nameOf, unknown, refuse }: Reading): Record<string, unknown> {
  if (!isPlainObject(value)) return refuse(whole, 'must be an object')
  // Without a prototype: what is not there is not found elsewhere.
  const members = Object.create(null) as Record<string, unknown>
  for (const name of lookAt(whole, () => Object.keys(value), refuse)) {
    if (!names.includes(name)) refuse(nameOf(name), unknown)
    members[name] = lookAt(nameOf(name), () => value[name], refuse)
  }
  return members
}

/** The value, if it is an object with these methods: they are there, and not called. */
export function readMethods<T> (name: string, value: unknown, methods: readonly string[], refuse: Refuse): T {
  const has = (object: object): boolean => lookAt(name, () => methods.every((method) => typeof (object as Record<string, unknown>)[method] === 'function'), refuse)
  return typeof value === 'object' && value !== null && has(value)
    ? value as T
    : refuse(name, `must be an object with ${methods.map((method) => `${method}()`).join(', ')}`)
}
