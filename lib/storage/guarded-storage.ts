// A storage whose every failure, and every answer that is late, is STORAGE_UNAVAILABLE: never a pass, never "no such key".
import { makeError, RETRY_AFTER, type SelfServeKeysError } from '../errors.js'
import { isPromise, within } from '../time.js'
import type { Storage } from './storage.js'

/** @param timeout ms that any call may take */
export function guardedStorage (storage: Storage, timeout: number): Storage {
  const guard = <A extends unknown[], T>(call: (...args: A) => T | Promise<T>) => (...args: A): T | Promise<T> => {
    try {
      const answer = call(...args)
      return isPromise(answer) ? within(timeout, answer, () => new Error(`no answer in ${timeout} ms`)).catch(refuse) : answer
    } catch (error) {
      return refuse(error)
    }
  }
  const later = <A extends unknown[], T>(call: (...args: A) => Promise<T>): (...args: A) => Promise<T> => {
    const guarded = guard(call)
    return async (...args) => await guarded(...args)
  }
  return {
    server: storage.server === true,
    open: async (context) => { await storage.open(context) },
    close: later(async () => { await storage.close() }),
    findKeyByHash: guard((digests) => storage.findKeyByHash(digests)),
    keysVersion: storage.keysVersion === undefined ? undefined : () => numberOf(() => storage.keysVersion!()),
    findKey: later(async (publicId) => await storage.findKey(publicId)),
    getKey: later(async (accountId, publicId) => await storage.getKey(accountId, publicId)),
    listKeys: later(async (query) => await storage.listKeys(query)),
    countKeys: later(async (accountId, now) => await storage.countKeys(accountId, now)),
    issueKey: later(async (input) => await storage.issueKey(input)),
    rotateKey: later(async (input) => await storage.rotateKey(input)),
    renewKey: later(async (input) => await storage.renewKey(input)),
    updateKey: later(async (input) => await storage.updateKey(input)),
    revokeKey: later(async (input) => await storage.revokeKey(input)),
    revokeKeys: later(async (input) => await storage.revokeKeys(input)),
    importKey: later(async (input) => await storage.importKey(input)),
    rehashKeys: later(async (moves) => { await storage.rehashKeys(moves) }),
    pruneKeys: later(async (endedBefore, limit) => await storage.pruneKeys(endedBefore, limit)),
    pruneRequests: later(async (now, limit) => await storage.pruneRequests(now, limit)),
    addSite: later(async (input) => await storage.addSite(input)),
    removeSite: later(async (input) => await storage.removeSite(input)),
    listSites: later(async (accountId, limit) => await storage.listSites(accountId, limit)),
    recordAudit: later(async (accountId, entry) => await storage.recordAudit(accountId, entry)),
    listAudit: later(async (query) => await storage.listAudit(query)),
    pruneAudit: later(async (before, limit) => await storage.pruneAudit(before, limit)),
    eraseAccount: later(async (accountId, limit) => await storage.eraseAccount(accountId, limit)),
    recordUsage: later(async (batch) => { await storage.recordUsage(batch) }),
    readUsage: later(async (query) => await storage.readUsage(query)),
    readKeyUsage: later(async (query) => await storage.readKeyUsage(query)),
    pruneUsage: later(async (before, limit) => await storage.pruneUsage(before, limit))
  }
}

function numberOf (call: () => number): number {
  let answer: unknown
  try {
    answer = call()
  } catch (error) {
    refuse(error)
  }
  return typeof answer === 'number' ? answer : refuse(new TypeError('The storage answered no number.'))
}

function refuse (cause: unknown): never {
  throw storageUnavailable(cause)
}

function storageUnavailable (cause: unknown): SelfServeKeysError<'STORAGE_UNAVAILABLE'> {
  return makeError('STORAGE_UNAVAILABLE', { cause, details: { part: 'storage', retryAfter: RETRY_AFTER } })
}
