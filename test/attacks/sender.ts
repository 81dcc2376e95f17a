// Sends bytes over a connection of their own, in the pieces and with the end that a plan says, and keeps what comes back until it is closed.
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readAnswers } from './answers.js'

export interface Plan {
  /** What it is, in words. */
  readonly name: string
  /** Each piece is a packet of its own. */
  readonly pieces: readonly Buffer[]
  /**
   * `reads`: waits for the other side to close. `half-closes`, `resets`: at once, whatever was answered by then. `drips`: goes on
   * with a blank now and then.
   */
  readonly then: 'reads' | 'half-closes' | 'resets' | 'drips'
}

export interface Exchange {
  readonly plan: Plan
  readonly received: Buffer
  /** `reset`: by either side. `refused`: nobody listens. `left`: the other side has not closed, and never will. */
  readonly end: 'closed' | 'reset' | 'refused' | 'left'
}

/** ms after which a connection that nothing happens on counts as left behind: many times what the host allows. */
const PATIENCE = 30_000
/** ms */
const DRIP = 50

export async function send (port: number, plan: Plan): Promise<Exchange> {
  const socket = open(port)
  const parts: Buffer[] = []
  let end: Exchange['end'] = 'closed'
  socket.on('error', (error: NodeJS.ErrnoException) => { end = error.code === 'ECONNREFUSED' ? 'refused' : 'reset' })
  const patience = setTimeout(() => {
    end = 'left'
    socket.destroy()
  }, PATIENCE)
  const closed = new Promise<void>((resolve) => { socket.on('close', () => { resolve() }) })
  socket.on('data', (part: Buffer) => { parts.push(part) })

  for (const piece of plan.pieces) {
    if (!socket.writable) break
    await new Promise<void>((resolve) => { socket.write(piece, () => { resolve() }) })
    await nextTurn()
  }
  const drip = plan.then === 'drips' ? setInterval(() => { socket.write(' ') }, DRIP) : undefined
  if (plan.then === 'half-closes') socket.end()
  if (plan.then === 'resets') await reset(socket)
  await closed
  clearTimeout(patience)
  clearInterval(drip)
  return { plan, received: Buffer.concat(parts), end }
}

/** Sends what is answered with more than the buffers between us hold, and never reads it. @returns what ends it on our side */
export function openAndNeverRead (port: number, bytes: Buffer): () => void {
  const socket = open(port).pause().on('error', () => {})
  socket.write(bytes)
  return () => { socket.destroy() }
}

function open (port: number): Socket {
  return connect({ port, host: '127.0.0.1', noDelay: true })
}

/** Behind the last packet, which is on its way by now. */
async function reset (socket: Socket): Promise<void> {
  await nextTurn()
  socket.resetAndDestroy()
}

/** Asks once, over a connection of its own. @returns status and body */
export async function ask (port: number, path: string, ...headers: string[]): Promise<{ status: number, json: any }> {
  const { received } = await send(port, {
    name: path, pieces: [Buffer.from([`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n'))], then: 'reads'
  })
  const { answers: [answer], fault } = readAnswers(received)
  if (answer === undefined || fault !== null) throw new Error(`${path}: ${fault ?? 'no answer'}`)
  return { status: answer.status, json: JSON.parse(String(answer.body)) }
}
