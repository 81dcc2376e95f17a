// The one time that a new key is shown: it is in this dialog's memory, and gone with it.
import { useState } from 'preact/hooks'
import type { Issued } from '../answers.js'
import { useSettings } from '../settings.js'
import { snippetsOf } from './snippets.js'
import { CopyBox } from '../widgets/copy.js'
import { Dialog } from '../widgets/dialog.js'
import { Choices } from '../widgets/field.js'

export function IssuedDialog ({ issued, onClose }: { issued: Issued, onClose: () => void }) {
  const { say, format, example, announce } = useSettings()
  const [language, setLanguage] = useState('curl')
  const { apiKey, action, plaintextKey, revokedPublicIds } = issued
  if (plaintextKey === null) {
    return (
      <Dialog title={say('issued.lost.title')} onClose={onClose}>
        <p>{say('issued.lost', { label: apiKey.label })}</p>
        <div class='buttons'><button type='button' class='primary' part='button primary' onClick={onClose}>{say('close')}</button></div>
      </Dialog>
    )
  }
  const snippets = snippetsOf({ plaintextKey, access: apiKey.access, ...example })
  return (
    <Dialog title={say(action === 'issued' ? 'issued.title' : 'issued.title.rotated')} wide onClose={onClose} onEscape={() => { announce(say('issued.stay')) }}>
      <div class='notice' part='notice'><p>{say('issued.once')}</p></div>
      <CopyBox text={plaintextKey} what={say('issued.key')} />
      {action === 'rotated' && <p>{say(revokedPublicIds.includes(apiKey.rotatedFrom!) ? 'issued.revoked' : 'issued.overlap')}</p>}
      <h3>{say('issued.use')}</h3>
      <Choices compact label={say('issued.use')} value={language} onChange={setLanguage} choices={snippets.map(({ name }) => ({ value: name, label: name }))} />
      {snippets.filter(({ name }) => name === language).map(({ name, code, run }) => (
        <div key={name} class='snippet'>
          <CopyBox text={code} what={name} lines />
          {run !== null && <><p class='hint'>{say('issued.run')}</p><CopyBox text={run} what={say('issued.run')} lines /></>}
        </div>
      ))}
      <p class='hint'>{say('key.id')}: <code>{apiKey.publicId}</code>{apiKey.expiresAt !== null && <> · {say('key.expires')}: {format.time(apiKey.expiresAt)}</>}</p>
      <div class='buttons'><button type='button' class='primary' part='button primary' onClick={onClose}>{say('issued.done')}</button></div>
    </Dialog>
  )
}
