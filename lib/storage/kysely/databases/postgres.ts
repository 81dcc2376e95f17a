// PostgreSQL: rows are locked one by one, and usage is found by owner.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Tables } from '../tables.js'
import { recentByOwner, removals } from './by-owner.js'
import { countsByOwner } from './counts-by-owner.js'
import type { Database, EventRow, Total } from './database.js'
import { NAMES } from './recent-row.js'
import { upserts } from './upserts.js'

type Db = Kysely<Tables>

/** Of the advisory lock that migrations hold, in a space of its own. */
const MIGRATION_LOCK = sql`hashtext('fastify-self-serve-keys'), 1`

/** Sets the advisory locks of accounts apart from others, as far as 64 bits can. */
const TURNS = sql.lit(0x73656c66)

/** Exact, as no count is beyond what a double can hold; sums of bigints would be numerics, which take longer. */
const ADDED_UP = sql`sum(requests::float8) as requests, sum(failures::float8) as failures`

export const postgresDatabase: Database = {
  type: 'postgres',
  transactions: {
    // Rows are sought by their keys: a plan that reads a whole table comes upon them in another order than others lock them in.
    begin: (ms) => [
      'begin isolation level read committed',
      `select set_config('statement_timeout', '${ms}', true), set_config('idle_in_transaction_session_timeout', '${ms}', true),
        set_config('enable_seqscan', 'off', true)`
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

  // As columns: rows of values, each value a parameter, cost twice as much on both sides.
  slice: Infinity,
  async addEvents (db, events) {
    // Rows of an account side by side: their places in the index are too.
    const rows = events.toSorted((a, b) => a.account_number - b.account_number)
    const column = (name: keyof EventRow): RawBuilder<unknown> => integers(rows.map((row) => row[name]))
    await sql`insert into ${sql.table('usage_events')} (hour, account_number, "offset", sequence, key_number, key_version, route_number,
        status, duration_us, failure_code, request_id)
      select * from unnest(${column('hour')}, ${column('account_number')}, ${column('offset')}, ${column('sequence')},
        ${column('key_number')}, ${column('key_version')}, ${column('route_number')}, ${column('status')}, ${column('duration_us')},
        ${rows.map((row) => row.failure_code)}::text[], ${rows.map((row) => row.request_id)}::text[])`.execute(db)
  },
  async addTotals (db, unit, totals) {
    const column = (name: keyof Total): RawBuilder<unknown> => integers(totals.map((row) => row[name]))
    await sql`insert into ${sql.table(`usage_${unit}s`)} as totals (${sql.ref(unit)}, account_number, key_number, requests, failures)
      select * from unnest(${column('slot')}, ${column('account')}, ${column('key')}, ${column('requests')}, ${column('failures')})
      on conflict (${sql.ref(unit)}, account_number, key_number)
      do update set requests = totals.requests + excluded.requests, failures = totals.failures + excluded.failures`.execute(db)
  },

  contains: (column, text) => sql<boolean>`strpos(lower(${sql.ref(column)} collate "C"), ${text}) > 0`,

  async touchKeys (db, last) {
    await sql`update ${sql.table('api_keys')} as used_key set last_used_at = used.time
      from unnest(${integers([...last.keys()])}, ${integers([...last.values()])}) as used (number, time)
      where used_key.number = used.number and (used_key.last_used_at is null or used_key.last_used_at < used.time)`.execute(db)
  },

  readCounts: countsByOwner({
    // One by one, each a seek: the keys of the totals begin with the slot.
    inSlots: (column, first, last) =>
      sql`${column} = any (${integers(Array.from({ length: last - first + 1 }, (_none, place) => first + place))}::integer[])`,
    sums: (slot, totals) => sql`select ${slot} as slot, key_number, ${ADDED_UP} ${totals} group by grouping sets ((${slot}), (key_number))`,
    addedUp: ADDED_UP,
    joinKey: (number) => sql`left join lateral (select * from ${sql.table('api_keys')} where number = ${number} offset 0) as api_key on true`
  }),
  // One event after the other, what belongs to it sought by `offset 0`, and in no finer an order than the index has: nothing is
  // sorted, whatever the server thinks of how many events the account has, and it has few plans to think about.
  readRecent: recentByOwner({
    names: sql`named.*`,
    joined: sql`cross join lateral (select ${NAMES}
      from ${sql.table('usage_routes')} cross join ${sql.table('api_keys')} join ${sql.table('api_key_versions')}
        on ${sql.ref('api_key_versions.key_number')} = ${sql.ref('api_keys.number')}
      where ${sql.ref('usage_routes.number')} = ${sql.ref('usage_events.route_number')} and ${sql.ref('api_keys.number')} = ${sql.ref('usage_events.key_number')}
        and ${sql.ref('api_key_versions.version')} = ${sql.ref('usage_events.key_version')} offset 0) as named`,
    failed: sql`${sql.ref('usage_events.status')} >= 400`,
    first: (limit) => sql`fetch first ${sql.lit(limit)} rows with ties`
  }),
  // Slot after slot, each a seek: the keys of the totals begin with the slot, and a search for the account alone would read them all.
  ...removals(deleteSome, (unit) => {
    const [slot, table] = [sql.ref(`usage_${unit}s.${unit}`), sql.table(`usage_${unit}s`)]
    return sql`and ${slot} = any (array(select generate_series((select min(${slot}) from ${table}), (select max(${slot}) from ${table}))))`
  })
}

/** An array as the server writes it: a driver would look at each number. */
function integers (numbers: readonly unknown[]): RawBuilder<unknown> {
  return sql`${`{${numbers.join()}}`}::bigint[]`
}

/** Deletes at most `limit` rows, by their places: what has no key need not have one for this. */
async function deleteSome (db: Db, table: string, column: string, condition: RawBuilder<unknown>, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ctid = any (array(
    select ctid from ${sql.table(table)} where ${sql.ref(`${table}.${column}`)} ${condition} limit ${limit}))`.execute(db)
  return Number(numAffectedRows)
}
