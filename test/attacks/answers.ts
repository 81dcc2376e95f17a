// Reads HTTP/1.1 answers as strictly as RFC 9112 has them: what is not well formed is a fault, whatever a browser would make of it.

export interface Answer {
  readonly status: number
  /** By lower-case name; several of a name are joined, those that say where the body ends are one. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface Answers {
  readonly answers: readonly Answer[]
  /** What is malformed; null: nothing. */
  readonly fault: string | null
  /** Bytes of a last answer that broke off. */
  readonly rest: number
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\t\x20-\x7e\x80-\xff]*$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/
const ONCE = ['content-length', 'transfer-encoding', 'content-type', 'cache-control', 'x-request-id', 'x-route']

/**
 * Where requests come without waiting for answers, and one that expects it is answered with bytes before an earlier one is answered
 * at all, Node 20 puts this between that answer's head and body. It is nothing that a plugin could help.
 */
const MISPLACED = 'HTTP/1.1 100 Continue\r\n\r\n'

class Fault extends Error {}
/** More bytes are needed. */
class BrokenOff extends Error {}

export function readAnswers (bytes: Buffer): Answers {
  const answers: Answer[] = []
  let start = 0
  while (start < bytes.length) {
    try {
      const { answer, end } = readAnswer(bytes, start)
      answers.push(answer)
      start = end
    } catch (error) {
      if (!(error instanceof Fault || error instanceof BrokenOff)) throw error
      return { answers, fault: error instanceof Fault ? error.message : null, rest: bytes.length - start }
    }
  }
  return { answers, fault: null, rest: 0 }
}

function readAnswer (bytes: Buffer, start: number): { answer: Answer, end: number } {
  const headEnd = bytes.indexOf('\r\n\r\n', start)
  if (headEnd === -1) {
    // Not every text becomes an answer by going on.
    if (!'HTTP/1.1 '.startsWith(bytes.toString('latin1', start, start + 9))) throw new Fault(`no answer begins with ${JSON.stringify(bytes.toString('latin1', start, start + 40))}`)
    throw new BrokenOff()
  }
  const [line = '', ...fields] = bytes.toString('latin1', start, headEnd).split('\r\n')
  const status = Number(STATUS_LINE.exec(line)?.[1] ?? fail(`the status line ${JSON.stringify(line.slice(0, 80))}`))
  const headers = new Map<string, string>()
  for (const field of fields) {
    const [, name = '', value = ''] = FIELD.exec(field) ?? fail(`the header ${JSON.stringify(field.slice(0, 80))}`)
    const before = headers.get(name.toLowerCase())
    if (before !== undefined && ONCE.includes(name.toLowerCase())) fail(`${name} twice`)
    headers.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`)
  }
  const { body, end } = readBody(bytes, headEnd + 4, status, headers)
  return { answer: { status, headers, body }, end }
}

function readBody (bytes: Buffer, start: number, status: number, headers: ReadonlyMap<string, string>): { body: Buffer, end: number } {
  const length = headers.get('content-length')
  const encoding = headers.get('transfer-encoding')
  if (length !== undefined && !/^\d+$/.test(length)) fail(`the length ${length}`)
  if (encoding !== undefined && (encoding !== 'chunked' || length !== undefined)) fail(`the encoding ${encoding}`)
  if (status < 200 || status === 204 || status === 304 || headers.get('x-method') === 'HEAD') return { body: Buffer.alloc(0), end: start }
  if (encoding !== undefined) return readChunks(bytes, start)
  // Our answers say how long they are: one that does not has no body, and what follows is another answer.
  const size = Number(length ?? 0)
  const from = size > 0 && bytes.toString('latin1', start, start + MISPLACED.length) === MISPLACED ? start + MISPLACED.length : start
  return { body: take(bytes, from, size), end: from + size }
}

function readChunks (bytes: Buffer, start: number): { body: Buffer, end: number } {
  const parts: Buffer[] = []
  for (let place = start; ;) {
    const lineEnd = bytes.indexOf('\r\n', place)
    if (lineEnd === -1) throw new BrokenOff()
    const line = bytes.toString('latin1', place, lineEnd)
    if (!/^[0-9a-f]+$/i.test(line)) fail(`the chunk ${JSON.stringify(line.slice(0, 40))}`)
    const size = parseInt(line, 16)
    const part = take(bytes, lineEnd + 2, size + 2)
    if (part.toString('latin1', size) !== '\r\n') fail('a chunk that does not end where it said')
    place = lineEnd + 2 + size + 2
    if (size === 0) return { body: Buffer.concat(parts), end: place }
    parts.push(part.subarray(0, size))
  }
}

function take (bytes: Buffer, start: number, length: number): Buffer {
  if (start + length > bytes.length) throw new BrokenOff()
  return bytes.subarray(start, start + length)
}

function fail (what: string): never {
  throw new Fault(what)
}
