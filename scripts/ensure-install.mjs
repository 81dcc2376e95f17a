// Installs the dependencies when node_modules is missing, unfinished, or made for another lockfile or Node: those of the
// repository, or of the folder in it that is named.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '.'] = process.argv.slice(2)
const root = join(import.meta.dirname, '..', folder)
const done = join(root, 'node_modules', '.installed')
// Not compared by time: a checkout sets times at will, and an interrupted install leaves a folder newer than the lockfile.
const stamp = [
  createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex'),
  process.versions.modules, process.platform, process.arch
].join(' ')

if (!existsSync(done) || readFileSync(done, 'utf8') !== stamp) {
  const env = { ...process.env }
  // A native addon without a prebuilt binary is compiled, and node-gyp would fetch Node's headers: most Nodes bring them.
  const prefix = join(process.execPath, '..', '..')
  if (env.npm_config_nodedir === undefined && existsSync(join(prefix, 'include', 'node', 'node_api.h'))) {
    env.npm_config_nodedir = prefix
  }
  // The npm that started this script, without a shell; any npm in the path when node started it.
  const cli = /npm-cli\.js$/.test(env.npm_execpath ?? '') ? [process.execPath, env.npm_execpath] : ['npm']
  // Tests and builds need the development packages, whatever NODE_ENV says.
  const [command, ...args] = [...cli, 'ci', '--include=dev', '--no-audit', '--no-fund']
  console.error(folder === '.'
    ? 'Installing dependencies: one or two minutes, because SQLite may have to be compiled.'
    : `Installing what ${folder} needs besides.`)
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  if (error !== undefined) console.error(`npm could not be started: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
  writeFileSync(done, stamp)
}
