// The leak hunt on database servers and Redis: what they are told, and every file they keep it in.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { randomBase62 } from '../../lib/crypto.js'
import { bareError } from '../../lib/redis-connection.js'
import { redisChannel, redisRateLimitStore } from '../../lib/redis.js'
import { startFaultProxy, type FaultProxy } from '../faults/fault-proxy.js'
import { build, logTo, storeKey } from '../helpers/host.js'
import { Hunt } from '../helpers/hunt.js'
import { leftOut } from '../helpers/left-out.js'
import { startMysql, whyNoMysql } from '../helpers/mysql.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { withRedis, type RedisServer } from '../helpers/redis.js'
import { bytesIn, CONTROL, scene, searchHost, type Outage } from './scene.js'

t.setTimeout(120_000)

/** The database cannot be reached. */
function outageOf (proxy: FaultProxy): Outage {
  return async (run) => {
    await proxy.set('refuse')
    await run()
    await proxy.set('pass')
  }
}

/** Everything that Redis is told from now on: commands, and messages on every channel. */
async function listenTo (t: Test, redis: RedisServer): Promise<{ commands: string[], messages: string[] }> {
  const [monitor, subscriber] = [await (await redis.connect()).monitor(), await redis.connect()]
  t.teardown(() => { monitor.disconnect() })
  const commands: string[] = []
  const messages: string[] = []
  monitor.on('monitor', (_time: string, words: string[]) => { commands.push(words.join(' ')) })
  subscriber.on('pmessage', (_pattern, channel, message) => { messages.push(`${channel} ${message}`) })
  await subscriber.psubscribe('*')
  return { commands, messages }
}

/** What Redis would write of every key, as it is. */
async function dumpOf ({ client }: RedisServer): Promise<Buffer> {
  await client.config('SET', 'rdbcompression', 'no')
  const keys = await client.keys('*')
  return Buffer.concat(await Promise.all(keys.map(async (key) => Buffer.concat([Buffer.from(key), await client.dumpBuffer(key) as Buffer]))))
}

t.test('no piece of a secret is left by a host on Postgres and Redis', leftOut(whyNoPostgres()), async (t) => {
  // No file may come and go while all are read.
  const server = await startPostgres(t, { autovacuum: 'off' })
  const admin = server.pool({ max: 1 })
  const ask = async (sql: string): Promise<string> => Object.values((await admin.query(sql)).rows[0] ?? {}).join()
  const password = randomBase62(40)
  // The host has to say a password, and is asked for it.
  writeFileSync(await ask('show hba_file'), 'host all postgres all trust\nhost all all all scram-sha-256\n')
  for (const sql of ['select pg_reload_conf()', `create role host login password '${password}'`, 'grant all on schema public to host']) await ask(sql)
  const proxy = await startFaultProxy(t, server.port)

  await withRedis(t, 'whose channel is listened to', async (t, redis) => {
    const { hunt, control, ...rest } = scene(t)
    const access = { port: redis.port, username: 'host', password: randomBase62(40) }
    await redis.client.call('ACL', 'SETUSER', 'host', 'on', `>${access.password}`, '~*', '&*', '+@all')
    const { commands, messages } = await listenTo(t, redis)
    const { host } = await searchHost({ hunt, control, ...rest }, { type: 'postgres', port: proxy.port, user: 'host', password }, outageOf(proxy), access)

    await host.end()
    await redis.client.set('control', control)
    await redis.client.publish('control', control)
    while (![commands, messages].every((said) => said.some((text) => text.includes(control)))) await sleep(5)
    t.ok(commands.length > 100 && messages.length > 10, 'the host was heard')
    t.same(hunt.found(commands.join('\n')), [CONTROL], 'commands to Redis')
    t.same(hunt.found(messages.join('\n')), [CONTROL], 'messages on its channels')
    t.same(hunt.found(await dumpOf(redis)), [CONTROL], 'what it keeps')

    const dump = execFileSync(join(await ask("select setting from pg_config() where name = 'BINDIR'"), 'pg_dump'), ['-h', '127.0.0.1', '-p', `${server.port}`, '-U', 'postgres', 'postgres'])
    t.same(hunt.found(dump), [CONTROL], 'the dump of Postgres')
    await ask('checkpoint')
    const data = await ask('show data_directory')
    for (const part of ['base', 'pg_wal']) t.same(hunt.found(bytesIn(join(data, part))), [CONTROL], part)
    t.same(hunt.found(bytesIn(data, (path) => !/\/(base|pg_wal)\//.test(path))), [], 'its other files')
  })
})

t.test('no piece of a secret is left by a host on MariaDB', leftOut(whyNoMysql()), async (t) => {
  const server = await startMysql(t)
  const admin = server.pool({ connectionLimit: 1 }).promise()
  const ask = async (sql: string): Promise<any[]> => (await admin.query(sql))[0] as any[]
  const { hunt, control, ...rest } = scene(t)
  const password = randomBase62(40)
  await ask(`create user host@'%' identified by '${password}'`)
  await ask("grant all on test.* to host@'%'")
  const proxy = await startFaultProxy(t, server.port)
  const { host } = await searchHost({ hunt, control, ...rest }, { type: 'mysql', port: proxy.port, user: 'host', password }, outageOf(proxy))

  await host.end()
  const tables = (await ask('show tables')).map((row) => Object.values(row)[0] as string)
  const rows = await Promise.all(tables.map(async (table) => await ask(`select * from ${table}`)))
  t.same(hunt.found(JSON.stringify(rows)), [CONTROL], 'every row')
  // Puts all that is known of the tables into their files, and keeps it still.
  await ask(`flush tables ${tables.join()} for export`)
  await ask('flush engine logs')
  const [{ data }] = await ask('select @@datadir as data')
  const [tableFile, logFile] = [/\.ibd$/, /\/ib_logfile/]
  for (const part of [tableFile, logFile]) t.same(hunt.found(bytesIn(data, (path) => part.test(path))), [CONTROL], `files ${part}`)
  t.same(hunt.found(bytesIn(data, (path) => !tableFile.test(path) && !logFile.test(path))).filter((name) => name !== CONTROL), [], 'its other files')
  await ask('unlock tables')
})

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

t.test('an error of Redis keeps what tells what broke, and nothing else', async (t) => {
  const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', command: { name: 'auth', args: ['secret'] }, lastNodeError: new Error('secret') })
  const bare = bareError(error)
  t.same({ ...bare }, { code: 'ECONNREFUSED' })
  t.equal(bare.message, error.message)
  t.equal(bare.stack, error.stack)
  t.same({ ...bareError(new Error('Connection is closed.')) }, {})
})
