// What was typed: read into a command with all that it needs, or refused by name.
import { parseArgs } from 'node:util'
import type { DatabaseType } from '../storage/kysely/databases/database.js'
import { SERVERS } from '../storage/kysely/dialects.js'
import type { SchemaPlace } from '../storage/kysely/schema-work.js'
import { readTableNames, type TableNames } from '../storage/kysely/table-names.js'

const COMMANDS = ['migrate', 'sql', 'status'] as const

/** `print` is `sql` without a database, from the step `from` on. */
export type Command =
  | SchemaPlace & { readonly name: typeof COMMANDS[number] }
  | { readonly name: 'print', readonly type: DatabaseType, readonly names: TableNames, readonly from: number }

type Environment = Readonly<Record<string, string | undefined>>

/** What was typed cannot be understood. */
export class UsageError extends Error {}

/** What `sql` can be asked for without a database. */
const TYPES = ['sqlite', ...Object.keys(SERVERS)] as DatabaseType[]

const OPTIONS = {
  file: { type: 'string' },
  url: { type: 'string' },
  type: { type: 'string' },
  schema: { type: 'string' },
  'table-prefix': { type: 'string' },
  from: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

/** @returns null where help was asked for. @throws UsageError, naming the argument */
export function readCommand (argv: readonly string[], env: Environment): Command | null {
  const { values, positionals } = parse(argv)
  if (values.help === true) return null
  const [given, ...more] = positionals
  const name = COMMANDS.find((command) => command === given)
  if (given === undefined) throw new UsageError(`a command is missing: ${COMMANDS.join(', ')}`)
  // What is no word may be an address with a password.
  if (name === undefined) throw new UsageError(`${/^[\w-]+$/.test(given) ? given : 'what was typed'} is not a command: ${COMMANDS.join(', ')}`)
  if (more.length > 0) throw new UsageError(`${name} takes options only: what does not begin with - is one word too many`)
  const { type, place } = readPlace(values, name, env)
  const names = readTableNames({ tablePrefix: values['table-prefix'], schema: values.schema }, type, (option, rule) => {
    throw new UsageError(`--${option === 'schema' ? option : 'table-prefix'} ${rule}`)
  })
  const from = readFrom(values, place)
  return place === null ? { name: 'print', type, names, from } : { name, type, place, names }
}

function parse (argv: readonly string[]): { values: Values, positionals: string[] } {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // What follows is advice about values that begin with a dash.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!)
  }
}

/** @returns the place null where no database is to be asked */
function readPlace ({ file, url, type }: Values, name: string, env: Environment): { type: DatabaseType, place: string | null } {
  if ([file, url, type].filter((one) => one !== undefined).length > 1) throw new UsageError('--file, --url and --type: only one of them can be given')
  if (type !== undefined) {
    if (name !== 'sql') throw new UsageError('--type is for sql, without a database')
    const known = TYPES.find((one) => one === type)
    if (known === undefined) throw new UsageError(`--type must be one of ${TYPES.join(', ')}`)
    return { type: known, place: null }
  }
  if (file !== undefined) {
    if (file === '' || file === ':memory:') throw new UsageError('--file must be a path')
    return { type: 'sqlite', place: file }
  }
  const address = url ?? env.DATABASE_URL
  const option = url === undefined ? 'DATABASE_URL' : '--url'
  if (address === undefined) {
    throw new UsageError(`no database is named: --file, --url or DATABASE_URL${name === 'sql' ? ', or --type to print every step' : ''}`)
  }
  const server = Object.entries(SERVERS).find(([, { schemes }]) => schemes.some((scheme) => address.startsWith(`${scheme}//`)))
  // Never the address: it may hold a password.
  if (server === undefined || !URL.canParse(address)) {
    throw new UsageError(`${option} must be an address that begins with ${Object.values(SERVERS).flatMap(({ schemes }) => schemes).map((scheme) => `${scheme}//`).join(' or ')}`)
  }
  return { type: server[0] as DatabaseType, place: address }
}

function readFrom ({ from }: Values, place: string | null): number {
  if (from === undefined) return 1
  if (place !== null) throw new UsageError('--from is for sql beside --type: a database says itself what it lacks')
  if (!/^[1-9]\d{0,3}$/.test(from)) throw new UsageError('--from must be the number of a step')
  return Number(from)
}
