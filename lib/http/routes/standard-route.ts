// What a standard account route is, before what all of them share is added.
import type { FastifyRequest, RouteOptions } from 'fastify'
import type { StandardRouteSwitches } from '../../options/options.js'
import type { AccountAction } from '../../options/policy-options.js'

export type StandardRoute = Pick<RouteOptions, 'method' | 'url' | 'handler'> & {
  /** The switches that keep it: it is there while one of them is on. */
  parts: ReadonlyArray<keyof StandardRouteSwitches>
  /** A switch that must be on besides. */
  needs?: keyof StandardRouteSwitches
  /** What the host's `authorize` is asked. */
  action: AccountAction
  schema: { operationId: string, summary: string } & Record<string, unknown>
}

/** A parameter of the route's path. */
export function paramOf (request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string>)[name]!
}
