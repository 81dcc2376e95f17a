// Several instances share rate limits through Redis. Entry `fastify-self-serve-keys/redis`.
export { redisRateLimitStore, type RedisClient, type RedisRateLimitStoreOptions } from './rate-limit/redis-store.js'
