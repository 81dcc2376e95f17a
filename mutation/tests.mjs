// What the tests are when nothing is mutated: how long each takes, and which mutants it reaches.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TestProcess } from './test-process.mjs'
import { wordsOf } from './words.mjs'

/**
 * @param programs by test file
 * @param folder where processes run, and what was observed of a program is kept until it is another
 * @returns `{ id, file, program, place, ms, words, hits }` of each test that passes; `hits`: how often it reaches a mutant, by the mutant's id
 */
export async function observed (programs, folder) {
  const notes = join(folder, 'observed.json')
  const known = existsSync(notes) ? JSON.parse(readFileSync(notes, 'utf8')) : {}
  const process = new TestProcess(folder)
  const tests = []
  for (const [file, program] of programs) {
    const digest = createHash('sha256').update(readFileSync(fileURLToPath(program))).digest('hex')
    if (known[file]?.digest !== digest) known[file] = { digest, tests: testsOf(file, await process.run({ file, program })) }
    tests.push(...known[file].tests.map((test) => ({ ...test, file, program })))
  }
  process.end()
  writeFileSync(notes, JSON.stringify(known))
  return tests
}

function testsOf (file, found) {
  if (found === null || found.error !== undefined) throw new Error(`${file} does not run: ${found?.error ?? 'it comes to no end'}`)
  const names = new Map(found.tests.map(({ place, name }) => [place, name]))
  return found.tests.flatMap(({ place, name, ok, ms, words }) => {
    const [outer, inner] = place.split('.')
    const id = `${file}: ${inner === undefined ? name : `${names.get(outer)} › ${name}`}`
    if (!ok) console.log(`left out, for it fails here: ${id}`)
    // What runs as the file is loaded, or in the test around it, is reached by each test.
    const { perTest, static: ofFile } = found.hits
    return ok ? [{ id, place, ms, words: [...wordsOf(file), ...words], hits: { ...ofFile, ...perTest[outer], ...perTest[place] } }] : []
  })
}
