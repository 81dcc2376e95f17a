// Replaces a key by a successor, at once or with an overlap.
import { useState } from 'preact/hooks'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Select } from '../widgets/field.js'
import { FailureNotice } from '../widgets/notice.js'
import { KeyUse } from './key-use.js'
import { overlapsUpTo } from './overlaps.js'
import type { StepProps } from './step.js'

export function RotateStep ({ apiKey, policy, onIssued, onBack }: StepProps) {
  const { api, say, format } = useSettings()
  const rotating = useChange()
  const [overlap, setOverlap] = useState('0')
  const rotate = async (): Promise<void> => {
    const issued = await rotating.make(['rotate', apiKey.publicId, overlap], async (key) => await api.rotate(apiKey.publicId, Number(overlap), key))
    if (issued !== null) onIssued(issued)
  }
  return (
    <>
      <p>{say('rotate.text')}</p>
      <KeyUse apiKey={apiKey} />
      <Select
        label={say('rotate.overlap')} value={overlap} onChange={setOverlap}
        choices={overlapsUpTo(policy.maxOverlapSeconds).map((seconds) => ({
          value: String(seconds), label: seconds === 0 ? say('rotate.overlap.none') : format.span(seconds * 1000)
        }))}
      />
      <FailureNotice failure={rotating.failure} />
      <div class='buttons'>
        <button type='button' part='button' onClick={onBack}>{say('cancel')}</button>
        <button type='button' class='danger' part='button danger' aria-disabled={rotating.busy} onClick={rotate}>{say('rotate.submit')}</button>
      </div>
    </>
  )
}
