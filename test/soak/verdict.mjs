// Judges a soak: how fast memory grew, whether usage is exact, and the bars.
import { median } from '../../bench/support/figures.mjs'

const MB = 1e6
/** MB a minute. */
const MOST_GROWTH = 0.5

/**
 * Theil–Sen: the median of the slopes between every two points. One peak, or a few, does not move it, as it would least squares.
 * @param points [{ x, y }]
 */
export function slopeOf (points) {
  const slopes = points.flatMap((to, place) => points.slice(0, place).map((from) => (to.y - from.y) / (to.x - from.x)))
  return slopes.length === 0 ? NaN : median(slopes)
}

/** Of one member of the samples, MB a minute. @param samples [{ minute, … bytes }] */
export function growth (samples, member) {
  return slopeOf(samples.filter((sample) => sample[member] !== null).map((sample) => ({ x: sample.minute, y: sample[member] / MB })))
}

/**
 * @param tally what the client counted by public id, { requests, failures, uncertain }
 * @param stored what the database holds by public id, { requests, failures }
 * @returns a text for each key whose usage is not what it must be
 */
export function wrongUsage (tally, stored) {
  const wrong = []
  for (const publicId of new Set([...tally.keys(), ...stored.keys()])) {
    const counted = tally.get(publicId) ?? { requests: 0, failures: 0, uncertain: 0 }
    const kept = stored.get(publicId) ?? { requests: 0, failures: 0 }
    const fits = ['requests', 'failures'].every((what) => kept[what] >= counted[what] && kept[what] <= counted[what] + counted.uncertain)
    if (!fits) wrong.push(`${publicId}: ${JSON.stringify(counted)} counted, ${JSON.stringify(kept)} stored`)
  }
  return wrong
}

/** The bars, as the benchmarks' report judges them. */
export function barsOf ({ samples, unknown, leastUnknown, counts, wrong, events, stored, end, code }) {
  const bar = (name, value, unit, most = 0) => ({ bar: name, value, unit, most })
  return [
    bar('growth of resident memory', growth(samples, 'rss'), 'MB a minute', MOST_GROWTH),
    bar('growth of what is alive', growth(samples, 'alive'), 'MB a minute', MOST_GROWTH),
    { bar: 'keys that nobody has', value: unknown, unit: 'keys', least: leastUnknown },
    bar('keys whose usage is not exact', wrong.length, 'keys'),
    bar('events that are not in the totals', Math.abs(events - stored), 'events'),
    bar('events that usage.sink was not given', Math.abs(end.sunk - stored), 'events'),
    bar('events dropped', end.dropped, 'events'),
    bar('answers 5xx', counts.serverErrors, 'answers'),
    bar('answers that are not the right ones', counts.unexpected, 'answers'),
    bar('connections that broke', counts.broken, 'connections'),
    bar('unhandled rejections, exceptions, warnings', end.troubles.count, 'lines'),
    bar('ends other than in order', code === 0 ? 0 : 1, '')
  ]
}
