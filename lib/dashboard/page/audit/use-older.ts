// Older entries of the audit log, a page at a time, under the answer they continue.
import { useRef, useState } from 'preact/hooks'
import { ApiError } from '../api.js'
import { firstShown, withPage, type AuditShown, type AuditStart } from './audit-pages.js'
import { useSettings } from '../settings.js'

export interface Older {
  readonly shown: AuditShown
  readonly failure: ApiError | null
  readonly loading: boolean
  /** Asks for the next page, unless one is on its way. @returns all that is shown then; null where there is no more than before */
  ask (): Promise<AuditShown | null>
}

interface State { readonly shown: AuditShown, readonly failure: ApiError | null, readonly loading: boolean }

/** @param start another one, of another search or a later moment, begins anew: no answer to the one before is put under it */
export function useOlder (start: AuditStart): Older {
  const { api, onRead } = useSettings()
  const [kept, setState] = useState<State | null>(null)
  const state = kept?.shown.start === start ? kept : { shown: firstShown(start), failure: null, loading: false }
  /** Not state: the second click of two comes before anything is drawn. */
  const asking = useRef<AuditStart | null>(null)
  const current = useRef(start)
  current.current = start

  return {
    ...state,
    async ask () {
      const { shown } = state
      if (shown.next === null || asking.current === start) return null
      const tell = (state: State): void => { if (current.current === start) setState(state) }
      asking.current = start
      tell({ shown, failure: null, loading: true })
      try {
        const more = withPage(shown, await api.audit({ offset: shown.next, search: start.search }))
        onRead(null)
        tell({ shown: more, failure: null, loading: false })
        return current.current === start ? more : null
      } catch (error) {
        onRead(error)
        tell({ shown, failure: error instanceof ApiError ? error : new ApiError('unavailable', String(error)), loading: false })
        return null
      } finally {
        if (asking.current === start) asking.current = null
      }
    }
  }
}
