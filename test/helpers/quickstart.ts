// The built quickstart as a process of its own, and a small HTTP client with a cookie jar to visit it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const SERVER = fileURLToPath(new URL('../../dist/examples/quickstart/server.js', import.meta.url))

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  json: any
}

export interface RequestOptions {
  /** A list sends the header several times. */
  headers?: Record<string, string | string[]>
  /** Sent as JSON. */
  body?: unknown
}

export interface Quickstart {
  /** `http://127.0.0.1:PORT` */
  origin: string
  /** What it printed on standard output, whole. */
  output: string
  /** @param path from the origin */
  request (method: string, path: string, options?: RequestOptions): Promise<Answer>
  kill (signal: NodeJS.Signals): void
  /** How the process ended. */
  ended: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
}

/**
 * Starts `dist/examples/quickstart/server.js`, which `npm test` builds before, on a free port; ended with the test.
 * The environment is the given one alone: what tap sets there would change how a host runs.
 */
export async function startQuickstart (t: Test, dataDir: string, env: Record<string, string> = {}): Promise<Quickstart> {
  const child = spawn(process.execPath, [SERVER], {
    env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })

  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (/^curl -H "X-API-Key: .+\n/m.test(output)) resolve()
    })
    ended.then(({ code, signal }) => { reject(new Error(`the quickstart ended with ${code ?? signal} before it was ready`)) }, reject)
  })
  const origin = /^ready (http:\S+)\/api$/m.exec(output)![1]!
  return {
    origin,
    get output () { return output },
    request: async (method, path, options) => await request(method, `${origin}${path}`, options),
    kill: (signal) => { child.kill(signal) },
    ended
  }
}

/** Runs it where it cannot start. */
export async function failToStart (env: Record<string, string>): Promise<{ code: number, stderr: string }> {
  const child = spawn(process.execPath, [SERVER], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { code, stderr }
}

/** Not `fetch`: it says `Sec-Fetch-Mode: cors`, which no program but a browser does and Better Auth judges. */
async function request (method: string, url: string, { headers = {}, body }: RequestOptions = {}): Promise<Answer> {
  const payload = body === undefined ? null : JSON.stringify(body)
  const outgoing = http.request(url, {
    method,
    headers: { ...(payload !== null && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }), ...headers }
  })
  outgoing.end(payload)
  const [incoming] = await once(outgoing, 'response') as [http.IncomingMessage]
  const answer = await text(incoming)
  return {
    status: incoming.statusCode!,
    headers: incoming.headers,
    text: answer,
    json: /json/.test(incoming.headers['content-type'] ?? '') && answer !== '' ? JSON.parse(answer) : undefined
  }
}

/** A person with a browser (cookies) and a terminal (the session token). */
export class Person {
  readonly #cookies = new Map<string, string>()
  /** As Better Auth's own routes gave it. */
  token = ''
  /** Signed by Better Auth, `<token>.<signature>`. */
  signedToken = ''
  userId = ''

  constructor (readonly quickstart: Quickstart, readonly name: string) {}

  get email (): string { return `${this.name}@example.com` }
  get cookie (): { cookie: string } {
    return { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  }

  get bearer (): { authorization: string } { return { authorization: `Bearer ${this.token}` } }

  async signUp (): Promise<this> {
    return await this.#enter('/api/auth/sign-up/email', { name: this.name, email: this.email, password: `${this.name}'s password` })
  }

  async signIn (): Promise<this> {
    return await this.#enter('/api/auth/sign-in/email', { email: this.email, password: `${this.name}'s password` })
  }

  async #enter (path: string, body: object): Promise<this> {
    const answer = await this.quickstart.request('POST', path, { body, headers: { origin: this.quickstart.origin } })
    if (answer.status !== 200) throw new Error(`POST ${path}: ${answer.status} ${answer.text}`)
    for (const cookie of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!
      this.#cookies.set(name!, value!)
    }
    this.token = answer.json.token
    this.signedToken = String(answer.headers['set-auth-token'])
    this.userId = answer.json.user.id
    return this
  }

  /** As a terminal: with the session token. @param path from the account routes */
  async me (method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return await this.quickstart.request(method, `/api/v1/me${path}`, { ...options, headers: { ...this.bearer, ...options.headers } })
  }

  /** As a browser: with the cookies alone. */
  async browse (method: string, path: string, headers: Record<string, string | string[]> = {}): Promise<Answer> {
    return await this.quickstart.request(method, `/api/v1/me${path}`, { headers: { ...this.cookie, origin: this.quickstart.origin, ...headers } })
  }
}
