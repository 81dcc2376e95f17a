// Hosts on Postgres, while it or the way to it fails and while processes are killed: what must hold does, and they serve again by themselves.
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import t from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { startHost } from '../helpers/host-process.js'
import { leftOut } from '../helpers/left-out.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { startFaultProxy, type Fault } from './fault-proxy.js'
import { claim, underLoad, type RunSettings } from './run.js'
import { smallDisk, whyNoSmallDisk } from './small-disk.js'

t.test('on a server', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t)
  const proxy = await startFaultProxy(t, server.port)
  const first = kyselyStorage({ db: server.db(), type: 'postgres', migrate: 'start' })
  await first.open({ log: console, timeout: 20_000 })
  const run = (name: string, port = server.port): RunSettings =>
    ({ name, database: { type: 'postgres', port }, storage: kyselyStorage({ db: server.db(), type: 'postgres' }) })

  t.test('a host does not start while the database cannot be reached, and says why', async (t) => {
    for (const [fault, reason] of [['refuse', /ECONNREFUSED 127\.0\.0\.1/], ['black-hole', /connection timeout/]] as const) {
      await proxy.set(fault)
      await t.rejects(startHost(t, { type: 'postgres', port: proxy.port }), { message: reason })
    }
    await proxy.set('pass')
  })

  t.test('the database is away, flaps, hangs, is slow, or breaks off in the middle of a word: 503 in time, then all is as before', async (t) => {
    claim(t, await underLoad(t, run('network', proxy.port), async (rig) => {
      for (const fault of ['refuse', 'reset', 'black-hole'] satisfies Fault[]) {
        await rig.rotations(20)
        await proxy.set(fault)
        await rig.away(async () => { await rig.answers(503, 10) })
        await proxy.set('pass')
      }
      for (const fault of ['forget', { slow: 10 }, { cut: { within: 20_000 } }] satisfies Fault[]) {
        await rig.rotations(20)
        await proxy.set(fault)
        await rig.rotations(20)
        await proxy.set('pass')
      }
      for (let times = 0; times < 3; times++) {
        await proxy.set('refuse')
        await rig.away(async () => { await rig.answers(503, 2) })
        await proxy.set('pass')
        await rig.rotations(2)
      }
      await rig.rotations(20)
    }))
  })

  t.test('a host that is told to end while the database hangs ends all the same', async (t) => {
    const { figures } = claim(t, await underLoad(t, run('hung', proxy.port), async (rig) => {
      await rig.rotations(10)
      await proxy.set('black-hole')
      await rig.withoutUsage(async () => { await rig.end(0, 'hung') })
      await proxy.set('pass')
      await rig.start()
      await rig.rotations(10)
    }))
    console.log(`it took ${figures.endMs} ms`)
  })

  t.test('kill -9 of hosts and of the database, over and over', async (t) => {
    const { figures } = claim(t, await underLoad(t, run('kills'), async (rig) => {
      for (const place of [0, 1]) {
        await rig.rotations(20)
        await rig.kill(place)
        await rig.withoutUsage(async () => { await server.crash() })
      }
      await rig.rotations(20)
    }))
    t.equal(figures.kills, 2)
  })

  t.test('a database that is read-only answers whose key it is, and changes nothing', async (t) => {
    const admin = server.pool({ max: 1 })
    const setReadOnly = async (value: string): Promise<void> => {
      await admin.query(`alter system set default_transaction_read_only = ${value}`)
      await admin.query('select pg_reload_conf()')
    }
    claim(t, await underLoad(t, run('read-only'), async (rig) => {
      await rig.rotations(10)
      await rig.withoutUsage(async () => {
        await setReadOnly('on')
        await rig.answers(503, 10, 'changes')
        await rig.answers(200, 10, 'calls')
        await setReadOnly('off')
      })
      await rig.rotations(10)
    }))
  })

  const noDisk = whyNoSmallDisk()
  t.test('a disk that is full', { skip: noDisk !== null && `left out: ${noDisk}` }, async (t) => {
    const disk = smallDisk(t, 48)
    const full = await startPostgres(t)
    const admin = full.pool({ max: 1 })
    chmodSync(disk.folder, 0o777)
    spawnSync('chown', ['postgres', disk.folder])
    // Its log stays on the large disk: a server whose log is full ends itself.
    await admin.query(`create tablespace small location '${disk.folder}'`)
    await admin.query('alter system set default_tablespace = small')
    await admin.query('select pg_reload_conf()')
    const settings = { ...run('disk', full.port), storage: kyselyStorage({ db: full.db(), type: 'postgres' }) }
    claim(t, await underLoad(t, settings, async (rig) => {
      await rig.rotations(10)
      await rig.withoutUsage(async () => {
        disk.setFull(true)
        await rig.answers(503, 10, 'changes')
        await rig.answers(200, 10, 'calls')
        disk.setFull(false)
      })
      await rig.rotations(10)
    }))
  })
})
