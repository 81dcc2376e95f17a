// What the standard account routes take.
import { Type } from '@sinclair/typebox'
import { ACCESSES, ENVIRONMENTS, STATUSES } from '../keys/api-key.js'
import { USAGE_WINDOWS } from '../usage/windows.js'
import { nullable } from './answer-schemas.js'

/** Checked to be one of these. */
const oneOf = <T extends string>(values: readonly T[]) => Type.Union(values.map((value) => Type.Literal(value)))

/** A query without parameters. */
export const Nothing = Type.Object({}, { additionalProperties: false })

export const PublicIdParams = Type.Object({ publicId: Type.String() })

/** Documentation: what came is read from the raw headers. */
export const IdempotencyHeaders = Type.Object({
  'Idempotency-Key': Type.Optional(Type.String({
    minLength: 1, maxLength: 255, description: 'Makes it safe to ask again for 24 hours: visible ASCII characters, used for this request alone'
  }))
})

/** What a key may be given. Longer rules than a schema can tell are the operations' to check. */
const Given = {
  label: Type.String({ description: '1–100 characters' }),
  scopes: nullable(Type.Array(Type.String(), { description: 'null: all that the account may grant' })),
  allowedOrigins: Type.Array(Type.String({ description: '`https://example.com` or `https://*.example.com`' })),
  allowedIps: Type.Array(Type.String({ description: 'An address or a range, `203.0.113.0/24`' })),
  expiresAt: nullable(Type.String({ description: 'RFC 3339; null: never' }))
}

export const IssueBody = Type.Partial(Type.Object({
  ...Given, environment: oneOf(ENVIRONMENTS), access: oneOf(ACCESSES)
}), { additionalProperties: false, description: 'May be left out. With a label it is a named key, without one the default key' })

export const UpdateBody = Type.Partial(Type.Object({
  label: Given.label, scopes: Given.scopes, allowedOrigins: Given.allowedOrigins, allowedIps: Given.allowedIps, enabled: Type.Boolean()
}), { additionalProperties: false })

export const RotateBody = Type.Object({
  overlapSeconds: Type.Optional(Type.Integer({ minimum: 0, description: 'How long the old key goes on working' }))
}, { additionalProperties: false, description: 'May be left out' })

export const RenewBody = Type.Object({
  expiresAt: Type.Optional(Given.expiresAt)
}, { additionalProperties: false, description: 'May be left out' })

export const SiteBody = Type.Object({
  name: Type.String({ description: 'An origin, `https://example.com` or `https://*.example.com`' })
}, { additionalProperties: false })

export const SiteIdParams = Type.Object({ siteId: Type.String() })

export const ListQuery = Type.Object({
  environment: Type.Optional(oneOf(ENVIRONMENTS)),
  status: Type.Optional(oneOf(STATUSES)),
  before: Type.Optional(Type.String({ minLength: 1, maxLength: 100 }))
}, { additionalProperties: false })

export const UsageQuery = Type.Object({
  window: Type.Optional(oneOf(USAGE_WINDOWS))
}, { additionalProperties: false })

export const AuditQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: 'Default 50' })),
  offset: Type.Optional(Type.Integer({ minimum: 0, description: 'Default 0' })),
  action: Type.Optional(Type.String()),
  search: Type.Optional(Type.String({ description: 'Literal text within action, target or detail' }))
}, { additionalProperties: false })
