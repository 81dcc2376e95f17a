// The work beside requests: usage and moved hashes are written, old rows removed, and all of it ended with the app.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { repeat, type Repeated } from './background.js'
import type { RehashQueue } from './keys/rehash-queue.js'
import type { Evictions } from './revocation/evictions.js'
import type { CompleteOptions } from './options/complete.js'
import { slotStart } from './storage/slots.js'
import type { Storage } from './storage/storage.js'
import { HOUR, MINUTE, within } from './time.js'
import type { UsageRecorder } from './usage/recorder.js'
import type { SinkQueue } from './usage/sink.js'

/** Rows that one step of pruning removes at most, so that no other write waits long. */
const PRUNE_STEP = 2000
/** ms that each of the last two steps may take: writing what is left, and closing the storage. */
const END = 2200

export interface Upkeep {
  /** Writes what is buffered. Rejects if it could not; what was not written stays buffered. */
  flush (): Promise<void>
  /** Removes what is past its retention, step by step. */
  prune (): Promise<void>
  start (): void
  /** Ends the background work, writes what is left and closes the storage. What cannot be written is logged and lost. */
  stop (): Promise<void>
}

export interface UpkeepParts {
  readonly storage: Storage
  /** null: no usage is recorded. */
  readonly recorder: UsageRecorder | null
  /** null: nobody is told of recorded usage. */
  readonly sink: Pick<SinkQueue, 'drained'> | null
  readonly rehashes: RehashQueue
  readonly evictions: Pick<Evictions, 'open' | 'close'>
  readonly settings: Pick<CompleteOptions, 'clock' | 'keys' | 'usage' | 'audit'>
  readonly log: Record<'debug' | 'warn' | 'error', (details: object, message: string) => void>
}

export function upkeep ({ storage, recorder, sink, rehashes, evictions, settings, log }: UpkeepParts): Upkeep {
  const { clock, keys, usage, audit } = settings
  const repeated: Repeated[] = []
  const stopping = new AbortController()

  const flush = async (): Promise<void> => {
    await recorder?.flush()
    await rehashes.flush()
  }

  const prune = async (): Promise<void> => {
    const now = clock.now()
    const steps = [
      ...(usage === null ? [] : [async () => await storage.pruneUsage(slotStart(now - usage.retention, 'hour'), PRUNE_STEP)]),
      async () => await storage.pruneKeys(now - keys.retention, PRUNE_STEP),
      async () => await storage.pruneRequests(now, PRUNE_STEP),
      async () => await storage.pruneAudit(now - audit.retention, PRUNE_STEP)
    ]
    for (const step of steps) {
      while (!stopping.signal.aborted && await step() > 0) await nextTurn()
    }
  }

  const written = async (): Promise<void> => {
    await Promise.all(repeated.map(async (work) => { await work.stop() }))
    await flush()
    await sink?.drained()
  }

  return {
    flush,
    prune,
    start () {
      evictions.open()
      const interval = usage?.flushInterval ?? MINUTE
      // The recorder has said so, once an outage; this is the line of every try.
      repeated.push(repeat(interval, interval, flush, (error) => { log.debug({ err: error }, 'flush failed') }))
      if (usage !== null && !usage.prune) return
      repeated.push(repeat(HOUR, MINUTE, prune, (error) => { log.warn({ err: error }, 'pruning failed; the next hour tries again') }))
    },
    async stop () {
      stopping.abort()
      await ended(written, (error) => {
        log.error({ err: error, lost: recorder?.buffered ?? 0 }, 'what was buffered could not be written before the end')
      })
      await Promise.all([
        ended(evictions.close, (error) => { log.error({ err: error }, 'the revocation channel could not be closed') }),
        ended(storage.close, (error) => { log.error({ err: error }, 'the storage could not be closed') })
      ])
    }
  }
}

/** A storage that fails or hangs must not hold the end of the app up. */
async function ended (step: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
  await within(END, step(), () => new Error(`no end in ${END} ms`)).catch(onError)
}
