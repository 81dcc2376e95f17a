// A small host for tests: a clock that stands still, sessions named in a header, a storage that can be watched.
import { mock } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { memoryStorage, selfServeKeys, type Clock, type SelfServeKeysOptions, type SessionResolver, type Storage } from '../../lib/index.js'
import { NOW } from './keys.js'

export interface TestClock extends Clock {
  wall: number
  mono: number
  /** Both clocks go on by so many ms. */
  pass (ms: number): void
}

export function testClock (wall = NOW): TestClock {
  return {
    wall,
    mono: 1000,
    now () { return this.wall },
    monotonic () { return this.mono },
    pass (ms) {
      this.wall += ms
      this.mono += ms
    }
  }
}

/** A bearer token `user_a` is the session of the account `user_a`. */
export const tokenSession: SessionResolver = { bearer: (token) => ({ id: token, actor: { id: `person of ${token}`, name: 'Ada Example' } }) }

/** A line of the host's log. */
export interface LogLine { level: number, msg: string, err?: { message: string }, [member: string]: unknown }

/** An app with the plugin, closed when the test ends. Pruning and flushing happen only when asked for. */
export async function hostOf (t: Test, options: Partial<SelfServeKeysOptions> = {}): Promise<{ app: FastifyInstance, lines: LogLine[] }> {
  const lines: LogLine[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
  t.teardown(async () => { await app.close() })
  app.register(selfServeKeys, {
    session: tokenSession, storage: memoryStorage(), usage: { flushInterval: '1 week', prune: false }, ...options
  })
  app.get('/v1/blocks', { config: { apiKey: true } }, async (request) => request.apiKey.publicId)
  await app.ready()
  return { app, lines }
}

export type Calls = Array<{ readonly name: keyof Storage, readonly args: readonly unknown[] }>

/** The storage, and every call made to it from now on. */
export function watched (storage: Storage): { storage: Storage, calls: Calls } {
  const calls: Calls = []
  const watcher = Object.fromEntries(Object.entries(storage).map(([name, method]) => [name, (...args: unknown[]) => {
    calls.push({ name: name as keyof Storage, args })
    return (method as (...args: unknown[]) => unknown).apply(storage, args)
  }]))
  return { storage: watcher as unknown as Storage, calls }
}

/** A promise and what settles it. */
export function deferred (): { promise: Promise<void>, resolve: () => void } {
  let settle = (): void => {}
  const promise = new Promise<void>((resolve) => { settle = resolve })
  return { promise, resolve: settle }
}

/** `performance.now()` as the test says, until its end. */
export function standingClock (t: Test): { time: number } {
  const clock = { time: 1000 }
  const mocked = mock.method(performance, 'now', () => clock.time)
  t.teardown(() => { mocked.mock.restore() })
  return clock
}
