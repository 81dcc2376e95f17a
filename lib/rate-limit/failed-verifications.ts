// The limit on failed verifications, by client address: whoever tries keys is told to stop. A good key is never held up by it.
import { sha256 } from '../crypto.js'
import { addressBlock } from '../keys/ip-ranges.js'
import type { Clock } from '../time.js'
import { memoryRateLimitStore } from './memory-store.js'
import type { LimitState, RateLimit } from './rate-limit.js'

/** Addresses held at most; they are strangers', and have no part in the memory that keys' limits are counted in. */
const MAX_ADDRESSES = 50_000

export interface FailedVerifications {
  /** Notes a failure. @returns the limit if there were too many, else null */
  note (ip: string | undefined): LimitState | null
}

/** Counted in this process: an attack on one part must not become one on the store of the others. */
export function failedVerifications (limit: RateLimit | null, clock: Clock): FailedVerifications {
  if (limit === null) return { note: () => null }
  const store = memoryRateLimitStore({ maxBuckets: MAX_ADDRESSES, clock })
  return {
    note (ip) {
      // Of one length, whatever text a proxy was sent: and no slice of a header, which would keep all of it in memory.
      const id = sha256(addressBlock(ip))
      return store.consume([{ id, owner: id, limit }], 1).refusedBy
    }
  }
}
