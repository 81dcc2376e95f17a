// Who is signed in: the port through which the host's own auth answers, and the check of its answers.
import type { FastifyBaseLogger } from 'fastify'
import { isAccountId } from '../keys/actor.js'
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

type Answer = Account | null | Promise<Account | null>

/**
 * The host's auth. `null` is "nobody is signed in" (401); a throw, no answer in time, or anything that is neither an
 * account nor null is 503. An API key is never given to a resolver.
 */
export interface SessionResolver {
  /** Whose session is this token? It is not empty and has no white space. */
  bearer (token: string, ask: SessionAsk): Answer
  /** Whose session do these cookies carry? Without this method no cookie is a session. */
  cookie? (ask: SessionAsk & { readonly cookies: Readonly<Record<string, string>> }): Answer
}

/** Is this answer an account? */
export function isAccount (answer: unknown): answer is Account {
  if (!isObject(answer) || !isAccountId(answer.id)) return false
  const { actor, profile } = answer
  return (actor === undefined || (isObject(actor) && typeof actor.id === 'string' &&
      (actor.name === undefined || typeof actor.name === 'string'))) &&
    (profile === undefined || isObject(profile))
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
