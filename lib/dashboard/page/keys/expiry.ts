// When a key is to end: what may be chosen, and what a choice means.
import type { EffectivePolicy } from '../answers.js'

const DAY = 24 * 60 * 60
/** Days that are offered by themselves. */
const USUAL = [30, 90, 365] as const
/** ms by which the reader's clock may be ahead of the server's, so that the longest lifetime is not too long there. */
const SLACK = 60_000

/** `default`: what the account routes choose. `at`: a day of one's own. A number: after so many seconds. */
export type ExpiryChoice = 'default' | 'never' | 'at' | `${number}`

export interface ExpiryChoices {
  readonly choices: readonly ExpiryChoice[]
  /** Seconds that a key lives where nothing is chosen; null: for good. */
  readonly default: number | null
  readonly first: ExpiryChoice
}

export type ExpiryRules = Pick<EffectivePolicy, 'lifetimeSeconds' | 'maxLifetimeSeconds' | 'requireExpiry'>

/** What an account may choose. */
export function expiryChoices ({ lifetimeSeconds, maxLifetimeSeconds: most, requireExpiry }: ExpiryRules): ExpiryChoices {
  const usual = lifetimeSeconds === null ? most : Math.min(lifetimeSeconds, most ?? Infinity)
  const others = USUAL.map((days) => days * DAY).filter((seconds) => seconds !== usual && seconds <= (most ?? Infinity))
  const choices: ExpiryChoice[] = [
    ...(usual === null ? [] : ['default'] as const),
    ...(requireExpiry || most !== null ? [] : ['never'] as const),
    ...others.map((seconds) => `${seconds}` as const),
    'at'
  ]
  return { choices, default: usual, first: choices[0]! }
}

/**
 * `expiresAt` of a request's body; undefined to leave it out.
 * @param day of `at`, as a date field has it: the key works to its end, where the reader is @param now ms @param most seconds
 */
export function expiresAtOf (choice: ExpiryChoice, day: string, now: number, most: number | null): string | null | undefined {
  if (choice === 'default') return undefined
  if (choice === 'never') return null
  const latest = most === null ? Infinity : now + most * 1000 - Math.min(SLACK, most * 500)
  const wanted = choice === 'at' ? new Date(`${day}T23:59:59`).getTime() : now + Number(choice) * 1000
  return new Date(Math.min(wanted, latest)).toISOString()
}
