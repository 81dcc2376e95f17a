// The public names of fastify-self-serve-keys, one by one.
export { selfServeKeys, selfServeKeys as default } from './plugin.js'
export { protect } from './http/route-rules.js'
export { actorOf, getApiKey } from './http/request-state.js'
export { standardRoutes } from './http/routes/standard-routes.js'
export { errorTable, isSelfServeKeysError } from './errors.js'
export { keyPattern, maskKeys, redactPaths } from './keys/key-format.js'
export { memoryStorage } from './storage/memory-storage.js'
export { memoryRateLimitStore } from './rate-limit/memory-store.js'
// For whoever writes a storage, or a store for rate limits: the decisions to make in one step.
export { foldCase } from './audit/audit-entry.js'
export { hasEnded } from './keys/api-key.js'
export { firstState, keyIntentions } from './keys/key-lifecycle.js'
export { decideAddSite, refuseSite, siteEntry } from './sites/site-changes.js'
export { assemblePage } from './storage/key-page.js'
export { decide, stateOf } from './rate-limit/decision.js'
export { BATCH_EVENTS, BATCH_MEMORY } from './storage/storage.js'

export type { Metadata, Profile, Register, Scope } from './register.js'
export type { DashboardFeatures, DashboardOptions } from './options/dashboard-options.js'
export type { KeyOptions, RevocationOptions, SelfServeKeysOptions, StandardRouteSwitches, UsageOptions } from './options/options.js'
export type { SecretScanningOptions } from './options/secret-scanning-options.js'
export type {
  AccountAction, AccountPolicy, AuditOptions, Authorize, PolicyOptions, RateLimitOption, RateLimitSettings
} from './options/policy-options.js'
export type { ChannelListener, RevocationChannel } from './revocation/channel.js'
export type { Account, CookieAsk, SessionAsk, SessionResolver } from './sessions/session.js'
export type { Caller } from './http/request-state.js'
export type { RouteRule, RouteRuleConfig } from './http/route-rule.js'
export type { ListedRoute } from './http/route-rules.js'
export type { SelfServeKeys, VerifyResult } from './http/self-serve-keys.js'
export type { Access, ApiKey, Environment, FoundKey, KeyRef, KeyStatus, NewKey, RateLimitState, StoredKey, VerifiedApiKey } from './keys/api-key.js'
export type { Peppers } from './keys/key-hash.js'
export type { Actor } from './keys/actor.js'
export type { EffectivePolicy } from './keys/effective-policy.js'
export type {
  ApiKeyList, HostInput, ImportInput, Issued, IssueInput, KeyOperations, ListOptions, Repeatable, RevocationReason, UpdateInput
} from './keys/key-operations.js'
export type { KeyRequirement, RequestSource } from './keys/judge-key.js'
export type { AccountEvent } from './audit/account-event.js'
export type { AuditBy, AuditNote, Audited, Change, NewAuditEntry, StoredAuditEntry, Wording } from './audit/audit-entry.js'
export type { AuditEntry, AuditLog, AuditOptions as AuditListOptions, AuditPage, HostEntry } from './audit/audit-log.js'
export type { Site, SiteOperations } from './sites/site-operations.js'
export type { UsagePerKey, UsageRequest, UsageSnapshot, UsageTimelineSlot } from './usage/snapshot.js'
export type { KeyUsage } from './usage/key-usage.js'
export type { UsageOwner, UsageSinkBatch, UsageSinkEvent } from './usage/sink.js'
export type { UsageWindow } from './usage/windows.js'
export type { ErrorCode, ErrorDetails, SelfServeKeysError } from './errors.js'
export type { Clock, Duration } from './time.js'
export type {
  AuditQuery, KeyOutcome, KeyPage, KeyUsageQuery, KeyUsageRows, ListKeysQuery, ListStart, RecordedEvent, RehashMove, SiteOutcome, Storage, StorageContext,
  UsageBatch, UsageCount, UsageEvent, UsageQuery, UsageRows
} from './storage/storage.js'
export type { ActingKey } from './keys/acting-key.js'
export type {
  ChangeContext, Idempotency, ImportKeyInput, IssueKeyInput, KeyDecision, KeyIntention, KeyRefusal, KeyRows, KeyUpdate, NewSecret,
  RememberedRequest, RenewKeyInput, Replayed, RevokeKeyInput, RevokeKeysInput, RotateKeyInput, UpdateKeyInput, WantedRows
} from './keys/key-changes.js'
export type { AddSiteInput, RefusedSite, RemoveSiteInput, StoredSite } from './sites/site-changes.js'
export type { KeyDigest } from './keys/key-hash.js'
export type { Bucket, Consumed, LimitState, RateLimit, RateLimitStore } from './rate-limit/rate-limit.js'
export type { Decision, Window as RateLimitWindow } from './rate-limit/decision.js'
export type { MemoryRateLimitStore, MemoryRateLimitStoreOptions } from './rate-limit/memory-store.js'
export type { SlotUnit } from './storage/slots.js'
