// Is a connection of ioredis there? Where it is not, ioredis queues commands until it is: long after whoever waits has gone.

const AWAY: ReadonlySet<string> = new Set(['close', 'reconnecting', 'disconnecting', 'end'])

/** @throws where a command would be kept back */
export function checkConnected ({ status }: { readonly status: string }): void {
  if (AWAY.has(status)) throw new Error(`The connection to Redis is in the state "${status}".`)
}
