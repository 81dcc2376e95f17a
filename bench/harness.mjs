// Measures what variants of a server cost: CPU a request and requests a second, each variant in a process of its own, all in one run.
//
// The servers share core 0 and one of them at a time is loaded, by wrk on core 1, with credentials in turn. CPU time is the
// server process's own, all threads. Who else runs on the machine still slows it, by shared caches: hence many short rounds
// over all cases, every second one backwards, so that it falls on all alike.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { startVariant } from './support/variant-process.mjs'
import { UsageError } from './support/usage-error.mjs'

export const SERVER_CORE = '0'
export const LOAD_CORE = '1'
/** What a server answers before it is measured: by then its code is compiled. On a busy machine seconds would say nothing. */
const WARM_UP_REQUESTS = 30_000
/** s, at most */
const WARM_UP = 6

/** @throws UsageError if the machine cannot run benchmarks over HTTP */
export function checkTools () {
  checkCores()
  checkTool('wrk', 'wrk')
}

/** @throws UsageError if server and load cannot have a core each */
export function checkCores () {
  checkTool('taskset', 'util-linux')
  if (availableParallelism() < 2) throw new UsageError('Two cores are needed: one for the server, one for the load.')
}

function checkTool (name, from) {
  if (spawnSync(name, ['--version']).error !== undefined) throw new UsageError(`${name} is missing: apt-get install ${from}`)
}

/** Starts a program on the core that the load comes from, until this process ends. */
export function startBeside (command, args) {
  const child = spawn('taskset', ['--cpu-list', LOAD_CORE, command, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  process.on('exit', () => { child.kill() })
  return child
}

/**
 * @param file the benchmark's, with its `variants`
 * @param cases [{ name, variant, context, credentials, connections }]: all but `name` may be left out for what is given to all
 * @param cores { server, load }; undefined: anywhere
 * @returns by name of the case the rounds, { cpu, rate, before, after }: CPU µs a request, requests a second, the server's counts
 */
export async function measure ({
  file, cases, context = {}, credentials, connections = 32, cores = { server: SERVER_CORE, load: LOAD_CORE }, rounds, seconds = 1, profile, note
}) {
  checkTools()
  const all = cases.map((one) => ({ variant: one.name, context, credentials, connections, ...one }))
  const servers = new Map()
  for (const { variant, context } of all) {
    if (!servers.has(variant)) servers.set(variant, await startVariant('http-server.mjs', { file, name: variant, context, core: cores.server, profile }))
  }

  const run = async ({ name, variant, ...how }, duration) => {
    const server = servers.get(variant)
    const before = await server.ask('count')
    const { requests, failed, seconds } = await load(server.ready.url, { ...how, core: cores.load, duration }).ended
    const after = await server.ask('count')
    if (failed > 0) throw new Error(`${name}: ${failed} of ${requests} requests were not answered as they should be.`)
    return { cpu: (after.cpu - before.cpu) / (after.requests - before.requests), rate: requests / seconds, before, after }
  }

  note(`warming up ${servers.size} servers`)
  for (const variant of servers.keys()) {
    for (let requests = 0, second = 0; requests < WARM_UP_REQUESTS && second < WARM_UP; second++) {
      requests = (await run(all.find((one) => one.variant === variant), 1)).after.requests
    }
  }
  const results = new Map(all.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    note(`round ${round + 1} of ${rounds}`)
    for (const one of round % 2 === 0 ? all : all.toReversed()) results.get(one.name).push(await run(one, seconds))
  }
  for (const server of servers.values()) await server.stop()
  return results
}

/**
 * Loads a server.
 * @param credentials { header, file }: what is sent in turn, a line each
 * @returns `ended`: { requests, failed, seconds }; `stop()` ends it before its time
 */
export function load (url, { credentials: { header, file }, connections, core, duration }) {
  const wrk = [
    'wrk', '--threads', '1', '--connections', String(connections), '--duration', `${duration}s`,
    '--script', join(import.meta.dirname, 'support', 'credentials.lua'), url, '--', header, file
  ]
  const [command, ...args] = core === undefined ? wrk : ['taskset', '--cpu-list', core, ...wrk]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  const ended = once(child, 'close').then(([status]) => {
    if (status !== 0) throw new Error(`wrk ended with ${status}: ${output}`)
    return JSON.parse(output.trim().split('\n').at(-1))
  })
  return { ended, stop () { child.kill('SIGINT') } }
}
