// PostgreSQL: rows are locked one by one, and usage is found by owner.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Tables } from '../tables.js'
import { countsByOwner, recentByOwner, removals } from './by-owner.js'
import type { Database } from './database.js'
import { upserts } from './upserts.js'

type Db = Kysely<Tables>

/** Of the advisory lock that migrations hold, in a space of its own. */
const MIGRATION_LOCK = sql`hashtext('fastify-self-serve-keys'), 1`

/** Sets the advisory locks of accounts apart from others, as far as 64 bits can. */
const TURNS = sql.lit(0x73656c66)

export const postgresDatabase: Database = {
  type: 'postgres',
  transactions: {
    begin: (ms) => [
      'begin isolation level read committed',
      `select set_config('statement_timeout', '${ms}', true), set_config('idle_in_transaction_session_timeout', '${ms}', true)`
    ],
    restore: [],
    lost: new Set(['40001', '40P01', '23505'])
  },
  unfit: async () => null,

  async tableExists (db, name, schema) {
    const path = schema === null ? sql`quote_ident(${name})` : sql`quote_ident(${schema}) || '.' || quote_ident(${name})`
    const { rows } = await sql<{ found: boolean }>`select to_regclass(${path}) is not null as found`.execute(db)
    return rows[0]!.found
  },
  fileOf: async () => null,

  // Held until the transaction ends.
  async migrating (db, work) {
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(db)
    return await work()
  },
  carriedOut: new Set(),

  // A queue, unlike those who wait for a row: each commit makes another version of it, and they begin anew.
  async takeTurn (db, accountId) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${accountId}, ${TURNS}))`.execute(db)
  },
  locking: (query) => query.forUpdate(),
  ...upserts,

  contains: (column, text) => sql<boolean>`strpos(lower(${sql.ref(column)} collate "C"), ${text}) > 0`,

  async touchKeys (db, last) {
    await sql`update ${sql.table('api_keys')} as used_key set last_used_at = used.time
      from unnest(${[...last.keys()]}::bigint[], ${[...last.values()]}::bigint[]) as used (number, time)
      where used_key.number = used.number and (used_key.last_used_at is null or used_key.last_used_at < used.time)`.execute(db)
  },

  countsOf: countsByOwner,
  readRecent: async (db, account, query, failuresOnly) =>
    await recentByOwner(db, account, query, sql`join`, failuresOnly ? sql`and ${sql.ref('usage_events.status')} >= 400` : sql``),
  ...removals(deleteSome)
}

/** Deletes at most `limit` rows, by their places: what has no key need not have one for this. */
async function deleteSome (db: Db, table: string, column: string, condition: RawBuilder<unknown>, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ctid = any (array(
    select ctid from ${sql.table(table)} where ${sql.ref(`${table}.${column}`)} ${condition} limit ${limit}))`.execute(db)
  return Number(numAffectedRows)
}
