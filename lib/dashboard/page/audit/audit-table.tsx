// Entries of the audit log, a row each.
import type { AuditEntry } from '../answers.js'
import { Moment } from '../widgets/time.js'
import { useSettings } from '../settings.js'
import { Table } from '../widgets/table.js'

export function AuditTable ({ entries }: { entries: readonly AuditEntry[] }) {
  const { say } = useSettings()
  return (
    <Table<AuditEntry>
      title={say('audit.list')} rows={entries} idOf={({ id }) => String(id)} columns={[
        { name: 'time', title: say('audit.time'), cell: ({ time }) => <Moment time={time} /> },
        { name: 'action', title: say('audit.action'), cell: ({ action }) => <code class='wrap'>{action}</code> },
        {
          name: 'detail',
          title: say('audit.detail'),
          cell: ({ detail, targetId }) => (
            <>
              <span class='wrap'>{detail}</span>
              {targetId !== null && <small><code class='wrap'>{targetId}</code></small>}
            </>
          )
        },
        {
          name: 'actor',
          title: say('audit.actor'),
          cell: ({ actor, credential }) => actor === null
            ? say('audit.host')
            : <><span class='wrap'>{actor.name ?? actor.id}</span><small>{say(`audit.credential.${credential}`)}</small></>
        },
        { name: 'from', title: say('audit.from'), cell: ({ ip }) => ip === null ? <span class='quiet'>{say('none')}</span> : <span class='wrap'>{ip}</span> }
      ]}
    />
  )
}
