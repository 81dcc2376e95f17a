// Which of the keys are shown.
import type { KeyFilter } from './key-facts.js'
import { useSettings } from '../settings.js'
import { Field, Select } from '../widgets/field.js'

const STATUSES = ['active', 'retiring', 'disabled', 'expired', 'revoked'] as const

export function KeyFilterBar ({ value, onChange }: { value: KeyFilter, onChange: (value: KeyFilter) => void }) {
  const { say } = useSettings()
  return (
    <form class='filters' role='search' aria-label={say('keys.filter')} onSubmit={(event) => { event.preventDefault() }}>
      <Field label={say('keys.search')}>
        {(control) => <input {...control} type='search' value={value.search} onInput={(event) => { onChange({ ...value, search: event.currentTarget.value }) }} />}
      </Field>
      <Select
        label={say('keys.environment')} value={value.environment} onChange={(environment) => { onChange({ ...value, environment }) }}
        choices={[{ value: 'all', label: say('keys.all') }, { value: 'live', label: say('environment.live') }, { value: 'test', label: say('environment.test') }]}
      />
      <Select
        label={say('keys.status')} value={value.status} onChange={(status) => { onChange({ ...value, status }) }}
        choices={[
          { value: 'current', label: say('keys.current') },
          ...STATUSES.map((status) => ({ value: status, label: say(`status.${status}`) })),
          { value: 'ended', label: say('keys.ended') },
          { value: 'all', label: say('keys.all') }
        ]}
      />
    </form>
  )
}
