// The option `policy`, and what its resolver answers, checked and completed.
import type { Policy } from '../policy/account-policy.js'
import { MOST, NO_POLICY } from '../policy/account-policy.js'
import type { PolicySettings } from '../policy/policies.js'
import { SECOND } from '../time.js'
import { MAX_LIFETIME } from './complete-keys.js'
import { readRateLimits } from './complete-limits.js'
import { readBoolean, readDuration, readFunction, readInteger, readObject, readOneOf, readStrings, refuseOption } from './reader.js'

export function readPolicyOption (value: unknown, catalogue: ReadonlySet<string>): PolicySettings | null {
  if (value === undefined) return null
  const given = readObject('policy', value, ['resolve', 'cacheFor', 'onError'])
  const resolve = readFunction<(accountId: string) => unknown>('policy.resolve', given.resolve) ?? refuseOption('policy.resolve', 'is required')
  return {
    resolve: async (accountId) => readPolicy(await resolve(accountId), catalogue),
    cacheFor: readDuration('policy.cacheFor', given.cacheFor, 30 * SECOND),
    onError: readOneOf('policy.onError', given.onError, 'stale', ['stale', 'deny'])
  }
}

/** @throws INVALID_OPTION for what is no policy: a plan that is misread must not let anybody do more */
function readPolicy (answer: unknown, catalogue: ReadonlySet<string>): Policy {
  const given = readObject('policy.resolve()', answer, [
    'maxKeys', 'maxSites', 'grantableScopes', 'maxLifetime', 'requireExpiry', 'rateLimits', 'suspended'
  ])
  const option = (name: string): string => `policy.resolve().${name}`
  return {
    maxKeys: readInteger(option('maxKeys'), given.maxKeys, NO_POLICY.maxKeys, MOST),
    maxSites: given.maxSites === 0 ? 0 : readInteger(option('maxSites'), given.maxSites, NO_POLICY.maxSites, MOST),
    grantable: given.grantableScopes === undefined ? null : readGrantable(option('grantableScopes'), given.grantableScopes, catalogue),
    maxLifetime: given.maxLifetime === undefined ? null : readDuration(option('maxLifetime'), given.maxLifetime, 0, { max: MAX_LIFETIME }),
    requireExpiry: readBoolean(option('requireExpiry'), given.requireExpiry, false),
    rateLimits: given.rateLimits === undefined ? null : readRateLimits(option('rateLimits'), given.rateLimits),
    suspended: readBoolean(option('suspended'), given.suspended, false)
  }
}

function readGrantable (option: string, value: unknown, catalogue: ReadonlySet<string>): string[] {
  const scopes = readStrings(option, value, /./, 'must be a scope')
  const unknown = scopes.find((scope) => !catalogue.has(scope))
  return unknown === undefined ? scopes : refuseOption(option, `names "${unknown}", which is not in scopes`)
}
