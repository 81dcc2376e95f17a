// What clients of one account ask at once, on two instances, comes in every order that a scheduler thinks of: some order of the questions explains all answers, on every storage.
import { join } from 'node:path'
import fc from 'fast-check'
import { Kysely, MysqlDialect, PostgresDialect, sql } from 'kysely'
import t, { type Test } from 'tap'
import { memoryStorage, type Storage } from '../lib/index.js'
import type { FoundKey } from '../lib/keys/api-key.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { HOUR } from '../lib/time.js'
import { ANOTHER_ORDER, channels, LOCK_WAIT, OLD_ANSWER, playAtOnce, type Ground } from './helpers/clients-at-once.js'
import { gate, gatedDialect, gatedStorage, gateSqliteFiles } from './helpers/gates.js'
import { FIXED, HISTORIES } from './helpers/histories-at-once.js'
import { build, testClock } from './helpers/host.js'
import { DEFAULT_SEED, runsOr, SEED } from './helpers/key-histories.js'
import { MAX_KEYS, SCOPES, type Lifetimes } from './helpers/key-model.js'
import { leftOut } from './helpers/left-out.js'
import { startMysql, whyNoMysql } from './helpers/mysql.js'
import { startPostgres, whyNoPostgres } from './helpers/postgres.js'

gateSqliteFiles()

/** What a failure prints beside the seed leads straight to it: MODEL_PATH=12:0:3, with --grep for the storage. */
const DRAWN = { seed: SEED, ...(process.env.MODEL_PATH !== undefined && { path: process.env.MODEL_PATH }) }
const LIFETIMES: Lifetimes = { named: 40 * HOUR, default: 20 * HOUR, most: 50 * HOUR }

interface Stored {
  /** Another connection to the same keys each time. */
  readonly open: () => Storage
  /** May it be read beside a change? */
  readonly observed?: boolean
  readonly lockWaits?: () => Promise<number>
}

interface Kind {
  readonly runs: number
  readonly instances?: number
  /** ms */
  readonly maxDelay?: number
  readonly missing?: () => string | null
  start (t: Test): Promise<Stored>
}

async function groundOn (t: Test, { open, observed = true, lockWaits = async () => Infinity }: Stored, { instances = 2, maxDelay = 0 }: Omit<Kind, 'runs' | 'start'> = {}): Promise<Ground> {
  const clock = testClock()
  let ticks = 0
  // What comes later is later, also where no time passes.
  const ticking = { ...clock, monotonic: () => clock.monotonic() + ++ticks }
  const channelOf = channels()
  const hosts = []
  for (let instance = 0; instance < instances; instance++) {
    const { app } = await build(t, {
      storage: gatedStorage(open()),
      scopes: SCOPES,
      keys: { origins: 'optional', lifetime: LIFETIMES.named, defaultKey: { lifetime: LIFETIMES.default }, maxLifetime: LIFETIMES.most, maxOverlap: '10 hours' },
      policy: { resolve: async () => { await gate('policy'); return { maxKeys: MAX_KEYS } }, cacheFor: '1 year' },
      usage: false,
      clock: ticking,
      // A transaction lasts for as long as the scheduler lets it.
      timeout: '5 minutes',
      ...(maxDelay > 0 && { revocation: { maxDelay, channel: channelOf(instance) } })
    })
    hosts.push(app.selfServeKeys)
  }
  const observer = observed ? open() : null
  await observer?.open({ log: console, timeout: 5000 })
  t.after(async () => { await observer?.close() })
  return { hosts, clock: ticking, observer, lockWaits, lifetimes: LIFETIMES, maxDelay }
}

async function memory (): Promise<Stored> {
  const storage = memoryStorage()
  return { open: () => storage }
}

async function sqliteFile (t: Test): Promise<Stored> {
  const file = join(t.testdir(), 'keys.db')
  return { open: () => kyselyStorage({ file }) }
}

const GROUNDS: Record<string, Kind> = {
  'memory storage': { runs: 400, start: memory },
  'memory storage, where instances may hold keys for an hour': { runs: 150, maxDelay: HOUR, start: memory },
  // Its one connection is no other's to look through.
  'SQLite in memory': { runs: 40, instances: 1, start: async () => ({ open: () => kyselyStorage({ file: ':memory:' }), observed: false }) },
  'a SQLite file': { runs: 30, start: sqliteFile },
  'a SQLite file, where instances may hold keys for an hour': { runs: 30, maxDelay: HOUR, start: sqliteFile },
  'Postgres, at REPEATABLE READ by itself': {
    runs: 30,
    missing: whyNoPostgres,
    async start (t) {
      const server = await startPostgres(t, { default_transaction_isolation: 'repeatable read' })
      const own = server.db({ max: 1 })
      return {
        open: () => kyselyStorage({ db: new Kysely({ dialect: gatedDialect(new PostgresDialect({ pool: server.pool() })) }), type: 'postgres', migrate: 'start' }),
        lockWaits: async () => Number((await sql<{ count: unknown }>`select count(*) as count from pg_locks where not granted`.execute(own)).rows[0]!.count)
      }
    }
  },
  'MariaDB, at REPEATABLE READ by itself': {
    runs: 30,
    missing: whyNoMysql,
    async start (t) {
      const server = await startMysql(t, { 'transaction-isolation': 'REPEATABLE-READ' })
      const own = server.db({ connectionLimit: 1 })
      return {
        open: () => kyselyStorage({ db: new Kysely({ dialect: gatedDialect(new MysqlDialect({ pool: server.pool() })) }), type: 'mysql', migrate: 'start' }),
        lockWaits: async () => Number((await sql<{ Value: unknown }>`show global status like 'Innodb_row_lock_current_waits'`.execute(own)).rows[0]!.Value)
      }
    }
  }
}

const seen = new Set<string>()

for (const [name, kind] of Object.entries(GROUNDS)) {
  t.test(`on ${name} some order explains what was answered at once`, leftOut(kind.missing?.() ?? null), async (t) => {
    const ground = await groundOn(t, await kind.start(t), kind)
    const here = new Set<string>()
    let lives = 0
    for (const history of FIXED) await playAtOnce(ground, history, fc.sample(fc.scheduler(), { numRuns: 1, seed: SEED })[0]!, String(lives++), here)
    await fc.assert(fc.asyncProperty(HISTORIES, fc.scheduler(), async (history, scheduler) => {
      await playAtOnce(ground, history, scheduler, String(lives++), here)
    }), { numRuns: runsOr(kind.runs), ...DRAWN })
    if (kind.missing === undefined) for (const claim of here) seen.add(claim)
    if (SEED !== DEFAULT_SEED) return
    t.equal(here.has(LOCK_WAIT), kind.missing !== undefined, 'a change waits for another at the server')
    t.equal(here.has(OLD_ANSWER), kind.maxDelay !== undefined, 'what changed elsewhere is missed where it may be, and nowhere else')
  })
}

t.test('changes of every kind met while they were under way, and were refused in every way: what never happened shows nothing', { skip: SEED !== DEFAULT_SEED && 'of the usual seed alone' }, async (t) => {
  const often = ['issue', 'issueDefault', 'renew', 'rotate', 'update']
  const met = often.flatMap((op, place) => often.slice(place).map((other) => `${op} beside ${other}`))
  const revoked = ['issueDefault beside revoke', 'issueDefault beside revokeAll', 'revoke beside rotate']
  const refused = Object.entries({
    issueDefault: ['replayed', 'IDEMPOTENCY_KEY_REUSED', 'KEY_LIMIT_REACHED', 'FORBIDDEN', 'INVALID_API_KEY'],
    issue: ['replayed', 'IDEMPOTENCY_KEY_REUSED', 'INVALID_REQUEST', 'KEY_LIMIT_REACHED', 'INVALID_API_KEY'],
    rotate: ['replayed', 'IDEMPOTENCY_KEY_REUSED', 'API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'FORBIDDEN', 'INVALID_API_KEY'],
    renew: ['API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'INVALID_REQUEST', 'KEY_LIMIT_REACHED', 'INVALID_API_KEY'],
    update: ['API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'FORBIDDEN', 'INVALID_API_KEY'],
    revoke: ['API_KEY_NOT_FOUND', 'FORBIDDEN']
  }).flatMap(([op, ways]) => ways.map((way) => `${op} ${way}`))
  t.strictSame([ANOTHER_ORDER, ...met, ...revoked, ...refused].filter((claim) => !seen.has(claim)), [])
})

/** Storages that do not keep their word, and what it is that no order explains. */
const BROKEN: Record<string, { maxDelay?: number, broken: (storage: Storage) => Storage }> = {
  'that remembers a key for good, as it was found first': { broken: remembering },
  'that remembers a key for good, where instances may hold it for an hour': { maxDelay: HOUR, broken: remembering },
  'that counts the keys of an account before it makes another': {
    broken: (storage) => ({
      ...storage,
      async issueKey (input) {
        const { active } = await storage.countKeys(input.key.accountId, input.now)
        await gate('counted')
        return await storage.issueKey({ ...input, maxKeys: active < input.maxKeys ? Infinity : 0 })
      }
    })
  }
}

function remembering (storage: Storage): Storage {
  const found = new Map<string, FoundKey | null>()
  return {
    ...storage,
    async findKeyByHash (digests) {
      const hash = digests[0]!.hash
      const known = found.get(hash) ?? await storage.findKeyByHash(digests)
      found.set(hash, known)
      return known
    }
  }
}

for (const [what, { maxDelay, broken }] of Object.entries(BROKEN)) {
  t.test(`a storage ${what} is found out`, async (t) => {
    const storage = broken(memoryStorage())
    const ground = await groundOn(t, { open: () => storage }, maxDelay === undefined ? {} : { maxDelay })
    let lives = 0
    const { failed, errorInstance } = await fc.check(fc.asyncProperty(HISTORIES, fc.scheduler(), async (history, scheduler) => {
      await playAtOnce(ground, history, scheduler, String(lives++), new Set())
    }), { numRuns: 300, seed: SEED, endOnFailure: true })
    t.ok(failed)
    t.match(errorInstance, { message: /^No order of these questions explains the answers:\n\d+–\d+ / })
  })
}
