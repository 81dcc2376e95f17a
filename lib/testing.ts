// For tests: the suite that every storage passes, and a storage in memory. Entry `fastify-self-serve-keys/testing`.
export { memoryStorage } from './storage/memory-storage.js'
export { storageContract, type ContractCase } from './storage/storage-contract.js'
export { rateLimitStoreContract, type RateLimitStoreUnderTest } from './rate-limit/store-contract.js'
