// What the account routes say of themselves in the host's OpenAPI document, and the check of the scheme they name.
import type { FastifyInstance } from 'fastify'
import { makeError } from '../errors.js'

export interface RouteDocs {
  /** The host's security scheme for sessions, null to name none. */
  readonly sessionScheme: string | null
  readonly hide: boolean
}

/** Documents every route of a scope. The host's OpenAPI plugin must be registered before, or it never sees them. */
export function documentRoutes (scope: FastifyInstance, { sessionScheme, hide }: RouteDocs): void {
  scope.addHook('onRoute', (route) => {
    const security = sessionScheme === null ? {} : { security: [{ [sessionScheme]: [] }] }
    route.schema = { ...security, ...(hide && { hide }), ...route.schema } as typeof route.schema & object
  })
}

interface OpenapiDocument { components?: { securitySchemes?: Record<string, unknown> } }

/**
 * Fails `ready()` with INVALID_OPTION if the host's document does not declare the scheme: @fastify/swagger would throw a
 * TypeError at the first look at the document. Without @fastify/swagger there is nothing to check.
 */
export function checkSessionScheme (app: FastifyInstance, scheme: string | null): void {
  if (scheme === null) return
  app.addHook('onReady', async () => {
    const { swagger } = app as FastifyInstance & { swagger?: () => OpenapiDocument }
    if (swagger === undefined || declares(swagger, scheme)) return
    throw makeError('INVALID_OPTION', {
      message: `Option "openapi.sessionScheme" names "${scheme}", which the OpenAPI document does not declare.`,
      details: { option: 'openapi.sessionScheme' }
    })
  })
}

function declares (swagger: () => OpenapiDocument, scheme: string): boolean {
  try {
    return Object.hasOwn(swagger().components?.securitySchemes ?? {}, scheme)
  } catch {
    // That is how @fastify/swagger tells that a route names a scheme it does not know.
    return false
  }
}
