// Single requests, newest first: a few at once, which on a phone are long enough, and all that are known when asked for.
import { useState } from 'preact/hooks'
import type { UsageRequest } from '../answers.js'
import { Moment } from '../widgets/time.js'
import { useSettings } from '../settings.js'
import { Table, type Column } from '../widgets/table.js'
import { Words } from '../widgets/words.js'

/** A client that did not wait for the answer. */
const HUNG_UP = 499
const FEW = 10

export function RequestTable ({ title, requests, truncated, failures = false }: {
  title: string, requests: readonly UsageRequest[], truncated: boolean, /** All of them are. */ failures?: boolean
}) {
  const { say, format } = useSettings()
  const [all, setAll] = useState(false)
  const columns: Array<Column<UsageRequest>> = [
    { name: 'time', title: say('usage.time'), cell: ({ time }) => <Moment time={time} /> },
    {
      name: 'key',
      title: say('usage.key'),
      cell: ({ label, environment }) => <><span class='wrap'>{label}</span> <span class={`badge ${environment}`}>{say(`environment.${environment}`)}</span></>
    },
    { name: 'route', title: say('usage.route'), cell: ({ method, route }) => <code class='wrap'>{method} <Words text={route} /></code> },
    {
      name: 'result',
      title: say('usage.result'),
      cell: ({ status, failureCode }) => (
        <>
          <span class={status < 400 ? '' : 'failed'}>{status}</span>
          {status === HUNG_UP && <small>{say('usage.hung-up')}</small>}
          {failureCode !== null && !failures && <small class='wrap'><Words text={failureCode} /></small>}
        </>
      )
    },
    { name: 'duration', title: say('usage.duration'), cell: ({ durationMs }) => <span class='nowrap'>{format.took(durationMs)}</span> }
  ]
  // Of a request that did not fail, neither is known.
  if (failures) {
    columns.push(
      { name: 'code', title: say('usage.code'), cell: ({ failureCode }) => <Code text={failureCode} /> },
      { name: 'request-id', title: say('usage.request-id'), cell: ({ requestId }) => <Code text={requestId} /> }
    )
  }
  return (
    <section class='usage-part'>
      <h3>{title}</h3>
      {requests.length === 0
        ? <p class='quiet'>{say('usage.no-failures')}</p>
        : <Table<UsageRequest> title={title} rows={all ? requests : requests.slice(0, FEW)} idOf={(request) => String(requests.indexOf(request))} columns={columns} />}
      {requests.length > FEW && (
        <div class='bar'>
          <button type='button' part='button' aria-expanded={all} onClick={() => { setAll(!all) }}>
            {say('usage.recent.all', { count: format.number(requests.length) })}
          </button>
        </div>
      )}
      {truncated && (all || requests.length <= FEW) && <p class='quiet'>{say('usage.recent.truncated', { count: format.number(requests.length) })}</p>}
    </section>
  )
}

function Code ({ text }: { text: string | null }) {
  const { say } = useSettings()
  return text === null ? <span class='quiet'>{say('none')}</span> : <code class='wrap'><Words text={text} /></code>
}
