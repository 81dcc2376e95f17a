// What credentials a request carries, read from its raw headers: Node drops or joins duplicates in the parsed ones.
import type { KeyShape } from '../keys/key-format.js'

export interface Credentials {
  /** Presented API keys, each value once. More than one is a contradiction. */
  readonly keys: readonly string[]
  /** The bearer token that is not a presented key: empty text for a bare `Bearer`, null when there is none. */
  readonly bearer: string | null
  /** How many `Authorization` headers of any scheme. */
  readonly authorizations: number
}

/**
 * @param rawHeaders name, value, name, value, … as they came
 * @param keyHeaders lower-case; any value of one is a presented key, for `authorization` only a bearer with a key's shape
 */
export function readCredentials (rawHeaders: readonly string[], keyHeaders: readonly string[], isKeyShaped: KeyShape): Credentials {
  const keys = new Set<string>()
  let bearer: string | null = null
  let authorizations = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = rawHeaders[i + 1]!
    if (name === 'authorization') {
      authorizations++
      const token = bearerToken(value)
      if (token === null) continue
      if (keyHeaders.includes(name) && isKeyShaped(token)) keys.add(token)
      else bearer ??= token
    } else if (keyHeaders.includes(name)) {
      keys.add(value)
    }
  }
  return { keys: [...keys], bearer, authorizations }
}

/** The token of `Bearer <token>`, whatever the case of the scheme (RFC 9110 §11.1); null for another scheme. */
function bearerToken (value: string): string | null {
  const match = /^bearer(?:\s+(.*))?$/i.exec(value)
  return match === null ? null : (match[1] ?? '').trim()
}
