// Every kind of ioredis client is what the Redis store asks for.
import { Cluster, Redis, type ClusterStatus, type RedisStatus } from 'ioredis'
import { redisChannel, redisRateLimitStore, type RedisClient } from 'fastify-self-serve-keys/redis'

export const clients = (): RedisClient[] => [
  new Redis(), new Redis(6379, 'localhost', { lazyConnect: true }), new Redis({ protocol: 3, replyMapping: 'resp3' }), new Redis().duplicate(),
  new Cluster(['redis://localhost:7000']), new Redis.Cluster([{ host: 'localhost', port: 7000 }], { lazyConnect: true })
]

/** The states in which the store leaves the client alone are among those there are. */
export const away = ['close', 'reconnecting', 'disconnecting', 'end'] as const satisfies ReadonlyArray<RedisStatus | ClusterStatus>

// @ts-expect-error -- a pipeline answers with itself, not with a promise
redisRateLimitStore({ client: new Redis().pipeline() })
// @ts-expect-error -- the options of a client are none
redisRateLimitStore({ client: new Redis().options })

/** The channel takes a plain client, which it can make another of. */
export const channels = [redisChannel({ client: new Redis() }), redisChannel({ client: new Redis({ lazyConnect: true }), name: 'x', heartbeat: 1000 })]
// @ts-expect-error -- a cluster is duplicated in another way
redisChannel({ client: new Cluster(['redis://localhost:7000']) })
