// What the channels have in common: a connection that listens, tried out again and again, and replaced when it breaks.
import { setTimeout as sleep } from 'node:timers/promises'
import type { PartOptions } from '../part-options.js'
import { within } from '../time.js'
import type { ChannelListener, RevocationChannel } from './channel.js'

/** ms between two trials, and ms that an answer may take: a connection that was cut does not say so by itself. */
const HEARTBEAT = 5000
/** ms before a connection that broke is replaced. */
const PAUSE = 500

/** A connection that is there, and may be made to listen. */
export interface ListeningConnection {
  listen (receive: (message: string) => void): Promise<unknown>
  /** Answers while messages would arrive. */
  ping (): Promise<unknown>
  /** Called once. */
  end (): void
}

export interface ListeningChannelParts {
  /** ms */
  readonly heartbeat: number
  /**
   * @param broken to be called when the connection breaks by itself
   * @param over comes when nobody needs the connection any more, perhaps before it is there, and where it never comes to be
   */
  readonly connect: (broken: (error: Error) => void, over: AbortSignal) => Promise<ListeningConnection>
  readonly publish: (message: string) => Promise<unknown>
}

export function listeningChannel ({ heartbeat, connect, publish }: ListeningChannelParts): RevocationChannel {
  const closing = new AbortController()

  /** One connection, from its first attempt to its end, with which it rejects. */
  const session = async ({ receive, listening }: ChannelListener, lost: (error: unknown) => void): Promise<never> => {
    // Not AbortSignal.any: Node 20 holds what listens to such a signal in memory for good.
    const over = new AbortController()
    const stop = (): void => { over.abort() }
    closing.signal.addEventListener('abort', stop)
    const answered = async (answer: Promise<unknown>): Promise<void> => {
      await within(heartbeat, answer, () => new Error(`no answer in ${heartbeat} ms`))
      over.signal.throwIfAborted()
    }
    const listenOn = async (connection: ListeningConnection): Promise<never> => {
      await answered(connection.listen(receive))
      listening()
      while (!over.signal.aborted) {
        await wait(heartbeat, over.signal)
        if (!over.signal.aborted) await answered(connection.ping())
      }
      throw over.signal.reason
    }
    // No second attempt while one is under way: a pool would be emptied by them.
    const slow = setTimeout(() => { lost(new Error(`no connection in ${heartbeat} ms`)) }, heartbeat).unref()
    return await connect((error) => { over.abort(error) }, over.signal)
      .finally(() => { clearTimeout(slow) })
      .then(async (connection) => await listenOn(connection).finally(() => { connection.end() }))
      .finally(() => {
        closing.signal.removeEventListener('abort', stop)
        over.abort()
      })
  }

  /** Never rejects. */
  const run = async (listener: ChannelListener): Promise<void> => {
    const lost = (error: unknown): void => {
      if (!closing.signal.aborted) listener.lost(error)
    }
    while (!closing.signal.aborted) {
      await session(listener, lost).catch(lost)
      await wait(PAUSE, closing.signal)
    }
  }

  return {
    open (listener) { run(listener) },
    async publish (message) { await publish(message) },
    async close () {
      closing.abort()
    }
  }
}

/** Until the time is over, or the signal comes. Keeps no process alive. */
async function wait (ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { ref: false, signal }).catch(() => {})
}

/** ms */
export function readHeartbeat ({ given: { heartbeat = HEARTBEAT }, refuse }: PartOptions): number {
  return Number.isSafeInteger(heartbeat) && (heartbeat as number) >= 10 && (heartbeat as number) <= 3_600_000
    ? heartbeat as number
    : refuse('heartbeat', 'must be an integer from 10 to 3600000 (ms)')
}
