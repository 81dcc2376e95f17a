// pg's pool is what the Postgres channel asks for.
import pg from 'pg'
import { postgresChannel } from 'fastify-self-serve-keys/postgres'

export const channels = [postgresChannel({ pool: new pg.Pool() }), postgresChannel({ pool: new pg.Pool({ max: 1 }), name: 'x', heartbeat: 1000 })]
// @ts-expect-error -- one client is no pool
postgresChannel({ pool: new pg.Client() })
