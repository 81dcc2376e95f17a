// The older part of a list, a page at a time, under the answer that it continues.
import { useRef, useState } from 'preact/hooks'
import { asFailure, type ApiError } from './api.js'
import { useSettings } from './settings.js'

interface State<P> { readonly shown: P, readonly failure: ApiError | null, readonly loading: boolean }

export interface Older<P> extends State<P> {
  /** Asks for the next page, unless one is on its way. @returns all that is shown then; null where there is no more than before */
  ask (): Promise<P | null>
}

/**
 * @param start another one begins anew: no answer to what continued the one before is put under it
 * @param first what is shown of it at first @param more what is shown with the next page; null: there is none
 */
export function useOlder<P> (start: unknown, first: P, more: (shown: P) => Promise<P> | null): Older<P> {
  const { onRead } = useSettings()
  const [kept, setKept] = useState<State<P> & { start: unknown } | null>(null)
  const state: State<P> = kept !== null && kept.start === start ? kept : { shown: first, failure: null, loading: false }
  /** Not state: the second click of two comes before anything is drawn. */
  const asking = useRef<{ start: unknown } | null>(null)
  const current = useRef(start)
  current.current = start

  return {
    ...state,
    async ask () {
      const { shown } = state
      const page = asking.current?.start === start ? null : more(shown)
      if (page === null) return null
      const question = { start }
      const tell = (state: State<P>): void => { if (current.current === start) setKept({ ...state, start }) }
      asking.current = question
      tell({ shown, failure: null, loading: true })
      try {
        const shown = await page
        onRead(null)
        tell({ shown, failure: null, loading: false })
        return current.current === start ? shown : null
      } catch (error) {
        onRead(error)
        tell({ shown, failure: asFailure(error), loading: false })
        return null
      } finally {
        if (asking.current === question) asking.current = null
      }
    }
  }
}
