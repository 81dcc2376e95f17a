// The session rule: which credential of a request may name its account, and the call to the host's resolver.
import { fastifyCookie } from '@fastify/cookie'
import type { FastifyRequest } from 'fastify'
import { makeError, RETRY_AFTER } from '../errors.js'
import type { KeyShape } from '../keys/key-format.js'
import { isAccount, isToken, type Account, type CookieAsk, type SessionAsk, type SessionResolver } from '../sessions/session.js'
import { within } from '../time.js'
import type { Credentials } from './credentials.js'

/** Methods that change nothing (RFC 9110 §9.2.1), for which a cookie is enough. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export interface SessionSettings {
  /** null: nobody signs in. */
  readonly session: SessionResolver | null
  /** Lower-case. */
  readonly headers: readonly string[]
  readonly isKeyShaped: KeyShape
  /** null: a cookie never makes changes. */
  readonly cookieMutationOrigins: readonly string[] | null
  /** ms */
  readonly timeout: number
}

export interface Session { readonly account: Account, readonly credential: 'bearer' | 'cookie' }

export function isSafe (method: string): boolean {
  return SAFE_METHODS.has(method)
}

/**
 * The session of a request, null when it has none.
 * @throws SESSION_REQUIRED for a bearer that names nobody, which no cookie rescues; BEARER_REQUIRED for a cookie that
 *   would change something; STORAGE_UNAVAILABLE when the resolver fails
 */
export async function findSession (
  request: FastifyRequest, credentials: Credentials, settings: SessionSettings
): Promise<Session | null> {
  if (credentials.authorizations > 1) throw nobody('Send one Authorization header.')
  if (credentials.bearer !== null) {
    const account = await bearerAccount(request, credentials.bearer, settings)
    if (account === null) throw nobody('The session token is not valid.')
    return { account, credential: 'bearer' }
  }
  const account = await cookieAccount(request, settings)
  if (account === null) return null
  if (!isSafe(request.method) && !fromOwnSite(request, settings)) {
    throw makeError('BEARER_REQUIRED', settings.cookieMutationOrigins === null
      ? {}
      : { message: 'A session cookie may make changes from this site only. Send the session token as "Authorization: Bearer".' })
  }
  return { account, credential: 'cookie' }
}

async function bearerAccount (request: FastifyRequest, token: string, settings: SessionSettings): Promise<Account | null> {
  const { session } = settings
  if (settings.isKeyShaped(token)) throw nobody('This is an API key. Send the token of a signed-in session.')
  if (session === null || !/^[\x21-\x7e]+$/.test(token)) return null
  return await askResolver(request, settings, 'cookie', ACCOUNT, (ask) => session.bearer(token, ask))
}

async function cookieAccount (request: FastifyRequest, settings: SessionSettings): Promise<Account | null> {
  const { session } = settings
  return session?.cookie === undefined ? null : await askByCookie(request, settings, ACCOUNT, (ask) => session.cookie!(ask))
}

/**
 * A bearer token of whoever the request's cookies sign in, null for nobody. Only where the resolver has `token`.
 * @throws STORAGE_UNAVAILABLE when the resolver fails
 */
export async function findToken (request: FastifyRequest, settings: SessionSettings): Promise<string | null> {
  return await askByCookie(request, settings, TOKEN, (ask) => settings.session!.token!(ask))
}

async function askByCookie<T> (
  request: FastifyRequest, settings: SessionSettings, wanted: Wanted<T>, call: (ask: CookieAsk) => T | null | Promise<T | null>
): Promise<T | null> {
  const { cookie } = request.headers
  if (cookie === undefined) return null
  return await askResolver(request, settings, 'authorization', wanted, (ask) =>
    call({ ...ask, cookies: fastifyCookie.parse(cookie) as Record<string, string> }))
}

/** What a resolver is to answer, unless it answers null. */
interface Wanted<T> { readonly name: string, is (answer: unknown): answer is T }
const ACCOUNT: Wanted<Account> = { name: 'an account', is: isAccount }
const TOKEN: Wanted<string> = { name: 'a token', is: isToken }

/** Asks the host's resolver; whatever is not a clear answer in time is a failure, never a pass and never "nobody". */
async function askResolver<T> (
  request: FastifyRequest, { headers, timeout }: SessionSettings, withheld: 'cookie' | 'authorization', wanted: Wanted<T>,
  call: (ask: SessionAsk) => T | null | Promise<T | null>
): Promise<T | null> {
  const abort = new AbortController()
  const ask: SessionAsk = {
    headers: copyHeaders(request, [withheld, ...headers.filter((name) => name !== 'authorization')]),
    method: request.method,
    params: request.params,
    ip: request.ip,
    log: request.log,
    fresh: !isSafe(request.method),
    signal: abort.signal
  }
  let answer: T | null
  try {
    answer = checkAnswer(wanted, await within(timeout, (async () => await call(ask))(), () => new Error(`The session resolver gave no answer in ${timeout} ms.`)))
  } catch (error) {
    throw sessionUnavailable(error)
  } finally {
    abort.abort()
  }
  return answer
}

function checkAnswer<T> ({ name, is }: Wanted<T>, answer: unknown): T | null {
  if (answer === null || is(answer)) return answer
  // The answer is not repeated: it may hold what must not be logged.
  throw new TypeError(`The session resolver answered neither ${name} nor null.`)
}

function copyHeaders (request: FastifyRequest, withheld: readonly string[]): Headers {
  const copy = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    // Names with a colon are HTTP/2's pseudo-headers.
    if (value === undefined || name.startsWith(':') || withheld.includes(name)) continue
    copy.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return copy
}

/** Does the browser say that a change made with a cookie comes from this site, or from one the host listed? */
function fromOwnSite ({ headers }: FastifyRequest, { cookieMutationOrigins: origins }: SessionSettings): boolean {
  if (origins === null) return false
  return headers['sec-fetch-site'] === 'same-origin' || (headers.origin !== undefined && origins.includes(headers.origin))
}

function nobody (message: string): Error {
  return makeError('SESSION_REQUIRED', { message, details: { presented: true } })
}

function sessionUnavailable (cause: unknown): Error {
  return makeError('STORAGE_UNAVAILABLE', {
    message: 'The session could not be checked. Try again shortly.',
    cause,
    details: { part: 'session', retryAfter: RETRY_AFTER }
  })
}
