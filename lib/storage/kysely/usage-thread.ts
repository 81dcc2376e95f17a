// Hands usage to a thread of its own, one piece of work at a time. It is started by the first large batch, and anew where it has ended.
import { once } from 'node:events'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { within } from '../../time.js'
import type { UsageBatch } from '../storage.js'
import { encodeBatch, sharedTime, type Answer, type Request, type ThreadSettings, type Work } from './usage-messages.js'
import { tooLate } from './write-lock.js'

/** Events that are few: while no thread runs, one is not started for them. A few milliseconds on the event loop cost a small host less. */
const FEW = 200
/** MB of what a batch leaves behind that are kept before they are cleared away: by itself a thread would take six times as much. */
const YOUNG = 8
/** ms that the thread may take to end: a batch under way, and the connection closed. */
const END = 1500

export interface UsageThread {
  /** Is there one now? */
  readonly running: boolean
  /** Is the batch for the thread? */
  takes (batch: UsageBatch): boolean
  // Each rejects where it is not done within `timeout` ms.
  record (batch: UsageBatch): Promise<void>
  /** Removes old usage; answers how many rows. */
  prune (before: number, limit: number): Promise<number>
  /** Moves what the write-ahead log holds into the file, and empties it. */
  emptyLog (): Promise<void>
  /** Ends the thread when it has written what it was given. */
  close (): Promise<void>
}

interface Running { readonly worker: Worker, readonly ended: Promise<never> }

/** @param prefix of the tables' names @param onStart called whenever a thread is started */
export function usageThread (file: string, prefix: string, timeout: number, onStart: () => void): UsageThread {
  // Where the process changes its folder, the path must not change its meaning.
  const settings: ThreadSettings = { file: resolve(file), prefix, timeout }
  let running: Running | null = null
  let last: Promise<unknown> = Promise.resolve()
  let closed = false

  const start = (): Running => {
    const worker = new Worker(new URL('./usage-worker.js', import.meta.url), { workerData: settings, name: 'usage', resourceLimits: { maxYoungGenerationSizeMb: YOUNG } })
    // Idle, it does not keep the process alive.
    worker.unref()
    const ended = once(worker, 'exit').then(() => { throw new Error('The thread that writes usage has ended.') })
      .finally(() => { running = null })
    ended.catch(() => {})
    onStart()
    return { worker, ended }
  }

  /** @param work encoded when its turn has come, and then handed over */
  const send = async (work: () => Work, deadline: number): Promise<number> => {
    if (closed || sharedTime() >= deadline) throw tooLate(timeout)
    const { worker, ended } = running ??= start()
    worker.ref()
    const request = { work: work(), deadline } satisfies Request
    worker.postMessage(request, 'record' in request.work ? [request.work.record.numbers.buffer] : [])
    const [answer] = await Promise.race([once(worker, 'message'), ended]) as [Answer]
    worker.unref()
    if ('removed' in answer) return answer.removed
    throw Object.assign(new Error(answer.error.message), { code: answer.error.code })
  }

  const inTurn = async (work: () => Work): Promise<number> => {
    const deadline = sharedTime() + timeout
    const before = last
    const done = (async () => {
      await before.catch(() => {})
      return await send(work, deadline)
    })()
    last = done
    return await within(timeout, done, () => tooLate(timeout))
  }

  return {
    get running () { return running !== null },
    takes: ({ events }) => running !== null || events.length > FEW,
    async record (batch) { await inTurn(() => ({ record: encodeBatch(batch) })) },
    prune: async (before, limit) => await inTurn(() => ({ prune: { before, limit } })),
    async emptyLog () { await inTurn(() => ({ emptyLog: true })) },
    async close () {
      const drained = async (): Promise<void> => {
        await last.catch(() => {})
        if (running === null) return
        const { worker, ended } = running
        worker.ref()
        worker.postMessage('close' satisfies Request)
        await ended.catch(() => {})
      }
      await within(END, drained(), () => tooLate(END)).finally(() => { closed = true }).catch(async () => { await running?.worker.terminate() })
    }
  }
}
