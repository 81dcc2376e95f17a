// What an account did in a window, as Postgres and MySQL count it: the server adds its totals up by slot and by key.
import { sql, type RawBuilder } from 'kysely'
import { SLOT_MS, slotNumber } from '../../slots.js'
import { OWN_COLUMNS, toStoredKey, type KeyRow } from '../tables.js'
import type { Database } from './database.js'

interface Sums { readonly requests: number, readonly failures: number }
interface SlotSum extends Sums { readonly slot: number }
/** Of a slot; of a key, with its row; or of one that was pruned. */
type SumRow = SlotSum & { readonly number: null } | Sums & { readonly slot: null } & (KeyRow | { readonly key_number: number, readonly number: null })

interface Words {
  /** Is the slot in the column one of these? Said so that an account's totals are sought, and nobody else's are read. */
  inSlots (column: RawBuilder<unknown>, first: number, last: number): RawBuilder<boolean>
  /** Sums of totals by slot, and by key: slot or key_number, the other null, requests, failures. */
  sums (slot: RawBuilder<unknown>, totals: RawBuilder<unknown>): RawBuilder<unknown>
  /** The columns of a sum, whatever it is of. */
  readonly addedUp: RawBuilder<unknown>
  /** Joins the key with this number, or none, as `api_key`: each sought, whatever the server thinks of the table's size. */
  joinKey (number: RawBuilder<unknown>): RawBuilder<unknown>
}

export function countsByOwner ({ inSlots, sums, addedUp, joinKey }: Words): Database['readCounts'] {
  return async (db, account, { accountId, unit, start, end, perKeyLimit }) => {
    const slot = sql.ref(unit)
    const totals = sql`from ${sql.table(`usage_${unit}s`)}
      where account_number = ${account} and ${inSlots(slot, slotNumber(start, unit), slotNumber(end, unit) - 1)}`
    const key = sql.join(OWN_COLUMNS.map((column) => sql.ref(column.replace('api_keys', 'api_key'))))
    // The sums, not the rows, are asked whether their keys are there; and only those that are shown, what their keys are.
    const { rows } = await sql<SumRow>`
      with sums as (${sums(slot, totals)}),
      looked_up as (select sums.slot, sums.key_number, sums.requests, sums.failures, ${sql.ref('api_keys.number')} as number
        from sums left join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = sums.key_number),
      shown as (select * from looked_up where number is null
        union all select * from (select * from looked_up where number is not null order by requests desc, key_number desc limit ${perKeyLimit}) as most)
      select shown.slot, shown.key_number, shown.requests, shown.failures, ${accountId} as account_id, ${key}
      from shown ${joinKey(sql`shown.number`)}`.execute(db)

    // What they did counts for nothing. There is hardly ever one.
    const pruned = rows.flatMap((row) => row.slot === null && row.number === null ? [row.key_number] : [])
    const slots = pruned.length === 0
      ? rows.filter((row) => row.slot !== null)
      : (await sql<SlotSum>`select ${slot} as slot, ${addedUp} ${totals} and key_number not in (${sql.join(pruned)}) group by ${slot}`.execute(db)).rows
    return {
      timeline: slots.map(({ slot, requests, failures }) => ({ start: slot * SLOT_MS[unit], requests, failures })).sort((a, b) => a.start - b.start),
      perKey: rows.flatMap((row) => row.slot === null && row.number !== null ? [{ key: toStoredKey(row), requests: row.requests, failures: row.failures }] : [])
        .sort((a, b) => b.requests - a.requests || b.key.ref.key - a.key.ref.key)
    }
  }
}
