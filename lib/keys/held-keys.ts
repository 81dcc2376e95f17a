// Keys held in memory, by the SHA-256 of their plaintext: bounded in number. For how long one serves is the caller's to say.
import type { FoundKey } from './api-key.js'
import { secondLook } from './second-look.js'

/**
 * Keys that need not be asked for again. A question carries a stamp from before it was asked, and so does the answer that is
 * kept: whether that one still serves is told by the two.
 */
export interface HeldKeys {
  /** Taken before anything else: what changes from now on is not in the answer. */
  stamp (): number
  /** A copy of what `put` was given under this digest, `held`, if it serves a question of this stamp: the same object each time. */
  get (digest: string, stamp: number): FoundKey | undefined
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

/** A key, and the stamp of the question that it answered. */
export interface HeldKey { readonly found: FoundKey, readonly stamp: number }

/**
 * Two generations: when the young one is full the old one is dropped whole, which costs no search for what to drop; what is
 * used meanwhile moves from the old to the young. Once there is an old one, a key is let in at its second look: a sweep over
 * more keys than there is room for would push out those in use, and be garbage by the time it comes round.
 * @param maxSize from 2
 */
export class TwoGenerations {
  readonly #half: number
  readonly #lookedForBefore: (digest: string) => boolean
  #young = new Map<string, HeldKey>()
  #old = new Map<string, HeldKey>()

  constructor (maxSize: number) {
    this.#half = Math.floor(maxSize / 2)
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
    if (held || this.#old.size === 0 || this.#lookedForBefore(digest)) this.#move(digest, { found: copied(found), stamp })
  }

  clear (): void {
    this.#young = new Map()
    this.#old = new Map()
  }

  #move (digest: string, held: HeldKey): void {
    this.#old.delete(digest)
    if (this.#young.size >= this.#half && !this.#young.has(digest)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(digest, held)
  }
}

/**
 * V8 learns of each place in the code whether what is made there lives long, and then makes it among the old objects, where it
 * waits for the collection that takes long. So what is held is made here, and what was read for one request stays young.
 */
function copied ({ key, siteOrigins }: FoundKey): FoundKey {
  return { key: { ...key }, siteOrigins, held: true }
}
