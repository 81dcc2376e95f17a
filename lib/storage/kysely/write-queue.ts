// SQLite's write lock: the writes of this process one at a time and in turn, and the lock left to other processes between.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type Kysely } from 'kysely'
import { rollBack } from './roll-back.js'
import type { Tables } from './tables.js'
import { isBusy, lockTurns, POLL, tooLate } from './write-lock.js'

/** Runs `work` in a transaction that holds the write lock from its first statement. */
export type Write = <T>(work: (db: Kysely<Tables>) => Promise<T>) => Promise<T>

/**
 * Kysely's own transactions begin without the lock and can fail half-way; and SQLite's own waiting happens on the event
 * loop and is not fair. So a write waits its turn here, then polls for the lock. Its work runs once and is committed
 * within `timeout` ms of the call, or it rejects and nothing has happened.
 */
export function writeQueue (db: Kysely<Tables>, timeout: number): Write {
  let last: Promise<unknown> = Promise.resolve()
  const turns = lockTurns()

  const inTurn = async <T>(work: (db: Kysely<Tables>) => Promise<T>, deadline: number): Promise<T> => {
    // Nobody waits for a late answer any more: what is late must not happen behind the caller's back.
    const checkTime = (): void => {
      if (performance.now() >= deadline) throw tooLate(timeout)
    }
    for (;;) {
      checkTime()
      try {
        return await transaction(db, work, checkTime)
      } catch (error) {
        if (!(error instanceof Locked)) throw error
      }
      await sleep(1 + Math.random() * (POLL - 1))
    }
  }

  return async (work) => {
    const deadline = performance.now() + timeout
    const before = last
    const done = (async () => {
      await before.catch(() => {})
      // SQLite's driver answers at once: without this a burst of writes would be one long stop of the event loop.
      if (turns.inBurst(performance.now())) await nextTurn()
      const pause = turns.pause(performance.now())
      if (pause > 0) await sleep(pause)
      try {
        return await inTurn(work, deadline)
      } finally {
        turns.ended(performance.now())
      }
    })()
    last = done
    return await done
  }
}

/** Thrown only by the statement that takes the lock: the work has not begun. */
class Locked extends Error {}

/** @param checkTime throws when it is too late: before the work begins, and before it is committed */
async function transaction<T> (
  db: Kysely<Tables>, work: (connection: Kysely<Tables>) => Promise<T>, checkTime: () => void
): Promise<T> {
  return await db.connection().execute(async (connection) => {
    checkTime()
    try {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'))
    } catch (error) {
      throw isBusy(error) ? new Locked('The database is locked.', { cause: error }) : error
    }
    try {
      const result = await work(connection)
      checkTime()
      await connection.executeQuery(CompiledQuery.raw('commit'))
      return result
    } catch (error) {
      // SQLite may have rolled back by itself (disk full): the first error is the one to tell.
      await rollBack(connection, Infinity)
      throw error
    }
  })
}
