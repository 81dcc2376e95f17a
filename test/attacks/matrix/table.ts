// The matrix as text: a section for each path, a column for each method, a line for what credentials get.
import { CREDENTIALS } from './credentials.js'
import { METHODS, type Method } from './targets.js'
import { WORDS } from './words.js'

/** What each cell says. */
export class Cells {
  readonly #words = new Map<string, string>()
  /** The paths that were asked. */
  readonly paths = new Set<string>()

  set (target: string, credential: string, method: Method, word: string): void {
    this.paths.add(target)
    this.#words.set(`${target} ${credential} ${method}`, word)
  }

  line (target: string, credential: string): string[] {
    return METHODS.map((method) => this.#words.get(`${target} ${credential} ${method}`)!)
  }
}

/** Names with one and the same text stand together, in the order of the first of them. */
function alike (names: readonly string[], textOf: (name: string) => string): string[][] {
  const groups = new Map<string, string[]>()
  for (const name of names) groups.set(textOf(name), [...groups.get(textOf(name)) ?? [], name])
  return [...groups.values()]
}

function aligned (lines: ReadonlyArray<readonly string[]>): string {
  const widths = lines[0]!.map((_cell, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
}

/**
 * Paths that differ in nothing share a section; credentials that differ in nothing there share a line.
 * @param base paths that are the same there are left out
 */
export function tableText (cells: Cells, base: Cells | null): string {
  const credentials = CREDENTIALS.map(({ name }) => name)
  const textOf = (of: Cells, path: string): string => String(credentials.map((credential) => of.line(path, credential)))
  const paths = [...cells.paths].filter((path) => base === null || textOf(cells, path) !== textOf(base, path))
  const sections = alike(paths, (path) => textOf(cells, path))
  return sections.map((paths) => {
    const lines = alike(credentials, (credential) => String(cells.line(paths[0]!, credential)))
    const rows = lines.map((names) => [...cells.line(paths[0]!, names[0]!), names.join(' | ')])
    return `${paths.map((path) => `### ${path}`).join('\n')}\n\n${aligned([[...METHODS, ''], ...rows])}\n`
  }).join('\n')
}

export const LEGEND = `What each route answers to each credential, by method. Written by authorisation-matrix.test.ts, which holds every cell against
rules in words and against this page: a line that changes here is a change of who may do what.

A cell is the status, and who it was that acted, A or B, or why not. A HEAD answer shows no more than its status.

${Object.entries(WORDS).map(([word, { code, challenge }]) => `${word.padEnd(20)}${code}${challenge === undefined ? '' : `, ${challenge}`}`).join('\n')}
${'403 lacks …'.padEnd(20)}INSUFFICIENT_SCOPE, and the challenge names the scopes
${'404'.padEnd(20)}there is no such route, or it has nothing for whoever asks

Credentials are A's unless they say otherwise. \`key\` has all scopes and comes in X-API-Key.
`
