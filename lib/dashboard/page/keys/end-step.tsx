// Stops a key for good, or until it is enabled again.
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { FailureNotice } from '../widgets/notice.js'
import { KeyUse } from './key-use.js'
import type { StepProps } from './step.js'

export function EndStep ({ apiKey, how, onDone, onBack }: StepProps & { how: 'disable' | 'revoke' }) {
  const { api, say, tell } = useSettings()
  const ending = useChange()
  const end = async (): Promise<void> => {
    const { publicId, label } = apiKey
    const ended = await ending.make([how, publicId], async () => how === 'revoke' ? await api.revoke(publicId) : await api.update(publicId, { enabled: false }))
    if (ended === null) return
    if (how === 'revoke') tell('key-revoked', { publicId, label })
    onDone(say(`${how}.done`))
  }
  return (
    <>
      <p>{say(`${how}.text`)}</p>
      <KeyUse apiKey={apiKey} />
      <FailureNotice failure={ending.failure} />
      <div class='buttons'>
        <button type='button' part='button' onClick={onBack}>{say('cancel')}</button>
        <button type='button' class='danger' part='button danger' aria-disabled={ending.busy} onClick={end}>{say(`${how}.submit`)}</button>
      </div>
    </>
  )
}
