// The account's row: made where there is none, and the lock that every change of the account holds.
import type { Kysely } from 'kysely'
import type { On } from './databases/database.js'
import type { Tables } from './tables.js'

type Db = Kysely<Tables>

export interface AccountRow { readonly number: number, readonly next_sequence: number, readonly next_entry: number }

/** The account's row, locked by the transaction until it ends; null if there is none. */
export async function lockAccount ({ db, database }: On, accountId: string): Promise<AccountRow | null> {
  await database.takeTurn(db, accountId)
  const query = db.selectFrom('accounts').select(['number', 'next_sequence', 'next_entry']).where('id', '=', accountId)
  return await database.locking(query).executeTakeFirst() ?? null
}

/** Like lockAccount, with the row made where it is missing. */
export async function makeAccount (on: On, accountId: string): Promise<AccountRow> {
  const known = await lockAccount(on, accountId)
  if (known !== null) return known
  await on.database.insertMissing(on.db.insertInto('accounts').values({ id: accountId, next_sequence: 1 }))
  return (await lockAccount(on, accountId))!
}

/** The number of an account, for reads; null if it has nothing here. */
export async function accountNumber (db: Db, accountId: string): Promise<number | null> {
  const row = await db.selectFrom('accounts').select('number').where('id', '=', accountId).executeTakeFirst()
  return row === undefined ? null : row.number
}
