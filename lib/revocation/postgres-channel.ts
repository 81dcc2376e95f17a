// The revocation channel over Postgres: LISTEN on a connection of its own, NOTIFY over the pool.
import { readPart } from '../part-options.js'
import type { RevocationChannel } from './channel.js'
import { listeningChannel, readHeartbeat } from './listening-channel.js'

/** What is used of pg's `Pool`. */
export interface PostgresPool {
  connect (): Promise<PostgresClient>
  query (text: string, values: unknown[]): Promise<unknown>
}
/** What is used of a client that a pool has lent. */
export interface PostgresClient {
  query (text: string): Promise<unknown>
  on (event: 'notification', listener: (message: { channel: string, payload?: string | undefined }) => void): unknown
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'end', listener: () => void): unknown
  release (destroy: boolean): void
}

export interface PostgresChannelOptions {
  /**
   * The host's pg pool, which stays the host's to end. One of its connections is kept for as long as the app runs. LISTEN
   * needs a session of its own: behind a pooler that shares sessions, give a pool that goes around it.
   */
  pool: PostgresPool
  /** Name of the channel; hosts that share a database need one each. @default 'self_serve_keys' */
  name?: string
  /** ms between two trials of the connection that listens. @default 5000 */
  heartbeat?: number
}

/** `revocation: { maxDelay, channel: postgresChannel({ pool }) }`. @throws INVALID_OPTION */
export function postgresChannel (options: PostgresChannelOptions): RevocationChannel {
  const part = readPart('postgresChannel', options, ['pool', 'name', 'heartbeat'])
  const pool = part.methodsOf<PostgresPool>('pool', ['connect', 'query'])
  const { name = 'self_serve_keys' } = part.given
  if (typeof name !== 'string' || !/^[a-z_][a-z0-9_]{0,62}$/.test(name)) part.refuse('name', 'must be 1 to 63 lower-case letters, digits and _')
  const heartbeat = readHeartbeat(part)
  return listeningChannel({
    heartbeat,
    async connect (broken) {
      const client = await pool.connect()
      client.on('error', broken)
      client.on('end', () => { broken(new Error('The connection ended.')) })
      return {
        async listen (receive) {
          client.on('notification', ({ channel, payload }) => {
            if (channel === name) receive(String(payload))
          })
          await client.query(`listen "${name}"`)
        },
        ping: async () => await client.query('select 1'),
        // Not for others to use: it listens.
        end: () => { client.release(true) }
      }
    },
    publish: async (message) => await pool.query('select pg_notify($1, $2)', [name, message])
  })
}
