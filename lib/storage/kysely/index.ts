// Kysely storage: keys and usage in the host's SQL database.
export { kyselyStorage, type KyselyStorageOptions } from './kysely-storage.js'
