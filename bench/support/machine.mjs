// What a run ran on: the machine, and the versions of what was measured.
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { serverVersion } from './postgres.mjs'

const BENCH = join(import.meta.dirname, '..')

export function machine () {
  return `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}`
}

/** By name; what is not there is left out. */
export async function versions () {
  const peers = Object.keys(json(BENCH, 'package.json').dependencies).filter((name) => name !== 'fastify-self-serve-keys')
  return {
    node: process.versions.node,
    ...Object.fromEntries(['fastify', 'better-sqlite3', 'kysely', 'pg'].map((name) => [name, installed(join(BENCH, '..'), name)])),
    ...await serverVersion().then((version) => ({ PostgreSQL: version }), () => ({})),
    ...Object.fromEntries(peers.map((name) => [name, installed(BENCH, name)]))
  }
}

function installed (folder, name) {
  return json(folder, 'node_modules', name, 'package.json').version
}

function json (...path) {
  return JSON.parse(readFileSync(join(...path), 'utf8'))
}
