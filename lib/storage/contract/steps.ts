// What the cases of the storage contract do with a storage: short ways to change what it holds, to read it and to compare it.
import assert from 'node:assert/strict'
import type { StoredAuditEntry } from '../../audit/audit-entry.js'
import { ulid } from '../../crypto.js'
import type { KeyStatus, NewKey, StoredKey } from '../../keys/api-key.js'
import { DAY } from '../../time.js'
import type { KeyOutcome, SiteOutcome, Storage, UsageEvent } from '../storage.js'
import { ACCOUNT, issuing, NOW, OTHER_ACCOUNT, revoking, rotating } from './samples.js'

/** The cases by name. A name is a claim about every storage. */
export type ContractCases = Readonly<Record<string, (storage: Storage) => Promise<void>>>

/** What a change did; one that did nothing fails the case. */
export function changed<O extends { readonly outcome: string }> (outcome: O | null): Extract<O, { outcome: 'changed' }> {
  assert.equal(outcome?.outcome, 'changed', JSON.stringify(outcome))
  return outcome as Extract<O, { outcome: 'changed' }>
}

/** What became of a change, in a word: the changes that were made, or why there was none. */
export function verdict (outcome: KeyOutcome | SiteOutcome | null): string {
  if (outcome === null) return 'null'
  if (outcome.outcome === 'changed') return outcome.entries.map(({ change }) => change).join(' ')
  return outcome.outcome === 'refused' ? outcome.refusal.reason : outcome.outcome
}

/** Stores a key that must not be refused. */
export async function issue (storage: Storage, overrides: Partial<NewKey> = {}, now = NOW): Promise<StoredKey> {
  return changed(await storage.issueKey(issuing(overrides, { now }))).key
}

/** Revokes a key that must be there. */
export async function revoke (storage: Storage, key: StoredKey, now = NOW): Promise<StoredKey> {
  return changed(await storage.revokeKey(revoking(key, { now }))).key
}

/** Stores a key that has this status at NOW. */
export async function issueIn (storage: Storage, status: KeyStatus, overrides: Partial<NewKey> = {}): Promise<StoredKey> {
  const key = await issue(storage, {
    ...overrides, ...status === 'disabled' && { disabledBy: 'account' }, ...status === 'expired' && { expiresAt: NOW }
  })
  if (status === 'revoked') return await revoke(storage, key)
  return status === 'retiring' ? changed(await storage.rotateKey(rotating(key, { overlap: DAY }))).updated[0]! : key
}

/** The key under the first of the digests that one is stored under. */
export async function keyByHash (storage: Storage, digests: Parameters<Storage['findKeyByHash']>[0]): Promise<StoredKey | null> {
  return (await storage.findKeyByHash(digests))?.key ?? null
}

/** Every key of the account, newest first. */
export async function keysOf (storage: Storage, accountId = ACCOUNT, now = NOW): Promise<readonly StoredKey[]> {
  const page = await storage.listKeys({ accountId, now, limit: 10_000 })
  assert.ok(page !== null && page.before === null)
  return page.keys
}

/** Every audit entry of the account, newest first. */
export async function auditOf (storage: Storage, accountId = ACCOUNT): Promise<readonly StoredAuditEntry[]> {
  const { entries, total } = await storage.listAudit({ accountId, limit: 10_000, offset: 0 })
  assert.equal(entries.length, total)
  return entries
}

/** All that is stored of an account but its usage. */
export async function stateOf (storage: Storage, accountId = ACCOUNT): Promise<unknown> {
  return [
    await keysOf(storage, accountId), await storage.countKeys(accountId, NOW), await storage.listSites(accountId, 1000),
    await auditOf(storage, accountId)
  ]
}

/** Does the work, which must leave the account exactly as it was. */
export async function withoutTrace<T> (storage: Storage, work: () => Promise<T>, accountId = ACCOUNT): Promise<T> {
  const before = await stateOf(storage, accountId)
  const result = await work()
  assert.deepEqual(await stateOf(storage, accountId), before)
  return result
}

/** The case in the presence of another account, which it must leave exactly as it was. */
export function besideOthers (check: (storage: Storage) => Promise<void>): (storage: Storage) => Promise<void> {
  return async (storage) => {
    await issue(storage, { accountId: OTHER_ACCOUNT, isDefault: true })
    await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT }))
    await withoutTrace(storage, async () => { await check(storage) }, OTHER_ACCOUNT)
  }
}

/** Records the events as one batch. */
export async function record (storage: Storage, events: readonly UsageEvent[], id = ulid(NOW)): Promise<void> {
  await storage.recordUsage({ id, sealedAt: NOW, events })
}
