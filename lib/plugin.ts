// The composition root: options become services, services become decorators, hooks and routes.
import fp from 'fastify-plugin'
import Fastify, { errorCodes, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { accountRoutes } from './http/account-routes.js'
import { authorizeBy, authorizer } from './http/authorizer.js'
import { credentialReader } from './http/credentials.js'
import { dashboardRoutes } from './http/dashboard-routes.js'
import { setErrorHeaders } from './http/error-headers.js'
import type { KeyCredentialParts } from './http/key-credential.js'
import { failureLimit } from './http/failure-limit.js'
import { checkSessionScheme } from './http/openapi.js'
import { protectedRoutes } from './http/protected-routes.js'
import { stateOf, type Caller } from './http/request-state.js'
import type { RouteRule, RouteRuleConfig } from './http/route-rule.js'
import { governBy, routeRules, type RouteRules } from './http/route-rules.js'
import { secretScanningRoute } from './http/secret-scanning-route.js'
import type { SelfServeKeys, VerifyResult } from './http/self-serve-keys.js'
import type { SessionSettings } from './http/session-rule.js'
import { failureCodeOf, usageHook } from './http/usage-hook.js'
import { toVerifiedApiKey, type VerifiedApiKey } from './keys/api-key.js'
import { cutScopes } from './keys/scopes.js'
import { unknownKey, type Verification } from './keys/verify-key.js'
import { fetchedKeys, givenKeys } from './leaks/scanner-keys.js'
import { completeOptions } from './options/complete.js'
import type { SelfServeKeysOptions } from './options/options.js'
import { refuseOption } from './options/reader.js'
import { servicesOf } from './services.js'
import { guardedStorage } from './storage/guarded-storage.js'
import type { Storage } from './storage/storage.js'
import { andThen } from './time.js'
import { upkeep } from './upkeep.js'

declare module 'fastify' {
  interface FastifyInstance {
    selfServeKeys: SelfServeKeys
  }
  interface FastifyContextConfig {
    /** Asks for an API key: `true` for any, an object for more, `false` for none in a protected scope. */
    apiKey?: RouteRuleConfig
  }
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- a merged declaration must repeat Fastify's type parameters
  interface FastifyRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger, RequestType> {
    /** The verified key; never null where an inline route's own config demands one. */
    readonly apiKey: ContextConfig extends { apiKey: true | RouteRule & { session?: false, optional?: false } } ? VerifiedApiKey : VerifiedApiKey | null
    /** Who calls: a key or a session; null where nobody was asked for. */
    readonly caller: Caller | null
  }
}

const plugin: FastifyPluginAsync<SelfServeKeysOptions> = async (app, options) => {
  // Fastify itself says so only on the same instance. In a scope inside, two plugins would judge and record one request.
  if (app.hasDecorator('selfServeKeys')) throw new errorCodes.FST_ERR_DEC_ALREADY_PRESENT('selfServeKeys')
  const settings = completeOptions(options)
  checkRoutePrefix(settings.routePrefix)
  const { clock, timeout } = settings
  // Fastify tells in no other way whether routes were declared before.
  const complete = app.printRoutes().trim() === '(empty tree)'

  const storage = guardedStorage(settings.storage ?? await defaultStorage(app), timeout)
  const { verifier, limiter, failures, recorder, sink, rehashes, evictions, leaks, operations } = servicesOf(settings, storage, app.log)
  const rules = routeRules(settings.scopes, settings.headers)
  const work = upkeep({ storage, recorder, sink, rehashes, evictions, settings, log: app.log })
  const selfServeKeys: SelfServeKeys = {
    ...operations,
    async verify (plaintext, requirement) {
      if (requirement !== undefined) rules.checkRequirement(requirement)
      return await andThen(verifier.find(plaintext), (found) => found === null
        ? toVerifyResult({ refusal: unknownKey(), key: null })
        : andThen(verifier.judge(found, plaintext, requirement ?? {}, requirement ?? {}), toVerifyResult))
    },
    routes: () => ({ complete, routes: rules.list() }),
    flush: work.flush,
    prune: work.prune,
    stats: () => ({ usageBuffered: recorder?.buffered ?? 0, usageDropped: recorder?.dropped ?? 0, usageSinkDropped: sink?.dropped ?? 0 })
  }

  app.decorate('selfServeKeys', selfServeKeys)
  // Getters: a plain decorator is undefined in scopes that were made before the plugin.
  app.decorateRequest('apiKey', {
    getter () {
      const caller = stateOf(this)?.caller
      return (caller?.via === 'apiKey' ? caller.apiKey : null) as VerifiedApiKey
    }
  })
  app.decorateRequest('caller', { getter () { return stateOf(this)?.caller ?? null } })

  await storage.open({ log: app.log, timeout })
  if (storage.server === true && settings.rateLimit.store === null) {
    app.addHook('onReady', async () => { app.log.warn('rate limits are counted by each instance for itself: name a store in rateLimit, or memoryRateLimitStore() if that is meant') })
  }
  work.start()
  app.addHook('onClose', work.stop)
  governRoutes(app, rules)

  app.addHook('onError', async (request, reply, error) => {
    const state = stateOf(request)
    if (state !== undefined) state.failureCode = failureCodeOf(error)
    setErrorHeaders(reply, error, settings.realm)
  })
  const sessions: SessionSettings = {
    session: settings.session,
    headers: settings.headers,
    isKeyShaped: settings.keys.isKeyShaped,
    cookieMutationOrigins: settings.cookieMutationOrigins,
    timeout
  }
  const keys: KeyCredentialParts = {
    verifier,
    limiter,
    legacyHeaders: settings.rateLimit.legacyHeaders,
    clock,
    headers: settings.headers,
    readCredentials: credentialReader(settings.headers, settings.keys.isKeyShaped),
    logBindings: settings.logBindings,
    onIdentified: recorder === null ? () => {} : usageHook(recorder.record, clock),
    failure: failureLimit(failures)
  }
  protectedRoutes(app, { rules, keys, sessions })
  authorizeBy(app, authorizer(settings.authorize, timeout))

  checkSessionScheme(app, settings.openapi.sessionScheme)
  const { routes, dashboard, secretScanning } = settings
  if (routes !== false) {
    await app.register(accountRoutes, {
      prefix: settings.routePrefix,
      sessions,
      keys,
      routes: typeof routes === 'function' ? routes : { ...routes, usage: routes.usage && recorder !== null },
      settings: settings.accountRoutes,
      openapi: settings.openapi
    })
  }
  if (dashboard !== null) {
    const base = `${app.prefix}${settings.routePrefix}`
    await placed('dashboard.path', app.register(dashboardRoutes, { prefix: dashboard.path, dashboard, base, sessions }))
  }
  if (secretScanning !== null) {
    const { path, onLeak, keys: source } = secretScanning
    const scannerKeys = typeof source === 'string' ? fetchedKeys({ url: source, clock, timeout }) : givenKeys(source)
    await placed('secretScanning.path', app.register(secretScanningRoute, { prefix: path, leaks, onLeak, keys: scannerKeys }))
  }
}

/** @throws INVALID_OPTION where the option names a place that is taken */
async function placed (option: string, registering: PromiseLike<unknown>): Promise<void> {
  try {
    await registering
  } catch (error) {
    if (error instanceof errorCodes.FST_ERR_DUPLICATED_ROUTE) refuseOption(option, 'is the path of another route', error)
    throw error
  }
}

/** The router alone knows which patterns it takes. @throws INVALID_OPTION for one that it does not, before a route is declared with it */
function checkRoutePrefix (routePrefix: string): void {
  try {
    Fastify().get(`${routePrefix}/api-keys`, async () => {})
  } catch (cause) {
    refuseOption('routePrefix', 'is not a path that the router can take', cause)
  }
}

function toVerifyResult (judged: Verification): VerifyResult {
  if (judged.refusal !== null) return { ok: false, code: judged.refusal.code, message: judged.refusal.message }
  return { ok: true, apiKey: toVerifiedApiKey(judged.key, cutScopes(judged.key.scopes, judged.policy.grantable)) }
}

async function defaultStorage (app: FastifyInstance): Promise<Storage> {
  if (process.env.NODE_ENV === 'production') {
    app.log.warn('self-serve keys are kept in ./self-serve-keys.db: name a storage to choose where')
  }
  const { kyselyStorage } = await import('./storage/kysely/index.js')
  return kyselyStorage()
}

/** Notes every route that is declared from here on, and checks their rules before the server listens. */
function governRoutes (app: FastifyInstance, rules: RouteRules): void {
  governBy(rules, app)
  app.addHook('onRoute', function (route) {
    rules.declare(route, this)
  })
  app.addHook('onReady', async () => { rules.checkDeclared() })
}

/** The plugin: `await app.register(selfServeKeys, { session, … })`, on the root instance. */
export const selfServeKeys = fp(plugin, { name: 'self-serve-keys', fastify: '5.x' })
