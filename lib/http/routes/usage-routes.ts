// The account route about usage.
import type { UsageWindow } from '../../usage/windows.js'
import { actorOf } from '../request-state.js'
import { ErrorAnswer, UsageAnswer, UsageQuery } from '../schemas.js'
import type { SelfServeKeys } from '../self-serve-keys.js'
import type { StandardRoute } from './standard-route.js'

export function usageRoutes ({ usage }: SelfServeKeys): StandardRoute[] {
  return [{
    part: 'usage',
    method: 'GET',
    url: '/usage',
    schema: {
      operationId: 'getUsage',
      summary: 'Recent usage, failures and per-key totals of the account: an operational window, not a bill',
      querystring: UsageQuery,
      response: { 200: UsageAnswer, '4xx': ErrorAnswer }
    },
    handler: async (request) => {
      const { window } = request.query as { window?: UsageWindow }
      return await usage.snapshot(actorOf(request).accountId, { window })
    }
  }]
}
