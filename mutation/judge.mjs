// Decides whether a test notices a mutant: which tests to ask, in which order, and for how long.

/** The tests that noticed most of a file's mutants are asked first, so many of them one by one. */
const FAVOURITES = 3
/** Then those whose text is most like the changed place's. */
const LIKELY = 20
/** ms of work of further tests that a mutant is given; what no test has noticed by then survives. */
const PATIENCE = 4000
/** A mutant may be reached so many times as often as without it: beyond them it is a loop without end. */
const MORE_HITS = 100

export class Judge {
  #tests
  #memory
  /** What a word tells: the fewer tests use it, the more. */
  #weights = new Map()
  /** How many mutants of a file each test has noticed. */
  #noticed = new Map()
  /** Whether a test passes alone where nothing is mutated: only then does its failure say anything. */
  #steady = new Map()

  /** @param memory the id of the test that noticed a mutant the last time, by the mutant's name */
  constructor (tests, memory) {
    this.#tests = tests
    this.#memory = memory
    for (const word of tests.flatMap(({ words }) => words)) this.#weights.set(word, (this.#weights.get(word) ?? 0) + 1)
    for (const [word, times] of this.#weights) this.#weights.set(word, Math.log(tests.length / times))
  }

  /** @returns the id of a test that fails with this mutant; null if none does */
  async noticedBy (mutant, process) {
    const tests = this.#tests.filter(({ id, hits }) => hits[mutant.id] > 0 && this.#steady.get(id) !== false)
    for (const group of this.#groups(mutant, tests)) {
      const failing = await this.#firstFailing(group, mutant, process)
      if (failing === null || !await this.#isSteady(failing, process)) continue
      const counts = this.#countsOf(mutant.file)
      counts.set(failing.id, (counts.get(failing.id) ?? 0) + 1)
      return failing.id
    }
    return null
  }

  /** Favourites alone, then the likely ones, and of the others the quickest for which there is patience, file by file. */
  #groups (mutant, tests) {
    const counts = this.#countsOf(mutant.file)
    const rank = ({ id }) => id === this.#memory[mutant.name] ? Infinity : counts.get(id) ?? 0
    const favourites = tests.filter((test) => rank(test) > 0).sort((a, b) => rank(b) - rank(a)).slice(0, FAVOURITES)
    const others = tests.filter((test) => !favourites.includes(test))
    const likeness = new Map(others.map((test) => [test, this.#likeness(mutant, test)]))
    const likely = [...others].sort((a, b) => likeness.get(b) - likeness.get(a)).slice(0, LIKELY)
    let left = PATIENCE
    const quick = others.filter((test) => !likely.includes(test)).sort((a, b) => a.ms - b.ms).filter(({ ms }) => (left -= ms) > 0)
    return [...favourites.map((test) => [test]), ...byFile(likely), ...byFile(quick)]
  }

  #likeness ({ words }, test) {
    const known = new Set(test.words)
    return words.reduce((sum, word) => known.has(word) ? sum + this.#weights.get(word) : sum, 0)
  }

  async #firstFailing (group, mutant, process) {
    const hits = group.reduce((sum, test) => sum + test.hits[mutant.id], 0)
    const order = { program: group[0].program, mutant: mutant.id, places: group.map(({ place }) => place), hitLimit: hits * MORE_HITS }
    const found = await process.run(order)
    // Where it is in a loop without end, or cannot even be loaded, the first has failed.
    if (found === null || found.error !== undefined) return group[0]
    const failed = found.tests.find(({ ok }) => !ok)
    // The test around it may fail in its place.
    return failed === undefined ? null : group.find(({ place }) => place === failed.place) ?? group.find(({ place }) => place.startsWith(`${failed.place}.`))
  }

  async #isSteady (test, process) {
    if (!this.#steady.has(test.id)) {
      const found = await process.run({ program: test.program, places: [test.place] })
      this.#steady.set(test.id, found?.error === undefined && found?.tests.every(({ ok }) => ok) === true)
    }
    return this.#steady.get(test.id)
  }

  #countsOf (file) {
    if (!this.#noticed.has(file)) this.#noticed.set(file, new Map())
    return this.#noticed.get(file)
  }
}

/** The quickest first. */
function byFile (tests) {
  const files = [...new Set(tests.map(({ file }) => file))].map((name) => tests.filter(({ file }) => file === name))
  return files.sort((a, b) => timeOf(a) - timeOf(b))
}

function timeOf (tests) {
  return tests.reduce((sum, { ms }) => sum + ms, 0)
}
