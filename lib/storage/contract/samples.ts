// What the cases of the storage contract are made of: sample keys, changes and events.
import { CHANGES, type AuditBy, type NewAuditEntry, type Wording } from '../../audit/audit-entry.js'
import { sha256, ulid } from '../../crypto.js'
import type { KeyRef, NewKey, StoredKey } from '../../keys/api-key.js'
import type {
  ChangeContext, ImportKeyInput, IssueKeyInput, RenewKeyInput, RevokeKeyInput, RevokeKeysInput, RotateKeyInput, UpdateKeyInput
} from '../../keys/key-changes.js'
import type { AddSiteInput, RemoveSiteInput, StoredSite } from '../../sites/site-changes.js'
import type { UsageEvent } from '../storage.js'

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
    creatorId: null,
    disabledBy: null,
    metadata: null,
    createdAt: NOW,
    expiresAt: null,
    rotatedFrom: null,
    ...overrides
  }
}

/** Each change under its own name, worded as it is by default. */
export const WORDING = Object.fromEntries(Object.entries(CHANGES).map(([change, detail]) => [change, { action: change, detail }])) as Wording
export const CUSTOMER: AuditBy = {
  credential: 'bearer', actorId: 'person_1', actorName: 'Ada Example', ip: '203.0.113.7', requestId: 'req-1'
}
export const HOST: AuditBy = { credential: 'host', actorId: null, actorName: null, ip: null, requestId: null }

/** What every change brings with it: the customer asks, and no key acts. */
export function context (overrides: Partial<ChangeContext> = {}): ChangeContext {
  return { now: NOW, acting: null, audit: { by: CUSTOMER, wording: WORDING }, ...overrides }
}

/** The same where the host asks. */
export function hostContext (overrides: Partial<ChangeContext> = {}): ChangeContext {
  return context({ audit: { by: HOST, wording: WORDING }, ...overrides })
}

export function issuing (key: Partial<NewKey> = {}, more: Partial<IssueKeyInput> = {}): IssueKeyInput {
  return { ...context(), key: newKey(key), maxKeys: 1000, expiryGiven: true, idempotency: null, ...more }
}

/** A rotation whose successor differs in all that is its own. */
export function rotating (key: Pick<StoredKey, 'accountId' | 'publicId'>, more: Partial<RotateKeyInput> = {}): RotateKeyInput {
  const { publicId, hash } = newKey()
  return {
    ...context(),
    accountId: key.accountId,
    publicId: key.publicId,
    secret: {
      publicId, hash, prefix: 'new_sk_live_', first8: 'nEw45678', last4: 'nEw4', pepperId: 'p9', createdBy: 'Grace Example', creatorId: 'person_9', createdAt: NOW + 1
    },
    overlap: 0,
    defaultExpiresAt: null,
    idempotency: null,
    ...more
  }
}

export function renewing (key: Pick<StoredKey, 'accountId' | 'publicId'>, more: Partial<RenewKeyInput> = {}): RenewKeyInput {
  const { accountId, publicId } = key
  const { expiresAt = null } = more
  return { ...context(), accountId, publicId, expiresAt, defaultExpiresAt: expiresAt, expiryGiven: true, maxKeys: 1000, ...more }
}

export function updating (
  key: Pick<StoredKey, 'accountId' | 'publicId'>, set: UpdateKeyInput['set'], more: Partial<UpdateKeyInput> = {}
): UpdateKeyInput {
  return { ...context(), accountId: key.accountId, publicId: key.publicId, set, enabled: undefined, ...more }
}

export function revoking (key: Pick<StoredKey, 'accountId' | 'publicId'>, more: Partial<RevokeKeyInput> = {}): RevokeKeyInput {
  return { ...context(), accountId: key.accountId, publicId: key.publicId, reason: 'revoked by its owner', ...more }
}

export function revokingAll (more: Partial<RevokeKeysInput> = {}): RevokeKeysInput {
  return { ...context(), accountId: ACCOUNT, creatorId: null, reason: 'revoked by its owner', ...more }
}

export function importing (key: Partial<NewKey> = {}, more: Partial<ImportKeyInput> = {}): ImportKeyInput {
  return { ...context(), key: newKey(key), ...more }
}

export function adding (origin: string, more: Partial<AddSiteInput & { accountId: string }> = {}): AddSiteInput {
  const { accountId = ACCOUNT, ...rest } = more
  const { now, audit } = context()
  return { now, audit, acting: null, site: { siteId: `site_${ulid(NOW)}`, accountId, origin, createdAt: NOW }, maxSites: 1000, ...rest }
}

export function removing ({ accountId, siteId }: Pick<StoredSite, 'accountId' | 'siteId'>): RemoveSiteInput {
  const { now, audit } = context()
  return { now, audit, acting: null, accountId, siteId }
}

/** An entry of the host's own. */
export function newEntry (overrides: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return { ...CUSTOMER, time: NOW, action: 'login', targetType: null, targetId: null, detail: 'Signed in', ...overrides }
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
