// The bars of the usage chart on their canvas: uPlot with this page's axes and colours.
import UPlot from 'uplot'
import { edgesOf, tickTexts, type Columns } from './figures.js'

/** Asked for at each drawing, so that a redrawing is in the colours of then. */
export interface Colours {
  requests (): string
  failures (): string
  text (): string
  line (): string
}

export interface ChartInput {
  readonly columns: Columns
  readonly colours: Colours
  readonly locale: string
  /** Told which slot the pointer is over; null: none. */
  onHover (place: number | null): void
}

/** CSS px. */
const HEIGHT = 200
/** Counts are whole: no tick stands between two of them. */
const STEPS = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()

/** As wide as its box, whose font it takes. */
export function drawChart (box: HTMLElement, { columns, colours, locale, onHover }: ChartInput): UPlot {
  const { fontFamily, fontSize } = getComputedStyle(box)
  const compact = new Intl.NumberFormat(locale, { notation: 'compact' })
  const ticks = tickTexts(locale)
  const bars = UPlot.paths.bars!({ size: [0.8, Infinity, 1] })
  const axis: UPlot.Axis = { font: `${fontSize} ${fontFamily}`, stroke: colours.text, ticks: { show: false } }
  return new UPlot({
    width: widthOf(box),
    height: HEIGHT,
    padding: [8, null, 0, 0],
    ms: 1,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { range: ({ data: [middles] }) => edgesOf(middles as number[]) },
      y: { range: (_chart, _least, most) => [0, Math.max(1, most) * 1.05] }
    },
    axes: [
      { ...axis, size: 28, space: 72, grid: { show: false }, values: (_chart, splits, _axis, _space, step) => ticks(splits, step) },
      {
        ...axis,
        incrs: STEPS,
        grid: { stroke: colours.line, width: 1 },
        values: (_chart, splits) => splits.map((count) => compact.format(count)),
        size: (_chart, texts) => 16 + 8 * Math.max(0, ...(texts ?? []).map(({ length }) => length))
      }
    ],
    // Failures are requests too: their bar stands before the other, not upon it.
    series: [{}, { fill: colours.requests, width: 0, paths: bars, points: { show: false } }, { fill: colours.failures, width: 0, paths: bars, points: { show: false } }],
    hooks: { setCursor: [({ cursor }) => { onHover(cursor.idx ?? null) }] }
  }, columns, box)
}

export function fitChart (chart: UPlot, box: HTMLElement): void {
  if (chart.width !== widthOf(box)) chart.setSize({ width: widthOf(box), height: HEIGHT })
}

/** Of a box that is not laid out it is none, which uPlot does not take. */
function widthOf (box: HTMLElement): number {
  return Math.max(1, Math.floor(box.clientWidth))
}
