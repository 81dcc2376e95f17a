// Runs tests of one program after the other, each time with the mutant awake that it is told; test-process.mjs starts it.
import tap, { Test } from 'tap'
import { isLeftOut } from './config.mjs'
import { wordsOf } from './words.mjs'

// The test of the process itself never ends, and would be ended for that.
tap.setTimeout(0)

/** ms between looks at whether anything is done, ms of doing that count, and ms of none at which it is given up. */
const LOOK = 500
const AT_WORK = 5
const STILL = 5000

/** What mutants read and write: which of them is awake, and how often each was reached by which test. */
const switches = globalThis.__stryker__ = {}
// What a test that has failed leaves behind may end late, in the middle of the next. A test's own strays tap counts against it.
process.on('uncaughtException', () => {})
process.on('unhandledRejection', () => {})

process.on('message', async (order) => {
  const watch = watchStillness()
  const found = await run(order).catch((error) => ({ tests: [], error: String(error) }))
  clearInterval(watch)
  process.send({ found: { ...found, memory: process.memoryUsage.rss() } })
})
process.send({ ready: true })

/** Gives up where for a while nothing at all is done: a test waits for what never comes. On a busy machine, time alone says nothing. */
function watchStillness () {
  let still = 0
  let last = performance.eventLoopUtilization()
  return setInterval(() => {
    const now = performance.eventLoopUtilization()
    still = now.active - last.active < AT_WORK ? still + LOOK : 0
    last = now
    if (still >= STILL) process.send({ found: { tests: [{ place: switches.currentTestId, ok: false }], hangs: true } })
  }, LOOK)
}

/** Unlike the clock, this does not depend on what else the machine does. @returns ms */
function cpuTime () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * @param file its path, for the first run: all its tests
 * @param places of the tests to run, up to the first that fails: `2` the third test of the file, without the tests in it; `2.0` the first in that
 * @param hitLimit how often the mutant may be reached: more is a loop without end
 */
async function run ({ program, run, file, mutant = null, places, hitLimit }) {
  const wanted = places === undefined ? null : new Set(places)
  const written = []
  const root = globalThis.testFile = new Test({ name: `run ${run}`, bail: wanted !== null })
  root.resume()
  const runTest = root.test.bind(root)
  root.test = (...test) => { written.push(test) }

  Object.assign(switches, { activeMutant: mutant, currentTestId: undefined, mutantCoverage: { static: {}, perTest: {} }, hitCount: 0, hitLimit })
  // New modules each time: nothing that one mutant did is left for the next.
  await import(`${program}?${run}`)
  const tests = []
  for (const [place, test] of written.entries()) {
    const isWanted = wanted === null ? !isLeftOut(`${file}: ${test[0]}`) : places.some((one) => Number.parseInt(one) === place)
    if (isWanted) await runOne(runTest, test, `${place}`, undefined, wanted, tests)
    if (wanted !== null && tests.some(({ ok }) => !ok)) break
  }
  // A file's own teardown is no test.
  switches.currentTestId = undefined
  await root.end()
  return { tests, hits: switches.mutantCoverage }
}

/**
 * Runs a test, and notes of it and of those in it what became of them. Of those in it, what nobody wants is left out.
 * @param around place of the test that it is in; undefined: the file
 * @returns ms of work
 */
async function runOne (runTest, [name, ...rest], place, around, wanted, tests) {
  const body = rest.pop()
  let start = null
  let ofInner = 0
  const { ok } = await runTest(name, ...rest, async (t) => {
    start = cpuTime()
    switches.currentTestId = place
    const runInner = t.test.bind(t)
    let inner = 0
    if (around === undefined) {
      t.test = async (...test) => {
        const innerPlace = `${place}.${inner++}`
        if (wanted !== null && !wanted.has(innerPlace)) return
        const innerMs = await runOne(runInner, test, innerPlace, place, wanted, tests)
        ofInner += innerMs
      }
    }
    await body(t)
  })
  const ms = start === null ? 0 : cpuTime() - start
  tests.push({ place, name, ok, ms: Math.max(0, ms - ofInner), ...(wanted === null && { words: wordsOf(`${name} ${body}`) }) })
  // Where the one around waits for none of those in it, the next has begun by now.
  if (switches.currentTestId === place) switches.currentTestId = around
  return ms
}
