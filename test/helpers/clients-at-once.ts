// Clients that ask about the keys of an account at once, on several instances, and whether all that came of it can be explained.
import { AsyncLocalStorage } from 'node:async_hooks'
import { deepStrictEqual as same, ok } from 'node:assert/strict'
import type { Scheduler } from 'fast-check'
import type { ChannelListener, RevocationChannel, SelfServeKeys, Storage } from '../../lib/index.js'
import { HOUR } from '../../lib/time.js'
import { gate, Gates, type Client } from './gates.js'
import type { History, Move } from './histories-at-once.js'
import type { TestClock } from './host.js'
import { Account, type Change } from './key-histories.js'
import { ask, claimOf, isLook, type Look } from './key-life.js'
import type { Lifetimes } from './key-model.js'
import { auditOf, keysOf } from './keys.js'
import { AT_ONCE, linearOrder, told, type Exchange, type Rules } from './linear-order.js'

/** Where histories take place. */
export interface Ground {
  /** Instances on one storage. */
  readonly hosts: readonly SelfServeKeys[]
  readonly clock: TestClock
  /** Sees what is stored without a gate; null where that cannot be read beside a change. */
  readonly observer: Storage | null
  /** How many questions wait for a lock at the database. */
  readonly lockWaits: () => Promise<number>
  readonly lifetimes: Lifetimes
  /** ms for which an instance may not know what another has changed. */
  readonly maxDelay: number
}

/** What a history may show besides what its clients did. */
export const ANOTHER_ORDER = 'an order other than that of the answers'
export const LOCK_WAIT = 'a wait for a lock'
export const OLD_ANSWER = 'an answer out of memory, from before a change elsewhere'

interface Recorded extends Exchange {
  /** On the monotonic clock. */
  readonly startedAt: number
  readonly endedAt: number
  /** When an instance got a message of it, by instance. */
  readonly received: ReadonlyMap<number, number>
}

/** What is under way, for who sends a message of it. */
const underWay = new AsyncLocalStorage<{ readonly gates: Gates, readonly isLost: () => boolean, readonly onReceived: (instance: number) => void }>()

/** A channel between the instances: what is sent comes when the scheduler says so, or is lost. */
export function channels (): (instance: number) => RevocationChannel {
  const listeners = new Map<number, ChannelListener>()
  return (instance) => ({
    open (listener) { listeners.set(instance, listener) },
    async publish (message) {
      const change = underWay.getStore()
      for (const [to, listener] of listeners) {
        if (change === undefined) listener.receive(message)
        else if (!change.isLost()) {
          change.gates.later(`message to instance ${to}`, () => {
            listener.receive(message)
            change.onReceived(to)
          })
        }
      }
    },
    async close () { listeners.delete(instance) }
  })
}

/** One history on its ground. */
class Run {
  readonly #ground: Ground
  readonly #gates: Gates
  readonly #lost: boolean[]
  readonly #times: number[]
  readonly #exchanges: Recorded[] = []
  #moment = 0

  /** @param times what the clock has said up to now: it goes on for all */
  constructor (ground: Ground, readonly account: Account, gates: Gates, times: number[], lost: readonly boolean[]) {
    this.#ground = ground
    this.#gates = gates
    this.#times = times
    this.#lost = [...lost]
  }

  client (name: string, instance: number, moves: readonly Move[]): Client {
    return {
      name,
      act: async () => {
        for (const move of moves) {
          await gate('begins')
          if (move.op === 'pass') this.pass(move.hours * HOUR)
          else await this.#ask(name, instance, move)
        }
      }
    }
  }

  pass (ms: number): void {
    this.#ground.clock.advance(ms)
    this.#times.push(this.#ground.clock.now())
  }

  async #ask (client: string, instance: number, move: Change | Look<number>): Promise<void> {
    const { clock, hosts } = this.#ground
    const { known, accountId, secrets } = this.account
    const asked = known.question(move, clock.now())
    if (asked === null) return
    const received = new Map<number, number>()
    const [start, startedAt, firstTime] = [this.#moment++, clock.monotonic(), this.#times.length - 1]
    const onReceived = (to: number): void => { received.set(to, this.#moment++) }
    const answer = await underWay.run({ gates: this.#gates, isLost: () => this.#lost.shift() ?? false, onReceived }, async () => await ask({ host: hosts[instance]!, accountId, secrets }, asked))
    const times = this.#times.slice(firstTime)
    this.#exchanges.push({ client, instance, asked, answer, start, end: this.#moment++, times, startedAt, endedAt: clock.monotonic(), received })
    if ('plaintextKey' in answer && answer.plaintextKey !== null) known.learn(answer.apiKey)
  }

  /** At last, when nobody changes anything any more, on every instance. */
  async lookAtAll (): Promise<void> {
    for (const op of ['list', 'count', 'audit'] as const) await this.#ask('at last', 0, { op })
    for (const instance of this.#ground.hosts.keys()) {
      for (const place of this.account.known.ids.keys()) await this.#ask('at last', instance, { op: 'verify', key: place })
    }
  }

  /** @throws telling the history that nothing explains */
  judge (seen: Set<string>): void {
    const { maxDelay } = this.#ground
    const order = linearOrder(this.account.life, this.#exchanges, AT_ONCE)
    const delayed: Rules<Recorded> = {
      mayBeOld: ({ asked }) => asked.op === 'verify',
      mustKnow: (look, change) => (change.received.get(look.instance) ?? Infinity) < look.start ||
        (change.end < look.start && (change.instance === look.instance || look.startedAt - change.endedAt >= maxDelay))
    }
    if (order === null && (maxDelay === 0 || linearOrder(this.account.life, this.#exchanges, delayed) === null)) {
      throw new Error(`No order of these questions explains the answers:\n${told(this.#exchanges)}`)
    }
    if (order === null) seen.add(OLD_ANSWER)
    else if (order.some(({ end }, place) => place > 0 && order[place - 1]!.end > end)) seen.add(ANOTHER_ORDER)
    this.#claim(seen)
  }

  #claim (seen: Set<string>): void {
    const done: Recorded[] = []
    for (const one of this.#exchanges) {
      if (isLook(one.asked)) continue
      seen.add(claimOf(one.asked, one.answer))
      if (one.answer instanceof Error) continue
      for (const other of done.filter(({ end }) => one.start < end)) seen.add([one.asked.op, other.asked.op].sort().join(' beside '))
      done.push(one)
    }
  }
}

/** What holds at every commit, seen from outside. */
class Watch {
  readonly #revokedAt = new Map<string, number>()

  constructor (readonly observer: Storage, readonly accountId: string, readonly clock: TestClock) {}

  async look (): Promise<void> {
    const keys = await keysOf(this.observer, this.accountId, this.clock.now())
    const entries = await auditOf(this.observer, this.accountId)
    for (const environment of ['live', 'test']) ok(keys.filter((key) => key.isDefault && key.environment === environment).length <= 1, `one default ${environment} key`)
    for (const { publicId, revokedAt } of keys) {
      const before = this.#revokedAt.get(publicId)
      same(revokedAt, before ?? revokedAt, 'revokedAt never changes')
      if (revokedAt !== null) this.#revokedAt.set(publicId, revokedAt)
    }
    const count = (...actions: string[]): number => entries.filter(({ action }) => actions.includes(action)).length
    same(count('api_key.issued', 'api_key.rotated'), keys.length, 'one audit entry a key that was made')
    same(count('api_key.revoked'), keys.filter(({ revokedReason }) => revokedReason === 'revoked').length, 'one audit entry a key that was revoked')
    const replaced = keys.flatMap(({ rotatedFrom }) => rotatedFrom ?? [])
    same(new Set(replaced).size, replaced.length, 'a key has one successor')
  }
}

/**
 * Plays one history. Whatever the scheduler makes of it, some order of what was asked has to explain every answer.
 * @param name that no history before had
 */
export async function playAtOnce (ground: Ground, { before, clients, neighbour, warm, stalls, lost }: History, scheduler: Scheduler, name: string, seen: Set<string>): Promise<void> {
  const { hosts, clock, observer, lifetimes, lockWaits, maxDelay } = ground
  const gates = new Gates(scheduler, lockWaits, stalls)
  const [account, next] = [`account ${name}`, `neighbour ${name}`].map((id) => new Account(id, hosts[0]!, clock, lifetimes, new Set())) as [Account, Account]
  for (const step of before) await account.play(step)
  const { accountId, secrets, known } = account
  if (warm) for (const host of hosts) for (const key of known.ids) await ask({ host, accountId, secrets }, { op: 'verify', key })

  const times = [clock.now()]
  const runs = [new Run(ground, account, gates, times, lost), new Run(ground, next, gates, times, [])] as const
  const watches = observer === null ? [] : [account, next].map(({ accountId }) => new Watch(observer, accountId, clock))
  await gates.run([
    ...clients.map((moves, place) => runs[0].client(`client ${place}`, place % hosts.length, moves)),
    runs[1].client('neighbour', hosts.length - 1, neighbour)
  ], async () => { for (const watch of watches) await watch.look() })
  if (gates.waits > 0) seen.add(LOCK_WAIT)
  same(gates.rollbacks, 0, 'who holds the lock of the account loses no race for what is unique')
  runs[0].pass(maxDelay)
  for (const run of runs) {
    await run.lookAtAll()
    run.judge(seen)
  }
}
