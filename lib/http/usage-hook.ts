// Hands every request with an identified key to the usage recorder, once, whatever became of it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { UsageEvent } from '../storage/storage.js'
import type { Clock } from '../time.js'
import { stateOf } from './request-state.js'

/** Status of a request whose client hung up before the answer, as nginx logs it. */
const CLIENT_CLOSED = 499

/**
 * @returns what to call when a key is identified: it watches for a client that hangs up, in which case Fastify's
 *   `onResponse` never comes
 */
export function usageHook (
  app: FastifyInstance, record: (event: UsageEvent) => void, clock: Clock
): (request: FastifyRequest, reply: FastifyReply) => void {
  const recordOnce = (request: FastifyRequest, reply: FastifyReply, status: number, code: string | null): void => {
    const state = stateOf(request)
    if (state === undefined || state.usageKey === null) return
    const failed = status >= 400
    record({
      key: state.usageKey,
      time: clock.now(),
      method: request.method,
      route: request.routeOptions.url!,
      status,
      durationMs: reply.elapsedTime,
      failureCode: failed ? code : null,
      requestId: failed ? request.id : null
    })
    state.usageKey = null
  }

  app.addHook('onResponse', (request, reply, done) => {
    recordOnce(request, reply, reply.statusCode, stateOf(request)?.failureCode ?? null)
    done()
  })

  return (request, reply) => {
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) recordOnce(request, reply, CLIENT_CLOSED, 'CLIENT_CLOSED_REQUEST')
    })
  }
}

/** An error's code if it is one by its looks: hosts' errors may carry anything there, and usage shows it to customers. */
export function failureCodeOf (error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : null
}
