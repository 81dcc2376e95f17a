// Keys that are asked for in one turn of the event loop go to the server in one query: the round trip costs more than the keys.
import { AsyncResource } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FindKeys, Found } from './found-keys.js'

/** Hashes that a query has at most, if not a single request has more: a connection looks for one after the other. */
const MOST = 32

interface Query { readonly hashes: Set<string>, readonly found: Promise<ReadonlyMap<string, Found>> }

/**
 * A query is sent at the end of the turn, and so after each request that has it answered came: what was committed before a
 * request is in its answer. Nobody joins a query that was sent, nor waits for one to end.
 */
export function findTogether (find: FindKeys): FindKeys {
  let next: Query | null = null
  // What a host keeps for each request, a tenant or a trace, is not that of whichever request came first.
  const ask = AsyncResource.bind(async (hashes: string[]) => await find(hashes))

  const begin = (): Query => {
    const hashes = new Set<string>()
    const send = async (): Promise<ReadonlyMap<string, Found>> => {
      await nextTurn()
      if (next === query) next = null
      return new Map((await ask([...hashes])).map((one) => [one.row.key_hash, one]))
    }
    const query = { hashes, found: send() }
    return query
  }

  return async (hashes) => {
    if (next === null || next.hashes.size + hashes.length > MOST) next = begin()
    for (const hash of hashes) next.hashes.add(hash)
    const found = await next.found
    return hashes.flatMap((hash) => found.get(hash) ?? [])
  }
}
