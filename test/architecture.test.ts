// Imports run one way, vendors stay behind their fences, files stay small: the rules of the house, held by a test.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const lib = join(import.meta.dirname, '..', 'lib')
interface Import { readonly to: string, readonly kind: 'value' | 'type' | 'dynamic' }
const IMPORT = /^(?:import|export) (type )?(?:[^'\n]*?(?:\n[^']*?)?)from '([^']+)'|\bimport\('([^']+)'\)|^@?import '([^']+)'/gm

function filesOf (ours: RegExp): Map<string, { readonly text: string, readonly imports: readonly Import[] }> {
  return new Map(readdirSync(lib, { recursive: true }).map(String).filter((name) => ours.test(name)).map((name) => {
    const text = readFileSync(join(lib, name), 'utf8')
    const imports = [...text.matchAll(IMPORT)].map(([, type, from, dynamic, bare]): Import => {
      const target = (from ?? dynamic ?? bare)!
      const to = target.startsWith('.') ? sourceOf(relative(lib, join(lib, dirname(name), target))) : target
      return { to, kind: dynamic !== undefined ? 'dynamic' : type !== undefined ? 'type' : 'value' }
    })
    return [name, { text, imports }] as const
  }))
}

/** The file that an import of `name` means. */
function sourceOf (name: string): string {
  const sources = ['.ts', '.tsx', '.d.ts'].map((ending) => name.replace(/\.js$/, ending))
  return sources.find((source) => existsSync(join(lib, source))) ?? sources[0]!
}

/** The page's sources are a browser's, and have rules of their own below. */
const files = filesOf(/^(?!dashboard\/(page|files)\/).*(?<!\.d)\.ts$/)
const pageFiles = filesOf(/^dashboard\/page\/.*\.(tsx?|css)$/)

/** Layers from the top: a file may import what stands further down, or what stands beside it in its own folder. */
const LAYERS: ReadonlyArray<readonly string[]> = [
  ['index.ts', 'testing.ts', 'redis.ts', 'postgres.ts', 'cli/'], ['plugin.ts'], ['services.ts', 'upkeep.ts'], ['http/'], ['options/', 'dashboard/'], ['sessions/', 'leaks/'],
  ['usage/recorder.ts', 'usage/snapshot.ts', 'usage/key-usage.ts', 'sites/site-operations.ts', 'audit/account-event.ts', 'audit/audit-log.ts', 'keys/all-key-operations.ts', 'revocation/'],
  [
    'keys/key-issuing.ts', 'keys/key-management.ts', 'keys/key-import.ts', 'keys/key-reads.ts', 'keys/operation-context.ts', 'keys/key-view.ts', 'keys/effective-policy.ts',
    'keys/verify-key.ts', 'keys/key-lookup.ts', 'keys/rehash-queue.ts'
  ],
  ['keys/key-operations.ts', 'keys/idempotency.ts', 'keys/judge-key.ts', 'keys/key-refusals.ts', 'keys/key-settings.ts', 'keys/new-key.ts'],
  ['policy/'], ['rate-limit/', 'usage/windows.ts', 'usage/sink.ts'], ['storage/'],
  ['sites/site-changes.ts'],
  [
    'keys/key-lifecycle.ts', 'keys/key-succession.ts', 'keys/intention-parts.ts', 'keys/key-rotation.ts', 'keys/key-changes.ts', 'keys/acting-key.ts'
  ],
  ['keys/key-input.ts', 'keys/actor.ts', 'keys/key-format.ts', 'keys/key-hash.ts', 'keys/key-cache.ts', 'keys/versioned-keys.ts'],
  ['keys/held-keys.ts'], ['keys/second-look.ts', 'keys/crc32.ts'],
  ['keys/api-key.ts', 'keys/scopes.ts', 'keys/origins.ts', 'keys/ip-ranges.ts', 'audit/audit-entry.ts'],
  ['fields.ts'], ['part-options.ts'], ['members.ts'], ['errors.ts', 'crypto.ts', 'time.ts', 'background.ts', 'plain-object.ts', 'register.ts', 'redis-connection.ts']
]
const layerOf = (file: string): number => LAYERS.findIndex((places) => places.some((place) => file === place || (place.endsWith('/') && file.startsWith(place))))
const folderOf = (file: string): string => dirname(file).split('/')[0]!
/** What of storage/ the layers above it may know: the port and its slots; at the top the storages themselves. */
const STORAGE_PORT = ['storage/storage.ts', 'storage/slots.ts']
/** What of the layers below a storage may know: records, and the decisions that it makes in its transactions. */
const DECISIONS = [
  'keys/api-key.ts', 'keys/key-changes.ts', 'keys/key-lifecycle.ts', 'sites/site-changes.ts', 'audit/audit-entry.ts', 'errors.ts', 'crypto.ts', 'time.ts',
  'register.ts', 'part-options.ts'
]

const FENCES: Record<string, (file: string, kind: Import['kind']) => boolean> = {
  fastify: (file, kind) => file === 'plugin.ts' || /^http\//.test(file) || (kind === 'type' && /^(options|sessions)\//.test(file)),
  'fastify-plugin': (file) => file === 'plugin.ts',
  '@fastify/cookie': (file) => file.startsWith('http/'),
  '@fastify/error': (file) => file === 'errors.ts',
  '@sinclair/typebox': (file) => file.startsWith('http/'),
  kysely: (file) => file.startsWith('storage/kysely/'),
  'better-sqlite3': (file, kind) => kind === 'type' ? file.startsWith('storage/kysely/') : kind === 'dynamic' && /^storage\/kysely\/(sqlite|usage-worker)\.ts$/.test(file),
  pg: (file, kind) => file === 'storage/kysely/dialects.ts' && kind === 'dynamic',
  mysql2: (file, kind) => file === 'storage/kysely/dialects.ts' && kind === 'dynamic',
  jose: (file) => file === 'sessions/jwt.ts',
  'node:crypto': (file) => file === 'crypto.ts',
  'node:assert': (file) => file.startsWith('storage/contract/') || file === 'rate-limit/store-contract.ts',
  'node:fs': (file) => file.startsWith('storage/kysely/') || file === 'dashboard/page-files.ts',
  'node:zlib': (file) => file === 'dashboard/page-files.ts',
  'node:path': (file) => file.startsWith('storage/kysely/'),
  'node:net': (file) => file === 'keys/ip-ranges.ts',
  'node:async_hooks': (file) => file === 'storage/kysely/find-together.ts',
  'node:events': (file) => file === 'storage/kysely/usage-thread.ts',
  'node:worker_threads': (file) => /^storage\/kysely\/usage-(thread|worker)\.ts$/.test(file),
  'node:util': (file) => file === 'cli/arguments.ts',
  'node:http2': (file, kind) => file.startsWith('http/') && kind === 'type',
  'node:timers': () => true
}
const codeOf = (text: string): string => text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
const vendorOf = (name: string): string => name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')

t.test('imports run one way, from index to the leaves', async (t) => {
  for (const [file, { imports }] of files) {
    t.not(layerOf(file), -1, `${file} has a layer`)
    for (const { to } of imports.filter(({ to }) => files.has(to))) {
      const beside = layerOf(to) === layerOf(file) && folderOf(to) === folderOf(file) && folderOf(file) !== '.'
      t.ok(layerOf(to) > layerOf(file) || beside, `${file} imports ${to}`)
      const inside = /^(storage\/|index\.ts|testing\.ts|plugin\.ts|cli\/)/.test(file)
      if (file.startsWith('storage/') && !to.startsWith('storage/')) t.ok(DECISIONS.includes(to), `${file} knows ${to}`)
      if (to.startsWith('storage/') && !inside) t.ok(STORAGE_PORT.includes(to), `${file} knows ${to} of the storage`)
    }
  }
})

t.test('every import of ours is a file of ours, and none goes round', async (t) => {
  const all = new Map([...files, ...pageFiles, ...filesOf(/^dashboard\/element\.d\.ts$/)])
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) t.fail([...path, file].join(' → '))
    if (path.includes(file) || done.has(file)) return
    for (const { to } of all.get(file)!.imports.filter(({ to }) => /\.tsx?$|^dashboard\//.test(to))) {
      if (all.has(to)) visit(to, [...path, file])
      else t.fail(`${file} imports ${to}, which is missing`)
    }
    done.add(file)
  }
  for (const file of all.keys()) visit(file, [])
  t.equal(done.size, all.size)
})

t.test('vendors stay behind their fences', async (t) => {
  for (const [file, { imports }] of files) {
    for (const { to, kind } of imports.filter(({ to }) => !to.endsWith('.ts'))) {
      t.ok(FENCES[vendorOf(to)]?.(file, kind), `${file}: ${kind} import of ${to}`)
    }
  }
})

t.test('every import was seen: none is written in a way that this test does not read', async (t) => {
  for (const [file, { text, imports }] of [...files, ...pageFiles]) {
    const code = codeOf(text)
    t.equal(imports.filter(({ kind }) => kind !== 'dynamic').length, [...code.matchAll(/(?:^|\s)(from|@import|import) ['"]/g)].length, file)
    t.notMatch(code, /\brequire\(|createRequire|import\((?!')/, file)
  }
})

t.test('a file begins with a comment that says its job, has at most 200 lines, and keeps no state of the module', async (t) => {
  for (const [file, { text }] of [...files, ...pageFiles]) {
    t.match(text.replace('#!/usr/bin/env node\n', ''), /^(\/\/ \S.*[.:]|\/\* \S.*[.:] \*\/)\n/, file)
    t.ok(text.trimEnd().split('\n').length <= 200, `${file} has ${text.split('\n').length} lines`)
    t.notMatch(text, /^(export )?(let|var) /m, file)
  }
})

t.test('the page is bundled of its own files and two packages: of the rest of lib it knows types', async (t) => {
  for (const [file, { imports }] of pageFiles) {
    for (const { to, kind } of imports) {
      t.ok(pageFiles.has(to) || (kind === 'type' && to.endsWith('.ts')) || ['preact', 'uplot'].includes(vendorOf(to)), `${file}: ${kind} import of ${to}`)
    }
  }
})

t.test('the page writes no markup as text, and keeps nothing where others or the next visitor find it', async (t) => {
  for (const [file, { text }] of pageFiles) {
    t.notMatch(codeOf(text), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/i, file)
    t.notMatch(codeOf(text), /localStorage|sessionStorage|indexedDB|document\.cookie|\bcookieStore|\bcaches\.|\bhistory\.|pushState/, file)
  }
})
