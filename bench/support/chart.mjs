// A line chart as SVG, light or dark as the reader's page is.

const WIDTH = 720
const HEIGHT = 400
const PLOT = { left: 72, right: 40, top: 84, bottom: 56 }
const LIGHT = ['#0b63ce', '#c2410c', '#15803d', '#7c3aed', '#b5179e']
const DARK = ['#6cb0ff', '#ff9a5c', '#5fd38a', '#b79cff', '#ff8ad8']

/**
 * @param x { label, values, log? }: each value has its tick
 * @param y { label, log? }: from 0, or from the power of ten below the least
 * @param series [{ name, values }], as many values as x has
 */
export function chart ({ title, x, y, series }) {
  const right = WIDTH - PLOT.right
  const bottom = HEIGHT - PLOT.bottom
  const across = scale(x.log, Math.min(...x.values), Math.max(...x.values), PLOT.left, right)
  const all = series.flatMap(({ values }) => values)
  const ticks = y.log ? powersOfTen(Math.min(...all), Math.max(...all)) : steps(Math.max(...all))
  const up = scale(y.log, ticks[0], ticks.at(-1), bottom, PLOT.top)

  const grid = ticks.map((tick) => `<line class="grid" x1="${PLOT.left}" x2="${right}" y1="${up(tick)}" y2="${up(tick)}"/>` +
    `<text x="${PLOT.left - 8}" y="${up(tick) + 4}" text-anchor="end">${written(tick)}</text>`)
  const below = x.values.map((value) => `<line class="axis" x1="${across(value)}" x2="${across(value)}" y1="${bottom}" y2="${bottom + 5}"/>` +
    `<text x="${across(value)}" y="${bottom + 20}" text-anchor="middle">${written(value)}</text>`)
  const lines = series.map(({ values }, i) => {
    const points = values.map((value, at) => [across(x.values[at]), up(value)])
    return `<g class="s${i}"><polyline points="${points.map((point) => point.join()).join(' ')}"/>` +
      `${points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5"/>`).join('')}</g>`
  })
  let legendAt = PLOT.left
  const legend = series.map(({ name }, i) => {
    const at = legendAt
    // Nothing here measures text: 7 a letter is enough for the font below.
    legendAt += 34 + name.length * 7
    return `<g class="s${i}"><circle cx="${at + 5}" cy="50" r="5"/></g><text x="${at + 16}" y="54">${escaped(name)}</text>`
  })

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">
<style>
svg { background: #fff }
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.grid { stroke: #d8dee4 }
.axis { stroke: #57606a }
polyline { fill: none; stroke-width: 2 }
${colours(LIGHT)}
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 }
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.axis { stroke: #8b949e }
${colours(DARK)}
}
</style>
<text class="title" x="${PLOT.left}" y="28">${escaped(title)}</text>
${[...legend, ...grid].join('\n')}
<text x="${PLOT.left}" y="${PLOT.top - 10}">${escaped(y.label)}</text>
<line class="axis" x1="${PLOT.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
${[...below, ...lines].join('\n')}
<text x="${(PLOT.left + right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(x.label)}</text>
</svg>
`
}

function colours (palette) {
  return palette.map((colour, i) => `.s${i} polyline { stroke: ${colour} } .s${i} circle { fill: ${colour} }`).join('\n')
}

/** From a number of the axis to a place in the picture. */
function scale (log, least, most, from, to) {
  const place = log ? Math.log10 : Number
  return (value) => Math.round((from + (place(value) - place(least)) / (place(most) - place(least)) * (to - from)) * 10) / 10
}

/** From 0 past `most`, at 1, 2 or 5 times a power of ten apart. */
function steps (most) {
  const power = 10 ** Math.floor(Math.log10(most / 4))
  const step = [1, 2, 5, 10].find((factor) => most / (factor * power) <= 6) * power
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => Number((i * step).toPrecision(12)))
}

function powersOfTen (least, most) {
  const first = Math.floor(Math.log10(least))
  const last = Math.max(first + 1, Math.ceil(Math.log10(most)))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

function written (number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ' ')
}

function escaped (text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
