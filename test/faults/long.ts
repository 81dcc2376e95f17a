// The long form, `npm run test:faults`: 100 000 rotations and 200 kills over two processes, and what was measured. SCALE=0.02 does a fiftieth.
import { join } from 'node:path'
import t from 'tap'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { leftOut } from '../helpers/left-out.js'
import { startPostgres, whyNoPostgres } from '../helpers/postgres.js'
import { startFaultProxy, type Fault } from './fault-proxy.js'
import { claim, underLoad, type Figures, type Rig, type RunSettings } from './run.js'

const SCALE = Number(process.env.SCALE ?? 1)
/** Of each database. */
const ROTATIONS = Math.ceil(50_000 * SCALE)
const KILLS = Math.ceil(100 * SCALE)
/** Every so many kills the database goes as well, or the way to it. */
const DATABASE = 4

const size = { accounts: 20, clients: 8, calls: 0.3, timeout: 2000 } satisfies Partial<RunSettings>
const figures: Record<string, Figures & { readonly violations: number }> = {}

/** Kills hosts in turn, with as many rotations between as make up the whole. */
async function killing (rig: Rig, between: (kill: number) => Promise<void>): Promise<void> {
  for (let kill = 1; kill <= KILLS; kill++) {
    await rig.rotations(Math.ceil(ROTATIONS / KILLS))
    await rig.kill(kill % 2)
    await between(kill)
  }
  await rig.rotations(Math.max(0, ROTATIONS - rig.load.rotations))
}

t.test('on Postgres, which writes every commit to the disk', leftOut(whyNoPostgres()), async (t) => {
  const server = await startPostgres(t, { fsync: 'on' })
  const proxy = await startFaultProxy(t, server.port)
  const faults: ReadonlyArray<Exclude<Fault, 'pass'>> = ['refuse', 'reset', 'black-hole', 'forget', { slow: 5 }, { cut: { within: 50_000 } }]
  const first = kyselyStorage({ db: server.db(), type: 'postgres', migrate: 'start' })
  await first.open({ log: console, timeout: 20_000 })
  const settings = { ...size, name: 'postgres', database: { type: 'postgres', port: proxy.port }, storage: kyselyStorage({ db: server.db(), type: 'postgres' }) } as const
  let crashes = 0
  const result = await underLoad(t, settings, async (rig) => {
    await killing(rig, async (kill) => {
      if (kill % DATABASE !== 1) return
      crashes++
      await rig.withoutUsage(async () => {
        await server.crash()
        const fault = faults[crashes % faults.length]!
        await proxy.set(fault)
        if (fault === 'refuse' || fault === 'reset' || fault === 'black-hole') await rig.away(async () => { await rig.answers(503, 20) })
        else await rig.rotations(20)
        await proxy.set('pass')
      })
    })
  })
  figures.Postgres = { ...result.figures, kills: result.figures.kills + crashes, violations: result.violations.length }
  claim(t, result)
  t.ok(result.figures.rotations >= ROTATIONS && result.figures.kills >= KILLS)
})

t.test('on a SQLite file', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const settings = { ...size, name: 'sqlite', database: { type: 'sqlite', file }, storage: kyselyStorage({ file, migrate: 'never' }) } as const
  const result = await underLoad(t, settings, async (rig) => { await killing(rig, async () => {}) })
  figures.SQLite = { ...result.figures, violations: result.violations.length }
  claim(t, result)
  t.ok(result.figures.rotations >= ROTATIONS && result.figures.kills >= KILLS)
})

t.test('the figures', async () => {
  console.table(Object.fromEntries(Object.entries(figures).map(([database, { answers, ...rest }]) => [database, rest])))
  console.log(JSON.stringify(figures))
})
