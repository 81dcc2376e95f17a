// A TCP proxy in front of a server, which can be told to misbehave while it runs.
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * - `pass`: everything arrives.
 * - `refuse`: nobody listens, and what was connected is gone.
 * - `reset`: connections are taken and reset, open ones too.
 * - `black-hole`: connections are taken, and nothing that is sent arrives until the fault is over, on open ones neither.
 * - `forget`: open connections are silent for good, as when the machine at the other end was replaced; new ones work.
 * - `slow`: each chunk is held back for so many ms, either way.
 * - `cut`: each connection breaks after a random number of bytes, `within` at most, in the middle of whatever is said.
 */
export type Fault = 'pass' | 'refuse' | 'reset' | 'black-hole' | 'forget' | { readonly slow: number } | { readonly cut: { readonly within: number } }

export interface FaultProxy {
  /** At 127.0.0.1. It stays the same. */
  readonly port: number
  /** Resolves when the fault is in force. */
  set (fault: Fault): Promise<void>
}

/** One connection: from the client, and on to the server. */
interface Pair { readonly client: Socket, readonly server: Socket, bytesLeft: number, forgotten: boolean }

/** Ended with the test. @param port of the server, at 127.0.0.1 */
export async function startFaultProxy (t: Test, port: number): Promise<FaultProxy> {
  let fault: Fault = 'pass'
  const pairs = new Set<Pair>()
  /** Connections that came into the black hole: the server hears of them afterwards. */
  let waiting: Socket[] = []

  const end = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
  const budget = (): number => typeof fault === 'object' && 'cut' in fault ? 1 + Math.floor(Math.random() * fault.cut.within) : Infinity
  const flow = (pair: Pair): void => {
    for (const socket of [pair.client, pair.server]) {
      if (fault === 'black-hole' || pair.forgotten) socket.pause()
      else socket.resume()
    }
  }
  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    from.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, pair.bytesLeft)
      pair.bytesLeft -= part.length
      if (pair.bytesLeft === 0) to.write(part, () => { end(pair) })
      else if (typeof fault === 'object' && 'slow' in fault) {
        from.pause()
        setTimeout(() => {
          to.write(part)
          flow(pair)
        }, fault.slow)
      } else to.write(part)
    })
    from.on('error', () => {})
    // What is silent does not hear of an end either.
    from.on('close', () => { if (!pair.forgotten) end(pair) })
  }
  const join = (client: Socket): void => {
    const pair = { client, server: connect(port, '127.0.0.1'), bytesLeft: budget(), forgotten: false }
    pairs.add(pair)
    forward(pair, client, pair.server)
    forward(pair, pair.server, client)
    flow(pair)
  }
  const listener: Server = createServer((client) => {
    client.on('error', () => {})
    if (fault === 'reset') client.resetAndDestroy()
    else if (fault === 'black-hole') waiting.push(client.pause())
    else join(client)
  })
  const listen = async (at: number): Promise<number> => {
    listener.listen(at, '127.0.0.1')
    await once(listener, 'listening')
    return (listener.address() as { port: number }).port
  }
  const own = await listen(0)
  t.teardown(() => {
    listener.close()
    for (const pair of pairs) end(pair)
    for (const client of waiting) client.destroy()
  })

  return {
    port: own,
    async set (next) {
      fault = next
      if (next === 'refuse') {
        listener.close()
        for (const pair of pairs) end(pair)
      } else if (!listener.listening) await listen(own)
      for (const pair of pairs) {
        if (next === 'reset') {
          pair.client.resetAndDestroy()
          end(pair)
        }
        pair.forgotten ||= next === 'forget'
        pair.bytesLeft = budget()
        flow(pair)
      }
      if (next === 'black-hole') return
      for (const client of waiting) {
        if (next === 'refuse' || next === 'reset') client.resetAndDestroy()
        else join(client)
      }
      waiting = []
    }
  }
}
