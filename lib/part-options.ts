// Reads the options of what a host makes by itself, such as `redisRateLimitStore({ … })`, or throws INVALID_OPTION. Nothing is coerced.
import { makeError } from './errors.js'
import { readMembers, readMethods, type Refuse } from './members.js'

export interface PartOptions {
  /** As they were given, each read once. */
  readonly given: Readonly<Record<string, unknown>>
  /** @throws INVALID_OPTION, naming the part and the option */
  readonly refuse: Refuse
  /** What was given, if it is an object with these methods. */
  methodsOf<T> (option: string, names: readonly string[]): T
  /** What was given, if it is a function; undefined where it was left out. */
  functionOf<T> (option: string): T | undefined
}

/** @param part what the host calls */
export function readPart (part: string, options: unknown, names: readonly string[]): PartOptions {
  const refuse: Refuse = (option, rule, cause) => {
    throw makeError('INVALID_OPTION', { message: `${part}: "${option}" ${rule}.`, cause, details: { option } })
  }
  const given = readMembers(options, names, { whole: 'options', nameOf: (name) => name, unknown: 'is not an option', refuse })
  return {
    given,
    refuse,
    methodsOf: (option, methods) => readMethods(option, given[option], methods, refuse),
    functionOf<T> (option: string) {
      const value = given[option]
      return value === undefined || typeof value === 'function' ? value as T | undefined : refuse(option, 'must be a function')
    }
  }
}
