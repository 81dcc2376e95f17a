// Hosts on one SQLite file, while its disk fails, others hold its lock and processes are killed.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { startHost } from '../helpers/host-process.js'
import { claim, underLoad, type RunSettings } from './run.js'
import { smallDisk, whyNoSmallDisk } from './small-disk.js'

const run = (name: string, file: string): RunSettings =>
  ({ name, database: { type: 'sqlite', file }, storage: kyselyStorage({ file, migrate: 'never' }) })

const noDisk = whyNoSmallDisk()
const onSmallDisk = { skip: noDisk !== null && `left out: ${noDisk}` }

t.test('kill -9 of hosts, over and over: nothing that was answered is lost, and the file is whole', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const { figures } = claim(t, await underLoad(t, run('kills', file), async (rig) => {
    for (const place of [0, 1, 0, 1]) {
      await rig.rotations(20)
      await rig.kill(place)
    }
    await rig.rotations(20)
  }))
  t.equal(figures.kills, 4)
  const handle = new Database(file, { readonly: true })
  t.equal(handle.pragma('integrity_check', { simple: true }), 'ok')
  t.same(handle.pragma('foreign_key_check'), [])
  handle.close()
})

t.test('while another process holds the write lock, changes are 503 in time and calls pass', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  claim(t, await underLoad(t, run('lock', file), async (rig) => {
    await rig.rotations(10)
    const other = new Database(file, { timeout: 5000 })
    await rig.withoutUsage(async () => {
      other.exec('begin immediate')
      await rig.answers(503, 10, 'changes')
      await rig.answers(200, 10, 'calls')
      other.exec('commit')
    })
    other.close()
    await rig.rotations(10)
  }))
})

t.test('a disk that is full: changes are 503 and calls pass, until there is room again', onSmallDisk, async (t) => {
  const disk = smallDisk(t, 16)
  claim(t, await underLoad(t, run('disk', join(disk.folder, 'keys.db')), async (rig) => {
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

t.test('a host does not start on a file that it may not write, and says why', onSmallDisk, async (t) => {
  const disk = smallDisk(t, 4)
  const file = join(disk.folder, 'keys.db')
  const host = await startHost(t, { type: 'sqlite', file })
  await host.end()
  disk.setReadOnly(true)
  await t.rejects(startHost(t, { type: 'sqlite', file }), { message: /readonly database|unable to open database file/ })
})
