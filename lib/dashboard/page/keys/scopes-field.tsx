// Chooses what a key may do, with what each scope is for.
import { useId } from 'preact/hooks'
import type { EffectivePolicy } from '../answers.js'
import { useSettings } from '../settings.js'

/** null: all that the account may grant. */
export type Scopes = readonly string[] | null

export function ScopesField ({ policy, value, onChange, fault }: {
  policy: EffectivePolicy, value: Scopes, onChange: (value: Scopes) => void, fault: string | null
}) {
  const { say } = useSettings()
  const name = useId()
  const toggle = (scope: string, on: boolean): void => {
    const rest = (value ?? []).filter((other) => other !== scope)
    onChange(on ? policy.scopes.map((known) => known.name).filter((known) => known === scope || rest.includes(known)) : rest)
  }
  return (
    <fieldset class='choices' part='field' aria-describedby={fault === null ? undefined : `${name}-fault`}>
      <legend>{say('issue.scopes')}</legend>
      <label>
        <input type='radio' name={name} checked={value === null} onChange={() => { onChange(null) }} />
        <span>{say('issue.scopes.all')}</span>
      </label>
      <label>
        <input type='radio' name={name} checked={value !== null} onChange={() => { onChange([]) }} />
        <span>{say('issue.scopes.some')}</span>
      </label>
      {value !== null && (
        <div class='inset'>
          {policy.scopes.map(({ name, description, grantable }) => (
            <label key={name} class={grantable ? '' : 'quiet'}>
              <input
                type='checkbox' checked={value.includes(name)} disabled={!grantable && !value.includes(name)}
                aria-invalid={fault !== null} onChange={(event) => { toggle(name, event.currentTarget.checked) }}
              />
              <span><code>{name}</code> {description}{grantable ? '' : ` (${say('issue.scopes.plan')})`}</span>
            </label>
          ))}
        </div>
      )}
      {fault !== null && <p class='fault' id={`${name}-fault`}>{fault}</p>}
    </fieldset>
  )
}
