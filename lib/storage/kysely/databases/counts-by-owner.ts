// What an account did in a window, as Postgres and MySQL count it: the server adds its totals up by slot and by key.
import { sql, type RawBuilder } from 'kysely'
import { SLOT_MS, slotNumber } from '../../slots.js'
import { byRequests, type Database } from './database.js'

interface SlotSum { readonly slot: number, readonly requests: number, readonly failures: number }

/** A sum of a slot, whose `key_number` and `number` are null, or of a key: `number` is null where it was pruned. */
interface SumRow { readonly slot: number | null, readonly key_number: number | null, readonly number: number | null, readonly requests: number, readonly failures: number }

interface Words {
  /** Is the slot in the column one of these? Said so that an account's totals are sought, and nobody else's are read. */
  inSlots (column: RawBuilder<unknown>, first: number, last: number): RawBuilder<boolean>
  /** Sums of totals by slot, and by key: slot or key_number, the other null, requests, failures. */
  sums (slot: RawBuilder<unknown>, totals: RawBuilder<unknown>): RawBuilder<unknown>
}

/** The columns of a sum, whatever it is of. */
export const ADDED_UP = sql`sum(requests) as requests, sum(failures) as failures`

export function countsByOwner ({ inSlots, sums }: Words): Database['readCounts'] {
  return async (db, account, { unit, start, end, perKeyLimit }) => {
    const slot = sql.ref(unit)
    const totals = sql`from ${sql.table(`usage_${unit}s`)}
      where account_number = ${account} and ${inSlots(slot, slotNumber(start, unit), slotNumber(end, unit) - 1)}`
    // The sums, not the rows, are asked whether their keys are there.
    const { rows } = await sql<SumRow>`
      with sums as (${sums(slot, totals)}),
      looked_up as (select sums.slot, sums.key_number, sums.requests, sums.failures, ${sql.ref('api_keys.number')} as number
        from sums left join ${sql.table('api_keys')} on ${sql.ref('api_keys.number')} = sums.key_number)
      select * from looked_up where number is null
      union all
      select * from (select * from looked_up where number is not null order by requests desc, key_number desc limit ${perKeyLimit}) as most`.execute(db)

    // What they did counts for nothing. There is hardly ever one.
    const pruned = rows.flatMap(({ key_number: key, number }) => key !== null && number === null ? [key] : [])
    const slots = pruned.length === 0
      ? rows.filter((row): row is SumRow & SlotSum => row.slot !== null)
      : (await sql<SlotSum>`select ${slot} as slot, ${ADDED_UP} ${totals} and key_number not in (${sql.join(pruned)}) group by ${slot}`.execute(db)).rows
    return {
      timeline: slots.map(({ slot, requests, failures }) => ({ start: slot * SLOT_MS[unit], requests, failures })).sort((a, b) => a.start - b.start),
      perKey: rows.flatMap(({ number: key, requests, failures }) => key === null ? [] : [{ key, requests, failures }]).sort(byRequests)
    }
  }
}
