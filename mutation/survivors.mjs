// survivors.md: every mutant that no test notices, and why. The reasons are written by hand, the rest here.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = join(import.meta.dirname, 'survivors.md')
const HEAD = `# Survivors

Changes of the code that no test notices, and why. \`npm run mutation\` writes the rows; the reasons are written by hand, and stay with their change while lines move.
`
const ROW = /^\| \d+ \| (?<change>.*) \| (?<reason>.*) \|$/

/**
 * Writes the file anew: a row of each mutant that survived, with the reason it had.
 * @param mutants all there are, in order; of those that were not judged now (`noticedBy` is undefined), rows stay as they are
 * @returns the survivors without a reason
 */
export function writeSurvivors (mutants) {
  const reasons = existsSync(FILE) ? reasonsIn(readFileSync(FILE, 'utf8')) : new Map()
  const rows = mutants
    .map((mutant) => ({ ...mutant, reason: reasons.get(mutant.name)?.trim() }))
    .filter(({ noticedBy, reason }) => noticedBy === null || (noticedBy === undefined && reason !== undefined))
  const sections = [...new Set(rows.map(({ file }) => file))].map((file) => [
    `\n## ${file}\n`, '| line | change | why |', '|---|---|---|',
    ...rows.filter((row) => row.file === file).map(({ line, change, reason = '' }) => `| ${line} | ${change} | ${reason} |`), ''
  ].join('\n'))
  writeFileSync(FILE, `${HEAD}${sections.join('')}`)
  return rows.filter(({ reason = '' }) => reason === '')
}

/** By the mutants' names. */
function reasonsIn (text) {
  const reasons = new Map()
  let file = null
  for (const line of text.split('\n')) {
    if (line.startsWith('## ')) file = line.slice(3)
    const row = ROW.exec(line)?.groups
    if (row !== undefined) reasons.set(`${file}: ${row.change}`, row.reason)
  }
  return reasons
}
