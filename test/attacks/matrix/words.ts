// What a cell says of an answer, and what the words stand for.
import type { PlainAnswer } from '../../helpers/raw-connection.js'
import type { Method } from './targets.js'

const PLAIN = 'Bearer realm="api"'
const INVALID = `${PLAIN}, error="invalid_token"`

interface Meaning { readonly code: string, readonly challenge?: string }
/** The refusals by their words. `403 lacks …` is INSUFFICIENT_SCOPE and names the scopes. */
export const WORDS: Readonly<Record<string, Meaning>> = {
  '400 request': { code: 'INVALID_REQUEST' },
  '401 session': { code: 'SESSION_REQUIRED', challenge: PLAIN },
  '401 token': { code: 'SESSION_REQUIRED', challenge: INVALID },
  '401 no key': { code: 'MISSING_API_KEY', challenge: PLAIN },
  '401 key': { code: 'INVALID_API_KEY', challenge: INVALID },
  '403 bearer': { code: 'BEARER_REQUIRED', challenge: PLAIN },
  '403 forbidden': { code: 'FORBIDDEN' },
  '403 origin': { code: 'ORIGIN_NOT_ALLOWED' },
  '404 no such key': { code: 'API_KEY_NOT_FOUND' },
  '404 no such site': { code: 'SITE_NOT_FOUND' },
  '409 ended': { code: 'API_KEY_NOT_ACTIVE' }
}

/** The challenge that goes with a word; undefined for none. */
export function challengeOf (word: string): string | undefined {
  const scope = /^403 lacks (.+)$/.exec(word)?.[1]
  return scope === undefined ? WORDS[word]?.challenge : `${PLAIN}, error="insufficient_scope", scope="${scope}"`
}

/** An answer to HEAD has no words but its status. */
export function shown (method: Method, word: string): string {
  return method === 'HEAD' ? word.slice(0, 3) : word
}

/** @param whose whose the answer is, as far as it can be seen */
export function wordOf ({ status, headers, body }: PlainAnswer, whose: string): string {
  if (status < 400) return `${status} ${whose}`.trim()
  const code = (JSON.parse(body) as { code?: string }).code
  const challenge = headers['www-authenticate']
  if (code === undefined) return String(status)
  const scope = /scope="(.+)"$/.exec(challenge ?? '')?.[1]
  if (code === 'INSUFFICIENT_SCOPE') return `${status} lacks ${scope}`
  const word = Object.keys(WORDS).find((one) => one.startsWith(`${status} `) && WORDS[one]!.code === code && WORDS[one]!.challenge === challenge)
  return word ?? `${status} ${code} ${challenge}`
}
