// A ready Fastify host with the plugin: memory storage, a clock the test moves, and a login that knows whoever a token names.
import { connect } from 'node:net'
import { Writable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { sha256 } from '../../lib/crypto.js'
import { memoryStorage, selfServeKeys, type NewKey, type SelfServeKeysOptions, type SessionResolver, type Storage, type StoredKey } from '../../lib/index.js'
import { displayParts, generateKey } from '../../lib/keys/key-format.js'
import { ACCOUNT, issue, NOW, OTHER_ACCOUNT } from './keys.js'

export interface TestClock {
  now (): number
  monotonic (): number
  /** Moves both hands on. */
  advance (ms: number): void
}

export interface Host {
  app: FastifyInstance
  clock: TestClock
  storage: Storage
}

export interface HostParts {
  server?: FastifyServerOptions
  /** Runs before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
  /** Runs on the line after it was registered, without waiting for it. */
  meanwhile?: (app: FastifyInstance) => unknown
  /** Runs after it was loaded, and before the host is ready. */
  after?: (app: FastifyInstance) => unknown
}

export const SCOPES = { 'blocks:read': 'Read blocks', 'transactions:write': 'Submit transactions' }
/** The session headers of two accounts, and of a browser of the first. */
export const SIGNED_IN = { authorization: `Bearer token-${ACCOUNT}` }
export const OTHER_SIGNED_IN = { authorization: `Bearer token-${OTHER_ACCOUNT}` }
export const BROWSER = { cookie: `theme=dark; session=token-${ACCOUNT}` }

/** Knows the person `x` by the token `token-x`, as bearer or in the cookie `session`. */
export const login: SessionResolver = {
  bearer: (token) => personOf(token),
  cookie: ({ cookies }) => personOf(cookies.session)
}

function personOf (token = ''): { id: string, actor: { id: string, name: string } } | null {
  const id = token.startsWith('token-') ? token.slice(6) : ''
  return id === '' ? null : { id, actor: { id: `person of ${id}`, name: 'Ada' } }
}

export function testClock (start = NOW): TestClock {
  let moved = 0
  return { now: () => start + moved, monotonic: () => moved, advance (ms) { moved += ms } }
}

/** Rejects when the host does not get ready. It is closed when the test ends, either way. */
export async function build (t: Test, options: Partial<SelfServeKeysOptions> = {}, { server, before, meanwhile, after }: HostParts = {}): Promise<Host> {
  const app = Fastify(server ?? {})
  t.after(async () => { await app.close() })
  const clock = testClock()
  const storage = options.storage ?? memoryStorage()
  await before?.(app)
  const registered = app.register(selfServeKeys, { session: login, scopes: SCOPES, clock, ...options, storage })
  meanwhile?.(app)
  if (after !== undefined) {
    await registered
    await after(app)
  }
  await app.ready()
  return { app, clock, storage }
}

/** Stores a key with these properties and gives its plaintext. */
export async function storeKey (storage: Storage, overrides: Partial<NewKey> = {}): Promise<{ plaintext: string, key: StoredKey }> {
  const plaintext = generateKey('sk_live_')
  return { plaintext, key: await issue(storage, { ...displayParts(plaintext), hash: sha256(plaintext), ...overrides }) }
}

/** A logger option that prints everything, and what it printed. */
export function logTo (): { logger: { level: string, stream: Writable }, lines: Array<Record<string, unknown>>, text: () => string } {
  const lines: Array<Record<string, unknown>> = []
  const printed: string[] = []
  const stream = new Writable({
    decodeStrings: false,
    write (line: string, _encoding, done) {
      printed.push(line)
      lines.push(JSON.parse(line) as Record<string, unknown>)
      done()
    }
  })
  return { logger: { level: 'trace', stream }, lines, text: () => printed.join('') }
}

export interface RawAnswer { status: number, headers: Headers, body: string }

/** Sends head lines as they are over a socket of their own, and reads the answer to its end. */
export async function raw (app: FastifyInstance, head: readonly string[], body = ''): Promise<RawAnswer> {
  const socket = connect(await portOf(app), '127.0.0.1')
  socket.write([...head, 'Host: localhost', 'Connection: close', '', body].join('\r\n'))
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  const [top = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...fields] = top.split('\r\n')
  const headers = new Headers(fields.map((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1)]))
  return { status: Number(line.split(' ')[1]), headers, body: rest.join('\r\n\r\n') }
}

/** The port a host listens on; it begins to if it does not yet. */
export async function portOf (app: FastifyInstance): Promise<number> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as { port: number }).port
}
