// Options become services: everything the plugin offers in process, without a trace of HTTP.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { announcing, telling } from './audit/account-event.js'
import { auditLog } from './audit/audit-log.js'
import type { SelfServeKeys } from './http/self-serve-keys.js'
import { effectivePolicy } from './keys/effective-policy.js'
import { checkAccountId } from './keys/actor.js'
import { keyOperations } from './keys/all-key-operations.js'
import { keyCache } from './keys/key-cache.js'
import { keyHasher } from './keys/key-hash.js'
import { leakedKeys, type LeakedKeys } from './leaks/leaked-keys.js'
import { readFields } from './fields.js'
import { rehashQueue, type RehashQueue } from './keys/rehash-queue.js'
import { versionedKeys } from './keys/versioned-keys.js'
import { keyVerifier, type KeyVerifier } from './keys/verify-key.js'
import type { CompleteOptions } from './options/complete.js'
import { noPolicies, policies as policiesOf } from './policy/policies.js'
import { keyLimiter, type KeyLimiter } from './rate-limit/key-limiter.js'
import { failedVerifications, type FailedVerifications } from './rate-limit/failed-verifications.js'
import { guardedRateLimitStore } from './rate-limit/guarded-store.js'
import { memoryRateLimitStore } from './rate-limit/memory-store.js'
import { evictingStorage } from './revocation/evicting-storage.js'
import { evictions, type Evictions } from './revocation/evictions.js'
import { siteOperations } from './sites/site-operations.js'
import type { Storage } from './storage/storage.js'
import { keyUsage } from './usage/key-usage.js'
import { usageRecorder, type UsageRecorder } from './usage/recorder.js'
import { sinkQueue, type SinkQueue } from './usage/sink.js'
import { usageSnapshot } from './usage/snapshot.js'

/** Rows that one step of an erasure removes. */
const ERASE_STEP = 500

export interface Services {
  readonly verifier: KeyVerifier
  readonly limiter: KeyLimiter
  readonly failures: FailedVerifications
  /** null: no usage is recorded. */
  readonly recorder: UsageRecorder | null
  /** null: nobody is told of recorded usage. */
  readonly sink: SinkQueue | null
  readonly rehashes: RehashQueue
  readonly evictions: Evictions
  readonly leaks: LeakedKeys
  readonly operations: Pick<SelfServeKeys, 'keys' | 'usage' | 'sites' | 'audit' | 'policy' | 'accounts'>
}

type Log = Record<'info' | 'warn' | 'error', (details: object, message: string) => void>

export function servicesOf (settings: CompleteOptions, guarded: Storage, log: Log): Services {
  const { clock, timeout, usage, keys: { peppers, isKeyShaped, originsRequired }, audit: { wording } } = settings
  const { limits, store, onStoreError, failedVerifications: failureLimit } = settings.rateLimit
  const counter = store === null ? memoryRateLimitStore({ clock }) : guardedRateLimitStore({ store, onStoreError, timeout, clock, log })
  const limiter = keyLimiter(counter, limits)
  const policies = settings.policy === null ? noPolicies : policiesOf({ settings: settings.policy, clock, timeout, log })
  const { maxDelay, channel } = settings.revocation
  const { keysVersion: version } = guarded
  const memory = { maxAge: maxDelay, maxSize: settings.keys.cacheSize, clock }
  // Asked for its version a storage is as fresh as asked for the key itself.
  const held = version !== undefined ? versionedKeys({ version, ...memory }) : maxDelay === 0 ? null : keyCache(memory)
  const forgetting = evictions({ held, policies, channel, log })
  const storage = held === null && channel === null ? guarded : evictingStorage(guarded, forgetting)
  const hasher = keyHasher(peppers)
  const rehashes = rehashQueue(storage)
  const sink = usage?.sink == null ? null : sinkQueue({ sink: usage.sink, log })
  const recorder = usage === null ? null : usageRecorder({ storage, clock, maxBuffered: usage.maxBuffered, sink, log })
  const tell = telling(settings.onEvent, log)
  const announce = announcing(tell)
  const keySettings = { ...settings.keys, catalogue: settings.scopes, scopeDescriptions: settings.scopeDescriptions }
  const onOldHash: Parameters<typeof keyVerifier>[0]['onOldHash'] = (key, plaintext) => {
    rehashes.add({ publicId: key.publicId, fromHash: key.hash, ...hasher.current(plaintext) })
  }

  const verifier = keyVerifier({ storage, hasher, policies, isKeyShaped, originsRequired, held, clock, onOldHash })
  const keys = keyOperations({ storage, hasher, limiter, policies, clock, wording, announce, settings: keySettings })

  return {
    verifier,
    limiter,
    failures: failedVerifications(failureLimit, clock),
    recorder,
    sink,
    rehashes,
    evictions: forgetting,
    leaks: leakedKeys({ find: verifier.find, keys, storage, announce, wording, clock }),
    operations: {
      keys,
      usage: {
        async snapshot (accountId, options = {}) {
          checkAccountId(accountId)
          const { window } = readFields(options, ['window'])
          await recorder?.flush()
          return await usageSnapshot({ storage, limiter, policies, clock }, accountId, window)
        },
        async ofKey (accountId, publicId) {
          checkAccountId(accountId)
          await recorder?.flush()
          return await keyUsage({ storage, clock }, accountId, publicId)
        }
      },
      sites: siteOperations({ storage, policies, clock, wording, announce }),
      audit: auditLog({ storage, clock }),
      policy: {
        async of (accountId) {
          checkAccountId(accountId)
          return await effectivePolicy({ storage, policies, clock, settings: keySettings }, accountId)
        },
        invalidate (accountId) {
          checkAccountId(accountId)
          forgetting.policy(accountId)
        }
      },
      accounts: {
        async erase (accountId) {
          checkAccountId(accountId)
          while (await storage.eraseAccount(accountId, ERASE_STEP) > 0) await nextTurn()
          forgetting.policy(accountId)
          tell({ type: 'account.erased', accountId, entry: null })
        }
      }
    }
  }
}
