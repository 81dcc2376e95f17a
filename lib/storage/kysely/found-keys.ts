// How verification finds keys: the statement is built once, because building it costs more than carrying it out.
import { sql, type CompiledQuery, type Kysely } from 'kysely'
import { andThen } from '../../time.js'
import { keyByHash } from './key-queries.js'
import type { FoundRow, KeyRow, Tables } from './tables.js'

type Answer<T> = T[] | Promise<T[]>

/** A key's row, and the sites of its account that it may be used from. */
export interface Found { readonly row: KeyRow, readonly siteOrigins: readonly string[] }

/** The keys with these hashes, in one round trip. */
export type FindKeys = (hashes: readonly string[]) => Answer<Found>

/** @param run runs a statement whose parameters are given */
export function foundBySelect (db: Kysely<Tables>, run: (query: CompiledQuery<FoundRow>) => Answer<FoundRow>): FindKeys {
  const lookups = new Map<number, CompiledQuery<FoundRow>>()
  return (hashes) => {
    if (hashes.length === 0) return []
    let lookup = lookups.get(hashes.length)
    if (lookup === undefined) {
      lookup = keyByHash(db, hashes).compile()
      lookups.set(hashes.length, lookup)
    }
    return andThen(run({ ...lookup, parameters: hashes }), withSites)
  }
}

/** Through a function that the schema has, which the server plans once a connection; a statement it plans each time. */
export function foundByFunction (db: Kysely<Tables>, run: (query: CompiledQuery<{ found: string }>) => Promise<Array<{ found: string }>>): FindKeys {
  const lookup = sql<{ found: string }>`select ${sql.table('find_keys')}(cast(${''} as text[])) as found`.compile(db)
  return async (hashes) => {
    const rows = await run({ ...lookup, parameters: [`{${JSON.stringify(hashes).slice(1, -1)}}`] })
    return rows.map(({ found }) => {
      const [row, siteOrigins] = JSON.parse(found) as [KeyRow, string[] | null]
      return { row, siteOrigins: siteOrigins ?? [] }
    })
  }
}

/** Of the rows of a join, one for each site or one without. */
function withSites (rows: readonly FoundRow[]): Found[] {
  const found = new Map<number, Found & { readonly siteOrigins: string[] }>()
  for (const row of rows) {
    const { number, site_origin: origin } = row
    const one = found.get(number) ?? { row, siteOrigins: [] }
    if (origin !== null) one.siteOrigins.push(origin)
    found.set(number, one)
  }
  return [...found.values()]
}
