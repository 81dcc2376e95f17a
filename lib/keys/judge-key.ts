// May this key do what is asked of it? Pure: everything it depends on is handed in.
import { refusalOf, type Refusal } from '../errors.js'
import type { Policy } from '../policy/account-policy.js'
import { statusOf, type Environment, type VerifiableKey } from './api-key.js'
import { inRanges } from './ip-ranges.js'
import { matchesOrigin } from './origins.js'
import { cutScopes, missingScopes, type ScopeRequirement } from './scopes.js'

/** What a caller asks of a key. */
export interface KeyRequirement extends ScopeRequirement {
  /** One of these. @default any */
  readonly environments?: readonly Environment[] | undefined
  /** A publishable key will do as well; it is not asked for scopes. @default false */
  readonly allowPublishable?: boolean | undefined
}

/** Where a request comes from. */
export interface RequestSource {
  /** Address of the caller. A key with `allowedIps` is refused without one. */
  readonly ip?: string | undefined
  /** The `Origin` header; null where it cannot be told, as with two of them. */
  readonly origin?: string | null | undefined
  /** Does the browser say that a request without `Origin` comes from the API's own pages? */
  readonly sameOrigin?: boolean | undefined
}

export type KeyRefusalCode =
  'INVALID_API_KEY' | 'ACCOUNT_SUSPENDED' | 'FORBIDDEN' | 'ORIGIN_NOT_ALLOWED' | 'IP_NOT_ALLOWED' | 'INSUFFICIENT_SCOPE'

export interface Judgement {
  readonly key: VerifiableKey
  readonly policy: Policy
  readonly requirement: KeyRequirement
  readonly source: RequestSource
  /** Origins a publishable key may be used from: its own, else the account's sites. */
  readonly origins: readonly string[]
  /** Is a publishable key without any origin refused everywhere? */
  readonly originsRequired: boolean
}

const DEAD = {
  revoked: 'The API key was revoked.',
  expired: 'The API key has expired.',
  disabled: 'The API key is disabled.'
} as const

/** Why the key may not be used at all, null if it may: what ended or is disabled says nothing else of itself. */
export function judgeStatus (key: VerifiableKey, now: number): Refusal<'INVALID_API_KEY'> | null {
  const status = statusOf(key, now)
  return status === 'revoked' || status === 'expired' || status === 'disabled'
    ? refusalOf('INVALID_API_KEY', { reason: status }, DEAD[status])
    : null
}

/** Why a key that works may not do this, null if it may. */
export function judgeUse ({ key, policy, requirement, source, origins, originsRequired }: Judgement): Refusal<KeyRefusalCode> | null {
  const { environments, allowPublishable } = requirement
  const publishable = key.access === 'publishable'
  if (policy.suspended) return refusalOf('ACCOUNT_SUSPENDED', {})
  if (publishable && allowPublishable !== true) {
    return refusalOf('FORBIDDEN', {}, 'A publishable API key may not be used here.')
  }
  if (environments !== undefined && !environments.includes(key.environment)) {
    return refusalOf('FORBIDDEN', {}, `A ${key.environment} API key may not be used here.`)
  }
  if (!(publishable ? fromAllowedPage(source, origins, originsRequired) : fromAllowedServer(source, key.allowedOrigins))) {
    return refusalOf('ORIGIN_NOT_ALLOWED', {})
  }
  if (key.allowedIps.length > 0 && !inRanges(source.ip, key.allowedIps)) return refusalOf('IP_NOT_ALLOWED', {})
  const missing = publishable ? null : missingScopes(cutScopes(key.scopes, policy.grantable), requirement)
  return missing === null
    ? null
    : refusalOf('INSUFFICIENT_SCOPE', { requiredScopes: missing }, `The API key lacks a scope this route asks for: ${missing.join(', ')}.`)
}

function fromAllowedPage ({ origin, sameOrigin }: RequestSource, origins: readonly string[], required: boolean): boolean {
  if (origins.length === 0) return !required
  return origin === undefined ? sameOrigin === true : origin !== null && matchesOrigin(origin, origins)
}

/** A secret key belongs on servers, which send no `Origin`. Where it names origins, a browser must come from one of them. */
function fromAllowedServer ({ origin }: RequestSource, origins: readonly string[]): boolean {
  return origins.length === 0 || origin === undefined || (origin !== null && matchesOrigin(origin, origins))
}
