// Is there an order, of what several clients asked at once, in which one after the other would have got these answers?
import { isDeepStrictEqual } from 'node:util'
import type { Answer, Life, Question } from './key-life.js'

/** A question and its answer. Moments are counted: of two, the later one is greater. */
export interface Exchange {
  readonly client: string
  readonly instance: number
  readonly asked: Question
  readonly answer: Answer
  readonly start: number
  readonly end: number
  /** What the clock said meanwhile, ms since the epoch. */
  readonly times: readonly number[]
}

interface Course<E> {
  readonly order: readonly E[]
  /** Before the first exchange, and after each. */
  readonly lives: readonly Life[]
}

export interface Rules<E> {
  /** May this be answered out of memory, as it was a while ago? */
  readonly mayBeOld: (exchange: E) => boolean
  /** If so: is this change one that it has to know of? */
  readonly mustKnow: (look: E, change: E) => boolean
}

/** Every answer is that of now. */
export const AT_ONCE: Rules<unknown> = { mayBeOld: () => false, mustKnow: () => true }

/**
 * An exchange takes place at one moment between its question and its answer, and is judged by a time of the clock between the two.
 * @returns the exchanges in an order that explains all answers; null if there is none
 */
export function linearOrder<E extends Exchange> (life: Life, exchanges: readonly E[], rules: Rules<E>): readonly E[] | null {
  const old = exchanges.filter(rules.mayBeOld)
  const explain = (course: Course<E>, rest: readonly E[]): readonly E[] | null => {
    if (rest.length === 0) return old.every((look) => explainsOld(look, course, rules)) ? course.order : null
    const firstEnd = Math.min(...rest.map(({ end }) => end))
    for (const one of rest.filter(({ start }) => start < firstEnd)) {
      for (const after of outcomes(course.lives.at(-1)!, one)) {
        const found = explain({ order: [...course.order, one], lives: [...course.lives, after] }, rest.filter((other) => other !== one))
        if (found !== null) return found
      }
    }
    return null
  }
  return explain({ order: [], lives: [life] }, exchanges.filter((one) => !old.includes(one)))
}

/** The lives that go on from here with this answer. */
function outcomes (life: Life, { asked, answer, times }: Exchange): Life[] {
  return times.flatMap((decidedAt, place) => times.slice(place).flatMap((shownAt) => {
    const after = life.fork()
    after.model.now = decidedAt
    return isDeepStrictEqual(...after.compare(asked, answer, shownAt) as [unknown, unknown]) ? [after] : []
  }))
}

/** Was this answer true at one moment, not before what it has to know of nor after what came later? */
function explainsOld<E extends Exchange> (look: E, { order, lives }: Course<E>, { mustKnow }: Rules<E>): boolean {
  const key = 'key' in look.asked ? look.asked.key : ''
  const changes = order.map((change, place) => ({ change, place })).filter(({ place }) => !isDeepStrictEqual(keyOf(lives[place]!, key), keyOf(lives[place + 1]!, key)))
  const first = changes.findLast(({ change }) => mustKnow(look, change))?.place ?? -1
  const last = changes.find(({ change }) => change.start > look.end)?.place ?? order.length
  return lives.some((life, place) => place > first && place <= last && keyOf(life, key) !== undefined && outcomes(life, look).length > 0)
}

function keyOf (life: Life, publicId: string): object | undefined {
  return life.model.keys[life.ids.indexOf(publicId)]
}

/** What of an answer is told. */
const TELLING = [
  'action', 'replayed', 'revokedPublicIds', 'apiKey', 'publicId', 'status', 'isDefault', 'disabledBy', 'scopes', 'expiresAt', 'retiresAt', 'revokedAt', 'rotatedFrom',
  'seen', 'keys', 'total', 'active', 'entries'
]

/** For people: who asked what when, and the answers. Keys are called by the order in which they are mentioned. */
export function told (exchanges: readonly Exchange[]): string {
  const names = new Map<string, string>()
  const lines = exchanges.toSorted((a, b) => a.start - b.start).map(({ client, instance, asked: { op, ...rest }, answer, start, end }) =>
    `${start}–${end} ${client} on instance ${instance}: ${op} ${JSON.stringify(rest)} → ${answer instanceof Error ? `${answer.code} ${answer.message}` : JSON.stringify(answer, TELLING)}`)
  return lines.join('\n').replace(/key_[0-9A-Z]{26}/g, (id) => {
    if (!names.has(id)) names.set(id, `key${names.size}`)
    return names.get(id)!
  })
}
