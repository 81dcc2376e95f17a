// Runs tests of one program after the other, each time with the mutant awake that it is told; test-process.mjs starts it.
import tap, { Test } from 'tap'
import { isLeftOut } from './config.mjs'

// The test of the process itself never ends, and would be ended for that.
tap.setTimeout(0)

/** What mutants read and write: which of them is awake, and how often each was reached by which test. */
const switches = globalThis.__stryker__ = {}
let stray = false
process.on('uncaughtException', () => { stray = true })
process.on('unhandledRejection', () => { stray = true })

process.on('message', async (order) => {
  const idle = setInterval(giveUp, 500, order.wait + idleTime())
  const found = await run(order).catch((error) => ({ tests: [], error: String(error) }))
  clearInterval(idle)
  process.send({ found: { ...found, memory: process.memoryUsage.rss() } })
})
process.send({ ready: true })

/** Time in which there was nothing to do: on a busy machine the clock says less. @returns ms */
function idleTime () {
  return performance.eventLoopUtilization().idle
}

/** Ends the process where the tests wait for what never comes. */
function giveUp (idleAtMost) {
  if (idleTime() > idleAtMost) process.exit()
}

/**
 * @param file its path, for the first run: all its tests
 * @param places of the tests to run, up to the first that fails: `2` the third test of the file, without the tests in it; `2.0` the first in that
 * @param wait ms that they may have nothing to do
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
    if (isWanted) await runOne(runTest, test, `${place}`, wanted, tests)
    if (wanted !== null && tests.some(({ ok }) => !ok)) break
  }
  // A file's own teardown is no test.
  switches.currentTestId = undefined
  await root.end()
  return { tests, hits: switches.mutantCoverage }
}

/**
 * Runs a test, and notes of those in it and then of itself what became of them. Of those in it, what nobody wants is left out.
 * @returns ms
 */
async function runOne (runTest, [name, ...rest], place, wanted, tests) {
  const outer = switches.currentTestId
  const body = rest.pop()
  let start = 0
  let ofInner = 0
  const { ok } = await runTest(name, ...rest, async (t) => {
    start = performance.now()
    switches.currentTestId = place
    const runInner = t.test.bind(t)
    let inner = 0
    if (outer === undefined) {
      t.test = async (...test) => {
        const innerPlace = `${place}.${inner++}`
        if (wanted === null || wanted.has(innerPlace)) ofInner += await runOne(runInner, test, innerPlace, wanted, tests)
      }
    }
    await body(t)
  })
  const ms = start === 0 ? 0 : performance.now() - start
  tests.push({ place, name, ok: ok && !stray, ms: ms - ofInner })
  switches.currentTestId = outer
  stray = false
  return ms
}
