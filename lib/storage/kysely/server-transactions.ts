// Transactions on a database server: short ones that lock what they change, tried again where the server gave one of two up.
import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type Kysely } from 'kysely'
import type { TransactionWords } from './databases/database.js'
import { rollBack } from './roll-back.js'
import type { Tables } from './tables.js'
import type { Write } from './write-queue.js'

/** A unique value that is taken for good is not waited for. */
const TRIES = 5

/**
 * READ COMMITTED whatever the server's default, because a lock on the account's row is what keeps changes apart: under
 * REPEATABLE READ what is read after waiting for it would be older than the lock. The work is committed within `timeout` ms
 * of the call, or it rejects and nothing has happened.
 */
export function serverTransactions (db: Kysely<Tables>, timeout: number, words: TransactionWords): Write {
  const attempt = async <T>(work: (connection: Kysely<Tables>) => Promise<T>, deadline: number, tries: number): Promise<T> => {
    try {
      return await transaction(db, work, deadline, timeout, words)
    } catch (error) {
      const lost = words.lost.has((error as { code?: unknown } | null)?.code)
      if (!lost || tries === TRIES || performance.now() >= deadline) throw error
    }
    await sleep(Math.random() * 5 * tries)
    return await attempt(work, deadline, tries + 1)
  }
  return async (work) => await attempt(work, performance.now() + timeout, 1)
}

async function transaction<T> (
  db: Kysely<Tables>, work: (connection: Kysely<Tables>) => Promise<T>, deadline: number, timeout: number, words: TransactionWords
): Promise<T> {
  return await db.connection().execute(async (connection) => {
    const run = async (statement: string): Promise<void> => { await connection.executeQuery(CompiledQuery.raw(statement)) }
    // Nobody waits for a late answer any more: what is late must not happen behind the caller's back.
    const left = (): number => {
      const ms = Math.ceil(deadline - performance.now())
      if (ms <= 0) throw new Error(`The database could not be written in ${timeout} ms.`)
      return ms
    }
    const ms = left()
    try {
      // The server gives up by itself: it waits for no lock behind an answer, and a process that fell silent keeps none from others.
      for (const statement of words.begin(ms)) await run(statement)
      const result = await work(connection)
      for (const statement of [...words.restore, 'commit']) {
        left()
        await run(statement)
      }
      return result
    } catch (error) {
      // The server ends the last statement in time, and then waits as long for the next one.
      await rollBack(connection, deadline + 2 * timeout)
      for (const statement of words.restore) await run(statement).catch(() => {})
      throw error
    }
  })
}
