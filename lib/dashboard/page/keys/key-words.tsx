// A key's members as they are shown, wherever they are.
import type { ApiKey, RateLimitState } from '../answers.js'
import { calledSinceRotation, endedAt } from './key-facts.js'
import { useSettings } from '../settings.js'
import { useNow } from '../use-now.js'
import { Ago } from '../widgets/time.js'
import { Words } from '../widgets/words.js'

export function Kind ({ apiKey: { environment, access } }: { apiKey: ApiKey }) {
  const { say } = useSettings()
  return <><span class={`badge ${environment}`}>{say(`environment.${environment}`)}</span> <span class='nowrap'>{say(`access.${access}`)}</span></>
}

export function ScopeList ({ scopes }: { scopes: readonly string[] | null }) {
  const { say } = useSettings()
  if (scopes === null) return <span>{say('key.scopes.all')}</span>
  if (scopes.length === 0) return <span class='quiet'>{say('none')}</span>
  return <ul class='scopes'>{scopes.map((scope) => <li key={scope}><code class='wrap'><Words text={scope} /></code></li>)}</ul>
}

/** The status in a word; of a key that is about to end, when, and whether anybody still calls it. */
export function Status ({ apiKey, keys }: { apiKey: ApiKey, keys: readonly ApiKey[] }) {
  const { say } = useSettings()
  const { status, disabledBy } = apiKey
  const ended = endedAt(apiKey)
  return (
    <>
      <span class={`badge ${status}`}>{say(`status.${status}`)}</span>
      {status === 'disabled' && disabledBy === 'host' && <small>{say('key.disabled.host')}</small>}
      {ended !== null && <small><Ago time={ended} empty='' /></small>}
      {status === 'retiring' && <Retirement apiKey={apiKey} keys={keys} />}
    </>
  )
}

function Retirement ({ apiKey, keys }: { apiKey: ApiKey, keys: readonly ApiKey[] }) {
  const { say, format } = useSettings()
  const now = useNow(1000)
  const left = Date.parse(apiKey.retiresAt!) - now
  const called = calledSinceRotation(apiKey, keys)
  return (
    <>
      <small>{left > 0 ? say('key.retires', { span: format.span(left) }) : say('key.retires.soon')}</small>
      {called !== null && (
        <small class={called ? 'warn' : ''}>
          {called ? say('key.retires.called', { ago: format.ago(apiKey.lastUsedAt!, now) }) : say('key.retires.quiet')}
        </small>
      )}
    </>
  )
}

export function RateLimits ({ rateLimits }: { rateLimits: readonly RateLimitState[] }) {
  const { say, format } = useSettings()
  if (rateLimits.length === 0) return <span class='quiet'>{say('key.limit.none')}</span>
  return (
    <ul class='limits'>
      {rateLimits.map(({ name, max, remaining, windowSeconds, resetSeconds }) => (
        <li key={name}>
          <span class='nowrap'>{say('key.limit.left', { remaining: format.number(remaining), max: format.number(max) })}</span>
          <small>
            {remaining < max && resetSeconds > 0
              ? say('key.limit.reset', { span: format.span(resetSeconds * 1000) })
              : say('key.limit.window', { span: format.span(windowSeconds * 1000) })}
          </small>
        </li>
      ))}
    </ul>
  )
}

export function Expires ({ apiKey: { expiresAt } }: { apiKey: ApiKey }) {
  const { say, format } = useSettings()
  return expiresAt === null ? <span class='quiet'>{say('never')}</span> : <time dateTime={expiresAt} title={format.time(expiresAt)}>{format.day(expiresAt)}</time>
}
