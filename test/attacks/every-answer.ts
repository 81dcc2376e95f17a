// Draws every kind of answer out of the talkative host, with secrets in every place of a request, and remembers both.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { SignJWT } from 'jose'
import { randomBase62 } from '../../lib/crypto.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { request, type Answer, type RequestOptions } from '../helpers/example.js'
import type { HostProcess } from '../helpers/host-process.js'
import type { Hunt } from '../helpers/hunt.js'
import { Person } from '../helpers/quickstart.js'

const ME = '/v1/me'
const KEYS = `${ME}/api-keys`
/** A key that may do everything. */
const WHOLE = { label: 'Whole', scopes: null }
const OLD_PREFIX = 'old_'

interface Key { readonly plaintext: string, readonly url: string }

/** A customer who asks a host, and looks for every secret that comes up. */
export class Asking {
  /** What came back, head and body, without the one place where a plaintext belongs. */
  readonly answers: string[] = []
  readonly statuses = new Set<number>()
  readonly codes = new Set<string>()
  readonly #issued = new Set<string>()

  constructor (readonly host: HostProcess, readonly hunt: Hunt, readonly jwtSecret: string) {}

  /** A request whose answer is remembered, and searched by the test. */
  async ask (method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const answer = await request(method, `${this.host.url}${path}`, options)
    const { status, headers, json } = answer
    let { text } = answer
    if (json?.plaintextKey !== undefined && json.plaintextKey !== null) {
      // The one answer of this key, and the one place in it.
      if (status !== 201 || this.#issued.has(json.plaintextKey)) throw new Error(`${method} ${path} shows a key again`)
      this.#issued.add(json.plaintextKey)
      this.hunt.add(`key ${this.#issued.size} of ${method} ${path.replace(/key_\w+/, ':publicId')}`, json.plaintextKey.slice(-42))
      text = text.replace(json.plaintextKey, '')
    }
    this.answers.push(`${method} ${status} ${JSON.stringify(headers)}\n${text}`)
    this.statuses.add(status)
    if (typeof json?.code === 'string') this.codes.add(json.code)
    return answer
  }

  /** Sends lines as they are. */
  async send (head: string[]): Promise<void> {
    const socket = this.#connect(head)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    this.answers.push(answer)
    this.statuses.add(Number(answer.split(' ')[1]))
  }

  /** Hangs up as soon as the host has said a word. */
  async hangUp (head: string[]): Promise<void> {
    const socket = this.#connect(head)
    await once(socket, 'data')
    socket.destroy()
  }

  #connect (head: string[]): Socket {
    const { port, hostname } = new URL(this.host.url)
    const socket = connect(Number(port), hostname)
    socket.write([...head, 'Host: localhost', 'Connection: close', '', ''].join('\r\n'))
    return socket
  }

  /** What the host does by itself. */
  async own (what: string, body: object = {}): Promise<Answer> {
    return await this.ask('POST', `/host/${what}`, { body })
  }

  /** A new secret of the client's, looked for from now on. */
  secret (name: string, before = ''): string {
    const secret = before + randomBase62(36)
    this.hunt.add(name, secret)
    return secret
  }

  /** The session of a program, whose account is named. */
  async token (accountId: string, { ends = '1h', secret = this.jwtSecret } = {}): Promise<{ authorization: string }> {
    const token = await new SignJWT({ name: 'Ada' }).setProtectedHeader({ alg: 'HS256' }).setSubject(accountId)
      .setIssuer('login').setAudience('api').setExpirationTime(ends).sign(new TextEncoder().encode(secret))
    this.hunt.add(`JWT of ${accountId}, ${ends}`, token)
    return { authorization: `Bearer ${token}` }
  }

  /** Somebody whom Better Auth knows, with a session in a cookie and as a token. */
  async person (): Promise<Person> {
    const { host: { url }, hunt } = this
    // Better Auth's own answers hold the session: they are not the library's.
    const person = await new Person({ origin: url, request: async (method, path, options) => await request(method, `${url}${path}`, options) }, 'ada').signUp()
    hunt.add('session token', person.token)
    hunt.add('signed session token', person.signedToken)
    hunt.add('session cookie', person.cookie.cookie.slice(person.cookie.cookie.indexOf('=') + 1))
    return person
  }

  async issue (headers: Record<string, string>, body: object = {}): Promise<Key> {
    const { json } = await this.ask('POST', KEYS, { headers, body })
    return { plaintext: json.plaintextKey, url: `${KEYS}/${json.apiKey.publicId}` }
  }
}

/** What is used of it later. */
export interface Drawn { readonly bearer: Record<string, string>, readonly key: Key }

/**
 * Everything that a host answers while all is well.
 * @param control a label that is looked for, by which each place is seen to be searched
 * @param everyHeader are keys presented in every way, or in one?
 */
export async function drawAnswers (asking: Asking, { control, everyHeader }: { control: string, everyHeader: boolean }): Promise<Drawn> {
  const person = await asking.person()
  const { bearer, cookie } = person
  const full = await asking.token('full')

  const late = asking.ask('GET', KEYS, { headers: { authorization: `Bearer ${asking.secret('bearer of a slow login', 'slow-')}` } })

  // Sessions: good, bad, and of a login that fails.
  const sessions = [
    bearer, cookie, { ...bearer, ...cookie }, full, await asking.token('late', { ends: '-1h' }), await asking.token('forged', { secret: 'x'.repeat(32) }),
    await asking.token('suspended'), await asking.token('unresolved'),
    ...['', 'broken-'].map((before) => ({ authorization: `Bearer ${asking.secret(`bearer ${before}`, before)}` })),
    { authorization: `Basic ${asking.secret('password of Basic')}` }, { cookie: `better-auth.session_token=${asking.secret('cookie')}` }, {}
  ]
  for (const headers of sessions) {
    for (const path of ['', '/api-keys', '/policy', '/usage', '/sites', '/audit']) await asking.ask('GET', ME + path, { headers })
    await asking.ask('POST', KEYS, { headers, body: { environment: 'test' } })
    await asking.ask('GET', '/v1/either', { headers })
  }
  for (const path of ['/api-key', '/api-key/element.js', '/api-key/page.js', '/api-key/style.css']) await asking.ask('GET', path, { headers: cookie })
  const given = await request('GET', `${asking.host.url}/api-key/token`, { headers: { ...cookie, origin: asking.host.url } })
  asking.answers.push(given.text.replace(person.token, ''))

  // Keys: issued, repeated, rotated, changed, ended.
  const idempotent = { ...bearer, 'idempotency-key': asking.secret('Idempotency-Key') }
  for (const body of [{}, {}, { environment: 'test' }]) await asking.ask('POST', KEYS, { headers: idempotent, body })
  const key = await asking.issue(bearer, WHOLE)
  const narrow = await asking.issue(bearer, { label: 'Narrow', scopes: ['account:read'] })
  const bound = await asking.issue(bearer, { label: 'Bound', allowedIps: ['192.0.2.1'] })
  const page = await asking.issue(bearer, { label: 'Page', access: 'publishable', allowedOrigins: ['https://example.com'] })
  const [disabled, revoked, rotated] = [await asking.issue(bearer, WHOLE), await asking.issue(bearer, WHOLE), await asking.issue(bearer, WHOLE)]
  await asking.ask('PATCH', narrow.url, { headers: bearer, body: { label: control } })
  await asking.ask('PATCH', disabled.url, { headers: bearer, body: { enabled: false } })
  for (let turn = 0; turn < 2; turn++) await asking.ask('DELETE', revoked.url, { headers: bearer })
  await asking.ask('POST', `${revoked.url}/rotate`, { headers: bearer })
  await asking.ask('POST', `${rotated.url}/rotate`, { headers: bearer, body: { overlapSeconds: 60 } })
  await asking.ask('POST', `${key.url}/renew`, { headers: bearer, body: { expiresAt: '2100-01-01T00:00:00Z' } })
  for (const url of [key.url, `${key.url}/usage`, `${KEYS}/key_00000000000000000000000000`]) await asking.ask('GET', url, { headers: bearer })
  await asking.ask('POST', KEYS, { headers: full, body: { label: 'One too many' } })
  for (const name of ['https://one.example', 'https://two.example']) await asking.ask('POST', `${ME}/sites`, { headers: full, body: { name } })
  for (const method of ['DELETE', 'PUT']) await asking.ask(method, `${ME}/sites/site_00000000000000000000000000`, { headers: bearer })

  // A key of another system.
  const imported = OLD_PREFIX + randomBase62(40)
  asking.hunt.add('imported key', imported)
  await asking.own('import', { accountId: 'importer', label: 'Imported', hash: createHash('sha256').update(imported).digest('hex') })

  // Every key, whole and damaged, in every header, on every kind of route.
  const unknown = [generateKey('acme_sk_live_'), OLD_PREFIX + randomBase62(40)]
  for (const plaintext of unknown) asking.hunt.add(`unknown ${plaintext.slice(0, 4)}`, plaintext.slice(-40))
  const malformed = [key.plaintext.slice(0, -1), `${key.plaintext}x`, key.plaintext.replace(/.$/, '-'), key.plaintext.slice(0, 40), `${key.plaintext} ${key.plaintext}`]
  const plaintexts = [key, narrow, bound, page, disabled, revoked, rotated].map(({ plaintext }) => plaintext)
  for (const plaintext of [...plaintexts, imported, ...unknown, ...malformed]) {
    const ways: Array<Record<string, string | string[]>> = [
      { 'x-api-key': plaintext }, { authorization: `Bearer ${plaintext}` }, { authorization: `bearer  ${plaintext}`, 'x-api-key': plaintext },
      { authorization: `Bearer ${narrow.plaintext}`, 'x-api-key': plaintext }, { 'x-api-key': [plaintext, narrow.plaintext] },
      { ...bearer, 'x-api-key': plaintext }, { ...cookie, 'x-api-key': plaintext, origin: 'https://elsewhere.example' }
    ]
    for (const headers of everyHeader ? ways : ways.slice(0, 1)) {
      for (const path of ['/v1/blocks', '/v1/page', '/v1/either', KEYS]) await asking.ask('GET', path, { headers })
      for (const path of ['/v1/blocks', KEYS, `${key.url}/rotate`]) await asking.ask('POST', path, { headers, body: { overlapSeconds: 'x' } })
    }
    await asking.own('verify', { key: plaintext })
  }
  const withKey = { 'x-api-key': key.plaintext }
  for (const path of ['/v1/once', '/v1/once', '/v1/broken', '/v1/blocks']) await asking.ask('GET', path, { headers: withKey })
  for (const path of ['/v1/blocks', '/v1/either', ME]) await asking.ask('GET', path)
  await asking.ask('POST', KEYS, { headers: withKey, body: { label: 'By a key' } })
  await misplace(asking, key.plaintext, bearer)

  // Requests that Node refuses, and one whose client hangs up.
  await asking.send(['GET /v1/blocks HTTP/1.1', `X-API-Key: ${key.plaintext}`, `Authorization: ${bearer.authorization}`, 'no header'])
  await asking.send(['GET /v1/blocks HTTP/1.1', `X-API-Key: ${key.plaintext}`, `X-Long: ${'x'.repeat(20_000)}`])
  await asking.hangUp(['GET /v1/slow HTTP/1.1', `X-API-Key: ${key.plaintext}`])
  await late
  return { bearer, key }
}

/** A key where none belongs. */
async function misplace (asking: Asking, plaintext: string, headers: Record<string, string>): Promise<void> {
  const url = `${KEYS}/${plaintext}`
  for (const [method, path] of [['GET', url], ['PATCH', url], ['DELETE', url], ['POST', `${url}/rotate`], ['POST', `${url}/renew`], ['GET', `${url}/usage`], ['DELETE', `${ME}/sites/${plaintext}`]]) {
    await asking.ask(method!, path!, { headers })
  }
  for (const [path, names] of Object.entries({ '/api-keys': ['before', 'environment', 'status'], '/usage': ['window'], '/audit': ['action', 'search', 'limit', 'offset'], '/policy': ['x'] })) {
    for (const name of names) await asking.ask('GET', `${ME}${path}?${name}=${plaintext}`, { headers })
  }
  const label = 'Misplaced'
  for (const value of [plaintext, [plaintext], { value: plaintext }]) {
    for (const member of ['environment', 'access', 'scopes', 'allowedOrigins', 'allowedIps', 'expiresAt', 'enabled']) {
      await asking.ask('POST', KEYS, { headers, body: { label, [member]: value } })
    }
    await asking.ask('POST', `${ME}/sites`, { headers, body: { name: value } })
  }
  for (const [type, body] of [['text/plain', plaintext], [plaintext, '{}'], ['application/json', `{"label": "${plaintext}`], ['application/json', JSON.stringify(plaintext.repeat(400))]]) {
    await asking.ask('POST', KEYS, { headers: { ...headers, 'content-type': type! }, body })
  }
  for (const name of ['x-request-id', 'user-agent', 'referer', 'origin', 'idempotency-key', 'accept', 'sec-fetch-site']) {
    for (const path of [KEYS, '/v1/blocks']) await asking.ask('GET', path, { headers: { ...headers, [name]: plaintext } })
  }
  await asking.ask('POST', `${KEYS}?key=${plaintext}`, { headers: { ...headers, 'idempotency-key': plaintext }, body: { label } })
  await asking.ask('POST', KEYS, { headers, body: { label, [plaintext]: 1 } })
  await asking.ask('DELETE', `${KEYS}/key_00000000000000000000000000`, { headers, body: { [plaintext]: 1 } })
  for (const path of [`${ME}/audit?${plaintext}=1`, `/v1/blocks?key=${plaintext}`]) await asking.ask('GET', path, { headers })
  // Here Fastify itself tells the caller his own URL again.
  for (const path of [`/nowhere/${plaintext}`, `/%zz?key=${plaintext}`]) await request('GET', `${asking.host.url}${path}`)
}

/** What a host answers while its database is away. */
export async function drawFailures (asking: Asking, { bearer, key }: Drawn): Promise<void> {
  for (const headers of [bearer, { 'x-api-key': key.plaintext }, { authorization: `Bearer ${key.plaintext}` }]) {
    for (const path of [KEYS, '/v1/blocks', `${ME}/usage`]) await asking.ask('GET', path, { headers })
    await asking.ask('POST', KEYS, { headers: { ...headers, 'idempotency-key': asking.secret('Idempotency-Key of a failure') }, body: { label: 'Lost' } })
    await asking.ask('POST', `${key.url}/rotate`, { headers })
  }
}
