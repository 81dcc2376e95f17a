// Adds to the headers that an answer depends on, beside those that a hook of the host has named.
import type { FastifyReply } from 'fastify'

/** @param names one, or several with commas between */
export function addVary (reply: FastifyReply, names: string): void {
  const before = reply.getHeader('vary')
  reply.header('vary', before === undefined ? names : `${String(before)}, ${names}`)
}
