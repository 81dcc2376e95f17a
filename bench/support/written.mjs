// Results that are kept: results.json, and a picture for each chart.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { chart } from './chart.mjs'

/**
 * What other benchmarks found before stays, if it was taken on the same machine with the same versions.
 * @param results { machine, versions, benchmarks: by name what each found }
 */
export function writeResults (folder, results) {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'results.json')
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null
  const comparable = before !== null && before.machine === results.machine && isDeepStrictEqual(before.versions, results.versions)
  const benchmarks = comparable ? { ...before.benchmarks, ...results.benchmarks } : results.benchmarks
  writeFileSync(file, `${JSON.stringify({ ...results, benchmarks }, null, 2)}\n`)
  for (const { charts } of Object.values(results.benchmarks)) for (const one of charts) writeFileSync(join(folder, `${one.name}.svg`), chart(one))
}
