// The standard account routes: the library's operations over HTTP, and the pattern for a host's own.
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, FastifySchema } from 'fastify'
import { refuseField } from '../../fields.js'
import type { StandardRouteSwitches } from '../../options/options.js'
import { authorizerOf, type Authorizer } from '../authorizer.js'
import { useOurCompilers } from '../compilers.js'
import { Nothing } from '../request-schemas.js'
import { accountDataRoutes } from './account-data-routes.js'
import { keyRoutes } from './key-routes.js'
import type { StandardRoute } from './standard-route.js'

/** What there is where a host's own use of these routes does not say. */
const ON: Required<StandardRouteSwitches> = { profile: false, defaultKey: true, keys: true, usage: true, sites: true, audit: true }

/** A body is a handful of short fields; more is 413. */
const BODY_LIMIT = 16 * 1024

/**
 * The standard account routes, for a host that adds its own beside them:
 * `routes: async (scope) => { await scope.register(standardRoutes); scope.get('/plan', …) }`.
 */
export const standardRoutes: FastifyPluginAsync<StandardRouteSwitches> = async (scope, options) => {
  useOurCompilers(scope)
  const on = { ...ON, ...options }
  const { selfServeKeys } = scope
  const routes = [...keyRoutes(selfServeKeys, on), ...accountDataRoutes(selfServeKeys)]
    .filter(({ parts, needs }) => parts.some((part) => on[part]) && (needs === undefined || on[needs]))
  const authorize = authorizerOf(scope)
  for (const route of routes) addRoute(scope, route, authorize)
  for (const url of new Set(routes.map((route) => route.url))) {
    addOptions(scope, url, routes.filter((route) => route.url === url).map(({ method }) => String(method)))
  }
}

function addRoute (scope: FastifyInstance, { parts: _parts, needs: _needs, action, schema, ...route }: StandardRoute, authorize: Authorizer): void {
  scope.route({
    ...route,
    // Behind the scope's own hook, which finds out who calls, and before a body is read.
    onRequest: async (request) => { await authorize(request, action) },
    // Tags and the like are what OpenAPI plugins read; Fastify's own type knows nothing of them.
    schema: { tags: ['API keys'], querystring: Nothing, ...schema } as FastifySchema,
    ...(schema.body === undefined && { preValidation: refuseBody }),
    bodyLimit: BODY_LIMIT,
    // HEAD beside every GET, whatever the host's own setting.
    exposeHeadRoute: route.method === 'GET'
  })
}

/** Not by a schema: that would put an empty body into the OpenAPI document. */
async function refuseBody ({ body }: FastifyRequest): Promise<void> {
  const [field] = Object.keys(body ?? {})
  if (field !== undefined) refuseField(field, 'is not known here')
}

/** OPTIONS tells the methods of a path (RFC 9110 §9.3.7). CORS is the host's: its hook answers before this is reached. */
function addOptions (scope: FastifyInstance, url: string, methods: readonly string[]): void {
  const allow = [...methods.flatMap((method) => method === 'GET' ? ['GET', 'HEAD'] : [method]), 'OPTIONS'].join(', ')
  scope.options(url, { schema: { hide: true } as FastifySchema }, async (_request, reply) => {
    await reply.code(204).header('allow', allow).send()
  })
}
