// The keys of the account: which there are, and the dialogs in which they are made, looked at and ended.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { ApiKey, ApiKeyList, EffectivePolicy, Environment, Issued, KeyStatus } from '../answers.js'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { useLoad } from '../use-load.js'
import { useOlder } from '../use-older.js'
import { catchFocus } from '../widgets/focus.js'
import { Loading } from '../widgets/loading.js'
import { FailureNotice, ReadFailure } from '../widgets/notice.js'
import { Empty } from '../widgets/table.js'
import { CreateDialog } from './create-dialog.js'
import { DefaultKeys } from './default-keys.js'
import { EVERY_CURRENT_KEY, hasEnded, matches } from './key-facts.js'
import { KeyFilterBar } from './key-filter.js'
import { KeyTable } from './key-table.js'
import { ManageDialog, type Step } from './manage-dialog.js'

/** The dialog that is open. */
type Open = { readonly is: 'create' } | { readonly is: 'manage', readonly apiKey: ApiKey, readonly step: Step }

/** What there is to know: the keys' first page, and what the account may do. */
interface Known { readonly list: ApiKeyList, readonly policy: EffectivePolicy }

export function KeysSection () {
  const { api, say, tell, announce, show, features } = useSettings()
  const loaded = useLoad<Known>(async () => {
    const [list, policy] = await Promise.all([api.keys(), api.policy()])
    return { list, policy }
  }, [])
  const [open, setOpen] = useState<Open | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const issuing = useChange()

  /** Not another one that was opened since: an answer may come late. */
  const close = (dialog: Open): void => {
    setOpen((now) => now === dialog ? null : now)
  }
  const onIssued = (issued: Issued): void => {
    const { action, apiKey: { publicId, label, environment, access, rotatedFrom }, revokedPublicIds, replayed } = issued
    show(issued)
    announce(say('issued.announce'))
    if (!replayed) {
      const replaced = [...new Set([...rotatedFrom === null ? [] : [rotatedFrom], ...revokedPublicIds])]
      tell('key-issued', { action, publicId, label, environment, access, replaced })
    }
    loaded.reload()
  }
  const ofDialog = (dialog: Open) => ({
    onClose: () => { close(dialog) },
    onIssued: (issued: Issued) => {
      close(dialog)
      onIssued(issued)
    },
    onDone: async (message: string) => {
      close(dialog)
      announce(message)
      await loaded.reload()
      // The key may no longer be among those that are shown.
      if (heading.current !== null) catchFocus(heading.current.getRootNode() as ShadowRoot)
    }
  })
  /** @param newest of the keys that its reader sees: whoever sees others and issues again wants another */
  const issueDefault = async (environment: Environment, newest: string | undefined): Promise<void> => {
    const issued = await issuing.make(['default', environment, newest], async (key) => await api.issueDefault(environment, key))
    if (issued !== null) onIssued(issued)
  }

  return (
    <section part='section'>
      <h2 ref={heading} tabIndex={-1} class='hidden'>{say('keys.title')}</h2>
      <Loading loaded={loaded} rows={5}>
        {({ list, policy }) => (
          <>
            {policy.suspended && <div class='notice bad' part='notice' role='alert'><p>{say('suspended.text')}</p></div>}
            <FailureNotice failure={issuing.failure} />
            {features.defaultKey && (
              <DefaultKeys
                policy={policy} keys={list.apiKeys} busy={issuing.busy}
                onIssue={(environment) => { issueDefault(environment, list.apiKeys[0]?.publicId) }}
                onManage={(apiKey, step) => { setOpen({ is: 'manage', apiKey, step }) }}
              />
            )}
            <KeyList
              list={list} policy={policy} onRefresh={() => { loaded.reload() }} onCreate={() => { setOpen({ is: 'create' }) }}
              onManage={(apiKey) => { setOpen({ is: 'manage', apiKey, step: 'facts' }) }}
            />
            {open?.is === 'create' && <CreateDialog policy={policy} {...ofDialog(open)} />}
            {open?.is === 'manage' && (
              <ManageDialog key={open.apiKey.publicId} apiKey={open.apiKey} firstStep={open.step} keys={list.apiKeys} policy={policy} {...ofDialog(open)} />
            )}
          </>
        )}
      </Loading>
    </section>
  )
}

interface KeyListProps extends Known {
  onRefresh (): void
  onCreate (): void
  onManage (apiKey: ApiKey): void
}

function KeyList ({ list, policy, onRefresh, onCreate, onManage }: KeyListProps) {
  const { api, say, format, announce } = useSettings()
  const [filter, setFilter] = useState(EVERY_CURRENT_KEY)
  // One that ends elsewhere begins anew: between it and what was read, a key would be missing.
  const older = useOlder<Pick<ApiKeyList, 'apiKeys' | 'before'>>(list.before, { apiKeys: [], before: list.before }, ({ apiKeys, before }) =>
    before === null ? null : api.keys(before).then((page) => ({ apiKeys: [...apiKeys, ...page.apiKeys], before: page.before })))
  const first = new Set(list.apiKeys.map(({ publicId }) => publicId))
  // An older one that was renewed since is on the first page.
  const keys = [...list.apiKeys, ...older.shown.apiKeys.filter(({ publicId }) => !first.has(publicId))]
  const shown = keys.filter((apiKey) => matches(apiKey, filter))
  const bar = useRef<HTMLDivElement>(null)
  // Whoever does not see the list change under the filter hears of it, once they stopped typing.
  useEffect(() => {
    if (filter === EVERY_CURRENT_KEY) return
    const timer = setTimeout(() => { announce(shown.length === 0 ? say('keys.no-match') : say.count('keys.found', shown.length)) }, 500)
    return () => { clearTimeout(timer) }
  }, [filter])
  const withEnded = filter.status === 'all' || filter.status === 'ended' || hasEnded({ status: filter.status as KeyStatus })
  // Both take away the button that was pressed, and the focus would go with it.
  const clear = (): void => {
    bar.current!.focus()
    setFilter({ ...EVERY_CURRENT_KEY, status: 'all' })
  }
  const more = async (): Promise<void> => {
    if ((await older.ask())?.before === null) bar.current?.focus()
  }

  return (
    <>
      <div class='bar' ref={bar} tabIndex={-1}>
        <p class='quiet'>{say('keys.room', { active: format.number(policy.keys.active), max: format.number(policy.keys.max) })}</p>
        <div class='buttons'>
          <button type='button' part='button' onClick={onRefresh}>{say('refresh')}</button>
          <button type='button' class='primary' part='button primary' onClick={onCreate}>{say('keys.create')}</button>
        </div>
      </div>
      {keys.length === 0 && <Empty title={say('keys.empty')} text={say('keys.empty.text')} />}
      {keys.length > 0 && <KeyFilterBar value={filter} onChange={setFilter} />}
      {shown.length > 0 && <KeyTable keys={shown} all={keys} onManage={onManage} />}
      {keys.length > 0 && shown.length === 0 && (
        <Empty title={say('keys.no-match')}>
          <button type='button' part='button' onClick={clear}>{say('keys.clear-filter')}</button>
        </Empty>
      )}
      <ReadFailure failure={older.failure} />
      {older.shown.before !== null && withEnded && (
        <div class='bar'>
          <p class='quiet'>{say('keys.truncated')}</p>
          <button type='button' part='button' aria-disabled={older.loading} onClick={more}>{say('keys.more')}</button>
        </div>
      )}
    </>
  )
}
