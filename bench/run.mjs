// `npm run bench [NAME…]`: runs the benchmarks, all or those named, one after the other, and prints what they found. Needs Linux and two cores.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { machine, versions } from './support/machine.mjs'
import { judged, summary, tables } from './support/report.mjs'
import { UsageError } from './support/usage-error.mjs'
import { writeResults } from './support/written.mjs'

const WRITTEN = join(import.meta.dirname, '..', 'docs', 'performance')

try {
  await run()
} catch (error) {
  if (!(error instanceof UsageError) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function run () {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      // Of each case; a benchmark has its own number where none is given.
      rounds: { type: 'string' },
      // How long a round of load over HTTP takes.
      seconds: { type: 'string' },
      // One JSON document in place of text.
      json: { type: 'boolean', default: false },
      // Charts and results into docs/performance/.
      write: { type: 'boolean', default: false },
      // A folder for a CPU profile of each variant that has a process, to be read with Chrome's or VS Code's viewer.
      profile: { type: 'string' }
    }
  })
  const names = namesOf(positionals)
  const tools = {
    rounds: wholeNumber('rounds', values.rounds),
    seconds: wholeNumber('seconds', values.seconds),
    profile: values.profile && resolve(values.profile)
  }

  const results = { machine: machine(), versions: await versions(), benchmarks: {} }
  if (!values.json) console.log(`${results.machine}; ${Object.entries(results.versions).map((one) => one.join(' ')).join(', ')}`)
  for (const name of names) {
    console.error(name)
    const found = await runOne(name, tools)
    if (found === null) {
      console.error(`${name} has failed.`)
      process.exitCode = 1
      continue
    }
    results.benchmarks[name] = found
    if (!values.json) console.log([`\n${name}: ${found.about}\n${found.date}, ${found.seconds} s, load ${found.load} before it`, tables(found.tables), found.bars.map((bar) => JSON.stringify(bar)).join('\n')].filter((part) => part !== '').join('\n\n'))
  }
  if (values.json) console.log(JSON.stringify(results, null, 2))
  else console.log(`\n${summary(Object.values(results.benchmarks).flatMap(({ bars }) => bars))}`)
  if (values.write) writeResults(WRITTEN, results)
}

function namesOf (asked) {
  const names = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.mjs') && file !== 'run.mjs' && file !== 'harness.mjs').map((file) => basename(file, '.mjs'))
  const unknown = asked.filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new UsageError(`There is no benchmark ${unknown.join(', ')}, but ${names.join(', ')}.`)
  return asked.length > 0 ? asked : names
}

/** Each in a process of its own, so that none finds the memory or the threads of another. @returns null: it failed, and has said why */
async function runOne (name, tools) {
  const started = Date.now()
  // What else the machine does is told with the figures: they are worth less the more it is.
  const [load] = loadavg()
  const child = spawn(
    process.execPath, [join(import.meta.dirname, 'support', 'one.mjs'), join(import.meta.dirname, `${name}.mjs`), JSON.stringify(tools)],
    { stdio: ['ignore', 2, 2, 'ipc'] }
  )
  let found = null
  child.on('message', (message) => { found = message })
  // A message may come after the exit of who sent it, never after the channel's end.
  await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  if (found === null) return null
  const { about, bars, ...rest } = found
  return { about, date: new Date(started).toISOString(), seconds: Math.round((Date.now() - started) / 1000), load, bars: bars.map(judged), ...rest }
}

function wholeNumber (name, text) {
  if (text === undefined) return undefined
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`--${name} takes a whole number from 1.`)
  return number
}
