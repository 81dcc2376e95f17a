// The options about keys and scopes, checked and completed.
import { ACCESSES, ENVIRONMENTS, type Access, type Environment } from '../keys/api-key.js'
import { keyShape, MAX_LENGTH, standardPrefix, type AcceptedShape, type KeyShape } from '../keys/key-format.js'
import type { Peppers } from '../keys/key-hash.js'
import type { DefaultKeySettings } from '../keys/key-settings.js'
import { isScope, readScopes } from '../keys/scopes.js'
import { DAY } from '../time.js'
import {
  lookAt, readDuration, readInteger, readList, readMap, readObject, readOneOf, readOptionalObject, readString, readStrings, readText, refuseOption
} from './reader.js'

export interface CompleteKeyOptions {
  readonly prefix: (access: Access, environment: Environment) => string
  readonly peppers: Peppers | null
  readonly defaultKey: DefaultKeySettings
  /** ms that a key lives unless its expiry is chosen; null: it never expires. */
  readonly lifetime: number | null
  /** ms that a key may live at most; null: no limit. */
  readonly maxLifetime: number | null
  /** ms that a rotated key may go on working at most. */
  readonly maxOverlap: number
  readonly originsRequired: boolean
  readonly isKeyShaped: KeyShape
  /** ms */
  readonly retention: number
  /** Keys held in memory at most. */
  readonly cacheSize: number
}

/** Beyond this a Map of V8 fails. */
const MAX_CACHE_SIZE = 10_000_000
/** A hundred years: what ends later has no date that can be written down. */
export const MAX_LIFETIME = 100 * 365 * DAY
const LABEL = /^(?!\s*$)[^\p{Cc}\p{Cs}]{1,100}$/u
const PREFIX = /^[A-Za-z0-9_-]{1,64}$/

/** The catalogue, name → description. */
export function readScopeCatalogue (value: unknown): ReadonlyMap<string, string> {
  if (value === undefined) return new Map()
  return new Map(Object.entries(readMap('scopes', value)).map(([scope, description]) => {
    if (!isScope(scope)) refuseOption(`scopes["${scope}"]`, 'must have the form resource:action')
    return [scope, typeof description === 'string' ? description : refuseOption(`scopes["${scope}"]`, 'must be its description')]
  }))
}

export function readKeys (value: unknown, catalogue: ReadonlySet<string>, usageRetention: number): CompleteKeyOptions {
  const given = readOptionalObject('keys', value, [
    'prefix', 'peppers', 'defaultKey', 'lifetime', 'maxLifetime', 'maxOverlap', 'origins', 'accept', 'retention', 'cacheSize'
  ])
  return {
    prefix: readPrefix(given.prefix),
    peppers: readPeppers(given.peppers),
    defaultKey: readDefaultKey(given.defaultKey, catalogue),
    lifetime: readLifetime('keys.lifetime', given.lifetime),
    maxLifetime: readLifetime('keys.maxLifetime', given.maxLifetime),
    maxOverlap: readDuration('keys.maxOverlap', given.maxOverlap, 7 * DAY, { max: MAX_LIFETIME }),
    originsRequired: readOneOf('keys.origins', given.origins, 'required', ['required', 'optional']) === 'required',
    isKeyShaped: keyShape(readAccepted(given.accept)),
    // Usage refers to its keys: they must not go first.
    retention: readDuration('keys.retention', given.retention, Math.max(400 * DAY, usageRetention), { min: usageRetention }),
    cacheSize: readCacheSize(given.cacheSize)
  }
}

function readCacheSize (value: unknown): number {
  const size = readInteger('keys.cacheSize', value, 10_000, MAX_CACHE_SIZE)
  return size >= 2 ? size : refuseOption('keys.cacheSize', 'must be at least 2')
}

function readPrefix (value: unknown): CompleteKeyOptions['prefix'] {
  if (typeof value !== 'function') {
    const rule = 'must be a brand of 1 to 16 lower-case letters and digits that begins with a letter, or a function'
    const brand = readString('keys.prefix', value, null, /^[a-z][a-z0-9]{0,15}$/, rule)
    return (access, environment) => standardPrefix(brand, access, environment)
  }
  const prefix = (access: Access, environment: Environment): string => readText(
    'keys.prefix', lookAt('keys.prefix', () => (value as (access: Access, environment: Environment) => unknown)(access, environment)), PREFIX,
    'must give 1 to 64 letters, digits, _ and -')
  // Every answer it can give is asked for once, so that a bad one fails at start and not at a customer's first key.
  for (const environment of ENVIRONMENTS) {
    prefix('secret', environment)
    prefix('publishable', environment)
  }
  return prefix
}

function readPeppers (value: unknown): Peppers | null {
  if (value === undefined) return null
  const given = readObject('keys.peppers', value, ['current', 'keys'])
  const keys = readMap('keys.peppers.keys', given.keys)
  for (const [id, secret] of Object.entries(keys)) {
    // Where name and secret were swapped, the name is the secret: it is not repeated either.
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(id)) refuseOption('keys.peppers.keys', 'must name each secret by 1 to 32 letters, digits, _ and -')
    // The value is a secret: the message must not repeat it.
    if (typeof secret !== 'string' || secret.length < 32) refuseOption(`keys.peppers.keys["${id}"]`, 'must be a secret of at least 32 characters')
  }
  const { current } = given
  if (current !== null && (typeof current !== 'string' || !Object.hasOwn(keys, current))) {
    refuseOption('keys.peppers.current', 'must be the name of one of keys.peppers.keys, or null')
  }
  return { current: current as string | null, keys: keys as Record<string, string> }
}

function readDefaultKey (value: unknown, catalogue: ReadonlySet<string>): DefaultKeySettings {
  const given = readOptionalObject('keys.defaultKey', value, ['label', 'environment', 'access', 'scopes', 'lifetime'])
  return {
    label: readString('keys.defaultKey.label', given.label, 'Default', LABEL, 'must have 1 to 100 printable characters'),
    environment: readOneOf('keys.defaultKey.environment', given.environment, 'live', ENVIRONMENTS),
    access: readOneOf('keys.defaultKey.access', given.access, 'secret', ACCESSES),
    scopes: readDefaultScopes(given.scopes, catalogue),
    lifetime: readLifetime('keys.defaultKey.lifetime', given.lifetime)
  }
}

/** ms; null for none. */
function readLifetime (option: string, value: unknown): number | null {
  return value === undefined || value === null ? null : readDuration(option, value, 0, { max: MAX_LIFETIME })
}

function readAccepted (value: unknown): AcceptedShape[] {
  if (value === undefined) return []
  return readList('keys.accept', value, (option, shape) => {
    const { pattern, maxLength, hash } = readObject(option, shape, ['pattern', 'maxLength', 'hash'])
    const whole = readPattern(`${option}.pattern`, pattern)
    if (maxLength === undefined) refuseOption(`${option}.maxLength`, 'is required')
    if (hash !== 'sha256') refuseOption(`${option}.hash`, 'must be \'sha256\'')
    return { pattern: whole, maxLength: readInteger(`${option}.maxLength`, maxLength, 0, MAX_LENGTH) }
  })
}

/** One of our own: without memory between calls, and for the whole value. */
function readPattern (option: string, value: unknown): RegExp {
  const pattern = lookAt(option, () => value instanceof RegExp ? new RegExp(`^(?:${value.source})$`, value.flags.replace(/[gym]/g, '')) : null)
  return pattern ?? refuseOption(option, 'must be a regular expression')
}

function readDefaultScopes (value: unknown, catalogue: ReadonlySet<string>): readonly string[] | null {
  if (value === undefined) return readScopes(catalogue)
  if (value === null) return null
  const scopes = readStrings('keys.defaultKey.scopes', value, /./, 'must be a scope')
  if (scopes.length === 0) refuseOption('keys.defaultKey.scopes', 'must name at least one scope, or be null for all')
  for (const scope of scopes) {
    if (!catalogue.has(scope)) refuseOption('keys.defaultKey.scopes', `names "${scope}", which is not in scopes`)
  }
  return [...new Set(scopes)]
}
