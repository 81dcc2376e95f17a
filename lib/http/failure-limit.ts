// Turns the refusals of bad keys that come too often from one address into 429.
import { isSelfServeKeysError } from '../errors.js'
import type { FailedVerifications } from '../rate-limit/failed-verifications.js'
import { tooMany } from './rate-limit-headers.js'

/** Judged after the key was: whoever shares an address with an attacker keeps working. */
export function failureLimit (failures: FailedVerifications): (error: Error, ip: string) => Error {
  return (error, ip) => {
    const limit = isSelfServeKeysError(error, 'INVALID_API_KEY') ? failures.note(ip) : null
    return limit === null ? error : tooMany(limit)
  }
}
