// Keys that ended longer ago, a page at a time, under the first page.
import { useRef, useState } from 'preact/hooks'
import type { ApiKey, ApiKeyList } from '../answers.js'
import { ApiError } from '../api.js'
import { useSettings } from '../settings.js'

export interface OlderKeys {
  readonly apiKeys: readonly ApiKey[]
  /** Where the next page begins; null: there is none. */
  readonly before: string | null
  readonly failure: ApiError | null
  readonly loading: boolean
  /** Asks for the next page, unless one is on its way. @returns where the one after it begins, null: there is none; undefined: not asked, or failed */
  ask (): Promise<string | null | undefined>
}

/** @param list the first page; one that ends elsewhere begins anew: between it and what was read, a key would be missing */
export function useOlderKeys (list: ApiKeyList): OlderKeys {
  const { api, onRead } = useSettings()
  const [kept, setKept] = useState<{ after: string | null, apiKeys: readonly ApiKey[], before: string | null }>({ after: null, apiKeys: [], before: null })
  const [{ failure, loading }, setState] = useState<{ failure: ApiError | null, loading: boolean }>({ failure: null, loading: false })
  /** Not state: the second click of two comes before anything is drawn. */
  const asking = useRef(false)
  const { apiKeys, before } = kept.after === list.before ? kept : { apiKeys: [], before: list.before }

  return {
    apiKeys,
    before,
    failure,
    loading,
    async ask () {
      if (before === null || asking.current) return undefined
      asking.current = true
      setState({ failure: null, loading: true })
      try {
        const page = await api.keys(before)
        onRead(null)
        setKept({ after: list.before, apiKeys: [...apiKeys, ...page.apiKeys], before: page.before })
        setState({ failure: null, loading: false })
        return page.before
      } catch (error) {
        onRead(error)
        setState({ failure: error instanceof ApiError ? error : new ApiError('unavailable', String(error)), loading: false })
        return undefined
      } finally {
        asking.current = false
      }
    }
  }
}
