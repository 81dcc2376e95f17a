// A row of recent usage as every database selects it, and the event it tells of.
import { sql } from 'kysely'
import { HOUR } from '../../../time.js'
import type { RecordedEvent } from '../../storage.js'
import { parseScopes } from '../text-lists.js'

/** What belongs to an event, each from its own table. */
export const NAMES = sql`${sql.ref('usage_routes.method')} as method, ${sql.ref('usage_routes.route')} as route,
  ${sql.ref('api_keys.public_id')} as public_id, ${sql.ref('api_key_versions.label')} as label,
  ${sql.ref('api_key_versions.environment')} as environment, ${sql.ref('api_key_versions.scopes')} as scopes`

export interface RecentRow {
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

export function toRecordedEvent (row: RecentRow): RecordedEvent {
  return {
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
  }
}
