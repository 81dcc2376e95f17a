// The hosts of the matrix, and the two ways to ask them: injected requests, and bytes over a kept connection.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import { protect, type RouteRuleConfig, type SelfServeKeysOptions } from '../../../lib/index.js'
import { build, type Host } from '../../helpers/host.js'
import { rawConnection, type PlainAnswer } from '../../helpers/raw-connection.js'
import { ACCOUNT_IDS, MAX_SITES, SCOPES } from './accounts.js'
import { LISTED_ORIGIN, session, type Credential } from './credentials.js'
import type { HostKind } from './rule.js'
import { HOST_ROUTES, type Method, type Target } from './targets.js'

export async function hostOf (t: Test, { keysOpenAccountRoutes, cookiesMayChange }: HostKind): Promise<Host> {
  const options: Partial<SelfServeKeysOptions> = {
    session,
    scopes: SCOPES,
    routes: { profile: true },
    dashboard: true,
    // Nothing happens beside the requests.
    usage: { flushInterval: '1 week', prune: false },
    accountRoutes: { rateLimit: false, ...(keysOpenAccountRoutes && { apiKeys: { read: 'account:read', write: 'account:write' } }) },
    policy: { resolve: (accountId) => ({ maxSites: accountId === ACCOUNT_IDS.A ? MAX_SITES.A : MAX_SITES.B }) },
    ...(cookiesMayChange && { cookieMutations: { origins: [LISTED_ORIGIN] } })
  }
  return await build(t, options, {
    before (app) { declare(app, (url) => url.startsWith('/early')) },
    after (app) {
      declare(app, (url) => !url.startsWith('/early') && !url.startsWith('/guarded'))
      app.register(async (scope) => {
        protect(scope, { scopes: ['data:read'] })
        scope.all('/guarded', whoCalls)
        scope.all('/guarded/own-rule', { config: { apiKey: true } }, whoCalls)
        scope.all('/guarded/opened', { config: { apiKey: false } }, whoCalls)
        scope.get('/guarded/preflight', whoCalls)
        scope.options('/guarded/preflight', whoCalls)
      })
    }
  })
}

function declare (app: FastifyInstance, wanted: (url: string) => boolean): void {
  for (const [url, { rule }] of Object.entries(HOST_ROUTES)) {
    if (!wanted(url)) continue
    const apiKey = (rule === 'malformed' ? { scope: 'data:read' } : rule) as RouteRuleConfig | null
    app.all(url, apiKey === null ? {} : { config: { apiKey } }, whoCalls)
  }
}

async function whoCalls ({ caller }: FastifyRequest): Promise<object> {
  return caller === null ? { via: 'nobody' } : { via: caller.via === 'apiKey' ? 'key' : 'session', accountId: caller.accountId }
}

export type AskCell = (target: Target, method: Method, credential: Credential) => Promise<PlainAnswer>
export type Way = (t: Test, app: FastifyInstance) => Promise<AskCell>

/** The target's path and body with the credential's headers and query. */
function requestOf ({ url, bodies }: Target, method: Method, { headers, query }: Credential): { url: string, headers: Array<readonly [string, string]>, body: string } {
  const body = bodies?.[method]
  return {
    url: query === undefined ? url : `${url}?${query}`,
    headers: body === undefined ? [...headers] : [...headers, ['Content-Type', 'application/json']],
    body: body === undefined ? '' : JSON.stringify(body)
  }
}

const injected: Way = async (_t, app) => async (target, method, credential) => {
  const { url, headers, body } = requestOf(target, method, credential)
  const several: Record<string, string[]> = {}
  for (const [name, value] of headers) (several[name] ??= []).push(value)
  const answer = await app.inject({ method: method as 'GET', url, headers: several, ...(body !== '' && { payload: body }) })
  return { status: answer.statusCode, headers: answer.headers as PlainAnswer['headers'], body: answer.body }
}

const overSocket: Way = async (t, app) => {
  const connection = await rawConnection(app)
  t.after(() => { connection.close() })
  return async (target, method, credential) => {
    const { url, headers, body } = requestOf(target, method, credential)
    const lines = headers.map(([name, value]) => `${name}: ${value}`)
    if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
    return await connection.ask([`${method} ${url} HTTP/1.1`, 'Host: localhost', ...lines], body)
  }
}

export const WAYS: Readonly<Record<string, Way>> = { injected, 'over a socket': overSocket }
