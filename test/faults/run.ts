// One run: host processes under load, what is done to them meanwhile, and everything the checker needs to judge it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Storage } from '../../lib/storage/storage.js'
import { DAY } from '../../lib/time.js'
import { startHost, type DatabaseAddress, type HostOptions, type HostProcess } from '../helpers/host-process.js'
import { violations, type AccountState, type ProcessEnd, type Run } from './checker.js'
import { startLoad, type Load, type Place } from './load.js'

/** ms by which a busy machine may make an answer or an end later than it is allowed to be. */
const MARGIN = 1500
/** ms that a process may take to end. */
const END = 1000
const END_HUNG = 5000

export interface RunSettings {
  /** Names the run's accounts, so that several may share a database. */
  readonly name: string
  /** What the hosts are told of the database. */
  readonly database: DatabaseAddress
  /** Reads what is there in the end, past every fault. */
  readonly storage: Storage
  readonly hosts?: number
  readonly accounts?: number
  /** Of each host. */
  readonly clients?: number
  /** Which part of the changes is followed by calls. */
  readonly calls?: number
  /** ms */
  readonly timeout?: number
  readonly flushInterval?: number
}

export interface Rig {
  readonly load: Load
  /** Resolves when so many more rotations were acknowledged. */
  rotations (more: number): Promise<void>
  /** Resolves when so many more answers were `status`: to calls with a key, or to changes. */
  answers (status: number, more: number, of?: 'calls' | 'changes'): Promise<void>
  /** kill -9 of a host, which is started again. */
  kill (place: number): Promise<void>
  /** SIGTERM, with the database up or hung; the host is started again if it is up. */
  end (place: number, database?: 'up' | 'hung'): Promise<void>
  /** Starts hosts where none runs. */
  start (): Promise<void>
  /** While `work` is under way, the database cannot be reached: nobody may get anything but 503. */
  away (work: () => Promise<void>): Promise<void>
  /** While `work` is under way, usage may not be written; a host that is killed loses all of that time. */
  withoutUsage (work: () => Promise<void>): Promise<void>
}

export interface Figures { readonly operations: number, readonly rotations: number, readonly kills: number, readonly answers: Record<string, number>, readonly p99: number, readonly endMs: number, readonly rotationsPerSecond: number }

export interface Result { readonly violations: readonly string[], readonly figures: Figures, readonly run: Run, readonly accounts: readonly AccountState[], readonly output: readonly string[] }

/** Does `work` to hosts under load, ends them, and judges it all. */
export async function underLoad (t: Test, settings: RunSettings, work: (rig: Rig) => Promise<void>): Promise<Result> {
  const { database, storage, hosts: count = 2, clients = 4, calls = 1, timeout = 1000, flushInterval = 100 } = settings
  const options: HostOptions = { timeout, usage: { flushInterval } }
  const accounts = Array.from({ length: settings.accounts ?? 3 }, (_none, number) => `${settings.name}-${number}`)
  const places: Place[] = Array.from({ length: count }, () => ({ current: null }))
  const running: Array<HostProcess | null> = places.map(() => null)
  const processes: ProcessEnd[] = []
  const outages: Array<{ from: number, to: number }> = []
  const output: string[] = []
  let started = 0
  let kills = 0
  /** While usage could not be written. */
  let unwritten = { from: -Infinity, to: -Infinity }
  /** ms from an answer until its usage is written, at most: to the next flush, behind one that fails, and through it. */
  const unflushed = flushInterval + 2 * timeout

  const start = async (): Promise<void> => {
    await Promise.all(places.map(async (place, number) => {
      if (running[number] !== null) return
      const host = running[number] = await startHost(t, database, options)
      place.current = { process: `host ${++started} at ${number}`, url: host.url }
    }))
  }
  const take = (number: number): { host: HostProcess, process: string } => {
    const host = running[number]!
    const { process } = places[number]!.current!
    return { host, process }
  }
  const leave = (number: number, end: ProcessEnd): void => {
    output.push(...running[number]!.output)
    running[number] = null
    processes.push(end)
  }

  /** Waits for a condition, which must come within half a minute and without a crash. */
  const until = async (holds: () => boolean, what: () => string): Promise<void> => {
    const deadline = performance.now() + 30_000
    while (!holds()) {
      const crashed = running.find((host) => host?.ended === true)
      if (crashed != null) throw new Error(`a host ended by itself: ${crashed.output.slice(-12).join('\n')}`)
      if (performance.now() > deadline) throw new Error(`still waiting for ${what()}`)
      await sleep(5)
    }
  }

  const began = performance.now()
  await start()
  const load = startLoad({ places, accounts, clients, calls })
  const rig: Rig = {
    load,
    start,
    async rotations (more) {
      const wanted = load.rotations + more
      while (load.rotations < wanted) {
        const next = Math.min(wanted, load.rotations + 20)
        await until(() => load.rotations >= next, () => `${more} rotations, of which ${wanted - load.rotations} are missing`)
      }
    },
    async answers (status, more, of) {
      const counted = load.operations.length
      const seen = (): number => load.operations.slice(counted)
        .filter((operation) => operation.status === status && (of === undefined || (operation.action === 'call') === (of === 'calls'))).length
      await until(() => seen() >= more, () => `${more} answers ${status}`)
    },
    async kill (number) {
      const { host, process } = take(number)
      const killedAt = performance.now()
      if (host.ended) throw new Error(`${process} had ended by itself: ${host.output.join('\n')}`)
      await host.kill()
      places[number]!.current = null
      kills++
      const usageLostFrom = killedAt > unwritten.from && killedAt < unwritten.to + unflushed ? unwritten.from - unflushed : killedAt - unflushed
      leave(number, { process, killedAt, usageLostFrom, code: 'SIGKILL', ms: 0, allowed: 0 })
      await start()
    },
    async end (number, state = 'up') {
      const { host, process } = take(number)
      places[number]!.current = null
      // Clients on their way get an answer before the host stops to listen.
      await until(() => load.underWay(process) === 0, () => `the answers of ${process}`)
      const { code, ms } = await host.end()
      const usageLostFrom = state === 'up' ? null : unwritten.from - unflushed
      leave(number, { process, killedAt: null, usageLostFrom, code, ms, allowed: MARGIN + (state === 'up' ? END : END_HUNG) })
    },
    async away (work) {
      const from = performance.now()
      await rig.withoutUsage(work)
      outages.push({ from, to: performance.now() })
    },
    async withoutUsage (work) {
      if (unwritten.to === Infinity) {
        await work()
        return
      }
      const from = performance.now()
      unwritten = { from, to: Infinity }
      await work()
      unwritten = { from, to: performance.now() }
    }
  }
  try {
    await work(rig)
  } finally {
    await load.stop()
  }
  const seconds = (performance.now() - began) / 1000
  for (const [number, host] of running.entries()) if (host !== null) await rig.end(number)

  await storage.open({ log: console, timeout: 10_000 })
  const states: AccountState[] = []
  for (const account of accounts) states.push(await stateOf(storage, account))
  await storage.close()

  const run: Run = { operations: load.operations, processes, outages, limit: timeout + MARGIN }
  return { violations: violations(run, states), figures: figuresOf(run, kills, seconds), run, accounts: states, output }
}

/** Claims that nothing was violated, and that there was something to violate. */
export function claim (t: Test, result: Result): Result {
  t.same(result.violations.slice(0, 10), [])
  t.ok(result.figures.rotations > 0)
  for (const { keys, audit } of result.accounts) t.ok(keys.length > 0 && audit.length >= keys.length)
  t.ok(result.accounts.some(({ requests }) => requests.size > 0))
  return result
}

async function stateOf (storage: Storage, account: string): Promise<AccountState> {
  const now = Date.now()
  const page = await storage.listKeys({ accountId: account, now, limit: 1_000_000 })
  const { entries } = await storage.listAudit({ accountId: account, limit: 1_000_000, offset: 0 })
  const tomorrow = now - now % DAY + DAY
  const { perKey } = await storage.readUsage({ accountId: account, start: tomorrow - 2 * DAY, end: tomorrow, unit: 'day', perKeyLimit: 1_000_000, recentLimit: 1 })
  return { account, keys: page!.keys, audit: entries, requests: new Map(perKey.map(({ key, requests }) => [key.publicId, requests])) }
}

function figuresOf ({ operations, processes }: Run, kills: number, seconds: number): Figures {
  const answers: Record<string, number> = {}
  for (const { status } of operations) answers[String(status)] = 1 + (answers[String(status)] ?? 0)
  const rotations = operations.filter(({ status, replaced }) => status === 201 && replaced.length > 0)
  const times = rotations.map(({ start, end }) => end - start).sort((a, b) => a - b)
  return {
    operations: operations.length,
    rotations: rotations.length,
    kills,
    answers,
    p99: Math.round(times[Math.floor(times.length * 0.99)] ?? 0),
    endMs: Math.round(Math.max(0, ...processes.map(({ ms }) => ms))),
    rotationsPerSecond: Math.round(rotations.length / seconds)
  }
}
