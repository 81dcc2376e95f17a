// The command `fastify-self-serve-keys`: looks after the schema of kysely storage.
import { bringUpToDate, missingStatements, stateOf, statementsFrom, type SchemaPlace } from '../storage/kysely/schema-work.js'
import { readCommand, UsageError, type Command } from './arguments.js'
import { errorText } from './error-text.js'

/** What a process gives the command. */
export interface Surroundings {
  readonly stdout: { write (text: string): unknown }
  readonly stderr: { write (text: string): unknown }
  readonly env: Readonly<Record<string, string | undefined>>
}

export const HELP = `npx fastify-self-serve-keys COMMAND

  migrate   applies the missing steps to the database, under its lock
  sql       prints the SQL that does the same, for somebody else to run
  status    says which steps the database has; ends with 1 if this version cannot run on it

The database, one of these:
  --file PATH         a SQLite file
  --url ADDRESS       a server: postgres://user:password@host/database, or mysql://…
  DATABASE_URL        the same from the environment, which other users of the machine cannot read
  --type TYPE         none: sql prints every step for sqlite, postgres or mysql
The tables, as kyselyStorage is told of them:
  --schema NAME       the server's schema; migrate makes it if it is missing
  --table-prefix TEXT default self_serve_

  --from N            beside --type: the first step to print
  --help
`

/** @param argv what follows the command's name @returns the exit code: 1 for what failed, 2 for what cannot be understood */
export async function run (argv: readonly string[], { stdout, stderr, env }: Surroundings): Promise<number> {
  const say: Say = (line) => { stdout.write(`${line}\n`) }
  try {
    const command = readCommand(argv, env)
    if (command === null) stdout.write(HELP)
    else await obey(command, say)
    return 0
  } catch (error) {
    stderr.write(`${errorText(error, argv, env)}\n`)
    if (!(error instanceof UsageError)) return 1
    stderr.write('npx fastify-self-serve-keys --help says what there is.\n')
    return 2
  }
}

type Say = (line: string) => void

async function obey (command: Command, say: Say): Promise<void> {
  switch (command.name) {
    case 'migrate': return await migrate(command, say)
    case 'status': return await status(command, say)
    case 'sql': return print(await missingStatements(command, Date.now()), say)
    case 'print': return print(statementsFrom(command.from, command.type, command.names, Date.now()), say)
  }
}

async function migrate (at: SchemaPlace, say: Say): Promise<void> {
  const { madeSchema, applied } = await bringUpToDate(at, Date.now())
  if (madeSchema) say(`made schema ${at.names.schema!}`)
  for (const { step, name, breaking } of applied) say(`applied ${step} ${name}, ${kindOf(breaking)}`)
  if (applied.length === 0) say('Nothing to do: every step is applied.')
}

async function status (at: SchemaPlace, say: Say): Promise<void> {
  const { steps, problem } = await stateOf(at)
  for (const { step, name, breaking, applied, known } of steps) {
    say(`${step} ${name}, ${kindOf(breaking)}: ${applied ? 'applied' : 'missing'}${known ? '' : ' by a later version'}`)
  }
  if (problem !== null) throw problem
  say('This version can run on it.')
}

function print (statements: readonly string[], say: Say): void {
  for (const statement of statements) say(`${statement};\n`)
  if (statements.length === 0) say('-- Nothing is missing.')
}

function kindOf (breaking: boolean): string {
  return breaking ? 'breaking' : 'additive'
}
