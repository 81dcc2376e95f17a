// The usage recorder: a bounded buffer that requests only push to, and the flush that writes it away in batches.
import { ulid } from '../crypto.js'
import { BATCH_EVENTS, BATCH_MEMORY, type Storage, type UsageBatch, type UsageEvent } from '../storage/storage.js'
import type { Clock } from '../time.js'
import type { SinkQueue, UsageOwner } from './sink.js'

export interface UsageRecorder {
  /** Synchronous, never throws. What finds no room is counted as dropped. */
  record (event: UsageEvent, owner: UsageOwner): void
  /** Writes what is buffered at the time of the call. Rejects if it could not; what was not written stays buffered. */
  flush (): Promise<void>
  readonly buffered: number
  readonly dropped: number
}

export interface UsageRecorderParts {
  readonly storage: Pick<Storage, 'recordUsage'>
  readonly clock: Clock
  readonly maxBuffered: number
  /** Given each batch after the storage has it; null: nobody is. */
  readonly sink: Pick<SinkQueue, 'push'> | null
  readonly log: { warn (details: object, message: string): void, info (details: object, message: string): void }
}

export function usageRecorder ({ storage, clock, maxBuffered, sink, log }: UsageRecorderParts): UsageRecorder {
  let events: UsageEvent[] = []
  /** Of the events, in their order; none where nobody asks. */
  let owners: UsageOwner[] = []
  /** Sealed and not yet acknowledged: sent again as it is, under the same id, so that it counts once. */
  let sealed: { batch: UsageBatch, owners: readonly UsageOwner[], at: number } | null = null
  let dropped = 0
  let outage: 'none' | 'failing' | 'dropping' = 'none'
  let running: Promise<void> | null = null
  let queued: Promise<void> | null = null

  const buffered = (): number => events.length + (sealed?.batch.events.length ?? 0)

  const drop = (count: number): void => {
    dropped += count
    if (outage !== 'dropping') log.warn({ dropped }, 'usage events are dropped: the buffer is full')
    outage = 'dropping'
  }

  const seal = (): void => {
    const now = clock.now()
    const batch = { id: ulid(now), sealedAt: now, events: events.slice(0, BATCH_EVENTS) }
    events = events.slice(BATCH_EVENTS)
    sealed = { batch, owners: owners.slice(0, BATCH_EVENTS), at: clock.monotonic() }
    owners = owners.slice(BATCH_EVENTS)
  }

  const send = async ({ batch, owners, at }: NonNullable<typeof sealed>): Promise<void> => {
    // The storage has forgotten the id by now: sending again could count the batch twice.
    if (clock.monotonic() - at >= BATCH_MEMORY) {
      drop(batch.events.length)
      return
    }
    try {
      await storage.recordUsage(batch)
    } catch (error) {
      if (outage === 'none') {
        log.warn({ err: error, buffered: buffered() }, 'usage could not be written; it is kept and tried again')
        outage = 'failing'
      }
      throw error
    }
    if (outage !== 'none') log.info({ dropped }, 'usage is written again')
    outage = 'none'
    sink?.push(batch, owners)
  }

  const drain = async (): Promise<void> => {
    let rest = buffered()
    while (rest > 0) {
      if (sealed === null) seal()
      const current = sealed!
      await send(current)
      sealed = null
      rest -= current.batch.events.length
    }
  }

  const flush = async (): Promise<void> => {
    if (running === null) {
      running = drain().finally(() => { running = null })
      return await running
    }
    // One more round behind the one under way serves every caller that came meanwhile.
    queued ??= running.catch(() => {}).then(async () => {
      queued = null
      await flush()
    })
    await queued
  }

  return {
    get buffered () { return buffered() },
    get dropped () { return dropped },
    record (event, owner) {
      if (buffered() >= maxBuffered) {
        drop(1)
        return
      }
      events.push(event)
      if (sink !== null) owners.push(owner)
      // A failed flush is logged where it fails, and tried again by the interval.
      if (events.length >= BATCH_EVENTS && running === null && outage === 'none') flush().catch(() => {})
    },
    flush
  }
}
