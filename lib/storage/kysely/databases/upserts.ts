// What SQLite and Postgres say alike of rows that may be there already.
import { sql } from 'kysely'
import type { Database } from './database.js'

export const upserts: Pick<Database, 'insertedNumber' | 'insertMissing' | 'addTotals'> = {
  async insertedNumber (query) {
    return (await query.returning('number').executeTakeFirstOrThrow()).number
  },

  async insertMissing (query) {
    await query.onConflict((conflict) => conflict.doNothing()).execute()
  },

  async addTotals (db, unit, totals) {
    const rows = totals.map((row) => sql`(${row.slot}, ${row.account}, ${row.key}, ${row.requests}, ${row.failures})`)
    await sql`insert into ${sql.table(`usage_${unit}s`)} as totals (${sql.ref(unit)}, account_number, key_number, requests, failures)
      values ${sql.join(rows)}
      on conflict (${sql.ref(unit)}, account_number, key_number)
      do update set requests = totals.requests + excluded.requests, failures = totals.failures + excluded.failures`.execute(db)
  }
}
