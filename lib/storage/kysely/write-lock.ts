// SQLite's write lock, of which a file has one: how a connection learns that it is held, and how writers share it.

/** ms at most between two tries to get a lock that another process holds. */
export const POLL = 3
/** ms that one may write without a break in which another could get the lock. */
const TURN = 20

/** A writer's part in it: who writes again and again leaves the lock alone now and then. Times are ms. */
export interface LockTurns {
  /** Does a write that begins now follow on another? If not, whoever polls had the time to get the lock. */
  inBurst (now: number): boolean
  /** Asked before each write. @returns ms to leave the lock alone first */
  pause (now: number): number
  ended (now: number): void
}

export function lockTurns (): LockTurns {
  let began = 0
  let lastEnded = -Infinity
  const inBurst = (now: number): boolean => now - lastEnded <= POLL
  return {
    inBurst,
    pause (now) {
      if (!inBurst(now)) began = now
      if (now - began < TURN) return 0
      // Longer than a poll: whoever polls gets the lock.
      const pause = POLL + 1
      began = now + pause
      return pause
    },
    ended (now) { lastEnded = now }
  }
}

/** Is the database locked by another connection? */
export function isBusy (error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)
}

export function tooLate (timeout: number): Error {
  return new Error(`The database could not be written in ${timeout} ms.`)
}
