// A Redis server of a test's own: started for it on a free port, with nothing kept, and ended with it.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import type { Test } from 'tap'
import { freePort } from './free-port.js'

type ClientOptions = Omit<RedisOptions, 'replyMapping'>

export interface RedisServer {
  /** At 127.0.0.1. It stays the same over a restart. */
  readonly port: number
  /** For the test itself: it reconnects. */
  readonly client: Redis
  /** One more client, connected; ended with the test. */
  connect (options?: ClientOptions): Promise<Redis>
  /** A client that has not connected; ended with the test. */
  newClient (options?: ClientOptions): Redis
  /** The process stands still: connections stay open, and nothing is answered. */
  pause (): void
  resume (): void
  /** The process ends. */
  stop (): Promise<void>
  /** Ends it if it runs, and starts it again, empty. */
  restart (): Promise<void>
  /** A replica takes no writes. This one follows a server that is not there. */
  setReadOnly (on: boolean): Promise<void>
  flush (): Promise<void>
}

const PROGRAM = 'redis-server'
const HOST = '127.0.0.1'
/** Ports that somebody else may take between two looks. */
const ATTEMPTS = 5

/**
 * A test with a server of its own. Where the program is missing, it is left out, or fails if REQUIRE_SERVERS=1.
 * @param settings of the server besides, such as `['--cluster-enabled', 'yes']`
 */
export async function withRedis (
  t: Test, suite: string, run: (t: Test, redis: RedisServer) => Promise<void>, settings: readonly string[] = []
): Promise<void> {
  const missing = `${PROGRAM} is not in PATH`
  if (spawnSync(PROGRAM, ['--version']).status === 0) {
    await t.test(suite, async (t) => { await run(t, await startRedis(t, settings)) })
  } else if (process.env.REQUIRE_SERVERS === '1') {
    t.fail(`"${suite}" needs a program that is missing: ${missing}, and REQUIRE_SERVERS=1 lets nothing be left out`)
  } else {
    await t.test(suite, { skip: `left out: ${missing}` }, () => {})
  }
}

async function startRedis (t: Test, settings: readonly string[]): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'))
  const clients: Redis[] = []
  let child: ChildProcess | null = null
  const kill = (): void => { child?.kill('SIGKILL') }
  process.once('exit', kill)

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child
    child = null
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = once(ending, 'exit')
    ending.kill(signal)
    ending.kill('SIGCONT') // one that stands still would not hear of it
    await ended
  }
  t.teardown(async () => {
    for (const client of clients) client.disconnect()
    await end('SIGKILL')
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  })

  /** @returns does it answer? */
  const start = async (port: number): Promise<boolean> => {
    const starting = child = spawn(PROGRAM, ['--bind', HOST, '--port', `${port}`, '--save', '', '--appendonly', 'no', '--dir', folder, ...settings], { stdio: 'ignore' })
    const probe = new Redis({ host: HOST, port, retryStrategy: () => 10 }).on('error', () => {})
    try {
      return await Promise.race([
        new Promise<boolean>((resolve) => { probe.once('ready', () => { resolve(true) }) }),
        once(starting, 'exit').then(() => false)
      ])
    } finally {
      probe.disconnect()
    }
  }

  const newClient = (options: ClientOptions = {}): Redis => {
    const client = new Redis({ host: HOST, port, retryStrategy: () => 20, lazyConnect: true, ...options }).on('error', () => {})
    clients.push(client)
    return client
  }
  const connect = async (options?: ClientOptions): Promise<Redis> => {
    const client = newClient(options)
    await client.connect()
    return client
  }

  let port = 0
  for (let attempt = 0; attempt < ATTEMPTS && port === 0; attempt++) {
    const free = await freePort()
    if (await start(free)) port = free
  }
  if (port === 0) throw new Error(`${PROGRAM} did not start on any of ${ATTEMPTS} ports`)
  const client = await connect()

  return {
    port,
    client,
    connect,
    newClient,
    pause () { child?.kill('SIGSTOP') },
    resume () { child?.kill('SIGCONT') },
    async stop () { await end('SIGTERM') },
    async restart () {
      await end('SIGTERM')
      const reconnected = new Promise((resolve) => { client.once('ready', resolve) })
      if (!await start(port)) throw new Error(`${PROGRAM} did not start again on port ${port}`)
      await reconnected
    },
    async setReadOnly (on) {
      if (on) await client.replicaof(HOST, 1)
      else await client.replicaof('NO', 'ONE')
    },
    async flush () { await client.flushall() }
  }
}
