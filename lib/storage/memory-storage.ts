// Memory storage: the reference for the storage port, for tests and trials. Everything is gone when the process ends.
import { memoryAccounts } from './memory/accounts.js'
import { memoryKeys } from './memory/keys.js'
import { MemoryState } from './memory/state.js'
import { memoryUsage } from './memory/usage.js'
import type { Storage } from './storage.js'

/** A storage in this process's memory. */
export function memoryStorage (): Storage {
  const state = new MemoryState()
  return { async open () {}, async close () {}, ...memoryKeys(state), ...memoryAccounts(state), ...memoryUsage(state) }
}
