// The leak hunt on database servers and Redis: what they are told, and every file they keep it in.
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t from 'tap'
import { randomBase62 } from '../../lib/crypto.js'
import { redisChannel, redisRateLimitStore } from '../../lib/redis.js'
import { build, logTo, storeKey } from '../helpers/host.js'
import { Hunt } from '../helpers/hunt.js'
import { withRedis } from '../helpers/redis.js'

t.test('a failed sign-in to Redis puts its password into no log', async (t) => {
  await withRedis(t, 'with a user who was locked out', async (t, redis) => {
    const { logger, text } = logTo()
    const hunt = new Hunt()
    const password = randomBase62(40)
    hunt.add('password', password)
    await redis.client.call('ACL', 'SETUSER', 'host', 'off', `>${password}`, '~*', '&*', '+@all')
    const client = redis.newClient({ username: 'host', password, maxRetriesPerRequest: 1 })
    const errors: Error[] = []
    client.on('error', (error) => { errors.push(error) })
    const { app, storage } = await build(t, {
      rateLimit: { limits: { max: 5, timeWindow: '1 minute' }, store: redisRateLimitStore({ client }) },
      revocation: { maxDelay: '1 second', channel: redisChannel({ client, heartbeat: 50 }) }
    }, { server: { logger }, after (app) { app.get('/', { config: { apiKey: true } }, async () => 'ok') } })
    const { plaintext } = await storeKey(storage)
    t.equal((await app.inject({ url: '/', headers: { 'x-api-key': plaintext } })).statusCode, 200, 'this instance counts')
    const told = ['the rate limit store fails', 'the revocation channel is lost']
    while (!told.every((words) => text().includes(words))) await sleep(5)
    t.same(hunt.found(text()), [])
    t.same(hunt.found(inspect(errors, { depth: null })), ['password as it is'], 'which ioredis puts on its errors')
    app.log.warn(errors[0])
    t.same(hunt.found(text()), ['password as it is'], 'and a log shows')
  })
})
