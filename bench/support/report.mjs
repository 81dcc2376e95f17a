// What a benchmark measured, as tables or as JSON.
import { cpus } from 'node:os'

/**
 * What a variant adds is the median of what it added round by round, and as `min` the difference of the quietest rounds.
 * @param results CPU µs a request by variant, one number a round
 */
export function report (bench, results, asJson) {
  const variants = [...results].map(([name, rounds]) => ({ name, median: median(rounds), min: Math.min(...rounds), rounds }))
  const groups = bench.added.map(({ title, rows }) => ({ title, rows: addedRows(rows, results) }))
  const machine = `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0].model.trim()}`
  if (asJson) return JSON.stringify({ about: bench.about, machine, unit: 'CPU µs a request', variants, added: groups }, null, 2)
  return [
    `${bench.about}\n${machine}; ${variants[0].rounds.length} rounds; CPU µs a request`,
    table('Variant', ['median', 'min'], variants.map(({ name, median, min }) => [name, [fixed(median), fixed(min)]])),
    ...groups.map(({ title, rows }) => table(title, ['median', 'min', 'of the first'], rows.map(({ name, median, min, ratio }) => [name, [fixed(median), fixed(min), `${ratio.toFixed(2)}×`]])))
  ].join('\n\n')
}

/** @param rows [name, variant, the variant without what is looked at] */
function addedRows (rows, results) {
  const added = rows.map(([name, variant, without]) => {
    const [more, less] = [results.get(variant), results.get(without)]
    return { name, median: median(more.map((cpu, round) => cpu - less[round])), min: Math.min(...more) - Math.min(...less) }
  })
  return added.map((row) => ({ ...row, ratio: row.median / added[0].median }))
}

function median (numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2
}

function fixed (microseconds) {
  return microseconds.toFixed(1)
}

function table (title, columns, rows) {
  const width = Math.max(title.length, ...rows.map(([name]) => name.length))
  return [[title, columns], ...rows].map(([name, cells]) => [name.padEnd(width), ...cells.map((cell) => cell.padStart(14))].join('')).join('\n')
}
