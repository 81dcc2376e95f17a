// `npm run mutation [FILE OR FOLDER…]`: changes the library in one place after the other, and asks whether a test notices.
//
// Stryker's instrumenter puts every change (a mutant) into the code at once, each behind a switch. The tests run once with all
// switches off, which tells how long each takes and which mutants it reaches; then each mutant is switched on in turn, and the
// tests that reach it run, the likeliest to fail first, until one does. What no test notices is a survivor: a test is missing,
// the code does nothing, or the change makes no difference. The last is said in survivors.md, by hand. The command fails where
// fewer than `LEAST` percent were noticed, or a survivor is not explained.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FOLDERS, LEAST } from './config.mjs'
import { bundled, instrumented, testFiles } from './instrument.mjs'
import { Judge } from './judge.mjs'
import { writeSurvivors } from './survivors.mjs'
import { observed } from './tests.mjs'
import { TestProcess } from './test-process.mjs'

const WORK = join(import.meta.dirname, '..', '.tap', 'mutation')
/** Which test noticed what, the last time: asked first the next time. */
const MEMORY = join(WORK, 'noticed.json')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Processes at once. */
    jobs: { type: 'string', default: '1' },
    /** One in so many: an estimate. */
    every: { type: 'string', default: '1' },
    /** Only those that no test is known to notice. */
    survivors: { type: 'boolean', default: false },
    /** Each mutant as it is judged. */
    verbose: { type: 'boolean', default: false }
  }
})
const paths = positionals.length === 0 ? FOLDERS : positionals.map((path) => path.replace(/\/$/, ''))
const memory = existsSync(MEMORY) ? JSON.parse(readFileSync(MEMORY, 'utf8')) : {}

const { texts, mutants: all } = await instrumented()
const mutants = all
  .filter(({ file }) => paths.some((path) => isIn(path, file)))
  .filter((_mutant, place) => place % Number(values.every) === 0)
  .filter((mutant) => !values.survivors || memory[mutant.name] === undefined || memory[mutant.name] === null)
if (mutants.length === 0) throw new Error(`There is nothing to mutate in ${paths.join(', ')}.`)

rmSync(join(WORK, 'programs'), { recursive: true, force: true })
mkdirSync(WORK, { recursive: true })
const programs = await bundled(testFiles(), texts, join(WORK, 'programs'))
const tests = await observed(programs, WORK)
console.log(`${mutants.length} mutants, ${tests.length} tests`)

const judge = new Judge(tests, memory)
const waiting = mutants[Symbol.iterator]()
let judged = 0
await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
  const testProcess = new TestProcess(WORK)
  for (const mutant of waiting) {
    const start = performance.now()
    mutant.noticedBy = await judge.noticedBy(mutant, testProcess)
    if (values.verbose) console.log(`${mutant.file}:${mutant.line}: ${mutant.change} | ${mutant.noticedBy ?? 'SURVIVED'} | ${Math.round(performance.now() - start)} ms`)
    memory[mutant.name] = mutant.noticedBy
    if (++judged % 50 === 0) {
      console.log(`${judged} judged`)
      remember()
    }
  }
  testProcess.end()
}))
remember()

for (const path of paths) {
  const judged = mutants.filter(({ file }) => isIn(path, file))
  const noticed = judged.filter(({ noticedBy }) => noticedBy !== null).length
  const score = 100 * noticed / judged.length
  console.log(`${path}: ${noticed} of ${judged.length} noticed, ${score.toFixed(1)} %`)
  // Of survivors alone there is no score.
  if (!values.survivors && score < LEAST) process.exitCode = 1
}
for (const { file, line, change } of writeSurvivors(all)) {
  console.log(`not explained: ${file}:${line}: ${change}`)
  process.exitCode = 1
}

/** Now and then: a run that is stopped is not lost. */
function remember () {
  writeFileSync(MEMORY, JSON.stringify(memory))
}

function isIn (path, file) {
  return file === path || file.startsWith(`${path}/`)
}
