// Asks whether a site is to be removed, and removes it.
import { ApiError } from '../api.js'
import type { Site } from '../answers.js'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { Dialog } from '../widgets/dialog.js'
import { FailureNotice } from '../widgets/notice.js'

export function RemoveSite ({ site: { siteId, origin }, onClose, onRemoved }: { site: Site, onClose: () => void, onRemoved: () => void }) {
  const { api, say, announce } = useSettings()
  const { busy, failure, make } = useChange()
  const remove = async (): Promise<void> => {
    const done = await make({ remove: siteId }, async () => {
      await api.removeSite(siteId).catch(passIfGone)
      return true
    })
    if (done === null) return
    announce(say('sites.removed'))
    onRemoved()
  }
  return (
    <Dialog title={say('sites.remove.title', { origin })} onClose={onClose}>
      <p>{say('sites.remove.text')}</p>
      <FailureNotice failure={failure} />
      <div class='buttons'>
        <button type='button' part='button' onClick={onClose}>{say('cancel')}</button>
        <button type='button' class='danger' part='button danger' aria-disabled={busy} onClick={remove}>{say('sites.remove.submit')}</button>
      </div>
    </Dialog>
  )
}

/** Removed from elsewhere, or by a request before this whose answer was lost: either way it is as was asked for. */
function passIfGone (error: unknown): void {
  if (!(error instanceof ApiError && error.code === 'SITE_NOT_FOUND')) throw error
}
