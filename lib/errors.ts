// Every error this library throws on purpose: one table of code, HTTP status and message, and the details each carries.
import createError, { type FastifyError } from '@fastify/error'

const ERRORS = {
  // Start-up: the host's code is wrong.
  INVALID_OPTION: [500, 'The option is not valid.'],
  INVALID_ROUTE_CONFIG: [500, 'The route config "apiKey" is not valid.'],
  PLUGIN_MISSING: [500, 'protect() was called in a scope that the plugin does not govern.'],
  SCHEMA_OUTDATED: [500, 'The database schema is not one that this version can use.'],
  UNPROTECTED_ROUTE: [500, 'getApiKey() was called where no API key was verified.'],
  // Protected routes.
  MISSING_API_KEY: [401, 'An API key is required.'],
  INVALID_API_KEY: [401, 'The API key is not valid.'],
  INSUFFICIENT_SCOPE: [403, 'The API key does not have the scope this route asks for.'],
  FORBIDDEN: [403, 'The API key may not be used here.'],
  ORIGIN_NOT_ALLOWED: [403, 'The API key may not be used from this origin.'],
  IP_NOT_ALLOWED: [403, 'The API key may not be used from this address.'],
  ACCOUNT_SUSPENDED: [403, 'The account is suspended.'],
  RATE_LIMITED: [429, 'Too many requests.'],
  // Account routes.
  SESSION_REQUIRED: [401, 'A signed-in session is required.'],
  BEARER_REQUIRED: [403, 'A session cookie may only read here. Send the session token as "Authorization: Bearer".'],
  API_KEY_NOT_FOUND: [404, 'There is no such API key.'],
  API_KEY_NOT_ACTIVE: [409, 'The API key is not active.'],
  KEY_LIMIT_REACHED: [409, 'The account has as many API keys as it may have.'],
  IDEMPOTENCY_KEY_REUSED: [422, 'The idempotency key came with another request before.'],
  SITE_NOT_FOUND: [404, 'There is no such site.'],
  SITE_LIMIT_REACHED: [409, 'The account has as many sites as it may have.'],
  // Everywhere.
  INVALID_REQUEST: [400, 'The request is not valid.'],
  STORAGE_UNAVAILABLE: [503, 'A part that this request needs is not available. Try again shortly.']
} as const satisfies Record<string, readonly [number, string]>

/** Seconds after which a client may try a 503 again. */
export const RETRY_AFTER = 1

/** Every code an error of this library can have; its name and its code are the same word. */
export type ErrorCode = keyof typeof ERRORS

/** What `error.details` holds, by code. Codes that are not named carry no details. */
export interface ErrorDetailsByCode {
  INVALID_OPTION: { option: string }
  INVALID_ROUTE_CONFIG: { method: string, url: string }
  /** `reason` is there only when the secret matched a stored key. */
  INVALID_API_KEY: { reason?: 'revoked' | 'expired' | 'disabled' }
  INSUFFICIENT_SCOPE: { requiredScopes: readonly string[] }
  /** The rate limit that refused; `retryAfter` in seconds. */
  RATE_LIMITED: { name: string, max: number, windowSeconds: number, retryAfter: number }
  /** `field`: the body member, query parameter or header that is wrong. */
  INVALID_REQUEST: { field: string }
  /** `presented`: was there a bearer token, which named nobody? */
  SESSION_REQUIRED: { presented: boolean }
  API_KEY_NOT_ACTIVE: { status: string }
  KEY_LIMIT_REACHED: { maxKeys: number }
  SITE_LIMIT_REACHED: { maxSites: number }
  /** `part`: what failed or did not answer in time. `retryAfter` in seconds. */
  STORAGE_UNAVAILABLE: { part: 'storage' | 'session' | 'policy' | 'authorize' | 'rateLimit' | 'secretScanning', retryAfter: number }
}
/** The details of the error with this code. */
export type ErrorDetails<C extends ErrorCode> = C extends keyof ErrorDetailsByCode ? ErrorDetailsByCode[C] : Record<string, never>

/** An error this library throws on purpose: `isSelfServeKeysError(error, code)` tells it and narrows it. */
export interface SelfServeKeysError<C extends ErrorCode = ErrorCode> extends FastifyError {
  code: C
  statusCode: number
  details: ErrorDetails<C>
}

const brand = Symbol.for('fastify-self-serve-keys.error')

const classes = Object.fromEntries(
  Object.entries(ERRORS).map(([code, [status, message]]) => [code, createError(code, message, status)])
)

/**
 * Makes (does not throw) the error of `code`.
 * @param options.message replaces the table's message where a case can be said more precisely; never holds a secret
 */
export function makeError<C extends ErrorCode> (
  code: C,
  options: { message?: string, cause?: unknown } & (C extends keyof ErrorDetailsByCode ? { details: ErrorDetails<C> } : unknown)
): SelfServeKeysError<C> {
  const error = new classes[code]!() as SelfServeKeysError<C>
  if (options.message !== undefined) error.message = options.message
  if (options.cause !== undefined) error.cause = options.cause
  error.details = ('details' in options ? options.details : {}) as ErrorDetails<C>
  Object.defineProperty(error, brand, { value: true })
  return error
}

/** Why something is refused, before anybody throws it: a stack costs more than the judgement. */
export interface Refusal<C extends ErrorCode = ErrorCode> {
  readonly code: C
  readonly message: string
  readonly details: ErrorDetails<C>
}

/** @param message replaces the table's */
export function refusalOf<C extends ErrorCode> (code: C, details: ErrorDetails<C>, message: string = ERRORS[code][1]): Refusal<C> {
  return { code, message, details }
}

/** The error of a refusal. */
export function errorOf<C extends ErrorCode> ({ code, message, details }: Refusal<C>): SelfServeKeysError<C> {
  return makeError(code, { message, details } as never)
}

/** Is this an error of this library? Narrows `code` and `details`; holds across two copies of the package. */
export function isSelfServeKeysError<C extends ErrorCode = ErrorCode> (error: unknown, code?: C): error is SelfServeKeysError<C> {
  return typeof error === 'object' && error !== null && brand in error &&
    (code === undefined || ('code' in error && error.code === code))
}

/** Code, HTTP status and default message of every error, for documentation and clients. */
export const errorTable: ReadonlyArray<{ code: ErrorCode, statusCode: number, message: string }> =
  Object.entries(ERRORS).map(([code, [statusCode, message]]) => ({ code: code as ErrorCode, statusCode, message }))
