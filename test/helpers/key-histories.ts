// Random histories of an account, and one account that goes through them, step by step, beside the model.
import { deepStrictEqual as same, ok } from 'node:assert/strict'
import fc from 'fast-check'
import type { Access, ApiKey, Environment, SelfServeKeys } from '../../lib/index.js'
import { HOUR } from '../../lib/time.js'
import type { TestClock } from './host.js'
import { ask, claimOf, Life, type Look, type Place, type Question } from './key-life.js'
import { Model, SCOPES, type Ask, type Lifetimes, type Name, type Scopes, type Who } from './key-model.js'

/** Another seed, or more runs: MODEL_SEED=7 MODEL_RUNS=2000. A failure prints the seed and the shortest history that shows it. */
export const DEFAULT_SEED = 20260115
export const SEED = Number(process.env.MODEL_SEED ?? DEFAULT_SEED)
export const runsOr = (usual: number): number => Number(process.env.MODEL_RUNS ?? usual)

const MISSING = 'key_00000000000000000000000000'

/** From now; null: never; undefined: not said. */
type Hours = number | null | undefined
/** As it was drawn: keys are counted back from the newest that is known by then, and times from now. */
type Drawn<A> = A extends { end: unknown } ? Omit<A, 'end'> & { hours: Hours } : A
export type Change = Drawn<Ask> | Repeated
/** The last change but so many that had an idempotency key is asked for once more. */
interface Repeated { op: 'again', back: number }
export interface Pass { op: 'pass', hours: number }

const environment = fc.constantFrom<Environment>('live', 'live', 'test')
const place = fc.nat({ max: 7 })
const by = fc.oneof({ weight: 4, arbitrary: fc.constant<Who>('owner') }, { weight: 2, arbitrary: fc.constant<Who>('host') }, { weight: 3, arbitrary: fc.record({ key: place }) })
const scopes = fc.constantFrom<Scopes[]>(undefined, undefined, null, ['a:read'], ['a:read', 'b:read'], ['c:write'], Object.keys(SCOPES))
const idempotency = fc.constantFrom<Name[]>(undefined, undefined, 0, 1)
const hours = fc.constantFrom<Hours[]>(undefined, undefined, null, 1, 5, 20, 60, 0)
export const CHANGES: fc.Arbitrary<Change> = fc.oneof(
  { weight: 15, arbitrary: fc.record({ op: fc.constant('issueDefault' as const), by, environment, idempotency }) },
  { weight: 15, arbitrary: fc.record({ op: fc.constant('issue' as const), by, environment, access: fc.constantFrom<Access>('secret', 'secret', 'secret', 'publishable'), scopes, hours, idempotency }) },
  { weight: 20, arbitrary: fc.record({ op: fc.constant('rotate' as const), by, key: place, overlap: fc.constantFrom(0, 1, 5, 10), idempotency }) },
  { weight: 15, arbitrary: fc.record({ op: fc.constant('again' as const), back: fc.nat({ max: 2 }) }) },
  { weight: 20, arbitrary: fc.record({ op: fc.constant('renew' as const), by, key: place, hours }) },
  { weight: 10, arbitrary: fc.record({ op: fc.constant('update' as const), by, key: place, label: fc.constantFrom(undefined, 'Named', 'x'), scopes, enabled: fc.constant(undefined) }) },
  { weight: 15, arbitrary: fc.record({ op: fc.constant('update' as const), by, key: place, label: fc.constant(undefined), scopes: fc.constant(undefined), enabled: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('update' as const), by, key: place, label: fc.constantFrom(undefined, 'y'), scopes, enabled: fc.option(fc.boolean(), { nil: undefined }) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('revoke' as const), by, key: place }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('revokeAll' as const), by }) }
)
export const PASSES: fc.Arbitrary<Pass> = fc.record({ op: fc.constant('pass' as const), hours: fc.constantFrom(0.5, 1, 4, 5, 19, 30) })

/** An account as those who ask know it: its keys by now, and what was asked. */
export class Known {
  /** Oldest first. */
  readonly ids: string[] = []
  /** Public ids of the keys that may act: publishable ones never reach an operation. */
  readonly secret = new Set<string>()
  /** Changes with an idempotency key, newest first. */
  readonly sent: Array<Ask<string>> = []

  /** @returns null where there is nothing to ask */
  question (drawn: Change | Look<number>, now: number): Question | null {
    const idOf = (place: number): string => this.ids[this.ids.length - 1 - place % Math.max(1, this.ids.length)] ?? MISSING
    if (drawn.op === 'again') return this.sent[drawn.back] ?? null
    if (drawn.op === 'verify') return this.ids.length === 0 ? null : { op: 'verify', key: idOf(drawn.key) }
    if (!('by' in drawn)) return drawn
    const acts = typeof drawn.by === 'object' ? idOf(drawn.by.key) : ''
    const { hours, ...rest } = { hours: undefined, ...drawn }
    const asked = {
      ...rest,
      by: typeof drawn.by !== 'object' ? drawn.by : this.secret.has(acts) ? { key: acts } : 'owner',
      ...('key' in drawn && { key: idOf(drawn.key) }),
      ...('hours' in drawn && { end: typeof hours === 'number' ? now + hours * HOUR : hours })
    } as Ask<string>
    if ('idempotency' in asked && asked.idempotency !== undefined) this.sent.unshift(asked)
    return asked
  }

  learn ({ publicId, access }: ApiKey): void {
    if (this.ids.includes(publicId)) return
    this.ids.push(publicId)
    if (access === 'secret') this.secret.add(publicId)
  }
}

/** One account, of which nobody else asks anything meanwhile. */
export class Account implements Place {
  readonly known = new Known()
  readonly secrets = new Map<string, string>()
  readonly life: Life
  /** Ends that were seen: they never move. */
  readonly #revokedAt = new Map<string, string>()

  constructor (readonly accountId: string, readonly host: SelfServeKeys, readonly clock: TestClock, lifetimes: Lifetimes, readonly seen: Set<string>) {
    this.life = new Life(new Model(clock.now(), lifetimes))
  }

  async play (drawn: Change | Pass): Promise<void> {
    if (drawn.op === 'pass') {
      this.clock.advance(drawn.hours * HOUR)
      return
    }
    const asked = this.known.question(drawn, this.clock.now())
    if (asked !== null) await this.#ask(asked)
  }

  async #ask (asked: Question): Promise<void> {
    this.life.model.now = this.clock.now()
    const answer = await ask(this, asked)
    const [answered, expected] = this.life.compare(asked, answer)
    same(answered, expected, `${JSON.stringify(asked)}\nanswered: ${JSON.stringify(answered)}\nmodel:    ${JSON.stringify(expected)}`)
    if ('by' in asked) this.seen.add(claimOf(asked, answer))
    if ('apiKey' in answer) this.known.learn(answer.apiKey)
  }

  /** Is all as the model says? */
  async check (): Promise<void> {
    for (const op of ['list', 'count', 'audit'] as const) await this.#ask({ op })
    for (const key of this.known.ids) await this.#ask({ op: 'verify', key })
    same(new Set(this.secrets.values()).size, this.secrets.size, 'no secret is given twice')
    const { apiKeys } = await this.host.keys.list(this.accountId)
    for (const environment of ['live', 'test']) ok(apiKeys.filter((key) => key.isDefault && key.environment === environment).length <= 1, 'one default key')
    for (const { publicId, revokedAt, status } of apiKeys) {
      this.seen.add(status)
      same(revokedAt, this.#revokedAt.get(publicId) ?? revokedAt, 'revokedAt never changes')
      if (revokedAt !== null) this.#revokedAt.set(publicId, revokedAt)
    }
  }
}
