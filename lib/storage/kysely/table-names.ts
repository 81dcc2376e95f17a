// What stands before the name of every table: written into each query, where aliases are left alone.
import {
  IdentifierNode, OperationNodeTransformer, SchemableIdentifierNode,
  type KyselyPlugin, type PluginTransformQueryArgs, type PluginTransformResultArgs, type QueryResult, type RootOperationNode,
  type UnknownRow
} from 'kysely'
import type { DatabaseType } from './databases/database.js'
import { FUNCTION_NAMES, INDEX_NAMES, TABLE_NAMES } from './tables.js'

/** What stands before the name of every table. */
export interface TableNames {
  readonly prefix: string
  /** Of the server's; null: the one that the connection finds by itself. */
  readonly schema: string | null
}

export const DEFAULT_PREFIX = 'self_serve_'
/** A Postgres name has 63 bytes at most, and is cut silently where it has more; a MySQL one 64 characters. */
const MAX_SCHEMA_BYTES = 63

/** @throws what `refuse` throws, naming the option */
export function readTableNames (
  { tablePrefix: prefix = DEFAULT_PREFIX, schema }: { tablePrefix?: unknown, schema?: unknown }, type: DatabaseType,
  refuse: (option: 'tablePrefix' | 'schema', rule: string) => never
): TableNames {
  if (typeof prefix !== 'string' || !/^[a-z_][a-z0-9_]{0,30}$/.test(prefix)) {
    return refuse('tablePrefix', 'must be 1 to 31 lower-case letters, digits and _')
  }
  if (schema === undefined) return { prefix, schema: null }
  if (type === 'sqlite') return refuse('schema', 'is for database servers: a SQLite file has none')
  if (typeof schema !== 'string' || !isName(schema)) {
    return refuse('schema', `must be a name of 1 to ${MAX_SCHEMA_BYTES} bytes without control characters`)
  }
  return { prefix, schema }
}

function isName (text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what it refuses
  return text !== '' && text.isWellFormed() && !/[\0-\x1f\x7f]/.test(text) && Buffer.byteLength(text) <= MAX_SCHEMA_BYTES
}

class TableNamesTransformer extends OperationNodeTransformer {
  readonly #names: TableNames

  constructor (names: TableNames) {
    super()
    this.#names = names
  }

  protected override transformSchemableIdentifier (node: SchemableIdentifierNode): SchemableIdentifierNode {
    const { name } = node.identifier
    const inSchema = TABLE_NAMES.has(name) || FUNCTION_NAMES.has(name)
    if (!inSchema && !INDEX_NAMES.has(name)) return node
    const { prefix, schema } = this.#names
    const identifier = IdentifierNode.create(prefix + name)
    // An index is in the schema of its table, and is named without it.
    return inSchema && schema !== null ? { ...node, schema: IdentifierNode.create(schema), identifier } : { ...node, identifier }
  }
}

/** A Kysely plugin for the names of our tables. */
export class TableNamesPlugin implements KyselyPlugin {
  readonly #transformer: TableNamesTransformer

  constructor (names: TableNames) {
    this.#transformer = new TableNamesTransformer(names)
  }

  transformQuery ({ node }: PluginTransformQueryArgs): RootOperationNode {
    return this.#transformer.transformNode(node)
  }

  async transformResult ({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result
  }
}
