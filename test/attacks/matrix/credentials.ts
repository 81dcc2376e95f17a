// The columns of the matrix: credentials as they are sent, and what each is in words that a rule can use.
import { SignJWT, UnsecuredJWT } from 'jose'
import type { SessionResolver } from '../../../lib/index.js'
import { generateKey } from '../../../lib/keys/key-format.js'
import { jwtSession } from '../../../lib/sessions/jwt.js'
import { ACCOUNT_IDS, BOTH, MARKS, PAGE_ORIGIN, PLAINTEXTS, type KeyName, type Who } from './accounts.js'

/** What a request carries. What is left out is not there. */
export interface Facts {
  /** Whose session is the token of `Authorization: Bearer`, where that is no key? */
  readonly bearer?: Who | 'nobody'
  /** How many Authorization headers. */
  readonly authorizations?: 2
  /** Whose session is the first session cookie? */
  readonly cookie?: Who
  /** The key that is presented in a header for keys; `unknown` is none that is stored. */
  readonly key?: KeyName | 'unknown' | 'two different'
  /** Does it come in these headers? */
  readonly keyIn?: 'authorization' | 'x-api-key'
  readonly origin?: string
  readonly sameOrigin?: true
}

export interface Credential extends Facts {
  readonly name: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly query?: string
}

const ISSUER = 'https://login.example'
const AUDIENCE = 'https://api.example'
const SECRET = 'a secret of the tests, which is long enough'
/** Names sessions that were ended before their tokens expire. */
const ENDED_SESSIONS: ReadonlySet<unknown> = new Set(['ended'])
/** The origin that `cookieMutations` names. */
export const LISTED_ORIGIN = 'https://app.example'
const FOREIGN_ORIGIN = 'https://evil.example'

/** JSON Web Tokens, as bearer or in the cookie `session`, with a list of those that were taken back. */
export const session: SessionResolver = jwtSession({
  secret: SECRET,
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: ['HS256'],
  cookie: 'session',
  account ({ sub, jti }) {
    const who = BOTH.find((one) => ACCOUNT_IDS[one] === sub)
    if (who === undefined || ENDED_SESSIONS.has(jti)) return null
    return { id: ACCOUNT_IDS[who], actor: { id: `${MARKS[who]}-person`, name: `Person of ${MARKS[who]}` }, profile: { name: `Person of ${MARKS[who]}` } }
  }
})

async function tokenOf (who: Who, expires = '1h', id = 'good'): Promise<string> {
  return await new SignJWT({ sub: ACCOUNT_IDS[who] }).setProtectedHeader({ alg: 'HS256' }).setJti(id)
    .setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime(expires).sign(new TextEncoder().encode(SECRET))
}

export const TOKENS: Readonly<Record<Who, string>> = { A: await tokenOf('A'), B: await tokenOf('B') }
const EXPIRED = await tokenOf('A', '-1h')
const ENDED = await tokenOf('A', '1h', 'ended')
const UNSIGNED = new UnsecuredJWT({ sub: ACCOUNT_IDS.A }).setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime('1h').encode()
const UNKNOWN = generateKey('sk_live_')

type Part = Omit<Credential, 'name'>
const bearer = (token: string, whose: Facts['bearer'], scheme = 'Bearer '): Part => ({ headers: [['Authorization', `${scheme}${token}`]], bearer: whose! })
const cookie = (text: string, whose?: Who): Part => ({ headers: [['Cookie', `theme=dark; ${text}`]], ...(whose !== undefined && { cookie: whose }) })
const key = (name: KeyName): Part => ({ headers: [['X-API-Key', PLAINTEXTS[name]]], key: name, keyIn: 'x-api-key' })
const keyAsBearer = (name: KeyName): Part => ({ headers: [['Authorization', `Bearer ${PLAINTEXTS[name]}`]], key: name, keyIn: 'authorization' })
const presented = (value: string): Part => ({ headers: [['X-API-Key', value]], key: 'unknown', keyIn: 'x-api-key' })
const from = (origin: string): Part => ({ headers: [['Origin', origin]], origin })
const sameOrigin: Part = { headers: [['Sec-Fetch-Site', 'same-origin']], sameOrigin: true }
const basic: Part = { headers: [['Authorization', 'Basic eDp5']] }
const A = bearer(TOKENS.A, 'A')
const COOKIE = cookie(`session=${TOKENS.A}`, 'A')
const GARBAGE = bearer('garbage', 'nobody')

/** Several at once. What they are together is said where it is not all that each of them is. */
function together (parts: readonly Part[], facts: Facts = {}): Part {
  return { ...Object.assign({}, ...parts) as Part, ...facts, headers: parts.flatMap(({ headers }) => headers) }
}

const PARTS: Readonly<Record<string, Part>> = {
  nothing: { headers: [] },
  // Sessions.
  cookie: COOKIE,
  'cookie, expired': cookie(`session=${EXPIRED}`),
  'cookie, session ended': cookie(`session=${ENDED}`),
  'cookie, unsigned token': cookie(`session=${UNSIGNED}`),
  'two cookies: A\'s, B\'s': cookie(`session=${TOKENS.A}; session=${TOKENS.B}`, 'A'),
  'two cookies: expired, A\'s': cookie(`session=${EXPIRED}; session=${TOKENS.A}`),
  'cookie, from the same origin': together([COOKIE, sameOrigin]),
  'cookie, from a listed origin': together([COOKIE, from(LISTED_ORIGIN)]),
  'cookie, from another origin': together([COOKIE, from(FOREIGN_ORIGIN)]),
  bearer: A,
  'bearer, lower case': bearer(TOKENS.A, 'A', 'bearer '),
  'bearer of B': bearer(TOKENS.B, 'B'),
  'bearer, expired': bearer(EXPIRED, 'nobody'),
  'bearer, session ended': bearer(ENDED, 'nobody'),
  'bearer, unsigned token': bearer(UNSIGNED, 'nobody'),
  'bearer, garbage': GARBAGE,
  'bearer, garbage + cookie': together([GARBAGE, COOKIE]),
  'bearer, empty + cookie': together([bearer('', 'nobody', 'Bearer'), COOKIE]),
  'bearer of A + cookie of B': together([A, cookie(`session=${TOKENS.B}`, 'B')]),
  'two bearers: A\'s, B\'s': together([A, bearer(TOKENS.B, 'B')], { bearer: 'nobody', authorizations: 2 }),
  Basic: basic,
  'Basic + cookie': together([basic, COOKIE]),
  // Keys.
  key: key('full'),
  'key as bearer': keyAsBearer('full'),
  'key, data:read alone': key('reader'),
  'key, account and data:read': key('manager'),
  'key of the test environment': key('test'),
  'key of B': key('theirs'),
  'key, retiring': key('retiring'),
  'key, revoked': key('revoked'),
  'key, expired': key('expired'),
  'key, disabled': key('disabled'),
  'key, unknown': presented(UNKNOWN),
  'key, malformed': presented('garbage'),
  'key, publishable': key('publishable'),
  'key, publishable, from its page': together([key('publishable'), from(PAGE_ORIGIN)]),
  'key, publishable, from elsewhere': together([key('publishable'), from(FOREIGN_ORIGIN)]),
  'the same key twice': together([key('full'), keyAsBearer('full')]),
  'two keys: A\'s, B\'s': together([key('full'), keyAsBearer('theirs')], { key: 'two different' }),
  'two keys in X-API-Key': together([key('reader'), key('full')], { key: 'two different' }),
  'key in the query': { headers: [], query: `x-api-key=${PLAINTEXTS.full}&api_key=${PLAINTEXTS.full}` },
  'key in a cookie': { headers: [['Cookie', `x-api-key=${PLAINTEXTS.full}; session=${PLAINTEXTS.full}`]] },
  // Both.
  'key + bearer': together([key('full'), A]),
  'key of B + bearer of A': together([key('theirs'), A]),
  'key + bearer, garbage': together([key('full'), GARBAGE]),
  'key + cookie': together([key('full'), COOKIE]),
  'key, revoked + bearer': together([key('revoked'), A]),
  'key, revoked + cookie': together([key('revoked'), COOKIE]),
  'key, empty + cookie': together([presented(''), COOKIE])
}

export const CREDENTIALS: readonly Credential[] = Object.entries(PARTS).map(([name, part]) => ({ name, ...part }))
