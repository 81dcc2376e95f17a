// Hands every request with an identified key to the usage recorder, once, whatever became of it.
import type { Http2Stream } from 'node:http2'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../time.js'
import type { UsageRecorder } from '../usage/recorder.js'
import type { KeyCredentialParts } from './key-credential.js'
import { requestIdOf, stateOf } from './request-state.js'

/** Status of a request whose client hung up before the answer, as nginx logs it. */
const CLIENT_CLOSED = 499

/**
 * @returns what to call when a key is identified. It listens to the raw answer: Fastify's `onResponse` never comes for a
 *   client that hung up, and comes late or not at all behind a host's slow or failing hook.
 */
export function usageHook (record: UsageRecorder['record'], clock: Clock): KeyCredentialParts['onIdentified'] {
  return (request, reply, key, route) => {
    const state = stateOf(request)
    const { method } = request
    let recorded = false
    const recordOnce = (answered: boolean): void => {
      if (recorded) return
      recorded = true
      const status = answered ? reply.statusCode : CLIENT_CLOSED
      const failed = status >= 400
      record({
        // A copy: this one waits for the flush, and would make V8 put the whole key among the objects that live long.
        key: { ...key.ref },
        time: clock.now(),
        method,
        route,
        status,
        durationMs: reply.elapsedTime,
        failureCode: !answered ? 'CLIENT_CLOSED_REQUEST' : failed ? state!.failureCode : null,
        requestId: failed ? requestIdOf(request) : null
      }, key)
    }
    const { raw } = reply
    const stream = streamOf(reply)
    // Looking the key up takes time: the answer may be over already, by a time limit of the host or by the client.
    if (raw.writableEnded || (stream ?? raw).destroyed) {
      recordOnce(raw.writableEnded)
      return
    }
    // HTTP/2 says `finish` for a cancelled answer too.
    raw.on('finish', () => { recordOnce(stream === undefined || (stream.writableFinished && !stream.aborted)) })
    raw.on('close', () => { recordOnce(false) })
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
