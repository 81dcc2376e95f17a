// Hands every request with an identified key to the usage recorder, once, whatever became of it.
import type { Http2Stream } from 'node:http2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { UsageEvent } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { stateOf } from './request-state.js'

/** Status of a request whose client hung up before the answer, as nginx logs it. */
const CLIENT_CLOSED = 499

/**
 * @returns what to call when a key is identified: it watches for a client that hangs up, in which case Fastify's
 *   `onResponse` may never come
 */
export function usageHook (
  app: FastifyInstance, record: (event: UsageEvent) => void, clock: Clock
): (request: FastifyRequest, reply: FastifyReply) => void {
  const recordOnce = (request: FastifyRequest, reply: FastifyReply, hungUp: boolean): void => {
    const state = stateOf(request)
    if (state === undefined || state.usage === null) return
    const status = hungUp ? CLIENT_CLOSED : reply.statusCode
    const failed = status >= 400
    record({
      ...state.usage,
      time: clock.now(),
      method: request.method,
      status,
      durationMs: reply.elapsedTime,
      failureCode: hungUp ? 'CLIENT_CLOSED_REQUEST' : failed ? state.failureCode : null,
      requestId: failed ? request.id : null
    })
    state.usage = null
  }

  app.addHook('onResponse', (request, reply, done) => {
    // HTTP/2 says `finish` for a cancelled answer too.
    recordOnce(request, reply, streamOf(reply)?.aborted === true)
    done()
  })

  return (request, reply) => {
    // Looking the key up takes time: the client may be gone already, and `close` with it.
    if (streamOf(reply)?.destroyed ?? reply.raw.destroyed) recordOnce(request, reply, true)
    else reply.raw.once('close', () => { recordOnce(request, reply, true) })
  }
}

/** The stream of an HTTP/2 answer, which knows how it ended. */
function streamOf (reply: FastifyReply): Http2Stream | undefined {
  return (reply.raw as { stream?: Http2Stream }).stream
}

/** An error's code if it is one by its looks: hosts' errors may carry anything there, and usage shows it to customers. */
export function failureCodeOf (error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : null
}
