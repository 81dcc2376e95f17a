// The page's routes: who gets what, under which headers, and the token that the page makes changes with.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import fastifySwagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { memoryStorage, protect, selfServeKeys, type CookieAsk, type SelfServeKeysOptions, type SessionResolver } from '../lib/index.js'
import { KEYS } from './helpers/account.js'
import { BROWSER, build, login, portOf, raw, type HostParts } from './helpers/host.js'
import { ACCOUNT } from './helpers/keys.js'

const FILES = join(import.meta.dirname, '..', 'lib', 'dashboard', 'files')
const built = (name: string): Buffer => readFileSync(join(FILES, name))

const HEADERS = {
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin'
}
/** Each with its media type and, of files, what it holds. */
const PAGE: ReadonlyArray<[url: string, type: string, file: string | null]> = [
  ['/api-key', 'text/html; charset=utf-8', null],
  ['/api-key/', 'text/html; charset=utf-8', null],
  ['/api-key/page.css', 'text/css; charset=utf-8', 'page.css'],
  ['/api-key/page.js', 'text/javascript; charset=utf-8', 'page.js'],
  ['/api-key/element.js', 'text/javascript; charset=utf-8', 'element.js']
]
const TOKEN = '/api-key/token'

/** Knows the person `x` by the cookie `session=token-x`, which is also the bearer token. */
const session: SessionResolver = { ...login, token: ({ cookies }) => login.cookie!({ cookies } as CookieAsk) === null ? null : cookies.session! }

async function pageOf (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<FastifyInstance> {
  return (await build(t, { session, dashboard: true, ...options }, parts)).app
}

const get = async (app: FastifyInstance, url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> => await app.inject({ url, headers })

t.test('the document and its files are served under their own headers, with HEAD beside each GET', async (t) => {
  const app = await pageOf(t, {}, { server: { exposeHeadRoutes: false } })
  for (const [url, type, file] of PAGE) {
    const answer = await get(app, url)
    t.equal(answer.statusCode, 200, url)
    t.match(answer.headers, { ...HEADERS, 'content-type': type, 'cache-control': 'no-cache', vary: 'accept-encoding', etag: /^W\/"[\w-]{43}"$/ }, url)
    if (file !== null) t.ok(answer.rawPayload.equals(built(file)), file)
    const head = await app.inject({ method: 'HEAD', url })
    t.same([head.statusCode, head.body], [200, ''], url)
    t.same({ ...head.headers, date: '' }, { ...answer.headers, date: '' }, url)
  }
  for (const url of ['/api-key/LICENSES.txt', '/api-key/page.css.br', '/api-key/../package.json', '/api-key/x']) t.equal((await get(app, url)).statusCode, 404, url)
  t.equal((await app.inject({ method: 'POST', url: '/api-key' })).statusCode, 404)
})

t.test('the document is the same for everybody and names what it needs', async (t) => {
  const app = await pageOf(t)
  const { body, headers } = await get(app, '/api-key')
  t.equal(body, `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>API keys</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/api-key/page.css">
<script type="module" src="/api-key/page.js"></script><script type="module" src="/api-key/element.js"></script></head>
<body><header class="bar"><h1><a href="/api-key">API keys</a></h1></header>
<main><self-serve-keys base="/v1/me" token-url="/api-key/token" key-header="x-api-key" features="defaultKey keys usage sites audit"></self-serve-keys>
<noscript><p>This page needs JavaScript.</p></noscript></main></body></html>
`)
  const signedIn = await get(app, '/api-key/?next=%3Cb%3E', { ...BROWSER, host: 'evil.example' })
  t.equal(signedIn.body, body)
  t.equal(signedIn.headers.etag, headers.etag)
})

t.test('what the host says is in the document, and cannot leave its place', async (t) => {
  const evil = '"><script>\'&'
  const app = await pageOf(t, {
    routes: { sites: false },
    dashboard: {
      path: '/keys',
      title: evil,
      logo: '/logo.svg?"<',
      links: [{ text: evil, url: '/docs?"' }, { text: 'Shop', url: 'https://shop.example/?a=1&b=\'' }],
      signInUrl: '/sign-in?"',
      exampleUrl: '/v1/blocks?a="',
      features: { audit: false }
    }
  })
  const { body } = await get(app, '/keys')
  const escaped = '&quot;&gt;&lt;script&gt;&#39;&amp;'
  t.match(body, `<title>${escaped}</title>`)
  t.match(body, `<h1><a href="/keys"><img src="/logo.svg?&quot;&lt;" alt="">${escaped}</a></h1>` +
    `<nav aria-label="Links"><a href="/docs?&quot;">${escaped}</a><a href="https://shop.example/?a=1&amp;b=&#39;">Shop</a></nav>`)
  t.match(body, '<self-serve-keys base="/v1/me" token-url="/keys/token" sign-in-url="/sign-in?&quot;" example-url="/v1/blocks?a=&quot;" key-header="x-api-key" ' +
    'features="defaultKey keys usage"></self-serve-keys>')
  t.equal(body.split('<script').length, 3, 'its own two')
  t.equal((await get(app, '/api-key')).statusCode, 404)
})

t.test('parameters of the path are those of the request, and never make it another host\'s', async (t) => {
  const seen: unknown[] = []
  const resolver: SessionResolver = { ...session, token: ({ params }) => { seen.push(params); return 'token-of-it' } }
  const options = { session: resolver, routePrefix: '/v1/:workspaceId/me', dashboard: { path: '/:workspaceId/api-key' } }
  const app = await pageOf(t, options)
  const { body } = await get(app, `/${encodeURIComponent('a b/"<é')}/api-key`)
  const value = 'a%20b%2F%22%3C%C3%A9'
  t.match(body, `href="/${value}/api-key/page.css"`)
  t.match(body, `base="/v1/${value}/me" token-url="/${value}/api-key/token"`)
  t.equal((await get(app, `/${value}/api-key/page.css`)).statusCode, 200)
  t.same((await get(app, '/w1/api-key/token', BROWSER)).json(), { token: 'token-of-it' })
  t.same(seen, [{ workspaceId: 'w1' }])
  t.equal((await app.inject({ url: { pathname: '//api-key' } as never })).statusCode, 404, 'an empty one')
})

t.test('the prefix of an outer scope holds for the page as it does for the account routes', async (t) => {
  const app = Fastify()
  t.after(async () => { await app.close() })
  app.register(async (scope) => { await scope.register(selfServeKeys, { session, storage: memoryStorage(), dashboard: true }) }, { prefix: '/tenants/:tenant' })
  const { body } = await get(app, '/tenants/t1/api-key')
  t.match(body, 'src="/tenants/t1/api-key/element.js"')
  t.match(body, 'base="/tenants/t1/v1/me" token-url="/tenants/t1/api-key/token"')
  t.same((await get(app, '/tenants/t1/v1/me/api-keys', BROWSER)).json(), { apiKeys: [], truncated: false, before: null })
})

t.test('without token() changes go with the cookies, and there is no route for a token', async (t) => {
  const app = await pageOf(t, { session: login, cookieMutations: { origins: [] } })
  t.notMatch((await get(app, '/api-key')).body, 'token-url')
  t.equal((await get(app, TOKEN, BROWSER)).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: KEYS, headers: { ...BROWSER, 'sec-fetch-site': 'same-origin' } })).statusCode, 201)
})

t.test('without the option there is no page', async (t) => {
  const app = await pageOf(t, { dashboard: false })
  for (const [url] of PAGE) t.equal((await get(app, url)).statusCode, 404, url)
  t.equal((await get(app, TOKEN, BROWSER)).statusCode, 404)
})

t.test('whoever has a file is not sent it again', async (t) => {
  const app = await pageOf(t)
  for (const [url] of PAGE) {
    const etag = String((await get(app, url)).headers.etag)
    const strong = etag.slice(2)
    for (const has of [etag, strong, '*', `"x", ${etag}`, `W/"x",${strong} , "y"`]) {
      const answer = await get(app, url, { 'if-none-match': has, 'accept-encoding': 'br' })
      t.same([answer.statusCode, answer.body], [304, ''], `${url} ${has}`)
      t.match(answer.headers, { ...HEADERS, etag, 'cache-control': 'no-cache', vary: 'accept-encoding' })
      t.equal(answer.headers['content-encoding'], undefined)
    }
    for (const has of ['"x"', '', strong.slice(1, -1), `W/${etag}`, strong.toLowerCase(), '"*"', `"W/${strong.slice(1)}`]) {
      t.equal((await get(app, url, { 'if-none-match': has })).statusCode, 200, `${url} ${has}`)
    }
  }
})

t.test('a file comes as brotli, gzip or as it is, whichever is taken', async (t) => {
  const app = await pageOf(t)
  const table: Array<[accepted: string | null, sent: string | undefined]> = [
    [null, undefined], ['', undefined], ['identity', undefined], ['deflate', undefined], ['brotli', undefined],
    ['br', 'br'], ['gzip, deflate, br, zstd', 'br'], ['gzip', 'gzip'], ['GZIP', 'gzip'], ['*', 'br'], ['br;q=0, *', 'gzip'], ['gzip;q=1.0, br;q=0.001', 'br'],
    ['br;q=0', undefined], ['br; q=0.0 , gzip ;q=0', undefined], ['br;Q=0,gzip', 'gzip'], ['*;q=0', undefined], ['*;q=0, gzip', 'gzip'], ['br;q=x', undefined], ['br;level=1;q=0', undefined]
  ]
  for (const [accepted, sent] of table) {
    const answer = await get(app, '/api-key/element.js', accepted === null ? {} : { 'accept-encoding': accepted })
    t.equal(answer.headers['content-encoding'], sent, String(accepted))
    t.equal(answer.headers['content-length'], String(answer.rawPayload.length))
    const plain = sent === 'br' ? brotliDecompressSync(answer.rawPayload) : sent === 'gzip' ? gunzipSync(answer.rawPayload) : answer.rawPayload
    t.ok(plain.equals(built('element.js')))
  }
  const document = await get(app, '/api-key', { 'accept-encoding': 'br, gzip' })
  t.match(document.body, /^<!doctype html>/)
  t.equal(document.headers['content-encoding'], undefined, 'the document is small')
})

t.test('the accent colour is in the style sheet, compressed or not, and changes its tag', async (t) => {
  const plain = await get(await pageOf(t), '/api-key/page.css')
  const app = await pageOf(t, { dashboard: { accentColor: '#00aa77' } })
  const style = Buffer.concat([built('page.css'), Buffer.from(':root{--ssk-accent:#00aa77}')])
  const answer = await get(app, '/api-key/page.css')
  t.ok(answer.rawPayload.equals(style))
  t.not(answer.headers.etag, plain.headers.etag)
  for (const [encoding, decompress] of [['br', brotliDecompressSync], ['gzip', gunzipSync]] as const) {
    const packed = await get(app, '/api-key/page.css', { 'accept-encoding': encoding })
    t.equal(packed.headers['content-encoding'], encoding)
    t.equal(packed.headers.etag, answer.headers.etag)
    t.ok(decompress(packed.rawPayload).equals(style))
  }
  t.notMatch((await get(app, '/api-key')).body, /style=|<style|00aa77/)
})

t.test('the whole page is at most 60 kB on the wire', async (t) => {
  const app = await pageOf(t)
  for (const encoding of ['br', 'gzip']) {
    let bytes = 0
    for (const [url] of PAGE.filter(([url]) => url !== '/api-key/')) bytes += (await get(app, url, { 'accept-encoding': encoding })).rawPayload.length
    t.ok(bytes > 0 && bytes <= 60_000, `${encoding}: ${bytes} bytes`)
  }
})

t.test('beside a host\'s hooks, guards, compilers and documents the page is what it is, and leaves them alone', async (t) => {
  const app = await pageOf(t, {}, {
    server: { routerOptions: { ignoreTrailingSlash: true } },
    before: async (root) => {
      await root.register(fastifySwagger)
      root.addHook('onRequest', async (_request, reply) => {
        reply.headers({ 'content-security-policy': "default-src 'self'", 'cross-origin-resource-policy': 'cross-origin', vary: 'Origin', 'x-host': 'yes' })
      })
      root.setValidatorCompiler(() => { throw new Error('a foreign compiler') })
      root.setReplySerializer(() => 'foreign')
      protect(root)
    },
    after: (root) => { root.get('/own', { config: { apiKey: false } }, async () => ({})) }
  })
  for (const [url, type] of PAGE) {
    const { statusCode, headers } = await get(app, url)
    t.equal(statusCode, 200, url)
    t.match(headers, { ...HEADERS, 'content-type': type, vary: 'Origin, accept-encoding', 'x-host': 'yes' }, url)
  }
  t.same((await get(app, TOKEN, BROWSER)).json(), { token: `token-${ACCOUNT}` })
  const own = await get(app, '/own')
  t.match(own.headers, { 'content-security-policy': "default-src 'self'", 'cross-origin-resource-policy': 'cross-origin', vary: 'Origin' })
  for (const name of ['referrer-policy', 'x-content-type-options', 'cache-control']) t.equal(own.headers[name], undefined, name)
  t.same(Object.keys(app.swagger().paths ?? {}).filter((path) => path.startsWith('/api-key')), [])
  const rules = app.selfServeKeys.routes().routes.filter(({ url }) => url.startsWith('/api-key')).map(({ rule }) => rule)
  t.ok(rules.length > 0 && rules.every((rule) => rule === null), 'public')
})

t.test('a host\'s own onSend hook has the last word', async (t) => {
  const app = await pageOf(t, {}, {
    before: (root) => { root.addHook('onSend', async (_request, reply) => { reply.header('content-security-policy', 'its own') }) }
  })
  t.equal((await get(app, '/api-key')).headers['content-security-policy'], 'its own')
})

t.test('the token is that of whoever the cookies sign in, and works as a bearer', async (t) => {
  const app = await pageOf(t)
  const answer = await get(app, TOKEN, BROWSER)
  t.equal(answer.statusCode, 200)
  t.same(answer.json(), { token: `token-${ACCOUNT}` })
  t.match(answer.headers, { ...HEADERS, 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  t.equal(answer.headers.etag, undefined)
  const { statusCode } = await app.inject({ method: 'POST', url: KEYS, headers: { authorization: `Bearer ${answer.json().token}` } })
  t.equal(statusCode, 201)
  t.same(await app.selfServeKeys.keys.count(ACCOUNT), { total: 1, active: 1 })
  const head = await app.inject({ method: 'HEAD', url: TOKEN, headers: BROWSER })
  t.same([head.statusCode, head.body, head.headers['cache-control']], [200, '', 'no-store'])
})

t.test('the resolver is asked with the cookies and nothing else that could name somebody', async (t) => {
  const asked: CookieAsk[] = []
  const app = await pageOf(t, { session: { ...session, token: (ask) => { asked.push(ask); return 'a-token' } } })
  const answer = await get(app, TOKEN, { ...BROWSER, authorization: 'Bearer token-of-another', 'x-api-key': 'sk_live_x', 'x-other': 'kept' })
  t.same(answer.json(), { token: 'a-token' }, 'the cookie alone decides')
  const [{ headers, cookies, method, fresh, signal } = {} as CookieAsk] = asked
  t.same(cookies, { theme: 'dark', session: `token-${ACCOUNT}` })
  t.same([headers.get('cookie'), headers.get('x-other'), headers.get('authorization'), headers.get('x-api-key')], [BROWSER.cookie, 'kept', null, null])
  t.same([method, fresh, signal.aborted], ['GET', false, true])
})

t.test('nobody is 401 with its challenge, and no cookie asks nobody', async (t) => {
  let asked = 0
  const app = await pageOf(t, { session: { ...session, token: () => { asked++; return null } } })
  const refused = async (headers: Record<string, string>): Promise<void> => {
    const answer = await get(app, TOKEN, headers)
    t.same([answer.statusCode, answer.json().code], [401, 'SESSION_REQUIRED'])
    t.match(answer.headers, { ...HEADERS, 'cache-control': 'no-store', 'www-authenticate': 'Bearer realm="api"' })
  }
  await refused({})
  await refused({ authorization: `Bearer token-${ACCOUNT}` })
  t.equal(asked, 0)
  await refused({ cookie: 'session=nobody' })
  t.equal(asked, 1)
})

t.test('a resolver that fails, is late or answers what is no token is 503, and the answer is not told', async (t) => {
  const answers: Array<SessionResolver['token']> = [
    () => { throw new Error('no database') }, async () => { throw new Error('no database') }, async () => await new Promise<null>(() => {}),
    ...['', 'a b', 'a\r\nx: y', 'é', 'x'.repeat(4097), undefined, 5, true, { token: 'SECRET' }, ['SECRET']].map((answer) => () => answer as string)
  ]
  for (const token of answers) {
    const app = await pageOf(t, { session: { ...session, token: token! }, timeout: 20 })
    const answer = await get(app, TOKEN, BROWSER)
    t.same([answer.statusCode, answer.json().code], [503, 'STORAGE_UNAVAILABLE'])
    t.match(answer.headers, { ...HEADERS, 'cache-control': 'no-store', 'retry-after': '1' })
    t.notMatch(answer.body, /SECRET|database|token/)
  }
  const app = await pageOf(t, { session: { ...session, token: () => 'x'.repeat(4096) } })
  t.equal((await get(app, TOKEN, BROWSER)).statusCode, 200)
})

t.test('the token is given to pages of this origin alone, before anybody is asked', async (t) => {
  let asked = 0
  const counting: SessionResolver = { ...session, token: (ask) => { asked++; return session.token!(ask) } }
  const app = await pageOf(t, { session: counting }, {
    // A host that lets any origin read answers to requests with cookies.
    before: (root) => {
      root.addHook('onRequest', async ({ headers }, reply) => {
        reply.headers({ 'access-control-allow-origin': headers.origin ?? '*', 'access-control-allow-credentials': 'true' })
      })
    }
  })
  const host = 'api.example.com:8080'
  const elsewhere: Array<Record<string, string>> = [
    ...['cross-site', 'same-site', 'none', '', 'SAME-ORIGIN', 'same-origin, same-origin'].map((site) => ({ 'sec-fetch-site': site })),
    ...['https://evil.example', 'null', '', 'https://api.example.com:8080', 'http://api.example.com', 'http://api.example.com:8080/', 'http://api.example.com:8080.evil.example'].map((origin) => ({ origin })),
    { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
    { 'sec-fetch-site': 'cross-site', origin: `http://${host}` },
    { host: 'not a host', origin: 'http://not a host' }
  ]
  for (const headers of elsewhere) {
    const answer = await get(app, TOKEN, { host, ...BROWSER, ...headers })
    t.same([answer.statusCode, answer.json().code, answer.json().message], [403, 'FORBIDDEN', 'The session token is given to pages of this origin alone.'], JSON.stringify(headers))
    t.match(answer.headers, { ...HEADERS, 'cache-control': 'no-store' })
  }
  t.equal(asked, 0)
  const own: Array<Record<string, string>> = [
    {}, { 'sec-fetch-site': 'same-origin' }, { origin: `http://${host}` }, { host: 'API.example.com:80', origin: 'http://api.example.com', 'sec-fetch-site': 'same-origin' }
  ]
  for (const headers of own) t.same((await get(app, TOKEN, { host, ...BROWSER, ...headers })).json(), { token: `token-${ACCOUNT}` }, JSON.stringify(headers))
  t.equal(asked, own.length)
  for (const [url] of PAGE) t.equal((await get(app, url, { 'sec-fetch-site': 'cross-site' })).statusCode, 200, 'a link from elsewhere leads to the page')
})

t.test('behind a proxy that is trusted the origin is the one that the proxy tells', async (t) => {
  const headers = { host: '10.0.0.1:3000', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example.com', origin: 'https://api.example.com', ...BROWSER }
  t.equal((await get(await pageOf(t, {}, { server: { trustProxy: true } }), TOKEN, headers)).statusCode, 200)
  t.equal((await get(await pageOf(t), TOKEN, headers)).statusCode, 403)
})

t.test('over a socket, too: what a browser sends, and what none would', async (t) => {
  const app = await pageOf(t)
  const cookie = `Cookie: ${BROWSER.cookie}`
  t.equal((await raw(app, [`GET ${TOKEN} HTTP/1.1`, cookie])).body, JSON.stringify({ token: `token-${ACCOUNT}` }))
  t.equal((await raw(app, [`GET ${TOKEN} HTTP/1.1`, cookie, 'Origin: http://localhost'])).status, 200)
  t.equal((await raw(app, [`GET ${TOKEN} HTTP/1.1`, cookie, 'Origin: http://localhost', 'Origin: https://evil.example'])).status, 403, 'two origins')
  t.equal((await raw(app, [`GET ${TOKEN} HTTP/1.1`, cookie, 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'])).status, 403, 'two sites')
  const { status, headers, body } = await raw(app, ['HEAD /api-key/element.js HTTP/1.1', 'Accept-Encoding: gzip'])
  t.same([status, headers.get('content-encoding'), headers.get('content-length'), body], [200, 'gzip', String(built('element.js.gz').length), ''])
  const response = await fetch(`http://127.0.0.1:${await portOf(app)}/api-key/element.js`)
  t.equal(await response.text(), built('element.js').toString(), 'as a client reads it')
  t.equal(response.headers.get('content-encoding'), 'gzip')
})

t.test('the element can be imported where there is no browser, and defines nothing there', async (t) => {
  const { SelfServeKeysElement } = await import('fastify-self-serve-keys/element')
  t.type(SelfServeKeysElement, 'function')
  t.equal('customElements' in globalThis, false)
})

t.test('what styles the element is documented, name by name, and nothing else is', async (t) => {
  const folder = join(import.meta.dirname, '..', 'lib', 'dashboard', 'page')
  const sources = readdirSync(folder, { recursive: true }).map(String).filter((name) => /\.(tsx|css)$/.test(name)).map((name) => readFileSync(join(folder, name), 'utf8')).join('\n')
  const [, styling] = /## Styling\n([^]*?)\n## /.exec(readFileSync(join(import.meta.dirname, '..', 'docs', 'dashboard.md'), 'utf8'))!
  const documented = [...styling!.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, names]) => names!.split(', ').map((name) => name.slice(1, -1)))
  const parts = [...sources.matchAll(/\bpart=(?:'([\w -]+)'|\{[^}]*\})/g)].flatMap(([whole, names]) => names === undefined ? [...whole.matchAll(/'([\w -]+)'/g)].map(([, name]) => name!) : [names])
    .flatMap((names) => names.split(' ')).filter((name) => name !== 'revoke')
  const properties = [...sources.matchAll(/var\((--ssk-[\w-]+)/g)].map(([, name]) => name!)
  t.ok(parts.length > 20 && properties.length > 10, 'the sources were read')
  t.strictSame(documented.toSorted(), [...new Set([...parts, ...properties])].sort())
})
