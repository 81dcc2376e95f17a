// Rate limits in options, policies and routes, checked and completed.
import { isPlainObject } from '../plain-object.js'
import type { OnStoreError } from '../rate-limit/guarded-store.js'
import type { RateLimit, RateLimitStore } from '../rate-limit/rate-limit.js'
import { SECOND } from '../time.js'
import {
  isList, lookAt, readBoolean, readDuration, readInteger, readList, readMethods, readObject, readOneOf, readString, refuseOption
} from './reader.js'

/** The option `rateLimit`. */
export interface CompleteRateLimit {
  /** Of every key whose account's policy has none. */
  readonly limits: readonly RateLimit[]
  /** null: memory. */
  readonly store: RateLimitStore | null
  readonly onStoreError: OnStoreError
  readonly legacyHeaders: boolean
  /** By client address; null: none. */
  readonly failedVerifications: RateLimit | null
}

/** What an integer in a structured field may be at most (RFC 9651 §3.3.1): limits are told in headers. */
const MOST = 999_999_999_999_999

const SETTINGS: readonly string[] = ['limits', 'store', 'onStoreError', 'legacyHeaders', 'failedVerifications']

/** Limits alone, or an object with limits and more. */
export function readRateLimitOption (value: unknown): CompleteRateLimit {
  const whole = isPlainObject(value) && lookAt('rateLimit', () => Object.keys(value)).some((name) => SETTINGS.includes(name))
  const given = whole ? readObject('rateLimit', value, SETTINGS) : { limits: value }
  return {
    limits: readRateLimits(whole ? 'rateLimit.limits' : 'rateLimit', given.limits),
    store: given.store === undefined ? null : readMethods<RateLimitStore>('rateLimit.store', given.store, ['consume', 'peek', 'reset']),
    onStoreError: readOneOf('rateLimit.onStoreError', given.onStoreError, 'local', ['local', 'deny', 'allow']),
    legacyHeaders: readBoolean('rateLimit.legacyHeaders', given.legacyHeaders, false),
    failedVerifications: readNamelessLimit('rateLimit.failedVerifications', given.failedVerifications, 'failed-verifications')
  }
}

/** A limit that no other stands beside; null for false, or where it was left out. */
export function readNamelessLimit (option: string, value: unknown, name: string): RateLimit | null {
  if (value === undefined || value === false) return null
  return { ...readRateLimit(option, readObject(option, value, ['max', 'timeWindow'])), name }
}

/** One limit or several; none for false. */
export function readRateLimits (option: string, value: unknown, defaultName = 'default'): RateLimit[] {
  if (value === undefined || value === false) return []
  const limits = isList(option, value)
    ? readList(option, value, (name, limit) => readRateLimit(name, limit, defaultName))
    : [readRateLimit(option, value, defaultName)]
  if (new Set(limits.map(({ name }) => name)).size < limits.length) refuseOption(option, 'must have a different name for each limit')
  return limits
}

function readRateLimit (option: string, value: unknown, defaultName = 'default'): RateLimit {
  const given = readObject(option, value, ['name', 'max', 'timeWindow'])
  if (given.max === undefined) refuseOption(`${option}.max`, 'is required')
  if (given.timeWindow === undefined) refuseOption(`${option}.timeWindow`, 'is required')
  return {
    name: readString(`${option}.name`, given.name, defaultName, /^[a-z][a-z0-9_-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits, _ and -'),
    max: readInteger(`${option}.max`, given.max, 0, MOST),
    windowMs: readDuration(`${option}.timeWindow`, given.timeWindow, 0, { min: SECOND })
  }
}
