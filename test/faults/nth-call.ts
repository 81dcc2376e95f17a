// The N-th call that a piece of work makes goes wrong: which one that is, how, and what was carried out all the same.
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isPromise } from '../../lib/time.js'

/** What a failing part says of itself: no client may read it. */
export const TOLD_NOBODY = 'postgres://admin:hunter2@db.internal'

interface Call {
  /** Carries the call out. */
  readonly run: () => unknown
  /** Breaks the connection that it goes over. Resolves when the driver knows. */
  readonly cut: () => Promise<void>
  /** Comes when whoever began the work has stopped to wait for it. */
  readonly givenUp: Promise<void>
}

/** What becomes of a call in place of what should. */
export type Fault = (call: Call) => unknown
export type Faults = Readonly<Record<string, Fault>>

function fail (): never {
  throw new Error(`No connection to ${TOLD_NOBODY}`)
}

/** What may go wrong wherever something is asked for, here or elsewhere. */
export const FAILURES = {
  'throws before anything is done': fail,
  'is done, and the answer is lost': ({ run }) => {
    const answer = run()
    return isPromise(answer) ? answer.then(fail) : fail()
  }
} satisfies Faults

/** What may besides where the answer is waited for. */
export const SILENCES = {
  'is never done nor answered': async () => { await new Promise(() => {}) },
  'is done, and answered too late': async ({ run, givenUp }) => {
    const answer = await run()
    await givenUp
    return answer
  },
  'is done when nobody waits any more': async ({ run, givenUp }) => {
    await givenUp
    return await run()
  }
} satisfies Faults

/** What may besides where there is a connection. */
export const BREAKS = {
  'meets a connection that breaks': async ({ run, cut }) => {
    await cut()
    return await run()
  },
  'is done, and the connection breaks': async ({ run, cut }) => {
    await run()
    await cut()
    fail()
  }
} satisfies Faults

/** Silences that end as docs/storage.md has a host end them: with the connection. */
export const SILENT_BREAKS = {
  'hangs until the connection breaks': async ({ run, cut, givenUp }) => {
    await givenUp
    await cut()
    return await run()
  },
  'is done and hangs until the connection breaks': async ({ run, cut, givenUp }) => {
    await run()
    await givenUp
    await cut()
    fail()
  },
  'is done when nobody waits any more': SILENCES['is done when nobody waits any more']
} satisfies Faults

const attempts = new AsyncLocalStorage<Attempt>()

/** One piece of work, and the call of it that goes wrong. Calls of others that are made meanwhile are not counted. */
export class Attempt {
  /** What was called, in order. */
  readonly calls: string[] = []
  /** What was carried out, in order, and of that what came when nobody waited for it any more. */
  readonly done: string[] = []
  readonly late: string[] = []
  readonly #at: ReadonlySet<number>
  readonly #fault: Fault
  readonly #underWay: Array<Promise<void>> = []
  readonly #givenUp: Promise<void>
  #giveUp = (): void => {}
  #over = false

  /** @param at the places of the calls that go wrong, counted from 1; none: all goes well */
  constructor (at: readonly number[], fault: Fault = fail) {
    this.#at = new Set(at)
    this.#fault = fault
    this.#givenUp = new Promise((resolve) => { this.#giveUp = resolve })
  }

  /**
   * Does the work, and gives up what hangs of it. Resolves when nothing that it began is being carried out any more.
   * @param meanwhile is done before, beside what hangs
   */
  async run<T> (work: () => Promise<T>, meanwhile = async (): Promise<void> => {}): Promise<T> {
    try {
      const answer = await attempts.run(this, work)
      await meanwhile()
      return answer
    } finally {
      this.#over = true
      this.#giveUp()
      for (let seen = -1; seen < this.#underWay.length;) {
        seen = this.#underWay.length
        await nextTurn()
        await Promise.all(this.#underWay)
      }
    }
  }

  pass (name: string, run: () => unknown, cut: Call['cut']): unknown {
    const place = this.calls.push(name)
    const carriedOut = (): unknown => this.#carryOut(name, run)
    return this.#at.has(place) ? this.#fault({ run: carriedOut, cut, givenUp: this.#givenUp }) : carriedOut()
  }

  #carryOut (name: string, run: () => unknown): unknown {
    const begun = this.#over ? this.late : this.done
    const note = (): void => { begun.push(name) }
    const answer = run()
    if (isPromise(answer)) this.#underWay.push(answer.then(note, () => {}))
    else note()
    return answer
  }
}

/** A call that an attempt may see go wrong. @param cut breaks the connection that it goes over */
export function pass<T> (name: string, run: () => T, cut: Call['cut'] = async () => {}): T {
  const attempt = attempts.getStore()
  return attempt === undefined ? run() : attempt.pass(name, run, cut) as T
}

/** The part, each call of which an attempt may see go wrong under its name: `storage.issueKey`. */
export function breakable<T extends object> (part: string, target: T): T {
  return new Proxy(target, {
    get (_target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => pass(`${part}.${String(name)}`, () => member.apply(target, args))
    }
  })
}
