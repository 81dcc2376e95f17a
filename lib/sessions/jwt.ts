// JSON Web Tokens as a session resolver, verified with jose (RFC 7519, RFC 8725).
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import { lookAt } from '../members.js'
import { readPart } from '../part-options.js'
import type { Account, CookieAsk, SessionAsk, SessionResolver } from './session.js'

export interface JwtSessionOptions {
  /**
   * URL of the issuer's JSON Web Key Set, or what gives the set to a host that is its own issuer: asked for each token,
   * and a throw is a failure (503). Either this or `secret`.
   */
  jwks?: string | URL | (() => JSONWebKeySet | Promise<JSONWebKeySet>)
  /** Shared secret of an HMAC algorithm, at least 32 characters. */
  secret?: string
  /** `iss` must be this. */
  issuer: string
  /** `aud` must hold this. */
  audience: string
  /** Allowed `alg` values; nothing else is. Never `none`. */
  algorithms: string[]
  /**
   * Whose keys these claims manage; null for nobody (401).
   * @default `{ id: sub, actor: { id: sub, name } }`
   */
  account?: (claims: JWTPayload, ask: SessionAsk) => Account | null | Promise<Account | null>
  /** Name of a cookie that carries the token, for reads and for the page. @default none: bearer only */
  cookie?: string
}

/**
 * Verifies signature, algorithm, issuer, audience and expiry (a token without `exp` is refused). A bad token is nobody;
 * keys that cannot be fetched are a failure (503).
 * @throws INVALID_OPTION when the options leave it open what a good token is
 */
export function jwtSession (options: JwtSessionOptions): SessionResolver {
  const { issuer, audience, algorithms, account, cookie, key } = readOptions(options)

  /** null for a token that is not good. */
  const claimsOf = async (token: string): Promise<JWTPayload | null> => {
    try {
      return (await jwtVerify(token, key, { issuer, audience, algorithms, requiredClaims: ['exp'] })).payload
    } catch (error) {
      if (isBadToken(error)) return null
      throw error
    }
  }
  const accountOf = async (token: string, ask: SessionAsk): Promise<Account | null> => {
    const claims = await claimsOf(token)
    return claims === null ? null : await account(claims, ask)
  }
  return {
    bearer: accountOf,
    ...(cookie !== undefined && {
      cookie: async (ask: CookieAsk) => {
        const token = ask.cookies[cookie]
        return token === undefined ? null : await accountOf(token, ask)
      },
      token: async (ask: CookieAsk) => {
        const token = ask.cookies[cookie]
        return token === undefined || await accountOf(token, ask) === null ? null : token
      }
    })
  }
}

const HMAC = /^HS(256|384|512)$/
/** RFC 7518, RFC 8037, RFC 9864, and post-quantum ones, as jose knows them. */
const SIGNATURE = /^([RPE]S(256|384|512)|EdDSA|Ed25519|ML-DSA-(44|65|87))$/

interface JwtSettings extends Required<Pick<JwtSessionOptions, 'issuer' | 'audience' | 'algorithms' | 'account'>> {
  readonly cookie: string | undefined
  readonly key: JWTVerifyGetKey
}

function readOptions (options: JwtSessionOptions): JwtSettings {
  const { given, refuse, functionOf } = readPart('jwtSession', options, ['jwks', 'secret', 'issuer', 'audience', 'algorithms', 'account', 'cookie'])
  const { jwks, secret, algorithms, cookie } = given
  if ((jwks === undefined) === (secret === undefined)) refuse('jwks', 'or "secret" must be given, and not both')
  if (secret !== undefined && (typeof secret !== 'string' || secret.length < 32)) refuse('secret', 'must be text of at least 32 characters')
  if (jwks !== undefined && typeof jwks !== 'function' && !lookAt('jwks', () => isUrl(jwks), refuse)) refuse('jwks', 'must be a URL or a function')
  // A public key taken for an HMAC secret would let anyone sign: each kind of key has its own algorithms.
  const fits = (algorithm: unknown): boolean => typeof algorithm === 'string' && (secret === undefined ? SIGNATURE : HMAC).test(algorithm)
  // Array.from visits holes too.
  const allowed = lookAt('algorithms', () => Array.isArray(algorithms) && algorithms.length < 100 ? Array.from(algorithms as unknown[]) : [], refuse)
  if (allowed.length === 0 || !allowed.every(fits)) {
    refuse('algorithms', 'must name what is allowed: HS256 and the like for "secret", RS256 and the like for "jwks"')
  }
  if (cookie !== undefined && (typeof cookie !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(cookie))) refuse('cookie', 'must be the name of a cookie')
  const text = (name: 'issuer' | 'audience'): string => {
    const value = given[name]
    return typeof value === 'string' && value !== '' ? value : refuse(name, 'must be a string')
  }
  return {
    issuer: text('issuer'),
    audience: text('audience'),
    algorithms: allowed as string[],
    account: functionOf<JwtSettings['account']>('account') ?? subjectAccount,
    cookie: cookie as string | undefined,
    key: keyOf({ jwks, secret } as Pick<JwtSessionOptions, 'jwks' | 'secret'>)
  }
}

function isUrl (value: unknown): value is string | URL {
  return value instanceof URL || (typeof value === 'string' && URL.canParse(value))
}

function keyOf ({ jwks, secret }: Pick<JwtSessionOptions, 'jwks' | 'secret'>): JWTVerifyGetKey {
  if (jwks === undefined) return async () => new TextEncoder().encode(secret)
  if (typeof jwks !== 'function') return createRemoteJWKSet(new URL(jwks))
  return async (header, token) => {
    let keys: JSONWebKeySet
    try {
      keys = await jwks()
    } catch (cause) {
      // In words of its own: one of jose's would be taken for a fault of the token.
      throw new Error('The key set could not be had.', { cause })
    }
    return await createLocalJWKSet(keys)(header, token)
  }
}

/** Faults of the token itself; what concerns the key set's server is not among them. */
const BAD_TOKEN: ReadonlySet<string> = new Set([
  errors.JWTClaimValidationFailed.code, errors.JWTExpired.code, errors.JWTInvalid.code, errors.JWSInvalid.code,
  errors.JWSSignatureVerificationFailed.code, errors.JOSEAlgNotAllowed.code, errors.JOSENotSupported.code,
  errors.JWKSNoMatchingKey.code, errors.JWKSMultipleMatchingKeys.code
])

function isBadToken (error: unknown): boolean {
  return error instanceof errors.JOSEError && BAD_TOKEN.has(error.code)
}

function subjectAccount ({ sub, name }: JWTPayload): Account | null {
  return sub === undefined ? null : { id: sub, actor: { id: sub, name: typeof name === 'string' ? name : undefined } }
}
