// The revocation channel port: how instances tell each other what to forget.

/**
 * `postgresChannel`, `redisChannel`, or your own. It may lose messages: `revocation.maxDelay` holds without it. Whoever can
 * write to it can only make instances ask their storage again.
 */
export interface RevocationChannel {
  /** Called once, before the first message. Returns at once: what the channel connects to may be away for now. */
  open (listener: ChannelListener): void
  /** Sends a message of at most 7 000 bytes to all instances; whether this one gets it too makes no difference. */
  publish (message: string): Promise<void>
  /** Called once, last. Ends what the channel opened, never what the host handed in. */
  close (): Promise<void>
}

export interface ChannelListener {
  receive (message: string): void
  /** From now on messages arrive; earlier ones may have been missed. */
  listening (): void
  /** No message arrives until `listening` is called again. */
  lost (error: unknown): void
}
