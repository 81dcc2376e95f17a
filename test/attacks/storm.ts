// Sends plans, many at a time, and keeps what is wrong with the answers, what they were, and the fewest bytes that show it.
import { readAnswers, type Answer } from './answers.js'
import { faultsOf } from './judge.js'
import { startLedger, type Ledger } from './ledger.js'
import { send, type Exchange, type Plan } from './sender.js'
import { smallest } from './smallest.js'
import type { World } from './world.js'

/** Connections at a time. */
const WIDTH = 32
/** Of what is wrong, so much is made smaller and shown; more would say the same. */
const SHOWN = 3

export interface Storm {
  readonly ledger: Ledger
  /** Connections that something was sent over. */
  readonly sent: number
  /** How many answers had each status; `none`: connections without an answer. */
  readonly statuses: Readonly<Record<string, number>>
  /** How many requests at most can have brought this key to a route that asks for one. */
  mostUses (key: string): number
  /**
   * @param judge what else is wrong with an exchange
   * @param width how many connections at a time
   * @returns what is wrong, with the bytes that show it
   */
  rage (plans: Iterable<Plan>, judge?: (exchange: Exchange) => string[], width?: number): Promise<string[]>
}

export function startStorm (port: number, world: World): Storm {
  const ledger = startLedger()
  const statuses: Record<string, number> = {}
  const uses = new Map(world.attackers.map(({ key }) => [key, 0]))
  /** The last few that got no answer, for whoever asks what the host died of. */
  const unanswered: Plan[] = []
  let sent = 0

  const countUses = ({ plan: { pieces, then }, end }: Exchange, answers: readonly Answer[]): void => {
    const bytes = Buffer.concat(pieces)
    const guarded = answers.filter(({ headers }) => headers.get('x-route')?.startsWith('/v1/') === true).length
    // Else answers may be missing that were given.
    const complete = then === 'reads' && end === 'closed' && answers.every(({ status, headers }) => headers.has('x-method') || status === 100)
    for (const key of uses.keys()) {
      const times = occurrences(bytes, key)
      uses.set(key, uses.get(key)! + (complete ? Math.min(times, guarded) : times))
    }
  }
  const once = async (plan: Plan): Promise<Exchange> => {
    sent++
    const exchange = await send(port, plan)
    const { answers } = readAnswers(exchange.received)
    countUses(exchange, answers)
    for (const answer of answers) {
      ledger.note(answer)
      statuses[answer.status] = 1 + (statuses[answer.status] ?? 0)
    }
    if (answers.length === 0) {
      statuses.none = 1 + (statuses.none ?? 0)
      if (exchange.end !== 'refused') unanswered.push(plan)
      if (unanswered.length > WIDTH) unanswered.shift()
    }
    return exchange
  }

  return {
    ledger,
    get sent () { return sent },
    statuses,
    mostUses: (key) => uses.get(key)!,
    async rage (plans, judge = () => [], width = WIDTH) {
      const wrong: Array<{ plan: Plan, faults: string[] }> = []
      let gone = false
      const faultsIn = (exchange: Exchange): string[] => [...faultsOf(exchange, world), ...judge(exchange)]
      const queue = plans[Symbol.iterator]()
      await Promise.all(Array.from({ length: width }, async () => {
        for (let next = queue.next(); next.done !== true && wrong.length < SHOWN && !gone; next = queue.next()) {
          const exchange = await once(next.value)
          const faults = faultsIn(exchange)
          gone ||= exchange.end === 'refused'
          if (faults.length > 0) wrong.push({ plan: next.value, faults })
        }
      }))
      if (gone) return ['the host is gone; one of these was the last that it heard:', ...unanswered.map(shown)]
      return await Promise.all(wrong.slice(0, SHOWN).map(async ({ plan, faults }) => {
        const least = await smallest(plan, async (smaller) => faultsIn(await once(smaller)).includes(faults[0]!))
        return `${[...new Set(faults)].join('; ')}\n${shown(least)}`
      }))
    }
  }
}

function occurrences (bytes: Buffer, text: string): number {
  let count = 0
  for (let place = bytes.indexOf(text); place !== -1; place = bytes.indexOf(text, place + 1)) count++
  return count
}

/** What it is, its bytes as a JavaScript text of one character a byte has them, long runs of one counted, and what is done then. */
function shown ({ name, pieces, then }: Plan): string {
  const texts = pieces.map((piece) => JSON.stringify(piece.toString('latin1'))
    .replace(/[\x7f-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)
    .replace(/(.)\1{40,}/g, (run, one: string) => `${one}{${run.length}}`)
    .slice(0, 4000))
  return `${name}\n${texts.join('\n')}\nand then it ${then.replace('-', ' ')}`
}
