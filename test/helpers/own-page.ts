// A page of the host's own, as strict as can be, which holds the element and sets it up.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'

const ROOT = join(import.meta.dirname, '..', '..')
/** Where the page of a host with `dashboard` has the element. */
export const SERVED = '/api-key/element.js'

export interface OwnPage {
  /** What stands in the page. */
  readonly body?: string
  /** The page's scripts, in order. @default the host's, then the element's */
  readonly scripts?: readonly string[]
  /** What `/host.js` says. */
  readonly host?: string
  /** What `/host.css` says; without one the policy lets no style in. */
  readonly style?: string
  /** What `/bundle.js` says. */
  readonly bundle?: string
  readonly lang?: string
}

/** Adds the page at `/own`. */
export function ownPage (app: FastifyInstance, {
  body = '<self-serve-keys base="/v1/me"></self-serve-keys>', scripts = ['/host.js', SERVED], host = '', style, bundle = '', lang = 'en'
}: OwnPage): void {
  const policy = ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'", ...(style === undefined ? [] : ["style-src 'self'"])]
  const head = [
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Account</title>',
    ...(style === undefined ? [] : ['<link rel="stylesheet" href="/host.css">']),
    ...scripts.map((src) => `<script type="module" src="${src}"></script>`)
  ]
  app.get('/own', async (_request, reply) => await reply.type('text/html').header('content-security-policy', policy.join('; ')).send(
    `<!doctype html><html lang="${lang}"><head>${head.join('')}</head><body><main><h1>Account</h1>${body}</main></body></html>`))
  for (const [path, text] of [['host', host], ['bundle', bundle]]) app.get(`/${path}.js`, async (_request, reply) => await reply.type('text/javascript').send(text))
  app.get('/host.css', async (_request, reply) => await reply.type('text/css').send(style))
}

/** A program of the host's, bundled with what it imports, from the package as it is published. */
export async function bundled (program: string): Promise<string> {
  const { outputFiles: [file] } = await build({ stdin: { contents: program, resolveDir: ROOT }, bundle: true, format: 'esm', write: false, logLevel: 'error' })
  return file!.text
}

export function elementScript (): string {
  return readFileSync(join(ROOT, 'dist', 'lib', 'dashboard', 'files', 'element.js'), 'utf8')
}

export interface Sent { readonly method: string, readonly path: string, readonly headers: Readonly<Record<string, string>> }

/** The requests to the account routes, from now on. */
export function sentBy (page: Page): Sent[] {
  const sent: Sent[] = []
  page.on('request', (request) => {
    const path = new URL(request.url()).pathname
    if (path.startsWith('/v1/me')) sent.push({ method: request.method(), path, headers: request.headers() })
  })
  return sent
}

/** Every attribute's value in the page and in the element, one a line. */
export async function attributesOf (page: Page): Promise<string> {
  return await page.evaluate(`(() => {
    const valuesIn = (root) => [...root.querySelectorAll('*')].flatMap((element) => [
      ...[...element.attributes].map(({ value }) => value), ...(element.shadowRoot === null ? [] : valuesIn(element.shadowRoot))])
    return valuesIn(document).join('\\n')
  })()`)
}
