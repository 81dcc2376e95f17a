// The statements that read usage: totals for what is counted, events for the newest requests.
import { sql } from 'kysely'
import type { UsageQuery, UsageRows } from '../storage.js'
import type { On } from './databases/database.js'

export async function readUsage ({ db, database }: On, query: UsageQuery): Promise<UsageRows> {
  // Sought by each statement: it takes a hundredth of the round trip that asking for it first would.
  const account = sql`(select number from ${sql.table('accounts')} where id = ${query.accountId})`
  // At once, where a server has a connection for each.
  const [counts, recent] = await Promise.all([database.readCounts(db, account, query), database.readRecent(db, account, query)])
  return { ...counts, ...recent }
}
