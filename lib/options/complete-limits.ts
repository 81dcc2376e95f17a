// Rate limits in options and policies, checked and completed.
import type { RateLimit } from '../rate-limit/rate-limit.js'
import { SECOND } from '../time.js'
import { readDuration, readInteger, readObject, readString, refuseOption } from './reader.js'

/** One limit or several; none for false. */
export function readRateLimits (option: string, value: unknown): RateLimit[] {
  if (value === undefined || value === false) return []
  const several = Array.isArray(value)
  const limits = Array.from(several ? value : [value], (limit: unknown, place) =>
    readRateLimit(several ? `${option}[${place}]` : option, limit))
  if (new Set(limits.map(({ name }) => name)).size < limits.length) refuseOption(option, 'must have a different name for each limit')
  return limits
}

export function readRateLimit (option: string, value: unknown): RateLimit {
  const given = readObject(option, value, ['name', 'max', 'timeWindow'])
  if (given.max === undefined) refuseOption(`${option}.max`, 'is required')
  if (given.timeWindow === undefined) refuseOption(`${option}.timeWindow`, 'is required')
  return {
    name: readString(`${option}.name`, given.name, 'default', /^[a-z][a-z0-9_-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits, _ and -'),
    max: readInteger(`${option}.max`, given.max, 0),
    windowMs: readDuration(`${option}.timeWindow`, given.timeWindow, 0, { min: SECOND })
  }
}
