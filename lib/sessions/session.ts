// Who is signed in: the port through which the host's own auth answers, and the check of its answers.
import type { FastifyBaseLogger } from 'fastify'
import { isAccountId, isPerson } from '../keys/actor.js'
import type { Profile } from '../register.js'

/** The owner of keys, as the host's session names it. */
export interface Account {
  /** Opaque: a user, an organisation, a workspace. 1–255 bytes, no control characters, no white space at its ends. */
  readonly id: string
  /** The person who acts for it; `name` is shown beside keys they make. */
  readonly actor?: { readonly id: string, readonly name?: string | undefined } | undefined
  /** For the host's own use, on `request.caller.account`. */
  readonly profile?: Profile | undefined
}

/** What a resolver is asked with. */
export interface SessionAsk {
  /** A copy without key headers; without `cookie` for a bearer, without `authorization` for a cookie. */
  readonly headers: Headers
  readonly method: string
  /** The route's parameters, such as `{ workspaceId }`. */
  readonly params: unknown
  readonly ip: string
  readonly log: FastifyBaseLogger
  /** True on mutations: answer from the source, not from a session cache. */
  readonly fresh: boolean
  /** Aborted once nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** What a resolver is asked with where cookies alone may answer: `headers` is without `authorization`. */
export interface CookieAsk extends SessionAsk {
  /** Parsed. */
  readonly cookies: Readonly<Record<string, string>>
}

type Answer<T> = T | null | Promise<T | null>

/**
 * The host's auth. `null` is "nobody is signed in" (401); a throw, no answer in time, or anything that is neither null nor
 * what was asked for is 503. An API key is never given to a resolver.
 */
export interface SessionResolver {
  /** Whose session is this token? It is not empty and has no white space. */
  bearer (token: string, ask: SessionAsk): Answer<Account>
  /** Whose session do these cookies carry? Without this method no cookie is a session. */
  cookie? (ask: CookieAsk): Answer<Account>
  /**
   * A token that `bearer` takes, of whoever these cookies sign in: the page makes changes with it. Visible ASCII, 4096
   * characters at most. Any script of this origin can ask for it.
   */
  token? (ask: CookieAsk): Answer<string>
}

/** Is this answer an account? */
export function isAccount (answer: unknown): answer is Account {
  if (!isObject(answer) || !isAccountId(answer.id)) return false
  const { actor, profile } = answer
  return (actor === undefined || isPerson(actor)) && (profile === undefined || isObject(profile))
}

/** Is this answer a token that an `Authorization` header can carry? */
export function isToken (answer: unknown): answer is string {
  return typeof answer === 'string' && /^[\x21-\x7e]{1,4096}$/.test(answer)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
