// The statements that read usage: totals for what is counted, events for the newest requests.
import { sql, type RawBuilder } from 'kysely'
import { SLOT_MS, slotNumber } from '../slots.js'
import type { UsageCount, UsageQuery, UsageRows } from '../storage.js'
import type { On } from './databases/database.js'
import { selectKeys } from './key-queries.js'
import { toStoredKey } from './tables.js'

/** What a key did in the window. */
interface KeySum extends UsageCount { readonly key: number }

export async function readUsage (on: On, query: UsageQuery): Promise<UsageRows> {
  const { db, database } = on
  const account = await db.selectFrom('accounts').select('number').where('id', '=', query.accountId).executeTakeFirst()
  if (account === undefined) return { timeline: [], perKey: [], recentRequests: [], recentFailures: [] }
  const { most, pruned } = await sumsByKey(on, account.number, query)
  return {
    timeline: await readTimeline(on, account.number, query, pruned),
    perKey: await withKeys(on, most),
    recentRequests: await database.readRecent(db, account.number, query, false),
    recentFailures: await database.readRecent(db, account.number, query, true)
  }
}

/**
 * The keys with most requests; and those that were pruned, what they did counts for nothing. There is hardly ever one: so
 * the sums, not the rows, are asked whether their keys are there, and of thousands of keys only those that are shown are read.
 */
async function sumsByKey (on: On, account: number, query: UsageQuery): Promise<{ most: KeySum[], pruned: number[] }> {
  const { rows } = await sql<{ key_number: number, requests: number, failures: number, number: number | null }>`
    with sums as (${selectSums(on, 'key_number', sql.ref('key_number'), account, query)}),
    looked_up as (select sums.key_number, sums.requests, sums.failures, ${sql.ref('api_keys.number')} as number
      from sums left join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = sums.key_number)
    select * from looked_up where number is null
    union all
    select * from (select * from looked_up where number is not null
      order by requests desc, key_number desc limit ${query.perKeyLimit}) as most`.execute(on.db)
  const most = rows.filter(({ number }) => number !== null).map(({ key_number: key, requests, failures }) => ({ key, requests, failures }))
  return {
    most: most.sort((a, b) => b.requests - a.requests || b.key - a.key),
    pruned: rows.filter(({ number }) => number === null).map(({ key_number: key }) => key)
  }
}

async function readTimeline (on: On, account: number, query: UsageQuery, pruned: readonly number[]): Promise<UsageRows['timeline']> {
  const kept = pruned.length === 0 ? sql`` : sql`and key_number not in (${sql.join(pruned)})`
  const { rows } = await sql<{ slot: number, requests: number, failures: number }>`
    ${selectSums(on, 'slot', sql.ref(query.unit), account, query, kept)} order by slot`.execute(on.db)
  return rows.map(({ slot, requests, failures }) => ({ start: slot * SLOT_MS[query.unit], requests, failures }))
}

/** @param by the column that totals are added up by @param only which of them */
function selectSums (
  { database }: On, name: string, by: RawBuilder<unknown>, account: number, { unit, start, end }: UsageQuery, only = sql``
): RawBuilder<unknown> {
  return sql`select ${by} as ${sql.ref(name)}, sum(requests) as requests, sum(failures) as failures
    from ${sql.table(`usage_${unit}s`)}
    where account_number = ${account} and ${database.inSlots(sql.ref(unit), slotNumber(start, unit), slotNumber(end, unit) - 1)} ${only}
    group by ${by}`
}

/** The keys as they are now. One that has just been pruned is left out. */
async function withKeys ({ db }: On, sums: readonly KeySum[]): Promise<UsageRows['perKey']> {
  if (sums.length === 0) return []
  const rows = await selectKeys(db).where('api_keys.number', 'in', sums.map(({ key }) => key)).execute()
  const keys = new Map(rows.map((row) => [row.number, toStoredKey(row)]))
  return sums.filter(({ key }) => keys.has(key)).map(({ key, ...counts }) => ({ key: keys.get(key)!, ...counts }))
}
