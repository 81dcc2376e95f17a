// README and docs say what is so: their code compiles, their JSON parses, their links lead somewhere, no option or route is left out.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import Database from 'better-sqlite3'
import ts from 'typescript'
import t from 'tap'
import { CHANGES } from '../lib/audit/audit-entry.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { hostOf } from './helpers/app.js'
import { declarations, optionNames } from './helpers/option-names.js'

const ROOT = join(import.meta.dirname, '..')
/** Inside the repository, so that its packages are found; git ignores it. */
const CODE = join(ROOT, '.tap', 'docs-code')

/** What a fragment may use without saying where it comes from. A block's own declarations take their place. */
const GIVEN = `
declare const app: import('fastify').FastifyInstance
declare const session: import('fastify-self-serve-keys').SessionResolver
declare const db: import('kysely').Kysely<unknown>
declare const dialect: import('kysely').Dialect
declare const pool: { query<Row> (sql: string, values: unknown[]): Promise<{ rows: Row[] }> }
declare function sha256 (text: string): string
declare function myStorage (): import('fastify-self-serve-keys').Storage
declare function importKeys (file: string, keys: import('fastify-self-serve-keys').KeyOperations): Promise<object>
`

interface Block { readonly file: string, readonly line: number, readonly info: string, readonly heading: string, readonly text: string }
interface Page { readonly file: string, readonly blocks: Block[], readonly anchors: Set<string>, readonly links: Array<{ line: number, target: string }> }

const FILES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).sort().map((name) => `docs/${name}`)]
const pages = new Map(FILES.map((file) => [file, readPage(file)]))
const blocks = [...pages.values()].flatMap((page) => page.blocks)

t.test('the reader finds what there is to check', async (t) => {
  // Were it blind, every claim below would hold of nothing.
  t.ok(blocks.filter(({ info }) => info === 'ts').length >= 15, 'code')
  t.ok(blocks.filter(({ info }) => info === 'json').length >= 8, 'JSON')
  t.ok([...pages.values()].flatMap(({ links }) => links).length >= 30, 'links')
})

t.test('every code block says what it is, and none is let off', async (t) => {
  const known = new Set(['ts', 'json', 'sh', 'console', 'text', 'sql', 'html'])
  t.same(blocks.filter(({ info }) => !known.has(info)).map(place), [])
})

t.test('every TypeScript block compiles under strict', async (t) => {
  const code = blocks.filter(({ info }) => info === 'ts')
  // One that narrows the library's types would narrow them for all: each of these is compiled apart.
  const narrowing = code.filter(({ text }) => text.includes('declare module'))
  // What runs in a browser: no other block may use what only browsers have.
  const browsers = code.filter(({ text }) => text.includes("'fastify-self-serve-keys/element'"))
  t.ok(browsers.length > 0, 'the reader finds them')
  for (const group of [code.filter((block) => !narrowing.includes(block) && !browsers.includes(block)), ...narrowing.map((block) => [block])]) {
    t.same(compile(group), [])
  }
  t.same(compile(browsers, ['lib.dom.d.ts']), [])
})

t.test('a block that does not compile is found, at its line', async (t) => {
  const wrong: Block = { file: 'wrong.md', line: 7, info: 'ts', heading: '', text: 'const one: string =\n  1\napp.nothing()' }
  const faults = compile([wrong])
  t.equal(faults.length, 2)
  t.match(faults[0], /^wrong\.md:8: .*'number' is not assignable to type 'string'/)
  t.match(faults[1], /^wrong\.md:10: .*'nothing' does not exist/)
})

t.test('what HTML loads is served, and its elements have the attributes that they know', async (t) => {
  const attributes = [...read('lib/dashboard/element.d.ts').matchAll(/Attribute `([a-z-]+)`/g)].map(([, name]) => name)
  t.ok(attributes.length >= 3, 'the reader finds them')
  const { app } = await hostOf(t, { session: { bearer: () => null, cookie: () => null, token: () => null }, dashboard: true })
  const html = blocks.filter(({ info }) => info === 'html')
  t.ok(html.length > 0)
  for (const block of html) {
    for (const [, source] of block.text.matchAll(/ src="([^"]*)"/g)) t.equal((await app.inject({ url: source! })).statusCode, 200, `${place(block)}: ${source}`)
    for (const [, given] of block.text.matchAll(/<self-serve-keys([^>]*)>/g)) {
      for (const [, name] of given!.matchAll(/([a-z-]+)="/g)) t.ok(attributes.includes(name), `${place(block)}: ${name}`)
    }
  }
})

t.test('every JSON block parses', async (t) => {
  for (const block of blocks.filter(({ info }) => info === 'json')) t.doesNotThrow(() => JSON.parse(block.text), place(block))
})

t.test('every statement of SQL that is not for a server alone names tables and columns that are there', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const storage = kyselyStorage({ file })
  await storage.open({ log: console, timeout: 5000 })
  const database = new Database(file)
  t.teardown(async () => {
    database.close()
    await storage.close()
  })
  const statements = blocks.filter(({ info }) => info === 'sql')
    .flatMap((block) => block.text.split(/;$/m).filter((text) => text.trim() !== '').map((text) => ({ text, at: place(block) })))
  const onAny = statements.filter(({ text }) => !/^\s*alter role|extract\(epoch|unix_timestamp\(/.test(text))
  t.ok(onAny.length >= 7, 'the reader finds them')
  for (const { text, at } of onAny) t.doesNotThrow(() => database.prepare(text), at)
  t.throws(() => database.prepare('select no_such from self_serve_api_keys'), /no such column/)
})

t.test('every JSON answer in a transcript parses', async (t) => {
  const answers = blocks.filter(({ info }) => info === 'console').flatMap((block) => block.text.split('\n').filter((line) => line.startsWith('{')))
  t.ok(answers.length >= 4)
  for (const answer of answers) t.doesNotThrow(() => JSON.parse(answer), answer.slice(0, 60))
})

t.test('a host in the README has at most 20 lines', async (t) => {
  const hosts = pages.get('README.md')!.blocks.filter(({ info }) => info === 'ts')
  t.same(hosts.map(({ heading }) => heading), ['Better Auth', 'JWT', 'Your own function'])
  for (const host of hosts) t.ok(host.text.split('\n').length <= 20, host.heading)
})

t.test('every option has its heading or table row in docs/options.md', async (t) => {
  const names = optionNames()
  for (const name of ['session', 'keys.defaultKey.lifetime', 'keys.accept.pattern', 'policy.cacheFor', 'accountRoutes.apiKeys.read', 'routes.profile', 'dashboard.features.sites']) {
    t.ok(names.includes(name), `the reader finds ${name}`)
  }
  const headings: string[] = []
  const rows: string[] = []
  let heading = ''
  for (const line of read('docs/options.md').split('\n')) {
    const title = /^##+ (.+)$/.exec(line)?.[1]
    if (title !== undefined) headings.push(heading = title)
    const row = /^\| `(\w+)` \|/.exec(line)?.[1]
    if (row !== undefined) rows.push(`${heading}.${row}`)
  }
  t.same(names.filter((name) => ![...headings, ...rows].includes(name)), [])
  // And nothing there that is no option.
  t.same(headings.filter((name) => !names.includes(name)), [])
})

t.test('every member of a policy has its row in docs/policy.md, and there is no other', async (t) => {
  const members = declarations().get('AccountPolicy')!.map((member) => member.name!.getText())
  t.ok(members.includes('suspended'), 'the reader finds them')
  const rows = [...sectionOf('docs/policy.md', 'What a policy says').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  t.same(rows.toSorted(), members.toSorted())
})

t.test('every audited change is in docs/options.md with its sentence, and every action that authorize is asked about', async (t) => {
  const rows = [...sectionOf('docs/options.md', 'audit.names').matchAll(/^\| `([a-z_.]+)` \| `(.+)` \|$/gm)].map(([, change, sentence]) => [change, sentence])
  t.same(Object.fromEntries(rows), CHANGES)
  const actions = [...read('lib/options/policy-options.ts').matchAll(/'([a-z]+:[a-z]+)'/g)].map(([, action]) => action)
  t.equal(actions.length, 13, 'the reader finds them')
  t.same(/Actions: (.+)\./.exec(sectionOf('docs/options.md', 'authorize'))![1]!.split(', '), actions.map((action) => `\`${action}\``))
})

t.test('every account route is in the table of docs/routes.md and has its heading, and there is no other', async (t) => {
  const { app } = await hostOf(t, { routes: { profile: true } })
  const routes = app.selfServeKeys.routes().routes.map(({ method, url }) => `${String(method)} ${url}`)
    .filter((route) => / \/v1\/me(\/|$)/.test(route) && !/^(HEAD|OPTIONS) /.test(route))
  t.ok(routes.length >= 13)
  const section = read('docs/routes.md').split('\n## ').find((part) => part.startsWith('Account routes\n'))!
  const rows = [...section.matchAll(/^\| `([A-Z]+ \/[^`]+)` \|/gm)].map(([, route]) => route!)
  const headings = [...section.matchAll(/^### `([A-Z]+ \/[^`]+)`/gm)].map(([, route]) => route!)
  for (const named of [rows, headings]) t.same([...new Set(named)].toSorted(), routes.toSorted())
})

t.test('every item of the ASVS that is claimed names a test that is there', async (t) => {
  const rows = [...sectionOf('docs/security.md', 'OWASP ASVS 5.0').matchAll(/^\| ([\d.]+) \| (.+) \| `(test\/\S+)`: (.+) \|$/gm)]
  const items = [
    '2.3.3', '2.4.1', '3.5.1', '3.5.2', '3.5.3', '4.1.1', '4.1.3', '4.1.4', '4.2.1', '7.4.1', '7.4.2', '8.2.1', '8.2.2', '8.2.3', '8.3.2', '8.4.1', '9.1.1', '9.1.2',
    '9.1.3', '9.2.1', '9.2.2', '9.2.3', '11.5.1', '14.2.1', '14.3.2', '15.3.1', '15.3.3', '15.3.4', '15.3.5', '15.3.6', '15.3.7', '15.4.2', '16.2.5', '16.3.1', '16.3.2',
    '16.5.1', '16.5.2', '16.5.3', '16.5.4'
  ]
  t.strictSame(rows.map(([, item]) => item), items)
  for (const [, item, , file, title] of rows) t.ok(read(file!).replaceAll('\\\'', '\'').includes(`.test(${/\$\{/.test(title!) ? '`' : '\''}${title!}`), `${item!}: ${file!} has ${title!}`)
})

t.test('every link leads to a file or heading that is there', async (t) => {
  const broken: string[] = []
  for (const { file, links } of pages.values()) {
    for (const { line, target } of links) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const linked = path === '' ? file : relative(ROOT, resolve(ROOT, dirname(file), path))
      const page = pages.get(linked)
      const there = page === undefined ? anchor === undefined && exists(linked) : anchor === undefined || page.anchors.has(anchor)
      if (!there) broken.push(`${file}:${line}: ${target}`)
    }
  }
  t.same(broken, [])
})

function readPage (file: string): Page {
  const page: Page = { file, blocks: [], anchors: new Set(), links: [] }
  let open: { fence: string, info: string, line: number, indent: number, lines: string[] } | null = null
  let heading = ''
  read(file).split('\n').forEach((text, place) => {
    const line = place + 1
    const fence = /^( *)(`{3,})(.*)$/.exec(text)
    if (open !== null) {
      if (fence?.[2] === open.fence && fence[3] === '') {
        page.blocks.push({ file, line: open.line, info: open.info, heading, text: open.lines.join('\n') })
        open = null
      } else {
        open.lines.push(text.slice(open.indent))
      }
      return
    }
    if (fence !== null) {
      open = { fence: fence[2]!, info: fence[3]!.trim(), line, indent: fence[1]!.length, lines: [] }
      return
    }
    const title = /^#+ (.+)$/.exec(text)?.[1]
    if (title !== undefined) {
      heading = title
      page.anchors.add(anchorOf(title))
    }
    for (const [, target] of text.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) page.links.push({ line, target: target! })
  })
  if (open !== null) throw new Error(`${file}: a code block is not closed`)
  return page
}

/** As GitHub makes them. */
function anchorOf (title: string): string {
  return title.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
}

/** The last program: what has not changed since, which is nearly all, is not read again. */
let program: ts.Program | undefined

/** What the compiler has against these blocks, each with its place in the page. @param libraries beside the repository's own */
function compile (code: readonly Block[], libraries: readonly string[] = []): string[] {
  rmSync(CODE, { recursive: true, force: true })
  mkdirSync(CODE, { recursive: true })
  const given = join(CODE, 'given.d.ts')
  writeFileSync(given, GIVEN)
  const blockOf = new Map(code.map((block, number) => {
    const file = join(CODE, `${block.file.replace(/\W/g, '-')}-${number}.ts`)
    writeFileSync(file, `${block.text}\nexport {}\n`)
    return [file, block]
  }))
  const settings = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'))
  const { options } = ts.parseJsonConfigFileContent(settings.config, ts.sys, ROOT)
  program = ts.createProgram([given, ...blockOf.keys()], { ...options, lib: [...options.lib!, ...libraries] }, undefined, program)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, ' ')
    const block = file === undefined ? undefined : blockOf.get(resolve(file.fileName))
    if (file === undefined || block === undefined) return `${file?.fileName ?? ''}: ${message}`
    return `${block.file}:${block.line + 1 + file.getLineAndCharacterOfPosition(start!).line}: ${message}`
  })
}

/** What a page says under this heading, up to the next. */
function sectionOf (file: string, heading: string): string {
  return read(file).split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`))!
}

function exists (path: string): boolean {
  return ts.sys.fileExists(join(ROOT, path)) || ts.sys.directoryExists(join(ROOT, path))
}

function read (path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function place ({ file, line, info }: Block): string {
  return `${file}:${line} ${info}`
}
