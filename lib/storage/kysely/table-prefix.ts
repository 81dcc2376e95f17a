// Writes the table prefix in front of our table names in every query, and leaves aliases alone.
import {
  IdentifierNode, OperationNodeTransformer, SchemableIdentifierNode,
  type KyselyPlugin, type PluginTransformQueryArgs, type PluginTransformResultArgs, type QueryResult, type RootOperationNode,
  type UnknownRow
} from 'kysely'
import { PREFIXED_NAMES } from './tables.js'

class TablePrefixTransformer extends OperationNodeTransformer {
  readonly #prefix: string

  constructor (prefix: string) {
    super()
    this.#prefix = prefix
  }

  protected override transformSchemableIdentifier (node: SchemableIdentifierNode): SchemableIdentifierNode {
    const { name } = node.identifier
    return PREFIXED_NAMES.has(name) ? { ...node, identifier: IdentifierNode.create(this.#prefix + name) } : node
  }
}

/** A Kysely plugin for table names that begin with `prefix`. */
export class TablePrefixPlugin implements KyselyPlugin {
  readonly #transformer: TablePrefixTransformer

  constructor (prefix: string) {
    this.#transformer = new TablePrefixTransformer(prefix)
  }

  transformQuery ({ node }: PluginTransformQueryArgs): RootOperationNode {
    return this.#transformer.transformNode(node)
  }

  async transformResult ({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result
  }
}
