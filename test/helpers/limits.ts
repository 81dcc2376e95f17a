// Hosts whose keys are limited: what an answer says of it in one line, and a store that notes what it was asked.
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { memoryRateLimitStore, type Bucket, type RateLimitStore, type SelfServeKeysOptions } from '../../lib/index.js'
import { testClock, type TestClock } from './app.js'
import { build, storeKey, type Host, type HostParts } from './host.js'

export interface Limited extends Omit<Host, 'clock'> {
  clock: TestClock
  key: string
  publicId: string
  /** Asks as the key, or as another one. */
  get: (url: string, key?: string, more?: InjectOptions) => Promise<LightMyRequestResponse>
  /** The same, told in one line. */
  told: (url: string, key?: string, more?: InjectOptions) => Promise<string>
}

/** Status, `RateLimit` and Retry-After: `429 "default";r=0;t=60 after 60`. */
export function lineOf ({ statusCode, headers }: Pick<LightMyRequestResponse, 'statusCode' | 'headers'>): string {
  const { ratelimit, 'retry-after': after } = headers
  return [statusCode, ...(ratelimit === undefined ? [] : [ratelimit]), ...(after === undefined ? [] : [`after ${after}`])].join(' ')
}

/** A host with one key. Its route `/x` takes any. */
export async function limited (t: Test, options: Partial<SelfServeKeysOptions>, { before, ...parts }: HostParts = {}): Promise<Limited> {
  const clock = testClock()
  const host = await build(t, { clock, ...options }, {
    ...parts,
    async before (app: FastifyInstance) {
      app.get('/x', { config: { apiKey: true } }, async () => ({}))
      await before?.(app)
    }
  })
  const { plaintext, key: { publicId } } = await storeKey(host.storage)
  const get: Limited['get'] = async (url, key = plaintext, { headers, ...more } = {}) =>
    await host.app.inject({ url, ...more, headers: { 'x-api-key': key, ...headers } })
  return { ...host, clock, key: plaintext, publicId, get, told: async (...request) => lineOf(await get(...request)) }
}

export interface NotingStore { store: RateLimitStore, consumed: Array<{ ids: string[], cost: number }>, peeked: string[][] }

/** A store that answers late, as a server does, and notes what it was asked. */
export function notingStore (store: RateLimitStore = memoryRateLimitStore({ clock: testClock() })): NotingStore {
  const consumed: NotingStore['consumed'] = []
  const peeked: NotingStore['peeked'] = []
  const idsOf = (buckets: readonly Bucket[]): string[] => buckets.map(({ id }) => id)
  return {
    consumed,
    peeked,
    store: {
      async consume (buckets, cost) {
        consumed.push({ ids: idsOf(buckets), cost })
        return await store.consume(buckets, cost)
      },
      async peek (buckets) {
        peeked.push(idsOf(buckets))
        return await store.peek(buckets)
      },
      reset: async (buckets) => { await store.reset(buckets) }
    }
  }
}
