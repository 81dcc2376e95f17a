// A connection that is kept open and carries requests byte for byte, for what no HTTP client would send.
import { connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { portOf } from './host.js'

/** `headers` by lower-case name. */
export interface PlainAnswer { readonly status: number, readonly headers: Readonly<Record<string, string>>, readonly body: string }

export interface RawConnection {
  /** Sends head lines and a body as they are, one request at a time. Where the server hung up, the next one connects anew. */
  ask (head: readonly string[], body?: string): Promise<PlainAnswer>
  close (): void
}

export async function rawConnection (app: FastifyInstance): Promise<RawConnection> {
  const port = await portOf(app)
  let socket: Socket | null = null
  return {
    async ask (head, body = '') {
      if (socket === null || socket.destroyed) socket = connect(port, '127.0.0.1')
      const answered = answerFrom(socket, head[0]!.startsWith('HEAD '))
      socket.write(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1')
      const answer = await answered
      if (answer.headers.connection !== 'keep-alive') socket.destroy()
      return answer
    },
    close () { socket?.destroy() }
  }
}

/** The next answer, whose body is as long as it says, or goes on until the server hangs up. */
async function answerFrom (socket: Socket, headOnly: boolean): Promise<PlainAnswer> {
  return await new Promise((resolve, reject) => {
    let received = ''
    const settle = (settled: () => void): void => {
      socket.off('data', onData).off('close', onClose).off('error', reject)
      settled()
    }
    const onData = (chunk: Buffer): void => {
      received += chunk.toString('latin1')
      const answer = completeAnswer(received, headOnly)
      if (answer !== null) settle(() => { resolve(answer) })
    }
    const onClose = (): void => {
      const answer = completeAnswer(received, true)
      settle(() => { if (answer === null) reject(new Error('The server hung up without an answer.')); else resolve(answer) })
    }
    socket.on('data', onData).on('close', onClose).on('error', reject)
  })
}

/** null while some of it is still to come. @param ended is the body as long as what is there? */
function completeAnswer (received: string, ended: boolean): PlainAnswer | null {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [line = '', ...fields] = received.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(fields.map((field) => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
  }))
  const status = Number(line.split(' ')[1])
  const body = received.slice(end + 4)
  const length = status === 204 || status === 304 ? 0 : Number(headers['content-length'] ?? Infinity)
  return ended || body.length >= length ? { status, headers, body: Buffer.from(body, 'latin1').toString('utf8') } : null
}
