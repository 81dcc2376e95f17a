// The audit log: every change, newest first, with a search that the server makes.
import { useEffect, useRef, useState } from 'preact/hooks'
import { useSettings } from '../settings.js'
import { useLoad } from '../use-load.js'
import { useOlder } from '../use-older.js'
import { Field } from '../widgets/field.js'
import { Loading } from '../widgets/loading.js'
import { ReadFailure } from '../widgets/notice.js'
import { Empty } from '../widgets/table.js'
import { firstShown, withPage, type AuditStart } from './audit-pages.js'
import { AuditTable } from './audit-table.js'

/** ms without a key pressed, after which a search is made. */
const QUIET = 300
/** The server takes no longer one. */
const LONGEST = 100

export function AuditSection () {
  const { api, say, announce } = useSettings()
  const [typed, setTyped] = useState('')
  const [search, setSearch] = useState('')
  useEffect(() => {
    const timer = setTimeout(() => { setSearch(typed.trim()) }, QUIET)
    return () => { clearTimeout(timer) }
  }, [typed])
  // With the search it answers: what is shown may be the answer to the one before.
  const loaded = useLoad<AuditStart>(async () => ({ ...await api.audit({ offset: 0, search }), search }), [api, search])
  const { value } = loaded
  const searched = useRef('')
  useEffect(() => {
    if (value === null || value.search === searched.current) return
    searched.current = value.search
    announce(value.total === 0 ? say('audit.no-match') : say.count('audit.total', value.total))
  }, [value])

  return (
    <section part='section'>
      <h2 class='hidden' tabIndex={-1}>{say('audit.title')}</h2>
      <p class='quiet'>{say('audit.text')}</p>
      <form
        class='search' role='search' onSubmit={(event) => {
          event.preventDefault()
          setSearch(typed.trim())
        }}
      >
        <Field label={say('audit.search')} hint={say('audit.search.hint')}>
          {(control) => (
            <input
              {...control} type='search' maxLength={LONGEST} spellcheck={false} autocapitalize='off' value={typed}
              onInput={(event) => { setTyped(event.currentTarget.value) }}
            />
          )}
        </Field>
      </form>
      <Loading loaded={loaded} rows={6}>{(start) => <Entries start={start} />}</Loading>
    </section>
  )
}

function Entries ({ start }: { start: AuditStart }) {
  const { api, say, format, announce } = useSettings()
  const { shown: { logs, next }, failure, loading, ask } = useOlder(start, firstShown(start), (shown) =>
    shown.next === null ? null : api.audit({ offset: shown.next, search: start.search }).then((page) => withPage(shown, page)))
  const count = useRef<HTMLParagraphElement>(null)
  if (start.total === 0) return start.search === '' ? <Empty title={say('audit.empty')} /> : <p class='quiet'>{say('audit.no-match')}</p>

  const total = say.count('audit.total', start.total)
  const part = (shown: number): string => say('of', { part: format.number(shown), whole: total })
  const more = async (): Promise<void> => {
    const shown = await ask()
    if (shown === null) return
    announce(part(shown.logs.length))
    // The button is about to go, and would take the focus with it.
    if (shown.next === null) count.current?.focus()
  }
  return (
    <>
      <AuditTable entries={logs} />
      <ReadFailure failure={failure} />
      <div class='bar'>
        <p class='quiet' tabIndex={-1} ref={count}>{next === null ? total : part(logs.length)}</p>
        {next !== null && <button type='button' part='button' aria-disabled={loading} onClick={more}>{say(loading ? 'loading' : 'audit.more')}</button>}
      </div>
    </>
  )
}
