// The API key endpoints: ordinary routes on the library's operations, which the plugin runs in place of its standard ones.
// Whoever gets here has shown a JWT.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { actorOf, type ApiKey } from 'fastify-self-serve-keys'
import { allKeys } from '../all-keys.js'
import { text } from './text.js'
import { toPublicId, toUuid } from './uuid.js'

const KeyBody = Type.Object({ name: text(1, 100) }, { additionalProperties: false })

export const keyEndpoints: FastifyPluginAsyncTypebox = async (scope) => {
  const { keys } = scope.selfServeKeys

  scope.post('/api-keys', { schema: { body: KeyBody } }, async (request) => {
    const { plaintextKey, apiKey } = await keys.issue(actorOf(request), { label: request.body.name })
    const { id, name, ...rest } = toResponse(apiKey)
    return { id, name, raw_key: plaintextKey, ...rest }
  })

  scope.get('/api-keys', async (request) => (await allKeys(keys, actorOf(request).accountId)).map(toResponse))

  scope.delete('/api-keys/:key_id', { schema: { params: Type.Object({ key_id: Type.String() }) } }, async (request, reply) => {
    await keys.revoke(actorOf(request), toPublicId(request.params.key_id))
    return await reply.code(204).send()
  })
}

interface ApiKeyResponse { id: string, name: string, prefix: string, is_active: boolean, created_at: string }

function toResponse ({ publicId, label, prefix, first8, status, createdAt }: ApiKey): ApiKeyResponse {
  return {
    id: toUuid(publicId),
    name: label,
    prefix: prefix + first8.slice(0, 4),
    is_active: status === 'active',
    // To the second, as the documentation prints it.
    created_at: createdAt.replace(/\.\d+/, '')
  }
}
