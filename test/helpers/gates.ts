// Gates: what several clients do at once is let on by a scheduler, one step at a time, so that it comes in every order.
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Scheduler } from 'fast-check'
import { SqliteDialect, type DatabaseConnection, type Dialect, type Driver } from 'kysely'
import type { Storage } from '../../lib/index.js'

/** Turns of the event loop after which whatever needs neither a gate nor an answer has gone on. */
const TURNS = 5
/** ms: more than a storage pauses before it goes on. */
const PAUSE = 25

export interface Client { readonly name: string, readonly act: () => Promise<void> }

/**
 * A client, by its place, that stays at one of its gates for as long as anybody else can go on. Without such all would go on at much the
 * same pace, and hardly ever would one ask and be answered twice between two statements of another.
 */
export interface Stall { readonly client: number, readonly gate: number }

const walking = new AsyncLocalStorage<{ readonly gates: Gates, readonly client: string, readonly stalls: readonly Stall[], passed: number }>()

/** Waits until the scheduler lets this client on. Whoever is none, a host at its start for one, just goes on. */
export async function gate (label: string): Promise<void> {
  const walk = walking.getStore()
  if (walk === undefined) return
  const { gates, client, stalls } = walk
  const place = walk.passed++
  if (stalls.some(({ gate }) => gate === place)) await gates.whenNobodyElseCan()
  await gates.scheduler.schedule(Promise.resolve(), `${client}: ${label}`)
}

/** The gates of one history. */
export class Gates {
  /** Questions that a database has not answered. */
  #asked = 0
  /** Lets those who stall go on, the one that has waited longest first. */
  readonly #stalled: Array<() => void> = []
  /** Has anything been committed since that was looked at? */
  committed = false
  /** How often somebody went on while another waited for a lock. */
  waits = 0

  /** How often a transaction was given up. */
  rollbacks = 0

  /** @param lockWaits how many questions wait for a lock at the server: those that are answered in this process never do */
  constructor (readonly scheduler: Scheduler, readonly lockWaits: () => Promise<number>, readonly stalls: readonly Stall[] = []) {}

  /** Does this when the scheduler says so. Nobody waits for it. */
  later (label: string, work: () => void): void {
    this.scheduler.schedule(Promise.resolve(), label).then(work)
  }

  async whenNobodyElseCan (): Promise<void> {
    await new Promise<void>((resolve) => { this.#stalled.push(resolve) })
  }

  async answered<T> (question: () => Promise<T>): Promise<T> {
    this.#asked++
    try {
      return await question()
    } finally {
      this.#asked--
    }
  }

  /**
   * Lets them all come to their end. One that fails leaves no other half-way: what that holds locked is needed again.
   * @param onCommit is called where nobody moves, after something was committed
   */
  async run (clients: readonly Client[], onCommit: () => Promise<void>): Promise<void> {
    const failures: unknown[] = []
    const failed = (error: unknown): void => { failures.push(error) }
    const left = new Set(clients)
    for (const [place, client] of clients.entries()) {
      const stalls = this.stalls.filter((stall) => stall.client === place)
      walking.run({ gates: this, client: client.name, stalls, passed: 0 }, client.act).catch(failed).finally(() => { left.delete(client) })
    }
    while (left.size > 0 || this.scheduler.count() > 0) {
      await this.#settled()
      if (this.committed && failures.length === 0) {
        this.committed = false
        await onCommit().catch(failed)
      }
      if (this.scheduler.count() > 0) await this.scheduler.waitOne()
      else if (await this.#nobodyComes(left)) this.#stalled.shift()?.()
    }
    if (failures.length > 0) throw failures[0]
  }

  /** A change that leaves its turn to another, or tries once more, comes back by itself; one that waits for a change of its own process does not. */
  async #nobodyComes (left: ReadonlySet<Client>): Promise<boolean> {
    const until = performance.now() + PAUSE
    while (this.scheduler.count() === 0 && this.#stalled.length + this.#asked < left.size && performance.now() < until) await nextTurn()
    return this.scheduler.count() === 0
  }

  /** Everybody is at a gate, or waits for what somebody at a gate has locked. */
  async #settled (): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < TURNS; turn++) await nextTurn()
      if (this.#asked === 0) return
      if (await this.lockWaits() >= this.#asked) {
        this.waits++
        return
      }
    }
  }
}

/** The storage, with a gate before and after each question but the one that must be answered at once. */
export function gatedStorage (storage: Storage): Storage {
  const gated = Object.entries(storage).filter(([name, member]) => typeof member === 'function' && !['open', 'close', 'keysVersion'].includes(name))
    .map(([name, method]: [string, (...args: unknown[]) => unknown]) => [name, async (...args: unknown[]) => {
      await gate(name)
      const answer = await method.apply(storage, args)
      noteCommit()
      await gate(`${name} answered`)
      return answer
    }])
  return { ...storage, open: async (context) => { await storage.open(context) }, close: async () => { await storage.close() }, ...Object.fromEntries(gated) }
}

/** The dialect, or the prototype of dialects, whose connections have a gate before each statement. */
export function gatedDialect<D extends Pick<Dialect, 'createDriver'>> (dialect: D): D {
  const { createDriver } = dialect
  dialect.createDriver = function (this: D) { return gatedDriver(createDriver.call(this)) }
  return dialect
}

/** For a storage that opens a file by itself. */
export function gateSqliteFiles (): void {
  gatedDialect(SqliteDialect.prototype)
}

function gatedDriver (driver: Driver): Driver {
  const known = new WeakSet<DatabaseConnection>()
  const acquire = driver.acquireConnection.bind(driver)
  driver.acquireConnection = async () => {
    const connection = await acquire()
    if (!known.has(connection)) gateConnection(connection)
    known.add(connection)
    return connection
  }
  return driver
}

function gateConnection (connection: DatabaseConnection): void {
  const execute = connection.executeQuery.bind(connection)
  connection.executeQuery = async (query) => {
    const gates = walking.getStore()?.gates
    if (gates === undefined) return await execute(query)
    await gate(query.sql.trimStart().slice(0, 24).replace(/\s+/g, ' '))
    const result = await gates.answered(async () => await execute<any>(query))
    if (query.sql === 'commit') noteCommit()
    if (query.sql === 'rollback') gates.rollbacks++
    return result
  }
}

function noteCommit (): void {
  const gates = walking.getStore()?.gates
  if (gates !== undefined) gates.committed = true
}
