// Hands batches of usage to a thread of their own, one at a time. It is started by the first large one, and anew where it has ended.
import { once } from 'node:events'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { within } from '../../time.js'
import type { UsageBatch } from '../storage.js'
import { encodeBatch, sharedTime, type Answer, type Request, type ThreadSettings } from './usage-messages.js'
import { tooLate } from './write-lock.js'

/** Events that are few: while no thread runs, one is not started for them. A few milliseconds on the event loop cost a small host less. */
const FEW = 200
/** ms that the thread may take to end: a batch under way, and the connection closed. */
const END = 1500

export interface UsageThread {
  /** Is the batch for the thread? */
  takes (batch: UsageBatch): boolean
  /** Rejects where the batch is not committed within `timeout` ms. */
  record (batch: UsageBatch): Promise<void>
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
    const worker = new Worker(new URL('./usage-worker.js', import.meta.url), { workerData: settings, name: 'usage' })
    // Idle, it does not keep the process alive.
    worker.unref()
    const ended = once(worker, 'exit').then(() => { throw new Error('The thread that writes usage has ended.') })
      .finally(() => { running = null })
    ended.catch(() => {})
    onStart()
    return { worker, ended }
  }

  const send = async (batch: UsageBatch, deadline: number): Promise<void> => {
    if (closed || sharedTime() >= deadline) throw tooLate(timeout)
    const { worker, ended } = running ??= start()
    worker.ref()
    const message = encodeBatch(batch)
    worker.postMessage({ batch: message, deadline } satisfies Request, [message.numbers.buffer])
    const [answer] = await Promise.race([once(worker, 'message'), ended]) as [Answer]
    worker.unref()
    if (answer !== null) throw Object.assign(new Error(answer.message), { code: answer.code })
  }

  return {
    takes: ({ events }) => running !== null || events.length > FEW,
    async record (batch) {
      const deadline = sharedTime() + timeout
      const before = last
      const done = (async () => {
        await before.catch(() => {})
        await send(batch, deadline)
      })()
      last = done
      await within(timeout, done, () => tooLate(timeout))
    },
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
