// What memory storage holds, and the ways to it that its parts share.
import type { NewAuditEntry, StoredAuditEntry } from '../../audit/audit-entry.js'
import type { Environment, StoredKey } from '../../keys/api-key.js'
import type { RememberedRequest } from '../../keys/key-changes.js'
import type { StoredSite } from '../../sites/site-changes.js'
import type { UsageEvent } from '../storage.js'

export interface MemoryAccount {
  readonly number: number
  nextSequence: number
  nextEntry: number
  readonly audit: StoredAuditEntry[]
  sites: StoredSite[]
  /** By its hash, with the key it made. */
  readonly requests: Map<string, RememberedRequest & { readonly publicId: string }>
}
export interface KeyVersion { readonly label: string, readonly environment: Environment, readonly scopes: readonly string[] | null }
export type MemoryEvent = UsageEvent & { readonly order: number }

export class MemoryState {
  readonly accounts = new Map<string, MemoryAccount>()
  readonly keys = new Map<string, StoredKey>()
  readonly publicIdByHash = new Map<string, string>()
  /** By what an imported key was hashed to, wherever its hash was moved since. */
  readonly publicIdByImportedHash = new Map<string, string>()
  readonly publicIdByNumber = new Map<number, string>()
  /** By key number and version. */
  readonly versions = new Map<string, KeyVersion>()
  events: MemoryEvent[] = []
  #accounts = 0
  #keys = 0

  accountOf (accountId: string): MemoryAccount {
    let account = this.accounts.get(accountId)
    if (account === undefined) {
      account = { number: ++this.#accounts, nextSequence: 1, nextEntry: 1, audit: [], sites: [], requests: new Map() }
      this.accounts.set(accountId, account)
    }
    return account
  }

  nextKeyNumber (): number {
    return ++this.#keys
  }

  put (key: StoredKey): StoredKey {
    this.keys.set(key.publicId, key)
    this.publicIdByHash.set(key.hash, key.publicId)
    this.publicIdByNumber.set(key.ref.key, key.publicId)
    this.versions.set(`${key.ref.key}/${key.ref.version}`, { label: key.label, environment: key.environment, scopes: key.scopes })
    return key
  }

  /** Removes keys with what refers to them; totals are counted from events, so that these go too. */
  remove (gone: readonly StoredKey[]): void {
    for (const key of gone) {
      this.keys.delete(key.publicId)
      this.publicIdByHash.delete(key.hash)
      this.publicIdByNumber.delete(key.ref.key)
      for (const [hash, publicId] of this.publicIdByImportedHash) if (publicId === key.publicId) this.publicIdByImportedHash.delete(hash)
      for (let version = 1; version <= key.ref.version; version++) this.versions.delete(`${key.ref.key}/${version}`)
    }
    const numbers = new Set(gone.map(({ ref }) => ref.key))
    this.events = this.events.filter(({ key }) => !numbers.has(key.key))
  }

  /** Newest first. */
  keysOf (accountId: string): StoredKey[] {
    return [...this.keys.values()].filter((key) => key.accountId === accountId).sort((a, b) => b.sequence - a.sequence)
  }

  owned (accountId: string, publicId: string): StoredKey | null {
    const key = this.keys.get(publicId)
    return key !== undefined && key.accountId === accountId ? key : null
  }

  siteOriginsFor ({ access, allowedOrigins, accountId }: StoredKey): string[] {
    const follows = access === 'publishable' && allowedOrigins.length === 0
    return follows ? this.accounts.get(accountId)!.sites.map(({ origin }) => origin) : []
  }

  addEntry (accountId: string, entry: NewAuditEntry): StoredAuditEntry {
    const account = this.accountOf(accountId)
    const stored = { ...entry, id: account.nextEntry++ }
    account.audit.push(stored)
    return stored
  }
}
