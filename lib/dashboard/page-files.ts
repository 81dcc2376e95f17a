// The built files of the page, each as it is, compressed, and named by its content.
import { readFileSync } from 'node:fs'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { contentTag } from '../crypto.js'

/** What a browser is sent. */
export interface PageFile {
  /** Its media type. */
  readonly type: string
  /** Weak: it stands for the content, however that is encoded. */
  readonly etag: string
  readonly body: Buffer
  /** Those that there are of it. */
  readonly compressed: { readonly br?: Buffer, readonly gzip?: Buffer }
}

const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' }
const FILES = new URL('./files/', import.meta.url)

/** @param compressed made beforehand */
export function pageFile (kind: keyof typeof TYPES, body: Buffer, compressed: PageFile['compressed'] = {}): PageFile {
  return { type: TYPES[kind], etag: `W/"${contentTag(body)}"`, body, compressed }
}

/** A script as the build made it. */
export function readScript (name: 'element.js' | 'page.js'): PageFile {
  return pageFile('js', read(name), { br: read(`${name}.br`), gzip: read(`${name}.gz`) })
}

/** The style sheet. @param accentColor null: the page's own */
export function readStyle (accentColor: string | null): PageFile {
  const style = read('page.css')
  if (accentColor === null) return pageFile('css', style, { br: read('page.css.br'), gzip: read('page.css.gz') })
  // Here and not in the page, whose content security policy lets no style stand in it.
  const coloured = Buffer.concat([style, Buffer.from(`:root{--ssk-accent:${accentColor}}`)])
  return pageFile('css', coloured, { br: brotliCompressSync(coloured), gzip: gzipSync(coloured) })
}

function read (name: string): Buffer {
  return readFileSync(new URL(name, FILES))
}
