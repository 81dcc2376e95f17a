// Every route of the attacked host, and the request that each is meant for, from anybody.
import { randomFrom, type Random } from './random.js'
import type { Message } from './message.js'
import type { Attacker, World } from './world.js'

export interface Route {
  readonly method: string
  /** `:key` and `:site` stand for an id. */
  readonly path: string
  readonly body?: object
}

const ACCOUNT_ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/me' },
  { method: 'HEAD', path: '/v1/me/api-keys' },
  { method: 'OPTIONS', path: '/v1/me/api-keys/:key' },
  { method: 'GET', path: '/v1/me/policy' },
  { method: 'GET', path: '/v1/me/api-keys?environment=live&status=active' },
  { method: 'POST', path: '/v1/me/api-keys' },
  { method: 'POST', path: '/v1/me/api-keys', body: { label: 'Made in the attack', scopes: ['blocks:read'], allowedOrigins: ['https://a.example.com'] } },
  { method: 'GET', path: '/v1/me/api-keys/:key' },
  { method: 'GET', path: '/v1/me/api-keys/:key/usage' },
  { method: 'PATCH', path: '/v1/me/api-keys/:key', body: { label: 'Renamed', allowedIps: ['127.0.0.1'], enabled: true } },
  { method: 'POST', path: '/v1/me/api-keys/:key/rotate', body: { overlapSeconds: 60 } },
  { method: 'POST', path: '/v1/me/api-keys/:key/renew', body: { expiresAt: '2030-01-01T00:00:00Z' } },
  { method: 'DELETE', path: '/v1/me/api-keys/:key' },
  { method: 'GET', path: '/v1/me/usage?window=1h' },
  { method: 'GET', path: '/v1/me/sites' },
  { method: 'POST', path: '/v1/me/sites', body: { name: 'https://attack.example.com' } },
  { method: 'DELETE', path: '/v1/me/sites/:site' },
  { method: 'GET', path: '/v1/me/audit?limit=5&offset=0&search=key' }
]

const PAGE_ROUTES: readonly Route[] = ['/api-key', '/api-key/page.css', '/api-key/token'].map((path) => ({ method: 'GET', path }))

const PROTECTED_ROUTES: readonly Route[] = [
  '/v1/any-key', '/v1/blocks', '/v1/transactions/42', '/v1/public', '/v1/maybe', '/v1/metered', '/v1/test-only', '/v1/either/of/the/two', '/v1/reports'
].flatMap((path, place) => [{ method: place % 4 === 0 ? 'HEAD' : 'GET', path }, { method: 'POST', path, body: { any: 'thing' } }])

export const ROUTES: readonly Route[] = [...ACCOUNT_ROUTES, ...PAGE_ROUTES, ...PROTECTED_ROUTES]

/** The ways to come that every request of the corpus is tried in. */
export const CREDENTIALS = {
  none: () => [],
  cookie: ({ token }) => [`Cookie: theme=dark; session=${token}`, 'Sec-Fetch-Site: same-origin'],
  bearer: ({ token }) => [`Authorization: Bearer ${token}`],
  key: ({ key }) => [`X-API-Key: ${key}`]
} as const satisfies Record<string, (attacker: Attacker) => string[]>

export type Credential = keyof typeof CREDENTIALS

/** More ways to come, for requests that are made by chance. */
export function oddCredentials ({ poorKeys }: World): ReadonlyArray<(attacker: Attacker) => string[]> {
  return [
    ...Object.values(CREDENTIALS),
    ({ token }) => [`Cookie: session=${token}`],
    ({ token }) => [`Cookie: session=${token}`, 'Origin: https://app.example.com'],
    ({ token, key }) => [`Authorization: Bearer ${token}`, `X-API-Key: ${key}`],
    ({ token, key }) => [`Cookie: session=${token}`, `Authorization: Bearer ${key}`],
    () => ['Authorization: Bearer nobody'],
    ...Object.values(poorKeys).flatMap((key) => [() => [`X-API-Key: ${key}`], () => [`Authorization: Bearer ${key}`, 'Origin: https://0.example.com']])
  ]
}

/** The request that a route is meant for. @param random chooses among the ids that are the attacker's own */
export function requestOf ({ method, path, body }: Route, attacker: Attacker, credential: readonly string[], random: Random): Message {
  const target = path.replace(':key', () => random.of(attacker.keyIds)).replace(':site', () => random.of(attacker.siteIds))
  return {
    method,
    target,
    version: 'HTTP/1.1',
    headers: ['Host: localhost', ...credential, ...body === undefined ? [] : ['Content-Type: application/json']],
    framing: null,
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body))
  }
}

/** The attacker whose turn it is, and what chooses for this turn. */
export function turnOf ({ attackers }: World, seed: string): { attacker: Attacker, random: Random } {
  const random = randomFrom(seed)
  return { attacker: random.of(attackers), random }
}
