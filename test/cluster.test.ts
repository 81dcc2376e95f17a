// examples/cluster: two instances behind a proxy are one API, whichever answers, also when one of them dies.
import { mkdtempSync, rmSync } from 'node:fs'
import { kill } from 'node:process'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startExample, type Answer } from './helpers/example.js'
import { leftOut } from './helpers/left-out.js'
import { startPostgres, whyNoPostgres } from './helpers/postgres.js'
import { withRedis } from './helpers/redis.js'

/** Processes that this one started. */
const childrenOf = (pid: number): number[] => execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n').filter((line) => line.trim() !== '').map(Number)

t.test('the cluster example', leftOut(whyNoPostgres()), async (t) => {
  const postgres = await startPostgres(t)
  await withRedis(t, 'on Postgres and Redis', async (t, redis) => {
    const folder = mkdtempSync(join(tmpdir(), 'cluster-'))
    t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
    const example = await startExample(t, 'cluster', folder, {
      until: /window=1h/,
      env: { DATABASE_URL: `postgres://postgres@127.0.0.1:${postgres.port}/postgres`, REDIS_URL: `redis://127.0.0.1:${redis.port}` }
    })
    const token = /TOKEN="([^"]+)"/.exec(example.output)![1]!
    const session = { authorization: `Bearer ${token}` }
    const issue = async (): Promise<Answer> => await example.request('POST', '/v1/me/api-keys', { headers: session })
    const call = async (key: string): Promise<Answer> => await example.request('GET', '/v1/blocks', { headers: { 'x-api-key': key } })

    const first = await issue()
    t.match(first, { status: 201, json: { action: 'issued' } })
    const key = first.json.plaintextKey as string

    const answers = [await call(key), await call(key), await call(key), await call(key)]
    t.same(answers.map(({ status }) => status), [200, 200, 200, 200])
    t.same(new Set(answers.map(({ headers }) => headers['x-instance'])), new Set(['a', 'b']), 'both instances answer')
    t.same(answers.map(({ headers }) => /r=(\d+)/.exec(String(headers.ratelimit))![1]), ['119', '118', '117', '116'], 'and count one limit')

    const second = await issue()
    t.match(second, { status: 201, json: { action: 'rotated', revokedPublicIds: [first.json.apiKey.publicId] } })
    const next = second.json.plaintextKey as string
    // Within the five seconds of `maxDelay` in any case, and by the channel long before.
    const since: Answer[] = []
    while (since.length < 4 || since.slice(-4).some(({ status }) => status === 200)) since.push(await call(key))
    const refused = since.slice(-4)
    t.same(refused.map(({ status, json }) => [status, json.code]), Array(4).fill([401, 'INVALID_API_KEY']))
    t.same(new Set(refused.map(({ headers }) => headers['x-instance'])), new Set(['a', 'b']), 'by both')

    const instances = childrenOf(example.pid)
    t.equal(instances.length, 2)
    kill(instances[0]!, 'SIGKILL')
    const after: Answer[] = []
    while (new Set(after.slice(-4).map(({ headers }) => headers['x-instance'])).size !== 1 || after.length < 8) after.push(await call(next))
    t.same(after.slice(-4).map(({ status }) => status), [200, 200, 200, 200], 'the other goes on')

    example.kill('SIGTERM')
    t.same(await example.ended, { code: 0, signal: null })
    t.throws(() => kill(instances[1]!, 0), { code: 'ESRCH' }, 'and no process is left behind')
  })
})

t.test('the cluster example without its servers says what is missing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  await t.rejects(startExample(t, 'cluster', folder, {
    until: /window=1h/, env: { DATABASE_URL: 'postgres://postgres@127.0.0.1:1/postgres', REDIS_URL: 'redis://127.0.0.1:1' }
  }), { message: /^cluster ended with 1 before/ })
})
