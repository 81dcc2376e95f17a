// The storage contract on statuses: which change is made of a key in which status, and that a refused one leaves no trace.
import assert from 'node:assert/strict'
import { statusOf, STATUSES, type KeyStatus, type StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import type { KeyOutcome, Storage } from '../storage.js'
import { NOW, renewing, revoking, rotating, updating } from './samples.js'
import { besideOthers, issueIn, keysOf, verdict, withoutTrace, type ContractCases } from './steps.js'

interface Row { make (storage: Storage, key: StoredKey): Promise<KeyOutcome>, change: string, takes: readonly KeyStatus[], unchanged?: KeyStatus }

const CHANGES: Record<string, Row> = {
  rotated: {
    make: async (storage, key) => await storage.rotateKey(rotating(key, { overlap: DAY })), change: 'api_key.rotated', takes: ['active']
  },
  renewed: {
    make: async (storage, key) => await storage.renewKey(renewing(key, { expiresAt: NOW + DAY })),
    change: 'api_key.renewed',
    takes: ['active', 'disabled', 'expired']
  },
  enabled: {
    make: async (storage, key) => await storage.updateKey(updating(key, {}, { enabled: true })),
    change: 'api_key.enabled',
    takes: ['active', 'disabled'],
    unchanged: 'active'
  },
  disabled: {
    make: async (storage, key) => await storage.updateKey(updating(key, {}, { enabled: false })),
    change: 'api_key.disabled',
    takes: ['active', 'disabled'],
    unchanged: 'disabled'
  },
  renamed: {
    make: async (storage, key) => await storage.updateKey(updating(key, { label: 'Renamed' })),
    change: 'api_key.updated',
    takes: ['active', 'retiring', 'disabled', 'expired']
  },
  revoked: { make: async (storage, key) => await storage.revokeKey(revoking(key)), change: 'api_key.revoked', takes: STATUSES, unchanged: 'revoked' }
}

export const statusCases: ContractCases = Object.fromEntries(Object.entries(CHANGES).map(([name, { make, change, takes, unchanged }]) => [
  `a key is ${name} in the statuses that allow it, and in no other`,
  besideOthers(async (storage) => {
    for (const status of STATUSES) {
      const key = await issueIn(storage, status)
      const expected = status === unchanged ? 'unchanged' : takes.includes(status) ? change : 'not_active'
      if (expected === change) {
        assert.equal(verdict(await make(storage, key)), change, status)
        assert.notDeepEqual(await storage.findKey(key.publicId), key, status)
      } else {
        const result = await withoutTrace(storage, async () => await make(storage, key))
        const refused = { outcome: 'refused', refusal: { reason: 'not_active', status, byHost: false } }
        assert.deepEqual(result, expected === 'unchanged' ? { outcome: 'unchanged', key } : refused, status)
      }
    }
    // A new expiry or label revives nothing.
    for (const key of await keysOf(storage)) assert.equal(key.revokedAt !== null, statusOf(key, NOW) === 'revoked')
  })
]))
