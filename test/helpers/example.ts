// A built example as a process of its own, and HTTP requests to it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  json: any
}

export interface RequestOptions {
  /** A list sends the header several times. */
  headers?: Record<string, string | string[]>
  /** Text is sent as it is, anything else as JSON. */
  body?: unknown
}

export interface Example {
  /** `http://127.0.0.1:PORT` */
  origin: string
  /** What it printed on standard output, whole. */
  output: string
  /** @param path from the origin */
  request (method: string, path: string, options?: RequestOptions): Promise<Answer>
  readonly pid: number
  kill (signal: NodeJS.Signals): void
  /** How the process ended. */
  ended: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
}

/** The file that `npm test` builds and `npm run example NAME` runs. */
export function entryOf (name: string): string {
  return fileURLToPath(new URL(`../../dist/examples/${name}/server.js`, import.meta.url))
}

/**
 * Starts `dist/examples/NAME/server.js`, which `npm test` builds before, on a free port, and waits until its output matches
 * `until`; ended with the test. The environment is the given one alone: what tap sets there would change how a host runs.
 */
export async function startExample (
  t: Test, name: string, dataDir: string, { env = {}, until }: { env?: Record<string, string>, until: RegExp }
): Promise<Example> {
  const child = spawn(process.execPath, [entryOf(name)], {
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
      if (until.test(output)) resolve()
    })
    ended.then(({ code, signal }) => { reject(new Error(`${name} ended with ${code ?? signal} before it printed ${until}`)) }, reject)
  })
  const { origin } = new URL(/^ready (http:\S+)$/m.exec(output)![1]!)
  return {
    origin,
    get output () { return output },
    request: async (method, path, options) => await request(method, `${origin}${path}`, options),
    pid: child.pid!,
    kill: (signal) => { child.kill(signal) },
    ended
  }
}

/** Not `fetch`: it says `Sec-Fetch-Mode: cors`, which no program but a browser does and Better Auth judges. */
export async function request (method: string, url: string, { headers = {}, body }: RequestOptions = {}): Promise<Answer> {
  const payload = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
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
