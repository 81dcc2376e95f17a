// The thread that writes usage to a SQLite file, on a connection of its own: it may wait for the disk and for the write lock.
import { parentPort, workerData } from 'node:worker_threads'
import type { Database as Handle } from 'better-sqlite3'
import { CHECKPOINT, decodeBatch, sharedTime, type Answer, type Request, type ThreadSettings } from './usage-messages.js'
import { usageStatements } from './usage-statements.js'
import { isBusy, lockTurns, POLL, tooLate } from './write-lock.js'

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

port.on('message', (request: Request) => {
  if (request === 'close') {
    db.close()
    port.close()
    return
  }
  port.postMessage(answerTo(request))
})

async function open (): Promise<Handle> {
  const { default: Database } = await import('better-sqlite3')
  const db = new Database(file, { timeout: OPEN_TIMEOUT, fileMustExist: true })
  // From here on locks are polled for: SQLite's own waiting is not fair.
  db.pragma('busy_timeout = 0')
  // What the machine may lose with its power, and no process that is killed: some seconds of usage.
  db.pragma('synchronous = normal')
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT}`)
  db.pragma('foreign_keys = on')
  // A last use that is written for the first time moves the row of its key: its old place must not be left to be read.
  db.pragma('secure_delete = on')
  return db
}

function answerTo ({ batch, deadline }: Exclude<Request, 'close'>): Answer {
  try {
    inTransaction(deadline, () => { record(decodeBatch(batch)) })
    return null
  } catch (error) {
    // A copy of an error would lack its code.
    const { message, code } = error as Error & { code?: unknown }
    return { message, code }
  }
}

/** Does the work, and commits it before the deadline: nobody waits for a late answer, and what is late must not happen behind the caller's back. */
function inTransaction (deadline: number, work: () => void): void {
  const checkTime = (): void => {
    if (sharedTime() >= deadline) throw tooLate(timeout)
  }
  sleep(turns.pause(performance.now()))
  while (!begun()) {
    checkTime()
    sleep(1 + Math.random() * (POLL - 1))
  }
  try {
    work()
    checkTime()
    commit.run()
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

function sleep (ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms)
}
