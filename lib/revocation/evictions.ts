// What has to be forgotten after a change: here at once, and on other instances through the channel.
import type { EvictableKeys } from '../keys/held-keys.js'
import { isPlainObject } from '../plain-object.js'
import type { Policies } from '../policy/policies.js'
import type { RevocationChannel } from './channel.js'

/** Public ids in one message: some 31 characters each, and Postgres takes fewer than 8 000 bytes. */
const IDS_PER_MESSAGE = 200
/** Messages on their way at most. What is beyond them is not sent: the channel hangs, and the delay holds without it. */
const MAX_UNDER_WAY = 1000

export interface Evictions {
  /** Forgets these keys. Never throws. */
  keys (publicIds: readonly string[]): void
  /** Forgets every key of the account. */
  account (accountId: string): void
  /** Forgets what the account may do. */
  policy (accountId: string): void
  open (): void
  close (): Promise<void>
}

export interface EvictionsParts {
  /** null: no keys are held. */
  readonly held: Pick<EvictableKeys, 'evictKey' | 'evictAccount' | 'evictAll'> | null
  readonly policies: Pick<Policies, 'invalidate' | 'invalidateAll'>
  readonly channel: RevocationChannel | null
  readonly log: Record<'info' | 'warn', (details: object, message: string) => void>
}

type Message = { readonly keys: readonly string[] } | { readonly account: string } | { readonly policy: string }

export function evictions ({ held, policies, channel, log }: EvictionsParts): Evictions {
  let lost = false
  let failing = false
  let underWay = 0

  const forget = (message: Message): void => {
    if ('policy' in message) policies.invalidate(message.policy)
    else if ('account' in message) held?.evictAccount(message.account)
    else for (const publicId of message.keys) held?.evictKey(publicId)
  }

  const forgetAll = (): void => {
    held?.evictAll()
    policies.invalidateAll()
  }

  /** Never rejects. */
  const publish = async (to: RevocationChannel, message: Message): Promise<void> => {
    if (underWay >= MAX_UNDER_WAY) return
    underWay++
    try {
      await to.publish(JSON.stringify(message))
      if (failing) log.info({}, 'the revocation channel takes messages again')
      failing = false
    } catch (err) {
      if (!failing) log.warn({ err }, 'the revocation channel takes no messages: other instances learn of changes when their delay is over')
      failing = true
    }
    underWay--
  }

  const tell = (message: Message): void => {
    forget(message)
    if (channel !== null) publish(channel, message)
  }

  return {
    keys (publicIds) {
      for (let place = 0; place < publicIds.length; place += IDS_PER_MESSAGE) tell({ keys: publicIds.slice(place, place + IDS_PER_MESSAGE) })
    },
    account (accountId) { tell({ account: accountId }) },
    policy (accountId) { tell({ policy: accountId }) },

    open () {
      channel?.open({
        receive (text) {
          const message = parse(text)
          // Of a later version, perhaps: to ask again is always right.
          if (message === null) forgetAll()
          else forget(message)
        },
        listening () {
          forgetAll()
          if (lost) log.info({}, 'the revocation channel is back')
          lost = false
        },
        lost (err) {
          if (!lost) log.warn({ err }, 'the revocation channel is lost: changes made elsewhere hold here when the delay is over')
          lost = true
        }
      })
    },
    async close () { await channel?.close() }
  }
}

function parse (text: string): Message | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isPlainObject(value) || Object.keys(value).length !== 1) return null
  const { keys, account, policy } = value
  const known = typeof account === 'string' || typeof policy === 'string' ||
    (Array.isArray(keys) && keys.every((publicId) => typeof publicId === 'string'))
  return known ? value as Message : null
}
