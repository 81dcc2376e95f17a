// The storage contract on changes that an API key asks for: nothing beyond what it has.
import assert from 'node:assert/strict'
import type { NewKey, StoredKey } from '../../keys/api-key.js'
import type { ChangeContext } from '../../keys/key-changes.js'
import { DAY } from '../../time.js'
import type { KeyOutcome, Storage } from '../storage.js'
import {
  context, CUSTOMER, importing, issuing, NOW, renewing, revoking, revokingAll, rotating, updating, WORDING
} from './samples.js'
import {
  besideOthers, changed, issue, keysOf, revoke, verdict, withoutTrace, type ContractCases
} from './steps.js'

/** What a change brings with it that this key asks for. */
export function by (key: Pick<StoredKey, 'publicId'>, maxLifetime: number | null = null, now = NOW): ChangeContext {
  return context({ now, acting: { publicId: key.publicId, maxLifetime }, audit: { by: { ...CUSTOMER, credential: 'api_key' }, wording: WORDING } })
}

/** Every change of a key there is, asked for by a key. */
export const CHANGES: Record<string, (storage: Storage, key: StoredKey, by: ChangeContext) => Promise<KeyOutcome>> = {
  rotate: async (storage, key, by) => await storage.rotateKey(rotating(key, by)),
  renew: async (storage, key, by) => await storage.renewKey(renewing(key, { ...by, expiresAt: NOW + DAY })),
  rename: async (storage, key, by) => await storage.updateKey(updating(key, { label: 'Renamed' }, by)),
  enable: async (storage, key, by) => await storage.updateKey(updating(key, {}, { ...by, enabled: true })),
  disable: async (storage, key, by) => await storage.updateKey(updating(key, {}, { ...by, enabled: false })),
  revoke: async (storage, key, by) => await storage.revokeKey(revoking(key, by)),
  issue: async (storage, key, by) => await storage.issueKey(issuing(like(key), by)),
  replace: async (storage, key, by) => await storage.issueKey(issuing({ ...like(key), isDefault: true }, by)),
  import: async (storage, key, by) => await storage.importKey(importing(like(key), by))
}
const like = ({ environment, scopes, allowedIps, expiresAt }: Pick<NewKey, 'environment' | 'scopes' | 'allowedIps' | 'expiresAt'>): Partial<NewKey> =>
  ({ environment, scopes, allowedIps, expiresAt })

/** What a key of less reach may do all the same. */
export const TAKES_AWAY = ['disable', 'revoke']
const takesAway = async (storage: Storage, target: StoredKey, acting: StoredKey): Promise<void> => {
  for (const name of TAKES_AWAY) changed(await CHANGES[name]!(storage, target, by(acting)))
}

export async function refused (storage: Storage, change: () => Promise<KeyOutcome>, field = 'scopes', name?: string): Promise<void> {
  assert.deepEqual(await withoutTrace(storage, change), { outcome: 'refused', refusal: { reason: 'beyond_acting_key', field } }, name)
}

/** Asks for every change of a key and expects each to be refused for the field, but those named. */
export async function refusesAll (
  storage: Storage, field: string, acting: StoredKey, target: StoredKey, except: readonly string[], maxLifetime: number | null = null
): Promise<void> {
  for (const [name, change] of Object.entries(CHANGES)) {
    if (except.includes(name)) continue
    await refused(storage, async () => await change(storage, target, by(acting, maxLifetime)), field, name)
  }
}

export const WIDE = { scopes: null, allowedIps: [], expiresAt: null }
export const NARROW = { scopes: ['a', 'b'], allowedIps: ['10.0.0.0/8'], expiresAt: NOW + DAY }

export const actingCases: ContractCases = {
  'a key that may do everything makes every change, of keys of both environments': besideOthers(async (storage) => {
    const acting = await issue(storage, WIDE)
    for (const environment of ['live', 'test'] as const) {
      for (const [name, change] of Object.entries(CHANGES)) {
        const target = await issue(storage, { ...WIDE, environment, disabledBy: name === 'enable' ? 'account' : null })
        const { key, entries } = changed(await change(storage, target, by(acting)))
        assert.ok(['issue', 'replace', 'import', 'rotate'].includes(name) || key.publicId === target.publicId, name)
        assert.deepEqual(entries.map(({ entry }) => entry.credential), ['api_key'])
      }
    }
  }),

  'a key makes every change of a key whose reach is its own, or less': besideOthers(async (storage) => {
    const acting = await issue(storage, NARROW)
    for (const reach of [NARROW, { scopes: ['b'], allowedIps: ['10.1.0.0/16', '10.9.9.9/32'], expiresAt: NOW + DAY - 1 }]) {
      for (const [name, change] of Object.entries(CHANGES)) {
        const target = await issue(storage, { ...reach, disabledBy: name === 'enable' ? 'account' : null })
        const result = await change(storage, target, by(acting))
        assert.ok(result.outcome === 'changed' || (name === 'renew' && result.outcome === 'unchanged'), name)
      }
    }
  }),

  'a test key changes no live key, not even to revoke it': besideOthers(async (storage) => {
    const acting = await issue(storage, { ...WIDE, environment: 'test' })
    const target = await issue(storage, { ...NARROW, isDefault: true })
    await refusesAll(storage, 'environment', acting, target, [])
    const mine = await issue(storage, { environment: 'test', scopes: ['a'] })
    const { updated } = changed(await storage.revokeKeys(revokingAll(by(acting))))
    assert.deepEqual(updated.map(({ publicId }) => publicId), [mine.publicId, acting.publicId])
    assert.deepEqual((await keysOf(storage)).at(-2), target)
  }),

  'a key gives nobody a scope that it does not have, and may take any away': besideOthers(async (storage) => {
    const acting = await issue(storage, { ...WIDE, scopes: ['a', 'b'] })
    for (const scopes of [['c'], ['a', 'c'], ['A'], null]) {
      const target = await issue(storage, { ...WIDE, scopes, isDefault: true })
      await refusesAll(storage, 'scopes', acting, target, TAKES_AWAY)
      // Within its own afterwards is not enough, nor is it before.
      for (const [from, to] of [[target, ['a']], [await issue(storage, { ...WIDE, scopes: ['a'] }), scopes]] as const) {
        await refused(storage, async () => await storage.updateKey(updating(from, { scopes: to }, by(acting))), 'scopes')
      }
      await takesAway(storage, target, acting)
    }
  }),

  'a default key of wider scopes is not replaced, though the new one would be within': async (storage) => {
    const acting = await issue(storage, { ...WIDE, scopes: ['a'] })
    await issue(storage, { scopes: ['a', 'b'], isDefault: true })
    for (const access of ['secret', 'publishable'] as const) {
      await refused(storage, async () => await storage.issueKey(issuing({ access, scopes: ['a'], isDefault: true }, by(acting))))
    }
  },

  'a key disables one of more reach, and changes nothing else of it on the way': async (storage) => {
    const acting = await issue(storage, { ...WIDE, scopes: ['a'] })
    const wide = await issue(storage, WIDE)
    for (const set of [{ label: 'Off' }, { scopes: ['a'] }, { label: wide.label }]) {
      await refused(storage, async () => await storage.updateKey(updating(wide, set, { ...by(acting), enabled: false })))
    }
    assert.equal(verdict(await storage.updateKey(updating(wide, {}, { ...by(acting), enabled: false }))), 'api_key.disabled')
  },

  'a key that works from some addresses only hands them on, and no others': besideOthers(async (storage) => {
    const acting = await issue(storage, { ...WIDE, allowedIps: ['10.0.0.0/8', '2001:db8::/32'] })
    for (const allowedIps of [['11.0.0.0/8'], ['10.0.0.0/7'], ['10.1.0.0/16', '2001::/16']]) {
      const target = await issue(storage, { ...WIDE, allowedIps, isDefault: true })
      await refusesAll(storage, 'allowedIps', acting, target, TAKES_AWAY)
      await revoke(storage, target)
    }
    const open = await issue(storage, { ...WIDE, isDefault: true })
    await refusesAll(storage, 'allowedIps', acting, open, [...TAKES_AWAY, 'issue'])
    await takesAway(storage, open, acting)
    // Where a new key names none, it has those of the key that asks.
    const { key } = changed(await storage.issueKey(issuing({}, by(acting))))
    assert.deepEqual(key.allowedIps, acting.allowedIps)
    await refused(storage, async () => await storage.updateKey(updating(key, { allowedIps: [] }, by(acting))), 'allowedIps')
    assert.equal(verdict(await storage.updateKey(updating(key, { allowedIps: ['10.1.0.0/16'] }, by(acting)))), 'api_key.updated')
  })
}
