// Decides whether a test notices a mutant: which tests to ask, in which order, and for how long.

/** The tests that noticed most of a file's mutants are asked first, so many of them one by one. */
const FAVOURITES = 3
/** ms of tests that a mutant is given; what no test has noticed by then survives. */
const PATIENCE = 6000
/** Tests may wait with nothing to do for as long as they take without a mutant, and so many ms more: beyond them they hang. */
const WAIT = 3000
/** A mutant may be reached so many times as often as without it: beyond them it is a loop without end. */
const MORE_HITS = 100

export class Judge {
  #tests
  #memory
  /** How many mutants of a file each test has noticed. */
  #noticed = new Map()
  /** Whether a test passes alone where nothing is mutated: only then does its failure say anything. */
  #steady = new Map()

  /** @param memory the id of the test that noticed a mutant the last time, by the mutant's name */
  constructor (tests, memory) {
    this.#tests = tests
    this.#memory = memory
  }

  /** @returns the id of a test that fails with this mutant; null if none does */
  async noticedBy (mutant, process) {
    const tests = this.#tests.filter(({ id, hits }) => hits[mutant.id] !== undefined && this.#steady.get(id) !== false)
    for (const group of this.#groups(mutant, tests)) {
      const failing = await this.#firstFailing(group, mutant, process)
      if (failing === null || !await this.#isSteady(failing, process)) continue
      const counts = this.#countsOf(mutant.file)
      counts.set(failing.id, (counts.get(failing.id) ?? 0) + 1)
      return failing.id
    }
    return null
  }

  /** Favourites alone, then the others file by file, the quickest first. */
  #groups (mutant, tests) {
    const counts = this.#countsOf(mutant.file)
    const rank = ({ id }) => id === this.#memory[mutant.name] ? Infinity : counts.get(id) ?? 0
    const favourites = tests.filter((test) => rank(test) > 0).sort((a, b) => rank(b) - rank(a)).slice(0, FAVOURITES)
    const others = tests.filter((test) => !favourites.includes(test))
    const groups = [...new Set(others.map(({ file }) => file))].map((name) => others.filter(({ file }) => file === name))
    groups.sort((a, b) => timeOf(a) - timeOf(b))
    let left = PATIENCE
    return [...favourites.map((test) => [test]), ...groups.filter((group) => (left -= timeOf(group)) > 0)]
  }

  async #firstFailing (group, mutant, process) {
    const hits = group.reduce((sum, test) => sum + test.hits[mutant.id], 0)
    const order = { program: group[0].program, mutant: mutant.id, places: group.map(({ place }) => place), hitLimit: hits * MORE_HITS, wait: timeOf(group) + WAIT }
    const found = await process.run(order)
    // Where it hangs or cannot even be loaded, the first has failed.
    if (found === null || found.error !== undefined) return group[0]
    const failed = found.tests.find(({ ok }) => !ok)
    // The test around it may fail in its place.
    return failed === undefined ? null : group.find(({ place }) => place === failed.place) ?? group.find(({ place }) => place.startsWith(`${failed.place}.`))
  }

  async #isSteady (test, process) {
    if (!this.#steady.has(test.id)) {
      const found = await process.run({ program: test.program, places: [test.place], wait: test.ms + WAIT })
      this.#steady.set(test.id, found?.error === undefined && found?.tests.every(({ ok }) => ok) === true)
    }
    return this.#steady.get(test.id)
  }

  #countsOf (file) {
    if (!this.#noticed.has(file)) this.#noticed.set(file, new Map())
    return this.#noticed.get(file)
  }
}

function timeOf (tests) {
  return tests.reduce((sum, { ms }) => sum + ms, 0)
}
