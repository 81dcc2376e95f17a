// Figures from rounds: medians, percentiles, what one variant adds to another, and how they are written.

export function median (numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2
}

/** @param share 0.99: the smallest of the numbers that at least 99 of 100 do not exceed */
export function percentile (numbers, share) {
  return numbers.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(numbers.length * share) - 1)]
}

/** What `more` has beyond `less`, round by round: what else the machine did in a round falls on both. */
export function added (more, less) {
  return more.map((number, round) => number - less[round])
}

/** How many times as large, round by round. */
export function times (numerators, denominators) {
  return numerators.map((number, round) => number / denominators[round])
}

/** Median, least and most of the rounds, written. */
export function spread (rounds, digits = 1) {
  return [median(rounds), Math.min(...rounds), Math.max(...rounds)].map((number) => fixed(number, digits))
}

/** With a space between thousands. */
export function fixed (number, digits = 1) {
  const [whole, ...fraction] = number.toFixed(digits).split('.')
  return [whole.replace(/\B(?=(\d{3})+$)/g, ' '), ...fraction].join('.')
}
