// What stands where something is read: a moment of nothing, the failure, or the thing itself.
import type { ComponentChildren } from 'preact'
import { useSettings } from '../settings.js'
import type { Loaded } from '../use-load.js'
import { ReadFailure } from './notice.js'

/** What was read before stays under a failure: it may be old, and is better than nothing. */
export function Loading<T> ({ loaded, rows, children }: { loaded: Loaded<T>, rows: number, children: (value: T) => ComponentChildren }) {
  const { say } = useSettings()
  const { value, failure, loading, reload } = loaded
  return (
    <div aria-busy={loading}>
      <ReadFailure failure={failure} onRetry={() => { reload() }} />
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
