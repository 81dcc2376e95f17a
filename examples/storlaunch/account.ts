// The account endpoints: ordinary routes on the library's operations, which the plugin runs in place of its standard ones.
// Whoever gets here has shown a secret key. A test key sees test data alone: what is live is not there for it.
import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { actorOf, getApiKey, type Access, type ApiKey, type Environment } from 'fastify-self-serve-keys'
import { allKeys } from '../all-keys.js'
import { toSeconds } from './envelope.js'

/** Said as the library says it of an id that nobody has. */
const KeyNotFound = createError('API_KEY_NOT_FOUND', 'There is no such API key.', 404)
const LiveKeysOnly = createError('FORBIDDEN', 'A test API key may not read the audit log: it tells of live keys too.', 403)

const KeyBody = Type.Object({
  // Neither NUL nor half a character.
  name: Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\0\\ud800-\\udfff]*$' }),
  environment: Type.Unsafe<Environment>({ enum: ['test', 'live'] }),
  access: Type.Unsafe<Access>({ enum: ['secret', 'publishable'] })
}, { additionalProperties: false })

const Digits = Type.Optional(Type.String({ pattern: '^\\d{1,9}$' }))
const AuditQuery = Type.Object({ action: Type.Optional(Type.String()), limit: Digits, offset: Digits }, { additionalProperties: false })

export const accountEndpoints: FastifyPluginAsyncTypebox = async (scope) => {
  const { keys, audit, flush } = scope.selfServeKeys

  scope.get('/api-keys', async (request) => {
    const { accountId, environment } = getApiKey(request)
    // What was used a moment ago says so.
    await flush()
    return (await allKeys(keys, accountId, environment === 'test' ? { environment } : {})).map(toRow)
  })

  scope.post('/api-keys', { schema: { body: KeyBody } }, async (request, reply) => {
    const { name, environment, access } = request.body
    const { plaintextKey, apiKey } = await keys.issue(actorOf(request), { label: name, environment, access })
    reply.code(201)
    return { id: apiKey.publicId, name, environment, access, value: plaintextKey, createdAt: toSeconds(apiKey.createdAt) }
  })

  /** Answers with the key as it ended; again, with the same. */
  scope.delete('/api-keys/:id', { schema: { params: Type.Object({ id: Type.String() }) } }, async (request) => {
    const { accountId, environment } = getApiKey(request)
    const { publicId, environment: own } = await keys.get(accountId, request.params.id)
    if (environment === 'test' && own === 'live') throw new KeyNotFound()
    return toRow(await keys.revoke(actorOf(request), publicId))
  })

  scope.get('/audit-log', { schema: { querystring: AuditQuery } }, async (request) => {
    const { accountId, environment } = getApiKey(request)
    if (environment === 'test') throw new LiveKeysOnly()
    const { action, limit = '50', offset = '0' } = request.query
    const { logs, total } = await audit.list(accountId, { action, limit: Number(limit), offset: Number(offset) })
    return {
      entries: logs.map(({ id, action, actor, targetId, detail, requestId, time }) =>
        ({ id, action, actor, targetId, detail, requestId, createdAt: toSeconds(time) })),
      total
    }
  })
}

function toRow ({ publicId, label, prefix, last4, environment, access, createdAt, lastUsedAt, revokedAt }: ApiKey): object {
  return {
    id: publicId,
    name: label,
    prefix,
    last4,
    environment,
    access,
    createdAt: toSeconds(createdAt),
    lastUsedAt: lastUsedAt === null ? null : toSeconds(lastUsedAt),
    revokedAt: revokedAt === null ? null : toSeconds(revokedAt)
  }
}
