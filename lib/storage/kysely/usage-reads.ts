// The statements that read usage: totals for what is counted, events for the newest requests.
import type { UsageQuery, UsageRows } from '../storage.js'
import type { KeySum, On } from './databases/database.js'
import { selectKeys } from './key-queries.js'
import { toStoredKey } from './tables.js'

export async function readUsage (on: On, query: UsageQuery): Promise<UsageRows> {
  const { db, database } = on
  const account = await db.selectFrom('accounts').select('number').where('id', '=', query.accountId).executeTakeFirst()
  if (account === undefined) return { timeline: [], perKey: [], recentRequests: [], recentFailures: [] }
  // At once, where a server has a connection for each.
  const [{ timeline, perKey }, recentRequests, recentFailures] = await Promise.all([
    database.readCounts(db, account.number, query).then(async ({ timeline, perKey }) => ({ timeline, perKey: await withKeys(on, perKey) })),
    database.readRecent(db, account.number, query, false),
    database.readRecent(db, account.number, query, true)
  ])
  return { timeline, perKey, recentRequests, recentFailures }
}

/** The keys as they are now. One that has just been pruned is left out. */
async function withKeys ({ db }: On, sums: readonly KeySum[]): Promise<UsageRows['perKey']> {
  if (sums.length === 0) return []
  const rows = await selectKeys(db).where('api_keys.number', 'in', sums.map(({ key }) => key)).execute()
  const keys = new Map(rows.map((row) => [row.number, toStoredKey(row)]))
  return sums.filter(({ key }) => keys.has(key)).map(({ key, ...counts }) => ({ key: keys.get(key)!, ...counts }))
}
