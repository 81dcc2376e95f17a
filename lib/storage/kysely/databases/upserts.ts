// What the databases say alike of rows that are written, some of which may be there already.
import type { Database } from './database.js'

/** Rows in one statement: a few milliseconds, for which SQLite's driver stops the event loop. */
const SLICE = 200

/** On SQLite and Postgres. */
export const upserts: Pick<Database, 'insertedNumber' | 'insertMissing'> = {
  async insertedNumber (query) {
    return (await query.returning('number').executeTakeFirstOrThrow()).number
  },

  async insertMissing (query) {
    await query.onConflict((conflict) => conflict.doNothing()).execute()
  }
}

/** On SQLite and MySQL. */
export const eventInserts: Pick<Database, 'slice' | 'addEvents'> = {
  slice: SLICE,
  async addEvents (db, events) {
    await db.insertInto('usage_events').values(events).execute()
  }
}
