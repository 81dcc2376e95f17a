// What the standard account routes answer: nothing else leaves them.
import { Type, type TSchema } from '@sinclair/typebox'
import { ACCESSES, ENVIRONMENTS, STATUSES } from '../keys/api-key.js'
import { USAGE_WINDOWS } from '../usage/windows.js'

/** What we answer: text from a list, said in the way OpenAPI tools read best. */
const text = <T extends string>(values: readonly T[]) => Type.String({ enum: [...values] })
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC' })
const Count = Type.Integer({ minimum: 0 })
const Scopes = nullable(Type.Array(Type.String(), { description: 'null: all that the account may grant' }))

const RateLimitStates = Type.Array(Type.Object({
  name: Type.String(),
  max: Count,
  windowSeconds: Count,
  remaining: Count,
  resetSeconds: Count
}))

export const ApiKeySchema = Type.Object({
  publicId: Type.String({ description: '`key_` and a ULID' }),
  label: Type.String(),
  environment: text(ENVIRONMENTS),
  access: text(ACCESSES),
  scopes: Scopes,
  allowedOrigins: Type.Array(Type.String()),
  allowedIps: Type.Array(Type.String()),
  status: text(STATUSES),
  isDefault: Type.Boolean(),
  maskedKey: Type.String({ description: 'Prefix and last four characters' }),
  prefix: Type.String(),
  first8: Type.String(),
  last4: Type.String(),
  rateLimits: RateLimitStates,
  createdBy: nullable(Type.String({ description: 'Display name of who issued it' })),
  disabledBy: nullable(text(['account', 'host'])),
  createdAt: Time,
  lastUsedAt: nullable(Time),
  expiresAt: nullable(Time),
  retiresAt: nullable(Time),
  revokedAt: nullable(Time),
  revokedReason: nullable(Type.String()),
  rotatedFrom: nullable(Type.String({ description: 'Public id of the key it replaced' }))
})

export const ApiKeyAnswer = Type.Object({ apiKey: ApiKeySchema })

export const ApiKeyListAnswer = Type.Object({
  apiKeys: Type.Array(ApiKeySchema),
  truncated: Type.Boolean({ description: 'There are older keys that have ended' }),
  before: nullable(Type.String({ description: 'Pass it as `before` to see them' }))
})

export const IssuedAnswer = Type.Object({
  action: text(['issued', 'rotated']),
  plaintextKey: nullable(Type.String({ description: 'The full key: shown here once and stored nowhere; null where it was shown before' })),
  apiKey: ApiKeySchema,
  revokedPublicIds: Type.Array(Type.String()),
  replayed: Type.Boolean({ description: 'The same request was answered before, and nothing was changed' })
})

export const ProfileAnswer = Type.Record(Type.String(), Type.Unknown(), { description: 'What the session tells of its person' })

export const SiteAnswer = Type.Object({ siteId: Type.String({ description: '`site_` and a ULID' }), origin: Type.String(), createdAt: Time })

export const SiteListAnswer = Type.Object({ sites: Type.Array(SiteAnswer), truncated: Type.Boolean() })

export const AuditAnswer = Type.Object({
  logs: Type.Array(Type.Object({
    id: Type.Integer({ description: 'Ascending' }),
    time: Time,
    action: Type.String(),
    actor: nullable(Type.Object({ id: Type.String(), name: nullable(Type.String()) })),
    credential: text(['bearer', 'cookie', 'api_key', 'host']),
    targetType: nullable(Type.String()),
    targetId: nullable(Type.String()),
    detail: Type.String(),
    ip: nullable(Type.String()),
    requestId: nullable(Type.String())
  })),
  total: Count,
  limit: Count,
  offset: Count
})

const Seconds = nullable(Count)

export const PolicyAnswer = Type.Object({
  scopes: Type.Array(Type.Object({
    name: Type.String(),
    description: Type.String(),
    grantable: Type.Boolean({ description: 'May keys of the account have it?' })
  })),
  environments: Type.Array(text(ENVIRONMENTS)),
  defaultKey: Type.Object({
    label: Type.String(), environment: text(ENVIRONMENTS), access: text(ACCESSES), scopes: Scopes, lifetimeSeconds: Seconds
  }),
  keys: Type.Object({ max: Count, active: Type.Integer({ minimum: 0, description: 'Those that count: neither revoked nor expired' }) }),
  maxSites: Count,
  lifetimeSeconds: nullable(Type.Integer({ minimum: 0, description: 'Of a named key whose expiry is not chosen; null: it never expires' })),
  maxLifetimeSeconds: Seconds,
  requireExpiry: Type.Boolean(),
  maxOverlapSeconds: Count,
  originsRequired: Type.Boolean({ description: 'A publishable key without origins, of an account without sites, is refused' }),
  suspended: Type.Boolean()
})

/** A 204. */
export const NoAnswer = Type.Null({ description: 'Done; there is no body' })

const UsageRequest = Type.Object({
  time: Time,
  publicId: Type.String(),
  label: Type.String(),
  environment: text(ENVIRONMENTS),
  scopes: Scopes,
  method: Type.String(),
  route: Type.String({ description: 'The route\'s pattern, never the URL' }),
  status: Type.Integer(),
  durationMs: Type.Number(),
  failureCode: nullable(Type.String()),
  requestId: nullable(Type.String())
})

export const KeyUsageAnswer = Type.Object({
  publicId: Type.String(),
  windowStart: Time,
  windowEnd: Time,
  requests: Count,
  failures: Count,
  lastRequest: nullable(UsageRequest)
})

export const UsageAnswer = Type.Object({
  window: text(USAGE_WINDOWS),
  windowStart: Time,
  windowEnd: Time,
  totalRequests: Count,
  totalFailures: Count,
  timeline: Type.Array(Type.Object({ start: Time, requests: Count, failures: Count })),
  perKey: Type.Array(Type.Object({
    publicId: Type.String(),
    label: Type.String(),
    environment: text(ENVIRONMENTS),
    scopes: Scopes,
    status: text(STATUSES),
    requests: Count,
    failures: Count,
    lastUsedAt: nullable(Time),
    rateLimits: RateLimitStates
  })),
  perKeyTruncated: Type.Boolean(),
  recentRequests: Type.Array(UsageRequest),
  recentRequestsTruncated: Type.Boolean(),
  recentFailures: Type.Array(UsageRequest),
  recentFailuresTruncated: Type.Boolean()
})

/** The error body of a host that has no error handler of its own; documentation, never a constraint. */
export const ErrorAnswer = Type.Object({
  statusCode: Type.Integer(),
  code: Type.String(),
  error: Type.String(),
  message: Type.String()
})
