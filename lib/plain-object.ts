// Tells an object literal from everything else that is an object.

/**
 * Is this an object as `{}` or JSON make it? A Promise somebody forgot to await, a Map or an instance of a class has none
 * of the members that are looked for, and would read as "nothing set".
 */
export function isPlainObject (value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  try {
    if (Array.isArray(value)) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    // Compared by what it inherits and not by identity: the literal may come from another realm.
    return prototype === null || Object.getPrototypeOf(prototype) === null
  } catch {
    // A proxy that does not let itself be looked at.
    return false
  }
}
