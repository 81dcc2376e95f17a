// Usage: what the account's keys did in a window of time.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { UsageSnapshot, UsageWindow } from '../answers.js'
import { useSettings } from '../settings.js'
import { useLoad } from '../use-load.js'
import { Choices } from '../widgets/field.js'
import { Loading } from '../widgets/loading.js'
import { Empty } from '../widgets/table.js'
import { rateText } from './figures.js'
import { KeyBars } from './key-bars.js'
import { RequestTable } from './request-table.js'
import { UsageChart } from './usage-chart.js'

const WINDOWS: readonly UsageWindow[] = ['1h', '24h', '7d', '30d']

export function UsageSection () {
  const { api, say, format, announce } = useSettings()
  const [window, setWindow] = useState<UsageWindow>('24h')
  const loaded = useLoad(async () => await api.usage(window), [api, window])
  const { value, loading, reload } = loaded
  const summaryOf = ({ totalRequests, totalFailures, windowStart, windowEnd }: UsageSnapshot): string => say('usage.chart.summary', {
    requests: format.number(totalRequests), failures: format.number(totalFailures), start: format.time(windowStart), end: format.time(windowEnd)
  })
  // What was asked for is told of once it is there; what is there at first is read anyway.
  const first = useRef<UsageSnapshot | null>(null)
  useEffect(() => {
    first.current ??= value
    if (value !== null && value !== first.current) announce(summaryOf(value))
  }, [value])

  return (
    <section part='section'>
      <h2 class='hidden' tabIndex={-1}>{say('usage.title')}</h2>
      <div class='bar'>
        <Choices<UsageWindow>
          compact label={say('usage.window')} value={window} onChange={setWindow}
          choices={WINDOWS.map((value) => ({ value, label: say(`usage.window.${value}`) }))}
        />
        <button type='button' part='button' onClick={() => { if (!loading) reload() }}>{say('refresh')}</button>
      </div>
      <Loading loaded={loaded} rows={6}>
        {(snapshot) => snapshot.totalRequests === 0
          ? <Empty title={say('usage.empty')} text={say('usage.empty.text')} />
          : <Snapshot snapshot={snapshot} summary={summaryOf(snapshot)} />}
      </Loading>
    </section>
  )
}

function Snapshot ({ snapshot, summary }: { snapshot: UsageSnapshot, summary: string }) {
  const { say } = useSettings()
  return (
    <>
      <Totals snapshot={snapshot} />
      <UsageChart timeline={snapshot.timeline} summary={summary} />
      <KeyBars perKey={snapshot.perKey} perKeyTruncated={snapshot.perKeyTruncated} />
      <RequestTable title={say('usage.recent-failures')} requests={snapshot.recentFailures} truncated={snapshot.recentFailuresTruncated} failures />
      <RequestTable title={say('usage.recent')} requests={snapshot.recentRequests} truncated={snapshot.recentRequestsTruncated} />
      <p class='quiet'>{say('usage.not-a-bill')}</p>
    </>
  )
}

function Totals ({ snapshot: { totalRequests, totalFailures, perKey, perKeyTruncated } }: { snapshot: UsageSnapshot }) {
  const { say, format } = useSettings()
  const tiles = [
    { title: say('usage.requests'), value: format.number(totalRequests) },
    { title: say('usage.failures'), value: format.number(totalFailures) },
    { title: say('usage.rate'), value: rateText(totalFailures, totalRequests, format.locale) },
    { title: say('usage.keys'), value: `${format.number(perKey.length)}${perKeyTruncated ? '+' : ''}` }
  ]
  return (
    <dl class='tiles'>
      {tiles.map(({ title, value }) => <div key={title} class='tile' part='tile'><dt>{title}</dt><dd>{value}</dd></div>)}
    </dl>
  )
}
