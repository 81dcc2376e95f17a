// The channels on real servers: messages arrive, a connection that breaks or falls silent is noticed and replaced, and all of it ends.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { kill } from 'node:process'
import type pg from 'pg'
import t, { type Test } from 'tap'
import type { ChannelListener, RevocationChannel } from '../../lib/index.js'
import { postgresChannel } from '../../lib/postgres.js'
import { redisChannel } from '../../lib/redis.js'
import { leftOut } from '../helpers/left-out.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { withRedis } from '../helpers/redis.js'

type Note = 'listening' | 'lost' | string

/** A channel that is open, and what it has said; waits for what it is going to say. */
function opened (t: Test, channel: RevocationChannel): { notes: Note[], said: (count: number) => Promise<void>, channel: RevocationChannel } {
  const notes: Note[] = []
  const listener: ChannelListener = {
    receive (message) { notes.push(message) }, listening () { notes.push('listening') }, lost () { notes.push('lost') }
  }
  channel.open(listener)
  t.teardown(async () => { await channel.close() })
  return { notes, channel, async said (count) { while (notes.length < count) await sleep(5) } }
}

/** Publishes until somebody hears it: a channel that was just lost may take a moment to be back. */
async function until (heard: () => boolean, again: () => Promise<unknown>): Promise<void> {
  while (!heard()) {
    await again()
    await sleep(20)
  }
}

/** What every channel does, on servers of its kind. */
async function behaves (t: Test, connect: (heartbeat?: number) => RevocationChannel, cut: () => Promise<unknown>, silence: () => Promise<() => void>): Promise<void> {
  await t.test('carries messages between instances, byte for byte and up to the longest', async (t) => {
    const [one, two] = [opened(t, connect()), opened(t, connect())]
    await Promise.all([one.said(1), two.said(1)])
    const messages = ['{"keys":["key_1"]}', '{"account":"user_ä\u{1f600} \\"\'\\u0001"}', 'x'.repeat(7000)]
    for (const message of messages) await one.channel.publish(message)
    await two.said(4)
    t.same(two.notes, ['listening', ...messages])
  })

  await t.test('says when its connection is cut, and again when it listens', async (t) => {
    const { notes, said, channel } = opened(t, connect())
    await said(1)
    for (let turn = 1; turn <= 2; turn++) {
      await cut()
      await said(2 * turn + 1)
    }
    t.same(notes, ['listening', 'lost', 'listening', 'lost', 'listening'])
    await channel.publish('heard')
    await said(6)
    t.equal(notes[5], 'heard')
  })

  await t.test('notices a connection that falls silent without a word', async (t) => {
    const { notes, said, channel } = opened(t, connect(100))
    await said(1)
    const back = await silence()
    await said(2)
    t.equal(notes[1], 'lost')
    back()
    // What was given up may still say what it had heard.
    await until(() => notes.lastIndexOf('heard') > notes.lastIndexOf('listening') && notes.lastIndexOf('listening') > 1, async () => { await channel.publish('heard').catch(() => {}) })
  })

  await t.test('closes at once, whether it listens, waits or has never been open', async (t) => {
    const listening = opened(t, connect())
    await listening.said(1)
    const starting = opened(t, connect())
    const never = connect()
    for (const { channel } of [listening, starting, { channel: never }]) await channel.close()
    await cut()
    t.same(listening.notes, ['listening'], 'and says nothing more')
    t.same(starting.notes, [])
  })

  await t.test('refuses options that it does not understand', async (t) => {
    for (const heartbeat of [0, -1, 1.5, NaN, 3_600_001, '5000' as never]) {
      t.throws(() => connect(heartbeat), { code: 'INVALID_OPTION', details: { option: 'heartbeat' } }, String(heartbeat))
    }
  })
}

const LISTENERS = 'select pid from pg_stat_activity where pid <> pg_backend_pid() and query ~* \'^(listen|select 1)\''

await t.test('over Postgres', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t)
  const pool = server.pool({ max: 5 })
  const admin = server.pool({ max: 1 })
  const pids = async (): Promise<number[]> => (await admin.query<{ pid: number }>(LISTENERS)).rows.map(({ pid }) => pid)
  await behaves(
    t,
    (heartbeat) => postgresChannel({ pool, ...heartbeat !== undefined && { heartbeat } }),
    async () => await admin.query(`select pg_terminate_backend(pid) from (${LISTENERS}) as listeners`),
    async () => {
      const stopped = await pids()
      for (const pid of stopped) kill(pid, 'SIGSTOP')
      return () => { for (const pid of stopped) kill(pid, 'SIGCONT') }
    }
  )

  await t.test('listens on a name of its own, and on no other', async (t) => {
    const [mine, theirs] = [opened(t, postgresChannel({ pool, name: 'mine' })), opened(t, postgresChannel({ pool, name: 'theirs' }))]
    await Promise.all([mine.said(1), theirs.said(1)])
    await theirs.channel.publish('not for me')
    await mine.channel.publish('for me')
    await mine.said(2)
    t.same(mine.notes, ['listening', 'for me'])
    for (const name of ['', 'Mine', 'my-name', 'x"; drop table x; --', 'x'.repeat(64), 5 as never]) {
      t.throws(() => postgresChannel({ pool, name }), { code: 'INVALID_OPTION', details: { option: 'name' } })
    }
  })

  await t.test('hears nothing of what the host listens to on the same connection', async (t) => {
    const own = server.pool({ max: 2 })
    own.on('connect', (client) => { client.query('listen theirs').catch(() => {}) })
    const { notes, said, channel } = opened(t, postgresChannel({ pool: own, name: 'mine' }))
    await said(1)
    await own.query('notify theirs, \'not for me\'')
    await channel.publish('for me')
    await said(2)
    t.same(notes, ['listening', 'for me'])
  })

  await t.test('leaves the host\'s pool to the host: whole while it runs, and ended by it alone', async (t) => {
    const own = server.pool({ max: 2 })
    const { said, channel } = opened(t, postgresChannel({ pool: own }))
    await said(1)
    t.same((await own.query('select 1 as one')).rows, [{ one: 1 }])
    await channel.close()
    t.same((await own.query('select 2 as two')).rows, [{ two: 2 }])
    await own.end()
  })

  await t.test('waits for a pool that is empty, takes one connection of it and not one more', async (t) => {
    const own = server.pool({ max: 1 })
    const taken: pg.PoolClient = await own.connect()
    const { notes, said, channel } = opened(t, postgresChannel({ pool: own, heartbeat: 20 }))
    await said(1)
    t.same(notes, ['lost'])
    t.equal(own.waitingCount, 1)
    taken.release()
    while (!notes.includes('listening')) await sleep(5)
    t.equal(own.totalCount, 1)
    await channel.close()
    await own.query('select 1')
  })
})

await withRedis(t, 'over Redis', async (t, server) => {
  const client = await server.connect()
  await behaves(
    t,
    (heartbeat) => redisChannel({ client, ...heartbeat !== undefined && { heartbeat } }),
    async () => await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
    async () => {
      server.pause()
      return () => { server.resume() }
    }
  )

  await t.test('listens on a name of its own, and on no other', async (t) => {
    const [mine, theirs] = [opened(t, redisChannel({ client, name: 'mine' })), opened(t, redisChannel({ client, name: 'theirs' }))]
    await Promise.all([mine.said(1), theirs.said(1)])
    await theirs.channel.publish('not for me')
    await mine.channel.publish('for me')
    await mine.said(2)
    t.same(mine.notes, ['listening', 'for me'])
    for (const name of ['', 5 as never]) t.throws(() => redisChannel({ client, name }), { code: 'INVALID_OPTION', details: { option: 'name' } })
  })

  await t.test('ends with the app while it still tries to connect', async (t) => {
    server.pause()
    const { notes, said, channel } = opened(t, redisChannel({ client, heartbeat: 20 }))
    await said(1)
    await channel.close()
    server.resume()
    t.equal(await server.client.call('CLIENT', 'LIST', 'TYPE', 'pubsub'), '', 'no connection is left behind')
    t.same(new Set(notes), new Set(['lost']))
  })

  await t.test('tries anew where its connection was taken and nobody answers', async (t) => {
    const taken: Socket[] = []
    const silent = createServer((socket) => {
      // The first one is never answered, as where a machine was replaced behind an address.
      if (taken.push(socket) === 1) socket.resume()
      else socket.pipe(connect(server.port, '127.0.0.1')).on('error', () => {}).pipe(socket)
      socket.on('error', () => {})
    }).listen(0, '127.0.0.1')
    t.teardown(async () => {
      taken.forEach((socket) => { socket.destroy() })
      silent.close()
    })
    await once(silent, 'listening')
    const { notes } = opened(t, redisChannel({ client: server.newClient({ port: (silent.address() as AddressInfo).port, lazyConnect: true }), heartbeat: 100 }))
    while (!notes.includes('listening')) await sleep(5)
    t.equal(notes[0], 'lost')
    t.equal(notes.at(-1), 'listening')
    while (!taken[0]!.destroyed) await sleep(5)
  })

  await t.test('outlives its server, and refuses messages while it is away', async (t) => {
    const { notes, said, channel } = opened(t, redisChannel({ client, heartbeat: 100 }))
    await said(1)
    await server.stop()
    await said(2)
    t.equal(notes[1], 'lost')
    while (client.status !== 'reconnecting' && client.status !== 'close') await sleep(5)
    await t.rejects(channel.publish('too late'), /connection to Redis is in the state/)
    await server.restart()
    await until(() => notes.includes('heard'), async () => { await channel.publish('heard').catch(() => {}) })
    t.notOk(notes.includes('too late'))
  })
})
