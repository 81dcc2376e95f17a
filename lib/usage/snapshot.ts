// The usage snapshot: what a customer sees of a window of time. An operational view, not a bill.
import { readOneOf } from '../fields.js'
import { statusOf, type Environment, type KeyStatus, type RateLimitState } from '../keys/api-key.js'
import type { Policies } from '../policy/policies.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'
import type { Scope } from '../register.js'
import { SLOT_MS } from '../storage/slots.js'
import type { RecordedEvent, Storage } from '../storage/storage.js'
import { toIso, toIsoOrNull, type Clock } from '../time.js'
import { slotsOf, USAGE_WINDOWS, type UsageWindow } from './windows.js'

const PER_KEY = 100
const RECENT = 50

/** One slot of the timeline. */
export interface UsageTimelineSlot { start: string, requests: number, failures: number }

/** What one key did in the window; label, scopes and status are the key's as it is now. */
export interface UsagePerKey {
  publicId: string
  label: string
  environment: Environment
  scopes: Scope[] | null
  status: KeyStatus
  requests: number
  failures: number
  lastUsedAt: string | null
  rateLimits: RateLimitState[]
}

/** One request. Label, environment and scopes are those of the key at that time. */
export interface UsageRequest {
  time: string
  publicId: string
  label: string
  environment: Environment
  scopes: Scope[] | null
  method: string
  /** The route's pattern, never the URL. */
  route: string
  /** HTTP status; 499 when the client hung up. */
  status: number
  durationMs: number
  failureCode: string | null
  requestId: string | null
}

/** A window of an account's usage. Times are RFC 3339, UTC. */
export interface UsageSnapshot {
  window: UsageWindow
  windowStart: string
  windowEnd: string
  totalRequests: number
  /** Requests answered with a status of 400 or more. */
  totalFailures: number
  /** Every slot of the window, oldest first, with zeros. The totals are its sum. */
  timeline: UsageTimelineSlot[]
  /** At most 100, most requests first. */
  perKey: UsagePerKey[]
  perKeyTruncated: boolean
  /** At most 50, newest first. */
  recentRequests: UsageRequest[]
  recentRequestsTruncated: boolean
  recentFailures: UsageRequest[]
  recentFailuresTruncated: boolean
}

export interface UsageSnapshotParts {
  readonly storage: Pick<Storage, 'readUsage'>
  readonly limiter: KeyLimiter
  readonly policies: Pick<Policies, 'current'>
  readonly clock: Clock
}

/** Reads what was flushed: the caller flushes this instance's buffer first. */
export async function usageSnapshot (
  { storage, limiter, policies, clock }: UsageSnapshotParts, accountId: string, asked: unknown
): Promise<UsageSnapshot> {
  const window = readOneOf('window', asked, '24h', USAGE_WINDOWS)
  const now = clock.now()
  const { unit, start, end } = slotsOf(window, now)
  // One more than is shown tells whether there are more.
  const rows = await storage.readUsage({ accountId, unit, start, end, perKeyLimit: PER_KEY + 1, recentLimit: RECENT + 1 })

  const counts = new Map(rows.timeline.map((slot) => [slot.start, slot]))
  const timeline: UsageTimelineSlot[] = []
  let totalRequests = 0
  let totalFailures = 0
  for (let slot = start; slot < end; slot += SLOT_MS[unit]) {
    const { requests, failures } = counts.get(slot) ?? { requests: 0, failures: 0 }
    timeline.push({ start: toIso(slot), requests, failures })
    totalRequests += requests
    totalFailures += failures
  }

  const perKey = rows.perKey.slice(0, PER_KEY)
  const { rateLimits } = await policies.current(accountId)
  const limits = await limiter.peek(perKey.map(({ key }) => ({ key, limits: rateLimits })))
  return {
    window,
    windowStart: toIso(start),
    windowEnd: toIso(now),
    totalRequests,
    totalFailures,
    timeline,
    perKey: perKey.map(({ key, requests, failures }, place) => ({
      publicId: key.publicId,
      label: key.label,
      environment: key.environment,
      scopes: toScopes(key.scopes),
      status: statusOf(key, now),
      requests,
      failures,
      lastUsedAt: toIsoOrNull(key.lastUsedAt),
      rateLimits: limits[place]!
    })),
    perKeyTruncated: rows.perKey.length > PER_KEY,
    recentRequests: rows.recentRequests.slice(0, RECENT).map(toUsageRequest),
    recentRequestsTruncated: rows.recentRequests.length > RECENT,
    recentFailures: rows.recentFailures.slice(0, RECENT).map(toUsageRequest),
    recentFailuresTruncated: rows.recentFailures.length > RECENT
  }
}

export function toUsageRequest ({ time, scopes, ...event }: RecordedEvent): UsageRequest {
  return { time: toIso(time), ...event, scopes: toScopes(scopes) }
}

function toScopes (scopes: readonly string[] | null): Scope[] | null {
  return scopes === null ? null : [...scopes] as Scope[]
}
