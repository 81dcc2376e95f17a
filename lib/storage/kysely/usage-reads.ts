// The statements that read usage: totals for what is counted, events for the newest requests.
import { sql } from 'kysely'
import { SLOT_MS } from '../slots.js'
import type { UsageQuery, UsageRows } from '../storage.js'
import type { On } from './databases/database.js'
import { KEY_COLUMNS, toStoredKey } from './tables.js'

export async function readUsage (on: On, query: UsageQuery): Promise<UsageRows> {
  const { db, database } = on
  const account = await db.selectFrom('accounts').select('number').where('id', '=', query.accountId).executeTakeFirst()
  if (account === undefined) return { timeline: [], perKey: [], recentRequests: [], recentFailures: [] }
  return {
    timeline: await readTimeline(on, account.number, query),
    perKey: await readPerKey(on, account.number, query),
    recentRequests: await database.readRecent(db, account.number, query, false),
    recentFailures: await database.readRecent(db, account.number, query, true)
  }
}

async function readTimeline ({ db, database }: On, account: number, query: UsageQuery): Promise<UsageRows['timeline']> {
  const { rows } = await sql<{ slot: number, requests: number, failures: number }>`
    select slot, sum(requests) as requests, sum(failures) as failures
    from ${database.countsOf(account, query)} as counts group by slot order by slot`.execute(db)
  return rows.map(({ slot, requests, failures }) => ({ start: slot * SLOT_MS[query.unit], requests, failures }))
}

async function readPerKey ({ db, database }: On, account: number, query: UsageQuery): Promise<UsageRows['perKey']> {
  const counts = sql<{ key_number: number, requests: number, failures: number }>`(
    select key_number, sum(requests) as requests, sum(failures) as failures
    from ${database.countsOf(account, query)} as counts group by key_number)`.as('counts')
  const rows = await db.selectFrom(counts).innerJoin('api_keys', 'api_keys.number', 'counts.key_number')
    .innerJoin('accounts', 'accounts.number', 'api_keys.account_number')
    .select(KEY_COLUMNS).select(['counts.requests', 'counts.failures'])
    .orderBy('counts.requests', 'desc').orderBy('api_keys.number', 'desc').limit(query.perKeyLimit).execute()
  return rows.map(({ requests, failures, ...row }) => ({ key: toStoredKey(row), requests, failures }))
}
