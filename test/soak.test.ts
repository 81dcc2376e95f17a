// The soak's own parts: how it judges, and a run of a few seconds in which everything is asked. How memory grows is for `npm run soak` to say.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'

const SOAK = join(import.meta.dirname, 'soak')
/** They are plain JavaScript, without types, as the host that they start is. */
const part = async (name: string): Promise<any> => await import(join(SOAK, `${name}.mjs`))
const { barsOf, growth, slopeOf, wrongUsage } = await part('verdict')
const { deckOf, SHARES } = await part('traffic')
const { judged } = await import(join(SOAK, '..', '..', 'bench', 'support', 'report.mjs'))

const MB = 1e6
/** A quarter of an hour of memory that goes up and down by 60 MB, as collections of garbage have it, and grows besides. */
const samplesOf = (perMinute: number): object[] => Array.from({ length: 180 }, (_none, i) => {
  const minute = i / 12
  return { minute, rss: (200 + 60 * ((minute * 1.7) % 1) + perMinute * minute) * MB, alive: i === 0 ? null : 50 * MB }
})

t.test('growth is seen through collections of garbage, and a peak is not growth', async (t) => {
  t.equal(slopeOf([{ x: 0, y: 1 }, { x: 1, y: 3 }, { x: 2, y: 5 }]), 2)
  t.equal(slopeOf([{ x: 0, y: 1 }, { x: 1, y: 3 }, { x: 2, y: 900 }, { x: 3, y: 7 }, { x: 4, y: 9 }]), 2)
  t.ok(Math.abs(growth(samplesOf(0), 'rss')) <= 0.5)
  t.ok(Math.abs(growth(samplesOf(3), 'rss') - 3) <= 0.5)
  t.equal(growth(samplesOf(3), 'alive'), 0, 'what is not known yet is left out')
  t.ok(Number.isNaN(slopeOf([{ x: 0, y: 1 }])))
})

t.test('usage is exact, or the key is named: one too many, one too few, a failure that is none, a key that nobody asked with', async (t) => {
  const counted = { requests: 5, failures: 2, uncertain: 0 }
  const wrong = (tally: Record<string, object>, stored: Record<string, object>): string[] =>
    wrongUsage(new Map(Object.entries(tally)), new Map(Object.entries(stored))).map((line: string) => line.split(':')[0])
  t.same(wrong({ key_1: counted }, { key_1: { requests: 5, failures: 2 } }), [])
  for (const stored of [{ requests: 6, failures: 2 }, { requests: 4, failures: 2 }, { requests: 5, failures: 1 }, { requests: 5, failures: 3 }]) {
    t.same(wrong({ key_1: counted }, { key_1: stored }), ['key_1'], JSON.stringify(stored))
  }
  t.same(wrong({ key_1: counted }, {}), ['key_1'])
  t.same(wrong({}, { key_2: { requests: 1, failures: 0 } }), ['key_2'])
  // Of a client that hung up at once nobody knows whether it was heard, and no more than that.
  const unsure = { requests: 5, failures: 2, uncertain: 2 }
  t.same(wrong({ key_1: unsure }, { key_1: { requests: 5, failures: 2 } }), [])
  t.same(wrong({ key_1: unsure }, { key_1: { requests: 7, failures: 4 } }), [])
  t.same(wrong({ key_1: unsure }, { key_1: { requests: 8, failures: 4 } }), ['key_1'])
})

const GOOD = {
  samples: samplesOf(0),
  unknown: 1_000_000,
  leastUnknown: 1_000_000,
  counts: { serverErrors: 0, unexpected: 0, broken: 0 },
  wrong: [],
  events: 10,
  stored: 10,
  end: { sunk: 10, dropped: 0, troubles: { count: 0, first: [] } },
  code: 0
}

t.test('each thing that goes wrong misses a bar of its own', async (t) => {
  const missed = (run: object): string[] => barsOf({ ...GOOD, ...run }).map(judged).filter(({ holds }: { holds: boolean }) => !holds).map(({ bar }: { bar: string }) => bar)
  t.same(missed({}), [])
  const { counts, end } = GOOD
  const growing = samplesOf(0).map((sample, i) => ({ ...sample, alive: 50 * MB + i * MB / 10 }))
  for (const [bar, run] of Object.entries({
    'growth of resident memory': { samples: samplesOf(3) },
    'growth of what is alive': { samples: growing },
    'keys that nobody has': { unknown: 999_000 },
    'keys whose usage is not exact': { wrong: ['key_1: …'] },
    'events that are not in the totals': { events: 11 },
    'events that usage.sink was not given': { end: { ...end, sunk: 9 } },
    'events dropped': { end: { ...end, dropped: 1 } },
    'answers 5xx': { counts: { ...counts, serverErrors: 1 } },
    'answers that are not the right ones': { counts: { ...counts, unexpected: 1 } },
    'connections that broke': { counts: { ...counts, broken: 1 } },
    'unhandled rejections, exceptions, warnings': { end: { ...end, troubles: { count: 1, first: ['unhandledRejection: …'] } } },
    'ends other than in order': { code: 'SIGSEGV' }
  })) t.same(missed(run), [bar])
})

t.test('requests come mixed, each kind as often as its share', async (t) => {
  const deck: string[] = deckOf(SHARES)
  t.equal(deck.length, 1000)
  for (const [kind, share] of Object.entries(SHARES)) t.equal(deck.filter((one) => one === kind).length, share, kind)
  t.ok(new Set(deck.slice(0, 100)).size >= 10, 'the rare ones are among the others')
})

t.test('in a run of seconds all is answered as it should be, usage is exact, and nothing breaks', async (t) => {
  // Without the test runner's own settings: what runs is what was built.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_V8_COVERAGE|NODE_OPTIONS|_?TAP.*)$/.test(name)))
  const child = spawn(process.execPath, [join(SOAK, 'run.mjs')], { env: { ...env, SOAK_MINUTES: '0.1', SOAK_RATE: '300' }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill() })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  const [code] = await once(child, 'close')
  const bars: Array<{ bar: string, holds: boolean }> = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  t.equal(bars.length, barsOf(GOOD).length)
  // Seconds say nothing about memory, nor on a busy machine about how much was asked.
  const asked = bars.filter(({ bar }) => !bar.startsWith('growth') && bar !== 'keys that nobody has')
  t.same(asked.filter(({ holds }) => !holds), [], output)
  t.equal(code, bars.every(({ holds }) => holds) ? 0 : 1, 'it ends as its bars say')
})
