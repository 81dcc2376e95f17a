// The account endpoints: ordinary routes on the library's operations, which the plugin runs in place of its standard ones.
// Whoever gets here has shown a key with the scope that the method asks for.
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { actorOf, type Actor, type ApiKey, type AuditEntry, type Site } from 'fastify-self-serve-keys'
import { allKeys } from '../all-keys.js'
import type { Users } from './users.js'

const keyBody = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    // Neither NUL nor half a character.
    name: { type: 'string', pattern: '^[^\\0\\ud800-\\udfff]+$', maxLength: 100 },
    type: { enum: ['secret', 'publishable'], default: 'secret' },
    scopes: { type: 'array', items: { type: 'string' } },
    allowedOrigins: { type: 'array', items: { type: 'string' } }
  },
  if: { required: ['type'], properties: { type: { const: 'publishable' } } },
  then: { required: ['allowedOrigins'], properties: { allowedOrigins: { type: 'array', minItems: 1 } } }
} as const
interface KeyBody { name: string, type: 'secret' | 'publishable', scopes?: string[], allowedOrigins?: string[] }

const siteBody = { type: 'object', additionalProperties: false, required: ['name'], properties: { name: { type: 'string' } } } as const

const INTEGER = { type: 'string', pattern: '^\\d{1,9}$' } as const
const auditQuery = {
  type: 'object',
  additionalProperties: false,
  properties: { limit: INTEGER, offset: INTEGER, action: { type: 'string' }, search: { type: 'string' } }
} as const
interface AuditQuery { limit?: string, offset?: string, action?: string, search?: string }

export function accountEndpoints (users: Users): FastifyPluginAsync {
  return async (scope) => {
    const { keys, sites, audit, flush } = scope.selfServeKeys

    // Fastify's own words do not name a member that is not known.
    scope.setSchemaErrorFormatter(([fault], part) => {
      const { instancePath, message, params } = fault!
      const unknown = params.additionalProperty as string | undefined
      return new Error(unknown === undefined ? `${part}${instancePath} ${message}` : `${part}/${unknown} is not known here`)
    })

    const accountOf = (request: FastifyRequest): string => request.caller!.accountId
    /** The user acts, by a key: the audit log names the user. */
    const by = (request: FastifyRequest): Actor => ({ ...actorOf(request), actor: { id: accountOf(request) } })
    /** Newest first; what was used a moment ago says so. */
    const listKeys = async (accountId: string): Promise<ApiKey[]> => {
      await flush()
      return await allKeys(keys, accountId)
    }

    scope.get('', async (request, reply) => {
      const user = users.find(accountOf(request))
      if (user === undefined) return reply.callNotFound()
      const { plan, ...profile } = user
      return profile
    })

    scope.get('/keys', async (request) => (await listKeys(accountOf(request))).map((key) => ({
      id: key.publicId,
      prefix: key.first8,
      name: key.label,
      type: key.access,
      scopes: scopesOf(key),
      isActive: isActive(key),
      createdAt: toSeconds(key.createdAt),
      lastUsedAt: toSecondsOrNull(key.lastUsedAt),
      expiresAt: toSecondsOrNull(key.expiresAt)
    })))

    scope.post<{ Body: KeyBody }>('/keys', { schema: { body: keyBody } }, async (request, reply) => {
      const { name, type, scopes = type === 'secret' ? null : undefined, allowedOrigins } = request.body
      const { plaintextKey, apiKey } = await keys.issue(by(request), { label: name, access: type, scopes, allowedOrigins })
      reply.code(201)
      return { rawKey: plaintextKey, prefix: apiKey.first8, id: apiKey.publicId, name, type, scopes: scopesOf(apiKey) }
    })

    scope.delete<{ Params: { keyId: string } }>('/keys/:keyId', async (request) => {
      await keys.revoke(by(request), request.params.keyId)
      return { deleted: true }
    })

    scope.post<{ Params: { keyId: string } }>('/keys/:keyId/renew', async (request) => {
      await keys.renew(by(request), request.params.keyId)
      return { status: 'renewed' }
    })

    scope.get('/usage', async (request) => {
      const list = await listKeys(accountOf(request))
      const { total, active } = await keys.count(accountOf(request))
      return {
        totalKeys: total,
        activeKeys: active,
        keys: list.map((key) => ({
          keyPrefix: key.first8,
          keyName: key.label,
          isActive: isActive(key),
          lastUsedAt: toSecondsOrNull(key.lastUsedAt),
          rateLimitRemaining: key.rateLimits[0]!.remaining,
          rateLimitMax: key.rateLimits[0]!.max
        }))
      }
    })

    const toSite = (userId: string, { siteId, origin, createdAt }: Site): object =>
      ({ id: siteId, name: origin, userId, createdAt: toSeconds(createdAt) })

    scope.get('/sites', async (request) => {
      const userId = accountOf(request)
      return (await sites.list(userId)).sites.map((site) => toSite(userId, site))
    })

    scope.post<{ Body: { name: string } }>('/sites', { schema: { body: siteBody } }, async (request, reply) => {
      const site = await sites.add(by(request), request.body.name)
      reply.code(201)
      return toSite(accountOf(request), site)
    })

    scope.delete<{ Params: { siteId: string } }>('/sites/:siteId', async (request, reply) => {
      await sites.remove(by(request), request.params.siteId)
      return await reply.code(204).send()
    })

    scope.get<{ Querystring: AuditQuery }>('/audit', { schema: { querystring: auditQuery } }, async (request) => {
      const { limit, offset, ...filter } = request.query
      const page = await audit.list(accountOf(request), { ...filter, limit: toNumber(limit), offset: toNumber(offset) })
      return { ...page, logs: page.logs.map(toLog) }
    })
  }
}

function toLog ({ id, actor, action, targetType, detail, time }: AuditEntry): object {
  return {
    id, app: 'api', actor_id: actor?.id ?? null, action, target_type: targetType, detail, created_at: Math.floor(Date.parse(time) / 1000)
  }
}

function isActive ({ status }: ApiKey): boolean {
  return status === 'active' || status === 'retiring'
}

/** null: all that the account may do. A publishable key is asked for none, and shows none. */
function scopesOf ({ access, scopes }: ApiKey): string[] | null {
  return access === 'publishable' ? null : scopes
}

function toNumber (digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

function toSeconds (time: string): string {
  return time.replace(/\.\d+/, '')
}

function toSecondsOrNull (time: string | null): string | null {
  return time === null ? null : toSeconds(time)
}
