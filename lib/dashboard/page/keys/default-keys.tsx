// The default key of each environment, issued or rotated with one press.
import type { AccountPolicy, ApiKey, Environment } from '../answers.js'
import { hasEnded } from '../key-facts.js'
import { useSettings } from '../settings.js'
import { Ago } from '../widgets/time.js'
import { Status } from './key-words.js'

export interface DefaultKeysProps {
  readonly policy: AccountPolicy
  readonly keys: readonly ApiKey[]
  readonly busy: boolean
  onIssue (environment: Environment): void
  onRotate (apiKey: ApiKey): void
}

export function DefaultKeys ({ policy, keys, busy, onIssue, onRotate }: DefaultKeysProps) {
  const { say } = useSettings()
  return (
    <div class='cards'>
      {policy.environments.map((environment) => {
        const apiKey = keys.find((key) => key.isDefault && key.environment === environment && !hasEnded(key))
        const words = { environment: say(`environment.${environment}`).toLowerCase() }
        return (
          <section key={environment} class='card' part='card' aria-label={say(`default.title.${environment}`)}>
            <h3>{say(`default.title.${environment}`)}</h3>
            {apiKey === undefined && <p class='quiet'>{say('default.none')}</p>}
            {apiKey !== undefined && (
              <p>
                <code class='nowrap'>{apiKey.maskedKey}</code> <Status apiKey={apiKey} keys={keys} />
                <small>{say('key.used')}: <Ago time={apiKey.lastUsedAt} empty={say('never')} /></small>
              </p>
            )}
            {apiKey === undefined && (
              <button type='button' class='primary' part='button primary' aria-disabled={busy} aria-label={say('default.issue.what', words)} onClick={() => { onIssue(environment) }}>
                {say('default.issue')}
              </button>
            )}
            {apiKey !== undefined && apiKey.disabledBy !== 'host' && (
              <button type='button' part='button' aria-disabled={busy} aria-label={say('default.rotate.what', words)} onClick={() => { onRotate(apiKey) }}>
                {say('default.rotate')}
              </button>
            )}
          </section>
        )
      })}
    </div>
  )
}
