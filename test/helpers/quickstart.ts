// The built quickstart, and a person who visits it with a cookie jar and a session token.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { entryOf, startExample, type Answer, type Example, type RequestOptions } from './example.js'

/** Ready once it has printed its last command. */
export async function startQuickstart (t: Test, dataDir: string, env: Record<string, string> = {}): Promise<Example> {
  return await startExample(t, 'quickstart', dataDir, { env, until: /^curl -H "X-API-Key: .+\n/m })
}

/** Runs it where it cannot start. */
export async function failToStart (env: Record<string, string>): Promise<{ code: number, stderr: string }> {
  const child = spawn(process.execPath, [entryOf('quickstart')], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { code, stderr }
}

/** A person with a browser (cookies) and a terminal (the session token). */
export class Person {
  readonly #cookies = new Map<string, string>()
  /** As Better Auth's own routes gave it. */
  token = ''
  /** Signed by Better Auth, `<token>.<signature>`. */
  signedToken = ''
  userId = ''

  constructor (readonly quickstart: Pick<Example, 'origin' | 'request'>, readonly name: string) {}

  get email (): string { return `${this.name}@example.com` }
  get password (): string { return `${this.name}'s password` }
  get cookie (): { cookie: string } {
    return { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  }

  get bearer (): { authorization: string } { return { authorization: `Bearer ${this.token}` } }

  async signUp (): Promise<this> {
    return await this.#enter('/api/auth/sign-up/email', { name: this.name, email: this.email, password: this.password })
  }

  async signIn (): Promise<this> {
    return await this.#enter('/api/auth/sign-in/email', { email: this.email, password: this.password })
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
