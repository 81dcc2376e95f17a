// Keys held in memory, by the SHA-256 of their plaintext: bounded in number. For how long one serves is the caller's to say.
import type { FoundKey } from './api-key.js'

/**
 * Keys that need not be asked for again. A question carries a stamp from before it was asked, and so does the answer that is
 * kept: whether that one still serves is told by the two.
 */
export interface HeldKeys {
  /** Taken before anything else: what changes from now on is not in the answer. */
  stamp (): number
  /** What `put` was given under this digest, if it serves a question of this stamp. */
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
 * Two generations: when the young one is full the old one is dropped whole, which costs no search for what to drop.
 * @param maxSize from 2
 */
export class TwoGenerations {
  readonly #half: number
  #young = new Map<string, HeldKey>()
  #old = new Map<string, HeldKey>()

  constructor (maxSize: number) {
    this.#half = Math.floor(maxSize / 2)
  }

  get size (): number { return this.#young.size + this.#old.size }

  get (digest: string): HeldKey | undefined {
    return this.#young.get(digest) ?? this.#old.get(digest)
  }

  put (digest: string, found: FoundKey, stamp: number): void {
    if (this.#young.size >= this.#half && !this.#young.has(digest)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(digest, { found, stamp })
  }

  clear (): void {
    this.#young = new Map()
    this.#old = new Map()
  }
}
