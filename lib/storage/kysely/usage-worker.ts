// The thread that writes usage to a SQLite file, on a connection of its own: it may wait for the disk and for the write lock.
import { parentPort, workerData } from 'node:worker_threads'
import type { Database as Handle } from 'better-sqlite3'
import { CHECKPOINT, decodeBatch, sharedTime, type Answer, type Request, type ThreadSettings, type Work } from './usage-messages.js'
import { usageStatements } from './usage-statements.js'
import { isBusy, lockTurns, POLL, tooLate } from './write-lock.js'

/** KiB of pages that the connection keeps, where better-sqlite3 would keep four times as much: batches are written no faster with more. */
const PAGE_CACHE = 4096
/** ms that opening the file may wait for a process that opens or leaves it. */
const OPEN_TIMEOUT = 1000

const port = parentPort!
const { file, prefix, timeout } = workerData as ThreadSettings
const db = await open()
const record = usageStatements(db, prefix)
const begin = db.prepare('begin immediate')
const commit = db.prepare('commit')
const turns = lockTurns()
const sleeper = new Int32Array(new SharedArrayBuffer(4))

port.on('message', async (request: Request) => {
  if (request === 'close') {
    db.close()
    port.close()
    return
  }
  port.postMessage(await answerTo(request))
})

async function open (): Promise<Handle> {
  const { default: Database } = await import('better-sqlite3')
  const db = new Database(file, { timeout: OPEN_TIMEOUT, fileMustExist: true })
  // From here on locks are polled for: SQLite's own waiting is not fair.
  db.pragma('busy_timeout = 0')
  // What the machine may lose with its power, and no process that is killed: some seconds of usage.
  db.pragma('synchronous = normal')
  db.pragma(`cache_size = -${PAGE_CACHE}`)
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT}`)
  db.pragma('foreign_keys = on')
  // A last use that is written for the first time moves the row of its key: its old place must not be left to be read.
  db.pragma('secure_delete = on')
  return db
}

async function answerTo ({ work, deadline }: Exclude<Request, 'close'>): Promise<Answer> {
  const checkTime = (): void => {
    if (sharedTime() >= deadline) throw tooLate(timeout)
  }
  try {
    return { removed: await resultOf(work, checkTime) }
  } catch (error) {
    const { message, code } = error as Error & { code?: unknown }
    return { error: { message, code } }
  }
}

async function resultOf (work: Work, checkTime: () => void): Promise<number> {
  if ('record' in work) {
    await inTransaction(checkTime, () => { record(decodeBatch(work.record)) })
    return 0
  }
  if ('prune' in work) {
    const { before, limit } = work.prune
    // Kysely is loaded by the first one, an hour's work.
    const { pruneOver } = await import('./usage-pruning.js')
    return await inTransaction(checkTime, async () => await pruneOver(db, prefix, before, limit))
  }
  // Busy: another connection is at work in the log.
  while ((db.pragma('wal_checkpoint(truncate)') as Array<{ busy: number }>)[0]!.busy === 1) wait(checkTime)
  return 0
}

/** Does the work, and commits it in time: nobody waits for a late answer, and what is late must not happen behind the caller's back. */
async function inTransaction<T> (checkTime: () => void, work: () => T | Promise<T>): Promise<T> {
  sleep(turns.pause(performance.now()))
  while (!begun()) wait(checkTime)
  try {
    const result = await work()
    checkTime()
    commit.run()
    return result
  } finally {
    if (db.inTransaction) db.exec('rollback')
    turns.ended(performance.now())
  }
}

/** Takes the write lock, unless another connection has it. */
function begun (): boolean {
  try {
    begin.run()
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw error
  }
}

/** Until the next try. */
function wait (checkTime: () => void): void {
  checkTime()
  sleep(1 + Math.random() * (POLL - 1))
}

function sleep (ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms)
}
