// What is done with a schema from outside a host: bring it up to date, write the SQL that does, say what it has.
import { Kysely } from 'kysely'
import { HOUR } from '../../time.js'
import { connect, DATABASES, type Connections } from './connections.js'
import type { DatabaseType, On } from './databases/database.js'
import { fileDialect, SERVERS } from './dialects.js'
import { appliedSteps, checkSchema, migrateSchema, missingSteps, schemaExists } from './migrate.js'
import { makeSchema, makeStepsTable, migrationSteps, statementsOf, type MigrationStep } from './migration-steps.js'
import { TableNamesPlugin, type TableNames } from './table-names.js'
import type { Tables } from './tables.js'

/** ms: an index on a large table takes its time, and whoever waits sees that it does. */
const TIMEOUT = HOUR

export interface SchemaPlace {
  readonly type: DatabaseType
  /** The path of a SQLite file, or the address of a server. */
  readonly place: string
  readonly names: TableNames
}

/** A step of this build's, or one that only the database knows. */
export interface StepState { readonly step: number, readonly name: string, readonly breaking: boolean, readonly applied: boolean, readonly known: boolean }

/** Applies the missing steps, in a schema that is made where it is missing. A SQLite file is made too. */
export async function bringUpToDate (at: SchemaPlace, now: number): Promise<{ madeSchema: boolean, applied: MigrationStep[] }> {
  return await onDatabase(at, false, async ({ database, write }) =>
    await write(async (db) => await migrateSchema({ db, database }, migrationSteps(at.type), at.names, now)))
}

/** The statements that apply what is missing, in one transaction where the database has such; none where nothing is missing. */
export async function missingStatements (at: SchemaPlace, now: number): Promise<string[]> {
  return await onDatabase(at, true, async ({ reader: db, database }) => {
    const missing = missingSteps(await appliedSteps({ db, database }, at.names), migrationSteps(at.type))
    const { schema } = at.names
    return statements({ db, database }, missing, at.names, schema !== null && !(await schemaExists(db, schema)), now)
  })
}

/** The same for the steps from `from` on, whatever a database has. */
export function statementsFrom (from: number, type: DatabaseType, names: TableNames, now: number): string[] {
  // Only its words are needed: it is never connected.
  const db = new Kysely<Tables>({ dialect: dialectOf(type, '', true) }).withPlugin(new TableNamesPlugin(names))
  return statements({ db, database: DATABASES[type] }, migrationSteps(type).filter(({ step }) => step >= from), names, from === 1, now)
}

function statements ({ db, database }: On, steps: readonly MigrationStep[], names: TableNames, lacksSchema: boolean, now: number): string[] {
  if (steps.length === 0) return []
  const all = [makeStepsTable(db), ...steps.flatMap((step) => statementsOf(db, step, names, now))]
  if (lacksSchema && names.schema !== null) all.unshift(makeSchema(db, names.schema))
  const texts = all.map(({ sql }) => sql)
  // Where a statement may have been carried out although its step was not, statements about tables end transactions.
  return database.carriedOut.size > 0 ? texts : ['begin', ...texts, 'commit']
}

/** @returns every step, and why this build cannot use the schema; null where it can */
export async function stateOf (at: SchemaPlace): Promise<{ steps: StepState[], problem: unknown }> {
  const steps = migrationSteps(at.type)
  return await onDatabase(at, true, async ({ reader: db, database }) => {
    const on: On = { db, database }
    const applied = await appliedSteps(on, at.names)
    const ours = steps.map(({ step, name, breaking }) => ({ step, name, breaking, applied: applied.some((row) => row.step === step), known: true }))
    const theirs = applied.filter(({ step }) => !ours.some((one) => one.step === step))
      .map(({ step, name, breaking }) => ({ step, name, breaking: breaking === 1, applied: true, known: false }))
    const problem = await checkSchema(on, steps, at.names).then(() => null, (error: unknown) => error)
    return { steps: [...ours, ...theirs].sort((a, b) => a.step - b.step), problem }
  })
}

async function onDatabase<T> ({ type, place, names }: SchemaPlace, readonly: boolean, work: (connections: Connections) => Promise<T>): Promise<T> {
  const connections = await connect({ dialect: dialectOf(type, place, readonly), type }, names, TIMEOUT)
  return await work(connections).finally(connections.close)
}

function dialectOf (type: DatabaseType, place: string, readonly: boolean): ReturnType<typeof fileDialect> {
  return type === 'sqlite' ? fileDialect(place, readonly) : SERVERS[type].dialect(place)
}
