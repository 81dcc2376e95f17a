// A host under bytes that no client of good will sends: it answers or refuses each, fails at none, and is as it was when they have passed.
//
// Another seed, or more of them: HTTP_SEED=7 HTTP_REQUESTS=100000. A failure prints the seed and the fewest bytes found that show it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { StoredAuditEntry } from '../../lib/audit/audit-entry.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import type { Storage } from '../../lib/storage/storage.js'
import { DAY } from '../../lib/time.js'
import { startProgram, type HostProcess } from '../helpers/host-process.js'
import { auditOf, stateOf } from '../helpers/keys.js'
import { faultsOfAmbiguous } from './judge.js'
import { mutantOf } from './mutations.js'
import { ambiguous, holding, MUCH, odd } from './plans.js'
import { ask, openAndNeverRead, type Plan } from './sender.js'
import { startStorm } from './storm.js'
import { furnish, sessionsOf, worldOf } from './world.js'

const SEED = process.env.HTTP_SEED ?? '20260115'
/** Connections of the whole run, each with a request or more. */
const REQUESTS = Number(process.env.HTTP_REQUESTS ?? 13_000)
const LONG = REQUESTS >= 100_000
/** Each odd request is sent to every route: by everybody, or by one of four in turn. */
const SHARE = LONG ? 1 : 4
/** Of each kind of client that holds its connection. */
const HOLDING = 20
/** ms that the host lets a client take. */
const TIMES = { head: 2000, request: 3000, idle: 200, silence: 4000, checking: 100 }

t.setTimeout(LONG ? 3_600_000 : 280_000)

t.test(`under attack, with the seed ${SEED}`, async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const world = worldOf(SEED)
  const { attackers, untouched, pepper } = world
  const storage = kyselyStorage({ file })
  await storage.open({ log: console, timeout: 30_000 })
  t.teardown(async () => { await storage.close() })
  await furnish(storage, world)
  const untouchedBefore = await stateOf(storage, untouched.accountId)
  const entries = async (): Promise<StoredAuditEntry[][]> => await Promise.all(attackers.map(async ({ accountId }) => [...await auditOf(storage, accountId)]))
  const entriesBefore = await entries()

  const host = await startProgram(t, 'attacked-host.mjs', { file, times: TIMES, peppers: { current: 'p1', keys: { p1: pepper } }, ...sessionsOf(world) })
  const port = Number(new URL(host.url).port)
  const storm = startStorm(port, world)
  const listBefore = await ask(port, '/v1/me/api-keys', `Authorization: Bearer ${untouched.token}`)

  await t.test('requests that nobody can tell the length of reach no route', async (t) => {
    t.same(await storm.rage(ambiguous(world, SEED, SHARE), faultsOfAmbiguous), [])
  })

  await t.test('every odd request on every route is answered or refused as it should be', async (t) => {
    t.same(await storm.rage(odd(world, SEED, SHARE)), [])
    const usual = [100, 200, 201, 204, 304, 400, 401, 403, 404, 409, 413, 414, 415, 417, 429, 431]
    t.same(usual.filter((status) => storm.statuses[status] === undefined), [], 'every kind of answer was met')
  })

  await t.test('every request that is changed by chance is, too', async (t) => {
    const mutants = function * (): Generator<Plan> {
      for (let number = 0; storm.sent < REQUESTS; number++) yield mutantOf(world, SEED, number)
    }
    t.same(await storm.rage(mutants()), [])
    t.ok(storm.sent >= REQUESTS)
  })

  await t.test('clients that are slow, silent or deaf lose their connections, and keep nobody else waiting', async (t) => {
    const deaf = [openAndNeverRead(port, MUCH), openAndNeverRead(port, MUCH)]
    const plans = attackers.slice(0, 1).flatMap((attacker) => holding(attacker, HOLDING))
    const held = storm.rage(plans, undefined, plans.length)
    await until(async () => await connections(port) > plans.length / 2, host)
    t.match(await ask(port, '/v1/me/api-keys', `Authorization: Bearer ${untouched.token}`), { status: 200 })
    t.same(await held, [])
    t.ok(storm.statuses['408']! > 0, 'they are told so')
    await until(async () => await connections(port) === 1, host)
    for (const end of deaf) end()
  })

  await t.test('the host is the same as before', async (t) => {
    t.notOk(host.ended)
    t.same(await ask(port, '/v1/me/api-keys', `Authorization: Bearer ${untouched.token}`), listBefore)
    t.same(await stateOf(storage, untouched.accountId), untouchedBefore, 'an account that had no part in it has all that it had')
    t.match(await ask(port, '/v1/blocks', `X-API-Key: ${untouched.key}`), { status: 200, json: { accountId: untouched.accountId, via: 'apiKey' } })
    t.match(await host.end(), { code: 0 })
    t.same(host.output.slice(0, 5), [], 'it has written no warning and no error')
  })

  await t.test('what it stored is what it answered', async (t) => {
    const made = (await entries()).flatMap((all, place) => all.slice(0, all.length - entriesBefore[place]!.length))
    t.same(storm.ledger.compare(made).slice(0, 10), [], 'one audit entry for each change that was answered, none for a refusal')
    t.ok(storm.ledger.changes > 100, `${storm.ledger.changes} changes were answered`)
    t.ok(made.every(({ ip }) => ip === null || ip.length <= 128), 'nobody chooses how much is kept of an address')

    let recorded = 0
    for (const { accountId, key, ownId } of attackers) {
      const requests = await requestsOf(storage, accountId, ownId)
      t.ok(requests <= storm.mostUses(key), `${requests} requests are recorded of ${storm.mostUses(key)} that came with the key`)
      recorded += requests
    }
    t.ok(recorded > 100)

    await storage.close()
    const files = readdirSync(join(file, '..')).map((name) => readFileSync(join(file, '..', name)))
    const secrets = [...attackers.flatMap(({ key, token }) => [key, token]), ...storm.ledger.plaintexts]
    t.same(secrets.filter((secret) => files.some((content) => content.includes(secret))), [], 'no key and no token is on the disk')
  })

  console.log(`${storm.sent} connections, ${storm.ledger.changes} changes; answers by status: ${JSON.stringify(storm.statuses)}`)
})

/** How many connections the host has, with the one that asks. */
async function connections (port: number): Promise<number> {
  return (await ask(port, '/connections')).json.count
}

/** Asks over and over, as long as the host lives and the test may take. */
async function until (holds: () => Promise<boolean>, host: HostProcess): Promise<void> {
  while (!await holds()) if (host.ended) throw new Error(`the host has ended: ${host.output.join('\n')}`)
}

/** How many requests of a key are recorded. */
async function requestsOf (storage: Storage, accountId: string, publicId: string): Promise<number> {
  const end = Math.ceil((Date.now() + 1) / DAY) * DAY
  const { perKey } = await storage.readUsage({ accountId, start: end - 2 * DAY, end, unit: 'day', perKeyLimit: 1000, recentLimit: 1 })
  return perKey.find(({ key }) => key.publicId === publicId)?.requests ?? 0
}
