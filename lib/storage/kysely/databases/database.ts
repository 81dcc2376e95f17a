// What differs between the databases: the statements that their SQL has different words for.
import type { Insertable, InsertQueryBuilder, InsertResult, Kysely, RawBuilder, SelectQueryBuilder } from 'kysely'
import type { SlotUnit } from '../../slots.js'
import type { UsageQuery, UsageRows } from '../../storage.js'
import type { Tables } from '../tables.js'

export type DatabaseType = 'sqlite' | 'postgres' | 'mysql'

/** A connection or transaction, and the kind of database at its end. */
export interface On { readonly db: Kysely<Tables>, readonly database: Database }

/** Requests and failures of a key in a slot of time. */
export interface Total { readonly slot: number, readonly account: number, readonly key: number, requests: number, failures: number }

/** How a server is told of a short transaction. */
export interface TransactionWords {
  /** Begins one at READ COMMITTED, in which the server itself gives up what takes longer than `ms`. */
  begin (ms: number): readonly string[]
  /** Puts back what `begin` changed on the connection, which others use after us. Said before the transaction ends. */
  readonly restore: readonly string[]
  /** The codes of a lost race: a serialization failure, a deadlock, a unique value that another transaction has just taken. */
  readonly lost: ReadonlySet<unknown>
}

/** Of rows that get a `number` from the database, whatever their table. */
export type InsertNumbered = InsertQueryBuilder<Tables, any, InsertResult>

/** `perKey`: the keys with most requests, as they are now; one that has just been pruned is left out. */
export type Counts = Pick<UsageRows, 'timeline' | 'perKey'>

export type EventRow = Insertable<Tables['usage_events']>

export interface Database {
  readonly type: DatabaseType
  /** Null where writes take turns, see write-queue.ts. */
  readonly transactions: TransactionWords | null
  /** Why a connection that is set as this one is cannot be used; null if it can. */
  unfit (db: Kysely<Tables>): Promise<string | null>
  /** @param name as it is in the database @param schema null: the one that the connection finds by itself */
  tableExists (db: Kysely<Tables>, name: string, schema: string | null): Promise<boolean>
  /** The path of its file: '' where it is in memory, null on a server. */
  fileOf (db: Kysely<Tables>): Promise<string | null>
  /** Does the work while nobody else does, so that of many that start at once one migrates. */
  migrating<T> (db: Kysely<Tables>, work: () => Promise<T>): Promise<T>
  /** The codes by which a statement of a migration step says that it was carried out before, where steps are no transactions. */
  readonly carriedOut: ReadonlySet<unknown>
  /** Waits until nobody who came earlier is changing the account: a row that is changed while others wait for it goes to any of them. */
  takeTurn (db: Kysely<Tables>, accountId: string): Promise<void>
  /** The query with its rows locked until the transaction ends; as it is where writing transactions exclude each other. */
  locking<O> (query: SelectQueryBuilder<Tables, 'accounts', O>): SelectQueryBuilder<Tables, 'accounts', O>
  /** The number that the database gave the one row. */
  insertedNumber (query: InsertNumbered): Promise<number>
  /** Inserts the rows that are not there, and leaves those that are as they are. */
  insertMissing (query: InsertNumbered): Promise<void>
  /** How many rows of usage a statement writes. */
  readonly slice: number
  /** In one statement. */
  addEvents (db: Kysely<Tables>, events: readonly EventRow[]): Promise<void>
  /** Adds to the totals of a unit, in one statement. */
  addTotals (db: Kysely<Tables>, unit: SlotUnit, totals: readonly Total[]): Promise<void>
  /** Does the column hold the text, which is in lower case, whatever case the column's is in? */
  contains (column: string, text: string): RawBuilder<boolean>
  /** Moves `last_used_at` of keys forward, never back, in one statement. */
  touchKeys (db: Kysely<Tables>, last: ReadonlyMap<number, number>): Promise<void>
  /** What an account did in a window, without what pruned keys did. `account` is SQL for its number, null where there is none. */
  readCounts (db: Kysely<Tables>, account: RawBuilder<unknown>, query: UsageQuery): Promise<Counts>
  /** The newest requests, and failures, of the account in the window. */
  readRecent (db: Kysely<Tables>, account: RawBuilder<unknown>, query: UsageQuery): Promise<Pick<UsageRows, 'recentRequests' | 'recentFailures'>>
  /** Removes at most `limit` events of hours before `hour`; answers how many. */
  pruneEvents (db: Kysely<Tables>, hour: number, limit: number): Promise<number>
  /** Removes at most `limit` totals of slots before `slot`; answers how many. */
  pruneTotals (db: Kysely<Tables>, unit: SlotUnit, slot: number, limit: number): Promise<number>
  /** Removes at most `limit` rows of an account's usage; 0 when none is left. */
  eraseUsage (db: Kysely<Tables>, account: number, limit: number): Promise<number>
  /** Removes at most `limit` audit entries from before `time`; answers how many. */
  pruneAudit (db: Kysely<Tables>, time: number, limit: number): Promise<number>
}
