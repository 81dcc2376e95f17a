// A Redis for one run: its own process on a free port, nothing kept on disk.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { spawnSync } from 'node:child_process'
import { Redis } from 'ioredis'
import { startBeside } from '../harness.mjs'
import { UsageError } from './usage-error.mjs'

/** @returns its URL. It ends with this process */
export async function startRedis () {
  if (spawnSync('redis-server', ['--version']).error !== undefined) throw new UsageError('redis-server is missing: apt-get install redis-server')
  const port = await freePort()
  startBeside('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--loglevel', 'warning'])
  const url = `redis://127.0.0.1:${port}`
  const client = new Redis(url)
  // Refused until it listens; ioredis tries again.
  client.on('error', () => {})
  await client.ping()
  client.disconnect()
  return url
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
