// A host in a process of its own, which a test may end as it likes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { SelfServeKeysOptions } from '../../lib/index.js'

/** Where a host finds its database: what `STORAGES` in fixtures/servers.mjs takes. */
export type DatabaseAddress =
  | { readonly type: 'sqlite', readonly file: string }
  | { readonly type: 'postgres', readonly port: number, readonly isolation?: string, readonly user?: string, readonly password?: string }
  | { readonly type: 'mysql', readonly port: number, readonly user?: string, readonly password?: string }

/** Options of the plugin, as far as JSON can say them, and the channel of its revocations. */
export type HostOptions = Pick<SelfServeKeysOptions, 'timeout' | 'usage' | 'revocation'> & { readonly channel?: { readonly type: 'postgres' | 'redis', readonly port: number } }

export interface HostProcess {
  readonly pid: number
  readonly url: string
  /** What it wrote, line by line: its log, and whatever else. */
  readonly output: readonly string[]
  /** Has it ended? */
  readonly ended: boolean
  /** Resolves when it has ended, and nothing more of its output is to come. */
  readonly over: Promise<unknown>
  /** kill -9. */
  kill (): Promise<void>
  /** SIGTERM. @returns exit code, or the signal that ended it, and the ms that it took */
  end (): Promise<{ code: number | string, ms: number }>
}

/** Starts a host that says what goes wrong, from `warn` on. */
export async function startHost (t: Test, database: DatabaseAddress, options: HostOptions = {}): Promise<HostProcess> {
  return await startProgram(t, 'host-process.mjs', { database, ...options })
}

/**
 * Starts a host, killed with the test at the latest. Rejects with what it wrote if it ends before it listens.
 * @param name of the file in fixtures/ @param settings what it reads in JSON on standard input @param node options of Node
 */
export async function startProgram (t: Test, name: string, settings: object, { cwd, env: more = {}, node = [] }: { cwd?: string, env?: Record<string, string>, node?: string[] } = {}): Promise<HostProcess> {
  // Without the test runner's own settings: the child runs what was built, as a host would.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_V8_COVERAGE|NODE_OPTIONS|_?TAP.*)$/.test(name)))
  const program = join(import.meta.dirname, '..', 'fixtures', name)
  const child = spawn(process.execPath, [...node, program], { cwd, env: { ...env, ...more }, stdio: 'pipe' })
  child.stdin.end(JSON.stringify(settings))
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'exit')
  const over = once(child, 'close')
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
    over,
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
