// SQLite's write lock: writes in turn, none of them late, and the lock shared with the event loop and with other processes.
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database, { type Database as Handle } from 'better-sqlite3'
import { CompiledQuery, Kysely, SqliteDialect } from 'kysely'
import t, { type Test } from 'tap'
import type { Tables } from '../../lib/storage/kysely/tables.js'
import { lockTurns } from '../../lib/storage/kysely/write-lock.js'
import { writeQueue, type Write } from '../../lib/storage/kysely/write-queue.js'
import { deferred, standingClock } from '../helpers/app.js'

let files = 0
const folder = t.testdir()
const newFile = (): string => join(folder, `${++files}.db`)

interface Opened {
  readonly write: Write
  readonly db: Kysely<Tables>
  readonly handle: Handle
  /** Every statement that was run or tried. */
  readonly statements: string[]
  /** The numbers in the table, in the order they were written. */
  numbers (): unknown[]
}

/** A queue on a connection of its own to the file, which has a table `things`. */
function opened (t: Test, file = newFile(), timeout = 5000): Opened {
  const handle = new Database(file, { timeout: 0 })
  t.teardown(() => handle.close())
  handle.pragma('journal_mode = wal')
  handle.exec('create table if not exists things (number integer)')
  const statements: string[] = []
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: handle }), log: ({ query }) => { statements.push(query.sql) } })
  return {
    write: writeQueue(db, timeout),
    db,
    handle,
    statements,
    numbers: () => handle.prepare('select number from things order by rowid').pluck().all()
  }
}

async function put (db: Kysely<Tables>, number: number): Promise<number> {
  await db.executeQuery(CompiledQuery.raw('insert into things values (?)', [number]))
  return number
}

t.test('writes happen one at a time, in the order they were asked for, and answer each its own', async (t) => {
  const { write, numbers } = opened(t)
  const steps: string[] = []
  const answers = await Promise.allSettled([1, 2, 3, 4].map(async (number) => await write(async (db) => {
    steps.push(`begin ${number}`)
    await put(db, number)
    await nextTurn()
    steps.push(`end ${number}`)
    if (number === 2) throw new Error('failed')
    return number
  })))
  t.strictSame(steps, [1, 2, 3, 4].flatMap((number) => [`begin ${number}`, `end ${number}`]))
  t.match(answers, [{ value: 1 }, { reason: { message: 'failed' } }, { value: 3 }, { value: 4 }])
  t.strictSame(numbers(), [1, 3, 4], 'one that failed left nothing behind and stopped nobody')
  t.equal(await write(async (db) => await put(db, 5)), 5)
})

t.test('a write whose time is over before its commit is rolled back, and one whose turn comes too late never begins', async (t) => {
  const clock = standingClock(t)
  const { write, numbers, statements, handle } = opened(t, newFile(), 100)
  const late = { message: 'The database could not be written in 100 ms.' }
  const begun: number[] = []
  const started = deferred()
  const go = deferred()
  const slow = write(async (db) => {
    begun.push(1)
    started.resolve()
    await go.promise
    return await put(db, 1)
  })
  const waiting = write(async (db) => await put(db, begun.push(2)))
  await started.promise
  clock.time += 1
  const younger = write(async (db) => {
    begun.push(3)
    return await put(db, 3)
  })
  clock.time += 99
  go.resolve()
  await t.rejects(slow, late)
  await t.rejects(waiting, late)
  t.equal(await younger, 3, 'whose time is not over')
  t.strictSame(begun, [1, 3])
  t.strictSame(numbers(), [3])
  t.strictSame(statements, ['begin immediate', 'insert into things values (?)', 'rollback', 'begin immediate', 'insert into things values (?)', 'commit'])
  t.notOk(handle.inTransaction)
})

t.test('a write is in time up to its last millisecond', async (t) => {
  const clock = standingClock(t)
  const { write, numbers } = opened(t, newFile(), 100)
  await write(async (db) => {
    await put(db, 1)
    clock.time += 99.9
  })
  t.strictSame(numbers(), [1])
})

t.test('a write that waited for a connection of the host until its time was over never begins', async (t) => {
  const clock = standingClock(t)
  const { write, db, numbers, statements } = opened(t, newFile(), 100)
  const holding = deferred()
  const release = deferred()
  const host = db.transaction().execute(async (transaction) => {
    holding.resolve()
    await release.promise
    await put(transaction as unknown as Kysely<Tables>, 0)
  })
  await holding.promise
  const writes = [1, 2, 3].map(async (number) => await write(async (db) => await put(db, number)))
  await nextTurn()
  clock.time += 100
  release.resolve()
  await host
  for (const late of writes) await t.rejects(late, { message: 'The database could not be written in 100 ms.' })
  t.strictSame(numbers(), [0])
  t.notOk(statements.includes('begin immediate'))
})

t.test('a lock that another holds to the end is polled by one waiter, who rejects in time, as do those behind', async (t) => {
  const file = newFile()
  const { write, numbers, statements } = opened(t, file, 150)
  const other = opened(t, file)
  other.handle.exec('begin immediate')
  let begun = 0
  const start = performance.now()
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, async () => await write(async () => { begun++ })))
  const took = performance.now() - start
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { message: 'The database could not be written in 150 ms.' } })
  t.ok(took >= 150 && took < 1500, `${took} ms`)
  t.equal(begun, 0)
  t.match(new Set(statements), new Set(['begin immediate']))
  // Each try sleeps for a millisecond or more: a hundred pollers would make thousands.
  t.ok(statements.length > 1 && statements.length <= 160, `${statements.length} tries`)
  other.handle.exec('rollback')
  await write(async (db) => await put(db, 1))
  t.strictSame(numbers(), [1])
})

t.test('an error of the database that is no lock is told at once, and ends no transaction that is not ours', async (t) => {
  const { write, handle, statements, numbers } = opened(t)
  handle.exec('begin; insert into things values (0)')
  let begun = 0
  const start = performance.now()
  await t.rejects(write(async () => { begun++ }), { code: 'SQLITE_ERROR', message: /within a transaction/ })
  t.ok(performance.now() - start < 1000)
  t.strictSame([begun, statements], [0, ['begin immediate']])
  t.ok(handle.inTransaction)
  handle.exec('commit')
  t.strictSame(numbers(), [0])

  handle.close()
  await t.rejects(write(async () => { begun++ }), /not open/)
  t.equal(begun, 0)
})

t.test('between two writes of a burst the event loop turns', async (t) => {
  const { write } = opened(t)
  let turns = 0
  let counting = true
  const count = (): void => {
    turns++
    if (counting) setImmediate(count)
  }
  setImmediate(count)
  const seen: number[] = []
  await Promise.all(Array.from({ length: 50 }, async (_item, number) => await write(async (db) => {
    await put(db, number)
    seen.push(turns)
  })))
  counting = false
  t.equal(new Set(seen).size, 50, 'no two in one turn')
})

/** Writes until it is told to stop; each write holds the lock over many turns of the event loop and takes 5 ms by the clock. */
async function hold (write: Write, clock: { time: number }, order: string[], name: string): Promise<void> {
  await write(async (db) => {
    await put(db, order.push(name))
    for (let turn = 0; turn < 50; turn++) await nextTurn()
    clock.time += 5
  })
}

t.test('a writer leaves the lock alone for 4 ms after 20 in which it hardly did', async (t) => {
  const turns = lockTurns()
  const steps: Array<[begins: number, pause: number, ends: number]> = [
    [1000, 0, 1015], [1018, 0, 1019], [1019.9, 0, 1030], [1031, 4, 1036], [1037, 0, 1050], [1052, 0, 1054], [1056, 4, 1070], [1073.5, 0, 1100], [1101, 4, 1106]
  ]
  for (const [begins, pause, ends] of steps) {
    t.equal(turns.pause(begins), pause, String(begins))
    turns.ended(ends)
  }
  t.same([1106, 1109, 1109.1].map(turns.inBurst), [true, true, false])
})

t.test('a burst leaves the lock to others after its turn of 20 ms', async (t) => {
  const clock = standingClock(t)
  const file = newFile()
  const [one, other] = [opened(t, file), opened(t, file)]
  const order: string[] = []
  const burst = Array.from({ length: 60 }, async () => { await hold(one.write, clock, order, 'one') })
  const waiting = [1, 2, 3].map(async () => { await hold(other.write, clock, order, 'other') })
  await Promise.all([...burst, ...waiting])
  t.equal(order.length, 63)
  const places = order.flatMap((name, place) => name === 'other' ? [place] : [])
  t.ok(places[0]! <= 6, `the other came after ${places[0]} writes`)
  t.ok(places[2]! <= 20, `and was done after ${places[2]}`)
})

t.test('so does a writer that never has two waiting, and never pauses either', async (t) => {
  const clock = standingClock(t)
  const file = newFile()
  const [one, other] = [opened(t, file), opened(t, file)]
  const order: string[] = []
  const sequence = (async () => { for (let i = 0; i < 60; i++) await hold(one.write, clock, order, 'one') })()
  await nextTurn()
  await Promise.all([sequence, hold(other.write, clock, order, 'other')])
  t.ok(order.indexOf('other') <= 6, `the other came after ${order.indexOf('other')} writes`)
})
