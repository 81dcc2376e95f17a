// Changes a key's label, what it may do, and from where.
import { useRef, useState } from 'preact/hooks'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Field } from '../widgets/field.js'
import { Form } from '../widgets/form.js'
import { faultOf, focusFirstFault, type Faults } from './faults.js'
import { linesOf } from './lines.js'
import { Restrictions } from './restrictions.js'
import { ScopesField, type Scopes } from './scopes-field.js'
import type { StepProps } from './step.js'

export function EditStep ({ apiKey, policy, onDone, onBack }: StepProps) {
  const { api, say } = useSettings()
  const form = useRef<HTMLFormElement>(null)
  const saving = useChange()
  const { failure } = saving
  const [label, setLabel] = useState(apiKey.label)
  const [scopes, setScopes] = useState<Scopes>(apiKey.scopes)
  const [origins, setOrigins] = useState(apiKey.allowedOrigins.join('\n'))
  const [ips, setIps] = useState(apiKey.allowedIps.join('\n'))
  const [faults, setFaults] = useState<Faults>({})
  const fault = (field: keyof Faults): string | null => faults[field] ?? faultOf(failure, field, say, { allowedOrigins: origins, allowedIps: ips }[field as string])
  const secret = apiKey.access === 'secret'

  const submit = async (): Promise<void> => {
    const found: Faults = {
      ...(label === '' && { label: say('issue.label.missing') }),
      ...(secret && scopes?.length === 0 && { scopes: say('issue.scopes.missing') })
    }
    setFaults(found)
    if (Object.keys(found).length === 0) {
      // What was not touched is not sent: somebody else may have changed it meanwhile, or the account may no longer grant it.
      const changes = {
        ...(label !== apiKey.label && { label }),
        ...(secret && differs(scopes, apiKey.scopes) && { scopes: scopes === null ? null : [...scopes] }),
        ...(differs(linesOf(origins), apiKey.allowedOrigins) && { allowedOrigins: linesOf(origins) }),
        ...(differs(linesOf(ips), apiKey.allowedIps) && { allowedIps: linesOf(ips) })
      }
      if (Object.keys(changes).length === 0) return onBack()
      const saved = await saving.make(changes, async () => await api.update(apiKey.publicId, changes))
      if (saved !== null) return onDone(say('saved'))
    }
    focusFirstFault(form.current)
  }

  return (
    <Form form={form} failure={failure} fields={['label', ...(secret ? ['scopes'] : []), 'allowedOrigins', 'allowedIps']} onSubmit={submit}>
      <Field label={say('issue.label')} fault={fault('label')}>
        {(control) => <input {...control} type='text' autofocus autocomplete='off' value={label} onInput={(event) => { setLabel(event.currentTarget.value) }} />}
      </Field>
      {secret && policy.scopes.length > 0 && <ScopesField policy={policy} value={scopes} onChange={setScopes} fault={fault('scopes')} />}
      <Restrictions
        access={apiKey.access} originsRequired={policy.originsRequired} origins={origins} ips={ips} onOrigins={setOrigins} onIps={setIps} fault={fault}
      />
      <div class='buttons'>
        <button type='button' part='button' onClick={onBack}>{say('manage.back')}</button>
        <button type='submit' class='primary' part='button primary' aria-disabled={saving.busy}>{say('save')}</button>
      </div>
    </Form>
  )
}

function differs (a: Scopes, b: Scopes): boolean {
  return JSON.stringify(a) !== JSON.stringify(b)
}
