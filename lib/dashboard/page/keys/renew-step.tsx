// Moves a key's expiry.
import { useRef, useState } from 'preact/hooks'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Form } from '../widgets/form.js'
import { expiresAtOf, expiryChoices } from './expiry.js'
import { ExpiryField } from './expiry-field.js'
import { faultOf, focusFirstFault } from './faults.js'
import type { StepProps } from './step.js'

export function RenewStep ({ apiKey, policy: { defaultKey, ...rest }, onDone, onBack }: StepProps) {
  const { api, say, format } = useSettings()
  // A default key has a lifetime of its own.
  const policy = apiKey.isDefault ? { ...rest, lifetimeSeconds: defaultKey.lifetimeSeconds } : rest
  const form = useRef<HTMLFormElement>(null)
  const renewing = useChange()
  const [expiry, setExpiry] = useState({ choice: expiryChoices(policy).first, day: '' })
  const [missing, setMissing] = useState(false)
  const { failure } = renewing
  const { expiresAt, status } = apiKey

  const submit = async (): Promise<void> => {
    const dayMissing = expiry.choice === 'at' && expiry.day === ''
    setMissing(dayMissing)
    if (!dayMissing) {
      const renewed = await renewing.make(expiry, async (_key, since) =>
        await api.renew(apiKey.publicId, expiresAtOf(expiry.choice, expiry.day, since, policy.maxLifetimeSeconds)))
      if (renewed !== null) return onDone(say('renew.done'))
    }
    focusFirstFault(form.current)
  }
  return (
    <Form form={form} failure={failure} fields={['expiresAt']} onSubmit={submit}>
      <p>{expiresAt === null ? say('renew.text.never') : say(status === 'expired' ? 'renew.text.ended' : 'renew.text', { time: format.time(expiresAt) })}</p>
      <ExpiryField
        policy={policy} value={expiry} onChange={setExpiry}
        fault={missing ? say('issue.expiry.missing') : faultOf(failure, 'expiresAt', say)}
      />
      <div class='buttons'>
        <button type='button' part='button' onClick={onBack}>{say('cancel')}</button>
        <button type='submit' class='primary' part='button primary' aria-disabled={renewing.busy}>{say('renew.submit')}</button>
      </div>
    </Form>
  )
}
