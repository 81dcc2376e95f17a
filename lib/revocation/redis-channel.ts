// The revocation channel over Redis: publish and subscribe.
import { readPart, type PartOptions } from '../part-options.js'
import { answerOf, bareError, checkConnected } from '../redis-connection.js'
import { within } from '../time.js'
import type { RevocationChannel } from './channel.js'
import { listeningChannel, readHeartbeat } from './listening-channel.js'

/** What is used of ioredis' client: a plain one. For a cluster, one to any node of it: messages reach all nodes. */
export interface RedisChannelClient {
  readonly status: string
  publish (channel: string, message: string): Promise<unknown>
  duplicate (override: typeof SUBSCRIBER): RedisSubscriber
}
/** A connection of ours, made like the host's. */
export interface RedisSubscriber {
  connect (): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  ping (): Promise<unknown>
  disconnect (): void
  on (event: 'message', listener: (channel: string, message: string) => void): unknown
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'end', listener: () => void): unknown
}

export interface RedisChannelOptions {
  /** The host's ioredis client, which stays the host's to close. It sends; a duplicate of it, which is ours, listens. */
  client: RedisChannelClient
  /** Name of the channel; hosts that share a Redis need one each. @default 'self-serve-keys' */
  name?: string
  /** ms between two trials of the connection that listens. @default 5000 */
  heartbeat?: number
}

/** What broke is replaced by us, who then know that messages may have been missed. */
const SUBSCRIBER = { lazyConnect: true, autoResubscribe: false, retryStrategy: () => null }

/** `revocation: { maxDelay, channel: redisChannel({ client }) }`. @throws INVALID_OPTION */
export function redisChannel (options: RedisChannelOptions): RevocationChannel {
  const part = readPart('redisChannel', options, ['client', 'name', 'heartbeat'])
  const client = part.methodsOf<RedisChannelClient>('client', ['publish', 'duplicate'])
  const name = readName(part)
  const heartbeat = readHeartbeat(part)
  return listeningChannel({
    heartbeat,
    async connect (broken, over) {
      const subscriber = client.duplicate(SUBSCRIBER)
      subscriber.on('error', (error) => { broken(bareError(error)) })
      subscriber.on('end', () => { broken(new Error('The connection ended.')) })
      over.addEventListener('abort', () => { subscriber.disconnect() })
      // Ours alone, and so given up where a pool's is waited for: ioredis waits for good for a server that took it and says nothing.
      await within(heartbeat, answerOf(subscriber.connect()), () => new Error(`no connection in ${heartbeat} ms`))
      return {
        async listen (receive) {
          subscriber.on('message', (channel, message) => {
            if (channel === name) receive(message)
          })
          await answerOf(subscriber.subscribe(name))
        },
        ping: async () => await answerOf(subscriber.ping()),
        end: () => { subscriber.disconnect() }
      }
    },
    async publish (message) {
      checkConnected(client)
      await answerOf(client.publish(name, message))
    }
  })
}

function readName ({ given: { name = 'self-serve-keys' }, refuse }: PartOptions): string {
  return typeof name === 'string' && name !== '' ? name : refuse('name', 'must be text')
}
