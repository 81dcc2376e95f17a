// Reads what somebody asks for a key: each part is right, or INVALID_REQUEST names it. Nothing is coerced.
import { makeError } from '../errors.js'
import { isText, lookAt, refuseField } from '../fields.js'
import { isPlainObject } from '../plain-object.js'
import type { Metadata } from '../register.js'
import { parseTime, shorterOf, toIso } from '../time.js'
import { parseRange } from './ip-ranges.js'
import { parseOrigin } from './origins.js'

/** Code points of a label. */
const MAX_LABEL = 100
/** Origins, and ranges of addresses, of a key. */
const MAX_ENTRIES = 50
/** Bytes of metadata as JSON. */
const MAX_METADATA = 4096

/** Kept byte for byte. */
export function readLabel (value: unknown): string {
  if (value === undefined) refuseField('label', 'is required')
  return isText(value, MAX_LABEL) && value !== ''
    ? value
    : refuseField('label', `must be text of 1 to ${MAX_LABEL} characters, without NUL and lone surrogates`)
}

/**
 * Scopes that are in the catalogue and that the account may grant; null for all it may.
 * @throws FORBIDDEN for a scope of the catalogue that the account may not grant
 */
export function readScopes (value: unknown, catalogue: ReadonlySet<string>, grantable: readonly string[] | null): string[] | null {
  if (value === null) return null
  return lookAt('scopes', () => {
    if (!Array.isArray(value) || value.length === 0) refuseField('scopes', 'must be a list of at least one scope, or null for all')
    // Array.from visits holes too.
    const scopes = Array.from(value, (scope: unknown, place) => {
      if (typeof scope !== 'string' || !catalogue.has(scope)) refuseField(`scopes.${place}`, 'is not a scope of this API')
      if (grantable !== null && !grantable.includes(scope)) {
        throw makeError('FORBIDDEN', { message: `scopes.${place}: this account may not grant ${scope}` })
      }
      return scope
    })
    return [...new Set(scopes)]
  })
}

export function readOrigins (value: unknown): string[] {
  return readEntries('allowedOrigins', value, parseOrigin, 'must be an origin such as https://example.com or https://*.example.com')
}

export function readRanges (value: unknown): string[] {
  return readEntries('allowedIps', value, parseRange, 'must be an address or a range of addresses such as 203.0.113.0/24')
}

function readEntries (field: string, value: unknown, parse: (text: unknown) => string | null, rule: string): string[] {
  if (value === undefined) return []
  return lookAt(field, () => {
    if (!Array.isArray(value) || value.length > MAX_ENTRIES) refuseField(field, `must be a list of at most ${MAX_ENTRIES}`)
    return [...new Set(Array.from(value, (entry: unknown, place) => parse(entry) ?? refuseField(`${field}.${place}`, rule)))]
  })
}

export interface ExpiryRules {
  readonly now: number
  /** ms that a key lives where nothing is chosen; null: it never expires. */
  readonly lifetime: number | null
  /** ms; null: no limit. */
  readonly maxLifetime: number | null
  readonly requireExpiry: boolean
}

/** What is not chosen is cut to what is allowed; what is chosen is allowed, or refused. ms since the epoch, null for never. */
export function readExpiry (value: unknown, { now, lifetime, maxLifetime, requireExpiry }: ExpiryRules): number | null {
  const latest = maxLifetime === null ? null : now + maxLifetime
  const expiresAt = value === undefined ? shorterOf(lifetime === null ? null : now + lifetime, latest) : readTime('expiresAt', value)
  if (expiresAt === null && requireExpiry) refuseField('expiresAt', 'is required: keys of this account must expire')
  if (expiresAt !== null && expiresAt <= now) refuseField('expiresAt', 'must be in the future')
  if (latest !== null && (expiresAt === null || expiresAt > latest)) refuseField('expiresAt', `must not be later than ${toIso(latest)}`)
  return expiresAt
}

/** ms since the epoch; null for null. */
export function readTime (field: string, value: unknown): number | null {
  return value === null ? null : parseTime(value) ?? refuseField(field, 'must be a time such as 2027-01-31T12:00:00Z, or null')
}

/** A copy of what the host attaches, which JSON can hold. */
export function readMetadata (value: unknown): Metadata | null {
  if (value === null) return null
  if (!isPlainObject(value)) refuseField('metadata', 'must be an object or null')
  const json = jsonOf(value)
  // A toJSON() of its own may make it something else.
  if (json === undefined || !json.startsWith('{')) refuseField('metadata', 'must be what JSON can hold')
  if (Buffer.byteLength(json) > MAX_METADATA) refuseField('metadata', `must not be more than ${MAX_METADATA} bytes of JSON`)
  return JSON.parse(json) as Metadata
}

/** undefined for what JSON cannot hold: a circle, a BigInt. */
function jsonOf (value: object): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
