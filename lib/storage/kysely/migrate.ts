// Migrations: ordered steps, one SQL file each, applied once; and the check that a schema is one this build can use.
import { readdirSync, readFileSync } from 'node:fs'
import { sql, type Kysely } from 'kysely'
import { makeError } from '../../errors.js'
import type { DatabaseType, On } from './databases/database.js'
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

/** Applies the missing steps. The caller holds the database's write lock, so that of twenty starting at once one does it. */
export async function applySteps ({ db, database }: On, steps: readonly MigrationStep[], prefix: string, now: number): Promise<void> {
  await database.lockForMigration(db)
  await sql`create table if not exists ${sql.table(`${prefix}migrations`)} (
    step integer primary key, name text not null, breaking integer not null, applied_at bigint not null)`.execute(db)
  const applied = await appliedSteps(db)
  checkKnown(applied, steps)
  for (const { step, name, breaking, sql: text } of steps) {
    if (applied.some((row) => row.step === step)) continue
    for (const statement of text.replaceAll('{prefix}', prefix).split(/;\s*$/m)) {
      if (statement.trim() !== '') await sql.raw(statement).execute(db)
    }
    await db.insertInto('migrations').values({ step, name, breaking: breaking ? 1 : 0, applied_at: now }).execute()
  }
}

/** Rejects with SCHEMA_OUTDATED, naming the step, if the schema lacks a step or has a breaking one this build does not know. */
export async function checkSchema ({ db, database }: On, steps: readonly MigrationStep[], prefix: string): Promise<void> {
  const there = await database.tableExists(db, `${prefix}migrations`)
  const applied = there ? await appliedSteps(db) : []
  checkKnown(applied, steps)
  const missing = steps.find(({ step }) => !applied.some((row) => row.step === step))
  if (missing !== undefined) {
    throw makeError('SCHEMA_OUTDATED', {
      message: `The database lacks migration step ${missing.step} (${missing.name}). ` +
        'Start once with kyselyStorage({ …, migrate: \'start\' }), by a role that may change tables.'
    })
  }
}

interface AppliedStep { step: number, name: string, breaking: number }

function checkKnown (applied: readonly AppliedStep[], steps: readonly MigrationStep[]): void {
  const unknown = applied.find((row) => row.breaking === 1 && !steps.some(({ step }) => step === row.step))
  if (unknown !== undefined) {
    throw makeError('SCHEMA_OUTDATED', {
      message: `The database has migration step ${unknown.step} (${unknown.name}), which this version does not know. ` +
        'It was made by a later version of fastify-self-serve-keys: start that one.'
    })
  }
}

async function appliedSteps (db: Kysely<Tables>): Promise<AppliedStep[]> {
  return await db.selectFrom('migrations').select(['step', 'name', 'breaking']).orderBy('step').execute()
}
