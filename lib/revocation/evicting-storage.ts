// A storage whose every change of what verification reads is followed by an eviction, also where nobody knows whether it was made.
import type { KeyOutcome, Storage } from '../storage/storage.js'
import type { Evictions } from './evictions.js'

/** @param storage guarded: its methods need no `this` */
export function evictingStorage (storage: Storage, evictions: Pick<Evictions, 'keys' | 'account'>): Storage {
  /** A change that fails may have been committed before its answer was lost. */
  const followed = <I, O>(change: (input: I) => Promise<O>, accountOf: (input: I) => string, onDone: (outcome: O, input: I) => void) =>
    async (input: I): Promise<O> => {
      let outcome: O
      try {
        outcome = await change(input)
      } catch (error) {
        evictions.account(accountOf(input))
        throw error
      }
      onDone(outcome, input)
      return outcome
    }

  /**
   * A change that took too long for its caller is made behind every eviction of its own. So the next one is followed for both:
   * where it finds nothing to do, for the whole account, and else for what came before the keys that it ends, too.
   */
  const keyChange = <I>(change: (input: I) => Promise<KeyOutcome>, accountOf: (input: I) => string): (input: I) => Promise<KeyOutcome> =>
    followed(change, accountOf, (outcome, input) => {
      if (outcome.outcome !== 'changed') evictions.account(accountOf(input))
      else evictions.keys(outcome.updated.flatMap(({ publicId, rotatedFrom }) => rotatedFrom === null ? [publicId] : [publicId, rotatedFrom]))
    })

  const accountChange = <I, O>(change: (input: I) => Promise<O>, accountOf: (input: I) => string): typeof change =>
    followed(change, accountOf, (_outcome, input) => { evictions.account(accountOf(input)) })

  const ofInput = ({ accountId }: { readonly accountId: string }): string => accountId
  const ofKey = ({ key }: { readonly key: { readonly accountId: string } }): string => key.accountId
  const erase = accountChange(
    async ({ accountId, limit }: { readonly accountId: string, readonly limit: number }) => await storage.eraseAccount(accountId, limit), ofInput
  )
  return {
    ...storage,
    issueKey: keyChange(storage.issueKey, ofKey),
    rotateKey: keyChange(storage.rotateKey, ofInput),
    renewKey: keyChange(storage.renewKey, ofInput),
    updateKey: keyChange(storage.updateKey, ofInput),
    revokeKey: keyChange(storage.revokeKey, ofInput),
    revokeKeys: keyChange(storage.revokeKeys, ofInput),
    addSite: accountChange(storage.addSite, ({ site }) => site.accountId),
    removeSite: accountChange(storage.removeSite, ofInput),
    async rehashKeys (moves) {
      await storage.rehashKeys(moves)
      evictions.keys(moves.map(({ publicId }) => publicId))
    },
    async eraseAccount (accountId, limit) {
      return await erase({ accountId, limit })
    }
  }
}
