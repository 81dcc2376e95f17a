// Requests and failures over time: a chart, what its slot under the pointer holds, and the same as a table.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { UsageSnapshot } from '../answers.js'
import { useSettings } from '../settings.js'
import { Table } from '../widgets/table.js'
import { drawChart, fitChart } from './draw-chart.js'
import { busySlots, columnsOf } from './figures.js'

type Timeline = UsageSnapshot['timeline']

export function UsageChart ({ timeline, summary }: { timeline: Timeline, summary: string }) {
  const { say, format } = useSettings()
  return (
    <section class='usage-part'>
      <h3>{say('usage.chart')}</h3>
      <Bars timeline={timeline} summary={summary} />
      <details>
        <summary>{say('usage.chart.table')}</summary>
        <Table
          title={say('usage.chart')} rows={busySlots(timeline)} idOf={({ start }) => start} columns={[
            { name: 'start', title: say('usage.chart.start'), cell: ({ start }) => <time dateTime={start}>{format.time(start)}</time> },
            { name: 'requests', title: say('usage.requests'), cell: ({ requests }) => format.number(requests) },
            { name: 'failures', title: say('usage.failures'), cell: ({ failures }) => format.number(failures) }
          ]}
        />
      </details>
    </section>
  )
}

/**
 * What the pointer is over is its own state: nothing else is drawn anew for it. A canvas does not see that colours change; whether the
 * reader's preference did it, the host's `color-scheme` or a custom property, the short transition that usage.css gives them ends.
 */
function Bars ({ timeline, summary }: { timeline: Timeline, summary: string }) {
  const { say, format: { locale } } = useSettings()
  const figure = useRef<HTMLElement>(null)
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<ReturnType<typeof drawChart> | null>(null)
  const [place, setPlace] = useState<number | null>(null)

  useLayoutEffect(() => {
    // The legend's colours are the chart's: whatever a style sheet says of them, the browser has made colours of it.
    const legend = (name: string) => () => getComputedStyle(figure.current!.querySelector(`.swatch.${name}`)!).backgroundColor
    const inBox = (name: 'color' | 'borderTopColor') => () => getComputedStyle(box.current!)[name]
    const made = drawChart(box.current!, {
      columns: columnsOf(timeline),
      colours: { requests: legend('requests'), failures: legend('failures'), text: inBox('color'), line: inBox('borderTopColor') },
      locale,
      onHover: setPlace
    })
    chart.current = made
    const size = new ResizeObserver(() => { fitChart(made, box.current!) })
    size.observe(box.current!)
    return () => {
      size.disconnect()
      made.destroy()
    }
  }, [locale])
  useEffect(() => { chart.current!.setData(columnsOf(timeline)) }, [timeline])
  useEffect(() => {
    const { canvas } = chart.current!.ctx
    canvas.setAttribute('role', 'img')
    canvas.setAttribute('aria-label', summary)
  }, [summary, locale])

  return (
    <figure class='chart' part='chart' ref={figure} onTransitionEnd={() => { chart.current!.redraw() }}>
      <figcaption>
        <span><span class='swatch requests' /> {say('usage.requests')}</span>
        <span><span class='swatch failures' /> {say('usage.failures')}</span>
        <Slot slot={timeline[place ?? -1]} />
      </figcaption>
      <div class='chart-box' ref={box} />
    </figure>
  )
}

function Slot ({ slot }: { slot: Timeline[number] | undefined }) {
  const { say, format } = useSettings()
  if (slot === undefined) return null
  return (
    <span>
      {say('usage.chart.slot', { time: format.time(slot.start), requests: format.number(slot.requests), failures: format.number(slot.failures) })}
    </span>
  )
}
