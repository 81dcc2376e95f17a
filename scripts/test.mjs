// Runs tap, judges coverage, and makes `N passed, M failed` the last line in every case. Arguments go to tap.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '..')
process.chdir(root)

const SUMMARY = /^\d+ passed, (\d+) failed(, \d+ skipped)?$/
const report = join(root, '.tap', 'report', 'coverage-final.json')
/** Runs in a browser, where test/browser/ drives it. */
const PAGE = join('lib', 'dashboard', 'page', '/')
const args = process.argv.slice(2)
const partial = args.length > 0

rmSync(report, { force: true })
const { TAP, ...env } = process.env // TAP=1 would put raw TAP in our reporter's place
const tap = spawn(process.execPath, [
  'node_modules/tap/dist/esm/run.mjs',
  ...(partial ? ['--disable-coverage', '--allow-empty-coverage'] : ['--coverage-report=json']),
  ...args
], { env, stdio: ['ignore', 'pipe', 'inherit'] })

// tap speaks of coverage after the reporter has ended: the summary is held back until both have.
let last = null
const lines = createInterface({ input: tap.stdout })
lines.on('line', (line) => {
  if (SUMMARY.test(line)) last = line
  else if (!line.startsWith('json report: ') && line !== '# No coverage generated') console.log(line)
})
const [code] = await Promise.all([
  new Promise((resolve) => tap.on('close', (code, signal) => resolve(code ?? signal))),
  new Promise((resolve) => lines.on('close', resolve))
])

const failed = last === null || SUMMARY.exec(last)[1] !== '0'
const gaps = partial ? [] : coverageGaps()
if (partial) console.log('coverage is not judged: only some tests or other settings were asked for')
else if (gaps.length > 0) {
  console.log(`coverage incomplete: ${gaps.length} ${gaps.length === 1 ? 'file' : 'files'}`)
  // With failing tests the list would only bury what matters.
  if (!failed) for (const gap of gaps) console.log(`  ${gap}`)
}
if (code !== 0 && !failed && gaps.length === 0) {
  console.log(`tap ended with ${code} though no test failed`)
  last = last.replace('0 failed', '1 failed')
}
console.log(last ?? '0 passed, 1 failed')
process.exitCode = code === 0 && !failed && gaps.length === 0 ? 0 : 1

/** A text for each file that is not fully covered, those of lib/ that no test loads among them: tap does not see these. */
function coverageGaps () {
  const covered = readJson(report)
  const gaps = []
  for (const [path, file] of Object.entries(covered)) {
    const lines = rangesOf(Object.keys(file.s).filter((id) => file.s[id] === 0).map((id) => file.statementMap[id].start.line))
    const branches = rangesOf(Object.keys(file.b).flatMap((id) => file.b[id].flatMap((count, arm) => count === 0 ? [file.branchMap[id].locations[arm].start.line] : [])))
    const functions = Object.keys(file.f).filter((id) => file.f[id] === 0).map((id) => file.fnMap[id].name)
    const parts = [['lines', lines], ['branches at lines', branches], ['functions', functions]].filter(([, list]) => list.length > 0)
    if (parts.length > 0) gaps.push(`${relative(root, path)}: ${parts.map(([what, list]) => `${what} ${list.join(', ')}`).join('; ')}`)
  }
  for (const file of readdirSync('lib', { recursive: true }).map((name) => join('lib', name)).sort()) {
    if (!/(?<!\.d)\.ts$/.test(file) || file.startsWith(PAGE) || Object.hasOwn(covered, join(root, file))) continue
    if (hasCode(file)) gaps.push(`${file}: no test loads it`)
  }
  return gaps
}

/** Does anything remain of the file once its types are gone? The build, which runs first, has the answer. */
function hasCode (file) {
  const built = join('dist', file.replace(/\.ts$/, '.js'))
  return !existsSync(built) || readFileSync(built, 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '').replace(/export \{\};?/, '').trim() !== ''
}

function rangesOf (numbers) {
  const ranges = []
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const open = ranges.at(-1)
    if (open !== undefined && open.to === number - 1) open.to = number
    else ranges.push({ from: number, to: number })
  }
  return ranges.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`)
}

/** Nothing at all was covered where tap wrote no report. */
function readJson (file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}
