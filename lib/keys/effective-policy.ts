// What an account may do, as its owner sees it: its policy, over what the host decided for every account.
import type { Policies } from '../policy/policies.js'
import type { Scope } from '../register.js'
import type { Storage } from '../storage/storage.js'
import { shorterOf, toSeconds, toSecondsOrNull, type Clock } from '../time.js'
import { ENVIRONMENTS, type Access, type Environment } from './api-key.js'
import { defaultScopesUnder, maxLifetimeUnder, type KeySettings } from './key-settings.js'

/** What an account may do now. Lengths of time are whole seconds, null where there is no limit or end. */
export interface EffectivePolicy {
  /** The catalogue, in its order. */
  scopes: Array<{
    name: Scope
    description: string
    /** May keys of the account have it? */
    grantable: boolean
  }>
  environments: Environment[]
  /** What issue-or-rotate makes where nothing is chosen. `scopes: null`: all that may be granted. */
  defaultKey: { label: string, environment: Environment, access: Access, scopes: Scope[] | null, lifetimeSeconds: number | null }
  keys: {
    max: number
    /** Those that count: neither revoked nor expired. */
    active: number
  }
  maxSites: number
  /** Of a named key whose expiry is not chosen. */
  lifetimeSeconds: number | null
  maxLifetimeSeconds: number | null
  requireExpiry: boolean
  maxOverlapSeconds: number
  /** Is a publishable key refused that names no origins, in an account without sites? */
  originsRequired: boolean
  suspended: boolean
}

export interface EffectivePolicyParts {
  readonly storage: Pick<Storage, 'countKeys'>
  readonly policies: Pick<Policies, 'current'>
  readonly clock: Clock
  readonly settings: KeySettings & { readonly originsRequired: boolean, readonly scopeDescriptions: ReadonlyMap<string, string> }
}

export async function effectivePolicy ({ storage, policies, clock, settings }: EffectivePolicyParts, accountId: string): Promise<EffectivePolicy> {
  const policy = await policies.current(accountId)
  const { active } = await storage.countKeys(accountId, clock.now())
  const { defaultKey: { label, environment, access, lifetime }, scopeDescriptions, originsRequired } = settings
  const { maxKeys, maxSites, grantable, requireExpiry, suspended } = policy
  const maxLifetime = maxLifetimeUnder(settings, policy)
  return {
    scopes: Array.from(scopeDescriptions, ([name, description]) =>
      ({ name: name as Scope, description, grantable: grantable === null || grantable.includes(name) })),
    environments: [...ENVIRONMENTS],
    defaultKey: {
      label,
      environment,
      access,
      scopes: defaultScopesUnder(settings, access, policy) as Scope[] | null,
      lifetimeSeconds: toSecondsOrNull(shorterOf(lifetime, maxLifetime))
    },
    keys: { max: maxKeys, active },
    maxSites,
    lifetimeSeconds: toSecondsOrNull(shorterOf(settings.lifetime, maxLifetime)),
    maxLifetimeSeconds: toSecondsOrNull(maxLifetime),
    requireExpiry,
    maxOverlapSeconds: toSeconds(settings.maxOverlap),
    originsRequired,
    suspended
  }
}
