// Makes of what drivers give what is meant: text of bytes, and numbers of text and bigints. None of ours is beyond what a double can hold.
import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs, QueryResult, RootOperationNode, UnknownRow } from 'kysely'

/** Every column of ours, and every name in our statements, that is a number. */
const NUMBERS: ReadonlySet<string> = new Set([
  'number', 'account_number', 'key_number', 'route_number', 'version', 'key_version', 'sequence', 'next_sequence', 'next_entry',
  'created_at', 'last_used_at', 'expires_at', 'retires_at', 'revoked_at', 'recorded_at', 'time', 'id', 'hour', 'offset', 'slot',
  'status', 'duration_us', 'requests', 'failures', 'total', 'count', 'current', 'step', 'breaking'
])

/** A Kysely plugin for results. What a driver gives for a column may be a setting of the host's. */
export class ValuesPlugin implements KyselyPlugin {
  transformQuery ({ node }: PluginTransformQueryArgs): RootOperationNode {
    return node
  }

  async transformResult ({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    const [first] = result.rows
    if (first === undefined) return result
    // Taken out of the driver's answer: pg's outlives its use, and each minor collection would copy all rows that came since the last major one.
    const rows = result.rows.splice(0)
    const names = Object.keys(first)
    const numbers = names.filter((name) => NUMBERS.has(name))
    const others = names.filter((name) => !NUMBERS.has(name))
    for (const row of rows) {
      for (const name of numbers) {
        if (row[name] !== null) row[name] = Number(row[name])
      }
      for (const name of others) {
        const value = row[name]
        if (Buffer.isBuffer(value)) row[name] = value.toString()
      }
    }
    return { ...result, rows }
  }
}
