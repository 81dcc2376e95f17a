// What a standard account route is, before what all of them share is added.
import type { RouteOptions } from 'fastify'

export type StandardRoute = Pick<RouteOptions, 'method' | 'url' | 'handler'> & {
  schema: { operationId: string, summary: string } & Record<string, unknown>
}
