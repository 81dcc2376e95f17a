// Which rule a route has: its own config's, else the nearest protected scope's. What is malformed denies.
import type { FastifyInstance } from 'fastify'
import { makeError } from '../errors.js'
import type { KeyRequirement } from '../keys/judge-key.js'
import type { Charge } from '../rate-limit/key-limiter.js'
import { chargeOf, readRule, readScopeRule, requirementFault, type RouteRule } from './route-rule.js'

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

/** What a request to a route has to meet: worked out once a route. */
export interface GuardedRoute {
  readonly rule: RouteRule
  /** Its pattern. */
  readonly url: string
  /** What is asked of a key. */
  requirementOf (method: string): KeyRequirement
  /** What a request is charged. */
  readonly charge: Charge
  /** The headers that an answer depends on. */
  readonly vary: string
}

export interface RouteRules {
  /** The rule of a matched route: null for none, `malformed` for one that must deny. Remembered by route. */
  of (config: object, scope: FastifyInstance): GuardedRoute | null | 'malformed'
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

/**
 * @param catalogue the scopes that a rule may name
 * @param keyHeaders lower-case
 */
export function routeRules (catalogue: ReadonlySet<string>, keyHeaders: readonly string[]): RouteRules {
  const known = new WeakMap<object, GuardedRoute | null | 'malformed'>()
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
      let route = known.get(config)
      if (route === undefined) {
        const { rule, fault } = resolve(config, scope)
        route = fault !== null ? 'malformed' : rule === null ? null : guardedRoute(rule, config, keyHeaders)
        known.set(config, route)
      }
      return route
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
      const fault = requirementFault(requirement, catalogue)
      if (fault !== null) throw makeError('INVALID_REQUEST', { message: `requirement: ${fault}`, details: { field: 'requirement' } })
    },
    list: () => declared.map((one) => ({ method: one.route.method, url: one.route.url, rule: resolveDeclared(one).rule }))
  }
}

function guardedRoute (rule: RouteRule, config: object, keyHeaders: readonly string[]): GuardedRoute {
  // What anyone may see in a page's source may read, and nothing more.
  const unsafe = { ...rule, allowPublishable: false }
  const vary = rule.session === true ? new Set([...keyHeaders, 'authorization', 'cookie']) : keyHeaders
  return {
    rule,
    // Fastify has put it there.
    url: (config as { url: string }).url,
    requirementOf: (method) => method === 'GET' || method === 'HEAD' ? rule : unsafe,
    charge: chargeOf(rule, config),
    vary: [...vary].join(', ')
  }
}

function isOptionsAlone (config: object): boolean {
  return 'method' in config && String(config.method) === 'OPTIONS'
}
