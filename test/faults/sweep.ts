// Tries a change with each of its calls going wrong in turn, and judges what the client is told and what is left behind.
import assert from 'node:assert/strict'
import type { FastifyInstance } from 'fastify'
import type { Storage } from '../../lib/index.js'
import type { Answer } from '../helpers/account.js'
import { acceptance, Subject, viewOf, type Mutation, type View } from './mutations.js'
import { Attempt, TOLD_NOBODY, type Fault, type Faults } from './nth-call.js'

/** ms by which a busy machine may make an answer later than it is allowed to be. */
const MARGIN = 1500
/** What no failure may hand out, whole or cut. */
const SECRET = /[0-9A-Za-z]{30}/

export interface Rig {
  /** Has as much time as it needs: what comes before and after a fault is asked of it. */
  readonly patient: FastifyInstance
  /** Reads what is there. */
  readonly storage: Storage
  /** Is this the call that makes a change last? */
  readonly changes: (call: string) => boolean
  /** What becomes of the request where this call goes wrong; undefined where that is a matter of when it is made. */
  readonly fate?: (call: string) => 'fails' | 'succeeds' | undefined
  /** What failed is asked again from here on. */
  readonly recover?: () => void
}

/** A way in which calls go wrong. */
export interface Way {
  readonly faults: Faults
  /** Where they do. It answers in so many ms. */
  readonly app: FastifyInstance
  readonly timeout: number
  /** How many in a row. @default 1 */
  readonly inARow?: number
  /** How many tries are under way at a time. @default 1 */
  readonly atATime?: number
}

/** With EACH_CALL=all each call goes wrong in every way; by default in one, which is the next one's turn each time. */
export const ALL = process.env.EACH_CALL === 'all'

/** What a change is where nothing goes wrong, and where it is then asked for again: what it calls, answers and leaves behind. */
interface Right { readonly calls: readonly string[], readonly statuses: readonly [number, number], readonly views: readonly [View, View, View] }

let subjects = 0
const newSubject = (): Subject => new Subject(`account-${++subjects}`)

/**
 * Calls go wrong from the first to the last, and then one that is never made: all must be well there.
 * @param only these calls, each in every way
 * @returns what was violated, and how often that was tried
 */
export async function sweep (rig: Rig, mutations: Readonly<Record<string, Mutation>>, ways: readonly Way[], only?: RegExp): Promise<{ violations: string[], tries: number }> {
  const faults = ways.flatMap((way) => Object.entries(way.faults).map(([what, fault]) => ({ way, what, fault })))
  const plan = new Map<Way, Array<() => Promise<void>>>(ways.map((way) => [way, []]))
  const violations: string[] = []
  let turn = 0
  for (const [name, mutation] of Object.entries(mutations)) {
    const right = await doneRight(rig, mutation)
    for (let place = 1; place <= right.calls.length + 1; place++) {
      const next = ALL || only !== undefined ? faults : [faults[turn++ % faults.length]!]
      for (const { way, what, fault } of only?.test(right.calls[place - 1] ?? '') === false ? [] : next) {
        plan.get(way)!.push(async () => {
          await tryOnce(rig, mutation, right, place, way, fault).catch((error: Error) => {
            violations.push(`${name}: call ${place} of ${right.calls.length}, ${right.calls[place - 1] ?? 'which is none'}, ${what}: ${error.message}`)
          })
        })
      }
    }
  }
  let tries = 0
  for (const [{ atATime = 1 }, each] of plan) tries += await inTurn(each, atATime)
  return { violations, tries }
}

/** @returns how many there were */
async function inTurn (tries: ReadonlyArray<() => Promise<void>>, atATime: number): Promise<number> {
  const left = tries[Symbol.iterator]()
  await Promise.all(Array.from({ length: atATime }, async () => { for (const one of left) await one() }))
  return tries.length
}

async function doneRight ({ patient, storage, changes }: Rig, { before, act }: Mutation): Promise<Right> {
  const subject = newSubject()
  await before?.(subject, patient)
  const first = await viewOf(storage, subject.accountId)
  await assertAccepts(patient, storage, subject)
  const attempt = new Attempt([])
  const answer = await attempt.run(async () => await act(subject, patient))
  const second = await viewOf(storage, subject.accountId)
  const again = await act(subject, patient)
  const views = [first, second, await viewOf(storage, subject.accountId)] as const
  for (const view of views) assertSound(view)
  assert.ok(answer.status < 300, answer.text)
  assert.equal(attempt.calls.filter(changes).length, 1)
  assert.ok(second.audit.length > first.audit.length, 'a change has an entry')
  return { calls: attempt.calls, statuses: [answer.status, again.status], views }
}

/** I1, I3 and I9 by what is there alone. */
function assertSound ({ keys, audit }: View): void {
  for (const environment of ['live', 'test']) assert.ok(keys.filter((key) => key.isDefault && key.environment === environment).length <= 1, 'one default key')
  const predecessors = keys.flatMap(({ rotatedFrom }) => rotatedFrom ?? [])
  assert.equal(new Set(predecessors).size, predecessors.length, 'a key has one successor')
  for (const [place, { revokedReason }] of keys.entries()) assert.ok(revokedReason !== 'rotated' || predecessors.includes(place), 'what was rotated has a successor')
  assert.deepEqual(audit.map(({ id }) => id), audit.map((_entry, place) => place + 1))
}

async function tryOnce (
  { patient, storage, changes, fate, recover = () => {} }: Rig, { before, act }: Mutation, { calls, statuses, views }: Right, place: number, { app, timeout, inARow = 1 }: Way, fault: Fault
): Promise<void> {
  const subject = newSubject()
  await before?.(subject, patient)
  // What the host then holds in memory is what it has to forget.
  await assertAccepts(app, storage, subject)

  const attempt = new Attempt(Array.from({ length: inARow }, (_none, more) => place + more), fault)
  let ms = 0
  const answer = await attempt.run(async () => {
    const began = performance.now()
    const answer = await act(subject, app)
    ms = performance.now() - began
    return answer
  }, async () => {
    recover()
    // What is asked for now is held in memory when what hangs is done after all.
    await assertAccepts(app, storage, subject)
  })
  const late = attempt.late.some(changes)
  const changed = late || attempt.done.some(changes)
  const hit = attempt.calls[place - 1]
  const succeeded = answer.status === statuses[0]
  // A host that soon gives up may do so before, where the machine is busy.
  if (app === patient || succeeded) assert.equal(hit, calls[place - 1], 'the calls are the same each time')
  assert.ok(ms < timeout + MARGIN, `answered after ${ms} ms`)
  if (!succeeded) assertDeclared(answer)
  assert.ok(attempt.done.some(changes) || !succeeded, 'what is acknowledged was done before')
  assert.ok(!late || changes(hit!), 'no change is begun when nobody waits for it any more')
  if (hit === undefined) assert.ok(succeeded || app !== patient, answer.text)
  else assert.equal(succeeded ? 'succeeds' : 'fails', fate?.(hit) ?? (changed ? 'succeeds' : 'fails'), answer.text)
  subject.remember(answer)
  assert.deepEqual(await viewOf(storage, subject.accountId), views[changed ? 1 : 0], changed ? 'all of it was done' : 'nothing was done')
  // What is done after all comes behind its evictions, and behind them the keys are held again: the next change is followed for both.
  if (!late) await assertAccepts(app, storage, subject)

  const again = await act(subject, patient)
  subject.remember(again)
  assert.equal(again.status, statuses[changed ? 1 : 0], again.text)
  assert.deepEqual(await viewOf(storage, subject.accountId), views[changed ? 2 : 1], 'it is done when it is asked for again')
  await assertAccepts(app, storage, subject)
}

/** A failure says that it is one, when to try again, and nothing else. */
function assertDeclared ({ status, headers, text, json }: Answer): void {
  assert.equal(status, 503, text)
  assert.equal(headers['retry-after'], '1')
  const { message, ...rest } = json
  assert.deepEqual(rest, { statusCode: 503, code: 'STORAGE_UNAVAILABLE', error: 'Service Unavailable' })
  assert.match(message, /^[A-Z][a-z ,]+\. Try again shortly\.$/)
  assert.ok(!SECRET.test(text) && !text.includes(TOLD_NOBODY), text)
}

/** A key is taken where it is stored as one that works, and nowhere else. */
export async function assertAccepts (app: FastifyInstance, storage: Storage, subject: Subject): Promise<void> {
  const { accepted, expected } = await acceptance(app, storage, subject)
  assert.deepEqual(accepted, expected, 'a key is taken where it stands, and nowhere else')
}
