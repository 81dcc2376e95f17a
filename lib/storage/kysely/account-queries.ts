// The statements about sites, and those that erase an account.
import type { Kysely } from 'kysely'
import type { StoredKey } from '../../keys/api-key.js'
import type { AddSiteInput, RemoveSiteInput, StoredSite } from '../../sites/site-changes.js'
import { decideAddSite, refuseSite, siteEntry } from '../../sites/site-changes.js'
import type { SiteOutcome } from '../storage.js'
import { accountNumber, lockAccount, makeAccount } from './account-rows.js'
import { writeEntries } from './audit-queries.js'
import type { On } from './databases/database.js'
import { deleteKeys, getKey } from './key-queries.js'
import { eraseRequests } from './request-queries.js'
import type { Tables } from './tables.js'

type Db = Kysely<Tables>
interface SiteRow { readonly site_id: string, readonly origin: string, readonly created_at: number }

const SITE_COLUMNS = ['site_id', 'origin', 'created_at'] as const
const toSite = (row: SiteRow, accountId: string): StoredSite =>
  ({ siteId: row.site_id, accountId, origin: row.origin, createdAt: row.created_at })

export async function addSite (on: On, input: AddSiteInput): Promise<SiteOutcome> {
  const { db } = on
  const { siteId, accountId, origin, createdAt } = input.site
  const account = await makeAccount(on, accountId)
  const sites = db.selectFrom('sites').where('account_number', '=', account.number)
  const same = await sites.select(SITE_COLUMNS).where('origin', '=', origin).executeTakeFirst()
  const { count } = await sites.select((eb) => eb.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
  const acting = await actingOf(db, input, accountId)
  const decision = decideAddSite(input, { acting, same: same === undefined ? null : toSite(same, accountId), count: Number(count) })
  if (decision.outcome !== 'changed') return decision
  await db.insertInto('sites').values({ site_id: siteId, account_number: account.number, origin, created_at: createdAt }).execute()
  return { outcome: 'changed', site: input.site, entries: await writeEntries(db, account, [siteEntry(input, 'site.added', input.site)]) }
}

async function actingOf (db: Db, { acting }: Pick<AddSiteInput, 'acting'>, accountId: string): Promise<StoredKey | null> {
  return acting === null ? null : await getKey(db, accountId, acting.publicId)
}

export async function removeSite (on: On, input: RemoveSiteInput): Promise<SiteOutcome | null> {
  const { db } = on
  const account = await lockAccount(on, input.accountId)
  if (account === null) return refuseSite(input, null)
  const row = await db.selectFrom('sites').select(SITE_COLUMNS).where('account_number', '=', account.number)
    .where('site_id', '=', input.siteId).executeTakeFirst()
  const refusal = refuseSite(input, await actingOf(db, input, input.accountId))
  if (refusal !== null) return refusal
  if (row === undefined) return null
  await db.deleteFrom('sites').where('site_id', '=', input.siteId).execute()
  const site = toSite(row, input.accountId)
  return { outcome: 'changed', site, entries: await writeEntries(db, account, [siteEntry(input, 'site.removed', site)]) }
}

export async function listSites (db: Db, accountId: string, limit: number): Promise<StoredSite[]> {
  const rows = await db.selectFrom('sites').innerJoin('accounts', 'accounts.number', 'sites.account_number')
    .select(['sites.site_id', 'sites.origin', 'sites.created_at']).where('accounts.id', '=', accountId)
    .orderBy('sites.number', 'desc').limit(limit).execute()
  return rows.map((row) => toSite(row, accountId))
}

/** Keys go first, so that nobody gets in any more. */
export async function eraseAccount ({ db, database }: On, accountId: string, limit: number): Promise<number> {
  const number = await accountNumber(db, accountId)
  if (number === null) return 0
  for (const erase of [eraseKeys, eraseRequests, database.eraseUsage, eraseEntries, eraseSites]) {
    const removed = await erase(db, number, limit)
    if (removed > 0) return removed
  }
  await db.deleteFrom('accounts').where('number', '=', number).execute()
  return 1
}

async function eraseKeys (db: Db, account: number, limit: number): Promise<number> {
  const keys = await db.selectFrom('api_keys').select('number').where('account_number', '=', account)
    .orderBy('ends_at', 'desc').limit(limit).execute()
  if (keys.length === 0) return 0
  await deleteKeys(db, keys.map(({ number }) => number))
  return keys.length
}

async function eraseEntries (db: Db, account: number, limit: number): Promise<number> {
  const entries = await db.selectFrom('audit_entries').select('id').where('account_number', '=', account).limit(limit).execute()
  if (entries.length === 0) return 0
  await db.deleteFrom('audit_entries').where('account_number', '=', account).where('id', 'in', entries.map(({ id }) => id)).execute()
  return entries.length
}

async function eraseSites (db: Db, account: number, limit: number): Promise<number> {
  const sites = await db.selectFrom('sites').select('number').where('account_number', '=', account).limit(limit).execute()
  if (sites.length === 0) return 0
  await db.deleteFrom('sites').where('number', 'in', sites.map(({ number }) => number)).execute()
  return sites.length
}
