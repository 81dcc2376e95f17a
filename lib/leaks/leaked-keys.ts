// What becomes of a key that was found in public: it is stopped as the host wants it, and its account and the host are told.
import type { Announce } from '../audit/account-event.js'
import { auditedChange, type Wording } from '../audit/audit-entry.js'
import { isSelfServeKeysError, makeError } from '../errors.js'
import { auditBy, type Actor } from '../keys/actor.js'
import type { KeyLookup } from '../keys/key-lookup.js'
import type { KeyOperations } from '../keys/key-operations.js'
import type { Storage } from '../storage/storage.js'
import type { Clock } from '../time.js'

/** A secret that somebody found, and where. */
export interface Leak {
  /** Whatever was found: it need not be a key of ours. */
  readonly token: string
  /** '' where that is not known. */
  readonly url: string
}

export type OnLeak = 'notify' | 'disable' | 'revoke'

export interface LeakedKeys {
  /**
   * Was it a secret key of ours? Then it is stopped and noted, once however often it is reported.
   * @throws STORAGE_UNAVAILABLE; report it again then
   */
  report (leak: Leak, onLeak: OnLeak, from: Pick<Actor, 'ip' | 'requestId'>): Promise<boolean>
}

export interface LeakedKeysParts {
  readonly find: KeyLookup
  readonly keys: Pick<KeyOperations, 'update' | 'revoke'>
  readonly storage: Pick<Storage, 'getKey' | 'listAudit' | 'recordAudit'>
  readonly announce: Announce
  readonly wording: Wording
  readonly clock: Pick<Clock, 'now'>
}

/** Places noted of one key: a key in a thousand forks is as public as in a hundred. */
const MAX_NOTED = 100
/** Code points of a place that are noted. */
const MAX_URL = 300
const SCANNER: Actor['actor'] = { id: 'secret-scanning', name: 'Secret scanning' }

export function leakedKeys ({ find, keys, storage, announce, wording, clock }: LeakedKeysParts): LeakedKeys {
  /** Could it be disabled? A key that is being replaced cannot, nor one that has expired, which its owner may renew. */
  const disable = async (by: Actor, publicId: string): Promise<boolean> => {
    try {
      await keys.update(by, publicId, { enabled: false })
      return true
    } catch (error) {
      if (isSelfServeKeysError(error, 'API_KEY_NOT_ACTIVE')) return false
      throw error
    }
  }

  const stop = async (by: Actor, publicId: string, onLeak: OnLeak): Promise<void> => {
    if (onLeak === 'notify' || (onLeak === 'disable' && await disable(by, publicId))) return
    await keys.revoke(by, publicId, { reason: 'leaked' })
  }

  const note = async (by: Actor, publicId: string, { token, url }: Leak): Promise<void> => {
    const key = await storage.getKey(by.accountId, publicId)
    if (key === null) throw makeError('API_KEY_NOT_FOUND', {})
    // The place may be named after what was found there.
    const place = [...url.replaceAll(token, '…')].slice(0, MAX_URL).join('')
    const change = 'api_key.leaked'
    const { entry } = auditedChange({ by: auditBy(by), wording }, change, { type: 'api_key', id: publicId, name: key.label, url: place }, clock.now())
    const { accountId } = by
    const noted = await storage.listAudit({ accountId, action: entry.action, search: publicId, limit: MAX_NOTED, offset: 0 })
    if (noted.total >= MAX_NOTED || noted.entries.some(({ detail }) => detail === entry.detail)) return
    announce(accountId, [{ change, entry: await storage.recordAudit(accountId, entry) }])
  }

  return {
    async report (leak, onLeak, from) {
      const found = await find(leak.token)
      // A publishable key stands in public on purpose.
      if (found === null || found.key.access === 'publishable') return false
      const { accountId, publicId } = found.key
      const by: Actor = { ...from, accountId, credential: 'host', actor: SCANNER }
      try {
        await stop(by, publicId, onLeak)
        await note(by, publicId, leak)
      } catch (error) {
        // Its account was erased meanwhile.
        if (!isSelfServeKeysError(error, 'API_KEY_NOT_FOUND')) throw error
      }
      return true
    }
  }
}
