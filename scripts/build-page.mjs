// Bundles the page's sources into lib/dashboard/files/, each file also compressed: all that a browser loads.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const SOURCES = 'lib/dashboard/page'
const FILES = 'lib/dashboard/files'
const LICENSES = join(FILES, 'LICENSES.txt')
/** Packages whose code is in the bundle; their licences ask to be published with it. */
const BUNDLED = ['preact', 'uplot']

/** From the repository's root. */
export const pageFiles = [LICENSES, ...['element.js', 'page.js', 'page.css'].flatMap((name) => ['', '.br', '.gz'].map((ending) => join(FILES, name + ending)))]

/** A style sheet imported by a script is its text: the element gives it to its shadow root, which no content security policy refuses. */
const styleAsText = {
  name: 'style-as-text',
  setup (bundler) {
    bundler.onLoad({ filter: /\.css$/ }, async ({ path }) => ({ contents: await minifiedStyle(path), loader: 'text' }))
  }
}

export async function buildPage () {
  const { outputFiles } = await build({
    entryPoints: ['element.tsx', 'page.ts'].map((name) => join(SOURCES, name)),
    outdir: FILES,
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    plugins: [styleAsText],
    legalComments: 'none',
    logLevel: 'warning'
  })
  const texts = new Map(outputFiles.map(({ path, text }) => [join(FILES, basename(path)), text]))
  texts.set(join(FILES, 'page.css'), await minifiedStyle(join(SOURCES, 'styles/page.css')))

  rmSync(FILES, { recursive: true, force: true })
  mkdirSync(FILES, { recursive: true })
  writeFileSync(LICENSES, BUNDLED.map((name) => `${name}\n\n${readFileSync(join('node_modules', name, 'LICENSE'), 'utf8').trim()}\n`).join('\n\n'))
  for (const [file, text] of texts) {
    writeFileSync(file, text)
    writeFileSync(`${file}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT } }))
    writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }))
  }
}

/** With what it imports. */
async function minifiedStyle (path) {
  const { outputFiles: [file] } = await build({ entryPoints: [path], bundle: true, minify: true, write: false, legalComments: 'none', logLevel: 'warning' })
  return file.text
}
