// Rate limits in the slowest and plainest words: whatever was asked for is kept, and all of it is counted anew for each question.
import fc, { type Arbitrary } from 'fast-check'
import type { Consumed, LimitState, RateLimit } from '../../lib/rate-limit/rate-limit.js'

/** One request under one limit: what it was charged (0: it was refused), and how long a window lasted by then. */
interface Asked { readonly at: number, readonly charged: number, readonly windowMs: number }

/** What a request says, or another step of a history. */
export interface Step {
  /** Time that passes before. */
  readonly pass: number
  readonly kind: 'consume' | 'peek' | 'reset'
  readonly cost: number
  /** Which of the plans is in force, by its place. */
  readonly plan: number
}

export interface History { readonly plans: readonly RateLimit[][], readonly steps: readonly Step[] }

/** DESIGN.md §8 about limits that are told apart by their names. It never asks the library. */
export class RateLimitModel {
  readonly #asked = new Map<string, Asked[]>()
  now = 0

  consume (limits: readonly RateLimit[], cost: number): Consumed {
    const before = this.peek(limits)
    const refusing = before.filter(({ remaining }) => cost > remaining)
    const allowed = refusing.length === 0
    for (const { name, windowMs } of limits) this.#of(name).push({ at: this.now, charged: allowed ? cost : 0, windowMs })
    const waits = refusing.map((state) => state.resetMs > 0 ? state : { ...state, resetMs: state.limit.windowMs })
    return { allowed, states: this.peek(limits), refusedBy: waits.toSorted((a, b) => b.resetMs - a.resetMs)[0] ?? null }
  }

  peek (limits: readonly RateLimit[]): LimitState[] {
    return limits.map((limit) => ({
      limit,
      remaining: Math.max(0, limit.max - this.#used(limit)),
      resetMs: Math.min(Math.max(0, this.#window(limit.name).end - this.now), limit.windowMs)
    }))
  }

  reset (limits: readonly RateLimit[]): void {
    for (const { name } of limits) this.#asked.delete(name)
  }

  #of (name: string): Asked[] {
    const asked = this.#asked.get(name) ?? []
    this.#asked.set(name, asked)
    return asked
  }

  #used ({ name }: RateLimit): number {
    const { end, charged } = this.#window(name)
    return end > this.now ? charged : 0
  }

  /** The last window: the first charge opens it, and whoever asks under a shorter limit brings its end nearer. */
  #window (name: string): { end: number, charged: number } {
    let end = -Infinity
    let charged = 0
    for (const request of this.#of(name)) {
      if (request.at < end) end = Math.min(end, request.at + request.windowMs)
      else if (request.charged > 0) [end, charged] = [request.at + request.windowMs, 0]
      charged += request.charged
    }
    return { end, charged }
  }
}

const KINDS: ReadonlyArray<Step['kind']> = [...Array<'consume'>(8).fill('consume'), 'peek', 'reset']

/**
 * Histories of one to three limits whose plan changes now and then.
 * @param unit ms; every window and every pause is a multiple of it
 */
export function histories (unit: number, length = 60): Arbitrary<History> {
  const limit = fc.record({ max: fc.integer({ min: 1, max: 8 }), windowMs: fc.integer({ min: 1, max: 15 }).map((units) => units * unit) })
  const plans = fc.integer({ min: 1, max: 3 }).chain((count) => fc.array(
    fc.array(limit, { minLength: count, maxLength: count }).map((limits) => limits.map((rest, place) => ({ name: 'abc'[place]!, ...rest }))),
    { minLength: 1, maxLength: 3 }
  ))
  return plans.chain((plans) => fc.record({
    plans: fc.constant(plans),
    steps: fc.array(fc.record({
      pass: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 0, max: 8 }).map((units) => units * unit) }),
      kind: fc.constantFrom(...KINDS),
      cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) }),
      plan: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: plans.length - 1 }) })
    }), { minLength: 1, maxLength: length, size: 'max' })
  }))
}
