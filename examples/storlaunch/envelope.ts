// The envelope around every answer, errors of the library and of Fastify included: { data, error, meta }.
import { randomBytes } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import createError from '@fastify/error'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'

export const NotFound = createError('NOT_FOUND', 'There is nothing here.', 404)

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** What Fastify must be made with: ids for `meta.requestId`, and the envelope for URLs that it cannot read. */
export const envelopeOptions = {
  genReqId: () => `req_${ulid()}`,
  frameworkErrors: fail
} satisfies FastifyServerOptions

export function useEnvelope (app: FastifyInstance): void {
  app.addHook('preSerialization', async (request, reply, payload) =>
    reply.statusCode < 400 ? { data: payload, error: null, meta: metaOf(request) } : payload)
  app.setErrorHandler(fail)
  app.setNotFoundHandler((request, reply) => { fail(new NotFound(), request, reply) })
}

function fail (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode = 500, message } = error
  const code = codeOf(error, statusCode)
  if (statusCode === 500) request.log.error(error)
  // What went wrong inside is for the log alone.
  const shown = statusCode === 500 ? 'Something went wrong.' : message
  reply.code(statusCode).send({ data: null, error: { code, message: shown }, meta: metaOf(request) })
}

/** Fastify's own codes, and what has none, are named by their status. */
function codeOf ({ code }: FastifyError, statusCode: number): string {
  if (statusCode !== 500 && code !== undefined && !code.startsWith('FST_')) return code
  return statusCode === 400 ? 'INVALID_REQUEST' : STATUS_CODES[statusCode]!.toUpperCase().replaceAll(' ', '_')
}

function metaOf ({ id }: FastifyRequest): { requestId: string, timestamp: string } {
  return { requestId: id, timestamp: toSeconds(new Date().toISOString()) }
}

/** Times as the documentation prints them, which strict parsers hold us to. */
export function toSeconds (time: string): string {
  return time.replace(/\.\d+/, '')
}

/** https://github.com/ulid/spec */
export function ulid (): string {
  const bits = BigInt(Date.now()) << 80n | BigInt(`0x${randomBytes(10).toString('hex')}`)
  return Array.from({ length: 26 }, (_, place) => CROCKFORD[Number(bits >> BigInt(125 - 5 * place) & 31n)]).join('')
}
