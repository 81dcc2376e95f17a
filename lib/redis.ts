// Several instances share rate limits and revocations through Redis. Entry `fastify-self-serve-keys/redis`.
export { redisRateLimitStore, type RedisClient, type RedisRateLimitStoreOptions } from './rate-limit/redis-store.js'
export { redisChannel, type RedisChannelClient, type RedisChannelOptions, type RedisSubscriber } from './revocation/redis-channel.js'
