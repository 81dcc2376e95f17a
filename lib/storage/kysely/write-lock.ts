// What is known of SQLite's write lock, of which a file has one: how it is told to be held, and how it is shared.

/** ms at most between two tries to get a lock that another process holds. */
export const POLL = 3
/** ms that one may write without a break in which another could get the lock. */
export const TURN = 20

/** Is the database locked by another connection? */
export function isBusy (error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)
}

export function tooLate (timeout: number): Error {
  return new Error(`The database could not be written in ${timeout} ms.`)
}
