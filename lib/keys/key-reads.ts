// The operations that read keys.
import { makeError } from '../errors.js'
import type { Storage } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { checkAccountId } from './actor.js'
import { ENVIRONMENTS, isPublicId, STATUSES } from './api-key.js'
import { readFields, readOneOf, refuseField } from '../fields.js'
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
    async list (accountId, options = {}) {
      checkAccountId(accountId)
      const { environment, status, before } = readFields(options, ['environment', 'status', 'before'])
      const filter = { environment: readOneOf('environment', environment, undefined, ENVIRONMENTS), status: readOneOf('status', status, undefined, STATUSES) }
      const start = before === undefined || before === 'start' ? before : isPublicId(before) ? { publicId: before } : null
      const page = start === null ? null : await storage.listKeys({ accountId, now: clock.now(), ...filter, before: start, limit: PAGE })
      if (page === null) refuseField('before', 'is not a key of this account')
      return { apiKeys: await view.showAll(accountId, page.keys), truncated: page.before !== null, before: page.before }
    },

    async get (accountId, publicId) {
      checkAccountId(accountId)
      const key = isPublicId(publicId) ? await storage.getKey(accountId, publicId) : null
      if (key === null) throw makeError('API_KEY_NOT_FOUND', {})
      return (await view.showAll(accountId, [key]))[0]!
    },

    async find (publicId) {
      const key = isPublicId(publicId) ? await storage.findKey(publicId) : null
      return key === null ? null : { accountId: key.accountId, apiKey: (await view.showAll(key.accountId, [key]))[0]! }
    },

    async count (accountId) {
      checkAccountId(accountId)
      return await storage.countKeys(accountId, clock.now())
    }
  }
}
