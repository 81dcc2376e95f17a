// The tables as Kysely knows them, and how a row becomes a key. Columns are described in migrations/.
import type { ColumnType, Generated, Insertable, Selectable } from 'kysely'
import type { StoredAuditEntry } from '../../audit/audit-entry.js'
import type { Access, Environment, StoredKey } from '../../keys/api-key.js'
import { endOf } from '../../keys/api-key.js'
import type { Metadata } from '../../register.js'
import { formatScopes, parseList, parseScopes } from './text-lists.js'

export interface Tables {
  accounts: { number: Generated<number>, id: string, next_sequence: number, next_entry: Generated<number> }
  api_keys: ApiKeysTable
  api_key_versions: {
    key_number: number
    version: number
    label: string
    environment: Environment
    scopes: string | null
  }
  sites: { number: Generated<number>, site_id: string, account_number: number, origin: string, created_at: number }
  audit_entries: {
    account_number: number
    id: number
    time: number
    action: string
    actor_id: string | null
    actor_name: string | null
    credential: StoredAuditEntry['credential']
    target_type: string | null
    target_id: string | null
    detail: string
    ip: string | null
    request_id: string | null
  }
  remembered_requests: {
    number: Generated<number>
    account_number: number
    hash: string
    request_hash: string
    key_number: number
    revoked_public_ids: string
    expires_at: number
  }
  usage_routes: { number: Generated<number>, method: string, route: string }
  usage_batches: { number: Generated<number>, id: string, recorded_at: number }
  usage_events: {
    hour: number
    account_number: number
    offset: number
    sequence: number
    key_number: number
    key_version: number
    route_number: number
    status: number
    duration_us: number
    failure_code: string | null
    request_id: string | null
  }
  usage_minutes: UsageTotals & { minute: number }
  usage_hours: UsageTotals & { hour: number }
  usage_days: UsageTotals & { day: number }
  /** SQLite's alone. */
  keys_version: { number: number, version: number }
  migrations: { step: number, name: string, breaking: number, applied_at: number }
}

interface UsageTotals { account_number: number, key_number: number, requests: number, failures: number }

interface ApiKeysTable {
  number: Generated<number>
  public_id: string
  account_number: ColumnType<number, number, never>
  sequence: number
  key_hash: string
  imported_hash: Generated<string | null>
  pepper_id: string | null
  version: number
  label: string
  environment: Environment
  access: Access
  scopes: string | null
  allowed_origins: string
  allowed_ips: string
  default_slot: Environment | null
  prefix: string
  first8: string
  last4: string
  created_by: string | null
  creator_id: string | null
  disabled_by: 'account' | 'host' | null
  metadata: string | null
  created_at: number
  last_used_at: number | null
  expires_at: number | null
  retires_at: number | null
  revoked_at: number | null
  revoked_reason: string | null
  rotated_from: string | null
  ends_at: number
}

export const TABLE_NAMES: ReadonlySet<string> = new Set<keyof Tables>([
  'accounts', 'api_keys', 'api_key_versions', 'sites', 'audit_entries', 'remembered_requests', 'usage_routes', 'usage_batches',
  'usage_events', 'usage_minutes', 'usage_hours', 'usage_days', 'keys_version', 'migrations'
])
/** The functions that a query names. */
export const FUNCTION_NAMES: ReadonlySet<string> = new Set(['find_keys'])
/** The indexes that a query names. */
export const INDEX_NAMES: ReadonlySet<string> = new Set(['usage_failures'])

/** The version a key is stored with. */
export const FIRST_VERSION = 1
/** What `ends_at` holds while a key has no end. */
const NEVER = Number.MAX_SAFE_INTEGER

/** Columns of a key but for its account's, one by one: a prepared `select *` breaks when a later version adds a column. */
export const OWN_COLUMNS = [
  'api_keys.number', 'api_keys.public_id', 'api_keys.account_number', 'api_keys.sequence', 'api_keys.key_hash',
  'api_keys.pepper_id', 'api_keys.version', 'api_keys.label', 'api_keys.environment', 'api_keys.access',
  'api_keys.scopes', 'api_keys.allowed_origins', 'api_keys.allowed_ips', 'api_keys.default_slot', 'api_keys.prefix',
  'api_keys.first8', 'api_keys.last4', 'api_keys.created_by', 'api_keys.creator_id', 'api_keys.disabled_by',
  'api_keys.metadata', 'api_keys.created_at', 'api_keys.last_used_at', 'api_keys.expires_at', 'api_keys.retires_at', 'api_keys.revoked_at',
  'api_keys.revoked_reason', 'api_keys.rotated_from'
] as const
export const KEY_COLUMNS = [...OWN_COLUMNS, 'accounts.id as account_id'] as const

export type KeyRow = Omit<Selectable<ApiKeysTable>, 'ends_at' | 'imported_hash'> & { account_id: string }

/** A key as verification reads it: one row for each site of its account that it may be used from, one without a site if there is none. */
export interface FoundRow extends KeyRow { site_origin: string | null }

export function toStoredKey (row: KeyRow): StoredKey {
  return {
    publicId: row.public_id,
    accountId: row.account_id,
    sequence: row.sequence,
    ref: { account: row.account_number, key: row.number, version: row.version },
    label: row.label,
    environment: row.environment,
    access: row.access,
    scopes: parseScopes(row.scopes),
    allowedOrigins: parseList(row.allowed_origins),
    allowedIps: parseList(row.allowed_ips),
    isDefault: row.default_slot !== null,
    prefix: row.prefix,
    first8: row.first8,
    last4: row.last4,
    hash: row.key_hash,
    pepperId: row.pepper_id,
    createdBy: row.created_by,
    creatorId: row.creator_id,
    disabledBy: row.disabled_by,
    metadata: row.metadata === null ? null : JSON.parse(row.metadata) as Metadata,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    retiresAt: row.retires_at,
    revokedAt: row.revoked_at,
    revokedReason: row.revoked_reason,
    rotatedFrom: row.rotated_from
  }
}

/** The columns of a key but for its account, whose numbers the database gives. */
export function toKeyRow (key: Omit<StoredKey, 'ref' | 'accountId'>): Omit<Insertable<ApiKeysTable>, 'account_number' | 'version'> {
  return {
    public_id: key.publicId,
    sequence: key.sequence,
    key_hash: key.hash,
    pepper_id: key.pepperId,
    label: key.label,
    environment: key.environment,
    access: key.access,
    scopes: formatScopes(key.scopes),
    allowed_origins: JSON.stringify(key.allowedOrigins),
    allowed_ips: JSON.stringify(key.allowedIps),
    default_slot: key.isDefault ? key.environment : null,
    prefix: key.prefix,
    first8: key.first8,
    last4: key.last4,
    created_by: key.createdBy,
    creator_id: key.creatorId,
    disabled_by: key.disabledBy,
    metadata: key.metadata === null ? null : JSON.stringify(key.metadata),
    created_at: key.createdAt,
    last_used_at: key.lastUsedAt,
    expires_at: key.expiresAt,
    retires_at: key.retiresAt,
    revoked_at: key.revokedAt,
    revoked_reason: key.revokedReason,
    rotated_from: key.rotatedFrom,
    ends_at: endOf(key) ?? NEVER
  }
}
