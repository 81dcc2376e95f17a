// Tells what went wrong, and what to do about it.
import { useEffect, useRef } from 'preact/hooks'
import type { ApiError } from '../api.js'
import { useSettings, type Settings } from '../settings.js'
import type { TextName } from '../text.js'

export function failureText ({ say, format }: Settings, { kind, code, message, retryAfter }: ApiError): string {
  if (kind === 'limited') return say('failure.limited', { span: format.span((retryAfter ?? 60) * 1000) })
  if (kind === 'refused') return (code === null ? null : say.maybe(`error.${code}`)) ?? message
  return say(`failure.${kind}` satisfies TextName)
}

interface FailureProps {
  readonly failure: ApiError | null
  /** Where trying again is one click. */
  readonly onRetry?: (() => void) | undefined
}

/** Of what was read: that nobody is signed in any more is told once, above everything. */
export function ReadFailure ({ failure, onRetry }: FailureProps) {
  return <FailureNotice failure={failure?.kind === 'signed-out' ? null : failure} onRetry={onRetry} />
}

export function FailureNotice ({ failure, onRetry }: FailureProps) {
  const settings = useSettings()
  const notice = useRef<HTMLDivElement>(null)
  // Whoever pressed a button at the end of a long form does not see its beginning.
  useEffect(() => { if (onRetry === undefined) notice.current?.scrollIntoView({ block: 'nearest' }) }, [failure])
  if (failure === null) return null
  const { say, signInUrl } = settings
  return (
    <div class='notice bad' part='notice' role='alert' ref={notice}>
      <p>{failureText(settings, failure)}</p>
      {failure.kind === 'signed-out' && signInUrl !== null && <SignInLink url={signInUrl} />}
      {onRetry !== undefined && <button type='button' part='button' onClick={onRetry}>{say('retry')}</button>}
    </div>
  )
}

/** In a tab of its own: what was typed here stays. */
export function SignInLink ({ url }: { url: string }) {
  const { say } = useSettings()
  return <a class='button' part='button' href={url} target='_blank' rel='noreferrer'>{say('signed-out.link')}</a>
}
