// Account routes about keys.
import type { Environment } from '../../keys/api-key.js'
import type { ListOptions } from '../../keys/key-operations.js'
import { actorOf } from '../request-state.js'
import { ApiKeyAnswer, ApiKeyListAnswer, ErrorAnswer, IssueBody, IssuedAnswer, ListQuery, PublicIdParams } from '../schemas.js'
import type { SelfServeKeys } from '../self-serve-keys.js'
import type { StandardRoute } from './standard-route.js'

export function keyRoutes ({ keys }: SelfServeKeys): StandardRoute[] {
  return [
    {
      part: 'keys',
      method: 'GET',
      url: '/api-keys',
      schema: {
        operationId: 'listApiKeys',
        summary: 'List the API keys of the account, newest first',
        querystring: ListQuery,
        response: { 200: ApiKeyListAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => await keys.list(actorOf(request).accountId, request.query as ListOptions)
    },
    {
      part: 'defaultKey',
      method: 'POST',
      url: '/api-keys',
      schema: {
        operationId: 'issueDefaultApiKey',
        summary: 'Issue the default API key, or rotate it: the one before is revoked',
        body: IssueBody,
        response: { 201: IssuedAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request, reply) => {
        const body = request.body as { environment?: Environment } | undefined
        reply.code(201)
        return await keys.issueDefault(actorOf(request), { environment: body?.environment })
      }
    },
    {
      part: 'keys',
      method: 'GET',
      url: '/api-keys/:publicId',
      schema: {
        operationId: 'getApiKey',
        summary: 'One API key',
        params: PublicIdParams,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({ apiKey: await keys.get(actorOf(request).accountId, publicIdOf(request.params)) })
    },
    {
      part: 'keys',
      method: 'DELETE',
      url: '/api-keys/:publicId',
      schema: {
        operationId: 'revokeApiKey',
        summary: 'Revoke an API key for good; answers with its final state',
        params: PublicIdParams,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({ apiKey: await keys.revoke(actorOf(request), publicIdOf(request.params)) })
    }
  ]
}

function publicIdOf (params: unknown): string {
  return (params as { publicId: string }).publicId
}
