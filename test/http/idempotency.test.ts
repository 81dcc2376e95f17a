// Idempotency-Key: a retry after a lost answer never issues or rotates twice, in parallel neither, and answers nobody else.
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import fastifySwagger from '@fastify/swagger'
import { Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { actorOf, memoryStorage, type AccountEvent, type AccountPolicy, type Actor, type Issued, type SelfServeKeysOptions, type SessionResolver, type Storage } from '../../lib/index.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { DAY, HOUR, MINUTE, toIso } from '../../lib/time.js'
import { asking, HOST, KEYS, madeBy, makeKey, NO_KEY, SITES, type Answer, type Made } from '../helpers/account.js'
import { deferred } from '../helpers/app.js'
import { BROWSER, build, logTo, OTHER_SIGNED_IN, portOf, raw, SIGNED_IN, type Host, type HostParts } from '../helpers/host.js'
import { ACCOUNT, auditOf, keysOf, NOW, OTHER_ACCOUNT, stateOf } from '../helpers/keys.js'
import { startMysql, whyNoMysql } from '../helpers/mysql.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'

type Headers = Record<string, string>
interface Hosted extends Host {
  /** A POST with this idempotency key. */
  post: (key: string | undefined, url?: string, body?: unknown, headers?: Headers) => Promise<Answer>
  /** What is asked leaves the account as it was, and tells nobody. */
  unchanged: <T>(ask: () => Promise<T>) => Promise<T>
  events: AccountEvent[]
}

/** Usage is flushed, and what is over pruned, only when asked for: what is stored stays as it is between two looks. */
async function hostOf (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<Hosted> {
  const events: AccountEvent[] = []
  const host = await build(t, {
    accountRoutes: { rateLimit: false }, usage: { flushInterval: '1 week', prune: false }, onEvent: (event) => { events.push(event) }, ...options
  }, parts)
  const ask = asking(host.app)
  return {
    ...host,
    events,
    async unchanged (ask) {
      const before = [await stateOf(host.storage), events.length]
      const answer = await ask()
      t.strictSame([await stateOf(host.storage), events.length], before)
      return answer
    },
    post: async (key, url = KEYS, body = undefined, headers = SIGNED_IN) => await ask('POST', url, body, { ...headers, ...(key !== undefined && { 'idempotency-key': key }) })
  }
}

/** The answer says that nothing was made, and is else that of the first time. */
function isReplay (t: Test, { status, headers, json }: Answer, first: Answer, name = 'a replay'): void {
  t.strictSame([status, headers['cache-control'], json], [200, 'no-store', { ...first.json, plaintextKey: null, replayed: true }], name)
}

const code = ({ status, json }: Answer): string => `${status} ${json?.code}`

t.test('the same request again is 200 with the same metadata and without the secret, and changes nothing', async (t) => {
  const host = await hostOf(t)
  const { post } = host
  const other = await makeKey(host.app, { label: 'Other' })
  const requests: Array<[url: string, body: unknown, action: string]> = [
    [KEYS, undefined, 'issued'],
    [KEYS, undefined, 'rotated'],
    [KEYS, { environment: 'test' }, 'issued'],
    [KEYS, { label: 'CI', scopes: null, expiresAt: toIso(NOW + DAY), allowedIps: ['10.0.0.0/8'] }, 'issued'],
    [`${other.url}/rotate`, { overlapSeconds: 60 }, 'rotated'],
    [KEYS, {}, 'rotated']
  ]
  const answers: Answer[] = []
  for (const [index, [url, body, action]] of requests.entries()) {
    const first = await post(`"request-${index}"`, url, body)
    t.match([first.status, first.json], [201, { action, replayed: false, plaintextKey: String }], `${index}`)
    isReplay(t, await host.unchanged(async () => await post(`"request-${index}"`, url, body)), first, `${index}`)
    answers.push(first)
  }
  t.strictSame(answers[1]!.json.revokedPublicIds, [answers[0]!.json.apiKey.publicId])
  // Later the key is shown as it has become since.
  const late = await host.unchanged(async () => await post('"request-1"'))
  t.match([late.status, late.json], [200, { action: 'rotated', apiKey: { publicId: answers[1]!.json.apiKey.publicId, status: 'revoked', isDefault: false }, revokedPublicIds: [answers[0]!.json.apiKey.publicId], plaintextKey: null }])
  t.equal(host.events.length, requests.length + 1)
})

t.test('no body, an empty one, and members in another order are the same request', async (t) => {
  const host = await hostOf(t)
  const { post } = host
  const first = await post('a')
  for (const body of [{}, '', '{}', ' { } ']) isReplay(t, await host.unchanged(async () => await post('a', KEYS, body)), first)
  const named = await post('b', KEYS, { label: 'CI', environment: 'live' })
  isReplay(t, await host.unchanged(async () => await post('b', KEYS, { environment: 'live', label: 'CI' })), named)
})

t.test('another request with the same idempotency key is 422 and changes nothing', async (t) => {
  const host = await hostOf(t, { accountRoutes: { rateLimit: false, apiKeys: { read: 'blocks:read', write: 'transactions:write' } }, cookieMutations: { origins: ['https://app.example'] } })
  const { app, post } = host
  const [one, two] = [await makeKey(app, { scopes: null }), await makeKey(app, { scopes: null })]
  const browser = { ...BROWSER, origin: 'https://app.example' }
  const firsts: Array<[url: string, body: unknown, headers: Headers]> = [
    [KEYS, undefined, SIGNED_IN], [KEYS, { label: 'CI' }, SIGNED_IN], [KEYS, { label: 'CI' }, one.credential], [`${one.url}/rotate`, undefined, SIGNED_IN]
  ]
  const others: typeof firsts = [
    ...firsts,
    [KEYS, { environment: 'live' }, SIGNED_IN], [KEYS, { environment: 'test' }, SIGNED_IN], [KEYS, { label: 'ci' }, SIGNED_IN],
    [KEYS, { label: 'CI', expiresAt: null }, SIGNED_IN], [KEYS, { label: 'CI', scopes: null }, SIGNED_IN],
    [`${two.url}/rotate`, undefined, SIGNED_IN], [`${one.url}/rotate`, { overlapSeconds: 0 }, SIGNED_IN],
    [KEYS, undefined, browser], [KEYS, { label: 'CI' }, browser], [KEYS, { label: 'CI' }, two.credential]
  ]
  // The rotation ends the key that acts: it comes last.
  for (const [index, first] of firsts.entries()) {
    const key = `request-${index}`
    const made = await post(key, ...first)
    t.equal(made.status, 201)
    for (const other of others.filter((other) => other !== first && (other[2] !== one.credential || index < firsts.length - 1))) {
      t.equal(code(await host.unchanged(async () => await post(key, ...other))), '422 IDEMPOTENCY_KEY_REUSED', JSON.stringify([first, other]))
    }
    isReplay(t, await post(key, ...first), made)
    t.equal((await post(key, KEYS, undefined, OTHER_SIGNED_IN)).status, 201, 'another account\'s are its own')
  }
})

t.test('whoever acts is a part of the request, the token is not: it may be refreshed between two tries', async (t) => {
  const session: SessionResolver = { bearer: (token) => ({ id: ACCOUNT, actor: { id: token.split('.')[0]! } }) }
  const host = await hostOf(t, { session })
  const as = (token: string): Headers => ({ authorization: `Bearer ${token}` })
  const first = await host.post('a', KEYS, undefined, as('ada.1'))
  isReplay(t, await host.unchanged(async () => await host.post('a', KEYS, undefined, as('ada.2'))), first)
  t.equal(code(await host.unchanged(async () => await host.post('a', KEYS, undefined, as('grace.1')))), '422 IDEMPOTENCY_KEY_REUSED')
})

t.test('a header that is none is 400 with its name, and nothing is written', async (t) => {
  const host = await hostOf(t)
  const { app, post } = host
  const key = await makeKey(app)
  for (const url of [KEYS, `${key.url}/rotate`]) {
    for (const bad of ['', ' ', 'a b', 'a, b', 'a\tb', 'ä', 'a'.repeat(256), '\u007f', '"a b"']) {
      const { status, json } = await host.unchanged(async () => await post(bad, url))
      t.match([status, json], [400, { code: 'INVALID_REQUEST', message: /^Idempotency-Key: must be 1 to 255 visible ASCII/ }], bad)
    }
    await portOf(app)
    for (const headers of [['Idempotency-Key: a', 'idempotency-key: b'], ['Idempotency-Key: a', 'Idempotency-Key: a'], ['Idempotency-Key:', 'Idempotency-Key: a']]) {
      const before = await stateOf(host.storage)
      const { status, body } = await raw(app, [`POST ${url} HTTP/1.1`, `Authorization: ${SIGNED_IN.authorization}`, ...headers])
      t.match([status, JSON.parse(body)], [400, { code: 'INVALID_REQUEST', message: 'Idempotency-Key: must be sent once' }], headers.join())
      t.strictSame(await stateOf(host.storage), before)
    }
    const { status, body } = await raw(app, [`POST ${url} HTTP/1.1`, `Authorization: ${SIGNED_IN.authorization}`, 'IDEMPOTENCY-KEY:'])
    t.match([status, JSON.parse(body)], [400, { message: /^Idempotency-Key: must be 1 to 255/ }])
  }
  // The longest, and what only looks like its neighbour.
  const ids = new Set<string>()
  for (const good of ['a'.repeat(255), 'a'.repeat(254), 'b', 'B', '"b"', '!~', '__proto__', 'constructor']) {
    const first = await post(good, KEYS, { label: 'CI' })
    isReplay(t, await post(good, KEYS, { label: 'CI' }), first, good)
    ids.add(first.json.apiKey.publicId)
  }
  t.equal(ids.size, 8)
})

t.test('nobody is answered again who may not ask any more: session, host, plan, account, acting key and limit come first', async (t) => {
  let allowed = true
  let policy: AccountPolicy = {}
  const host = await hostOf(t, {
    authorize: () => allowed,
    policy: { resolve: () => policy },
    accountRoutes: { rateLimit: { max: 12, timeWindow: '1 minute' }, apiKeys: { read: 'blocks:read', write: 'transactions:write' } }
  })
  const { app, post, clock } = host
  const body = { label: 'CI', scopes: ['blocks:read'] }
  const first = await post('a', KEYS, body)
  const refused = async (wanted: string, headers?: Headers): Promise<void> => {
    t.equal(code(await host.unchanged(async () => await post('a', KEYS, body, headers))), wanted)
  }
  await refused('401 SESSION_REQUIRED', { authorization: 'Bearer nobody' })
  await refused('403 BEARER_REQUIRED', BROWSER)
  allowed = false
  await refused('403 FORBIDDEN')
  allowed = true
  policy = { suspended: true }
  await refused('403 ACCOUNT_SUSPENDED')
  policy = { grantableScopes: ['transactions:write'] }
  await refused('403 FORBIDDEN')
  // The number of keys is nobody's right to see: nothing is issued.
  policy = { maxKeys: 1 }
  isReplay(t, await post('a', KEYS, body), first)
  policy = {}

  const acting = await makeKey(app, { scopes: ['blocks:read', 'transactions:write'] })
  const made = await post('b', KEYS, body, acting.credential)
  const isRefused = async (wanted: string): Promise<void> => {
    t.equal(code(await host.unchanged(async () => await post('b', KEYS, body, acting.credential))), wanted)
  }
  const { keys } = app.selfServeKeys
  isReplay(t, await post('b', KEYS, body, acting.credential), made)
  await keys.update(HOST, acting.publicId, { scopes: ['transactions:write'] })
  await isRefused('403 FORBIDDEN')
  await keys.update(HOST, acting.publicId, { scopes: ['blocks:read'] })
  await isRefused('403 INSUFFICIENT_SCOPE')
  await keys.update(HOST, acting.publicId, { scopes: null })
  isReplay(t, await post('b', KEYS, body, acting.credential), made)
  await keys.revoke(HOST, acting.publicId)
  await isRefused('401 INVALID_API_KEY')

  // A replay is charged as any other change.
  let answer = await post('a', KEYS, body)
  for (let tries = 0; answer.status === 200 && tries < 20; tries++) answer = await post('a', KEYS, body)
  t.equal(code(answer), '429 RATE_LIMITED')
  clock.advance(MINUTE)
  isReplay(t, await post('a', KEYS, body), first)
})

t.test('a refused request is not remembered: it is tried anew', async (t) => {
  let maxKeys = 1
  const host = await hostOf(t, { policy: { resolve: () => ({ maxKeys }) } })
  const { app, post } = host
  await makeKey(app)
  t.equal(code(await host.unchanged(async () => await post('a', KEYS, { label: 'CI' }))), '409 KEY_LIMIT_REACHED')
  for (const body of [{ label: '' }, { label: 'CI', scopes: ['none:such'] }, { label: 'CI', expiresAt: toIso(NOW) }, { lable: 'CI' }, '{']) {
    t.match(await host.unchanged(async () => await post('a', KEYS, body)), { status: 400 })
  }
  maxKeys = 10
  const made = madeBy(await post('a', KEYS, { label: 'CI' }))
  t.equal(code(await post('b', `${KEYS}/${NO_KEY}/rotate`)), '404 API_KEY_NOT_FOUND')
  await app.selfServeKeys.keys.update(HOST, made.publicId, { enabled: false })
  t.equal(code(await host.unchanged(async () => await post('b', `${made.url}/rotate`))), '409 API_KEY_NOT_ACTIVE')
  await app.selfServeKeys.keys.update(HOST, made.publicId, { enabled: true })
  t.equal((await post('b', `${made.url}/rotate`)).status, 201)
})

t.test('a request is remembered for 24 hours, pruned or not', async (t) => {
  for (const prunes of [false, true]) {
    const host = await hostOf(t)
    const first = await host.post('a')
    host.clock.advance(DAY - 1)
    if (prunes) await host.app.selfServeKeys.prune()
    isReplay(t, await host.unchanged(async () => await host.post('a')), first)
    host.clock.advance(1)
    if (prunes) await host.app.selfServeKeys.prune()
    const second = await host.post('a', KEYS, { environment: 'live' })
    t.match([second.status, second.json], [201, { action: 'rotated', revokedPublicIds: [first.json.apiKey.publicId] }])
    isReplay(t, await host.post('a', KEYS, { environment: 'live' }), second)
  }
})

t.test('the header means nothing to other routes and without it nothing is remembered', async (t) => {
  const host = await hostOf(t)
  const { app, post, clock } = host
  const key = await makeKey(app)
  const ask = asking(app, { ...SIGNED_IN, 'idempotency-key': 'not a good one' })
  for (const [method, url, body, status] of [
    ['GET', KEYS, undefined, 200], ['PATCH', key.url, { label: 'x' }, 200], ['POST', `${key.url}/renew`, { expiresAt: toIso(NOW + HOUR) }, 200],
    ['POST', SITES, { name: 'https://a.example' }, 201], ['DELETE', key.url, undefined, 200]
  ] as const) t.equal((await ask(method, url, body)).status, status, `${method} ${url}`)
  t.equal((await post(undefined)).json.action, 'issued')
  t.equal((await post(undefined)).json.action, 'rotated')
  clock.advance(DAY)
  t.equal(await host.storage.pruneRequests(clock.now(), 9), 0)
})

t.test('openapi shows the header, the replay and its refusal on the routes that issue or rotate, and on no other', async (t) => {
  interface Operation { parameters?: Array<{ in: string, name: string, required?: boolean, description?: string, schema: object }>, responses: Record<string, unknown> }
  const { app } = await hostOf(t, {}, { before: (app) => app.register(fastifySwagger, { openapi: {} }) })
  const { paths } = (app as unknown as { swagger: () => { paths: Record<string, Record<string, Operation>> } }).swagger()
  const documented = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).flatMap(([method, { parameters = [], responses }]) =>
    parameters.filter((one) => one.in === 'header').map(({ name, required = false, schema }) => ({ path: `${method} ${path}`, name, required, schema, statuses: Object.keys(responses) }))))
  const shown = { name: 'Idempotency-Key', required: false, schema: { type: 'string', minLength: 1, maxLength: 255 }, statuses: ['200', '201', '422', '4XX'] }
  t.match(documented, [{ path: `post ${KEYS}`, ...shown }, { path: `post ${KEYS}/{publicId}/rotate`, ...shown }])
  t.equal(documented.length, 2)
})

/** A storage whose next issue is committed, and answered only when `release` is. */
function slowToAnswer (storage: Storage): { storage: Storage, committed: Promise<void>, release: () => void } {
  const [committed, released] = [deferred(), deferred()]
  return {
    storage: {
      ...storage,
      async issueKey (input) {
        const outcome = await storage.issueKey(input)
        committed.resolve()
        await released.promise
        return outcome
      }
    },
    committed: committed.promise,
    release: released.resolve
  }
}

t.test('a client that hangs up before the answer, and asks again: one key, and a replay', async (t) => {
  const slow = slowToAnswer(memoryStorage())
  const host = await hostOf(t, { storage: slow.storage })
  const closed = deferred()
  host.app.server.on('connection', (socket) => { socket.once('close', closed.resolve) })
  const client = connect(await portOf(host.app), '127.0.0.1')
  client.write(['POST /v1/me/api-keys HTTP/1.1', 'Host: localhost', `Authorization: ${SIGNED_IN.authorization}`, 'Idempotency-Key: "8e03978e-40d5"', 'Content-Length: 0', '', ''].join('\r\n'))
  await slow.committed
  client.destroy()
  await closed.promise
  slow.release()
  const [key, ...rest] = await keysOf(host.storage)
  t.equal(rest.length, 0)
  const again = await raw(host.app, ['POST /v1/me/api-keys HTTP/1.1', `Authorization: ${SIGNED_IN.authorization}`, 'Idempotency-Key: "8e03978e-40d5"', 'Content-Length: 0'])
  t.match([again.status, JSON.parse(again.body)], [200, { action: 'issued', plaintextKey: null, replayed: true, apiKey: { publicId: key!.publicId } }])
  t.strictSame([await keysOf(host.storage), (await auditOf(host.storage)).length], [[key], 1])
})

t.test('a 503 for a change that happened all the same, and the retry is a replay', async (t) => {
  const storage = memoryStorage()
  let failing = true
  const host = await hostOf(t, {
    storage: {
      ...storage,
      async rotateKey (input) {
        const outcome = await storage.rotateKey(input)
        if (failing) throw new Error('the connection broke')
        return outcome
      }
    }
  })
  const { url, publicId } = await makeKey(host.app)
  t.equal(code(await host.post('a', `${url}/rotate`)), '503 STORAGE_UNAVAILABLE')
  failing = false
  const answer = await host.unchanged(async () => await host.post('a', `${url}/rotate`))
  t.match([answer.status, answer.json], [200, { action: 'rotated', plaintextKey: null, revokedPublicIds: [publicId] }])
  t.equal((await keysOf(storage)).length, 2)
})

t.test('in process the operations take it too, and a host\'s own routes with them', async (t) => {
  const host = await hostOf(t, { routes: async (scope) => { scope.post('/issue', async (request) => await scope.selfServeKeys.keys.issueDefault(actorOf(request), { idempotencyKey: String(request.headers['x-request-id']) })) } })
  const { keys } = host.app.selfServeKeys
  const by: Actor = { ...HOST, actor: { id: 'job 1' } }
  const idempotencyKey = 'nightly'
  const given = await keys.issue(by, { label: 'Job', expiresAt: null }, { metadata: { plan: 'gold' }, idempotencyKey })
  t.strictSame(await host.unchanged(async () => await keys.issue(by, { expiresAt: null, label: 'Job' }, { metadata: { plan: 'gold' }, idempotencyKey })), { ...given, plaintextKey: null, replayed: true })
  const others: Array<() => Promise<Issued>> = [
    async () => await keys.issue(by, { label: 'Job', expiresAt: null }, { idempotencyKey }),
    async () => await keys.issue(by, { label: 'Job' }, { metadata: { plan: 'gold' }, idempotencyKey }),
    async () => await keys.issue({ ...by, actor: { id: 'job 2' } }, { label: 'Job', expiresAt: null }, { metadata: { plan: 'gold' }, idempotencyKey }),
    async () => await keys.issue(HOST, { label: 'Job', expiresAt: null }, { metadata: { plan: 'gold' }, idempotencyKey }),
    async () => await keys.issueDefault(by, { idempotencyKey }),
    async () => await keys.rotate(by, given.apiKey.publicId, { idempotencyKey })
  ]
  for (const other of others) await t.rejects(host.unchanged(other), { code: 'IDEMPOTENCY_KEY_REUSED', statusCode: 422, details: {} })

  // Two keys that act, and nobody is named.
  const [one, two] = [await makeKey(host.app, { scopes: null }), await makeKey(host.app, { scopes: null })]
  const acting = (key: Made): Actor => ({ accountId: ACCOUNT, credential: 'api_key', apiKey: key.publicId })
  await keys.issueDefault(acting(one), { idempotencyKey: 'by-a-key' })
  await t.rejects(host.unchanged(async () => await keys.issueDefault(acting(two), { idempotencyKey: 'by-a-key' })), { code: 'IDEMPOTENCY_KEY_REUSED' })

  const rotated = await keys.rotate(by, given.apiKey.publicId, { overlapSeconds: 60, idempotencyKey: 'rotation' })
  t.strictSame(await host.unchanged(async () => await keys.rotate(by, given.apiKey.publicId, { overlapSeconds: 60, idempotencyKey: 'rotation' })), { ...rotated, plaintextKey: null, replayed: true })
  // The answer is a union: the secret is there, or it was given before.
  const secret: string = rotated.replayed ? 'shown before' : rotated.plaintextKey
  t.equal(secret, rotated.plaintextKey)

  for (const bad of ['', 'a b', 'a'.repeat(256), null, 7, ['a']]) {
    const idempotencyKey = bad as string
    for (const ask of [
      async () => await keys.issueDefault(by, { idempotencyKey }), async () => await keys.issue(by, { label: 'Job' }, { idempotencyKey }),
      async () => await keys.rotate(by, rotated.apiKey.publicId, { idempotencyKey })
    ]) await t.rejects(host.unchanged(ask), { code: 'INVALID_REQUEST', details: { field: 'idempotencyKey' }, message: /^idempotencyKey: must be/ })
  }

  const ask = asking(host.app, { ...SIGNED_IN, 'x-request-id': 'theirs' })
  const [own, again] = [await ask('POST', '/v1/me/issue'), await ask('POST', '/v1/me/issue')]
  t.strictSame(again.json, { ...own.json, plaintextKey: null, replayed: true })
})

/** A storage for each of several hosts, and all that is stored in it, as text. */
interface Shared { open: () => Storage, bytes: () => Promise<string> }

const storages: Record<string, (t: Test) => Promise<Shared>> = {
  'memory storage': async () => {
    const storage = memoryStorage()
    return { open: () => storage, bytes: async () => JSON.stringify([await stateOf(storage), await stateOf(storage, OTHER_ACCOUNT)]) }
  },
  'a SQLite file': async (t) => {
    const file = join(t.testdir(), 'keys.db')
    return {
      open: () => kyselyStorage({ file }),
      bytes: async () => [file, `${file}-wal`, `${file}-shm`].filter((name) => existsSync(name)).map((name) => readFileSync(name, 'latin1')).join('\n')
    }
  },
  ...(whyNoPostgres() === null && {
    Postgres: async (t: Test): Promise<Shared> => {
      const server = await startPostgres(t)
      const db = server.db() as Kysely<unknown>
      return {
        open: () => kyselyStorage({ db: server.db(), type: 'postgres', migrate: 'start' }),
        async bytes () {
          const tables = (await db.introspection.getTables()).map(({ name }) => name)
          const rows = await Promise.all(tables.map(async (name) => (await sql<{ row: string }>`select t::text as row from ${sql.table(name)} as t`.execute(db)).rows))
          return rows.flat().map(({ row }) => row).join('\n')
        }
      }
    }
  }),
  ...(whyNoMysql() === null && {
    MariaDB: async (t: Test): Promise<Shared> => {
      const server = await startMysql(t)
      // Every value as its bytes, whatever the column's type.
      const pool = server.pool({ rowsAsArray: true, typeCast: (field) => field.buffer()?.toString('latin1') })
      const rowsOf = async (statement: string): Promise<string[][]> => (await pool.promise().query(statement))[0] as unknown as string[][]
      return {
        open: () => kyselyStorage({ db: server.db(), type: 'mysql', migrate: 'start' }),
        async bytes () {
          const tables = (await rowsOf('show tables')).flat()
          return (await Promise.all(tables.map(async (name) => await rowsOf(`select * from ${name}`)))).flat(2).join('\n')
        }
      }
    }
  })
}

for (const [name, make] of Object.entries(storages)) {
  t.test(`on ${name}, over two hosts`, async (t) => {
    const { open, bytes } = await make(t)
    const log = logTo()
    const storage = open()
    const hosts = [await hostOf(t, { storage }, { server: { logger: log.logger } }), await hostOf(t, { storage: open() }, { server: { logger: log.logger } })]
    const secrets: string[] = []
    /** Twenty at once, ten on each host: what the one that made something answered. */
    const twenty = async (idempotencyKey: string, url?: string, body?: unknown, headers?: Headers): Promise<Made> => {
      secrets.push(idempotencyKey)
      const told = hosts.map(({ events }) => events.length)
      const answers = await Promise.all(Array.from({ length: 20 }, async (_none, place) => await hosts[place % 2]!.post(idempotencyKey, url, body, headers)))
      const [first, ...others] = answers.filter(({ status }) => status === 201)
      t.equal(others.length, 0, 'one made a key')
      for (const answer of answers) if (answer !== first) isReplay(t, answer, first!)
      t.equal(hosts.reduce((sum, { events }, place) => sum + events.length - told[place]!, 0), 1, 'and told of it')
      const made = madeBy(first!)
      secrets.push(made.plaintext)
      return made
    }

    await t.test('the same request twenty times at once makes one key and one audit entry: the first of its account, and a rotation', async (t) => {
      const first = await twenty('the-first-of-the-account')
      const named = await twenty('a-named-key-of-the-account', KEYS, { label: 'CI' })
      const rotated = await twenty('the-rotation-of-the-named-key', `${named.url}/rotate`, { overlapSeconds: 60 })
      const last = await twenty('the-rotation-of-the-default-key')
      t.strictSame((await keysOf(storage)).map(({ publicId }) => publicId), [last, rotated, named, first].map(({ publicId }) => publicId))
      t.strictSame((await auditOf(storage)).map(({ action }) => action), ['api_key.rotated', 'api_key.rotated', 'api_key.issued', 'api_key.issued'])
    })

    await t.test('different requests with one idempotency key at once: one is done, the others are refused', async (t) => {
      const answers = await Promise.all(Array.from({ length: 10 }, async (_none, place) => await hosts[place % 2]!.post('one-for-all-of-them', KEYS, { label: `${place}` }, OTHER_SIGNED_IN)))
      t.strictSame(answers.map(code).sort(), ['201 undefined', ...Array(9).fill('422 IDEMPOTENCY_KEY_REUSED')])
      t.equal((await keysOf(storage, OTHER_ACCOUNT)).length, 1)
    })

    await t.test('neither a secret nor an idempotency key is stored or logged in any form of its text', async (t) => {
      const stored = await bytes()
      t.ok(stored.includes((await keysOf(storage))[0]!.publicId), 'what is stored was read')
      for (const secret of secrets) {
        t.notOk(stored.includes(secret), `${secret.slice(0, 12)}… is not stored`)
        t.notOk(stored.includes(Buffer.from(secret).toString('hex')) || stored.includes(Buffer.from(secret).toString('base64').slice(0, -2)), 'nor encoded')
        t.notOk(log.text().includes(secret))
      }
    })

    await t.test('an account that is erased is forgotten, and begins anew', async (t) => {
      await hosts[0]!.app.selfServeKeys.accounts.erase(ACCOUNT)
      const { status, json } = await hosts[1]!.post('the-first-of-the-account')
      t.match([status, json], [201, { action: 'issued', replayed: false }])
    })
  })
}
