// Chance that can be repeated: everything follows from a seed.

export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below (limit: number): number
  /** One of these. */
  of<T> (list: readonly T[]): T
  /** True once in so many times. */
  once (times: number): boolean
}

/** @param seed any text: whoever names a place in a run by it can make that place again without what was before it */
export function randomFrom (seed: string): Random {
  // FNV-1a makes a state of the text, which xorshift32 walks from; no state is 0.
  let state = 0x811c9dc5
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193)
  state = state === 0 ? 1 : state
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    // The lowest bits of neighbours are alike: all are mixed in.
    return Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0
  }
  const below = (limit: number): number => Math.floor(next() / 2 ** 32 * limit)
  return {
    below,
    of: (list) => list[below(list.length)]!,
    once: (times) => below(times) === 0
  }
}
