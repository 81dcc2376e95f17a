// What a route may ask for, and reading that out of its config. What is malformed has a fault, said in words.
import { ENVIRONMENTS, type Environment } from '../keys/api-key.js'
import { readRateLimits } from '../options/complete-limits.js'
import type { RateLimitOption } from '../options/policy-options.js'
import { isPlainObject } from '../plain-object.js'
import { PLAIN_CHARGE, type Charge } from '../rate-limit/key-limiter.js'
import type { Scope } from '../register.js'

/** What a protected route asks for. Route config `apiKey: true` is `{}`: any key. */
export interface RouteRule {
  /** All of these scopes. */
  scopes?: Scope[]
  /** At least one of these scopes. */
  anyOfScopes?: Scope[]
  /** Keys of these environments only. @default any */
  environments?: Environment[]
  /** On GET and HEAD, a publishable key will do as well, from its origins; it is not asked for scopes. @default false */
  allowPublishable?: boolean
  /** The signed-in user may come without a key. @default false */
  session?: boolean
  /** A request without credentials passes; a bad key still does not. @default false */
  optional?: boolean
  /**
   * Rate limits of this route, counted by key beside the key's own; an unnamed one is called `route`. `false`: neither its own
   * nor the key's. @default the key's alone
   */
  rateLimit?: false | RateLimitOption | RateLimitOption[]
  /** How much a request is charged in each of its limits. @default 1 */
  cost?: number
}

/** `true`: any key; `false`: public, even in a protected scope. */
export type RouteRuleConfig = boolean | RouteRule

/** null: the route is public. */
export function readRule (value: unknown, catalogue: ReadonlySet<string>): { rule: RouteRule | null, fault: string | null } {
  if (value === true) return { rule: {}, fault: null }
  if (value === false) return { rule: null, fault: null }
  const fault = faultIn(() => ruleFault(value, catalogue))
  return fault === null ? { rule: { ...value as RouteRule }, fault } : { rule: null, fault }
}

/** A getter or a proxy may throw where it is looked at: what cannot be read is malformed like everything else. */
function faultIn (look: () => string | null): string | null {
  try {
    return look()
  } catch {
    return 'it threw an error when it was read'
  }
}

/** A scope is protected or it is not: `false`, which opens a single route, would open them all. */
export function readScopeRule (value: unknown, catalogue: ReadonlySet<string>): { rule: RouteRule | null, fault: string | null } {
  return value === false ? { rule: null, fault: 'protect() takes true or an object' } : readRule(value, catalogue)
}

/** Members that concern the key alone. */
const KEY_MEMBERS: readonly string[] = ['scopes', 'anyOfScopes', 'environments', 'allowPublishable']
const RULE_MEMBERS: readonly string[] = [...KEY_MEMBERS, 'session', 'optional', 'rateLimit', 'cost']

/** What is wrong with a rule, null if nothing is. */
function ruleFault (value: unknown, catalogue: ReadonlySet<string>): string | null {
  if (!isPlainObject(value)) return 'it must be true, false or an object'
  for (const [name, member] of Object.entries(value)) {
    const fault = RULE_MEMBERS.includes(name) ? memberFault(name, member, value, catalogue) : `${name} is not a member of it`
    if (fault !== null) return fault
  }
  return null
}

function memberFault (name: string, member: unknown, rule: Record<string, unknown>, catalogue: ReadonlySet<string>): string | null {
  switch (name) {
    case 'environments':
      return isListOf(member, (item) => ENVIRONMENTS.includes(item as Environment)) ? null : 'environments must be a list of live and test'
    case 'session':
    case 'optional':
    case 'allowPublishable':
      return typeof member === 'boolean' ? null : `${name} must be true or false`
    case 'cost':
      return Number.isSafeInteger(member) && (member as number) >= 1 ? null : 'cost must be an integer from 1'
    case 'rateLimit':
      return limitFault(member, rule.cost)
    default:
      return isListOf(member, (item) => catalogue.has(item as string)) ? null : `${name} must be a list of scopes named in the plugin's scopes option`
  }
}

/** @param cost of the route, as it was given */
function limitFault (value: unknown, cost: unknown): string | null {
  try {
    const tooSmall = readRateLimits('rateLimit', value).find(({ max }) => typeof cost === 'number' && max < cost)
    return tooSmall === undefined ? null : `cost is more than rateLimit admits in a window, ${tooSmall.max}`
  } catch (error) {
    return (error as Error).message.replace(/^Option /, '').replace(/\.$/, '')
  }
}

/** @param config of a matched route: Fastify has put its method and URL there */
export function chargeOf ({ rateLimit, cost = 1 }: RouteRule, config: object): Charge {
  const limits = readRateLimits('rateLimit', rateLimit, 'route')
  const { method, url } = config as { method: string | string[], url: string }
  // Routes of one URL may differ in a constraint, which the config does not tell: those with other limits count apart, or the
  // shorter window of one would end the other's.
  const terms = limits.map(({ max, windowMs }) => `${max}/${windowMs}`).join()
  const of = `${budgetOf(Array.isArray(method) ? method : [method])} ${url} ${terms}`
  return { ...PLAIN_CHARGE, cost, exempt: rateLimit === false, perKey: limits.length === 0 ? null : { of, limits } }
}

/** All methods of a route are one budget, under the same name on each instance. HEAD stands beside GET, in a route of its own. */
function budgetOf (methods: readonly string[]): string {
  return methods.includes('GET') || methods.join() === 'HEAD' ? 'GET' : methods.join()
}

/** A hole is no item: `every` would pass over it, and whoever asks a key for what is in the list would ask for nothing. */
function isListOf (value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.findIndex((item) => !isItem(item)) === -1
}

/** What is wrong with a requirement of `verify()`, null if nothing is. */
export function requirementFault (requirement: unknown, catalogue: ReadonlySet<string>): string | null {
  return faultIn(() => faultOfRequirement(requirement, catalogue))
}

function faultOfRequirement (requirement: unknown, catalogue: ReadonlySet<string>): string | null {
  if (!isPlainObject(requirement)) return 'it must be an object'
  for (const name of Object.keys(requirement)) {
    const member = requirement[name]
    const fault = KEY_MEMBERS.includes(name) ? memberFault(name, member, requirement, catalogue) : sourceFault(name, member)
    if (fault !== null) return fault
  }
  return null
}

/** What is wrong with a member of a requirement that names a source, null if nothing is. */
function sourceFault (name: string, member: unknown): string | null {
  switch (name) {
    case 'ip':
      return member === undefined || typeof member === 'string' ? null : 'ip must be an address'
    case 'origin':
      return member === undefined || member === null || typeof member === 'string' ? null : 'origin must be text or null'
    case 'sameOrigin':
      return member === undefined || typeof member === 'boolean' ? null : 'sameOrigin must be true or false'
    default:
      return `${name} is not a member of it`
  }
}
