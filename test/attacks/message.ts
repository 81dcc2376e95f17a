// A request in parts, before it is bytes: whatever a part holds is written as it is.

export interface Message {
  readonly method: string
  readonly target: string
  readonly version: string
  /** Lines, a byte a character. */
  readonly headers: readonly string[]
  /** Lines that say where the body ends; null: a Content-Length that is right, where there is a body. */
  readonly framing: readonly string[] | null
  readonly body: Buffer
}

/** What is done to a request of ours; bytes stand for all of it. */
export type Twist = (message: Message) => Message | Buffer

export function bytesOf (message: Message | Buffer): Buffer {
  if (Buffer.isBuffer(message)) return message
  const { method, target, version, headers, body } = message
  const framing = message.framing ?? (body.length === 0 ? [] : [`Content-Length: ${body.length}`])
  return Buffer.concat([Buffer.from([`${method} ${target} ${version}`, ...headers, ...framing, '', ''].join('\r\n'), 'latin1'), body])
}

/** Adds header lines. */
export function withHeaders (...lines: string[]): Twist {
  return (message) => ({ ...message, headers: [...message.headers, ...lines] })
}

/** The same without the headers of these names, and with these lines. */
export function instead (name: string, ...lines: string[]): (message: Message) => Message {
  return (message) => ({
    ...message, headers: [...message.headers.filter((line) => !line.toLowerCase().startsWith(`${name.toLowerCase()}:`)), ...lines]
  })
}

/** Gives it a body, as JSON unless the type is another. */
export function withBody (body: string | Buffer, type: string | null = 'application/json'): Twist {
  return (message) => ({ ...instead('content-type', ...type === null ? [] : [`Content-Type: ${type}`])(message), body: Buffer.from(body) })
}

/** Says where a body ends in another way. */
export function framed (framing: readonly string[], body: string | Buffer): Twist {
  return (message) => ({ ...message, framing, body: Buffer.from(body) })
}

/** Asks for something else. */
export function withTarget (change: (target: string) => string): Twist {
  return (message) => ({ ...message, target: change(message.target) })
}

/** Adds to the query. */
export function withQuery (query: string): Twist {
  return withTarget((target) => `${target}${target.includes('?') ? '&' : '?'}${query}`)
}

/** The bytes of a body in chunks. */
export function chunks (body: Buffer, size: number, extension = ''): Buffer {
  const parts: Buffer[] = []
  for (let start = 0; start < body.length; start += size) {
    const part = body.subarray(start, start + size)
    parts.push(Buffer.from(`${part.length.toString(16)}${extension}\r\n`, 'latin1'), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from(`0${extension}\r\n`, 'latin1')])
}
