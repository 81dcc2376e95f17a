// The statements that read what one key did: its totals of each hour, and its newest event, which is sought by the time of its last use.
import type { Kysely } from 'kysely'
import type { StoredKey } from '../../keys/api-key.js'
import { HOUR } from '../../time.js'
import { slotNumber } from '../slots.js'
import type { KeyUsageQuery, KeyUsageRows, RecordedEvent, UsageCount } from '../storage.js'
import { toRecordedEvent } from './databases/recent-row.js'
import { getKey } from './key-queries.js'
import type { Tables } from './tables.js'

type Db = Kysely<Tables>

export async function readKeyUsage (db: Db, { accountId, publicId, start, end }: KeyUsageQuery): Promise<KeyUsageRows | null> {
  const hours = await readHours(db, accountId, publicId, slotNumber(start, 'hour'), slotNumber(end, 'hour'))
  // After the totals: a batch that they count has moved the last use, too.
  const key = await getKey(db, accountId, publicId)
  if (key === null) return null
  const lastRequest = key.lastUsedAt === null ? null : await readEvent(db, key, key.lastUsedAt)
  const sum = (count: keyof UsageCount): number => hours.reduce((total, hour) => total + hour[count], 0)
  return { requests: sum('requests'), failures: sum('failures'), lastRequest }
}

/** Hour after hour, each a seek: between two of them there may be others' totals. */
async function readHours (db: Db, accountId: string, publicId: string, first: number, end: number): Promise<UsageCount[]> {
  return await db.selectFrom('usage_hours').select(['requests', 'failures'])
    .where('hour', 'in', Array.from({ length: end - first }, (_none, place) => first + place))
    .where('account_number', '=', (eb) => eb.selectFrom('accounts').select('number').where('id', '=', accountId))
    .where('key_number', '=', (eb) => eb.selectFrom('api_keys').select('number').where('public_id', '=', publicId)).execute()
}

/** The key's event of this millisecond, the one recorded last if there are several; null if it was pruned. What belongs to it is joined to the one. */
async function readEvent (db: Db, { ref, publicId }: StoredKey, time: number): Promise<RecordedEvent | null> {
  const newest = db.selectFrom('usage_events')
    .select(['hour', 'offset', 'status', 'duration_us', 'failure_code', 'request_id', 'route_number', 'key_number', 'key_version'])
    .where('account_number', '=', ref.account).where('key_number', '=', ref.key)
    .where('hour', '=', slotNumber(time, 'hour')).where('offset', '=', time % HOUR)
    .orderBy('sequence', 'desc').limit(1)
  const row = await db.selectFrom(newest.as('newest'))
    .innerJoin('usage_routes', 'usage_routes.number', 'newest.route_number')
    .innerJoin('api_key_versions', (join) => join.onRef('api_key_versions.key_number', '=', 'newest.key_number')
      .onRef('api_key_versions.version', '=', 'newest.key_version'))
    .select([
      'newest.hour', 'newest.offset', 'newest.status', 'newest.duration_us', 'newest.failure_code', 'newest.request_id',
      'usage_routes.method', 'usage_routes.route', 'api_key_versions.label', 'api_key_versions.environment', 'api_key_versions.scopes'
    ])
    .executeTakeFirst()
  return row === undefined ? null : toRecordedEvent({ ...row, public_id: publicId })
}
