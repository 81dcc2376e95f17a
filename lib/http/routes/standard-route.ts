// What a standard account route is, before what all of them share is added.
import type { RouteOptions } from 'fastify'
import type { StandardRouteSwitches } from '../../options/options.js'

export type StandardRoute = Pick<RouteOptions, 'method' | 'url' | 'handler'> & {
  /** The switch that turns it off. */
  part: keyof StandardRouteSwitches
  schema: { operationId: string, summary: string } & Record<string, unknown>
}
