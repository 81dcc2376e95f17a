// What a benchmark found, as text: its tables, and a line of JSON for each bar.

/** @param tables [{ title, columns, rows: [[name, cells]] }], cells written already */
export function tables (tables) {
  return tables.map(({ title, columns, rows }) => table(title, columns, rows)).join('\n\n')
}

function table (title, columns, rows) {
  const lines = [[title, columns], ...rows]
  const first = Math.max(...lines.map(([name]) => name.length))
  const widths = columns.map((_, column) => 3 + Math.max(...lines.map(([, cells]) => cells[column]?.length ?? 0)))
  return lines.map(([name, cells]) => [name.padEnd(first), ...cells.map((cell, column) => cell.padStart(widths[column]))].join('')).join('\n')
}

/**
 * Does a bar hold? Judged by the value as it is told, so that no line contradicts itself.
 * @param bar { bar, value, unit, most } or { bar, value, unit, least }
 */
export function judged ({ bar, value, unit, most, least }) {
  const told = Number(value.toPrecision(4))
  const bound = most === undefined ? `>= ${least}` : `<= ${most}`
  return { bar, value: told, unit, bound, holds: most === undefined ? told >= least : told <= most }
}

/** One line that says how many of the judged bars hold, and which do not. */
export function summary (bars) {
  const missed = bars.filter(({ holds }) => !holds).map(({ bar }) => bar)
  return `${bars.length - missed.length} of ${bars.length} bars hold${missed.length === 0 ? '' : `; not: ${missed.join(', ')}`}`
}
