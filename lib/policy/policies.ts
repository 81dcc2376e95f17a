// The policies of accounts: asked for where something changes, remembered for a while where a key is verified. Bounded.
import { makeError, RETRY_AFTER } from '../errors.js'
import { SECOND, within, type Clock } from '../time.js'
import { NO_POLICY, type Policy } from './account-policy.js'

/** Policies remembered at most; the one that was resolved first makes room. */
const MAX_REMEMBERED = 10_000
/** Accounts that are remembered as failing at most; of more than that the log has nothing to add. */
const MAX_FAILING = 1000
/** ms that a stale policy serves before the resolver that failed is asked again. */
const RETRY = SECOND

export interface PolicySettings {
  /** Rejects for what is no policy. */
  resolve (accountId: string): Promise<Policy>
  /** ms */
  readonly cacheFor: number
  /** What serves where the resolver fails and a policy is remembered: that one, or a 503. */
  readonly onError: 'stale' | 'deny'
}

export interface Policies {
  /** For a change: as it is now. @throws STORAGE_UNAVAILABLE if the resolver fails, whatever is remembered */
  fresh (accountId: string): Promise<Policy>
  /** For a request with a key and for what is shown: at most `cacheFor` old, or stale where `onError` allows it. @throws STORAGE_UNAVAILABLE */
  current (accountId: string): Policy | Promise<Policy>
  /** Forgets it, also what is being resolved. */
  invalidate (accountId: string): void
  /** Forgets all. */
  invalidateAll (): void
}

export interface PoliciesParts {
  readonly settings: PolicySettings
  readonly clock: Clock
  /** ms that the resolver may take. */
  readonly timeout: number
  readonly log: Record<'info' | 'warn', (details: object, message: string) => void>
}

/** For hosts without plans. */
export const noPolicies: Policies = { fresh: async () => NO_POLICY, current: () => NO_POLICY, invalidate () {}, invalidateAll () {} }

interface Remembered { readonly policy: Policy, freshUntil: number }

export function policies ({ settings: { resolve, cacheFor, onError }, clock, timeout, log }: PoliciesParts): Policies {
  const remembered = new Map<string, Remembered>()
  /** One question an account at a time, however many requests wait for it. */
  const asking = new Map<string, Promise<Policy>>()
  /** Accounts whose policy could not be resolved the last time: one line in the log as it begins, and one as it ends. */
  const failing = new Set<string>()

  const ask = async (accountId: string): Promise<Policy> => {
    try {
      const policy = await within(timeout, resolve(accountId), () => new Error(`The policy was not resolved in ${timeout} ms.`))
      if (failing.delete(accountId)) log.info({ accountId }, 'the policy of an account is resolved again')
      return policy
    } catch (cause) {
      if (!failing.has(accountId) && failing.size < MAX_FAILING) {
        failing.add(accountId)
        log.warn({ err: cause, accountId }, 'the policy of an account could not be resolved')
      }
      throw makeError('STORAGE_UNAVAILABLE', {
        message: 'The policy of the account could not be resolved. Try again shortly.',
        cause,
        details: { part: 'policy', retryAfter: RETRY_AFTER }
      })
    }
  }

  const remember = (accountId: string, policy: Policy, asked: number): void => {
    remembered.delete(accountId)
    remembered.set(accountId, { policy, freshUntil: asked + cacheFor })
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!)
  }

  /** An answer that was asked for before an invalidation, or before another question, is not remembered after it. */
  const askAndRemember = async (accountId: string): Promise<Policy> => {
    // Its age counts from the question: what changed since then is not in the answer.
    const asked = clock.monotonic()
    const answer = ask(accountId)
    asking.set(accountId, answer)
    try {
      const policy = await answer
      if (asking.get(accountId) === answer) remember(accountId, policy, asked)
      return policy
    } finally {
      if (asking.get(accountId) === answer) asking.delete(accountId)
    }
  }

  const askOrServeStale = async (accountId: string): Promise<Policy> => {
    try {
      return await (asking.get(accountId) ?? askAndRemember(accountId))
    } catch (error) {
      // What is remembered now: another question may have been answered meanwhile, or an invalidation have emptied it.
      const known = remembered.get(accountId)
      if (known === undefined || onError === 'deny') throw error
      known.freshUntil = Math.max(known.freshUntil, clock.monotonic() + RETRY)
      return known.policy
    }
  }

  return {
    fresh: askAndRemember,
    current (accountId) {
      const known = remembered.get(accountId)
      return known !== undefined && clock.monotonic() < known.freshUntil ? known.policy : askOrServeStale(accountId)
    },
    invalidate (accountId) {
      remembered.delete(accountId)
      asking.delete(accountId)
    },
    invalidateAll () {
      remembered.clear()
      asking.clear()
    }
  }
}
