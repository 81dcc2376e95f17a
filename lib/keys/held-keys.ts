// Keys held in memory, by the SHA-256 of their plaintext: bounded in number. For how long one serves is the caller's to say.
import type { FoundKey, IdentifiedKey } from './api-key.js'
import { secondLook } from './second-look.js'

/**
 * Keys that need not be asked for again. A question carries a stamp from before it was asked, and so does the answer that is
 * kept: whether that one still serves is told by the two.
 */
export interface HeldKeys {
  /** Taken before anything else: what changes from now on is not in the answer. */
  stamp (): number
  /** What verification needs of what `put` was given under this digest, if it serves a question of this stamp: the same object each time. */
  get (digest: string, stamp: number): IdentifiedKey | undefined
  put (digest: string, found: FoundKey, stamp: number): void
  /** Keys held, those that nobody gets any more included. */
  readonly size: number
}

/** Keys that somebody may say have changed: what was asked for before is not served after. */
export interface EvictableKeys extends HeldKeys {
  evictKey (publicId: string): void
  /** All keys of the account. */
  evictAccount (accountId: string): void
  evictAll (): void
}

/** Lists of scopes that are shared at most; with more, all begin anew, so that none stays for keys that are gone. */
const MAX_LISTS = 1000

/** A key, and the stamp of the question that it answered. */
export interface HeldKey { readonly found: IdentifiedKey, readonly stamp: number }

/**
 * Two generations: what is used moves from the old to the young, what has to make room is the first of the old, and when none
 * of them is left the young are the old ones. Once there is no room left, a key is let in at its second look: a sweep over more keys
 * than there is room for would push out those in use, and be garbage by the time it comes round.
 * @param maxSize from 2
 */
export class TwoGenerations {
  readonly #maxSize: number
  readonly #lookedForBefore: (digest: string) => boolean
  readonly #lists = new Map<string, readonly string[]>()
  #young = new Map<string, HeldKey>()
  #old = new Map<string, HeldKey>()
  /** Of the old, from the first on: it goes on behind those that are gone. */
  #first = this.#old.keys()

  constructor (maxSize: number) {
    this.#maxSize = maxSize
    this.#lookedForBefore = secondLook(maxSize)
  }

  get size (): number { return this.#young.size + this.#old.size }

  get (digest: string): HeldKey | undefined {
    const young = this.#young.get(digest)
    if (young !== undefined || this.#old.size === 0) return young
    const old = this.#old.get(digest)
    if (old !== undefined) this.#move(digest, old)
    return old
  }

  put (digest: string, found: FoundKey, stamp: number): void {
    const held = this.#young.has(digest) || this.#old.has(digest)
    if (!held && this.size >= this.#maxSize) {
      if (!this.#lookedForBefore(digest)) return
      this.#old.delete(this.#first.next().value!)
    }
    this.#move(digest, { found: copied(found, this.#shared(found.key.scopes)), stamp })
  }

  clear (): void {
    this.#young = new Map()
    this.#age()
  }

  /** The same list for all keys that have the same scopes: most of thousands do. */
  #shared (scopes: FoundKey['key']['scopes']): FoundKey['key']['scopes'] {
    if (scopes === null) return null
    const text = JSON.stringify(scopes)
    const known = this.#lists.get(text)
    if (known !== undefined) return known
    if (this.#lists.size >= MAX_LISTS) this.#lists.clear()
    this.#lists.set(text, scopes)
    return scopes
  }

  #move (digest: string, held: HeldKey): void {
    this.#old.delete(digest)
    this.#young.set(digest, held)
    // At once, not when room is needed: until then those in use are young again.
    if (this.#old.size === 0 && this.#young.size >= this.#maxSize) this.#age()
  }

  #age (): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#first = this.#old.keys()
  }
}

/**
 * V8 learns of each place in the code whether what is made there lives long, and then makes it among the old objects, where it
 * waits for the collection that takes long. So what is held is made here, and what was read for one request stays young. Name by
 * name, with what is needed alone: a key that is spread out over memory takes longer to look at.
 */
function copied ({ key, siteOrigins }: FoundKey, scopes: FoundKey['key']['scopes']): IdentifiedKey {
  return {
    key: {
      publicId: key.publicId,
      accountId: key.accountId,
      ref: key.ref,
      label: key.label,
      // Texts that the program has anyway, not one each.
      environment: key.environment === 'live' ? 'live' : 'test',
      access: key.access === 'secret' ? 'secret' : 'publishable',
      scopes,
      allowedOrigins: key.allowedOrigins,
      allowedIps: key.allowedIps,
      hash: key.hash,
      pepperId: key.pepperId,
      disabledBy: key.disabledBy,
      metadata: key.metadata,
      expiresAt: key.expiresAt,
      retiresAt: key.retiresAt,
      revokedAt: key.revokedAt
    },
    siteOrigins,
    held: true
  }
}
