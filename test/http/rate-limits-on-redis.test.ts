// Three hosts that count in one real Redis: together they admit exactly `max`, whatever their own clocks say, and outlive the server.
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { memoryStorage, type RateLimitOption } from '../../lib/index.js'
import { redisRateLimitStore } from '../../lib/redis.js'
import { HOUR, SECOND } from '../../lib/time.js'
import { HOST } from '../helpers/account.js'
import { portOf, storeKey } from '../helpers/host.js'
import { ACCOUNT } from '../helpers/keys.js'
import { limited, lineOf, type Limited } from '../helpers/limits.js'
import { withRedis, type RedisServer } from '../helpers/redis.js'

const HUNDRED: RateLimitOption = { max: 100, timeWindow: '1 hour' }
/** How far the three hosts' clocks are off. */
const CLOCKS = [-HOUR, HOUR, Date.UTC(2038, 0, 19, 3, 14, 8) - Date.UTC(2026, 0, 15)]
/** Status and what is left of each limit: the server's clock goes on. */
const standing = (line: string): string => line.replace(/;t=\d+/g, '').replace(/ after \d+/, '')

interface Three { hosts: Limited[], clients: Redis[], publicId: string, key: string }

/** Three hosts of one storage, each with a connection of its own that does not come back by itself, and a key that all of them know. */
async function three (t: Test, redis: RedisServer, limits: RateLimitOption | RateLimitOption[] = HUNDRED): Promise<Three> {
  await redis.flush()
  const storage = memoryStorage()
  const clients: Redis[] = []
  const hosts: Limited[] = []
  for (const off of CLOCKS) {
    const client = await redis.connect({ retryStrategy: () => null })
    const host = await limited(t, { storage, usage: false, rateLimit: { limits, store: redisRateLimitStore({ client }) } }, {
      before: (app) => app.get('/own', { config: { apiKey: { cost: 2, rateLimit: { max: 9, timeWindow: '1 hour' } } } }, async () => ({}))
    })
    host.clock.wall += off
    clients.push(client)
    hosts.push(host)
  }
  const { plaintext, key: { publicId } } = await storeKey(storage)
  return { hosts, clients, publicId, key: plaintext }
}

await withRedis(t, 'on one Redis', async (t, redis) => {
  t.test('three hosts admit exactly 100 of 200 requests at once, injected and over sockets', async (t) => {
    for (const over of ['injected', 'over sockets'] as const) {
      const { hosts, key, publicId } = await three(t, redis)
      const urls = over === 'injected' ? [] : await Promise.all(hosts.map(async ({ app }) => `http://127.0.0.1:${await portOf(app)}/x`))
      const lines = await Promise.all(Array.from({ length: 200 }, async (_none, i) => {
        if (over === 'injected') return await hosts[i % 3]!.told('/x', key)
        const { status, headers } = await fetch(urls[i % 3]!, { headers: { 'x-api-key': key } })
        return lineOf({ statusCode: status, headers: Object.fromEntries(headers) })
      }))
      t.strictSame(lines.map(standing).filter((line) => line.startsWith('200')).sort(), Array.from({ length: 100 }, (_none, left) => `200 "default";r=${left}`).sort(), over)
      t.strictSame(lines.map(standing).filter((line) => !line.startsWith('200')), Array(100).fill('429 "default";r=0'), over)
      for (const line of lines) {
        const [, reset, after = reset] = /t=(\d+)(?: after (\d+))?$/.exec(line)!
        t.ok(Number(reset) >= 3500 && Number(reset) <= 3600 && after === reset, line)
      }
      for (const { told, app } of hosts) {
        t.equal(standing(await told('/x', key)), '429 "default";r=0')
        t.match((await app.selfServeKeys.keys.get(ACCOUNT, publicId)).rateLimits, [{ max: 100, remaining: 0 }])
      }
      t.equal((await redis.client.keys('*')).length, 1)
      t.ok(await redis.client.pttl((await redis.client.keys('*'))[0]!) > 0, 'and it ends')
    }
  })

  t.test('they share every limit of a request, those of its route too, all or nothing; one gives the budget back for all', async (t) => {
    const { hosts, key, publicId } = await three(t, redis, [HUNDRED, { name: 'burst', max: 5, timeWindow: '1 hour' }])
    const ask = async (i: number, url: string): Promise<string> => standing(await hosts[i]!.told(url, key))
    t.equal(await ask(0, '/own'), '200 "default";r=98, "burst";r=3, "route";r=7')
    t.equal(await ask(1, '/own'), '200 "default";r=96, "burst";r=1, "route";r=5')
    t.equal(await ask(2, '/own'), '429 "default";r=96, "burst";r=1, "route";r=5')
    t.equal(await ask(0, '/x'), '200 "default";r=95, "burst";r=0')
    await hosts[1]!.app.selfServeKeys.keys.resetRateLimits(HOST, publicId)
    t.match((await hosts[2]!.app.selfServeKeys.keys.get(ACCOUNT, publicId)).rateLimits, [{ remaining: 100, resetSeconds: 0 }, { remaining: 5, resetSeconds: 0 }])
    t.equal(await ask(2, '/own'), '200 "default";r=98, "burst";r=3, "route";r=3', 'the route\'s own stays')
  })

  t.test('a server that ends leaves each host counting by itself; when it is there again they count together, without a restart', async (t) => {
    const { hosts, clients, key } = await three(t, redis, { max: 2, timeWindow: '1 hour' })
    const ask = async (i: number): Promise<string> => standing(await hosts[i]!.told('/x', key))
    t.equal(await ask(0), '200 "default";r=1')
    const closed = clients.map(async (client) => await once(client, 'end'))
    await redis.stop()
    await Promise.all(closed)
    for (const i of [0, 1, 2]) t.strictSame([await ask(i), await ask(i), await ask(i)], ['200 "default";r=1', '200 "default";r=0', '429 "default";r=0'], `host ${i}`)
    await redis.restart()
    for (const client of clients) await client.connect()
    t.equal(await ask(0), '429 "default";r=0', 'it is tried again a second after it failed')
    for (const { clock } of hosts) clock.pass(SECOND)
    t.strictSame([await ask(0), await ask(1), await ask(2), await ask(0)], ['200 "default";r=1', '200 "default";r=0', '429 "default";r=0', '429 "default";r=0'])
    t.equal((await redis.client.keys('*')).length, 1)
  })
})
