// One benchmark in a process of its own: node one.mjs FILE TOOLS. Sends the runner what it found; what belongs to it goes with it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from './usage-error.mjs'

const [file, tools] = process.argv.slice(2)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('disconnect', () => process.exit(1))
const folder = mkdtempSync(join(tmpdir(), 'bench-'))
process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })

try {
  const { default: bench } = await import(file)
  const note = (text) => { console.error(`  ${text}`) }
  const found = await bench.run({ folder, note, ...JSON.parse(tools) })
  process.send({ about: bench.about, charts: [], ...found }, () => process.exit())
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error)
  process.exit(1)
}
