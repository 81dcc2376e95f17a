// The decision about a request: it agrees with a model that counts every request anew, and with a table of the cases that matter.
import { deepStrictEqual as same, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { decide, stateOf, type Window } from '../../lib/rate-limit/decision.js'
import type { RateLimit } from '../../lib/rate-limit/rate-limit.js'
import { histories, RateLimitModel } from '../helpers/rate-limit-model.js'

// Another seed, or more runs: MODEL_SEED=7 MODEL_RUNS=20000. A failure prints the seed and the shortest history that shows it.
const SEED = Number(process.env.MODEL_SEED ?? 20260115)
const RUNS = Number(process.env.MODEL_RUNS ?? 2000)

const PER_MINUTE: RateLimit = { name: 'minute', max: 3, windowMs: 60_000 }
const PER_HOUR: RateLimit = { name: 'hour', max: 5, windowMs: 3_600_000 }
const NONE: Window = { used: 0, left: 0 }

/** What it is given must come out unchanged: a write throws. */
function frozen<T extends object> (list: readonly T[]): readonly T[] {
  return Object.freeze(list.map((item) => Object.freeze({ ...item })))
}

t.test('decide and stateOf agree with a model that keeps every request, over random histories of limits, costs and plans', async (t) => {
  const seen = { admitted: 0, refused: 0, cut: 0, beyond: 0, several: 0 }
  fc.assert(fc.property(histories(1), ({ plans, steps }) => {
    const model = new RateLimitModel()
    /** What a store would hold: the windows as they were decided, and when. */
    let windows: readonly Window[] = plans[0]!.map(() => NONE)
    for (const { pass, kind, cost, plan } of steps) {
      const limits = plans[plan]!
      model.now += pass
      windows = frozen(windows.map(({ used, left }) => ({ used, left: left - pass })))
      if (kind === 'reset') {
        model.reset(limits)
        windows = limits.map(() => NONE)
      } else if (kind === 'peek') {
        same(limits.map((limit, place) => stateOf(limit, windows[place]!)), model.peek(limits))
      } else {
        if (windows.some(({ left }, place) => left > limits[place]!.windowMs)) seen.cut++
        const { windows: next, ...consumed } = decide(frozen(limits), windows, cost)
        same(consumed, model.consume(limits, cost))
        same(next.map((window, place) => stateOf(limits[place]!, window)), consumed.states)
        seen[consumed.allowed ? 'admitted' : 'refused']++
        if (limits.some(({ max }) => cost > max)) seen.beyond++
        if (!consumed.allowed && consumed.states.filter(({ remaining }) => remaining < cost).length > 1) seen.several++
        windows = next
      }
    }
  }), { numRuns: RUNS, seed: SEED })
  for (const [what, count] of Object.entries(seen)) t.ok(count > RUNS / 4, `${what}: ${count}`)
})

t.test('whatever a store tells of its windows, an answer stays within its limits, and a refusal charges none', async (t) => {
  const number = fc.integer({ min: -100, max: 200 })
  const limit = fc.record({ name: fc.constant('any'), max: fc.integer({ min: 1, max: 50 }), windowMs: fc.integer({ min: 1, max: 100 }) })
  const window = fc.record({ used: fc.integer({ min: 0, max: 100 }), left: number })
  t.doesNotThrow(() => {
    fc.assert(fc.property(fc.array(fc.tuple(limit, window), { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 60 }), (pairs, cost) => {
      const limits = pairs.map(([limit]) => limit)
      const before = frozen(pairs.map(([, window]) => window))
      const { allowed, states, refusedBy, windows } = decide(limits, before, cost)
      states.forEach(({ limit, remaining, resetMs }, place) => {
        same(limit, limits[place])
        ok(remaining >= 0 && remaining <= limit.max && resetMs >= 0 && resetMs <= limit.windowMs)
        const opened = before[place]!.left > 0 ? before[place]!.used : 0
        same(windows[place]!.used, allowed ? opened + cost : opened)
        ok(windows[place]!.used <= limit.max || !allowed)
      })
      ok(allowed ? refusedBy === null : refusedBy!.resetMs > 0 && refusedBy!.resetMs <= refusedBy!.limit.windowMs)
    }), { numRuns: RUNS, seed: SEED })
  })
})

t.test('the table', async (t) => {
  const cases: Record<string, { limits?: RateLimit[], windows: Window[], cost?: number, allowed: boolean, after: Window[], refusedBy?: [string, number] }> = {
    'the first request opens the window': { windows: [NONE], allowed: true, after: [{ used: 1, left: 60_000 }] },
    'the next does not put off its end': { windows: [{ used: 1, left: 17 }], allowed: true, after: [{ used: 2, left: 17 }] },
    'the last that has room is admitted': { windows: [{ used: 2, left: 1 }], allowed: true, after: [{ used: 3, left: 1 }] },
    'one more is refused until the window ends': {
      windows: [{ used: 3, left: 1 }], allowed: false, after: [{ used: 3, left: 1 }], refusedBy: ['minute', 1]
    },
    'a window that ends this very moment is none': { windows: [{ used: 3, left: 0 }], allowed: true, after: [{ used: 1, left: 60_000 }] },
    'nor is one that ended long ago': { windows: [{ used: 3, left: -1e12 }], allowed: true, after: [{ used: 1, left: 60_000 }] },
    'a cost is charged whole': { windows: [{ used: 1, left: 9 }], cost: 2, allowed: true, after: [{ used: 3, left: 9 }] },
    'or not at all': { windows: [{ used: 2, left: 9 }], cost: 2, allowed: false, after: [{ used: 2, left: 9 }], refusedBy: ['minute', 9] },
    'a cost beyond the limit is refused for a window, and opens none': {
      windows: [NONE], cost: 4, allowed: false, after: [NONE], refusedBy: ['minute', 60_000]
    },
    'one limit without room refuses for all': {
      limits: [PER_MINUTE, PER_HOUR],
      windows: [{ used: 3, left: 5 }, { used: 3, left: 99 }],
      allowed: false,
      after: [{ used: 3, left: 5 }, { used: 3, left: 99 }],
      refusedBy: ['minute', 5]
    },
    'of two that refuse, the one that opens last is told': {
      limits: [PER_HOUR, PER_MINUTE],
      windows: [{ used: 5, left: 900 }, { used: 3, left: 400 }],
      allowed: false,
      after: [{ used: 5, left: 900 }, { used: 3, left: 400 }],
      refusedBy: ['hour', 900]
    },
    'a limit that was raised counts on': {
      limits: [{ ...PER_MINUTE, max: 9 }], windows: [{ used: 3, left: 5 }], allowed: true, after: [{ used: 4, left: 5 }]
    },
    'one that was lowered leaves nothing, and never less': {
      limits: [{ ...PER_MINUTE, max: 1 }], windows: [{ used: 3, left: 5 }], allowed: false, after: [{ used: 3, left: 5 }], refusedBy: ['minute', 5]
    },
    'a window longer than its limit is cut for who is admitted': {
      windows: [{ used: 1, left: 3_600_000 }], allowed: true, after: [{ used: 2, left: 60_000 }]
    },
    'and for who is refused': {
      windows: [{ used: 3, left: 3_600_000 }], allowed: false, after: [{ used: 3, left: 60_000 }], refusedBy: ['minute', 60_000]
    },
    'a window shorter than its limit keeps its end': {
      limits: [PER_HOUR], windows: [{ used: 1, left: 60_000 }], allowed: true, after: [{ used: 2, left: 60_000 }]
    }
  }
  for (const [name, { limits = [PER_MINUTE], windows, cost = 1, allowed, after, refusedBy }] of Object.entries(cases)) {
    const decision = decide(limits, windows, cost)
    t.equal(decision.allowed, allowed, name)
    t.strictSame(decision.windows, after, name)
    t.strictSame(decision.refusedBy === null ? undefined : [decision.refusedBy.limit.name, decision.refusedBy.resetMs], refusedBy, name)
    t.strictSame(decision.states, after.map(({ used, left }, place) => ({ limit: limits[place], remaining: Math.max(0, limits[place]!.max - used), resetMs: left })), name)
  }
})
