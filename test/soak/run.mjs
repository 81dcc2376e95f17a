// `npm run soak`: mixed traffic for a quarter of an hour; memory must stay, usage be exact, nothing break. SOAK_MINUTES and SOAK_RATE change it.
//
// The host is a process of its own, this one is its clients. The first third of the time, five minutes at most, fills what is
// bounded: caches, rate-limit windows, addresses. Growth is judged from then on.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { fixed } from '../../bench/support/figures.mjs'
import { judged, summary, tables } from '../../bench/support/report.mjs'
import { startClient } from './client.mjs'
import { seed } from './seed.mjs'
import { deckOf, SHARES, trafficOf } from './traffic.mjs'
import { barsOf, growth, wrongUsage } from './verdict.mjs'

const MINUTES = numberOf('SOAK_MINUTES', 15)
/** Requests a second. */
const RATE = numberOf('SOAK_RATE', 2000)
const MINUTE = 60_000
const WARM_UP = Math.min(5, MINUTES / 3)
const SAMPLE = Math.min(5000, MINUTES * MINUTE / 24)
/** In the standard run; a shorter or slower one has its part of them. */
const UNKNOWN = 1_000_000
/** Requests under way, from which on what is due waits: it is made up for later. */
const MOST_UNDER_WAY = 512
/** ms between two looks at what is due. */
const TICK = 5
const MEMBERS = ['rss', 'heapTotal', 'heapUsed', 'alive', 'external', 'arrayBuffers']

const folder = mkdtempSync(join(tmpdir(), 'soak-'))
process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const file = join(folder, 'keys.db')
// As many keys as are asked for in turn before growth is judged: by then each has its rate-limit windows.
const keys = Math.ceil(RATE * WARM_UP * 60 * SHARES.inTurn / 1000)
console.log(`${fixed(MINUTES, 1)} minutes, judged after ${fixed(WARM_UP, 1)}; ${fixed(RATE, 0)} requests a second; making ${fixed(keys, 0)} keys`)
const seeded = await seed(file, keys)
const host = await startHost(file)
const client = startClient(host.url)
const { counts, tally, byStatus } = client
const traffic = trafficOf(client, seeded)

const samples = []
const began = performance.now()
await Promise.all([load(), watch()])
client.end()
const ending = performance.now()
const { end, code } = await host.end()
const ended = performance.now() - ending
report()

function numberOf (name, standard) {
  const number = Number(process.env[name] ?? standard)
  if (!(number > 0)) throw new Error(`${name} is a number above 0.`)
  return number
}

async function startHost (file) {
  const child = spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'host.mjs'), file], { stdio: ['ignore', 2, 2, 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
  process.on('exit', () => { child.kill('SIGKILL') })
  const exited = once(child, 'exit')
  // A message may come after the exit of who sent it, never after the channel's end.
  const endedEarly = once(child, 'disconnect').then(() => { throw new Error('The host has ended by itself.') })
  endedEarly.catch(() => {})
  const answer = async () => (await Promise.race([once(child, 'message'), endedEarly]))[0]
  const ask = async (message) => {
    child.send(message)
    return await answer()
  }
  const { url } = await answer()
  return {
    url,
    sample: async () => await ask('sample'),
    async end () {
      const end = await ask('end')
      const [code, signal] = await exited
      return { end, code: code ?? signal }
    }
  }
}

/** Asks at a steady rate, whatever the answers take; and waits for the last of them. */
async function load () {
  const deck = deckOf(SHARES)
  const underWay = new Set()
  let begun = 0
  for (;;) {
    const time = performance.now() - began
    if (time >= MINUTES * MINUTE) break
    while (begun < time / 1000 * RATE && underWay.size < MOST_UNDER_WAY) {
      // What was wrong with an answer is counted where it came.
      const one = traffic.kinds[deck[begun++ % deck.length]]().catch(() => {}).finally(() => { underWay.delete(one) })
      underWay.add(one)
    }
    await sleep(TICK)
  }
  await Promise.all(underWay)
}

async function watch () {
  const columns = ['minute', 'requests', ...MEMBERS, 'delay p99', 'delay max']
  console.log(`${columns.map((name) => name.padStart(12)).join('')}   (MB; event loop's delay in ms; alive: heap after V8's last full collection)`)
  while (performance.now() - began < MINUTES * MINUTE) {
    await sleep(SAMPLE)
    const { delay, ...memory } = await host.sample()
    const minute = (performance.now() - began) / MINUTE
    samples.push({ minute, ...memory })
    const cells = [minute.toFixed(2), counts.requests, ...MEMBERS.map((member) => memory[member] === null ? '' : megabytes(memory[member])), delay.p99.toFixed(1), delay.max.toFixed(1)]
    console.log(cells.map((cell) => String(cell).padStart(12)).join(''))
  }
}

function report () {
  const judgedSamples = samples.filter(({ minute }) => minute > WARM_UP)
  const { byKey, events, rows } = storedUsage()
  const wrong = wrongUsage(tally, byKey)
  const stored = [...byKey.values()].reduce((sum, { requests }) => sum + requests, 0)
  const bars = barsOf({
    samples: judgedSamples, unknown: traffic.unknown, leastUnknown: Math.floor(UNKNOWN * (MINUTES / 15) * (RATE / 2000)), counts, wrong, events, stored, end, code
  }).map(judged)
  console.log(`\n${tables([
    {
      title: `Memory after minute ${fixed(WARM_UP, 1)}, MB`,
      columns: ['first', 'last', 'least', 'most', 'MB a minute'],
      rows: MEMBERS.map((member) => {
        const values = judgedSamples.map((sample) => sample[member]).filter((value) => value !== null)
        return [member, [values[0] ?? NaN, values.at(-1) ?? NaN, Math.min(...values), Math.max(...values)].map(megabytes).concat(growth(judgedSamples, member).toFixed(3))]
      })
    },
    {
      title: 'At the end',
      columns: [''],
      rows: [
        ['requests', [fixed(counts.requests, 0)]],
        ['a second', [fixed(counts.requests / MINUTES / 60, 0)]],
        ['keys that nobody has', [fixed(traffic.unknown, 0)]],
        ['clients that hung up', [fixed(counts.hangUps, 0)]],
        ['keys with usage', [fixed(byKey.size, 0)]],
        ['events counted here, certain', [fixed([...tally.values()].reduce((sum, { requests }) => sum + requests, 0), 0)]],
        ['events stored', [fixed(stored, 0)]],
        ['keys, accounts, audit entries stored', [rows.map((count) => fixed(count, 0)).join(', ')]],
        ['the database, MB', [megabytes(statSync(file).size)]],
        ['heap in use after the end, MB', [megabytes(end.heapUsed)]],
        ['the end of the host, ms', [fixed(ended, 0)]],
        ...[...byStatus].sort(([a], [b]) => a - b).map(([status, number]) => [`answers ${status}`, [fixed(number, 0)]])
      ]
    }
  ])}\n`)
  for (const line of [...wrong.slice(0, 10), ...end.troubles.first]) console.log(line)
  for (const bar of bars) console.log(JSON.stringify(bar))
  console.log(`\n${summary(bars)}`)
  if (bars.some(({ holds }) => !holds)) process.exitCode = 1
}

/** What the database holds in the end. */
function storedUsage () {
  const database = new Database(file, { readonly: true })
  const number = (query) => database.prepare(query).pluck().get()
  const byKey = new Map(database.prepare(`select public_id, sum(requests) as requests, sum(failures) as failures
    from self_serve_usage_days join self_serve_api_keys on number = key_number group by key_number`).all()
    .map(({ public_id: publicId, requests, failures }) => [publicId, { requests, failures }]))
  const found = {
    byKey,
    events: number('select count(*) from self_serve_usage_events'),
    rows: ['api_keys', 'accounts', 'audit_entries'].map((table) => number(`select count(*) from self_serve_${table}`))
  }
  database.close()
  return found
}

function megabytes (bytes) {
  return (bytes / 1e6).toFixed(1)
}
