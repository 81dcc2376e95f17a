// Makes one program of each test file, with every mutant of the library in it, asleep.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Instrumenter } from '@stryker-mutator/instrumenter'
import { build } from 'esbuild'
import { FOLDERS, isLeftOut, whyIgnored } from './config.mjs'
import { wordsOf } from './words.mjs'

const ROOT = join(import.meta.dirname, '..')
/** Of a change's text, each side. */
const SHOWN = 90
const SILENT = { debug () {}, info () {}, isDebugEnabled: () => false }

/**
 * @returns texts: of the files with their mutants in them, by path; mutants: `{ id, file, line, change, name, words }` of each. A
 * change keeps its name while lines move; `words` are those of its place.
 */
export async function instrumented () {
  const files = filesIn(FOLDERS, /(?<!\.d)\.ts$/).map((name) => ({ name, content: readFileSync(join(ROOT, name), 'utf8'), mutate: true }))
  const result = await new Instrumenter(SILENT).instrument(files, { plugins: null, excludedMutations: [], ignorers: [{ shouldIgnore: whyIgnored }] })
  const lines = new Map(files.map(({ name, content }) => [name, content.split('\n')]))
  const times = new Map()
  return {
    texts: new Map(result.files.map(({ name, content }) => [join(ROOT, name), content])),
    mutants: result.mutants.filter(({ status }) => status !== 'Ignored').map(({ id, fileName: file, location: { start, end }, replacement }) => {
      const original = textBetween(lines.get(file), start, end)
      const text = `${code(original)} → ${code(replacement)}`
      // Of changes that read the same, the order tells which is which.
      const time = (times.get(file + text) ?? 0) + 1
      times.set(file + text, time)
      const change = time === 1 ? text : `${text} (${time})`
      return { id, file, line: start.line + 1, change, name: `${file}: ${change}`, words: wordsOf(`${file} ${lines.get(file)[start.line]} ${original}`) }
    })
  }
}

/** As one line of Markdown, in a table. */
function code (text) {
  const line = text.replace(/\s+/g, ' ')
  const shown = (line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line).replaceAll('|', '\\|')
  return shown.includes('`') ? `\`\` ${shown} \`\`` : `\`${shown}\``
}

function textBetween (lines, start, end) {
  const part = lines.slice(start.line, end.line + 1)
  part[part.length - 1] = part.at(-1).slice(0, end.column)
  part[0] = part[0].slice(start.column)
  return part.join('\n')
}

/** The test files that are tried, from the repository's root. */
export function testFiles () {
  return filesIn(['test'], /\.test\.ts$/).filter((file) => !isLeftOut(file))
}

/** @returns the program of each test file, by its name */
export async function bundled (files, texts, folder) {
  await build({
    absWorkingDir: ROOT,
    entryPoints: files,
    outdir: folder,
    outbase: '.',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
    plugins: [{ name: 'mutants', setup: (bundler) => { addMutants(bundler, texts) } }],
    logLevel: 'warning'
  })
  return new Map(files.map((file) => [file, pathToFileURL(join(folder, file.replace(/\.ts$/, '.mjs'))).href]))
}

function addMutants (bundler, texts) {
  // Tests hand themselves to the worker, not to tap.
  bundler.onResolve({ filter: /^tap$/ }, ({ importer }) => importer.endsWith('.mjs') ? { external: true, path: 'tap' } : ({ path: join(import.meta.dirname, 'tap.mjs') }))
  bundler.onLoad({ filter: /\/(lib|test)\/.*\.ts$/ }, ({ path }) => {
    const text = texts.get(path) ?? readFileSync(path, 'utf8')
    // Files and threads are found beside the source, or what the build made of it.
    const place = relative(ROOT, path).startsWith('lib') ? join(ROOT, 'dist', relative(ROOT, path)) : path
    return {
      loader: 'ts',
      contents: text
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(place).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(place)))
        .replaceAll('import.meta.filename', JSON.stringify(place))
    }
  })
}

function filesIn (folders, wanted) {
  return folders.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true }).map((name) => join(folder, name)))
    .filter((file) => wanted.test(file)).sort()
}
