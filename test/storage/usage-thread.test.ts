// The thread that writes usage to a SQLite file: the same rows as without it, once each, whatever happens to it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import Database, { type Database as Handle } from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import { ulid } from '../../lib/crypto.js'
import type { StoredKey } from '../../lib/keys/api-key.js'
import { usageRecordingCases } from '../../lib/storage/contract/usage-recording.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { decodeBatch, encodeBatch } from '../../lib/storage/kysely/usage-messages.js'
import { usageStatements } from '../../lib/storage/kysely/usage-statements.js'
import { usageThread, type UsageThread } from '../../lib/storage/kysely/usage-thread.js'
import { slotStart } from '../../lib/storage/slots.js'
import type { Storage, UsageBatch, UsageEvent } from '../../lib/storage/storage.js'
import { DAY, HOUR, MINUTE } from '../../lib/time.js'
import { ACCOUNT, event, failure, issue, NOW, OTHER_ACCOUNT, record, revoking } from '../helpers/keys.js'

/** ms. A thread takes a second and more to start under the test runner, and others are at work on the machine. */
const TIMEOUT = 60_000
const PREFIX = 'self_serve_'

interface Opened { readonly file: string, readonly storage: Storage, readonly handle: Handle, readonly key: StoredKey }

let files = 0
const folder = t.testdir()

/** A file with a key, an open storage on it, and another connection to it. */
async function opened (t: Test): Promise<Opened> {
  const file = join(folder, `${++files}.db`)
  const storage = kyselyStorage({ file })
  await storage.open({ log: console, timeout: TIMEOUT })
  t.teardown(async () => { await storage.close() })
  const handle = new Database(file, { timeout: 5000 })
  t.teardown(() => handle.close())
  return { file, storage, handle, key: await issue(storage) }
}

function threadOn (t: Test, file: string, { timeout = TIMEOUT, onStart = () => {} } = {}): UsageThread {
  const thread = usageThread(file, PREFIX, timeout, onStart)
  t.teardown(async () => { await thread.close() })
  return thread
}

const batchOf = (events: readonly UsageEvent[], id = ulid(NOW)): UsageBatch => ({ id, sealedAt: NOW, events })
const eventsOf = (handle: Handle): number => handle.prepare(`select count(*) from ${PREFIX}usage_events`).pluck().get() as number
const requestsOf = (handle: Handle): unknown => handle.prepare(`select sum(requests) from ${PREFIX}usage_days`).pluck().get()

/** All that is stored of usage, and when keys were used, whatever the numbers of batches and routes. */
function contents (handle: Handle): unknown {
  const all = (query: string): unknown[] => handle.prepare(query.replace(/\{(\w+)\}/g, `${PREFIX}$1`)).raw().all()
  return [
    all(`select hour, account_number, offset, sequence % 8192, key_number, key_version, method, route, status, duration_us, failure_code, request_id
      from {usage_events} join {usage_routes} on number = route_number order by 1, 2, 3, sequence`),
    ...['minute', 'hour', 'day'].map((unit) => all(`select * from {usage_${unit}s} order by 1, 2, 3`)),
    all('select id, recorded_at from {usage_batches} order by number'),
    all('select method, route from {usage_routes} order by 1, 2'),
    all('select number, last_used_at from {api_keys} order by number')
  ]
}

t.test('a batch is the same batch on the other side', async (t) => {
  const key = { ref: { account: 2 ** 40, key: 2 ** 45, version: 3 } }
  const batch = batchOf([
    event(key, NOW), failure(key, NOW, { route: '', failureCode: null, requestId: '\ud800' }), failure(key, NOW, { method: '/a', route: '/a', durationMs: 0.1 + 0.2 })
  ])
  const decoded = decodeBatch(structuredClone(encodeBatch(batch)))
  t.strictSame({ ...decoded, events: [...decoded.events] }, batch)
  t.strictSame(batch.events.map((_event, place) => decoded.events.at(place)), batch.events)
  t.equal(decoded.events.length, batch.events.length)
})

/** A thread that has started: with a short time limit the first batches come too late. */
async function startedOn (t: Test, { file, key }: Opened, timeout: number): Promise<UsageThread> {
  const thread = threadOn(t, file, { timeout })
  const first = batchOf([event(key, NOW)])
  for (let late = true; late;) {
    late = await thread.record(first).then(() => false, ({ message }: Error) => message.startsWith('The database could not be written in'))
  }
  return thread
}

/** So many of a key, all at once. */
const many = (key: StoredKey, count: number): UsageEvent[] => Array.from({ length: count }, () => event(key, NOW))

/** The next thread that is started. */
async function nextThread (): Promise<Worker> {
  return (await once(process, 'worker'))[0] as Worker
}

t.test('the statements leave the same rows as those of every other database', async (t) => {
  const [ours, theirs] = [1, 2].map(() => {
    const handle = new Database(':memory:')
    const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: handle }) })
    t.teardown(async () => { await db.destroy() })
    return { handle, storage: kyselyStorage({ db, type: 'sqlite', migrate: 'start' }) }
  }) as [Pick<Opened, 'handle' | 'storage'>, Pick<Opened, 'handle' | 'storage'>]
  const keys: StoredKey[] = []
  for (const { storage } of [ours, theirs]) {
    await storage.open({ log: console, timeout: TIMEOUT })
    keys.length = 0
    for (let i = 0; i < 50; i++) keys.push(await issue(storage, { accountId: `account ${i % 20}`, ...i % 10 === 9 && { expiresAt: NOW - DAY } }))
    t.equal(await storage.pruneKeys(NOW, 99), 5)
  }
  const write = usageStatements(ours.handle, PREFIX)
  const record = ours.handle.transaction((batch: UsageBatch) => { write(batch) })
  const random = (below: number): number => Math.floor(Math.random() * below)
  let sealedAt = NOW
  const sent: UsageBatch[] = []
  for (const count of [1, 2, 31, 32, 33, 64, 200, 700]) {
    sealedAt += random(3 * HOUR)
    const events = Array.from({ length: count }, () => (random(4) === 0 ? failure : event)(
      keys[random(50)]!, sealedAt - random([1, 2 * MINUTE, 3 * HOUR, 2 * DAY][random(4)]!),
      { method: ['GET', 'POST'][random(2)]!, route: `/${random(5)}`, durationMs: Math.random() * 10, requestId: random(2) === 0 ? null : `req-${random(9)}` }
    ))
    sent.push({ id: ulid(sealedAt), sealedAt, events }, sent[random(sent.length)] ?? { id: 'empty-handed', sealedAt, events: [] })
    for (const batch of sent.slice(-2)) {
      record(batch)
      await theirs.storage.recordUsage(batch)
    }
    t.strictSame(contents(ours.handle), contents(theirs.handle), `${count} events`)
  }
  // Nothing new of any key, and of some nothing at all.
  const again = { id: ulid(NOW), sealedAt: sealedAt + 3 * DAY, events: sent.at(-2)!.events }
  record(again)
  await theirs.storage.recordUsage(again)
  t.strictSame(contents(ours.handle), contents(theirs.handle))
  t.equal(ours.handle.prepare(`select count(*) from ${PREFIX}usage_batches`).pluck().get(), 1)
})

t.test('few events start no thread; many do, and what it has written is read at once', async (t) => {
  const { storage, key, handle } = await opened(t)
  let threads = 0
  const count = (): void => { threads++ }
  process.on('worker', count)
  t.teardown(() => { process.off('worker', count) })
  await record(storage, many(key, 200))
  t.equal(threads, 0)
  await record(storage, [...many(key, 200), failure(key, NOW + 5)])
  t.equal(threads, 1)
  await record(storage, [event(key, NOW + 7)])
  t.equal(threads, 1, 'one that runs takes what comes')
  const day = slotStart(NOW, 'day')
  const usage = await storage.readUsage({ accountId: ACCOUNT, unit: 'day', start: day, end: day + DAY, perKeyLimit: 9, recentLimit: 2 })
  t.match(usage, { timeline: [{ requests: 402, failures: 1 }], perKey: [{ requests: 402 }], recentRequests: [{ time: NOW + 7 }, { time: NOW + 5 }] })
  t.equal((await storage.findKey(key.publicId))?.lastUsedAt, NOW + 7)
  t.equal(eventsOf(handle), 402)
})

t.test('a batch is recorded once, however often and whichever way it is sent', async (t) => {
  const { file, key, storage, handle } = await opened(t)
  const thread = threadOn(t, file)
  const batch = batchOf(many(key, 50))
  await Promise.all([thread.record(batch), thread.record(batch), storage.recordUsage(batch)])
  await thread.record(batch)
  await storage.recordUsage(batch)
  t.same([eventsOf(handle), requestsOf(handle)], [50, 50])
})

t.test('a lock that others hold for longer than the timeout rejects in time and leaves nothing behind; the next one works', async (t) => {
  const on = await opened(t)
  const thread = await startedOn(t, on, 300)
  on.handle.exec('begin immediate')
  const start = performance.now()
  const batches = [1, 2, 3].map(() => batchOf(many(on.key, 5)))
  for (const outcome of await Promise.allSettled(batches.map(async (batch) => { await thread.record(batch) }))) {
    t.match(outcome, { status: 'rejected', reason: { message: 'The database could not be written in 300 ms.' } })
  }
  const time = performance.now() - start
  t.ok(time >= 290 && time < 3000, `${time} ms`)
  on.handle.exec('rollback')
  t.equal(eventsOf(on.handle), 1)
  // On a busy machine even this may take longer than its time; it counts once all the same.
  for (let written = false; !written;) written = await thread.record(batches[1]!).then(() => true, () => false)
  t.same([eventsOf(on.handle), requestsOf(on.handle)], [6, 6])
})

t.test('a lock that others hold briefly is waited for', async (t) => {
  const on = await opened(t)
  const thread = await startedOn(t, on, TIMEOUT)
  on.handle.exec('begin immediate')
  setTimeout(() => { on.handle.exec('commit') }, 50)
  await thread.record(batchOf(many(on.key, 5)))
  t.equal(eventsOf(on.handle), 6)
})

t.test('a statement that fails takes the whole batch with it, tells its code, and stops nothing', async (t) => {
  const { file, key, handle } = await opened(t)
  let threads = 0
  const thread = threadOn(t, file, { onStart () { threads++ } })
  const before = contents(handle)
  const batch = batchOf([event(key, NOW), failure(key, NOW - DAY)])
  for (const action of ['abort', 'rollback']) {
    handle.exec(`create trigger stop after insert on ${PREFIX}usage_days begin select raise(${action}, 'stopped'); end`)
    await t.rejects(thread.record(batch), { message: 'stopped', code: 'SQLITE_CONSTRAINT_TRIGGER' })
    t.strictSame(contents(handle), before)
    handle.exec('drop trigger stop')
  }
  handle.exec(`alter table ${PREFIX}usage_days rename to away`)
  await t.rejects(thread.record(batch), { message: /no such table/, code: 'SQLITE_ERROR' })
  handle.exec(`alter table away rename to ${PREFIX}usage_days`)
  await thread.record(batch)
  t.equal(requestsOf(handle), 2)
  t.equal(threads, 1)
})

t.test('an error that is no lock is told at once', async (t) => {
  const on = await opened(t)
  const thread = await startedOn(t, on, TIMEOUT)
  // By another process: closing the file here would drop the locks that this one has on it.
  const begin = (text: string): void => {
    on.handle.pragma('wal_checkpoint(truncate)')
    const write = `const fs = require('fs'); const file = fs.openSync(${JSON.stringify(on.file)}, 'r+'); fs.writeSync(file, '${text}', 0)`
    t.equal(spawnSync(process.execPath, ['--eval', write], { env: {} }).status, 0)
  }
  begin('SQLite no format')
  await t.rejects(thread.record(batchOf([event(on.key, NOW)])), { code: 'SQLITE_NOTADB' })
  begin('SQLite format 3\\0')
  await thread.record(batchOf([event(on.key, NOW)]))
  t.equal(eventsOf(on.handle), 2)
})

t.test('after a thread that died, or could not start, the next batch starts another', async (t) => {
  const { file, key, handle } = await opened(t)
  let threads = 0
  const thread = threadOn(t, file, { onStart () { threads++ } })
  const starting = nextThread()
  await thread.record(batchOf(many(key, 3)))
  const batch = batchOf(many(key, 4))
  handle.exec('begin immediate')
  const failing = thread.record(batch)
  await (await starting).terminate()
  await t.rejects(failing, { message: 'The thread that writes usage has ended.' })
  handle.exec('rollback')
  t.equal(eventsOf(handle), 3)
  await thread.record(batch)
  t.same([eventsOf(handle), threads], [7, 2])

  const elsewhere = threadOn(t, join(folder, 'missing.db'))
  await t.rejects(elsewhere.record(batch), { code: 'SQLITE_CANTOPEN' })
  await t.rejects(elsewhere.record(batch), { code: 'SQLITE_CANTOPEN' })
})

t.test('close() writes what was given before it, and the thread ends by itself', async (t) => {
  const { file, key, handle } = await opened(t)
  const thread = threadOn(t, file)
  await thread.close()
  const open = threadOn(t, file)
  const starting = nextThread()
  await open.record(batchOf(many(key, 1)))
  const exit = once(await starting, 'exit')
  const writing = [1, 2, 3].map(async () => { await open.record(batchOf(many(key, 10))) })
  await open.close()
  t.same(await exit, [0], 'it was not stopped')
  await Promise.all(writing)
  t.equal(eventsOf(handle), 31)
})

t.test('close() ends a thread that hangs, and starts no other for what waits', async (t) => {
  const { file, key, handle } = await opened(t)
  let threads = 0
  const thread = threadOn(t, file, { onStart () { threads++ } })
  await thread.record(batchOf(many(key, 1)))
  handle.exec('begin immediate')
  const outcomes = Promise.allSettled([1, 2].map(async () => { await thread.record(batchOf(many(key, 10))) }))
  const start = performance.now()
  await thread.close()
  const time = performance.now() - start
  t.ok(time >= 1400 && time < 4000, `${time} ms`)
  t.match(await outcomes, [{ status: 'rejected', reason: { message: 'The thread that writes usage has ended.' } }, { status: 'rejected' }])
  handle.exec('rollback')
  t.same([eventsOf(handle), threads], [1, 1])
})

t.test('changes of keys get the lock between batches', async (t) => {
  const { storage, key } = await opened(t)
  await record(storage, many(key, 300))
  const done: string[] = []
  const flow = (async () => {
    for (let batch = 0; batch < 20; batch++) {
      await record(storage, Array.from({ length: 2000 }, (_none, place) => event(key, NOW - place * 100)))
      done.push('batch')
    }
  })()
  await issue(storage)
  done.push('change')
  await flow
  t.ok(done.indexOf('change') < 10, `after ${done.indexOf('change')} of 20 batches`)
})

t.test('an erased account whose last use the thread has written can be read in no file', async (t) => {
  const { file, storage, key } = await opened(t)
  const mark = 'label to erase'
  // So few that there is room beside them: a row that grows is moved there, and its old place stays.
  const keys: StoredKey[] = []
  for (const number of [1, 2, 3]) {
    await issue(storage)
    keys.push(await issue(storage, { accountId: OTHER_ACCOUNT, label: `${mark} ${number}` }))
  }
  await record(storage, [...many(key, 300), ...keys.map((one) => event(one, NOW))])
  const found = (): string[] => [file, `${file}-wal`].filter((one) => existsSync(one) && readFileSync(one).includes(mark))
  t.not(found().length, 0)
  while (await storage.eraseAccount(OTHER_ACCOUNT, 100) > 0);
  t.same(found(), [])
})

/** A program that opens a storage on the file, run as a host runs it: what was built, without the test runner's own settings. */
function program (file: string, text: string): { script: string, env: NodeJS.ProcessEnv } {
  const built = pathToFileURL(join(import.meta.dirname, '..', '..', 'dist', 'lib', 'storage', 'kysely', 'index.js')).href
  const script = `${file}.mjs`
  writeFileSync(script, `import { kyselyStorage } from '${built}'
    const storage = kyselyStorage({ file: ${JSON.stringify(file)} })
    await storage.open({ log: console, timeout: ${TIMEOUT} })
    ${text}`)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_V8_COVERAGE|NODE_OPTIONS|_?TAP.*)$/.test(name)))
  return { script, env }
}

t.test('old usage is removed beside the event loop, where a thread runs', async (t) => {
  const { storage, key } = await opened(t)
  await storage.revokeKey(revoking(key))
  await record(storage, many(key, 300))
  const name = 'pruning usage removes what is older, a bounded number of rows at a time, and leaves what is younger'
  await usageRecordingCases[name]!(storage)
})

t.test('the log is emptied beside the event loop, and waits for who is at work in it', async (t) => {
  const on = await opened(t)
  const thread = await startedOn(t, on, TIMEOUT)
  on.handle.exec('begin immediate')
  setTimeout(() => { on.handle.exec('commit') }, 50)
  t.not(statSync(`${on.file}-wal`).size, 0)
  await thread.emptyLog()
  t.equal(statSync(`${on.file}-wal`).size, 0)
})

t.test('a process that has nothing else to do ends, and what it was told is recorded is there', async (t) => {
  for (const last of ['', 'await storage.close()']) {
    const { file, key, handle } = await opened(t)
    const { script, env } = program(file, `const events = Array.from({ length: 500 }, () => (${JSON.stringify(event(key, NOW))}))
      await storage.recordUsage({ id: 'its own', sealedAt: ${NOW}, events })
      ${last}`)
    const { status, signal, stderr } = spawnSync(process.execPath, [script], { env, encoding: 'utf8', timeout: TIMEOUT })
    t.same({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
    t.equal(eventsOf(handle), 500)
  }
})

t.test('after kill -9 every batch that was answered is there, every other one whole or not at all, and one sent again counts once', async (t) => {
  const { file, key, handle, storage } = await opened(t)
  const { script, env } = program(file, `const events = Array.from({ length: 300 }, () => (${JSON.stringify(event(key, NOW))}))
    for (let number = Number(process.argv[2]); ; number++) {
      await storage.recordUsage({ id: 'batch ' + number, sealedAt: ${NOW}, events })
      console.log(number)
    }`)
  const stored = (): number[] => (handle.prepare(`select id from ${PREFIX}usage_batches order by number`).pluck().all() as string[])
    .map((id) => Number(id.slice('batch '.length)))
  let next = 0
  for (const kill of [1, 10, 11, 23]) {
    const child = spawn(process.execPath, [script, String(next)], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const first = next
    let answered = first - 1
    for await (const line of createInterface({ input: child.stdout })) {
      answered = Number(line)
      if (answered >= first + kill) child.kill('SIGKILL')
    }
    const numbers = stored()
    t.same(numbers, numbers.map((_number, place) => place), 'none is missing')
    t.ok(numbers.length > answered && numbers.length <= answered + 2, `${answered} was the last that was answered, and ${numbers.length} are there`)
    t.same([eventsOf(handle), requestsOf(handle)], [300 * numbers.length, 300 * numbers.length])
    for (const number of [answered, answered + 1]) await storage.recordUsage({ id: `batch ${number}`, sealedAt: NOW, events: many(key, 300) })
    next = answered + 2
    t.same([stored().length, eventsOf(handle), requestsOf(handle)], [next, 300 * next, 300 * next])
  }
  t.equal(handle.pragma('integrity_check', { simple: true }), 'ok')
})
