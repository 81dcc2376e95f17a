// Entry of the cluster: two instances on one Postgres and one Redis, behind a proxy that gives each every other request.
//
//   DATABASE_URL (postgres://postgres@127.0.0.1:5432/postgres)   REDIS_URL (redis://127.0.0.1:6379)   PORT (3000)   HOST (127.0.0.1)
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { wholeNumber } from '../serve.js'
import { roundRobin } from './proxy.js'
import { issueToken } from './token.js'
import { welcome } from './welcome.js'

const env = {
  ...process.env,
  DATABASE_URL: process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres',
  REDIS_URL: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  SESSION_SECRET: randomBytes(32).toString('base64url')
}
/** By name, those that listen. */
const ports = new Map<string, number>()
const children: ChildProcess[] = []

/** @throws if the process ends before it listens */
async function startInstance (name: string): Promise<void> {
  const child = fork(fileURLToPath(new URL('./instance.js', import.meta.url)), { env: { ...env, INSTANCE: name } })
  children.push(child)
  const ended = once(child, 'exit').then(([code]) => {
    ports.delete(name)
    return code as number | null
  })
  const ready = once(child, 'message').then(([message]) => (message as { port: number }).port)
  const port = await Promise.race([ready, ended.then((code) => { throw new Error(`instance ${name} ended with ${code}; is Postgres at DATABASE_URL and Redis at REDIS_URL?`) })])
  ports.set(name, port)
}

/** The first signal ends the proxy, then the instances, which write the usage that is still buffered. */
function end (): void {
  proxy.close()
  proxy.closeIdleConnections()
  for (const child of children) child.kill('SIGTERM')
}

const proxy = roundRobin(() => [...ports.values()])
try {
  await Promise.all(['a', 'b'].map(startInstance))
  proxy.listen(wholeNumber('PORT', 3000, 65_535), process.env.HOST ?? '127.0.0.1')
  await once(proxy, 'listening')
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  const { address, port } = proxy.address() as AddressInfo
  process.stdout.write(welcome(`http://${address}:${port}`, await issueToken('demo', env.SESSION_SECRET)))
} catch (error) {
  console.error(`The cluster example could not start: ${(error as Error).message}`)
  process.exitCode = 1
  end()
}
