// The leak hunt in the logs of the examples: each as it is shipped, but made to log at `trace` and with headers.
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { randomBase62 } from '../../lib/crypto.js'
import { startExample, type Example } from '../helpers/example.js'
import { Hunt } from '../helpers/hunt.js'
import { leftOut } from '../helpers/left-out.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { Person } from '../helpers/quickstart.js'
import { withRedis } from '../helpers/redis.js'

t.setTimeout(120_000)

/** Secrets that an example gives to its customers. */
interface Secrets { readonly key: string, readonly others?: Record<string, string> }

interface Shipped {
  /** The end of what it prints at the start. */
  readonly until: RegExp
  /** Answers 200 to a key. */
  readonly path: string
  readonly secrets: (example: Example) => Promise<Secrets>
}

const printed = async ({ output }: Example): Promise<Secrets> => ({ key: /^api key (\S+)$/m.exec(output)![1]! })

const EXAMPLES: Readonly<Record<'quickstart' | 'netloc8' | 'storlaunch' | 'rst' | 'cluster', Shipped>> = {
  quickstart: {
    until: /^curl -H "X-API-Key: .+\n/m,
    path: '/api/v1/blocks',
    async secrets (example) {
      const person = await new Person(example, 'ada').signUp()
      const { json } = await person.me('POST', '/api-keys')
      return { key: json.plaintextKey, others: { 'session token': person.token, 'signed session token': person.signedToken, cookie: person.cookie.cookie.split('=')[1]! } }
    }
  },
  netloc8: { until: /audit\?limit=10"\n/, path: '/v1/account/me', secrets: printed },
  storlaunch: { until: /api_key\.revoked" \\\n.+\n/, path: '/api/v1/account/api-keys', secrets: printed },
  rst: {
    until: /-X DELETE .+\n/,
    path: '/v1/me/notes',
    async secrets (example) {
      const [username, password] = ['ada', randomBase62(40)]
      await example.request('POST', '/v1/auth/register', { body: { username, password, email: 'ada@example.com', full_name: 'Ada' } })
      const { json: { access_token: jwt } } = await example.request('POST', '/v1/auth/login', { body: { username, password } })
      const { json } = await example.request('POST', '/v1/auth/api-keys', { headers: { authorization: `Bearer ${jwt}` }, body: { name: 'mine' } })
      return { key: json.raw_key, others: { jwt, password } }
    }
  },
  cluster: {
    until: /window=1h/,
    path: '/v1/blocks',
    async secrets (example) {
      const jwt = /TOKEN="([^"]+)"/.exec(example.output)![1]!
      const { json } = await example.request('POST', '/v1/me/api-keys', { headers: { authorization: `Bearer ${jwt}` } })
      return { key: json.plaintextKey, others: { jwt } }
    }
  }
}

/** Bytes that are no request. */
async function garble ({ origin }: Example, key: string): Promise<void> {
  const { port, hostname } = new URL(origin)
  const socket = connect(Number(port), hostname)
  socket.end(`GET / HTTP/1.1\r\nX-API-Key: ${key}\r\nno header\r\n\r\n`)
  socket.resume()
  await once(socket, 'close')
}

async function hunted (t: Test, name: keyof typeof EXAMPLES, env: Record<string, string> = {}): Promise<void> {
  const { until, path, secrets } = EXAMPLES[name]
  const preload = join(import.meta.dirname, '..', 'fixtures', 'trace-everything.mjs')
  const example = await startExample(t, name, t.testdir(), { until, env: { ...env, NODE_OPTIONS: `--import ${preload}` } })
  const { key, others = {} } = await secrets(example)
  const hunt = new Hunt()
  const [control, last] = [randomBase62(40), randomBase62(40)]
  for (const [name, secret] of Object.entries({ ...others, control })) hunt.add(name, secret)
  hunt.add('key', key.slice(-42))

  t.equal((await example.request('GET', path, { headers: { 'x-api-key': key, 'x-control': control } })).status, 200, 'the key is good')
  for (const secret of [key, ...Object.values(others)]) {
    for (const headers of [{ 'x-api-key': secret }, { authorization: `Bearer ${secret}` }, { cookie: `session=${secret}` }, { 'x-api-key': [secret, key] }] as Array<Record<string, string | string[]>>) {
      for (const method of ['GET', 'POST', 'DELETE']) await example.request(method, path, { headers })
    }
  }
  for (const place of [`${path}?key=${key}`, `${path}/${key}`, `/nowhere/${key}`, `/nowhere?key=Bearer%20${key}`, `/%zz/${key}`]) await example.request('GET', place)
  await garble(example, key)
  await example.request('GET', `/${last}`)
  while (!example.output.includes(last)) await sleep(5)

  const log = example.output.split('\n').filter((line) => line.startsWith('{"level":'))
  t.ok(log.length > 50, 'it logs')
  t.same(hunt.found(log.join('\n')), ['control as it is'])
}

for (const name of ['quickstart', 'netloc8', 'storlaunch', 'rst'] as const) {
  t.test(`no key and no session is in the log of the example ${name}`, async (t) => { await hunted(t, name) })
}

t.test('no key and no session is in the log of the example cluster', leftOut(whyNoPostgres()), async (t) => {
  const { port } = await startPostgres(t)
  await withRedis(t, 'on Postgres and Redis', async (t, redis) => {
    await hunted(t, 'cluster', { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres`, REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  })
})
