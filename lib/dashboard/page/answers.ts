// What the account routes answer, in the library's own types.
export type { ApiKey, Environment, Access, KeyStatus, RateLimitState } from '../../keys/api-key.js'
export type { EffectivePolicy } from '../../keys/effective-policy.js'
export type { ApiKeyList, Issued, IssueInput, UpdateInput } from '../../keys/key-operations.js'
export type { AuditEntry, AuditPage } from '../../audit/audit-log.js'
export type { Site } from '../../sites/site-operations.js'
export type { KeyUsage } from '../../usage/key-usage.js'
export type { UsageRequest, UsageSnapshot } from '../../usage/snapshot.js'
export type { UsageWindow } from '../../usage/windows.js'
