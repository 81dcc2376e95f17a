// The login's pages: a form each, one script, one style sheet, and a policy under which nothing else runs.
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'

const FILES = {
  '/sign-in': 'sign-in.html',
  '/sign-up': 'sign-up.html',
  '/sign-out': 'sign-out.html',
  '/sign-in/script.js': 'script.js',
  '/sign-in/style.css': 'style.css'
}
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

export const signInPages: FastifyPluginAsync = async (app) => {
  for (const [url, name] of Object.entries(FILES)) {
    const file = readFileSync(new URL(`./sign-in/${name}`, import.meta.url))
    app.get(url, { schema: { hide: true } as object }, async (_request, reply) => await reply
      .headers({ 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'content-type': `${TYPES[extname(name)]}; charset=utf-8` })
      .send(file))
  }
}
