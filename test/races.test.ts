// Two processes on one SQLite file: one default key at every moment, nothing acknowledged is lost, nothing is left half done.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { Issued } from '../lib/index.js'
import type { StoredKey } from '../lib/keys/api-key.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { keysOf } from './helpers/keys.js'

const ACCOUNT = 'racing-account'

interface Host { readonly url: string, readonly child: ChildProcess, readonly output: string[], end (): Promise<number | null> }

async function startHost (t: Test, file: string): Promise<Host> {
  // Without the test runner's own settings: the child runs what was built, as a host would.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_V8_COVERAGE|NODE_OPTIONS|_?TAP.*)$/.test(name)))
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures', 'racing-host.mjs'), file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'exit')
  const output: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => { output.push(line) })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('ready ')) resolve(line.slice('ready '.length))
      else output.push(line)
    })
    child.once('exit', (code) => { reject(new Error(`the host ended with ${code}: ${output.join('\n')}`)) })
  })
  return {
    url,
    child,
    output,
    async end () {
      child.kill('SIGTERM')
      return (await ended)[0] as number | null
    }
  }
}

async function rotate (url: string): Promise<{ status: number, issued: Issued }> {
  const answer = await fetch(`${url}/v1/me/api-keys`, { method: 'POST', headers: { authorization: `Bearer ${ACCOUNT}` } })
  return { status: answer.status, issued: await answer.json() as Issued }
}

/** Does `work` `times` times, `width` at a time. */
async function inParallel (times: number, width: number, work: () => Promise<void>): Promise<void> {
  let left = times
  await Promise.all(Array.from({ length: width }, async () => { while (left-- > 0) await work() }))
}

async function storedKeys (file: string): Promise<readonly StoredKey[]> {
  const storage = kyselyStorage({ file, migrate: 'never' })
  await storage.open({ log: console, timeout: 5000 })
  try {
    return await keysOf(storage, ACCOUNT, Date.now())
  } finally {
    await storage.close()
  }
}

/** Newest first: is each the successor of the next, the newest the one default key, and every other one revoked? */
function isOneChain (t: Test, keys: readonly StoredKey[]): void {
  t.equal(keys.filter(({ isDefault }) => isDefault).length, 1, 'exactly one default key')
  t.equal(new Set(keys.map(({ sequence }) => sequence)).size, keys.length)
  const broken = keys.filter((key, place) => key.rotatedFrom !== (keys[place + 1]?.publicId ?? null) ||
    (place === 0 ? key.revokedAt !== null || !key.isDefault : key.revokedReason !== 'rotated' || key.isDefault))
  t.same(broken, [], 'each key but the newest was revoked by exactly one successor')
}

t.test('two processes that rotate one account 400 times give 400 keys in one chain, and never see a busy database', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const hosts = await Promise.all([startHost(t, file), startHost(t, file)])
  const answers: Array<Awaited<ReturnType<typeof rotate>>> = []
  await Promise.all(hosts.map(async ({ url }) => {
    await inParallel(200, 20, async () => { answers.push(await rotate(url)) })
  }))
  t.same([...new Set(answers.map(({ status }) => status))], [201])
  t.equal(answers.length, 400)
  t.equal(answers.filter(({ issued }) => issued.action === 'issued').length, 1)

  const replaced = answers.flatMap(({ issued }) => issued.revokedPublicIds)
  t.equal(replaced.length, 399)
  t.equal(new Set(replaced).size, 399, 'each predecessor is named once')
  t.equal(new Set(answers.map(({ issued }) => issued.plaintextKey)).size, 400)

  const keys = await storedKeys(file)
  t.equal(keys.length, 400)
  isOneChain(t, keys)
  t.same(new Set(answers.map(({ issued }) => issued.apiKey.publicId)), new Set(keys.map(({ publicId }) => publicId)))

  const newest = answers.find(({ issued }) => issued.apiKey.publicId === keys[0]!.publicId)!.issued
  const before = answers.find(({ issued }) => issued.apiKey.publicId === keys[1]!.publicId)!.issued
  for (const { url } of hosts) {
    const call = async (key: string | null): Promise<number> => (await fetch(`${url}/v1/blocks`, { headers: { 'x-api-key': key! } })).status
    t.equal(await call(newest.plaintextKey), 200, 'both processes take the newest key')
    t.equal(await call(before.plaintextKey), 401, 'and refuse the one before')
  }
  t.same(await Promise.all(hosts.map(async (host) => await host.end())), [0, 0])
  t.same(hosts.flatMap(({ output }) => output), [], 'nothing was logged: no SQLITE_BUSY, no failed flush')
})

t.test('kill -9 in the middle of rotations loses nothing that was acknowledged and leaves nothing half done', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const [victim, survivor] = await Promise.all([startHost(t, file), startHost(t, file)])
  const acknowledged: Issued[] = []
  let failed = 0
  const gone = once(victim.child, 'exit')
  const hammer = async (url: string): Promise<void> => {
    await inParallel(120, 15, async () => {
      try {
        const { status, issued } = await rotate(url)
        t.equal(status, 201)
        acknowledged.push(issued)
      } catch {
        failed++
      }
      if (acknowledged.length === 60) victim.child.kill('SIGKILL')
    })
  }
  await Promise.all([hammer(victim.url), hammer(survivor.url)])
  t.equal((await gone)[1], 'SIGKILL')
  t.ok(failed > 0, 'rotations were under way when it died')
  t.ok(acknowledged.length >= 120, 'the other process went on')

  const keys = await storedKeys(file)
  isOneChain(t, keys)
  const stored = new Set(keys.map(({ publicId }) => publicId))
  t.same(acknowledged.filter(({ apiKey }) => !stored.has(apiKey.publicId)), [], 'every acknowledged key is there')
  const predecessors = new Map(keys.map(({ publicId, rotatedFrom }) => [publicId, rotatedFrom]))
  t.same(acknowledged.filter(({ apiKey, revokedPublicIds }) => (revokedPublicIds[0] ?? null) !== predecessors.get(apiKey.publicId)), [])
  t.ok(keys.length <= acknowledged.length + failed, 'and no more than were asked for')

  const handle = new Database(file, { readonly: true })
  t.equal(handle.pragma('integrity_check', { simple: true }), 'ok')
  t.same(handle.pragma('foreign_key_check'), [])
  handle.close()
  const { status, issued } = await rotate(survivor.url)
  t.equal(status, 201)
  t.same(issued.revokedPublicIds, [keys[0]!.publicId])
  t.equal(await survivor.end(), 0)
  t.same(survivor.output, [])
})
