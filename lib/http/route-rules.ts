// Which rule a route has: its own config's, else the nearest protected scope's. What is malformed denies.
import type { FastifyInstance } from 'fastify'
import { makeError } from '../errors.js'
import { ENVIRONMENTS, type Environment } from '../keys/api-key.js'
import { isPlainObject } from '../plain-object.js'
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
}

/** `true`: any key; `false`: public, even in a protected scope. */
export type RouteRuleConfig = boolean | RouteRule

/** A route as `app.selfServeKeys.routes()` lists it. */
export interface ListedRoute {
  method: string | string[]
  url: string
  /** null: no rule of ours, the route is public. */
  rule: RouteRule | null
}

/** A route as `onRoute` hooks see it: those of inner scopes come after ours and may still change its config. */
export interface DeclaredRoute {
  readonly method: string | string[]
  readonly url: string
  readonly config?: object | undefined
}

export interface RouteRules {
  /** The rule of a matched route: null for none, `malformed` for one that must deny. Remembered by route. */
  of (config: object, scope: FastifyInstance): RouteRule | null | 'malformed'
  /** Notes a route as it is declared. */
  declare (route: DeclaredRoute, scope: FastifyInstance): void
  /** @throws INVALID_ROUTE_CONFIG for the first malformed rule of a declared route */
  checkDeclared (): void
  /** @throws INVALID_ROUTE_CONFIG, with what was wrong, for the config of a protected scope */
  checkScope (config: unknown): void
  /** @throws INVALID_REQUEST for a requirement that could not be met as it is meant, such as one with an unknown member */
  checkRequirement (requirement: unknown): void
  list (): ListedRoute[]
}

const kScopeRule = Symbol('self-serve-keys.scope-rule')
const kRules = Symbol('self-serve-keys.rules')
type Scoped = FastifyInstance & { [kScopeRule]?: unknown, [kRules]?: RouteRules }

/**
 * Asks for an API key on every route of an encapsulated scope and the scopes inside it; a route's own `apiKey` config
 * replaces it. Works before the plugin is loaded too. `ready()` rejects where the plugin does not govern the scope.
 * @param config what the routes ask for; default: any key
 */
export function protect (scope: FastifyInstance, config: true | RouteRule = true): void {
  const scoped = scope as Scoped
  scoped[kScopeRule] = config
  scope.addHook('onReady', async () => {
    const rules = scoped[kRules]
    if (rules === undefined) throw makeError('PLUGIN_MISSING', {})
    rules.checkScope(config)
  })
}

/** Makes `rules` hold for an instance and the scopes inside it. */
export function governBy (rules: RouteRules, instance: FastifyInstance): void {
  (instance as Scoped)[kRules] = rules
}

/** @param catalogue the scopes that a rule may name */
export function routeRules (catalogue: ReadonlySet<string>): RouteRules {
  const known = new WeakMap<object, RouteRule | null | 'malformed'>()
  const declared: Array<{ route: DeclaredRoute, scope: FastifyInstance }> = []

  const resolve = (config: object, scope: FastifyInstance): { rule: RouteRule | null, fault: string | null } => {
    if ('apiKey' in config) return readRule(config.apiKey, catalogue)
    // Hosts register CORS before us: a preflight carries no key, and a route for OPTIONS alone serves nothing else.
    if (isOptionsAlone(config)) return { rule: null, fault: null }
    const scopeRule = (scope as Scoped)[kScopeRule]
    return scopeRule === undefined ? { rule: null, fault: null } : readScopeRule(scopeRule, catalogue)
  }
  const resolveDeclared = ({ route, scope }: typeof declared[number]): ReturnType<typeof resolve> =>
    resolve({ ...route.config, method: route.method }, scope)
  const invalid = (method: string, url: string, fault: string): Error => makeError('INVALID_ROUTE_CONFIG', {
    message: `The route config "apiKey" of ${method} ${url} is not valid: ${fault}.`,
    details: { method, url }
  })

  return {
    of (config, scope) {
      let rule = known.get(config)
      if (rule === undefined) {
        const resolved = resolve(config, scope)
        rule = resolved.fault === null ? resolved.rule : 'malformed'
        known.set(config, rule)
      }
      return rule
    },
    declare (route, scope) {
      declared.push({ route, scope })
    },
    checkDeclared () {
      for (const one of declared) {
        const { fault } = resolveDeclared(one)
        if (fault !== null) throw invalid(String(one.route.method), one.route.url, fault)
      }
    },
    checkScope (config) {
      const { fault } = readScopeRule(config, catalogue)
      if (fault !== null) throw invalid('every route of', 'protect()', fault)
    },
    checkRequirement (requirement) {
      const fault = isPlainObject(requirement) ? sourceFault(requirement) ?? ruleFault(withoutSource(requirement), catalogue, KEY_MEMBERS) : 'it must be an object'
      if (fault !== null) throw makeError('INVALID_REQUEST', { message: `requirement: ${fault}`, details: { field: 'requirement' } })
    },
    list: () => declared.map((one) => ({ method: one.route.method, url: one.route.url, rule: resolveDeclared(one).rule }))
  }
}

function isOptionsAlone (config: object): boolean {
  return 'method' in config && String(config.method) === 'OPTIONS'
}

function readRule (value: unknown, catalogue: ReadonlySet<string>): { rule: RouteRule | null, fault: string | null } {
  if (value === true) return { rule: {}, fault: null }
  if (value === false) return { rule: null, fault: null }
  const fault = ruleFault(value, catalogue)
  return fault === null ? { rule: value as RouteRule, fault } : { rule: null, fault }
}

/** A scope is protected or it is not: `false`, which opens a single route, would open them all. */
function readScopeRule (value: unknown, catalogue: ReadonlySet<string>): { rule: RouteRule | null, fault: string | null } {
  return value === false ? { rule: null, fault: 'protect() takes true or an object' } : readRule(value, catalogue)
}

/** Members that concern the key alone. */
const KEY_MEMBERS: readonly string[] = ['scopes', 'anyOfScopes', 'environments', 'allowPublishable']
const RULE_MEMBERS: readonly string[] = [...KEY_MEMBERS, 'session', 'optional']

/** What is wrong with a rule, null if nothing is. */
function ruleFault (value: unknown, catalogue: ReadonlySet<string>, members = RULE_MEMBERS): string | null {
  if (!isPlainObject(value)) return 'it must be true, false or an object'
  for (const [name, member] of Object.entries(value)) {
    if (!members.includes(name)) return `${name} is not a member of it`
    if (name === 'environments') {
      if (!isListOf(member, (item) => ENVIRONMENTS.includes(item as Environment))) return 'environments must be a list of live and test'
    } else if (['session', 'optional', 'allowPublishable'].includes(name)) {
      if (typeof member !== 'boolean') return `${name} must be true or false`
    } else if (!isListOf(member, (item) => catalogue.has(item as string))) {
      return `${name} must be a list of scopes named in the plugin's scopes option`
    }
  }
  return null
}

function isListOf (value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isItem)
}

/** What is wrong with the source that a requirement of `verify()` names, null if nothing is. */
function sourceFault ({ ip, origin, sameOrigin }: Record<string, unknown>): string | null {
  if (ip !== undefined && typeof ip !== 'string') return 'ip must be an address'
  if (origin !== undefined && origin !== null && typeof origin !== 'string') return 'origin must be text or null'
  return sameOrigin === undefined || typeof sameOrigin === 'boolean' ? null : 'sameOrigin must be true or false'
}

function withoutSource ({ ip: _ip, origin: _origin, sameOrigin: _sameOrigin, ...rule }: Record<string, unknown>): object {
  return rule
}
