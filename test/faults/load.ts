// Clients that issue, rotate, revoke and use keys of a few accounts over HTTP, and record what they asked and what became of it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation } from './checker.js'

/** A place that a client asks: whichever process runs there now. */
export interface Place {
  /** null while none runs. */
  current: { readonly process: string, readonly url: string } | null
}

interface KnownKey { readonly publicId: string, readonly plaintext: string }
/** What the clients of an account know together. */
interface Known { readonly good: KnownKey[], readonly ended: KnownKey[], named: KnownKey[] }

export interface Load {
  readonly operations: readonly Operation[]
  /** Acknowledged rotations so far. */
  readonly rotations: number
  /** Requests that a process has not answered yet. */
  underWay (process: string): number
  /** No client begins anything more; resolves when all have their answers. */
  stop (): Promise<void>
}

export interface LoadSettings {
  readonly places: readonly Place[]
  readonly accounts: readonly string[]
  /** For each place. */
  readonly clients: number
  /** Which part of the changes is followed by calls. */
  readonly calls: number
}

/** Keys that a list remembers at most: the newest are the ones to try. */
const REMEMBERED = 20
/** Named keys of an account, from which on one is revoked for each that is issued. */
const NAMED = 5
/** ms that a client waits where nobody answers, or nobody can: a faster one would only fill the history. */
const PAUSE = 15

export function startLoad ({ places, accounts, clients, calls }: LoadSettings): Load {
  const operations: Operation[] = []
  const known = new Map(accounts.map((account): [string, Known] => [account, { good: [], ended: [], named: [] }]))
  const underWay = new Map<string, number>()
  let rotations = 0
  const stopping = new AbortController()

  /** @returns the answer of success, else null */
  const ask = async (
    { current }: Place, account: string, action: Operation['action'],
    { method, path, key = null, publicId = key?.publicId ?? null, body }: { method: string, path: string, key?: KnownKey | null, publicId?: string | null, body?: object }
  ): Promise<any> => {
    if (current === null) {
      await sleep(PAUSE)
      return null
    }
    const { process, url } = current
    underWay.set(process, (underWay.get(process) ?? 0) + 1)
    const start = performance.now()
    let status: number | null = null
    let retryAfter: string | null = null
    let answer: any = null
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...key === null ? { authorization: `Bearer ${account}` } : { 'x-api-key': key.plaintext },
          ...body === undefined ? {} : { 'content-type': 'application/json' }
        },
        ...body === undefined ? {} : { body: JSON.stringify(body) }
      })
      const text = await response.text()
      status = response.status
      retryAfter = response.headers.get('retry-after')
      answer = text.startsWith('{') ? JSON.parse(text) : text
    } catch {
      // The connection broke, before or in the answer: that is what null says.
      status = null
    }
    underWay.set(process, underWay.get(process)! - 1)
    operations.push({
      process,
      account,
      action,
      publicId,
      start,
      end: performance.now(),
      status,
      code: answer?.code ?? null,
      retryAfter,
      made: action !== 'revoke' ? answer?.apiKey?.publicId ?? null : null,
      replaced: answer?.revokedPublicIds ?? [],
      revokedAt: answer?.apiKey?.revokedAt ?? null
    })
    if (status === null || status === 503) await sleep(PAUSE)
    return status !== null && status < 300 ? answer : null
  }

  const remember = (list: KnownKey[], key: KnownKey): void => {
    list.push(key)
    if (list.length > REMEMBERED) list.shift()
  }
  /** An answer to a change: its key is good now, those that it replaced have ended. */
  const learn = ({ good, ended }: Known, answer: any): KnownKey => {
    const made = { publicId: answer.apiKey.publicId, plaintext: answer.plaintextKey }
    for (const key of good.filter(({ publicId }) => answer.revokedPublicIds.includes(publicId))) forget(good, ended, key)
    remember(good, made)
    if (answer.action === 'rotated') rotations++
    return made
  }
  const forget = (good: KnownKey[], ended: KnownKey[], key: KnownKey): void => {
    if (good.includes(key)) good.splice(good.indexOf(key), 1)
    remember(ended, key)
  }

  /** One change, and calls with a key that is good, as far as is known, and with one that has ended. */
  const step = async (at: Place, account: string): Promise<void> => {
    const keys = known.get(account)!
    const dice = Math.random()
    if (dice < 0.7) {
      const answer = await ask(at, account, 'issue default', { method: 'POST', path: '/v1/me/api-keys' })
      if (answer !== null) learn(keys, answer)
    } else if (dice < 0.9 && keys.named.length > 0) {
      const old = keys.named.shift()!
      const answer = await ask(at, account, 'rotate', { method: 'POST', path: `/v1/me/api-keys/${old.publicId}/rotate`, publicId: old.publicId })
      if (answer !== null) keys.named.push(learn(keys, answer))
    } else if (keys.named.length < NAMED) {
      const answer = await ask(at, account, 'issue', { method: 'POST', path: '/v1/me/api-keys', body: { label: 'Named' } })
      if (answer !== null) keys.named.push(learn(keys, answer))
    } else {
      const key = keys.named.shift()!
      // Again: the same answer, and nothing happens.
      for (let times = 0; times < 2; times++) {
        if (await ask(at, account, 'revoke', { method: 'DELETE', path: `/v1/me/api-keys/${key.publicId}`, publicId: key.publicId }) !== null) forget(keys.good, keys.ended, key)
      }
    }
    if (Math.random() >= calls) return
    for (const key of [keys.good.at(-1), keys.ended.at(-1)]) {
      if (key !== undefined) await ask(at, account, 'call', { method: 'GET', path: '/v1/blocks', key })
    }
  }

  const client = async (place: Place, number: number): Promise<void> => {
    for (let turn = number; !stopping.signal.aborted; turn++) await step(place, accounts[turn % accounts.length]!)
  }
  const running = Promise.all(places.flatMap((place) => Array.from({ length: clients }, async (_none, number) => { await client(place, number) })))
  // A client that fails is heard of in `stop`.
  running.catch(() => {})
  return {
    operations,
    get rotations () { return rotations },
    underWay: (process) => underWay.get(process) ?? 0,
    async stop () {
      stopping.abort()
      await running
    }
  }
}
