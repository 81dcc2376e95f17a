// Kysely storage: keys and usage in the host's SQL database.
export { kyselyStorage } from './kysely-storage.js'
export type { DatabaseType } from './databases/database.js'
export type { KyselyStorageOptions } from './storage-options.js'
