// Two processes that hold keys in memory: a key that was revoked through one is refused by the other within the delay, whatever happens to it.
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Issued } from '../../lib/index.js'
import { startFaultProxy, type FaultProxy } from '../faults/fault-proxy.js'
import { startHost, type HostOptions, type HostProcess } from '../helpers/host-process.js'
import { leftOut } from '../helpers/left-out.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { withRedis } from '../helpers/redis.js'

const ACCOUNT = 'revoking-account'
const session = { authorization: `Bearer ${ACCOUNT}` }
/** ms that a process stands still; `npm run test:faults` asks for 30 000. */
const STOPPED = Number(process.env.STOPPED ?? 1500)

interface Call { readonly began: number, readonly status: number }

async function issued ({ url }: HostProcess): Promise<{ key: string, publicId: string }> {
  const answer = await fetch(`${url}/v1/me/api-keys`, { method: 'POST', headers: session })
  const { plaintextKey, apiKey } = await answer.json() as Issued
  return { key: plaintextKey!, publicId: apiKey.publicId }
}

async function revoke ({ url }: HostProcess, publicId: string): Promise<number> {
  const { status } = await fetch(`${url}/v1/me/api-keys/${publicId}`, { method: 'DELETE', headers: session })
  if (status !== 200) throw new Error(`revoking was answered ${status}`)
  return performance.now()
}

async function call ({ url }: HostProcess, key: string): Promise<Call> {
  const began = performance.now()
  return { began, status: (await fetch(`${url}/v1/blocks`, { headers: { 'x-api-key': key } })).status }
}

/**
 * Calls through `other` without a pause, revokes through `one` in the midst, and goes on until the key is refused. Nothing
 * that begins more than `delay` after the revocation was answered may pass, and nothing after the first refusal.
 * @returns ms from the revocation to the beginning of the last call that passed
 */
async function revokedWithin (t: Test, delay: number, one: HostProcess, other: HostProcess, meanwhile: () => Promise<void> = async () => {}): Promise<number> {
  const { key, publicId } = await issued(one)
  const calls: Call[] = []
  const over = new AbortController()
  const calling = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) calls.push(await call(other, key))
  })
  while (calls.length < 20) await sleep(1)
  t.ok(calls.every(({ status }) => status === 200))
  await meanwhile()
  const revokedAt = await revoke(one, publicId)
  t.equal((await call(one, key)).status, 401, 'whoever answered the revocation knows of it')
  while (performance.now() < revokedAt + delay || calls.filter(({ began, status }) => began > revokedAt && status === 401).length < 20) await sleep(1)
  over.abort()
  await Promise.all(calling)
  t.same(calls.filter(({ began, status }) => began > revokedAt + delay && status !== 401), [], 'nothing passes after the delay')
  const passed = calls.filter(({ began, status }) => began > revokedAt && status === 200).map(({ began }) => began - revokedAt)
  return Math.max(0, ...passed)
}

async function pair (t: Test, port: number, options: HostOptions): Promise<[HostProcess, HostProcess]> {
  const database = { type: 'postgres', port } as const
  return [await startHost(t, database, options), await startHost(t, database, options)]
}

t.setTimeout(300_000)

t.test('on a SQLite file, at once though keys are held, under load and with a process that stood still', async (t) => {
  const database = { type: 'sqlite', file: join(t.testdir(), 'keys.db') } as const
  const [one, other] = [await startHost(t, database), await startHost(t, database)]
  for (let turn = 0; turn < 20; turn++) t.equal(await revokedWithin(t, 0, one, other), 0)
  const { key, publicId } = await issued(one)
  t.equal((await call(other, key)).status, 200)
  kill(other.pid, 'SIGSTOP')
  await revoke(one, publicId)
  await sleep(STOPPED)
  const asked = call(other, key)
  kill(other.pid, 'SIGCONT')
  t.equal((await asked).status, 401)
})

t.test('on Postgres', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t)

  await t.test('at once without a delay, under load and with a process that stood still', async (t) => {
    const [one, other] = await pair(t, server.port, {})
    for (let turn = 0; turn < 5; turn++) t.equal(await revokedWithin(t, 0, one, other), 0)
    const { key, publicId } = await issued(one)
    t.equal((await call(other, key)).status, 200)
    kill(other.pid, 'SIGSTOP')
    await revoke(one, publicId)
    await sleep(STOPPED)
    const asked = call(other, key)
    kill(other.pid, 'SIGCONT')
    t.equal((await asked).status, 401)
  })

  await t.test('within the delay without a channel', async (t) => {
    const delay = 400
    const [one, other] = await pair(t, server.port, { revocation: { maxDelay: delay } })
    const last = await revokedWithin(t, delay, one, other)
    t.ok(last <= delay, `the last one passed ${last.toFixed(0)} ms after the revocation`)
  })

  await t.test('a process that stood still for longer than the delay trusts nothing that it held', async (t) => {
    const [one, other] = await pair(t, server.port, { revocation: { maxDelay: 500 } })
    const { key, publicId } = await issued(one)
    t.equal((await call(other, key)).status, 200)
    kill(other.pid, 'SIGSTOP')
    await revoke(one, publicId)
    await sleep(STOPPED)
    const asked = [call(other, key), call(other, key), call(other, key)]
    kill(other.pid, 'SIGCONT')
    t.same((await Promise.all(asked)).map(({ status }) => status), [401, 401, 401])
  })

  const overChannel = async (t: Test, type: 'postgres' | 'redis', port: number): Promise<void> => {
    const delay = 2000
    const proxy: FaultProxy = await startFaultProxy(t, port)
    const channel = { type, port: proxy.port }
    const one = await startHost(t, { type: 'postgres', port: server.port }, { revocation: { maxDelay: delay }, channel: { type, port } })
    const other = await startHost(t, { type: 'postgres', port: server.port }, { revocation: { maxDelay: delay }, channel })
    const quick: number[] = []
    for (let turn = 0; turn < 3; turn++) quick.push(await revokedWithin(t, delay, one, other))
    t.ok(Math.min(...quick) < delay / 2, `told long before the delay is over: ${quick.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    for (const fault of ['refuse', 'black-hole', { cut: { within: 50 } }] as const) {
      await revokedWithin(t, delay, one, other, async () => { await proxy.set(fault) })
      await proxy.set('pass')
      // Back by itself: a revocation is told of again, as soon as it listens.
      while (await revokedWithin(t, delay, one, other) >= delay / 2);
    }
    for (const host of [one, other]) {
      // On a busy machine the database may be late: that is a 503, and all that may go wrong.
      t.same(host.output.filter((line) => /unhandled|"level":(50|60)/i.test(line) && !line.includes('"statusCode":503')), [])
      const { code, ms } = await host.end()
      t.equal(code, 0)
      t.ok(ms < 5000, `ended in ${ms.toFixed(0)} ms`)
    }
  }
  await t.test('at once over Postgres, and within the delay while that is cut off', async (t) => { await overChannel(t, 'postgres', server.port) })
  await withRedis(t, 'at once over Redis, and within the delay while that is cut off', async (t, redis) => { await overChannel(t, 'redis', redis.port) })
})
