// Builds lib/ and examples/ into dist/: bundles the page, compiles, copies what is not TypeScript, removes what has no source.
// Silent when all is well.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildPage, pageFiles } from './build-page.mjs'

process.chdir(join(import.meta.dirname, '..'))

const stampFile = 'dist/.built'
const SOURCE = /(?<!\.d)\.tsx?$/
const ASSET = /\.(sql|html|css|js|mjs|svg|json|txt|br|gz|d\.ts)$/
/** Compiled for a browser, into `pageFiles`. */
const PAGE = join('lib', 'dashboard', 'page', '/')

const pageStampFile = 'dist/.page-built'
const pageStamp = digestOf([...filesIn(PAGE), 'package-lock.json', 'scripts/build-page.mjs'])
if (!pageFiles.every((file) => existsSync(file)) || read(pageStampFile) !== pageStamp) {
  await buildPage()
  mkdirSync('dist', { recursive: true })
  writeFileSync(pageStampFile, pageStamp)
}

const inputs = [...filesIn('lib'), ...filesIn('examples')].filter((file) => !file.startsWith(PAGE))
const sources = inputs.filter((file) => SOURCE.test(file))
const assets = inputs.filter((file) => ASSET.test(file))
const outputs = [
  ...sources.flatMap((file) => ['.js', '.d.ts'].map((ending) => join('dist', file.replace(SOURCE, ending)))),
  ...assets.map((file) => join('dist', file))
]

// A deleted or renamed source must not live on in the package.
const wanted = new Set(outputs)
for (const file of [...filesIn('dist/lib'), ...filesIn('dist/examples')]) if (!wanted.has(file)) rmSync(file)

const complete = outputs.every((file) => existsSync(file))
const stamp = digestOf([...inputs, 'tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json', 'scripts/build.mjs'])
if (!complete || read(stampFile) !== stamp) build()

function build () {
  // tsc believes its own notes: an output that somebody deleted is written again only without them.
  if (!complete) rmSync('dist/.tsbuildinfo', { force: true })
  rmSync(stampFile, { force: true })
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: ['ignore', 'inherit', 'inherit'] })
  if (tsc.status !== 0) process.exit(tsc.status ?? 1)
  for (const file of assets) {
    mkdirSync(dirname(join('dist', file)), { recursive: true })
    cpSync(file, join('dist', file))
  }
  writeFileSync(stampFile, stamp)
}

function read (file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}

/** Files below a folder, sorted; those beginning with a dot and those of a missing folder are none. */
function filesIn (folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
    .flatMap((entry) => entry.isDirectory() ? filesIn(join(folder, entry.name)) : [join(folder, entry.name)])
    .sort()
}

/** Of names and contents: times say nothing after a checkout or a move. */
function digestOf (files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(file).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}
