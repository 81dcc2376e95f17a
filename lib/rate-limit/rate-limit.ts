// What a rate limit is, the decision it makes, and the port of the stores that count for it.

/** At most `max` per window; the window opens with the first request charged and lasts `windowMs`. */
export interface RateLimit { readonly name: string, readonly max: number, readonly windowMs: number }

/** An open window. `endsAt` is in the store's own monotonic time. */
export interface Window { readonly used: number, readonly endsAt: number }

/** A limit's bucket: one per (whom, limit). */
export interface Bucket { readonly id: string, readonly limit: RateLimit }

/** Where a limit stands. `resetMs`: until the window ends, 0 when none is open. */
export interface LimitState { readonly limit: RateLimit, readonly remaining: number, readonly resetMs: number }

export interface Consumed {
  readonly allowed: boolean
  /** One for each bucket, in their order, after the request was charged or refused. */
  readonly states: readonly LimitState[]
  /** The limit that refused: of several, the one that opens last. */
  readonly refusedBy: LimitState | null
}

/** Counts for rate limits. An answer may be late (a server) or at once (memory). */
export interface RateLimitStore {
  /** Charges one request to all of the buckets, or to none if one of them is full. */
  consume (buckets: readonly Bucket[]): Consumed | Promise<Consumed>
  /** Where the buckets stand, charging nothing. */
  peek (buckets: readonly Bucket[]): readonly LimitState[] | Promise<readonly LimitState[]>
}

/** The window after one more request, or null when the limit is reached. Pure. */
export function admit (window: Window | undefined, limit: RateLimit, now: number): Window | null {
  if (window === undefined || window.endsAt <= now) return { used: 1, endsAt: now + limit.windowMs }
  return window.used < limit.max ? { used: window.used + 1, endsAt: window.endsAt } : null
}

/** Where a limit stands with this window. Pure. */
export function standingOf (window: Window | undefined, limit: RateLimit, now: number): LimitState {
  if (window === undefined || window.endsAt <= now) return { limit, remaining: limit.max, resetMs: 0 }
  return { limit, remaining: Math.max(0, limit.max - window.used), resetMs: window.endsAt - now }
}
