// Hosts on MariaDB, while the way to it fails and while processes are killed: what must hold does, and they serve again by themselves.
import t from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { startHost } from '../helpers/host-process.js'
import { leftOut } from '../helpers/left-out.js'
import { startMysql, whyNoMysql } from '../helpers/mysql.js'
import { startFaultProxy, type Fault } from './fault-proxy.js'
import { claim, underLoad } from './run.js'

// A quarter of a minute on an idle machine.
t.setTimeout(240_000)

t.test('on a server', leftOut(whyNoMysql()), async (t) => {
  const server = await startMysql(t)
  const proxy = await startFaultProxy(t, server.port)
  const first = kyselyStorage({ db: server.db(), type: 'mysql', migrate: 'start' })
  await first.open({ log: console, timeout: 20_000 })

  t.test('a host does not start while the database cannot be reached, and says why', async (t) => {
    for (const [fault, reason] of [['refuse', /ECONNREFUSED 127\.0\.0\.1/], ['black-hole', /connect ETIMEDOUT/]] as const) {
      await proxy.set(fault)
      await t.rejects(startHost(t, { type: 'mysql', port: proxy.port }), { message: reason })
    }
    await proxy.set('pass')
  })

  t.test('the database is away, hangs, forgets, or breaks off in the middle of a word, and hosts are killed or end meanwhile: 503 in time, then all is as before', async (t) => {
    const settings = { name: 'network', database: { type: 'mysql', port: proxy.port }, storage: kyselyStorage({ db: server.db(), type: 'mysql' }) } as const
    const { figures } = claim(t, await underLoad(t, settings, async (rig) => {
      for (const fault of ['refuse', 'reset', 'black-hole'] satisfies Fault[]) {
        await rig.rotations(10)
        await proxy.set(fault)
        await rig.away(async () => { await rig.answers(503, 10) })
        await proxy.set('pass')
      }
      for (const [place, fault] of (['forget', { cut: { within: 20_000 } }] satisfies Fault[]).entries()) {
        await rig.rotations(10)
        await proxy.set(fault)
        await rig.rotations(20)
        await rig.kill(place)
        await proxy.set('pass')
      }
      await rig.rotations(10)
      await proxy.set('black-hole')
      await rig.withoutUsage(async () => { await rig.end(0, 'hung') })
      await proxy.set('pass')
      await rig.start()
      await rig.rotations(10)
    }))
    t.equal(figures.kills, 2)
    console.log(`an end beside a database that hangs took ${figures.endMs} ms`)
  })
})
