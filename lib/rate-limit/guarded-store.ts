// A store that may fail or hang, behind the option `onStoreError`: no request waits for it long, and the log has one line a change.
import { makeError, RETRY_AFTER } from '../errors.js'
import { within, type Clock } from '../time.js'
import { memoryRateLimitStore } from './memory-store.js'
import type { Bucket, Consumed, LimitState, RateLimit, RateLimitStore } from './rate-limit.js'

/** While the store fails: count in this process alone, refuse with 503, or admit uncounted. */
export type OnStoreError = 'local' | 'deny' | 'allow'

/** ms that the store may take. A request must not wait for its limit much longer than for its answer. */
const PATIENCE = 500
/** ms after a failure in which the store is left alone; then one request tries it. */
const PAUSE = 1000

/** What the rest of the library asks: a store whose failures have been dealt with. */
export interface RateLimitCounter {
  /**
   * null: admitted without being counted.
   * @param lenient counts here where `onStoreError` is `deny`
   * @throws STORAGE_UNAVAILABLE where it is
   */
  consume (buckets: readonly Bucket[], cost: number, lenient?: boolean): Consumed | null | Promise<Consumed | null>
  /** Never fails: what is shown of a key must not undo that the key was issued. While the store is away, what this process counted. */
  peek (buckets: readonly Bucket[]): readonly LimitState[] | Promise<readonly LimitState[]>
  /** @throws STORAGE_UNAVAILABLE */
  reset (buckets: readonly Bucket[]): void | Promise<void>
}

export interface GuardedStoreParts {
  readonly store: RateLimitStore
  readonly onStoreError: OnStoreError
  /** ms */
  readonly timeout: number
  readonly clock: Clock
  readonly log: Record<'info' | 'warn', (details: object, message: string) => void>
}

const MEANWHILE: Record<OnStoreError, string> = {
  local: 'this instance counts by itself',
  deny: 'requests that have one are refused with 503',
  allow: 'requests are admitted uncounted'
}

export function guardedRateLimitStore ({ store, onStoreError, timeout, clock, log }: GuardedStoreParts): RateLimitCounter {
  const local = memoryRateLimitStore({ clock })
  const patience = Math.min(PATIENCE, timeout)
  /** When the store failed last; null: it answers. */
  let failedAt: number | null = null
  let trying = false
  /** It failed, and has answered since with nothing that proves that it counts: every request may find that out. */
  let doubtful = false

  /**
   * @param proves does this answer show that the store counts again? One that can only be read does not.
   * @returns null if the store is away
   */
  const ask = async <T>(call: () => T | Promise<T>, proves: (answer: T) => boolean): Promise<{ answer: T } | null> => {
    const askedAt = clock.monotonic()
    const failing = failedAt !== null
    if (failing && !doubtful && (trying || askedAt - failedAt! < PAUSE)) return null
    if (failing) trying = true
    try {
      const answer = await within(patience, (async () => await call())(), () => new Error(`no answer in ${patience} ms`))
      // What was asked for before the failure does not end it.
      if (failedAt !== null && askedAt > failedAt) {
        doubtful = !proves(answer)
        if (!doubtful) {
          failedAt = null
          log.info({}, 'the rate limit store answers again')
        }
      }
      if (failing) trying = false
      return { answer }
    } catch (err) {
      if (failing) trying = false
      if (failedAt === null) log.warn({ err }, `the rate limit store fails: until it answers, ${MEANWHILE[onStoreError]}`)
      failedAt = clock.monotonic()
      doubtful = false
      return null
    }
  }

  return {
    async consume (buckets, cost, lenient = false) {
      // A refusal charges nothing, and tells nothing of a server that takes no writes.
      const asked = await ask(async () => checkConsumed(await store.consume(buckets, cost), buckets), ({ allowed }) => allowed)
      if (asked !== null) return asked.answer
      if (onStoreError === 'deny' && !lenient) throw storeAway()
      return onStoreError === 'allow' ? null : await local.consume(buckets, cost)
    },

    async peek (buckets) {
      const asked = await ask(async () => checkStates(await store.peek(buckets), buckets), () => false)
      return asked === null ? await local.peek(buckets) : asked.answer
    },

    async reset (buckets) {
      await local.reset(buckets)
      if (await ask(async () => { await store.reset(buckets) }, () => true) === null) throw storeAway()
    }
  }
}

/** An answer that is none is a failure: further on it would be an error of ours, after the key was issued. */
function checkConsumed (answer: Consumed, buckets: readonly Bucket[]): Consumed {
  if (typeof answer?.allowed !== 'boolean' || (answer.refusedBy === null) !== answer.allowed) {
    throw new TypeError('The rate limit store answered nothing that says whether the request is admitted.')
  }
  return { allowed: answer.allowed, states: checkStates(answer.states, buckets), refusedBy: answer.refusedBy === null ? null : checkState(answer.refusedBy, answer.refusedBy.limit) }
}

function checkStates (states: readonly LimitState[], buckets: readonly Bucket[]): readonly LimitState[] {
  if (!Array.isArray(states) || states.length !== buckets.length) throw new TypeError('The rate limit store answered no state for each bucket.')
  return states.map((state, place) => checkState(state, buckets[place]!.limit))
}

function checkState (state: LimitState, limit: RateLimit): LimitState {
  const { remaining, resetMs } = state
  if (![remaining, resetMs, limit.max].every((number) => Number.isFinite(number) && number >= 0)) throw new TypeError('The rate limit store answered a state without its numbers.')
  return { limit, remaining, resetMs }
}

function storeAway (): Error {
  return makeError('STORAGE_UNAVAILABLE', {
    message: 'The rate limit could not be checked. Try again shortly.',
    details: { part: 'rateLimit', retryAfter: RETRY_AFTER }
  })
}
