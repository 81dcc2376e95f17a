// Memory storage's part of the port about keys.
import { endOf, hasEnded, statusOf, type StoredKey } from '../../keys/api-key.js'
import type { ChangeContext, KeyIntention, KeyRows, WantedRows } from '../../keys/key-changes.js'
import { firstState, keyIntentions } from '../../keys/key-lifecycle.js'
import { assemblePage } from '../key-page.js'
import type { KeyOutcome, Storage } from '../storage.js'
import type { MemoryState } from './state.js'

type KeyPart = Pick<Storage,
  'findKeyByHash' | 'findKey' | 'getKey' | 'listKeys' | 'countKeys' | keyof typeof keyIntentions | 'rehashKeys' | 'pruneKeys' | 'pruneRequests'>

export function memoryKeys (state: MemoryState): KeyPart {
  const rowsFor = (wanted: WantedRows, now: number): KeyRows => {
    const { accountId, publicId, slot, hash, all, actingId, remembered } = wanted
    const keys = state.keysOf(accountId)
    const named = (id: string | null | undefined): StoredKey | null => keys.find((key) => key.publicId === id) ?? null
    const target = slot === undefined ? named(publicId) : keys.find((key) => key.isDefault && key.environment === slot) ?? null
    const current = keys.filter((key) => !hasEnded(key, now))
    const request = state.accounts.get(accountId)?.requests.get(remembered ?? '')
    return {
      target,
      predecessor: named(target?.rotatedFrom),
      acting: named(actingId),
      sameHash: state.keys.get(state.publicIdByHash.get(hash ?? '') ?? state.publicIdByImportedHash.get(hash ?? '') ?? '') ?? null,
      all: all === true ? current : [],
      current: current.length,
      remembered: request === undefined ? null : { ...request, key: named(request.publicId) }
    }
  }

  /** Nothing here waits: an intention is atomic because no other can come between. */
  const change = async <I extends ChangeContext>({ wants, decide }: KeyIntention<I>, input: I): Promise<KeyOutcome> => {
    const wanted = wants(input)
    const decision = decide(input, rowsFor(wanted, input.now))
    if (decision.outcome !== 'changed') return decision
    const { insert, importedHash, remember = null } = decision
    if (insert !== null && (state.keys.has(insert.publicId) || state.publicIdByHash.has(insert.hash))) {
      throw new Error('The public id or the hash is taken.')
    }
    const updated = decision.updates.map(({ key, set }) => {
      const version = key.ref.version + ('label' in set || 'scopes' in set ? 1 : 0)
      return state.put({ ...key, ...set, ref: { ...key.ref, version } })
    })
    const inserted: StoredKey[] = []
    if (insert !== null) {
      if (importedHash !== undefined) state.publicIdByImportedHash.set(importedHash, insert.publicId)
      const account = state.accountOf(insert.accountId)
      const ref = { account: account.number, key: state.nextKeyNumber(), version: 1 }
      inserted.push(state.put({ ...firstState(insert), sequence: account.nextSequence++, ref }))
      if (remember !== null) account.requests.set(remember.hash, { ...remember, publicId: insert.publicId })
    }
    const entries = decision.entries.map((audited) => ({ ...audited, entry: state.addEntry(wanted.accountId, audited.entry) }))
    return { outcome: 'changed', key: (inserted[0] ?? updated[0])!, updated, entries }
  }

  return {
    findKeyByHash (digests) {
      for (const { hash, pepperId } of digests) {
        const key = state.keys.get(state.publicIdByHash.get(hash) ?? '')
        if (key !== undefined && key.pepperId === pepperId) return { key, siteOrigins: state.siteOriginsFor(key) }
      }
      return null
    },

    async findKey (publicId) {
      return state.keys.get(publicId) ?? null
    },

    async getKey (accountId, publicId) {
      return state.owned(accountId, publicId)
    },

    async listKeys (query) {
      const { accountId, now, environment, status, before, limit } = query
      const matching = state.keysOf(accountId).filter((key) =>
        (environment === undefined || key.environment === environment) &&
        (status === undefined || statusOf(key, now) === status))
      let ended = matching.filter((key) => hasEnded(key, now))
      if (before === undefined) {
        return assemblePage(query, matching.filter((key) => !hasEnded(key, now)), ended.slice(0, limit + 1))
      }
      if (before !== 'start') {
        const from = state.owned(accountId, before.publicId)
        if (from === null) return null
        ended = ended.filter((key) => key.sequence < from.sequence)
      }
      return assemblePage(query, [], ended.slice(0, limit + 1))
    },

    async countKeys (accountId, now) {
      const all = state.keysOf(accountId)
      return { total: all.length, active: all.filter((key) => !hasEnded(key, now)).length }
    },

    issueKey: async (input) => await change(keyIntentions.issueKey, input),
    rotateKey: async (input) => await change(keyIntentions.rotateKey, input),
    renewKey: async (input) => await change(keyIntentions.renewKey, input),
    updateKey: async (input) => await change(keyIntentions.updateKey, input),
    revokeKey: async (input) => await change(keyIntentions.revokeKey, input),
    revokeKeys: async (input) => await change(keyIntentions.revokeKeys, input),
    importKey: async (input) => await change(keyIntentions.importKey, input),

    async rehashKeys (moves) {
      for (const { publicId, fromHash, hash, pepperId } of moves) {
        const key = state.keys.get(publicId)
        if (key === undefined || key.hash !== fromHash || state.publicIdByHash.has(hash)) continue
        state.publicIdByHash.delete(fromHash)
        state.put({ ...key, hash, pepperId })
      }
    },

    async pruneKeys (endedBefore, limit) {
      const old = [...state.keys.values()].filter((key) => (endOf(key) ?? Infinity) < endedBefore).slice(0, limit)
      state.remove(old)
      return old.length
    },

    async pruneRequests (now, limit) {
      let removed = 0
      for (const { requests } of state.accounts.values()) {
        const old = [...requests.values()].filter(({ expiresAt }) => expiresAt <= now).slice(0, limit - removed)
        for (const { hash } of old) requests.delete(hash)
        removed += old.length
      }
      return removed
    }
  }
}
