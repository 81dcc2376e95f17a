// What an account did in a window, as SQLite counts it: totals are read once, a row a slot, and added up here. To add up by key SQLite would sort them all.
import { sql } from 'kysely'
import { SLOT_MS, slotNumber } from '../../slots.js'
import { selectKeys } from '../key-queries.js'
import { toStoredKey } from '../tables.js'
import type { Database } from './database.js'

/** The totals of a slot by their columns, a place in each for a key: arrays in JSON. */
interface SlotRow { readonly slot: number, readonly keys: string, readonly requests: string, readonly failures: string }

export const sqliteCounts: Database['readCounts'] = async (db, account, { unit, start, end, perKeyLimit }) => {
  // The slots one by one: the key of the table begins with the slot, so each is one seek.
  const { rows } = await sql<SlotRow>`
    select ${sql.ref(unit)} as slot, json_group_array(key_number) as keys, json_group_array(requests) as requests, json_group_array(failures) as failures
    from ${sql.table(`usage_${unit}s`)}
    where account_number = ${account} and ${sql.ref(unit)} in (with recursive slots (slot) as (
      select ${slotNumber(start, unit)} union all select slot + 1 from slots where slot + 1 < ${slotNumber(end, unit)}) select slot from slots)
    group by ${sql.ref(unit)}`.execute(db)
  const slots = rows.map(({ slot, keys, requests, failures }) => ({ slot, keys: numbers(keys), requests: numbers(requests), failures: numbers(failures) }))

  const sums = new Map<number, { key: number, requests: number, failures: number }>()
  for (const { keys, requests, failures } of slots) {
    for (let place = 0; place < keys.length; place++) {
      const key = keys[place]!
      let sum = sums.get(key)
      if (sum === undefined) sums.set(key, sum = { key, requests: 0, failures: 0 })
      sum.requests += requests[place]!
      sum.failures += failures[place]!
    }
  }
  const { rows: gone } = await sql<{ number: number }>`select value as number from json_each(${JSON.stringify([...sums.keys()])})
    where not exists (select 1 from ${sql.table('api_keys')} where ${sql.ref('api_keys.number')} = value)`.execute(db)
  const pruned = new Set(gone.map(({ number }) => number))

  const timeline = slots.map(({ slot, keys, requests, failures }) => ({ start: slot * SLOT_MS[unit], requests: sumOf(requests, keys, pruned), failures: sumOf(failures, keys, pruned) }))
  const most = [...sums.values()].filter(({ key }) => !pruned.has(key)).sort((a, b) => b.requests - a.requests || b.key - a.key).slice(0, perKeyLimit)
  const found = most.length === 0 ? [] : await selectKeys(db).where('api_keys.number', 'in', most.map(({ key }) => key)).execute()
  const keys = new Map(found.map((row) => [row.number, toStoredKey(row)]))
  return {
    timeline: timeline.filter(({ requests }) => requests > 0).sort((a, b) => a.start - b.start),
    perKey: most.filter(({ key }) => keys.has(key)).map(({ key, ...counts }) => ({ key: keys.get(key)!, ...counts }))
  }
}

function numbers (json: string): number[] {
  return JSON.parse(json) as number[]
}

function sumOf (counts: readonly number[], keys: readonly number[], pruned: ReadonlySet<number>): number {
  let sum = 0
  for (let place = 0; place < counts.length; place++) {
    if (!pruned.has(keys[place]!)) sum += counts[place]!
  }
  return sum
}
