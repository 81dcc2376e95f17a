// Account routes about keys.
import type { FastifyReply } from 'fastify'
import type { Environment } from '../../keys/api-key.js'
import { refuseField } from '../../fields.js'
import type { Issued, IssueInput, ListOptions, UpdateInput } from '../../keys/key-operations.js'
import type { StandardRouteSwitches } from '../../options/options.js'
import { ApiKeyAnswer, ApiKeyListAnswer, ErrorAnswer, IssuedAnswer, KeyUsageAnswer } from '../answer-schemas.js'
import { idempotencyKeyOf } from '../idempotency-key.js'
import { IdempotencyHeaders, IssueBody, ListQuery, PublicIdParams, RenewBody, RotateBody, UpdateBody } from '../request-schemas.js'
import { actorOf } from '../request-state.js'
import type { SelfServeKeys } from '../self-serve-keys.js'
import { paramOf, type StandardRoute } from './standard-route.js'

export function keyRoutes ({ keys, usage }: SelfServeKeys, on: Required<Pick<StandardRouteSwitches, 'defaultKey' | 'keys'>>): StandardRoute[] {
  const one = { parts: ['keys'] as const, url: '/api-keys/:publicId' }
  const making = { headers: IdempotencyHeaders, response: { 200: IssuedAnswer, 201: IssuedAnswer, 422: ErrorAnswer, '4xx': ErrorAnswer } }
  return [
    {
      parts: ['keys'],
      action: 'keys:read',
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
      parts: ['defaultKey', 'keys'],
      action: 'keys:issue',
      method: 'POST',
      url: '/api-keys',
      schema: {
        operationId: 'issueApiKey',
        summary: 'Issue a named API key; without a label, issue the default key or rotate it: the one before is revoked',
        body: IssueBody,
        ...making
      },
      handler: async (request, reply) => {
        const body = request.body as Partial<IssueInput>
        const { label, environment, ...rest } = body
        const idempotencyKey = idempotencyKeyOf(request)
        if (label !== undefined && on.keys) return made(reply, await keys.issue(actorOf(request), body as IssueInput, { idempotencyKey }))
        const [field] = Object.keys(label === undefined ? rest : body)
        if (on.keys && (field !== undefined || !on.defaultKey)) refuseField('label', 'is required')
        if (field !== undefined) refuseField(field, 'is not known here')
        return made(reply, await keys.issueDefault(actorOf(request), { environment: environment as Environment | undefined, idempotencyKey }))
      }
    },
    {
      ...one,
      action: 'keys:read',
      method: 'GET',
      schema: {
        operationId: 'getApiKey',
        summary: 'One API key',
        params: PublicIdParams,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({ apiKey: await keys.get(actorOf(request).accountId, paramOf(request, 'publicId')) })
    },
    {
      parts: ['usage'],
      needs: 'keys',
      action: 'usage:read',
      method: 'GET',
      url: '/api-keys/:publicId/usage',
      schema: {
        operationId: 'getApiKeyUsage',
        summary: 'What one API key did in the last 24 hours, and its newest request',
        params: PublicIdParams,
        response: { 200: KeyUsageAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => await usage.ofKey(actorOf(request).accountId, paramOf(request, 'publicId'))
    },
    {
      ...one,
      action: 'keys:update',
      method: 'PATCH',
      schema: {
        operationId: 'updateApiKey',
        summary: 'Rename an API key, change what it may do, disable or enable it',
        params: PublicIdParams,
        body: UpdateBody,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({
        apiKey: await keys.update(actorOf(request), paramOf(request, 'publicId'), request.body as UpdateInput)
      })
    },
    {
      ...one,
      action: 'keys:rotate',
      method: 'POST',
      url: '/api-keys/:publicId/rotate',
      schema: {
        operationId: 'rotateApiKey',
        summary: 'Replace an API key by a successor; the old one ends now or after an overlap',
        params: PublicIdParams,
        body: RotateBody,
        ...making
      },
      handler: async (request, reply) => {
        const options = { ...request.body as object, idempotencyKey: idempotencyKeyOf(request) }
        return made(reply, await keys.rotate(actorOf(request), paramOf(request, 'publicId'), options))
      }
    },
    {
      ...one,
      action: 'keys:renew',
      method: 'POST',
      url: '/api-keys/:publicId/renew',
      schema: {
        operationId: 'renewApiKey',
        summary: 'Move the expiry of an API key, also of one that has expired',
        params: PublicIdParams,
        body: RenewBody,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({
        apiKey: await keys.renew(actorOf(request), paramOf(request, 'publicId'), request.body as object)
      })
    },
    {
      ...one,
      action: 'keys:revoke',
      method: 'DELETE',
      schema: {
        operationId: 'revokeApiKey',
        summary: 'Revoke an API key for good; answers with its final state',
        params: PublicIdParams,
        response: { 200: ApiKeyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => ({ apiKey: await keys.revoke(actorOf(request), paramOf(request, 'publicId')) })
    }
  ]
}

/** What was answered before makes nothing. */
function made (reply: FastifyReply, issued: Issued): Issued {
  reply.code(issued.replayed ? 200 : 201)
  return issued
}
