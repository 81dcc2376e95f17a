// The default key of each environment, with what is next for it: to be issued, rotated, or looked at.
import type { EffectivePolicy, ApiKey, Environment } from '../answers.js'
import { hasEnded } from './key-facts.js'
import { useSettings } from '../settings.js'
import { Ago } from '../widgets/time.js'
import { Status } from './key-words.js'

export interface DefaultKeysProps {
  readonly policy: EffectivePolicy
  readonly keys: readonly ApiKey[]
  readonly busy: boolean
  onIssue (environment: Environment): void
  onManage (apiKey: ApiKey, step: 'facts' | 'rotate'): void
}

export function DefaultKeys ({ policy, keys, busy, onIssue, onManage }: DefaultKeysProps) {
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
            {apiKey?.status === 'active' && (
              <button type='button' part='button' aria-label={say('default.rotate.what', words)} onClick={() => { onManage(apiKey, 'rotate') }}>
                {say('default.rotate')}
              </button>
            )}
            {apiKey?.disabledBy === 'account' && (
              <button type='button' part='button' aria-label={say('keys.manage.what', { label: apiKey.label, key: apiKey.maskedKey })} onClick={() => { onManage(apiKey, 'facts') }}>
                {say('keys.manage')}
              </button>
            )}
          </section>
        )
      })}
    </div>
  )
}
