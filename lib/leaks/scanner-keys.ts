// The public keys that a secret scanner signs its reports with: given by the host, or fetched and kept for a while.
import { readPublicKey, type PublicKey } from '../crypto.js'
import { makeError } from '../errors.js'
import { HOUR, MINUTE, toSeconds, type Clock } from '../time.js'

export interface ScannerKeys {
  /** The key with this identifier; null: the scanner has none. @throws STORAGE_UNAVAILABLE */
  find (identifier: string): Promise<PublicKey | null>
}

type KeyList = ReadonlyMap<string, PublicKey>

/** ms that a list serves: what the scanner takes out of it signs nothing after that. */
const KEPT = HOUR
/** ms in which the list is asked for once, whoever makes up identifiers; GitHub answers 60 times an hour. */
const PAUSE = 2 * MINUTE

export function givenKeys (keys: KeyList): ScannerKeys {
  return { find: async (identifier) => keys.get(identifier) ?? null }
}

export interface FetchedKeysParts {
  /** Answers `{ public_keys: [{ key_identifier, key }] }`, the keys in PEM. */
  readonly url: string
  readonly clock: Pick<Clock, 'monotonic'>
  /** ms that an answer may take. */
  readonly timeout: number
}

export function fetchedKeys ({ url, clock, timeout }: FetchedKeysParts): ScannerKeys {
  let kept: { readonly keys: KeyList, readonly asked: number } | null = null
  let last: { readonly answer: Promise<KeyList>, readonly asked: number } | null = null

  const ask = async (asked: number): Promise<KeyList> => {
    try {
      const response = await fetch(url, {
        headers: { accept: 'application/json', 'user-agent': 'fastify-self-serve-keys' }, redirect: 'error', signal: AbortSignal.timeout(timeout)
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw new Error(`${url} answered ${response.status}.`)
      }
      const keys = readList(await response.json())
      kept = { keys, asked }
      return keys
    } catch (cause) {
      throw makeError('STORAGE_UNAVAILABLE', {
        message: 'The public keys of the secret scanner could not be fetched. Try again later.',
        cause,
        details: { part: 'secretScanning', retryAfter: toSeconds(PAUSE) }
      })
    }
  }

  return {
    async find (identifier) {
      const now = clock.monotonic()
      const known = kept !== null && now - kept.asked < KEPT ? kept.keys.get(identifier) : undefined
      if (known !== undefined) return known
      // One question for all who wait, and its answer, a failure too, for all who come soon after.
      if (last === null || now - last.asked >= PAUSE) last = { answer: ask(now), asked: now }
      return (await last.answer).get(identifier) ?? null
    }
  }
}

/** Keys of a kind that is not ours to verify with are left out. @throws if it is no list of keys */
function readList (answer: unknown): KeyList {
  const { public_keys: list } = answer as { public_keys: Array<{ key_identifier: unknown, key: unknown }> }
  return new Map(list.flatMap(({ key_identifier: identifier, key: pem }) => {
    const key = typeof pem === 'string' ? readPublicKey(pem) : null
    return typeof identifier !== 'string' || key === null ? [] : [[identifier, key] as const]
  }))
}
