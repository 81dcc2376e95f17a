// The page's routes: who gets what, under which headers, and the token that the page makes changes with.
import t from 'tap'
import { build, login } from './helpers/host.js'

const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
const session = { ...login, token: ({ cookies }: { cookies: Readonly<Record<string, string>> }) => cookies.session ?? null }

t.test('every file of the page is served under its content security policy', async (t) => {
  const { app } = await build(t, { session, dashboard: true })
  for (const url of ['/api-key', '/api-key/', '/api-key/page.css', '/api-key/page.js', '/api-key/element.js']) {
    const answer = await app.inject({ url })
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.headers['content-security-policy'], CSP, url)
  }
})
