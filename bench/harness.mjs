// Measures what variants of a server cost: CPU a request, each variant in a process of its own, all of them in one run.
//
// The servers share core 0 and one of them at a time is loaded, by wrk on core 1: 1 thread, 32 connections, API keys in turn.
// CPU time is the server process's own, all threads. Who else runs on the machine still slows it, by shared caches: hence many
// short rounds over all variants, every second one backwards, so that it falls on all alike.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const SERVER_CORE = '0'
const LOAD_CORE = '1'
const CONNECTIONS = 32
/** s */
const WARM_UP = 3

/** Said to whoever runs a benchmark, without a stack. */
export class UsageError extends Error {}

/** @throws UsageError if the machine cannot run benchmarks */
export function checkTools () {
  for (const [tool, from] of [['taskset', 'util-linux'], ['wrk', 'wrk']]) {
    if (spawnSync(tool, ['--version']).error !== undefined) throw new UsageError(`${tool} is missing: apt-get install ${from}`)
  }
  if (availableParallelism() < 2) throw new UsageError('Two cores are needed: one for the server, one for the load.')
}

/** Starts a program on the core that the load comes from, until this process ends. */
export function startBeside (command, args) {
  const child = spawn('taskset', ['--cpu-list', LOAD_CORE, command, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  process.on('exit', () => { child.kill() })
  return child
}

/**
 * @param context what `bench.prepare` gave, JSON; `keys` is what the load presents
 * @returns CPU µs a request by variant, one number a round
 */
export async function measure ({ file, bench, context, folder, rounds, seconds, pause, profile, note }) {
  const { keys, ...forVariants } = context
  const keysFile = join(folder, 'keys.txt')
  writeFileSync(keysFile, keys.join('\n'))
  const servers = []
  for (const name of Object.keys(bench.variants)) servers.push(await startServer({ file, name, context: forVariants, profile }))

  const cpuOf = async (server, duration = seconds) => {
    const before = await server.count()
    const { requests, failed } = await load(server.url, { keysFile, duration, pause })
    const after = await server.count()
    if (failed > 0) throw new Error(`${server.name}: ${failed} of ${requests} requests were not answered as they should be.`)
    return (after.cpu - before.cpu) / (after.requests - before.requests)
  }

  note(`warming up ${servers.length} servers`)
  for (const server of servers) await cpuOf(server, WARM_UP)
  const results = new Map(servers.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    note(`round ${round + 1} of ${rounds}`)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) results.get(server.name).push(await cpuOf(server))
  }
  for (const server of servers) await server.stop()
  return results
}

async function startServer ({ file, name, context, profile }) {
  const options = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${name.match(/\w+/g).join('-')}.cpuprofile`]
  const child = spawn(
    'taskset', ['--cpu-list', SERVER_CORE, process.execPath, ...options, join(import.meta.dirname, 'support', 'server.mjs'), file, name, JSON.stringify(context)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, NODE_ENV: 'production' } }
  )
  const ended = once(child, 'exit')
  const endedEarly = ended.then(() => { throw new Error(`${name}: the server has ended.`) })
  const answer = async () => (await Promise.race([once(child, 'message'), endedEarly]))[0]
  const { url } = await answer()
  return {
    name,
    url,
    /** Requests served so far and CPU µs spent so far. */
    async count () {
      child.send('count')
      return await answer()
    },
    async stop () {
      child.disconnect()
      await ended
    }
  }
}

async function load (url, { keysFile, duration, pause }) {
  const wrk = spawn('taskset', [
    '--cpu-list', LOAD_CORE,
    'wrk', '--threads', '1', '--connections', String(CONNECTIONS), '--duration', `${duration}s`,
    '--script', join(import.meta.dirname, 'support', 'api-keys.lua'), url, '--', keysFile, String(pause)
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  wrk.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  const [status] = await once(wrk, 'close')
  if (status !== 0) throw new Error(`wrk ended with ${status}: ${output}`)
  return JSON.parse(output.trim().split('\n').at(-1))
}
