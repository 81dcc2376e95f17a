// Hands recorded usage to the host's own analytics as well: batch after batch, each once, and in nobody's way.
import type { Environment } from '../keys/api-key.js'
import { BATCH_EVENTS, type UsageBatch, type UsageEvent } from '../storage/storage.js'
import { within } from '../time.js'

/** Events that wait at most. */
const MAX_WAITING = 2 * BATCH_EVENTS
/** ms that the host may take for one. */
const PATIENCE = 30_000

/** Whose request an event was. */
export interface UsageOwner { readonly accountId: string, readonly publicId: string, readonly environment: Environment }

/** A request with an identified key: what it was, and what became of it. Times in ms since the epoch. */
export interface UsageSinkEvent extends Omit<UsageEvent, 'key'>, UsageOwner {}

/** `id`: a ULID, no other batch has it. */
export interface UsageSinkBatch { readonly id: string, readonly events: readonly UsageSinkEvent[] }

export interface SinkQueue {
  /**
   * Synchronous, never throws. What finds no room is counted as dropped.
   * @param owners of the events, in their order
   */
  push (batch: UsageBatch, owners: readonly UsageOwner[]): void
  /** Resolves when nothing waits any more. */
  drained (): Promise<void>
  /** Events that the sink was not given, or did not take. */
  readonly dropped: number
}

export interface SinkQueueParts {
  readonly sink: (batch: UsageSinkBatch) => unknown
  readonly log: Record<'info' | 'warn', (details: object, message: string) => void>
}

export function sinkQueue ({ sink, log }: SinkQueueParts): SinkQueue {
  let waiting = 0
  let last = Promise.resolve()
  let dropped = 0
  let failing = false

  const drop = (events: number, err: unknown): void => {
    dropped += events
    if (!failing) log.warn({ err }, 'usage.sink fails: what it does not take is not offered again')
    failing = true
  }

  const give = async (batch: UsageSinkBatch): Promise<void> => {
    try {
      await within(PATIENCE, (async () => await sink(batch))(), () => new Error(`no end in ${PATIENCE} ms`))
      if (failing) log.info({ dropped }, 'usage.sink takes batches again')
      failing = false
    } catch (error) {
      drop(batch.events.length, error)
    }
    waiting -= batch.events.length
  }

  return {
    get dropped () { return dropped },
    push ({ id, events }, owners) {
      if (waiting + events.length > MAX_WAITING) {
        drop(events.length, new Error(`${waiting} events wait for it already`))
        return
      }
      waiting += events.length
      const batch = {
        id,
        events: events.map(({ key: _ref, ...event }, place) => {
          const { accountId, publicId, environment } = owners[place]!
          return { accountId, publicId, environment, ...event }
        })
      }
      last = last.then(async () => { await give(batch) })
    },
    async drained () { await last }
  }
}
