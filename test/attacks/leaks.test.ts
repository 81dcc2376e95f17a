// The leak hunt: secrets go through every route of a host that tells all it knows, and no piece of one is in anything it leaves behind.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { randomBase62 } from '../../lib/crypto.js'
import { maskKeys } from '../../lib/index.js'
import { generateKey } from '../../lib/keys/key-format.js'
import { asking, HOST, KEYS, makeKey, NO_KEY, SITES } from '../helpers/account.js'
import { build, logTo, SIGNED_IN } from '../helpers/host.js'
import { Hunt } from '../helpers/hunt.js'
import { bytesIn, CONTROL, logOf, scene, searchHost } from './scene.js'

t.setTimeout(120_000)

t.test('the hunt finds a piece of a secret however it is written, and nothing that is shown of a key', async (t) => {
  const hunt = new Hunt()
  const secret = randomBase62(42)
  const quoted = `pass"word\\${randomBase62(8)}`
  hunt.add('key', secret)
  hunt.add('password', quoted)
  const noise = Buffer.from(Array.from({ length: 5000 }, () => Math.random() * 256))
  for (let start = 0; start <= 30; start++) {
    const piece = Buffer.from(secret.slice(start, start + 12))
    const writings = [
      piece, piece.toString('hex'), piece.toString('hex').toUpperCase(), Buffer.from(piece.toString(), 'utf16le'), JSON.stringify(piece), String([...piece]),
      `<Buffer ${piece.toString('hex').replace(/..(?=.)/g, '$& ')}>`, piece.toString('hex').replace(/../g, '%$&'),
      ...['', 'a', 'ab'].flatMap((before) => (['base64', 'base64url'] as const).map((encoding) => Buffer.from(`${before}${piece.toString()}--`).toString(encoding)))
    ]
    for (const writing of writings) t.equal(hunt.found(Buffer.concat([noise, Buffer.from(writing), noise])).length, 1, String(writing))
  }
  t.same(hunt.found(JSON.stringify({ quoted })), ['password in JSON'])
  t.same(hunt.found(encodeURIComponent(quoted)), ['password in a URL'])
  t.same(hunt.found(`${secret.slice(0, 8)} … ${secret.slice(-4)} ${secret.slice(3, 14)}`), [])
  t.same(hunt.found(noise), [])
  t.throws(() => { hunt.add('short', '12345678901') }, { message: 'short cannot be looked for' })
})

t.test("Fastify's own request log has no piece of a key that came in a header, and with maskKeys none of one in a URL", async (t) => {
  for (const masked of [false, true]) {
    const { logger, text } = logTo()
    const { app } = await build(t, { keys: { prefix: 'acme' } }, { server: { logger: { ...logger, hooks: masked ? { streamWrite: maskKeys } : {} } }, after: (app) => app.get('/blocks', { config: { apiKey: true } }, async () => 'ok') })
    const { plaintext, apiKey: { maskedKey }, url } = await makeKey(app)
    const hunt = new Hunt()
    hunt.add('key', plaintext.slice(-42))
    for (const headers of [{ 'x-api-key': plaintext }, { authorization: `Bearer ${plaintext}` }, { 'x-api-key': `${plaintext}x` }]) {
      for (const path of ['/blocks', url, '/nowhere']) await app.inject({ url: path, headers })
    }
    t.same(hunt.found(text()), [])
    for (const path of [`/blocks?key=${plaintext}`, `/nowhere/${plaintext}`, `/v1/me/api-keys/${plaintext}`, `/?token=Bearer%20${plaintext}&x`]) await app.inject({ url: path, headers: SIGNED_IN })
    t.equal(hunt.found(text()).length, masked ? 0 : 1)
    t.equal(text().includes(`"/blocks?key=${maskedKey}"`), masked, 'what is left is what the account page shows')
  }
})

t.test('maskKeys leaves everything else in a line as it is', async (t) => {
  const key = generateKey('rst_')
  const masked = `rst_…${key.slice(-4)}`
  t.equal(maskKeys(`${key},${key}\n"${key}"`), `${masked},${masked}\n"${masked}"`)
  for (const text of ['', 'acme_sk_live_…9z8a', 'a'.repeat(41), 'f'.repeat(64), '{"level":30,"msg":"ok"}', 'key_01J00000000000000000000000']) t.equal(maskKeys(text), text)
})

t.test('an error repeats the name of a member that nobody knows if it is too short for a key', async (t) => {
  const { app } = await build(t)
  const ask = asking(app)
  const key = generateKey('acme_sk_live_')
  for (const [method, url, body] of [['POST', KEYS, { [key]: 1 }], ['DELETE', `${KEYS}/${NO_KEY}`, { [key]: 1 }], ['GET', `${KEYS}?${key}=1`], ['POST', SITES, { [key]: 1, name: 'x' }]] as const) {
    t.match(await ask(method, url, body), { status: 400, json: { message: /^\/?acme_sk_?…: is not known here$/ } }, `${method} ${url}`)
  }
  t.match(await ask('POST', KEYS, { colour: 1 }), { status: 400, json: { message: 'colour: is not known here' } })
  const wrong: unknown = await app.selfServeKeys.keys.issue(HOST, { label: 'x', [key]: 1 }).catch((error: unknown) => error)
  t.match(wrong, { code: 'INVALID_REQUEST', message: 'acme_sk_…: is not known here', details: { field: 'acme_sk_…' } })
})

t.test('no piece of a secret is left by a host on a SQLite file', async (t) => {
  const { hunt, control, folder, start, ...rest } = scene(t)
  const database = { type: 'sqlite', file: join(folder, 'keys.db') } as const
  const asking = await searchHost({ hunt, control, folder, start, ...rest }, database, async (run) => {
    const other = new Database(database.file)
    other.exec('alter table self_serve_api_keys rename to away')
    await run()
    other.exec('alter table away rename to self_serve_api_keys')
    other.close()
  })
  t.ok(readdirSync(folder).includes('keys.db-wal'))
  t.same(hunt.found(bytesIn(folder)), [CONTROL], 'the file, what is beside it while it is open, and temporary files')
  await asking.own('erase', { accountId: 'importer' })
  t.equal((await asking.host.end()).code, 0)
  t.same(readdirSync(folder).sort(), ['keys.db', 'temporary'])
  t.same(hunt.found(bytesIn(folder)), [CONTROL], 'the file when it was closed')

  const killed = await start(database)
  const session = await killed.token('programs')
  const { plaintext } = await killed.issue({ ...session, 'idempotency-key': killed.secret('Idempotency-Key before the end') }, { label: 'Killed' })
  await killed.ask('GET', '/v1/blocks', { headers: { 'x-api-key': plaintext } })
  await killed.host.kill()
  t.same(hunt.found(bytesIn(folder)), [CONTROL], 'what is left by a host that was killed')

  const crashed = await start(database)
  await crashed.issue(session, { label: 'Crashed' })
  await crashed.ask('GET', '/v1/blocks', { headers: { 'x-api-key': plaintext } })
  await crashed.own('crash', { text: control })
  await crashed.host.over
  const report = readdirSync(folder).find((name) => name.startsWith('report.'))!
  t.same(hunt.found(readFileSync(join(folder, report))), [CONTROL], 'the report of Node about a crash')
  t.same(logOf(crashed.host, hunt), [CONTROL], 'what is printed of a crash')
  t.same(hunt.found(bytesIn(folder)), [CONTROL])
})
