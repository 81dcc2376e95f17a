// How verification finds keys: the statement is built once, because building it costs more than carrying it out.
import { sql, type CompiledQuery, type Kysely } from 'kysely'
import { keyByHash } from './key-queries.js'
import type { FoundRow, KeyRow, Tables } from './tables.js'

type Rows<R> = R[] | Promise<R[]>

/** The rows of the keys with these hashes, in one round trip. */
export type FindKeys = (hashes: readonly string[]) => Rows<FoundRow>

/** @param run runs a statement whose parameters are given */
export function foundBySelect (db: Kysely<Tables>, run: (query: CompiledQuery<FoundRow>) => Rows<FoundRow>): FindKeys {
  const lookups = new Map<number, CompiledQuery<FoundRow>>()
  return (hashes) => {
    if (hashes.length === 0) return []
    let lookup = lookups.get(hashes.length)
    if (lookup === undefined) {
      lookup = keyByHash(db, hashes).compile()
      lookups.set(hashes.length, lookup)
    }
    return run({ ...lookup, parameters: hashes })
  }
}

/** Through a function that the schema has, which the server plans once a connection; a statement it plans each time. */
export function foundByFunction (db: Kysely<Tables>, run: (query: CompiledQuery<{ found: string }>) => Promise<Array<{ found: string }>>): FindKeys {
  const lookup = sql<{ found: string }>`select ${sql.table('find_keys')}(cast(${''} as text[])) as found`.compile(db)
  return async (hashes) => {
    const rows = await run({ ...lookup, parameters: [`{${hashes.map((hash) => JSON.stringify(hash)).join()}}`] })
    return rows.flatMap(({ found }) => {
      const [key, origins] = JSON.parse(found) as [KeyRow, string[] | null]
      return (origins ?? [null]).map((origin) => ({ ...key, site_origin: origin }))
    })
  }
}
