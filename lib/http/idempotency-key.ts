// Reads the Idempotency-Key header of a request.
import type { FastifyRequest } from 'fastify'
import { refuseField } from '../fields.js'
import { readIdempotencyKey } from '../keys/idempotency.js'

const HEADER = 'Idempotency-Key'

/** undefined where there is none. @throws INVALID_REQUEST */
export function idempotencyKeyOf ({ raw: { rawHeaders } }: FastifyRequest): string | undefined {
  const values = rawHeaders.filter((_value, place) => place % 2 === 1 && rawHeaders[place - 1]!.toLowerCase() === HEADER.toLowerCase())
  if (values.length > 1) refuseField(HEADER, 'must be sent once')
  return values.length === 0 ? undefined : readIdempotencyKey(HEADER, values[0])
}
