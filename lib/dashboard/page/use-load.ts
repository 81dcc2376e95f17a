// Something that is read: at first, when what is asked for changes, and whenever somebody asks for it anew.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { asFailure, type ApiError } from './api.js'
import { useSettings } from './settings.js'

export interface Loaded<T> {
  /** The last answer; it stays while the next is on its way, and where that fails. */
  readonly value: T | null
  readonly failure: ApiError | null
  readonly loading: boolean
  reload (): Promise<void>
}

/** @param inputs what `load` reads: another one asks anew */
export function useLoad<T> (load: () => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const { generation, onRead } = useSettings()
  const [state, setState] = useState<Omit<Loaded<T>, 'reload'>>({ value: null, failure: null, loading: true })
  /** Of the question under way: an answer to an earlier one is not shown over it. */
  const asked = useRef(0)
  const gone = useRef(false)

  const reload = useCallback(async () => {
    // A change that was under way when this was taken away asks for what nobody sees.
    if (gone.current) return
    const question = ++asked.current
    setState((before) => ({ ...before, loading: true }))
    try {
      const value = await load()
      onRead(null)
      if (question === asked.current) setState({ value, failure: null, loading: false })
    } catch (error) {
      onRead(error)
      if (question === asked.current) setState((before) => ({ ...before, failure: asFailure(error), loading: false }))
    }
  }, [generation, ...inputs])

  useEffect(() => {
    reload()
    return () => { asked.current++ }
  }, [reload])
  // At once: an effect of the other kind is cleaned up only after the next frame.
  useLayoutEffect(() => () => { gone.current = true }, [])
  return { ...state, reload }
}
