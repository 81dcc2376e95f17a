// The decision about one request under all of its rate limits. Pure, and without a clock: windows are told by what is left of them.
import type { Consumed, LimitState, RateLimit } from './rate-limit.js'

/** A window: what was charged in it, and for how many ms it stays open. 0: none is open. */
export interface Window { readonly used: number, readonly left: number }

/** No window is open. */
export const NONE: Window = { used: 0, left: 0 }

export interface Decision extends Consumed {
  /** The windows after the decision, in the limits' order. A refused request charges none, but leaves none longer than its limit says. */
  readonly windows: readonly Window[]
}

/**
 * Fixed windows: a request is admitted if every limit has room for its cost, and is then charged to each of them; the first
 * one opens the window. A refused request is charged to none, so that trying again never puts off the end of a window.
 * @param windows as they were stored, one for each limit
 * @param cost at least 1
 */
export function decide (limits: readonly RateLimit[], windows: readonly Window[], cost: number): Decision {
  const before = limits.map((limit, place) => current(limit, windows[place]!))
  const allowed = limits.every((limit, place) => hasRoom(limit, before[place]!, cost))
  const after = allowed ? before.map((window, place) => charged(limits[place]!, window, cost)) : before
  const states = after.map((window, place) => shown(limits[place]!, window))
  return { allowed, windows: after, states, refusedBy: allowed ? null : lastToOpen(states.filter((_state, place) => !hasRoom(limits[place]!, before[place]!, cost)).map(refusal)) }
}

/** Where a limit stands with this window. */
export function stateOf (limit: RateLimit, window: Window): LimitState {
  return shown(limit, current(limit, window))
}

function shown (limit: RateLimit, { used, left }: Window): LimitState {
  return { limit, remaining: Math.max(0, limit.max - used), resetMs: left }
}

function hasRoom ({ max }: RateLimit, { used }: Window, cost: number): boolean {
  return used + cost <= max
}

/**
 * The window as it counts for this limit: one that ended is none, and none lasts longer than the limit says. A plan that went
 * from a day to a minute must not lock for the rest of the day, and neither must a clock that was set back.
 */
function current ({ windowMs }: RateLimit, window: Window): Window {
  const { used, left } = window
  if (left > 0) return left <= windowMs ? window : { used, left: windowMs }
  return NONE
}

function charged ({ windowMs }: RateLimit, { used, left }: Window, cost: number): Window {
  return { used: used + cost, left: left === 0 ? windowMs : left }
}

/** A cost beyond the limit itself finds no open window to wait for: the answer is not "at once". */
function refusal (state: LimitState): LimitState {
  return state.resetMs > 0 ? state : { ...state, resetMs: state.limit.windowMs }
}

function lastToOpen (states: readonly LimitState[]): LimitState {
  return states.reduce((last, state) => state.resetMs > last.resetMs ? state : last)
}
