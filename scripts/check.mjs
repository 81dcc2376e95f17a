// Everything that can be judged without running the product: lint, types, build, and the package as npm would publish it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pageFiles } from './build-page.mjs'

process.chdir(join(import.meta.dirname, '..'))

const temporary = mkdtempSync(join(tmpdir(), 'check-'))
let tarball

const steps = {
  lint: () => node('node_modules/eslint/bin/eslint.js', '.'),
  // One program holds lib, examples and test; the type tests in test/types fail by not compiling.
  'types, with the type tests': () => node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--pretty', 'false'),
  'types of the page': () => node('node_modules/typescript/bin/tsc', '-p', 'lib/dashboard/page', '--pretty', 'false'),
  build: () => node('scripts/build.mjs'),
  'package contents': packageContents,
  // Warnings and suggestions are printed by `npx publint`; only errors fail here.
  publint: () => node('node_modules/publint/src/cli.js', tarball, '--level', 'error'),
  // Importing from CommonJS is Node's require(esm) here, hence the profile. Without @types: nothing is fetched.
  'are the types wrong': () => node('node_modules/@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'esm-only', '--no-definitely-typed', '--no-emoji')
}

process.on('exit', () => rmSync(temporary, { recursive: true, force: true }))
for (const [name, step] of Object.entries(steps)) {
  const start = performance.now()
  const { ok, output } = step()
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  if (!ok) {
    console.log(output.trim())
    process.exitCode = 1
    if (tarball === undefined && (name === 'build' || step === packageContents)) break // what follows judges the tarball
  }
}

/** Packs, and looks at the list: all that hosts load, nothing else. */
function packageContents () {
  const cli = /npm-cli\.js$/.test(process.env.npm_execpath ?? '') ? [process.execPath, process.env.npm_execpath] : ['npm']
  // Without scripts: they would print into the JSON, and the build has just run.
  const pack = run(...cli, 'pack', '--json', '--ignore-scripts', '--pack-destination', temporary)
  if (!pack.ok) return pack
  const [{ filename, files }] = Object.values(JSON.parse(pack.stdout))
  tarball = join(temporary, filename)
  const packed = new Set(files.map(({ path }) => path))
  const allowed = /^(dist\/lib\/|docs\/|(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md)$)/
  const sources = readdirSync('lib', { recursive: true }).map((name) => name.replaceAll('\\', '/')).filter((name) => !name.startsWith('dashboard/page/'))
  const expected = ['LICENSE', 'SECURITY.md', 'dist/lib/dashboard/element.d.ts', ...pageFiles.map((file) => `dist/${file}`), ...sources.flatMap((name) => {
    if (name.endsWith('.sql')) return [`dist/lib/${name}`]
    if (/(?<!\.d)\.ts$/.test(name)) return ['.js', '.d.ts'].map((ending) => `dist/lib/${name.replace(/\.ts$/, ending)}`)
    return []
  })]
  const problems = [
    ...[...packed].filter((path) => !allowed.test(path)).map((path) => `does not belong in the package: ${path}`),
    ...expected.filter((path) => !packed.has(path)).map((path) => `missing from the package: ${path}`)
  ]
  return { ok: problems.length === 0, output: problems.join('\n') }
}

function node (...args) {
  return run(process.execPath, ...args)
}

function run (command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 })
  return { ok: status === 0, stdout, output: error === undefined ? `${stdout}${stderr}` : error.message }
}
