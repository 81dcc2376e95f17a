// Migrations: steps applied once, in order; and the check that a schema is one this build can use.
import { sql, type Kysely } from 'kysely'
import { makeError } from '../../errors.js'
import type { On } from './databases/database.js'
import { makeSchema, makeStepsTable, statementsOf, type MigrationStep } from './migration-steps.js'
import { DEFAULT_PREFIX, type TableNames } from './table-names.js'
import type { Tables } from './tables.js'

export interface AppliedStep { readonly step: number, readonly name: string, readonly breaking: number }

/**
 * Applies the missing steps. Of twenty starting at once one does it.
 * @returns those that were missing
 */
export async function applySteps (on: On, steps: readonly MigrationStep[], names: TableNames, now: number): Promise<MigrationStep[]> {
  const { db, database } = on
  return await database.migrating(db, async () => {
    if (names.schema !== null && !(await schemaExists(db, names.schema))) {
      const command = await commandFor(on, names)
      throw makeError('SCHEMA_OUTDATED', {
        message: `The database has no schema ${JSON.stringify(names.schema)} that this role may use. Make it, or run ${command}: that makes it too.`
      })
    }
    return await applyMissing(on, steps, names, now)
  })
}

/** The same with a schema that is made where it is missing. */
export async function migrateSchema (on: On, steps: readonly MigrationStep[], names: TableNames, now: number): Promise<{ madeSchema: boolean, applied: MigrationStep[] }> {
  const { db, database } = on
  return await database.migrating(db, async () => {
    const madeSchema = names.schema !== null && !(await schemaExists(db, names.schema))
    if (madeSchema) await db.executeQuery(makeSchema(db, names.schema))
    return { madeSchema, applied: await applyMissing(on, steps, names, now) }
  })
}

async function applyMissing ({ db, database }: On, steps: readonly MigrationStep[], names: TableNames, now: number): Promise<MigrationStep[]> {
  await db.executeQuery(makeStepsTable(db))
  const missing = missingSteps(await selectSteps(db), steps)
  for (const step of missing) {
    for (const statement of statementsOf(db, step, names, now)) await db.executeQuery(statement).catch(refuseUnless(database.carriedOut))
  }
  return missing
}

/** An interrupted step is begun again, where the statements before the interruption stayed. */
function refuseUnless (carriedOut: ReadonlySet<unknown>): (error: { code?: unknown }) => void {
  return (error) => {
    if (!carriedOut.has(error.code)) throw error
  }
}

/** Rejects with SCHEMA_OUTDATED, naming the step, if the schema lacks a step or has a breaking one this build does not know. */
export async function checkSchema (on: On, steps: readonly MigrationStep[], names: TableNames): Promise<void> {
  const [missing] = missingSteps(await appliedSteps(on, names), steps)
  if (missing !== undefined) {
    const command = await commandFor(on, names)
    throw makeError('SCHEMA_OUTDATED', {
      message: `The database lacks migration step ${missing.step} (${missing.name}). ${command === null ? 'Start' : `Run ${command}, or start`} ` +
        'once with kyselyStorage({ …, migrate: \'start\' }), by a role that may change tables.'
    })
  }
}

/** The steps that the database has, in order. */
export async function appliedSteps ({ db, database }: On, { prefix, schema }: TableNames): Promise<AppliedStep[]> {
  return await database.tableExists(db, `${prefix}migrations`, schema) ? await selectSteps(db) : []
}

/** @throws SCHEMA_OUTDATED where a breaking one was applied that this build does not know */
export function missingSteps (applied: readonly AppliedStep[], steps: readonly MigrationStep[]): MigrationStep[] {
  const unknown = applied.find((row) => row.breaking === 1 && !steps.some(({ step }) => step === row.step))
  if (unknown !== undefined) {
    throw makeError('SCHEMA_OUTDATED', {
      message: `The database has migration step ${unknown.step} (${unknown.name}), which this version does not know. ` +
        'It was made by a later version of fastify-self-serve-keys: start that one.'
    })
  }
  return steps.filter(({ step }) => !applied.some((row) => row.step === step))
}

/** One that the role may not use is none. */
export async function schemaExists (db: Kysely<Tables>, schema: string): Promise<boolean> {
  const { rows } = await sql`select 1 from information_schema.schemata where schema_name = ${schema}`.execute(db)
  return rows.length > 0
}

async function selectSteps (db: Kysely<Tables>): Promise<AppliedStep[]> {
  return await db.selectFrom('migrations').select(['step', 'name', 'breaking']).orderBy('step').execute()
}

/** The command that applies the missing steps, as it is typed; null where only the process that has the database can do it. */
async function commandFor ({ db, database }: On, { prefix, schema }: TableNames): Promise<string | null> {
  const file = await database.fileOf(db)
  if (file === '') return null
  const words = ['npx', 'fastify-self-serve-keys', 'migrate', ...file === null ? [] : ['--file', file]]
  if (schema !== null) words.push('--schema', schema)
  if (prefix !== DEFAULT_PREFIX) words.push('--table-prefix', prefix)
  return `\`${words.map(quoted).join(' ')}\`${file === null ? ' with DATABASE_URL set to its address' : ''}`
}

/** A word as a shell reads it back. */
function quoted (word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`
}
