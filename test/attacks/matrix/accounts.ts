// The two accounts of the matrix: what they have, how that is put back after a change, and what must never be shown of it.
import { sha256, ulid } from '../../../lib/crypto.js'
import type { NewKey, Storage, StoredAuditEntry, StoredKey, StoredSite } from '../../../lib/index.js'
import { displayParts, generateKey } from '../../../lib/keys/key-format.js'
import { DAY, HOUR } from '../../../lib/time.js'
import {
  ACCOUNT, adding, auditOf, changed, event, issue, keysOf, NOW, OTHER_ACCOUNT, record, revoke, rotating
} from '../../helpers/keys.js'

export type Who = 'A' | 'B'
export const BOTH: readonly Who[] = ['A', 'B']
export const ACCOUNT_IDS: Readonly<Record<Who, string>> = { A: ACCOUNT, B: OTHER_ACCOUNT }
/** Is in every name and origin of the account. */
export const MARKS: Readonly<Record<Who, string>> = { A: 'alpha', B: 'beta' }
/** What the accounts' policies tell apart. */
export const MAX_SITES: Readonly<Record<Who, number>> = { A: 71, B: 72 }

export const SCOPES = {
  'account:read': 'Read the account', 'account:write': 'Change the account', 'data:read': 'Read data', 'data:write': 'Change data'
}
export type ScopeName = keyof typeof SCOPES
/** Where the publishable key may be used from. */
export const PAGE_ORIGIN = 'https://page.example'

/** What a key was given; what is left out is: of A, live, secret, all scopes, working, without an end. */
export interface KeyFacts {
  readonly of?: Who
  readonly scopes?: readonly ScopeName[]
  readonly environment?: 'test'
  readonly access?: 'publishable'
  readonly state?: 'revoked' | 'expired' | 'disabled' | 'retiring'
  /** When a working key ends. */
  readonly expiresAt?: number
}

export const KEYS = {
  // These are presented.
  full: {},
  reader: { scopes: ['data:read'] },
  manager: { scopes: ['account:read', 'account:write', 'data:read'] },
  test: { environment: 'test' },
  theirs: { of: 'B' },
  publishable: { access: 'publishable' },
  revoked: { state: 'revoked' },
  expired: { state: 'expired' },
  disabled: { state: 'disabled' },
  retiring: { state: 'retiring' },
  // These are what requests are about. The one that was revoked would have ended before the one that retires.
  own: { scopes: ['data:write'] },
  other: { of: 'B', scopes: ['data:write'] },
  ended: { scopes: ['data:write'], state: 'revoked', expiresAt: NOW + HOUR }
} as const satisfies Record<string, KeyFacts>
export type KeyName = keyof typeof KEYS

export function factsOf (name: KeyName): KeyFacts {
  return KEYS[name]
}

const NAMES = Object.keys(KEYS) as KeyName[]
export const PLAINTEXTS = Object.fromEntries(NAMES.map((name) => [name, generateKey(name === 'publishable' ? 'pk_live_' : 'sk_live_')])) as Record<KeyName, string>
export const PUBLIC_IDS = Object.fromEntries(NAMES.map((name) => [name, `key_${ulid(NOW)}`])) as Record<KeyName, string>
export const SITE_IDS: Readonly<Record<Who, string>> = { A: `site_${ulid(NOW)}`, B: `site_${ulid(NOW)}` }

/** What the host keeps with each key. */
const METADATA = { plan: 'plan-for-the-host-alone' }
/** What no answer may hold: the accounts' ids, keys and their hashes, the host's own notes. */
export const SECRETS: readonly string[] = [
  ...Object.values(ACCOUNT_IDS), ...Object.values(PLAINTEXTS), ...Object.values(PLAINTEXTS).map(sha256), METADATA.plan
]

/** What tells that an answer is about the account. */
export function marksOf (who: Who): string[] {
  const ids = NAMES.filter((name) => (factsOf(name).of ?? 'A') === who).map((name) => PUBLIC_IDS[name])
  return [MARKS[who], `"maxSites":${MAX_SITES[who]}`, SITE_IDS[who], ...ids]
}

/** Takes all that the accounts have and gives them what they had at first. */
export async function putBack (storage: Storage): Promise<void> {
  for (const accountId of Object.values(ACCOUNT_IDS)) while (await storage.eraseAccount(accountId, 1000) > 0);
  for (const name of NAMES) await store(storage, name)
  for (const who of BOTH) {
    const accountId = ACCOUNT_IDS[who]
    const site = { siteId: SITE_IDS[who], accountId, origin: `https://${MARKS[who]}.example`, createdAt: NOW }
    changed(await storage.addSite(adding(site.origin, { site })))
  }
}

async function store (storage: Storage, name: KeyName): Promise<void> {
  const { of = 'A', scopes = null, environment = 'live', access = 'secret', state, expiresAt = null } = factsOf(name)
  const key: Partial<NewKey> = {
    ...displayParts(PLAINTEXTS[name]),
    publicId: PUBLIC_IDS[name],
    accountId: ACCOUNT_IDS[of],
    label: `${MARKS[of]} ${name}`,
    hash: sha256(PLAINTEXTS[name]),
    metadata: METADATA,
    scopes,
    environment,
    access,
    allowedOrigins: access === 'publishable' ? [PAGE_ORIGIN] : [],
    disabledBy: state === 'disabled' ? 'account' : null,
    expiresAt: state === 'expired' ? NOW : expiresAt
  }
  const stored = await issue(storage, key)
  if (state === 'revoked') await revoke(storage, stored)
  if (state === 'retiring') changed(await storage.rotateKey(rotating(stored, { overlap: DAY })))
  // Its usage is what the account's snapshot shows.
  if (name === 'own' || name === 'other') await record(storage, [event(stored, NOW - 1)])
}

/** What an account has, as text, and how many audit entries. */
export interface State { readonly text: string, readonly entries: number }

/** All that is stored of an account but use. */
export async function stateOf (storage: Storage, who: Who): Promise<State> {
  const accountId = ACCOUNT_IDS[who]
  const entries = await auditOf(storage, accountId)
  const rows = [...await keysOf(storage, accountId), ...await storage.listSites(accountId, 1000), ...entries]
  return { text: rows.map(textOf).join('\n'), entries: entries.length }
}

/** Rows are never changed, only replaced: the text of each is made once. */
const texts = new WeakMap<object, string>()

function textOf (row: StoredKey | StoredSite | StoredAuditEntry): string {
  let text = texts.get(row)
  if (text === undefined) {
    text = JSON.stringify({ ...row, lastUsedAt: null })
    texts.set(row, text)
  }
  return text
}
