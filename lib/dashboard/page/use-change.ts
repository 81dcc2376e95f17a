// A change that somebody makes: once, however often the button is pressed, and once more only where the answer was lost.
import { useRef, useState } from 'preact/hooks'
import { asFailure, type ApiError } from './api.js'
import { useSettings } from './settings.js'

export interface Change {
  readonly busy: boolean
  readonly failure: ApiError | null
  /**
   * Makes it, unless one is under way. `idempotencyKey` is the same as before for as long as `what` is the same and did not succeed.
   * So is `since`, ms, when it was first asked for: what counts from now must be the same in a repeated request.
   * @returns the answer; null where it failed, which `failure` tells of, or where it was not made
   */
  make<T> (what: unknown, send: (idempotencyKey: string, since: number) => Promise<T>): Promise<T | null>
  /** Forgets the failure. */
  forget (): void
}

export function useChange (): Change {
  const { tell } = useSettings()
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState<ApiError | null>(null)
  /** Not state: the second click of two comes before anything is drawn. */
  const under = useRef({ way: false, what: '', idempotencyKey: '', since: 0 })

  return {
    busy,
    failure,
    forget: () => { setFailure(null) },
    async make (what, send) {
      if (under.current.way) return null
      const text = JSON.stringify(what)
      if (under.current.what !== text) under.current = { way: true, what: text, idempotencyKey: newIdempotencyKey(), since: Date.now() }
      under.current.way = true
      setBusy(true)
      setFailure(null)
      try {
        const answer = await send(under.current.idempotencyKey, under.current.since)
        under.current.what = ''
        return answer
      } catch (error) {
        const failure = asFailure(error)
        if (failure.kind === 'signed-out' || failure.kind === 'no-token') tell('auth-required', { during: 'change' })
        setFailure(failure)
        return null
      } finally {
        under.current.way = false
        setBusy(false)
      }
    }
  }
}

/** 128 random bits. Not `randomUUID`, which a page without TLS does not have. */
function newIdempotencyKey (): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
