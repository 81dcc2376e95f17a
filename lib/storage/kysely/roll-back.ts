// Ends a transaction that failed: left open, it would be committed by whoever gets its connection next.
import { CompiledQuery, type Kysely } from 'kysely'
import type { Tables } from './tables.js'

/** Times that it may fail at once. Then the connection is gone, and its transaction with it. */
const TRIES = 3
/** ms. A try that takes longer was waiting behind a statement, and given up before it was sent: pg's `query_timeout` does that. */
const AT_ONCE = 5

/** @param over by when the database has ended the transaction itself, as `performance.now()` tells it */
export async function rollBack (connection: Kysely<Tables>, over: number): Promise<void> {
  for (let tries = 0; tries < TRIES;) {
    const began = performance.now()
    try {
      await connection.executeQuery(CompiledQuery.raw('rollback'))
      return
    } catch {
      const now = performance.now()
      if (now >= over) return
      if (now - began < AT_ONCE) tries++
    }
  }
}
