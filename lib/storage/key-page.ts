// How a page of keys is put together, the same for every storage.
import type { StoredKey } from '../keys/api-key.js'
import type { KeyPage, ListKeysQuery } from './storage.js'

/**
 * Puts a page together: `current` keys (first page only) and `ended` ones, both newest first and already filtered.
 * `ended` must hold `query.limit + 1` keys if there are as many.
 */
export function assemblePage (query: ListKeysQuery, current: readonly StoredKey[], ended: readonly StoredKey[]): NonNullable<KeyPage> {
  const fill = ended.slice(0, Math.max(0, query.limit - current.length))
  const keys = [...current, ...fill].sort((a, b) => b.sequence - a.sequence)
  const more = ended.length > fill.length
  return { keys, before: more ? fill.at(-1)?.publicId ?? 'start' : null }
}
