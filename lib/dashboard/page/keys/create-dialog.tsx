// Makes a named key: its label, and what it may do, from where, and for how long.
import { useRef, useState } from 'preact/hooks'
import type { Access, EffectivePolicy, Environment, Issued, IssueInput } from '../answers.js'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Dialog } from '../widgets/dialog.js'
import { Choices, Field } from '../widgets/field.js'
import { Form } from '../widgets/form.js'
import { expiresAtOf, expiryChoices } from './expiry.js'
import { ExpiryField } from './expiry-field.js'
import { faultOf, focusFirstFault, type Faults } from './faults.js'
import { linesOf } from './lines.js'
import { Restrictions } from './restrictions.js'
import { ScopesField, type Scopes } from './scopes-field.js'

export function CreateDialog ({ policy, onIssued, onClose }: { policy: EffectivePolicy, onIssued: (issued: Issued) => void, onClose: () => void }) {
  const { api, say } = useSettings()
  const form = useRef<HTMLFormElement>(null)
  const creating = useChange()
  const [faults, setFaults] = useState<Faults>({})
  const [label, setLabel] = useState('')
  const [environment, setEnvironment] = useState<Environment>(policy.defaultKey.environment)
  const [access, setAccess] = useState<Access>('secret')
  const [scopes, setScopes] = useState<Scopes>(grantableOf(policy))
  const [origins, setOrigins] = useState('')
  const [ips, setIps] = useState('')
  const [expiry, setExpiry] = useState({ choice: expiryChoices(policy).first, day: '' })
  const { failure } = creating
  const fault = (field: keyof Faults): string | null => faults[field] ?? faultOf(failure, field, say, { allowedOrigins: origins, allowedIps: ips }[field as string])

  const submit = async (): Promise<void> => {
    const found: Faults = {
      ...(label === '' && { label: say('issue.label.missing') }),
      ...(access === 'secret' && scopes?.length === 0 && { scopes: say('issue.scopes.missing') }),
      ...(expiry.choice === 'at' && expiry.day === '' && { expiresAt: say('issue.expiry.missing') })
    }
    setFaults(found)
    if (Object.keys(found).length === 0) {
      const input: IssueInput = {
        label,
        environment,
        access,
        ...(access === 'secret' && { scopes: scopes === null ? null : [...scopes] }),
        allowedOrigins: linesOf(origins),
        allowedIps: linesOf(ips)
      }
      const issued = await creating.make({ ...input, expiry }, async (key, since) =>
        await api.issue({ ...input, expiresAt: expiresAtOf(expiry.choice, expiry.day, since, policy.maxLifetimeSeconds) }, key))
      if (issued !== null) return onIssued(issued)
    }
    focusFirstFault(form.current)
  }

  return (
    <Dialog title={say('issue.title')} onClose={onClose}>
      <Form form={form} failure={failure} fields={['label', 'expiresAt', ...(access === 'secret' ? ['scopes'] : []), 'allowedOrigins', 'allowedIps']} onSubmit={submit}>
        <Field label={say('issue.label')} hint={say('issue.label.hint')} fault={fault('label')}>
          {(control) => <input {...control} type='text' autofocus autocomplete='off' value={label} onInput={(event) => { setLabel(event.currentTarget.value) }} />}
        </Field>
        {policy.environments.length > 1 && (
          <Choices
            label={say('issue.environment')} value={environment} onChange={setEnvironment}
            choices={policy.environments.map((value) => ({ value, label: say(`environment.${value}`) }))}
          />
        )}
        <Choices
          label={say('issue.access')} value={access} onChange={setAccess}
          choices={(['secret', 'publishable'] as const).map((value) => ({ value, label: say(`issue.access.${value}`) }))}
        />
        {access === 'secret' && policy.scopes.length > 0 && <ScopesField policy={policy} value={scopes} onChange={setScopes} fault={fault('scopes')} />}
        <ExpiryField policy={policy} value={expiry} onChange={setExpiry} fault={fault('expiresAt')} />
        <Restrictions
          access={access} originsRequired={policy.originsRequired} origins={origins} ips={ips} onOrigins={setOrigins} onIps={setIps} fault={fault}
        />
        <div class='buttons'>
          <button type='button' part='button' onClick={onClose}>{say('cancel')}</button>
          <button type='submit' class='primary' part='button primary' aria-disabled={creating.busy}>{say('issue.submit')}</button>
        </div>
      </Form>
    </Dialog>
  )
}

/** The default key's scopes, as far as the account may grant them; what is chosen for whoever does not choose. */
function grantableOf ({ scopes, defaultKey }: EffectivePolicy): Scopes {
  const wanted = defaultKey.scopes
  return wanted === null ? null : scopes.flatMap(({ name, grantable }) => grantable && wanted.includes(name) ? [name] : [])
}
