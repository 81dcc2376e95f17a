// What the cases of the storage contract are made of: sample keys and events, and short ways to store and to compare them.
import assert from 'node:assert/strict'
import { sha256, ulid } from '../../crypto.js'
import type { KeyRef, NewKey, StoredKey } from '../../keys/api-key.js'
import type { Storage, UsageEvent } from '../storage.js'

/** The cases by name. A name is a claim about every storage. */
export type ContractCases = Readonly<Record<string, (storage: Storage) => Promise<void>>>

/** In the middle of a minute, an hour and a day. */
export const NOW = Date.UTC(2026, 0, 15, 12, 34, 56, 789)
export const ACCOUNT = 'user_a'
export const OTHER_ACCOUNT = 'user_b'

/** Texts that a storage may mistake for its own: quotes, wildcards, SQL, escapes, characters outside the BMP. */
export const STRANGE_TEXTS = [
  'it\'s "quoted" `thrice`', '100 % _under_score', '\'; drop table api_keys; --', '{prefix}accounts', '\\n \\u0000 $1 ?', ' padded\t',
  'line\nbreak\r\n', '🔑 👩‍👩‍👧 e\u0301 é', 'null', '[]'
]

/** A key about to be stored, with an id and a hash of its own. */
export function newKey (overrides: Partial<NewKey> = {}): NewKey {
  const publicId = `key_${ulid(NOW)}`
  return {
    publicId,
    accountId: ACCOUNT,
    label: 'Server',
    environment: 'live',
    access: 'secret',
    scopes: ['blocks:read'],
    allowedOrigins: [],
    allowedIps: [],
    isDefault: false,
    prefix: 'sk_live_',
    first8: 'aB3dE6gH',
    last4: '9z8a',
    hash: sha256(publicId),
    pepperId: null,
    createdBy: null,
    metadata: null,
    createdAt: NOW,
    expiresAt: null,
    rotatedFrom: null,
    ...overrides
  }
}

/** Stores a key that must not be refused. */
export async function issue (storage: Storage, overrides: Partial<NewKey> = {}, now = NOW): Promise<StoredKey> {
  const result = await storage.issueKey({ key: newKey(overrides), maxKeys: 1000, now })
  assert.ok(result.outcome === 'issued' || result.outcome === 'rotated', `the key was refused: ${result.outcome}`)
  return result.key
}

/** Revokes a key that must be there. */
export async function revoke (storage: Storage, key: StoredKey, now = NOW): Promise<StoredKey> {
  const result = await storage.revokeKey({ accountId: key.accountId, publicId: key.publicId, reason: 'revoked by its owner', now })
  assert.ok(result !== null, 'the key is not there')
  return result.key
}

/** Every key of the account, newest first. */
export async function keysOf (storage: Storage, accountId = ACCOUNT, now = NOW): Promise<readonly StoredKey[]> {
  const page = await storage.listKeys({ accountId, now, limit: 10_000 })
  assert.ok(page !== null && page.before === null)
  return page.keys
}

/** The case in the presence of another account, which it must leave exactly as it was. */
export function besideOthers (check: (storage: Storage) => Promise<void>): (storage: Storage) => Promise<void> {
  return async (storage) => {
    await issue(storage, { accountId: OTHER_ACCOUNT, isDefault: true })
    await revoke(storage, await issue(storage, { accountId: OTHER_ACCOUNT }))
    const others = async (): Promise<unknown> =>
      [await keysOf(storage, OTHER_ACCOUNT), await storage.countKeys(OTHER_ACCOUNT, NOW)]
    const before = await others()
    await check(storage)
    assert.deepEqual(await others(), before)
  }
}

export function event (key: { readonly ref: KeyRef }, time: number, overrides: Partial<UsageEvent> = {}): UsageEvent {
  return {
    key: key.ref,
    time,
    method: 'GET',
    route: '/v1/blocks/:height',
    status: 200,
    durationMs: 1.25,
    failureCode: null,
    requestId: null,
    ...overrides
  }
}

export function failure (key: { readonly ref: KeyRef }, time: number, overrides: Partial<UsageEvent> = {}): UsageEvent {
  return event(key, time, { status: 429, failureCode: 'RATE_LIMITED', requestId: 'req-1', ...overrides })
}

/** Records the events as one batch. */
export async function record (storage: Storage, events: readonly UsageEvent[], id = ulid(NOW)): Promise<void> {
  await storage.recordUsage({ id, sealedAt: NOW, events })
}
