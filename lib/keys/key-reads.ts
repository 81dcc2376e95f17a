// The operations that read keys.
import { makeError } from '../errors.js'
import type { Storage } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { ENVIRONMENTS, isPublicId, STATUSES } from './api-key.js'
import { readOneOf, refuseField } from '../fields.js'
import type { KeyOperations } from './key-operations.js'
import type { KeyView } from './key-view.js'

/** Keys a page is filled up to. */
const PAGE = 100

export interface KeyReadsParts {
  readonly storage: Pick<Storage, 'listKeys' | 'getKey' | 'findKey' | 'countKeys'>
  readonly view: KeyView
  readonly clock: Clock
}

export function keyReads ({ storage, view, clock }: KeyReadsParts): Pick<KeyOperations, 'list' | 'get' | 'find' | 'count'> {
  return {
    async list (accountId, { environment, status, before } = {}) {
      if (environment !== undefined) readOneOf('environment', environment, 'live', ENVIRONMENTS)
      if (status !== undefined) readOneOf('status', status, 'active', STATUSES)
      const start = before === undefined || before === 'start' ? before : { publicId: before }
      const page = typeof start === 'object' && !isPublicId(start.publicId)
        ? null
        : await storage.listKeys({ accountId, now: clock.now(), environment, status, before: start, limit: PAGE })
      if (page === null) refuseField('before', 'is not a key of this account')
      return { apiKeys: await view.showAll(accountId, page.keys), truncated: page.before !== null, before: page.before }
    },

    async get (accountId, publicId) {
      const key = isPublicId(publicId) ? await storage.getKey(accountId, publicId) : null
      if (key === null) throw makeError('API_KEY_NOT_FOUND', {})
      return (await view.showAll(accountId, [key]))[0]!
    },

    async find (publicId) {
      const key = isPublicId(publicId) ? await storage.findKey(publicId) : null
      return key === null ? null : { accountId: key.accountId, apiKey: (await view.showAll(key.accountId, [key]))[0]! }
    },

    async count (accountId) {
      return await storage.countKeys(accountId, clock.now())
    }
  }
}
