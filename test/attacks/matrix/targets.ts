// The rows of the matrix: every account route on every kind of object, and the host's routes under every kind of rule.
import type { RouteRule } from '../../../lib/index.js'
import { KEYS as KEYS_URL, NO_KEY, NO_SITE, SITES } from '../../helpers/account.js'
import { PUBLIC_IDS, SITE_IDS, type ScopeName, type Who } from './accounts.js'

export const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE'] as const
export type Method = typeof METHODS[number]

/** What a request does on an account route. */
export type Act = 'profile' | 'read' | 'issue default' | 'issue named' | 'rotate' | 'renew' | 'rename' | 'revoke' | 'add site' | 'remove site'
/** The key or site that an account route names; `of: null` exists nowhere. */
export interface Thing { readonly kind: 'key' | 'site', readonly of: Who | null, readonly ended?: true }

interface Row {
  /** The path as the table shows it. */
  readonly name: string
  readonly url: string
  readonly bodies?: Partial<Record<Method, object>>
}
/** Answers GET (and HEAD, OPTIONS) and changes, by what is there. */
export interface AccountTarget extends Row { readonly lane: 'account', readonly acts: Partial<Record<Method, Act>>, readonly thing: Thing | null }
/** Takes every method unless it says which. `rule: null` is open to everybody. */
export interface HostTarget extends Row { readonly lane: 'host', readonly rule: HostRule | null | 'malformed', readonly only?: readonly Method[] }
/** Of the page. */
export interface PageTarget extends Row { readonly lane: 'page' }
export interface TokenTarget extends Row { readonly lane: 'token' }
export type Target = AccountTarget | HostTarget | PageTarget | TokenTarget

type HostRule = Omit<RouteRule, 'scopes'> & { readonly scopes?: ScopeName[] }

const OWN: Thing = { kind: 'key', of: 'A' }
const THINGS: ReadonlyArray<readonly [name: string, publicId: string, thing: Thing]> = [
  ['{own}', PUBLIC_IDS.own, OWN],
  ['{another account\'s}', PUBLIC_IDS.other, { kind: 'key', of: 'B' }],
  ['{missing}', NO_KEY, { kind: 'key', of: null }],
  ['{revoked}', PUBLIC_IDS.ended, { ...OWN, ended: true }]
]

function account (path: string, acts: AccountTarget['acts'], { note = '', ...more }: Partial<AccountTarget> & { note?: string } = {}): AccountTarget {
  return { lane: 'account', name: `/v1/me${path}${note}`, url: `/v1/me${path}`, acts, thing: null, ...more }
}

/** @param below the part of the path behind the key */
function ofKeys (below: string, acts: AccountTarget['acts'], bodies: Row['bodies'] = {}): AccountTarget[] {
  return THINGS.map(([name, publicId, thing]) => account(`/api-keys/${publicId}${below}`, acts, { name: `${KEYS_URL}/${name}${below}`, bodies, thing }))
}

function ofSites (acts: AccountTarget['acts']): AccountTarget[] {
  return ([['{own}', SITE_IDS.A, 'A'], ['{another account\'s}', SITE_IDS.B, 'B'], ['{missing}', NO_SITE, null]] as const)
    .map(([name, siteId, of]) => account(`/sites/${siteId}`, acts, { name: `${SITES}/${name}`, thing: { kind: 'site', of } }))
}

/** The host's routes by name; `early` ones are declared before the plugin. */
export const HOST_ROUTES = {
  '/data': { rule: { scopes: ['data:read'] } },
  '/changes': { rule: { scopes: ['data:write'] } },
  '/any-of': { rule: { anyOfScopes: ['data:read', 'data:write'] } },
  '/live': { rule: { environments: ['live'] } },
  '/reports': { rule: { scopes: ['data:read'], session: true } },
  '/greeting': { rule: { optional: true } },
  '/greeting-of-anyone': { rule: { optional: true, session: true } },
  '/page-data': { rule: { scopes: ['data:read'], allowPublishable: true } },
  '/open': { rule: null },
  '/early': { rule: { scopes: ['data:read'] } },
  '/early-malformed': { rule: 'malformed' },
  // These are in a scope under protect(), which asks for data:read.
  '/guarded': { rule: { scopes: ['data:read'] } },
  '/guarded/own-rule': { rule: {} },
  '/guarded/opened': { rule: null },
  '/guarded/preflight': { rule: null, only: ['OPTIONS'] }
} as const satisfies Record<string, { rule: HostTarget['rule'], only?: readonly Method[] }>

export const TARGETS: readonly Target[] = [
  account('', { GET: 'profile' }),
  account('/api-keys', { GET: 'read', POST: 'issue default' }, { bodies: { POST: {} } }),
  account('/api-keys', { GET: 'read', POST: 'issue named' }, { note: ', named', bodies: { POST: { label: 'CI', scopes: ['data:read'] } } }),
  ...ofKeys('', { GET: 'read', PATCH: 'rename', DELETE: 'revoke' }, { PATCH: { label: 'Renamed' } }),
  ...ofKeys('/rotate', { POST: 'rotate' }, { POST: {} }),
  ...ofKeys('/renew', { POST: 'renew' }, { POST: { expiresAt: '2026-06-01T00:00:00Z' } }),
  ...ofKeys('/usage', { GET: 'read' }),
  account('/policy', { GET: 'read' }),
  account('/usage', { GET: 'read' }),
  account('/sites', { GET: 'read', POST: 'add site' }, { bodies: { POST: { name: 'https://new.example' } } }),
  ...ofSites({ DELETE: 'remove site' }),
  account('/audit', { GET: 'read' }),
  { lane: 'page', name: '/api-key', url: '/api-key' },
  { lane: 'token', name: '/api-key/token', url: '/api-key/token' },
  ...Object.entries(HOST_ROUTES).map(([url, route]): HostTarget => ({ lane: 'host', name: url, url, ...route as Pick<HostTarget, 'rule' | 'only'> }))
]
