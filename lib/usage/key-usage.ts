// What one key did lately: for somebody about to revoke it, who asks whether it is still in use.
import { makeError } from '../errors.js'
import { isPublicId } from '../keys/api-key.js'
import type { Storage } from '../storage/storage.js'
import { toIso, type Clock } from '../time.js'
import { toUsageRequest, type UsageRequest } from './snapshot.js'
import { slotsOf } from './windows.js'

/** What one key did in the last 24 hours. Times are RFC 3339, UTC. */
export interface KeyUsage {
  publicId: string
  windowStart: string
  windowEnd: string
  requests: number
  /** Requests answered with a status of 400 or more. */
  failures: number
  /** The newest, also where it is older than the window; null if there was none, or usage is not kept that long. */
  lastRequest: UsageRequest | null
}

export interface KeyUsageParts {
  readonly storage: Pick<Storage, 'readKeyUsage'>
  readonly clock: Clock
}

/** Reads what was flushed: the caller flushes this instance's buffer first. */
export async function keyUsage ({ storage, clock }: KeyUsageParts, accountId: string, publicId: string): Promise<KeyUsage> {
  const now = clock.now()
  const { start, end } = slotsOf('24h', now)
  const rows = isPublicId(publicId) ? await storage.readKeyUsage({ accountId, publicId, start, end }) : null
  if (rows === null) throw makeError('API_KEY_NOT_FOUND', {})
  const { requests, failures, lastRequest } = rows
  return {
    publicId,
    windowStart: toIso(start),
    windowEnd: toIso(now),
    requests,
    failures,
    lastRequest: lastRequest === null ? null : toUsageRequest(lastRequest)
  }
}
