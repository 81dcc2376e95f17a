// Chooses when a key is to end.
import { useSettings } from '../settings.js'
import { Field, Select } from '../widgets/field.js'
import { expiryChoices, type ExpiryChoice, type ExpiryRules } from './expiry.js'

/** Anywhere in a year that a time in the account routes can name; without an end, a browser lets six digits be typed. */
const LAST_DAY = '9999-12-30'

export interface Expiry { readonly choice: ExpiryChoice, readonly day: string }

export function ExpiryField ({ policy, value, onChange, fault }: {
  policy: ExpiryRules, value: Expiry, onChange: (value: Expiry) => void, fault: string | null
}) {
  const { say, format } = useSettings()
  const { choices, default: usual } = expiryChoices(policy)
  const label = (choice: ExpiryChoice): string => choice === 'never'
    ? say('issue.expiry.never')
    : choice === 'at' ? say('issue.expiry.at') : say('issue.expiry.days', { span: format.span((choice === 'default' ? usual! : Number(choice)) * 1000) })
  const { maxLifetimeSeconds: most } = policy
  return (
    <div class='pair'>
      <Select
        label={say('issue.expiry')} value={value.choice} fault={value.choice === 'at' ? null : fault} onChange={(choice) => { onChange({ ...value, choice }) }}
        choices={choices.map((choice) => ({ value: choice, label: label(choice) }))}
      />
      {value.choice === 'at' && (
        <Field label={say('issue.expiry.day')} fault={fault} hint={most === null ? undefined : say('issue.expiry.most', { span: format.span(most * 1000) })}>
          {(control) => (
            <input
              {...control} type='date' value={value.day} min={dayOf(0)} max={most === null ? LAST_DAY : dayOf(most)}
              onInput={(event) => { onChange({ ...value, day: event.currentTarget.value }) }}
            />
          )}
        </Field>
      )}
    </div>
  )
}

/** The reader's own day, so many seconds from now. */
function dayOf (seconds: number): string {
  const date = new Date(Date.now() + seconds * 1000)
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0')).join('-')
}
