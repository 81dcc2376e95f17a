// Sites: the origins that the account's publishable keys work on.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Site } from '../answers.js'
import { faultOf } from '../keys/faults.js'
import { useSettings } from '../settings.js'
import { useChange } from '../use-change.js'
import { useLoad } from '../use-load.js'
import { Field } from '../widgets/field.js'
import { catchFocus } from '../widgets/focus.js'
import { Form } from '../widgets/form.js'
import { Loading } from '../widgets/loading.js'
import { Empty, Table } from '../widgets/table.js'
import { RemoveSite } from './remove-site.js'

export function SitesSection () {
  const { api, say, format } = useSettings()
  const loaded = useLoad(async () => await api.sites(), [api])
  const [removing, setRemoving] = useState<Site | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)

  return (
    <section part='section'>
      <h2 class='hidden' tabIndex={-1} ref={heading}>{say('sites.title')}</h2>
      <p class='quiet'>{say('sites.text')}</p>
      <AddSite onAdded={() => { loaded.reload() }} />
      <Loading loaded={loaded} rows={3}>
        {({ sites, truncated }) => sites.length === 0
          ? <Empty title={say('sites.empty')} />
          : <><SiteTable sites={sites} onRemove={setRemoving} />{truncated && <p class='quiet'>{say('sites.truncated', { count: format.number(sites.length) })}</p>}</>}
      </Loading>
      {removing !== null && (
        <RemoveSite
          site={removing} onClose={() => { setRemoving(null) }} onRemoved={async () => {
            setRemoving((now) => now === removing ? null : now)
            await loaded.reload()
            // With the button that opened the dialog.
            if (heading.current !== null) catchFocus(heading.current.getRootNode() as ShadowRoot)
          }}
        />
      )}
    </section>
  )
}

function AddSite ({ onAdded }: { onAdded: () => void }) {
  const { api, say, announce } = useSettings()
  const [name, setName] = useState('')
  const [missing, setMissing] = useState(false)
  const { busy, failure, make, forget } = useChange()
  const input = useRef<HTMLInputElement>(null)
  const fault = missing ? say('sites.missing') : faultOf(failure, 'name', say)
  useEffect(() => {
    if (fault === null) return
    input.current!.focus()
    announce(fault)
  }, [fault, failure])

  const add = async (): Promise<void> => {
    const wanted = name.trim()
    setMissing(wanted === '')
    if (wanted === '') {
      forget()
      return
    }
    const site = await make({ add: wanted }, async () => await api.addSite(wanted))
    if (site === null) return
    // What was typed meanwhile stays.
    setName((now) => now.trim() === wanted ? '' : now)
    announce(say('sites.added'))
    onAdded()
  }
  return (
    <Form class='add-site' failure={failure} fields={['name']} onSubmit={add}>
      <Field label={say('sites.name')} hint={say('sites.name.hint')} fault={fault}>
        {(control) => (
          <input
            {...control} ref={input} type='text' inputMode='url' autocomplete='off' autocapitalize='off' spellcheck={false} value={name}
            onInput={(event) => { setName(event.currentTarget.value) }}
          />
        )}
      </Field>
      <button type='submit' class='primary' part='button primary' aria-disabled={busy}>{say('sites.add')}</button>
    </Form>
  )
}

function SiteTable ({ sites, onRemove }: { sites: readonly Site[], onRemove: (site: Site) => void }) {
  const { say, format } = useSettings()
  return (
    <Table<Site>
      title={say('sites.list')} rows={sites} idOf={({ siteId }) => siteId} columns={[
        { name: 'origin', title: say('sites.name'), cell: ({ origin }) => <code class='wrap'>{origin}</code> },
        { name: 'created', title: say('sites.since'), cell: ({ createdAt }) => <time dateTime={createdAt} title={format.time(createdAt)}>{format.day(createdAt)}</time> },
        {
          name: 'actions',
          title: say('key.actions'),
          quiet: true,
          cell: (site) => (
            <button type='button' part='button' aria-label={say('sites.remove.what', { origin: site.origin })} onClick={() => { onRemove(site) }}>
              {say('sites.remove')}
            </button>
          )
        }
      ]}
    />
  )
}
