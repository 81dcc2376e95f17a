// The benchmarks' own parts: what they print and keep of what they found. What they find is never judged here.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const BENCH = join(import.meta.dirname, '..', 'bench')
/** They are plain JavaScript, without types. */
const part = async (name: string): Promise<any> => await import(join(BENCH, 'support', `${name}.mjs`))
const { added, fixed, median, percentile, spread, times } = await part('figures')
const { judged, summary, tables } = await part('report')
const { chart } = await part('chart')
const { compare } = await part('two-samples')
const { writeResults } = await part('written')

t.test('every benchmark says what it measures and how to run it', async (t) => {
  const names = readdirSync(BENCH).filter((name) => name.endsWith('.mjs') && name !== 'run.mjs' && name !== 'harness.mjs')
  t.ok(names.includes('verify.mjs'), 'the reader finds them')
  for (const name of names) {
    // Read, not loaded: the packages that they compare with are installed by `npm run bench` alone.
    const text = readFileSync(join(BENCH, name), 'utf8')
    t.match(text, /^\/\/ \S.*[.:]\n/, `${name} begins with its job`)
    t.match(text, /^export default \{\n {2}about: /m, `${name} says what it measures`)
    t.match(text, /^ {2}async run \(\{/m, `${name} can be run`)
    if (text.includes('import.meta.filename')) t.match(text, /^export const variants = \{/m, `${name} has the variants that its processes ask for`)
  }
})

t.test('figures come from the rounds', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(percentile(Array.from({ length: 100 }, (_, i) => 100 - i), 0.99), 99)
  t.equal(percentile([5], 0.5), 5)
  // A round in which everything was slow adds nothing.
  t.same(added([12, 22, 13], [10, 20, 11]), [2, 2, 2])
  t.same(times([10, 30], [5, 10]), [2, 3])
  t.same(spread([3, 1, 2]), ['2.0', '1.0', '3.0'])
  t.equal(fixed(1234567.89, 1), '1 234 567.9')
})

t.test('two samples are compared by their medians, and by how often one of this is larger than one of that', async (t) => {
  t.same(compare([3, 1, 2], [4, 2, 3, 9]), { left: 2, right: 3.5, difference: 1.5, effect: (9 - 1) / 12 })
  t.equal(compare([1, 2], [3, 4]).effect, 1)
  t.equal(compare([3, 4], [1, 2]).effect, -1)
  t.equal(compare([1, 2, 2, 7], [7, 2, 1, 2]).effect, 0, 'the same values in another order')
  const values = Array.from({ length: 300 }, (_none, i) => i * 7919 % 101)
  const others = Array.from({ length: 200 }, (_none, i) => 5 + i * 104_729 % 97)
  const pairs = values.flatMap((left) => others.map((right): number => Math.sign(right - left)))
  t.equal(compare(values, others).effect, pairs.reduce((sum, one) => sum + one, 0) / pairs.length, 'as by every pair')
})

t.test('a table has its columns under each other', async (t) => {
  const text = tables([
    { title: 'Added', columns: ['median', 'ratio'], rows: [['ours', ['3.1', '1.00×']], ['another one', ['12.0', '3.87×']]] },
    { title: 'Asked', columns: ['times'], rows: [['ours', ['0']]] }
  ])
  t.equal(text, [
    'Added         median   ratio',
    'ours             3.1   1.00×',
    'another one     12.0   3.87×',
    '',
    'Asked   times',
    'ours        0'
  ].join('\n'))
})

t.test('a bar is judged by the value that is told', async (t) => {
  t.same(judged({ bar: 'verify', value: 3.14159, unit: 'CPU µs a request', most: 5 }),
    { bar: 'verify', value: 3.142, unit: 'CPU µs a request', bound: '<= 5', holds: true })
  t.same(judged({ bar: 'throughput', value: 19.99, unit: '×', least: 20 }), { bar: 'throughput', value: 19.99, unit: '×', bound: '>= 20', holds: false })
  t.equal(judged({ bar: 'at the bound', value: 5.00001, unit: 'µs', most: 5 }).holds, true)
  t.equal(judged({ bar: 'none', value: 0, unit: 'calls', most: 0 }).holds, true)
})

t.test('the bars that do not hold are named', async (t) => {
  const bars = [{ bar: 'one', holds: true }, { bar: 'two', holds: false }, { bar: 'three', holds: false }]
  t.equal(summary(bars), '1 of 3 bars hold; not: two, three')
  t.equal(summary(bars.slice(0, 1)), '1 of 1 bars hold')
})

const CHART = {
  name: 'sizes',
  title: 'Cost by <size>',
  x: { label: 'keys', values: [1000, 10_000, 1_000_000], log: true },
  y: { label: 'CPU µs' },
  series: [{ name: 'ours', values: [1, 2, 4] }, { name: 'theirs & others', values: [10, 10, 22] }]
}

t.test('a chart has its axes, its lines and their names, for light pages and dark ones', async (t) => {
  const svg: string = chart(CHART)
  const texts = Array.from(svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, text]) => text)
  for (const text of ['Cost by &#60;size&#62;', 'ours', 'theirs &#38; others', 'keys', 'CPU µs', '1 000', '10 000', '1 000 000', '0', '25']) t.ok(texts.includes(text), text)
  const lines = Array.from(svg.matchAll(/points="([^"]+)"/g), ([, points]) => points!.split(' ').map((point) => point.split(',').map(Number)))
  t.same(lines.map((line) => line.length), [3, 3])
  // A tenfold step is as wide everywhere, and more is higher up.
  const [[first, second, third], [high]] = lines as [number[][], number[][]]
  t.ok(Math.abs((third![0]! - second![0]!) - 2 * (second![0]! - first![0]!)) < 0.5)
  t.ok(high![1]! < first![1]!)
  t.match(svg, 'prefers-color-scheme: dark')
  t.notMatch(svg, /NaN|undefined|Infinity/)
  // Every element ends: an image that is not well-formed is shown nowhere.
  const open = [...svg.matchAll(/<([a-z]+)(?:\s[^>]*[^/])?>/g)].length
  t.equal(open, [...svg.matchAll(/<\/[a-z]+>/g)].length)
})

t.test('a logarithmic scale ends at powers of ten', async (t) => {
  const svg: string = chart({ ...CHART, y: { label: 'CPU µs', log: true } })
  for (const tick of ['1', '10', '100']) t.match(svg, `text-anchor="end">${tick}<`)
  t.notMatch(chart({ ...CHART, y: { label: 'CPU µs', log: true }, series: [{ name: 'flat', values: [10, 10, 10] }] }), /NaN|Infinity/)
})

t.test('results of the same machine and versions are kept beside new ones, others are not', async (t) => {
  const folder = join(t.testdir(), 'performance')
  const found = (value: number): object => ({ about: 'what', bars: [{ value }], tables: [], charts: [CHART] })
  const kept = (): any => JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8'))
  const results = { machine: 'this one', versions: { node: '20' } }
  writeResults(folder, { ...results, benchmarks: { one: found(1), two: found(1) } })
  writeResults(folder, { ...results, benchmarks: { two: found(2) } })
  t.match(kept().benchmarks, { one: { bars: [{ value: 1 }] }, two: { bars: [{ value: 2 }] } })
  t.equal(readFileSync(join(folder, 'sizes.svg'), 'utf8'), chart(CHART))
  writeResults(folder, { ...results, versions: { node: '22' }, benchmarks: { two: found(3) } })
  t.same(Object.keys(kept().benchmarks), ['two'])
  t.same(kept().versions, { node: '22' })
})
