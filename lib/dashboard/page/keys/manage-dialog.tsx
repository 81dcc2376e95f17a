// One key: everything about it, and the steps by which it is changed.
import { useState } from 'preact/hooks'
import type { ApiKey } from '../answers.js'
import { actionsOf, hasEnded, type KeyAction } from './key-facts.js'
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

export type Step = 'facts' | Exclude<KeyAction, 'enable'>

export interface ManageDialogProps extends Omit<StepProps, 'onBack'> {
  readonly firstStep: Step
  readonly keys: readonly ApiKey[]
  onClose (): void
}

export function ManageDialog ({ firstStep, keys, onClose, ...shared }: ManageDialogProps) {
  const { say } = useSettings()
  const [step, setStep] = useState(firstStep)
  const { label } = shared.apiKey
  const steps: StepProps = {
    ...shared,
    onBack: firstStep === 'facts' ? () => { setStep('facts') } : onClose
  }
  switch (step) {
    case 'facts': return <Dialog title={label} onClose={onClose}><Facts {...steps} keys={keys} onStep={setStep} onClose={onClose} /></Dialog>
    case 'edit': return <Dialog key={step} title={say('edit.title', { label })} onClose={onClose}><EditStep {...steps} /></Dialog>
    case 'rotate': return <Dialog key={step} title={say('rotate.title', { label })} onClose={onClose}><RotateStep {...steps} /></Dialog>
    case 'renew': return <Dialog key={step} title={say('renew.title', { label })} onClose={onClose}><RenewStep {...steps} /></Dialog>
    case 'disable':
    case 'revoke': return <Dialog key={step} title={say(`${step}.title`, { label })} onClose={onClose}><EndStep {...steps} how={step} /></Dialog>
  }
}

function Facts ({ apiKey, policy, keys, onStep, onDone, onClose }: StepProps & { keys: readonly ApiKey[], onStep: (step: Step) => void, onClose: () => void }) {
  const { api, say } = useSettings()
  const enabling = useChange()
  const enable = async (): Promise<void> => {
    const enabled = await enabling.make(['enable'], async () => await api.update(apiKey.publicId, { enabled: true }))
    if (enabled !== null) onDone(say('enable.done'))
  }
  const actions = actionsOf(apiKey)
  return (
    <>
      <KeyFacts apiKey={apiKey} keys={keys} originsRequired={policy.originsRequired} />
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
