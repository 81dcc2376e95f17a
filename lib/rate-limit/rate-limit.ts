// What a rate limit is, and the port of the stores that count for it.

/** At most `max` per window; the window opens with the first request charged and lasts `windowMs`. */
export interface RateLimit { readonly name: string, readonly max: number, readonly windowMs: number }

/** Where one caller's requests are counted for one limit. */
export interface Bucket {
  /** No other limit, and no other caller, has it. */
  readonly id: string
  /** Whose it is: the account id. All buckets of one call are of one owner, so that a store may keep these together. */
  readonly owner: string
  readonly limit: RateLimit
}

/** Where a limit stands. `resetMs`: until the window ends, 0 when none is open. */
export interface LimitState { readonly limit: RateLimit, readonly remaining: number, readonly resetMs: number }

export interface Consumed {
  readonly allowed: boolean
  /** One for each bucket, in their order, after the request was charged or refused. */
  readonly states: readonly LimitState[]
  /** The limit that refused: of several, the one that opens last. `resetMs` says when to try again. */
  readonly refusedBy: LimitState | null
}

/**
 * Counts for rate limits. An answer may be late (a server) or at once (memory); a rejection is a failure, which the option
 * `onStoreError` decides about. `rateLimitStoreContract` of `fastify-self-serve-keys/testing` is this port's executable form.
 */
export interface RateLimitStore {
  /**
   * Charges `cost` to all of the buckets, or to none if one of them has no room for it: one atomic step, as `decide` says.
   * @param buckets at least one
   */
  consume (buckets: readonly Bucket[], cost: number): Consumed | Promise<Consumed>
  /** Where the buckets stand, in their order, in one call, charging nothing. */
  peek (buckets: readonly Bucket[]): readonly LimitState[] | Promise<readonly LimitState[]>
  /** Empties the buckets: the next request opens a new window. */
  reset (buckets: readonly Bucket[]): void | Promise<void>
}
