// What is said between the event loop and the thread that writes usage.
import type { UsageBatch, UsageEvent } from '../storage.js'
import type { EventList, ReadBatch } from './usage-batch.js'

/** Pages of the write-ahead log, 16 MB, from which on they are moved into the file: what is written again and again is moved once. */
export const CHECKPOINT = 4000

export interface ThreadSettings {
  readonly file: string
  /** Of the tables' names. */
  readonly prefix: string
  /** ms, to be told of where they are over. */
  readonly timeout: number
}

export type Work =
  | { readonly record: BatchMessage }
  | { readonly prune: { readonly before: number, readonly limit: number } }
  | { readonly emptyLog: true }
/** `deadline`: by `sharedTime`. The next one is sent when this one was answered. */
export type Request = 'close' | { readonly work: Work, readonly deadline: number }

/** `removed`: rows, of a prune. A copy of an error would lack its code. */
export type Answer = { readonly removed: number } | { readonly error: { readonly message: string, readonly code: unknown } }

/** A batch as numbers, in memory that is handed over, and each text once: its events would be copied one by one, on the event loop. */
export interface BatchMessage {
  readonly id: string
  readonly sealedAt: number
  /** `FIELDS` an event. A text is its place in `texts`. */
  readonly numbers: Float64Array<ArrayBuffer>
  readonly texts: ReadonlyArray<string | null>
}

/** Numbers of an event: three of its key, time, status, duration, four texts. */
const FIELDS = 10

export function encodeBatch ({ id, sealedAt, events }: UsageBatch): BatchMessage {
  const numbers = new Float64Array(events.length * FIELDS)
  const places = new Map<string | null, number>()
  const placeOf = (text: string | null): number => {
    const place = places.get(text) ?? places.size
    if (place === places.size) places.set(text, place)
    return place
  }
  let at = 0
  for (const { key, time, status, durationMs, method, route, failureCode, requestId } of events) {
    numbers[at++] = key.account
    numbers[at++] = key.key
    numbers[at++] = key.version
    numbers[at++] = time
    numbers[at++] = status
    numbers[at++] = durationMs
    numbers[at++] = placeOf(method)
    numbers[at++] = placeOf(route)
    numbers[at++] = placeOf(failureCode)
    numbers[at++] = placeOf(requestId)
  }
  return { id, sealedAt, numbers, texts: [...places.keys()] }
}

/** The batch, its events as they are in the message: each is made when it is looked at, and gone when it was. Made all at once, they would outlive a look. */
export function decodeBatch ({ id, sealedAt, numbers, texts }: BatchMessage): ReadBatch {
  const eventAt = (place: number): UsageEvent => {
    const at = place * FIELDS
    return {
      key: { account: numbers[at]!, key: numbers[at + 1]!, version: numbers[at + 2]! },
      time: numbers[at + 3]!,
      status: numbers[at + 4]!,
      durationMs: numbers[at + 5]!,
      method: texts[numbers[at + 6]!]!,
      route: texts[numbers[at + 7]!]!,
      failureCode: texts[numbers[at + 8]!]!,
      requestId: texts[numbers[at + 9]!]!
    }
  }
  const length = numbers.length / FIELDS
  const events: EventList = {
    length,
    at: eventAt,
    * [Symbol.iterator] () {
      for (let place = 0; place < length; place++) yield eventAt(place)
    }
  }
  return { id, sealedAt, events }
}

/** ms on the one clock that all threads share. */
export function sharedTime (): number {
  return Number(process.hrtime.bigint()) / 1e6
}
