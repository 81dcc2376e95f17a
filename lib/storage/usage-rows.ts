// Usage at the storage port: what is recorded, what is asked for, and what a storage answers.
import type { Environment, KeyRef, StoredKey } from '../keys/api-key.js'
import type { SlotUnit } from './slots.js'

export interface UsageEvent {
  readonly key: KeyRef
  readonly time: number
  readonly method: string
  /** The route's pattern, never a URL. */
  readonly route: string
  readonly status: number
  readonly durationMs: number
  /** `null` unless the request failed. */
  readonly failureCode: string | null
  /** `null` unless the request failed. */
  readonly requestId: string | null
}
/** `id`: a ULID, never used for other events, remembered for a day. `sealedAt`: when it was closed. 1 to `BATCH_EVENTS` events. */
export interface UsageBatch { readonly id: string, readonly sealedAt: number, readonly events: readonly UsageEvent[] }

export interface UsageQuery {
  readonly accountId: string
  /** Start of the first slot, a whole `unit` (UTC). */
  readonly start: number
  /** End of the last slot, exclusive. */
  readonly end: number
  /** `minute` is asked for only where the first slot began less than two hours ago. */
  readonly unit: SlotUnit
  /** How many keys and events at most. */
  readonly perKeyLimit: number
  readonly recentLimit: number
}
export interface UsageCount { readonly requests: number, readonly failures: number }
/** An event with the key's label, environment and scopes as they were then. */
export interface RecordedEvent extends Omit<UsageEvent, 'key'> {
  readonly publicId: string
  readonly label: string
  readonly environment: Environment
  readonly scopes: readonly string[] | null
}
export interface UsageRows {
  /** Slots with at least one event, in order of time. */
  readonly timeline: ReadonlyArray<UsageCount & { readonly start: number }>
  /** Most requests first, the newer key first among equals. */
  readonly perKey: ReadonlyArray<UsageCount & { readonly key: StoredKey }>
  /** Newest first. */
  readonly recentRequests: readonly RecordedEvent[]
  readonly recentFailures: readonly RecordedEvent[]
}

export interface KeyUsageQuery {
  readonly accountId: string
  readonly publicId: string
  /** Start of the first hour (UTC). */
  readonly start: number
  /** End of the last hour, exclusive. */
  readonly end: number
}
export interface KeyUsageRows extends UsageCount {
  /** The newest event of the key, whenever that was, the one recorded last among equals; `null` if there is none, or none any more. */
  readonly lastRequest: RecordedEvent | null
}
