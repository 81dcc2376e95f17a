// What credentials a request carries, read from its raw headers: Node drops or joins duplicates in the parsed ones.
import type { KeyShape } from '../keys/key-format.js'

export interface Credentials {
  /** The presented API key, null when there is none. */
  readonly key: string | null
  /** Are there two different ones, a contradiction? */
  readonly twoKeys: boolean
  /** The bearer token that is not a presented key: empty text for a bare `Bearer`, null when there is none. */
  readonly bearer: string | null
  /** How many `Authorization` headers of any scheme. */
  readonly authorizations: number
  /** The `Origin` header; null where there are several, undefined where there is none. */
  readonly origin: string | null | undefined
}

/** @param rawHeaders name, value, name, value, … as they came */
export type CredentialReader = (rawHeaders: readonly string[]) => Credentials

/**
 * @param keyHeaders lower-case; any value of one is a presented key, for `authorization` only a bearer with a key's shape
 */
export function credentialReader (keyHeaders: readonly string[], isKeyShaped: KeyShape): CredentialReader {
  const inAuthorization = keyHeaders.includes('authorization')
  const others = keyHeaders.filter((name) => name !== 'authorization')
  // Most headers are none of these, which their length tells before anything is made of their names.
  const lengths = new Set(['authorization', 'origin', ...others].map(({ length }) => length))

  return (rawHeaders) => {
    let key: string | null = null
    let twoKeys = false
    let bearer: string | null = null
    let authorizations = 0
    let origin: string | null | undefined
    const present = (value: string): void => {
      twoKeys ||= key !== null && key !== value
      key = value
    }
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (!lengths.has(rawHeaders[i]!.length)) continue
      const name = rawHeaders[i]!.toLowerCase()
      const value = rawHeaders[i + 1]!
      if (name === 'authorization') {
        authorizations++
        const token = bearerToken(value)
        if (token === null) continue
        if (inAuthorization && isKeyShaped(token)) present(token)
        else bearer ??= token
      } else if (name === 'origin') {
        origin = origin === undefined ? value : null
      } else if (others.includes(name)) {
        present(value)
      }
    }
    return { key, twoKeys, bearer, authorizations, origin }
  }
}

/**
 * The token of `Bearer <token>`, whatever the case of the scheme (RFC 9110 §11.1); null for another scheme. Blanks and tabs
 * around it are HTTP's; any other white space is a part of it, and no token has any.
 */
function bearerToken (value: string): string | null {
  const token = /^bearer(?!\S)[ \t]*(.*)$/is.exec(value)?.[1]
  if (token === undefined) return null
  let end = token.length
  while (end > 0 && ' \t'.includes(token[end - 1]!)) end--
  return token.slice(0, end)
}
