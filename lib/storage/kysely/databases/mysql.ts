// MySQL and MariaDB, in the SQL that both understand: rows are locked one by one, and usage is clustered by owner.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Tables } from '../tables.js'
import { recentByOwner, removals } from './by-owner.js'
import { countsByOwner } from './counts-by-owner.js'
import type { Database, TransactionWords } from './database.js'
import { NAMES } from './recent-row.js'
import { eventInserts } from './upserts.js'

type Db = Kysely<Tables>

const LOCK_WAIT = 'ER_LOCK_WAIT_TIMEOUT'
/** Of the named lock that migrations hold. */
const MIGRATION_LOCK = 'fastify-self-serve-keys'

/**
 * What a transaction sets, it sets on the session, and back. Locks are waited for in whole seconds, so a wait may end
 * early and is tried again. MariaDB ends any statement in time, MySQL those that only read: each has a word for it that is a
 * comment to the other. MariaDB also ends the transaction of a process that fell silent, so that it keeps no account locked. Strict, because a server that is not cuts what does not fit.
 */
const transactions: TransactionWords = {
  begin: (ms) => [
    `set @self_serve_mode = @@session.sql_mode, @self_serve_wait = @@session.innodb_lock_wait_timeout,
      /*M! @self_serve_time = @@session.max_statement_time, session max_statement_time = ${ms / 1000},
      @self_serve_idle = @@session.idle_transaction_timeout, session idle_transaction_timeout = ${Math.ceil(ms / 1000)}, */
      /*!80000 @self_serve_time = @@session.max_execution_time, session max_execution_time = ${ms}, */
      session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', session innodb_lock_wait_timeout = ${Math.max(1, Math.floor(ms / 1000))}`,
    'set transaction isolation level read committed',
    'start transaction'
  ],
  restore: [
    `set /*M! session max_statement_time = @self_serve_time, session idle_transaction_timeout = @self_serve_idle, */ /*!80000 session max_execution_time = @self_serve_time, */
      session sql_mode = @self_serve_mode, session innodb_lock_wait_timeout = @self_serve_wait`
  ],
  lost: new Set(['ER_LOCK_DEADLOCK', LOCK_WAIT, 'ER_DUP_ENTRY'])
}

const ADDED_UP = sql`sum(requests) as requests, sum(failures) as failures`

export const mysqlDatabase: Database = {
  type: 'mysql',
  transactions,

  async unfit (db) {
    const { rows } = await sql<{ autocommit: unknown, mode: string, client: string, connection: string, results: string }>`
      select @@session.autocommit as autocommit, @@session.sql_mode as mode, @@session.character_set_client as client,
        @@session.character_set_connection as connection, @@session.character_set_results as results`.execute(db)
    const { autocommit, mode, ...charsets } = rows[0]!
    // The first read would open a snapshot, and no revocation after it would ever be seen.
    if (Number(autocommit) !== 1) return 'must have autocommit on'
    // The driver escapes by backslashes, whatever the server takes them for.
    if (mode.includes('NO_BACKSLASH_ESCAPES')) return 'must not have NO_BACKSLASH_ESCAPES in its sql_mode'
    return Object.values(charsets).every((charset) => charset === 'utf8mb4') ? null : 'must have the charset utf8mb4'
  },

  async tableExists (db, name, schema) {
    const { rows } = await sql`select 1 from information_schema.tables
      where table_schema = coalesce(${schema}, database()) and table_name = ${name}`.execute(db)
    return rows.length > 0
  },
  fileOf: async () => null,

  // Statements that change tables end every transaction, so that only a lock of the session lasts.
  async migrating (db, work) {
    const { rows } = await sql<{ got: unknown }>`select get_lock(${MIGRATION_LOCK}, @@session.innodb_lock_wait_timeout) as got`.execute(db)
    if (Number(rows[0]!.got) !== 1) throw Object.assign(new Error('Another instance is migrating the database.'), { code: LOCK_WAIT })
    const [done] = await Promise.allSettled([work()])
    await sql`select release_lock(${MIGRATION_LOCK})`.execute(db)
    if (done.status === 'rejected') throw done.reason
    return done.value
  },
  carriedOut: new Set(['ER_TABLE_EXISTS_ERROR', 'ER_DUP_FIELDNAME', 'ER_DUP_KEYNAME']),

  takeTurn: async () => {},
  locking: (query) => query.forUpdate(),

  async insertedNumber (query) {
    return Number((await query.executeTakeFirstOrThrow()).insertId)
  },
  // `insert ignore` would ignore more than that.
  async insertMissing (query) {
    await query.onDuplicateKeyUpdate({ number: sql`number` }).execute()
  },
  ...eventInserts,
  async addTotals (db, unit, totals) {
    const rows = totals.map((row) => sql`(${row.slot}, ${row.account}, ${row.key}, ${row.requests}, ${row.failures})`)
    await sql`insert into ${sql.table(`usage_${unit}s`)} (${sql.ref(unit)}, account_number, key_number, requests, failures)
      values ${sql.join(rows)}
      on duplicate key update requests = requests + values(requests), failures = failures + values(failures)`.execute(db)
  },

  contains: (column, text) => sql<boolean>`locate(${text}, ${inLowerCase(column, text)}) > 0`,

  async touchKeys (db, last) {
    await sql`update json_table(${JSON.stringify([...last])}, '$[*]' columns (number bigint path '$[0]', time bigint path '$[1]')) as used
      straight_join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = used.number
      set ${sql.ref('api_keys.last_used_at')} = used.time
      where ${sql.ref('api_keys.last_used_at')} is null or ${sql.ref('api_keys.last_used_at')} < used.time`.execute(db)
  },

  readCounts: countsByOwner({
    inSlots: (column, first, last) => sql`${column} between ${first} and ${last}`,
    sums: (slot, totals) => sql`select ${slot} as slot, null as key_number, ${ADDED_UP} ${totals} group by ${slot}
      union all select null, key_number, ${ADDED_UP} ${totals} group by key_number`,
    addedUp: ADDED_UP,
    joinKey: (number) => sql`left join ${sql.table('api_keys')} as api_key on api_key.number = ${number}`
  }),
  // From the events to the rest, in their order: the server might rather begin at a table that looks small, and sort.
  readRecent: recentByOwner({
    names: NAMES,
    joined: sql`straight_join ${sql.table('usage_routes')} on ${sql.ref('usage_routes.number')} = ${sql.ref('usage_events.route_number')}
      straight_join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${sql.ref('usage_events.key_number')}
      straight_join ${sql.table('api_key_versions')} on ${sql.ref('api_key_versions.key_number')} = ${sql.ref('usage_events.key_number')}
        and ${sql.ref('api_key_versions.version')} = ${sql.ref('usage_events.key_version')}`,
    failed: sql`${sql.ref('usage_events.failed')} = 1`,
    first: (limit) => sql`, ${sql.ref('usage_events.sequence')} desc limit ${limit}`
  }),
  ...removals(deleteSome, () => sql``)
}

/** `lower` minds more letters than ASCII's. Of those, only what the text has can be found. */
function inLowerCase (column: string, text: string): RawBuilder<unknown> {
  const letters = [...new Set(text.match(/[a-z]/g))]
  return letters.reduce<RawBuilder<unknown>>((folded, letter) => sql`replace(${folded}, ${letter.toUpperCase()}, ${letter})`, sql.ref(column))
}

async function deleteSome (db: Db, table: string, column: string, condition: RawBuilder<unknown>, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ${sql.ref(`${table}.${column}`)} ${condition} limit ${limit}`.execute(db)
  return Number(numAffectedRows)
}
