// A variant of a benchmark in a process of its own, which answers messages.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/**
 * @param script of this folder: what is done with the variant
 * @param file the benchmark's; its export `variants` has one of this `name`, made with `context`, JSON
 * @param core where it runs; absent: anywhere
 * @param profile a folder for its CPU profile; absent: none
 */
export async function startVariant (script, { file, name, context, core, profile, nodeOptions = [] }) {
  const options = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${name.match(/\w+/g).join('-')}.cpuprofile`]
  const node = [process.execPath, ...nodeOptions, ...options, join(import.meta.dirname, script), file, name, JSON.stringify(context)]
  const [command, ...args] = core === undefined ? node : ['taskset', '--cpu-list', core, ...node]
  const child = spawn(command, args, { stdio: ['ignore', 2, 2, 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
  const ended = once(child, 'exit')
  const endedEarly = ended.then(() => { throw new Error(`${name}: its process has ended.`) })
  // It ends when it is stopped, too, and then nobody waits for an answer.
  endedEarly.catch(() => {})
  const answer = async () => (await Promise.race([once(child, 'message'), endedEarly]))[0]
  return {
    name,
    /** What it says once it is ready. */
    ready: await answer(),
    async ask (message) {
      child.send(message)
      return await answer()
    },
    async stop () {
      child.disconnect()
      await ended
    }
  }
}

/** In such a process: the variant it is to be, made. */
export async function thisVariant () {
  const [file, name, context] = process.argv.slice(2)
  const { variants } = await import(file)
  // An orderly end, so that a profile is written; also when the one who asks was killed.
  process.on('disconnect', () => { process.exit() })
  return await variants[name](JSON.parse(context))
}

/** CPU µs that this process has spent, all its threads. */
export function cpuTime () {
  const { user, system } = process.cpuUsage()
  return user + system
}
