// `npm run bench NAME`: runs one benchmark and prints its tables, or JSON with --json. Needs Linux, two cores and wrk.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkTools, measure, UsageError } from './harness.mjs'
import { report } from './support/report.mjs'

// What belongs to a run (servers, Redis, files) goes when this process does, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

try {
  await run()
} catch (error) {
  if (!(error instanceof UsageError) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function run () {
  const { values, positionals: [name] } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '21' },
      seconds: { type: 'string', default: '1' },
      // ms that each connection waits before a request: all variants then serve as many requests a second.
      pause: { type: 'string', default: '0' },
      // A folder for a CPU profile of each variant's server, to be read with Chrome's or VS Code's viewer.
      profile: { type: 'string' }
    }
  })
  const names = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.mjs') && file !== 'run.mjs' && file !== 'harness.mjs').map((file) => basename(file, '.mjs'))
  if (!names.includes(name)) throw new UsageError(`npm run bench ${name === undefined ? 'needs a name' : `knows no "${name}"`}: one of ${names.join(', ')}.`)
  const rounds = wholeNumber('rounds', values.rounds, 1)
  const seconds = wholeNumber('seconds', values.seconds, 1)
  const pause = wholeNumber('pause', values.pause, 0)
  checkTools()

  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const file = join(import.meta.dirname, `${name}.mjs`)
  const { default: bench } = await import(file)
  const context = await bench.prepare(folder)
  const results = await measure({
    file, bench, context, folder, rounds, seconds, pause, profile: values.profile, note: (text) => { console.error(text) }
  })
  console.log(report(bench, results, values.json))
  process.exit()
}

function wholeNumber (name, text, min) {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < min) throw new UsageError(`--${name} takes a whole number from ${min}.`)
  return number
}
