// What ioredis does to whoever uses it carelessly: it queues commands while its connection is away, and hangs passwords on errors.

const AWAY: ReadonlySet<string> = new Set(['close', 'reconnecting', 'disconnecting', 'end'])

/**
 * Where the connection is away, ioredis queues a command until it is back: long after whoever waits has gone.
 * @throws where a command would be kept back
 */
export function checkConnected ({ status }: { readonly status: string }): void {
  if (AWAY.has(status)) throw new Error(`The connection to Redis is in the state "${status}".`)
}

/** The answer of ioredis; where it fails, with `bareError`. */
export async function answerOf<T> (call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw bareError(error as Error)
  }
}

/**
 * An error of ioredis in its own words, fit for a log. As it comes it carries the command it answers: that of a sign-in
 * that failed, which every command behind it fails with, has the password among its arguments.
 */
export function bareError ({ message, stack, code }: Error & { code?: unknown }): Error {
  return Object.assign(new Error(message), { stack }, code !== undefined && { code })
}
