// Migration steps: one SQL file each, in order, and the statements that apply one.
import { readdirSync, readFileSync } from 'node:fs'
import { sql, type CompiledQuery, type Kysely } from 'kysely'
import type { DatabaseType } from './databases/database.js'
import type { TableNames } from './table-names.js'
import type { Tables } from './tables.js'

/** A build runs on any schema whose last breaking step it knows; later additive ones do not trouble it. */
export interface MigrationStep { readonly step: number, readonly name: string, readonly breaking: boolean, readonly sql: string }

/** The steps in `migrations/<type>`, in order. A file's first line says `-- additive: …` or `-- breaking: …`. */
export function migrationSteps (type: DatabaseType): MigrationStep[] {
  const folder = new URL(`./migrations/${type}/`, import.meta.url)
  return readdirSync(folder).sort().map((file) => {
    const text = readFileSync(new URL(file, folder), 'utf8')
    const [, step, name] = /^(\d{4})-(.+)\.sql$/.exec(file)!
    return { step: Number(step), name: name!, breaking: text.startsWith('-- breaking'), sql: text }
  })
}

/** Makes the schema where it is missing. */
export function makeSchema (db: Kysely<Tables>, schema: string): CompiledQuery {
  return sql`create schema if not exists ${sql.id(schema)}`.compile(db)
}

/** Makes the table of applied steps where it is missing. */
export function makeStepsTable (db: Kysely<Tables>): CompiledQuery {
  return sql`create table if not exists ${sql.table('migrations')} (
    step integer primary key, name text not null, breaking integer not null, applied_at bigint not null)`.compile(db)
}

/**
 * The statements of a step, without parameters, and at their end the row that says that it was applied.
 * @param now of that row, ms since the epoch
 */
export function statementsOf (db: Kysely<Tables>, { step, name, breaking, sql: text }: MigrationStep, names: TableNames, now: number): CompiledQuery[] {
  const { prefix, schema } = names
  const table = schema === null ? prefix : `${sql.id(schema).compile(db).sql}.${prefix}`
  // An index is in the schema of its table, and is made without naming it.
  const named = (statement: string): string => statement.trim().replace(/\{(prefix|index)\}/g, (_, kind) => kind === 'prefix' ? table : prefix)
  // A line that is indented goes on with the statement before it.
  const statements = text.split(/;\s*\n(?=\S)/).map((statement) => sql.raw(named(statement)).compile(db))
  const row = { step: sql.lit(step), name: sql.lit(name), breaking: sql.lit(breaking ? 1 : 0), applied_at: sql.lit(now) }
  return [...statements, db.insertInto('migrations').values(row).compile()]
}
