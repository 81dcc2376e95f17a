// Reports of leaked keys: whose report counts, what becomes of a key that was found in public, and who is told.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import { once } from 'node:events'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { sha256 } from '../lib/crypto.js'
import { isSelfServeKeysError, memoryStorage, protect, selfServeKeys, type AccountEvent, type SecretScanningOptions, type SelfServeKeysOptions, type Storage } from '../lib/index.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { HOUR, MINUTE } from '../lib/time.js'
import { asking, HOST, KEYS, makeKey, type Made } from './helpers/account.js'
import { watched } from './helpers/app.js'
import { build, portOf, raw, SIGNED_IN, type Host, type HostParts } from './helpers/host.js'
import { ACCOUNT, auditOf, keysOf, OTHER_ACCOUNT, stateOf } from './helpers/keys.js'
import { generateKey } from '../lib/keys/key-format.js'

const PATH = '/v1/secret-scanning'
const URL = 'https://github.com/someone/something/blob/main/.env'
const scanner = keyPair()
const stranger = keyPair()
const ID = 'scanner-key-1'

interface Pair { privateKey: KeyObject, pem: string }
interface Answer { status: number, headers: Record<string, unknown>, json: any }
interface Hosted extends Host {
  events: AccountEvent[]
  /** Sends matches as the scanner does, unless told otherwise. */
  report: (matches: unknown, more?: { by?: Pair, id?: string, url?: string }) => Promise<Answer>
  send: (body: string | Buffer, headers: Record<string, string>, url?: string) => Promise<Answer>
}

function keyPair (namedCurve = 'P-256'): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  return { privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
}

function signed (body: string | Buffer, { privateKey }: Pair = scanner, id = ID): Record<string, string> {
  return {
    'content-type': 'application/json',
    'github-public-key-identifier': id,
    'github-public-key-signature': sign('sha256', Buffer.from(body), privateKey).toString('base64')
  }
}

const found = (token: string, url = URL, type = 'acme_api_key') => ({ token, type, url, source: 'content' })

async function hostOf (t: Test, scanning: Partial<SecretScanningOptions> = {}, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Hosted> {
  const events: AccountEvent[] = []
  const keys = scanning.keysUrl === undefined ? { publicKeys: { [ID]: scanner.pem } } : {}
  const host = await build(t, {
    secretScanning: { onLeak: 'revoke', ...keys, ...scanning },
    usage: { flushInterval: '1 week', prune: false },
    onEvent: (event) => { events.push(event) },
    ...options
  }, parts)
  const send: Hosted['send'] = async (body, headers, url = PATH) => {
    const answer = await host.app.inject({ method: 'POST', url, headers, payload: body })
    return { status: answer.statusCode, headers: answer.headers, json: answer.json() }
  }
  return {
    ...host,
    events,
    send,
    async report (matches, { by, id, url } = {}) {
      const body = JSON.stringify(matches)
      return await send(body, signed(body, by, id), url)
    }
  }
}

const works = async ({ app }: Host, { plaintext }: Made): Promise<boolean> => (await app.selfServeKeys.verify(plaintext)).ok
const shown = async ({ app }: Host, { publicId }: Made, accountId = ACCOUNT) => await app.selfServeKeys.keys.get(accountId, publicId)
const actions = async ({ storage }: Host, accountId = ACCOUNT): Promise<string[]> => (await auditOf(storage, accountId)).map(({ action }) => action)
const truth = (token: string, label: boolean, type = 'acme_api_key') => ({ token_hash: sha256(token), token_type: type, label: label ? 'true_positive' : 'false_positive' })

t.test('the example that GitHub publishes is its own: signature, identifier and public key', async (t) => {
  const body = '[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]'
  const headers = {
    'content-type': 'application/json',
    'github-public-key-identifier': 'bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c',
    'github-public-key-signature': 'MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=='
  }
  const pem = [
    '-----BEGIN PUBLIC KEY-----',
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd',
    'AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==',
    '-----END PUBLIC KEY-----'
  ].join('\n')
  const host = await hostOf(t, { publicKeys: { [headers['github-public-key-identifier']]: pem } })
  const answer = await host.send(body, headers)
  t.strictSame([answer.status, answer.json], [200, [truth('some_token', false, 'some_type')]])
  t.match(answer.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  t.strictSame(await host.send(body.replace('commit', 'Commit'), headers).then(({ status }) => status), 400, 'the bytes count, not what they mean')
})

t.test('a report that is not the scanner\'s is 400, names what is wrong, and stops nothing', async (t) => {
  const host = await hostOf(t)
  const made = await makeKey(host.app)
  const before = await stateOf(host.storage)
  const body = JSON.stringify([found(made.plaintext)])
  const good = signed(body)
  const { 'github-public-key-signature': signature, ...unsigned } = good
  const { 'github-public-key-identifier': _identifier, ...unnamed } = good
  const broken = (place: number): string => {
    const bytes = Buffer.from(signature!, 'base64')
    bytes[place]! ^= 1
    return bytes.toString('base64')
  }
  const id = 'github-public-key-identifier'
  const mark = 'github-public-key-signature'
  const table: Array<[name: string, body: string | Buffer, headers: Record<string, string>, field: string]> = [
    ['no signature', body, unsigned, mark],
    ['no identifier', body, unnamed, id],
    ['an identifier that nobody has', body, { ...good, [id]: 'other' }, id],
    ['a member that every object has', body, { ...good, [id]: 'constructor' }, id],
    ['a stranger\'s signature', body, signed(body, stranger), mark],
    ['an empty signature', body, { ...good, [mark]: '' }, mark],
    ['what is no base64', body, { ...good, [mark]: '%%%' }, mark],
    ['the signature of another body', body, signed(`${body} `), mark],
    ['one more space', ` ${body}`, good, mark],
    ['another order of members', JSON.stringify([found(made.plaintext)].map(({ url, ...rest }) => ({ url, ...rest }))), good, mark],
    ['an empty body', '', good, mark],
    ['no body', '', { [id]: ID, [mark]: signature! }, 'body'],
    ...Array.from({ length: 70 }, (_none, place): [string, string, Record<string, string>, string] => [`bit ${place}`, body, { ...good, [mark]: broken(place) }, mark])
  ]
  for (const [name, payload, headers, field] of table) {
    const { status, json } = await host.send(payload, headers)
    t.strictSame([status, json.code, json.message.split(':')[0]], [400, 'INVALID_REQUEST', field], name)
  }
  const twice = await raw(host.app, [`POST ${PATH} HTTP/1.1`, 'Content-Type: application/json', `Content-Length: ${body.length}`, `${id}: ${ID}`, `${mark}: ${signature!}`, `${mark}: ${signature!}`], body)
  t.equal(twice.status, 400, 'two signatures')
  t.match(await host.send(body, { ...good, 'content-type': 'text/plain' }), { status: 415, headers: { 'cache-control': 'no-store' } })
  t.equal((await host.send(Buffer.alloc(2 ** 20 + 1, 32), good)).status, 413)
  t.equal((await host.app.inject({ method: 'GET', url: PATH })).statusCode, 404)
  t.strictSame([await stateOf(host.storage), host.events.length, await works(host, made)], [before, 1, true])
})

t.test('a signed report that is not understood is 400, names the place, and acts on none of its matches', async (t) => {
  const host = await hostOf(t)
  const made = await makeKey(host.app)
  const before = await stateOf(host.storage)
  const good = found(made.plaintext)
  const table: Array<[body: string, field: string]> = [
    ['{', 'body'], ['null', 'body'], ['{}', 'body'], ['"x"', 'body'],
    ['[null]', '[0]'], ['[[]]', '[0]'],
    ...[undefined, null, 1, {}].flatMap((value): Array<[string, string]> => [
      [JSON.stringify([good, { ...good, token: value }]), '[1].token'], [JSON.stringify([good, { ...good, type: value }]), '[1].type']
    ]),
    ...[null, 1, 'x'.repeat(8193), 'nul \0', '\ud800'].map((value): [string, string] => [JSON.stringify([good, { ...good, url: value }]), '[1].url'])
  ]
  for (const [body, field] of table) {
    const { status, json } = await host.send(body, signed(body))
    t.strictSame([status, json.code, json.message.split(':')[0]], [400, 'INVALID_REQUEST', field], body.slice(-60))
  }
  t.strictSame([await stateOf(host.storage), host.events.length], [before, 1])
  t.strictSame((await host.report([])).json, [], 'no match is no fault')
})

t.test('each match is answered by what it was, and a token that is no key of ours costs no question', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const host = await hostOf(t, {}, { storage, keys: { origins: 'optional', accept: [{ pattern: /^rst_[0-9a-f]{32}$/, maxLength: 36, hash: 'sha256' }] } })
  const made = await makeKey(host.app)
  const publishable = await makeKey(host.app, { access: 'publishable' })
  const foreign = `rst_${'0123456789abcdef'.repeat(2)}`
  const imported = await host.app.selfServeKeys.keys.importHashed(HOST, { label: 'Imported', hash: sha256(foreign) })
  calls.length = 0
  const junk = ['', 'some_token', 'x'.repeat(300), '\ud800', made.plaintext.slice(1), `${made.plaintext} `]
  t.strictSame((await host.report(junk.map((token) => found(token)))).json, junk.map((token) => truth(token, false)))
  t.strictSame(calls, [])

  const unknown = generateKey('sk_live_')
  const { status, json } = await host.report([
    found(made.plaintext, '', 'a'), found(unknown), found(publishable.plaintext), found(made.plaintext, '', 'b'), { token: foreign, type: 'rst' }
  ])
  t.strictSame([status, json], [200, [
    truth(made.plaintext, true, 'a'), truth(unknown, false), truth(publishable.plaintext, false), truth(made.plaintext, true, 'b'), truth(foreign, true, 'rst')
  ]])
  t.notOk(JSON.stringify(json).includes(made.plaintext), 'the secret is not in the answer')
  t.strictSame([(await shown(host, made)).status, (await shown(host, publishable)).status], ['revoked', 'active'], 'a publishable key stands in public on purpose')
  t.match(await shown(host, { ...made, publicId: imported.publicId }), { status: 'revoked', revokedReason: 'leaked' })
})

for (const [name, open] of Object.entries({ 'memory storage': memoryStorage, SQLite: () => kyselyStorage({ file: ':memory:' }) })) {
  t.test(`on ${name} a key is stopped as the host wants it, whatever its status, and its account is told`, async (t) => {
    const ways = {
      notify: { active: 'active', retiring: 'retiring', disabled: 'disabled by account', expired: 'expired', revoked: 'revoked: revoked' },
      disable: { active: 'disabled by host', retiring: 'revoked: leaked', disabled: 'disabled by host', expired: 'revoked: leaked', revoked: 'revoked: revoked' },
      revoke: { active: 'revoked: leaked', retiring: 'revoked: leaked', disabled: 'revoked: leaked', expired: 'revoked: leaked', revoked: 'revoked: revoked' }
    } as const
    for (const [onLeak, ends] of Object.entries(ways)) {
      const host = await hostOf(t, { onLeak: onLeak as 'notify' }, { storage: open() })
      const { keys } = host.app.selfServeKeys
      const bystander = await makeKey(host.app, { label: 'Bystander' })
      const other = await makeKey(host.app, {}, OTHER_ACCOUNT)
      const owner = { accountId: ACCOUNT, credential: 'bearer' } as const
      const made = {
        active: await makeKey(host.app),
        retiring: await makeKey(host.app),
        disabled: await makeKey(host.app),
        expired: await makeKey(host.app, { expiresAt: new Date(host.clock.now() + 1000).toISOString() }),
        revoked: await makeKey(host.app)
      }
      await keys.rotate(owner, made.retiring.publicId, { overlapSeconds: 3600 })
      await keys.update(owner, made.disabled.publicId, { enabled: false })
      await keys.revoke(owner, made.revoked.publicId)
      host.clock.advance(1000)
      for (const [status, key] of Object.entries(made)) {
        const before = await actions(host)
        host.events.length = 0
        t.strictSame((await host.report([found(key.plaintext)])).json, [truth(key.plaintext, true)], `${onLeak} ${status}`)
        const now = await shown(host, key)
        const state = now.status === 'disabled' ? `disabled by ${now.disabledBy!}` : now.status === 'revoked' ? `revoked: ${now.revokedReason!}` : now.status
        t.equal(state, ends[status as 'active'], `${onLeak} ${status}`)
        const log = await auditOf(host.storage, ACCOUNT)
        const fresh = log.slice(0, log.length - before.length)
        t.match(fresh[0], {
          action: 'api_key.leaked', targetType: 'api_key', targetId: key.publicId, detail: `Found API key "Server" in public: ${URL}`, credential: 'host', actorId: 'secret-scanning', ip: '127.0.0.1'
        })
        t.strictSame(host.events.map(({ type }) => type), fresh.map(({ action }) => action).reverse(), 'the host hears of each')
        t.strictSame(fresh.length, state === 'revoked: leaked' || (onLeak === 'disable' && now.status === 'disabled') ? 2 : 1)
        const again = await stateOf(host.storage)
        t.strictSame((await host.report([found(key.plaintext)])).json, [truth(key.plaintext, true)])
        t.strictSame(await stateOf(host.storage), again, 'a report that comes again changes nothing')
        t.equal(host.events.length, fresh.length)
      }
      t.strictSame([await works(host, bystander), await works(host, other)], [true, true])
      t.strictSame(await actions(host, OTHER_ACCOUNT), ['api_key.issued'])
    }
  })
}

t.test('what a report stopped its owner cannot start again', async (t) => {
  const host = await hostOf(t, { onLeak: 'disable' })
  const ask = asking(host.app)
  const made = await makeKey(host.app)
  await host.report([found(made.plaintext)])
  const answers = await Promise.all([['PATCH', made.url, { enabled: true }], ['POST', `${made.url}/rotate`, {}], ['POST', `${made.url}/renew`, {}]].map(async ([method, url, body]) =>
    (await ask(method as string, url as string, body)).status))
  t.strictSame(answers, [409, 409, 409])
  t.match(await shown(host, made), { status: 'disabled', disabledBy: 'host' })
  t.equal((await ask('DELETE', made.url)).status, 200, 'but end it for good')
})

t.test('each place is noted once, a hundred of a key at most, and never the secret itself', async (t) => {
  const host = await hostOf(t, { onLeak: 'notify' }, { audit: { names: { 'api_key.leaked': { action: 'leak', detail: '{id} {url}' } } } })
  const made = await makeKey(host.app)
  const second = await makeKey(host.app)
  const places = [URL, `${URL}?x=${made.plaintext}`, '', 'x'.repeat(5000), '{name} $& {url}']
  await host.report([...places, ...places].map((url) => found(made.plaintext, url)))
  await host.report([found(second.plaintext)])
  const notes = (await auditOf(host.storage, ACCOUNT)).filter(({ action }) => action === 'leak').map(({ detail }) => detail)
  t.strictSame(notes.reverse(), [
    ...[URL, `${URL}?x=…`, '', 'x'.repeat(300), '{name} $& {url}'].map((url) => `${made.publicId} ${url}`), `${second.publicId} ${URL}`
  ])
  t.strictSame(host.events.map(({ type, entry }) => [type, entry?.action]), [...['api_key.issued', 'api_key.issued'].map((type) => [type, type]), ...notes.map(() => ['api_key.leaked', 'leak'])])
  await host.report(Array.from({ length: 120 }, (_none, place) => found(made.plaintext, `https://example.com/${place}`)))
  const { total } = await host.app.selfServeKeys.audit.list(ACCOUNT, { action: 'leak', search: made.publicId })
  t.equal(total, 100)
})

t.test('reports that come together revoke once; a customer who rotates meanwhile is not undone', async (t) => {
  const host = await hostOf(t, {}, { storage: kyselyStorage({ file: ':memory:' }) })
  const made = await makeKey(host.app)
  const ask = asking(host.app)
  const [rotated] = await Promise.all([ask('POST', `${made.url}/rotate`, { overlapSeconds: 600 }), ...Array.from({ length: 8 }, async () => await host.report([found(made.plaintext)]))])
  t.equal((await shown(host, made)).status, 'revoked')
  if (rotated.status === 201) t.ok((await host.app.selfServeKeys.verify(rotated.json.plaintextKey)).ok, 'the successor works')
  t.equal((await actions(host)).filter((action) => action === 'api_key.revoked').length, 1)
})

t.test('a failing storage is 503 at any call, and the report that comes again finishes the work', async (t) => {
  for (const onLeak of ['notify', 'disable', 'revoke'] as const) {
    for (let call = 1, done = false; !done; call++) {
      const inner = memoryStorage()
      let left = Infinity
      const storage = Object.fromEntries(Object.entries(inner).map(([name, method]) => [name, async (...args: unknown[]) => {
        if (--left === 0) throw new Error('the disk is gone')
        return await (method as (...args: unknown[]) => unknown).apply(inner, args)
      }])) as unknown as Storage
      const host = await hostOf(t, { onLeak }, { storage })
      const made = await makeKey(host.app)
      left = call
      const answer = await host.report([found(made.plaintext)])
      done = answer.status === 200
      left = Infinity
      if (!done) {
        t.match(answer, { status: 503, headers: { 'retry-after': '1' }, json: { code: 'STORAGE_UNAVAILABLE' } })
        t.notOk(JSON.stringify(answer).includes(made.plaintext))
        t.equal((await host.report([found(made.plaintext)])).status, 200)
      }
      t.equal((await shown(host, made)).status, { notify: 'active', disable: 'disabled', revoke: 'revoked' }[onLeak])
      const log = await actions(host)
      t.strictSame(log, ['api_key.leaked', ...(onLeak === 'notify' ? [] : [`api_key.${onLeak}d`]), 'api_key.issued'])
    }
  }
})

t.test('an account that is erased while its key is reported is gone, and that is no fault', async (t) => {
  for (const at of ['revokeKey', 'getKey'] as const) {
    const inner = memoryStorage()
    const storage: Storage = { ...inner }
    const host = await hostOf(t, {}, { storage })
    const made = await makeKey(host.app)
    const method = inner[at] as (...args: unknown[]) => Promise<unknown>
    Object.assign(storage, {
      [at]: async (...args: unknown[]) => {
        while (await inner.eraseAccount(ACCOUNT, 100) > 0) ;
        return await method.apply(inner, args)
      }
    })
    t.strictSame((await host.report([found(made.plaintext)])).json, [truth(made.plaintext, true)])
    t.strictSame([await keysOf(host.storage, ACCOUNT, host.clock.now()), await actions(host)], [[], []])
  }
})

/** A place where a scanner publishes its keys. `answer` is what it gives; null: nothing, ever. */
async function publisher (t: Test, answer: () => { status: number, body: string, location?: string } | null): Promise<{ url: string, asked: () => number }> {
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    const given = answer()
    if (given === null) return
    response.writeHead(given.status, { 'content-type': 'application/json', ...(given.location !== undefined && { location: given.location }) }).end(given.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/keys`, asked: () => asked }
}

const listOf = (...keys: Array<readonly [id: unknown, pem: unknown]>) => JSON.stringify({ public_keys: keys.map(([id, pem], place) => ({ key_identifier: id, key: pem, is_current: place === 0 })) })

t.test('keys that are published are asked for once an hour, and for a new identifier at most every two minutes', async (t) => {
  let body = listOf([ID, scanner.pem], ['old', stranger.pem], ['p384', keyPair('P-384').pem], ['junk', 'pem'], [5, scanner.pem], ['none', null])
  const { url, asked } = await publisher(t, () => ({ status: 200, body }))
  const host = await hostOf(t, { keysUrl: url })
  const statusOf = async (by?: Pair, id?: string): Promise<number> => (await host.report([found('x')], { ...(by !== undefined && { by }), ...(id !== undefined && { id }) })).status
  t.equal(asked(), 0, 'not before they are needed')
  t.strictSame(await Promise.all([statusOf(), statusOf(), statusOf(stranger, 'old'), statusOf(scanner, 'p384'), statusOf(scanner, 'junk'), statusOf(scanner, '5')]), [200, 200, 200, 400, 400, 400])
  t.equal(asked(), 1, 'one question for all who wait')

  const next = keyPair()
  body = listOf(['next', next.pem])
  host.clock.advance(2 * MINUTE - 1)
  t.equal(await statusOf(next, 'next'), 400)
  t.equal(asked(), 1)
  host.clock.advance(1)
  t.strictSame(await Promise.all([statusOf(next, 'next'), statusOf(scanner, 'made-up'), statusOf(scanner, 'made-up-too')]), [200, 400, 400])
  t.equal(await statusOf(scanner, 'made-up'), 400)
  t.equal(asked(), 2)
  t.equal(await statusOf(), 400, 'a key that was taken out of the list signs nothing')
  host.clock.advance(HOUR - 1)
  t.equal(await statusOf(next, 'next'), 200)
  t.equal(asked(), 2)
  host.clock.advance(1)
  t.equal(await statusOf(next, 'next'), 200)
  t.equal(asked(), 3)
})

t.test('keys that cannot be had are 503 and stop nothing: the scanner is asked again after two minutes', async (t) => {
  const made = listOf([ID, scanner.pem])
  const failures: Array<[name: string, answer: { status: number, body: string, location?: string } | null]> = [
    ['refuses', { status: 403, body: made }],
    ['leads elsewhere', { status: 302, body: made, location: '/other' }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['no list', { status: 200, body: '{}' }],
    ['null', { status: 200, body: 'null' }],
    ['a list of nothing', { status: 200, body: '{"public_keys":[null]}' }],
    ['hangs', null]
  ]
  for (const [name, failure] of failures) {
    let answer = failure
    const { url, asked } = await publisher(t, () => answer)
    const host = await hostOf(t, { keysUrl: url }, { timeout: failure === null ? 1500 : 10_000 })
    const leaked = await makeKey(host.app)
    for (let attempt = 0; attempt < 3; attempt++) {
      const refused = await host.report([found(leaked.plaintext)])
      t.match(refused, { status: 503, headers: { 'retry-after': '120' }, json: { code: 'STORAGE_UNAVAILABLE' } }, name)
      t.notMatch(JSON.stringify(refused), url)
    }
    t.equal(asked(), 1)
    t.ok(await works(host, leaked))
    answer = { status: 200, body: made }
    host.clock.advance(2 * MINUTE)
    t.equal((await host.report([found(leaked.plaintext)])).status, 200)
    t.notOk(await works(host, leaked))
    answer = failure
    host.clock.advance(HOUR)
    t.equal((await host.report([found('x')])).status, 503, 'a list that is too old is not used')
  }
})

t.test('the route is there where it was asked for alone, for whoever has no key and no session', async (t) => {
  const off = await build(t)
  t.equal((await off.app.inject({ method: 'POST', url: PATH, headers: signed('[]'), payload: '[]' })).statusCode, 404)
  const host = await hostOf(t, { path: '/hooks/leaks' }, {}, {
    before: (app) => { protect(app, { scopes: ['blocks:read'] }) },
    after: (app) => { app.post('/v1/blocks', { config: { apiKey: true } }, async (request) => request.body) }
  })
  const made = await makeKey(host.app)
  t.equal((await host.report([], { url: PATH })).status, 404)
  t.equal((await host.report([found(made.plaintext)], { url: '/hooks/leaks' })).status, 200)
  const other = await makeKey(host.app)
  const json = await host.app.inject({ method: 'POST', url: '/v1/blocks', headers: other.credential, payload: { a: 1 } })
  t.strictSame(json.json(), { a: 1 }, 'the host reads JSON as before')
  t.equal((await asking(host.app)('GET', KEYS, undefined, SIGNED_IN)).status, 200)
  t.ok(await portOf(host.app))
})

t.test('a path that is taken is refused by its name; what else keeps the route away is the host\'s own to tell', async (t) => {
  await t.rejects(hostOf(t, { path: '/v1/me/sites' }), { code: 'INVALID_OPTION', message: 'Option "secretScanning.path" is the path of another route.' })
  const before: HostParts['before'] = (app) => {
    app.addHook('onRoute', ({ url }) => { if (url === PATH) throw new Error('not here') })
  }
  await t.rejects(hostOf(t, {}, {}, { before }), { message: 'not here' })
})

t.test('what a proxy says of where a report came from is kept only if it may be an address', async (t) => {
  const host = await hostOf(t, {}, {}, { server: { trustProxy: true } })
  const made = await makeKey(host.app)
  const body = JSON.stringify([found(made.plaintext)])
  t.equal((await host.send(body, { ...signed(body), 'x-forwarded-for': 'x'.repeat(5000) })).status, 200)
  t.same((await auditOf(host.storage, ACCOUNT)).map(({ ip }) => ip), [null, null, null])
})

t.test('options', async (t) => {
  const refusedFor = async (secretScanning: unknown): Promise<string | null> => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    app.register(selfServeKeys, { session: { bearer: () => null }, storage: memoryStorage(), secretScanning } as unknown as SelfServeKeysOptions)
    try {
      await app.ready()
      return null
    } catch (error) {
      if (!isSelfServeKeysError(error, 'INVALID_OPTION')) throw error
      return error.message
    }
  }
  const keysUrlRule = 'Option "secretScanning.keysUrl" must be an https URL, or an http one of this machine.'
  const pemRule = 'Option "secretScanning.publicKeys["a"]" must be the public key of ECDSA on P-256, in PEM.'
  const privatePem = scanner.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const table: Array<[options: unknown, message: string | null]> = [
    [true, 'Option "secretScanning" must be an object.'],
    [{}, 'Option "secretScanning.onLeak" must be one of notify, disable, revoke.'],
    [{ onLeak: 'delete' }, 'Option "secretScanning.onLeak" must be one of notify, disable, revoke.'],
    [{ onLeak: 'revoke', onleak: 1 }, 'Option "secretScanning.onleak" is not an option.'],
    ...['/', 'leaks', '/a/', '/:id', '/a b', '/a?b', 5].map((path): [unknown, string] => [{ onLeak: 'revoke', path }, 'Option "secretScanning.path" must be a path such as \'/v1/secret-scanning\'.']),
    ...['http://example.com/keys', 'ftp://x', 'https://', 'https://user@example.com/', 'http://127.0.0.1.example.com/', 5].map((keysUrl): [unknown, string] => [{ onLeak: 'revoke', keysUrl }, keysUrlRule]),
    [{ onLeak: 'revoke', publicKeys: [] }, 'Option "secretScanning.publicKeys" must be an object.'],
    [{ onLeak: 'revoke', publicKeys: {} }, 'Option "secretScanning.publicKeys" must name at least one key.'],
    ...['', 'pem', 5, privatePem, rsa, keyPair('P-384').pem, scanner.pem.replace('M', '!')].map((a): [unknown, string] => [{ onLeak: 'revoke', publicKeys: { a } }, pemRule]),
    [{ onLeak: 'revoke', publicKeys: { a: scanner.pem }, keysUrl: 'https://example.com/' }, 'Option "secretScanning.keysUrl" must be left out beside publicKeys.'],
    [undefined, null], [false, null], [{ onLeak: 'notify' }, null], [{ onLeak: 'disable', keysUrl: 'https://example.com/keys' }, null],
    [{ onLeak: 'revoke', keysUrl: 'http://localhost:1/', path: '/a/b-c' }, null], [{ onLeak: 'revoke', publicKeys: { a: scanner.pem } }, null]
  ]
  for (const [options, message] of table) t.equal(await refusedFor(options), message, JSON.stringify(options))
})
