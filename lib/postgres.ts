// Several instances share revocations through Postgres. Entry `fastify-self-serve-keys/postgres`.
export { postgresChannel, type PostgresChannelOptions, type PostgresClient, type PostgresPool } from './revocation/postgres-channel.js'
