// How a file is sent: not at all to whoever has it, compressed to whoever takes that.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PageFile } from '../dashboard/page-files.js'
import { addVary } from './vary.js'

/** Best first. */
const ENCODINGS = ['br', 'gzip'] as const

/** To be asked for anew each time, which costs a 304 where nothing has changed. */
export function sendFile ({ headers }: FastifyRequest, reply: FastifyReply, { type, etag, body, compressed }: PageFile): FastifyReply {
  reply.headers({ 'cache-control': 'no-cache', etag })
  addVary(reply, 'accept-encoding')
  if (hasCopy(headers['if-none-match'], etag)) return reply.code(304).send()
  const encoding = ENCODINGS.find((name) => compressed[name] !== undefined && accepts(headers['accept-encoding'], name))
  // A host's plugin for compression leaves alone what has an encoding.
  if (encoding !== undefined) reply.header('content-encoding', encoding)
  return reply.type(type).send(encoding === undefined ? body : compressed[encoding])
}

/** If-None-Match compares weakly: RFC 9110 §13.1.2. */
function hasCopy (header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim())
  return tags.includes('*') || tags.some((tag) => opaque(tag) === opaque(etag))
}

function opaque (tag: string): string {
  return tag.replace(/^W\//, '')
}

/** RFC 9110 §12.5.3; nothing said is nothing but the file as it is. */
function accepts (header: string | string[] | undefined, encoding: string): boolean {
  const weights = new Map(String(header ?? '').toLowerCase().split(',').map((part) => {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    const weight = parameters.find((text) => text.startsWith('q='))
    return [name, weight === undefined ? 1 : Number(weight.slice(2))] as const
  }))
  return (weights.get(encoding) ?? weights.get('*') ?? 0) > 0
}
