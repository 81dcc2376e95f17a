// The options about the account routes, checked and completed.
import type { FastifyPluginAsync } from 'fastify'
import type { RateLimit } from '../rate-limit/rate-limit.js'
import { MINUTE } from '../time.js'
import { readNamelessLimit } from './complete-limits.js'
import type { StandardRouteSwitches } from './options.js'
import { readBoolean, readObject, readOptionalObject, readStrings, refuseOption } from './reader.js'

export interface CompleteAccountRoutes {
  /** Of authenticated changes, by account; null: none. */
  readonly mutationLimit: RateLimit | null
  /** The scope that a key needs to read, and to change; null: keys do not open the account routes. */
  readonly apiKeys: { readonly read: string, readonly write: string } | null
}

export function readRoutes (value: unknown): false | Required<StandardRouteSwitches> | FastifyPluginAsync {
  if (value === false) return false
  if (typeof value === 'function') {
    // Fastify calls it without `new`: a class would throw where nobody catches it, and end the process.
    return /^class\b/.test(Function.prototype.toString.call(value)) ? refuseOption('routes', 'must be a Fastify plugin and not a class') : value as FastifyPluginAsync
  }
  const given = value === undefined || value === true ? {} : readObject('routes', value, ['profile', 'defaultKey', 'keys', 'usage', 'sites', 'audit'])
  return {
    profile: readBoolean('routes.profile', given.profile, false),
    defaultKey: readBoolean('routes.defaultKey', given.defaultKey, true),
    keys: readBoolean('routes.keys', given.keys, true),
    usage: readBoolean('routes.usage', given.usage, true),
    sites: readBoolean('routes.sites', given.sites, true),
    audit: readBoolean('routes.audit', given.audit, true)
  }
}

export function readAccountRoutes (value: unknown, catalogue: ReadonlySet<string>): CompleteAccountRoutes {
  const given = readOptionalObject('accountRoutes', value, ['rateLimit', 'apiKeys'])
  return { mutationLimit: readMutationLimit(given.rateLimit), apiKeys: readApiKeys(given.apiKeys, catalogue) }
}

function readApiKeys (value: unknown, catalogue: ReadonlySet<string>): CompleteAccountRoutes['apiKeys'] {
  if (value === undefined || value === false) return null
  const given = readObject('accountRoutes.apiKeys', value, ['read', 'write'])
  const scope = (name: 'read' | 'write'): string => {
    const text = given[name]
    return typeof text === 'string' && catalogue.has(text)
      ? text
      : refuseOption(`accountRoutes.apiKeys.${name}`, 'must be one of the scopes named in scopes')
  }
  return { read: scope('read'), write: scope('write') }
}

function readMutationLimit (rateLimit: unknown): RateLimit | null {
  if (rateLimit === undefined) return { name: 'account', max: 60, windowMs: MINUTE }
  return readNamelessLimit('accountRoutes.rateLimit', rateLimit, 'account')
}

export function readCookieMutations (value: unknown): readonly string[] | null {
  if (value === undefined || value === false) return null
  const { origins } = readObject('cookieMutations', value, ['origins'])
  const rule = 'must be an origin as browsers send it, such as \'https://example.com\''
  const list = readStrings('cookieMutations.origins', origins, /^https?:/, rule)
  list.forEach((origin, place) => {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || origin.includes('*')) refuseOption(`cookieMutations.origins[${place}]`, rule)
  })
  return list
}
