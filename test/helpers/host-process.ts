// A host in a process of its own, which a test may end as it likes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { SelfServeKeysOptions } from '../../lib/index.js'

/** Where a host finds its database: what `STORAGES` in fixtures/host-process.mjs takes. */
export type DatabaseAddress =
  | { readonly type: 'sqlite', readonly file: string }
  | { readonly type: 'postgres', readonly port: number, readonly isolation?: string }
  | { readonly type: 'mysql', readonly port: number }

/** Options of the plugin, as far as JSON can say them, and the channel of its revocations. */
export type HostOptions = Pick<SelfServeKeysOptions, 'timeout' | 'usage' | 'revocation'> & { readonly channel?: { readonly type: 'postgres' | 'redis', readonly port: number } }

export interface HostProcess {
  readonly pid: number
  readonly url: string
  /** What it wrote: its log from `warn` on, and whatever else. */
  readonly output: readonly string[]
  /** Has it ended? */
  readonly ended: boolean
  /** kill -9. */
  kill (): Promise<void>
  /** SIGTERM. @returns exit code, or the signal that ended it, and the ms that it took */
  end (): Promise<{ code: number | string, ms: number }>
}

/** Starts a host on a database. */
export async function startHost (t: Test, database: DatabaseAddress, options: HostOptions = {}): Promise<HostProcess> {
  return await startFixture(t, 'host-process.mjs', { database, ...options })
}

/** Starts a host of fixtures/, killed with the test at the latest. Rejects with what it wrote if it ends before it listens. */
export async function startFixture (t: Test, name: string, settings: object): Promise<HostProcess> {
  // Without the test runner's own settings: the child runs what was built, as a host would.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_V8_COVERAGE|NODE_OPTIONS|_?TAP.*)$/.test(name)))
  const program = join(import.meta.dirname, '..', 'fixtures', name)
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'exit')
  const output: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => { output.push(line) })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('ready ')) resolve(line.slice('ready '.length))
      else output.push(line)
    })
    child.once('close', (code) => { reject(new Error(`the host ended with ${code}: ${output.join('\n')}`)) })
  })
  return {
    pid: child.pid!,
    url,
    output,
    get ended () { return child.exitCode !== null || child.signalCode !== null },
    async kill () {
      child.kill('SIGKILL')
      await ended
    },
    async end () {
      const began = performance.now()
      child.kill('SIGTERM')
      const [code, signal] = await ended as [number | null, string | null]
      return { code: code ?? signal!, ms: performance.now() - began }
    }
  }
}
