// Counts rate limits in Redis, for any number of instances: one script a call, one round trip, the server's clock.
import { scriptDigest } from '../crypto.js'
import { readPart } from '../part-options.js'
import { answerOf, checkConnected } from '../redis-connection.js'
import { decide, stateOf, type Window } from './decision.js'
import type { Bucket, RateLimitStore } from './rate-limit.js'

/** What is used of an ioredis client, `Redis` or `Cluster`. */
export interface RedisClient {
  readonly status: string
  evalsha (digest: string, keys: number, ...keysAndArguments: Array<string | number>): Promise<unknown>
  eval (script: string, keys: number, ...keysAndArguments: Array<string | number>): Promise<unknown>
  del (...keys: string[]): Promise<unknown>
}

export interface RedisRateLimitStoreOptions {
  /** The host's ioredis client, which stays the host's to close. */
  client: RedisClient
  /** What every key begins with; hosts that share a Redis need one each. @default 'self-serve-keys:' */
  prefix?: string
}

/**
 * KEYS: a counter for each limit. ARGV: the cost, 0 to look only; then `max` and window (ms) of each. Answers what was used
 * of each before, and for how many ms its window stays open. The rules are those of `decide`, which reads the answer.
 * A counter without an end, such as a restore can leave behind, gets one: it would lock its key for ever.
 */
const SCRIPT = `
local cost = tonumber(ARGV[1])
local admitted = cost > 0
local windows = {}
for place, key in ipairs(KEYS) do
  local max, lasts = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
  local value, left = redis.pcall('GET', key), redis.call('PTTL', key)
  local used = type(value) == 'string' and tonumber(string.match(value, '^%d+$')) or nil
  if used == nil or left == -2 or left == 0 then
    used, left = 0, 0
  elseif left == -1 or left > lasts then
    left = lasts
    if cost > 0 then redis.call('PEXPIRE', key, lasts) end
  end
  windows[2 * place - 1], windows[2 * place] = used, left
  if used + cost > max then admitted = false end
end
if admitted then
  for place, key in ipairs(KEYS) do
    if windows[2 * place] == 0 then
      redis.call('SET', key, cost, 'PX', ARGV[2 * place + 1])
    else
      redis.call('INCRBY', key, cost)
    end
  end
end
return windows`
const DIGEST = scriptDigest(SCRIPT)

/** The store for several instances: `rateLimit: { limits, store: redisRateLimitStore({ client: new Redis() }) }`. @throws INVALID_OPTION */
export function redisRateLimitStore (options: RedisRateLimitStoreOptions): RateLimitStore {
  const { given: { prefix = 'self-serve-keys:' }, refuse, methodsOf } = readPart('redisRateLimitStore', options, ['client', 'prefix'])
  const client = methodsOf<RedisClient>('client', ['evalsha', 'eval', 'del'])
  if (typeof prefix !== 'string') refuse('prefix', 'must be text')
  // The part in braces says where a cluster keeps a counter. It begins with a letter: an empty one would be none.
  const nameOf = ({ id, owner }: Bucket): string => `${prefix}{a:${owner}}:${id}`

  const run = async (buckets: readonly Bucket[], cost: number): Promise<Window[]> => {
    checkConnected(client)
    const input = [...buckets.map(nameOf), cost, ...buckets.flatMap(({ limit }) => [limit.max, limit.windowMs])]
    let answer: unknown
    try {
      answer = await answerOf(client.evalsha(DIGEST, buckets.length, ...input))
    } catch (error) {
      // A server that was restarted or flushed has forgotten the script.
      if (!String((error as Error).message).startsWith('NOSCRIPT')) throw error
      answer = await answerOf(client.eval(SCRIPT, buckets.length, ...input))
    }
    // A client may be set to give numbers as text.
    const numbers = (answer as unknown[]).map(Number)
    return buckets.map((_bucket, place) => ({ used: numbers[2 * place]!, left: numbers[2 * place + 1]! }))
  }

  return {
    async consume (buckets, cost) {
      const { windows: _windows, ...consumed } = decide(buckets.map(({ limit }) => limit), await run(buckets, cost), cost)
      return consumed
    },

    async peek (buckets) {
      const windows = await run(buckets, 0)
      return buckets.map(({ limit }, place) => stateOf(limit, windows[place]!))
    },

    async reset (buckets) {
      checkConnected(client)
      await answerOf(client.del(...buckets.map(nameOf)))
    }
  }
}
