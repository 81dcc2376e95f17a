// The public names of fastify-self-serve-keys, one by one.
export { selfServeKeys, selfServeKeys as default } from './plugin.js'
export { protect } from './http/route-rules.js'
export { actorOf, getApiKey } from './http/request-state.js'
export { standardRoutes } from './http/routes/standard-routes.js'
export { errorTable, isSelfServeKeysError } from './errors.js'
export { keyPattern, redactPaths } from './keys/key-format.js'
export { memoryStorage } from './storage/memory-storage.js'
// For whoever writes a storage: the decisions to make inside its transactions.
export { assemblePage, decideIssue, decideRevoke, firstState, hasEnded } from './storage/decide.js'
export { BATCH_MEMORY } from './storage/storage.js'

export type { Metadata, Profile, Register, Scope } from './register.js'
export type { KeyOptions, RateLimitOption, SelfServeKeysOptions, StandardRouteSwitches, UsageOptions } from './options/options.js'
export type { Account, SessionAsk, SessionResolver } from './sessions/session.js'
export type { Caller } from './http/request-state.js'
export type { ListedRoute, RouteRule, RouteRuleConfig } from './http/route-rules.js'
export type { SelfServeKeys, VerifyResult } from './http/self-serve-keys.js'
export type { Access, ApiKey, Environment, KeyRef, KeyStatus, NewKey, RateLimitState, StoredKey, VerifiedApiKey } from './keys/api-key.js'
export type { Peppers } from './keys/key-hash.js'
export type { Actor } from './keys/actor.js'
export type { ApiKeyList, Issued, KeyOperations, ListOptions } from './keys/key-operations.js'
export type { KeyRequirement } from './keys/verify-key.js'
export type { UsagePerKey, UsageRequest, UsageSnapshot, UsageTimelineSlot } from './usage/snapshot.js'
export type { UsageWindow } from './usage/windows.js'
export type { ErrorCode, ErrorDetails, SelfServeKeysError } from './errors.js'
export type { Clock, Duration } from './time.js'
export type {
  IssueKeyInput, IssueKeyResult, KeyPage, ListKeysQuery, ListStart, RecordedEvent, RehashMove, RevokeKeyInput, RevokeKeyResult,
  Storage, StorageContext, UsageBatch, UsageCount, UsageEvent, UsageQuery, UsageRows
} from './storage/storage.js'
export type { IssueDecision } from './storage/decide.js'
export type { KeyDigest } from './keys/key-hash.js'
export type { SlotUnit } from './storage/slots.js'
