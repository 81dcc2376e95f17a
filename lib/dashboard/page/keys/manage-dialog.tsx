// One key: everything about it, and the steps by which it is changed.
import { useState } from 'preact/hooks'
import type { ApiKey } from '../answers.js'
import { actionsOf, hasEnded, type KeyAction } from '../key-facts.js'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Dialog } from '../widgets/dialog.js'
import { FailureNotice } from '../widgets/notice.js'
import { EditStep } from './edit-step.js'
import { EndStep } from './end-step.js'
import { KeyFacts } from './key-facts-list.js'
import { RenewStep } from './renew-step.js'
import { RotateStep } from './rotate-step.js'
import type { StepProps } from './step.js'

export type Step = 'facts' | 'rotate-default' | Exclude<KeyAction, 'enable'>

export interface ManageDialogProps extends Pick<StepProps, 'policy' | 'onIssued'> {
  readonly publicId: string
  readonly firstStep: Step
  readonly keys: readonly ApiKey[]
  onChanged (message: string): void
  onClose (): void
}

export function ManageDialog ({ publicId, firstStep, keys, policy, onIssued, onChanged, onClose }: ManageDialogProps) {
  const { say } = useSettings()
  const [step, setStep] = useState(firstStep)
  const [apiKey] = useState(keys.find((key) => key.publicId === publicId)!)
  const { label } = apiKey
  const steps: StepProps = {
    apiKey,
    policy,
    onIssued,
    onDone: (message) => {
      onClose()
      onChanged(message)
    },
    onBack: firstStep === 'facts' ? () => { setStep('facts') } : onClose
  }
  switch (step) {
    case 'facts': return <Dialog title={label} onClose={onClose}><Facts {...steps} keys={keys} onStep={setStep} onClose={onClose} /></Dialog>
    case 'edit': return <Dialog key={step} title={say('edit.title', { label })} onClose={onClose}><EditStep {...steps} /></Dialog>
    case 'rotate':
    case 'rotate-default': return <Dialog key={step} title={say('rotate.title', { label })} onClose={onClose}><RotateStep {...steps} atOnce={step === 'rotate-default'} /></Dialog>
    case 'renew': return <Dialog key={step} title={say('renew.title', { label })} onClose={onClose}><RenewStep {...steps} /></Dialog>
    case 'disable':
    case 'revoke': return <Dialog key={step} title={say(`${step}.title`, { label })} onClose={onClose}><EndStep {...steps} how={step} /></Dialog>
  }
}

function Facts ({ apiKey, keys, onStep, onDone, onClose }: StepProps & { keys: readonly ApiKey[], onStep: (step: Step) => void, onClose: () => void }) {
  const { api, say } = useSettings()
  const enabling = useChange()
  const enable = async (): Promise<void> => {
    const enabled = await enabling.make(['enable'], async () => await api.update(apiKey.publicId, { enabled: true }))
    if (enabled !== null) onDone(say('enable.done'))
  }
  const actions = actionsOf(apiKey)
  return (
    <>
      <KeyFacts apiKey={apiKey} keys={keys} />
      {apiKey.disabledBy === 'host' && !hasEnded(apiKey) && <p class='hint'>{say('manage.host-disabled')}</p>}
      {actions.length === 0 && <p class='hint'>{say('manage.ended')}</p>}
      <FailureNotice failure={enabling.failure} />
      <div class='buttons'>
        <button type='button' part='button' onClick={onClose}>{say('close')}</button>
        {actions.map((action) => (
          <button
            key={action} type='button' part={action === 'revoke' ? 'button danger' : 'button'} class={action === 'revoke' ? 'danger' : ''} aria-disabled={action === 'enable' && enabling.busy}
            onClick={() => { if (action === 'enable') enable(); else onStep(action) }}
          >
            {say(`manage.${action}`)}
          </button>
        ))}
      </div>
    </>
  )
}
