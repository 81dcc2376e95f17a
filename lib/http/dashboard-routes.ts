// The page's own routes: its document, its files, and the token that it makes changes with.
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify'
import { pageFile, readScript, readStyle } from '../dashboard/page-files.js'
import { pageHtml } from '../dashboard/page-html.js'
import { makeError } from '../errors.js'
import type { CompleteDashboard } from '../options/complete-dashboard.js'
import { sendFile } from './send-file.js'
import { findToken, type SessionSettings } from './session-rule.js'

export interface DashboardRoutesOptions {
  readonly dashboard: CompleteDashboard
  /** The pattern of the account routes' path. */
  readonly base: string
  readonly sessions: SessionSettings
}

/** What the page needs and nothing else: its own files, this origin's answers, a logo. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "base-uri 'none'",
  "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"
].join('; ')
const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin'
}

/** Registered with the page's path as its prefix. */
export async function dashboardRoutes (scope: FastifyInstance, { dashboard, base, sessions }: DashboardRoutesOptions): Promise<void> {
  // Behind the host's hooks, which may have put a content security policy of the host's there.
  scope.addHook('onRequest', async (_request, reply) => { reply.headers(HEADERS) })

  // A host may guard everything with protect(). HEAD beside every GET, whatever the host's own setting.
  const shared = { config: { apiKey: false }, schema: { hide: true } as FastifySchema, exposeHeadRoute: true }
  const hasTokens = sessions.session!.token !== undefined

  scope.get('/', shared, async (request, reply) => {
    const params = request.params as Record<string, string>
    // It would make a path that begins with `//`, which is another host's.
    if (Object.values(params).includes('')) {
      reply.callNotFound()
      return await reply
    }
    const html = pageHtml({ ...dashboard, path: fill(scope.prefix, params), base: fill(base, params), keyHeader: sessions.headers[0]!, hasTokens })
    return await sendFile(request, reply, pageFile('html', Buffer.from(html)))
  })

  const files = { 'page.css': readStyle(dashboard.accentColor), 'page.js': readScript('page.js'), 'element.js': readScript('element.js') }
  for (const [name, file] of Object.entries(files)) {
    scope.get(`/${name}`, shared, async (request, reply) => await sendFile(request, reply, file))
  }

  if (!hasTokens) return
  scope.get('/token', shared, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    // Where a host lets other origins read answers to requests with cookies (CORS with credentials), they must not read this one.
    if (!fromThisOrigin(request)) {
      throw makeError('FORBIDDEN', { message: 'The session token is given to pages of this origin alone.' })
    }
    const token = await findToken(request, sessions)
    if (token === null) throw makeError('SESSION_REQUIRED', { details: { presented: false } })
    return await reply.type('application/json; charset=utf-8').send(JSON.stringify({ token }))
  })
}

/** A pattern with the request's parameters, as a URL has them. */
function fill (pattern: string, params: Readonly<Record<string, string>>): string {
  return pattern.replace(/(?<=\/):(\w+)/g, (_match, name: string) => encodeURIComponent(params[name]!))
}

/** Does nothing say that this comes from elsewhere? Programs send neither header, browsers' scripts can set neither. */
function fromThisOrigin ({ headers, protocol, host }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  const own = `${protocol}://${host}`
  return headers.origin === undefined || (URL.canParse(own) && new URL(own).origin === headers.origin)
}
