// What each key did in the window: a bar beside those of the others, and the numbers it stands for.
import type { UsageSnapshot } from '../answers.js'
import { hasEnded } from '../keys/key-facts.js'
import { RateLimits } from '../keys/key-words.js'
import { useSettings } from '../settings.js'
import { barsOf, type Bar } from './figures.js'

export function KeyBars ({ perKey, perKeyTruncated }: Pick<UsageSnapshot, 'perKey' | 'perKeyTruncated'>) {
  const { say, format } = useSettings()
  const bars = barsOf(perKey)
  return (
    <section class='usage-part'>
      <h3>{say('usage.per-key')}</h3>
      <ul class='key-bars' role='list'>
        {perKey.map((key, place) => <KeyBar key={key.publicId} used={key} bar={bars[place]!} />)}
      </ul>
      {perKeyTruncated && <p class='quiet'>{say('usage.per-key.truncated', { count: format.number(perKey.length) })}</p>}
    </section>
  )
}

function KeyBar ({ used: { label, environment, status, requests, failures, rateLimits }, bar }: { used: UsageSnapshot['perKey'][number], bar: Bar }) {
  const { say, format } = useSettings()
  const counted = say.count('use.day.requests', requests)
  return (
    <li>
      <div class='key-name'>
        <strong class='wrap'>{label}</strong>
        <span class={`badge ${environment}`}>{say(`environment.${environment}`)}</span>
        <span class={`badge ${status}`}>{say(`status.${status}`)}</span>
      </div>
      <div class='key-count'>{failures === 0 ? counted : say('use.day.failed', { requests: counted, failures: format.number(failures) })}</div>
      <div class='meter' part='bar' aria-hidden='true'>
        <div class='meter-requests' style={{ width: `${bar.width}%` }}>
          <div class='meter-failures' style={{ width: `${bar.failed}%` }} />
        </div>
      </div>
      {!hasEnded({ status }) && <div class='key-limits'><RateLimits rateLimits={rateLimits} /></div>}
    </li>
  )
}
