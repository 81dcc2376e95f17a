// What stands where something is read: a moment of nothing, the failure, or the thing itself.
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { useSettings } from '../settings.js'
import type { Loaded } from '../use-load.js'
import { ReadFailure } from './notice.js'

/** What was read before stays under a failure: it may be old, and is better than nothing. */
export function Loading<T> ({ loaded, rows, children }: { loaded: Loaded<T>, rows: number, children: (value: T) => ComponentChildren }) {
  const { say } = useSettings()
  const { value, failure, loading, reload } = loaded
  const place = useRef<HTMLDivElement>(null)
  const retry = (): void => {
    // The button goes when it helped, and the focus would go with it.
    place.current!.focus()
    reload()
  }
  return (
    <div aria-busy={loading} ref={place} tabIndex={-1}>
      <ReadFailure failure={failure} onRetry={retry} />
      {value !== null && children(value)}
      {value === null && failure === null && (
        <div class='skeleton'>
          <p class='hidden'>{say('loading')}</p>
          {Array.from({ length: rows }, (_, row) => <div key={row} />)}
        </div>
      )}
    </div>
  )
}
