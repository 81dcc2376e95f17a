// Keys verified under an older pepper, waiting to be stored under the current one by the next flush.
import type { RehashMove, Storage } from '../storage/storage.js'

/** More than this many wait at most; a key that finds no room is moved after its next use. */
const MAX_WAITING = 1000

export interface RehashQueue {
  add (move: RehashMove): void
  /** Moves what waits. What could not be moved is forgotten: the key's next use brings it back. */
  flush (): Promise<void>
}

export function rehashQueue (storage: Pick<Storage, 'rehashKeys'>): RehashQueue {
  const waiting = new Map<string, RehashMove>()
  return {
    add (move) {
      if (waiting.size < MAX_WAITING) waiting.set(move.publicId, move)
    },
    async flush () {
      if (waiting.size === 0) return
      const moves = [...waiting.values()]
      waiting.clear()
      await storage.rehashKeys(moves)
    }
  }
}
