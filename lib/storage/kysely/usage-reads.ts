// The statements that read usage: totals for what is counted, events for the newest requests.
import { sql, type Kysely, type RawBuilder } from 'kysely'
import { HOUR } from '../../time.js'
import { slotNumber, SLOT_MS } from '../slots.js'
import type { RecordedEvent, UsageQuery, UsageRows } from '../storage.js'
import { KEY_COLUMNS, parseScopes, toStoredKey, type Tables } from './tables.js'

type Db = Kysely<Tables>

export async function readUsage (db: Db, query: UsageQuery): Promise<UsageRows> {
  const account = await db.selectFrom('accounts').select('number').where('id', '=', query.accountId).executeTakeFirst()
  if (account === undefined) return { timeline: [], perKey: [], recentRequests: [], recentFailures: [] }
  return {
    timeline: await readTimeline(db, account.number, query),
    perKey: await readPerKey(db, account.number, query),
    recentRequests: await readRecent(db, account.number, query, false),
    recentFailures: await readRecent(db, account.number, query, true)
  }
}

/**
 * One row per key and slot of the account. Whoever reads it joins the keys: rows of a pruned key stay until they are
 * pruned themselves and count for nothing.
 */
function countsOf (db: Db, account: number, { unit, start, end }: UsageQuery): RawBuilder<unknown> {
  const column = (name: string): RawBuilder<unknown> => sql.ref(`usage_${unit}s.${name}`)
  // The slots one by one: the key of the table begins with the slot, so each is one seek.
  return sql`(with recursive slots (slot) as (
        select ${slotNumber(start, unit)} union all select slot + 1 from slots where slot + 1 < ${slotNumber(end, unit)})
      select slots.slot, ${column('key_number')} as key_number, ${column('requests')} as requests, ${column('failures')} as failures
      from slots cross join ${sql.table(`usage_${unit}s`)} on ${column(unit)} = slots.slot and ${column('account_number')} = ${account})`
}

async function readTimeline (db: Db, account: number, query: UsageQuery): Promise<UsageRows['timeline']> {
  const { rows } = await sql<{ slot: number, requests: number, failures: number }>`
    select slot, sum(requests) as requests, sum(failures) as failures
    from ${countsOf(db, account, query)} as counts
    cross join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = counts.key_number
    group by slot order by slot`.execute(db)
  return rows.map(({ slot, requests, failures }) => ({ start: slot * SLOT_MS[query.unit], requests, failures }))
}

async function readPerKey (db: Db, account: number, query: UsageQuery): Promise<UsageRows['perKey']> {
  const counts = sql<{ key_number: number, requests: number, failures: number }>`(
    select key_number, sum(requests) as requests, sum(failures) as failures
    from ${countsOf(db, account, query)} as counts group by key_number)`.as('counts')
  const rows = await db.selectFrom(counts).innerJoin('api_keys', 'api_keys.number', 'counts.key_number')
    .innerJoin('accounts', 'accounts.number', 'api_keys.account_number')
    .select(KEY_COLUMNS).select(['counts.requests', 'counts.failures'])
    .orderBy('counts.requests', 'desc').orderBy('api_keys.number', 'desc').limit(query.perKeyLimit).execute()
  return rows.map(({ requests, failures, ...row }) => ({ key: toStoredKey(row), requests, failures }))
}

/**
 * The newest events of the account in the window. One seek an hour, newest hour first, until there are enough: that
 * depends on `hours` being the outer loop (cross join keeps it there) and on the keys' descending order. The index of
 * failures has to be named: SQLite would rather read every event of an hour than look each failure up in its table.
 */
async function readRecent (
  db: Db, account: number, { start, end, recentLimit }: UsageQuery, failuresOnly: boolean
): Promise<RecordedEvent[]> {
  const event = (name: string): RawBuilder<unknown> => sql.ref(`usage_events.${name}`)
  const { rows } = await sql<RecentRow>`with recursive hours (hour) as (
      select ${slotNumber(end - 1, 'hour')} union all select hour - 1 from hours where hour > ${slotNumber(start, 'hour')})
    select ${event('hour')} as hour, ${event('offset')} as offset, ${event('status')} as status,
      ${event('duration_us')} as duration_us, ${event('failure_code')} as failure_code, ${event('request_id')} as request_id,
      ${sql.ref('usage_routes.method')} as method, ${sql.ref('usage_routes.route')} as route,
      ${sql.ref('api_keys.public_id')} as public_id, ${sql.ref('api_key_versions.label')} as label,
      ${sql.ref('api_key_versions.environment')} as environment, ${sql.ref('api_key_versions.scopes')} as scopes
    from hours
    cross join ${sql.table('usage_events')} ${failuresOnly ? sql`indexed by ${sql.table('usage_failures')}` : sql``}
      on ${event('hour')} = hours.hour and ${event('account_number')} = ${account}
      ${failuresOnly ? sql`and ${event('status')} >= 400` : sql``}
      and ${event('hour')} * ${HOUR} + ${event('offset')} >= ${start}
      and ${event('hour')} * ${HOUR} + ${event('offset')} < ${end}
    cross join ${sql.table('usage_routes')} on ${sql.ref('usage_routes.number')} = ${event('route_number')}
    cross join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = ${event('key_number')}
    cross join ${sql.table('api_key_versions')} on ${sql.ref('api_key_versions.key_number')} = ${event('key_number')}
      and ${sql.ref('api_key_versions.version')} = ${event('key_version')}
    limit ${recentLimit}`.execute(db)
  return rows.map((row) => ({
    publicId: row.public_id,
    label: row.label,
    environment: row.environment,
    scopes: parseScopes(row.scopes),
    time: row.hour * HOUR + row.offset,
    method: row.method,
    route: row.route,
    status: row.status,
    durationMs: row.duration_us / 1000,
    failureCode: row.failure_code,
    requestId: row.request_id
  }))
}

interface RecentRow {
  hour: number
  offset: number
  status: number
  duration_us: number
  failure_code: string | null
  request_id: string | null
  method: string
  route: string
  public_id: string
  label: string
  environment: 'live' | 'test'
  scopes: string | null
}
