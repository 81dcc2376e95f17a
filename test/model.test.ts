// Random histories of an account against a model of what may happen to keys: statuses, slots, ends, refusals and the audit log agree at every step.
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { memoryStorage, type Storage } from '../lib/index.js'
import { STATUSES } from '../lib/keys/api-key.js'
import { kyselyStorage } from '../lib/storage/kysely/index.js'
import { HOUR } from '../lib/time.js'
import { build } from './helpers/host.js'
import { Account, CHANGES, DEFAULT_SEED, PASSES, runsOr, SEED, type Change, type Pass } from './helpers/key-histories.js'
import { MAX_KEYS, SCOPES, type Lifetimes } from './helpers/key-model.js'
import { stateOf } from './helpers/keys.js'
import { leftOut } from './helpers/left-out.js'
import { startMysql, whyNoMysql } from './helpers/mysql.js'
import { pglite, startPostgres, whyNoPostgres } from './helpers/postgres.js'

type Step = Change | Pass
const STEPS: fc.Arbitrary<Step> = fc.oneof({ weight: 8, arbitrary: CHANGES }, { weight: 1, arbitrary: PASSES })

/** What chance seldom brings: the place of a key that ended was taken before it is renewed. */
const issued = (hours: number): Step => ({ op: 'issue', by: 'owner', environment: 'live', access: 'secret', scopes: null, hours, idempotency: undefined })
const TAKEN: Step[] = [issued(1), { op: 'pass', hours: 4 }, ...Array.from({ length: MAX_KEYS }, () => issued(20)), { op: 'renew', by: 'owner', key: MAX_KEYS, hours: 20 }]

/** Plays as many lives, each of an account of its own, beside an account that nobody touches. */
async function play (t: Test, storage: Storage, runs: number, name: string, lifetimes: Lifetimes, seen: Set<string>): Promise<void> {
  const { app: { selfServeKeys }, clock } = await build(t, {
    storage,
    scopes: SCOPES,
    keys: { origins: 'optional', lifetime: lifetimes.named, defaultKey: { lifetime: lifetimes.default }, maxLifetime: lifetimes.most, maxOverlap: '10 hours' },
    policy: { resolve: () => ({ maxKeys: MAX_KEYS }), cacheFor: '1 year' }
  })
  const bystander = { accountId: `bystander of ${name}`, credential: 'bearer' } as const
  await selfServeKeys.keys.issueDefault(bystander)
  const { apiKey } = await selfServeKeys.keys.issue(bystander, { label: 'x' })
  await selfServeKeys.keys.rotate(bystander, apiKey.publicId, { overlapSeconds: 60 })
  const before = await stateOf(storage, bystander.accountId)
  let lives = 0
  let steps = 0
  await fc.assert(fc.asyncProperty(fc.array(STEPS, { minLength: 1, maxLength: 60, size: 'max' }), async (history) => {
    const account = new Account(`account ${lives++} of ${name}`, selfServeKeys, clock, lifetimes, seen)
    for (const step of history) {
      steps++
      await account.play(step)
      await account.check()
    }
  }), { numRuns: runsOr(runs), seed: SEED, examples: [[TAKEN]] })
  t.ok(steps > lives, `${lives} lives of ${steps} steps`)
  t.strictSame(await stateOf(storage, bystander.accountId), before, 'another account is as it was')
}
const seen = new Set<string>()
const LIFETIMES: Record<string, Lifetimes> = {
  'no limit': { named: null, default: null, most: null },
  'lifetimes and a limit': { named: 40 * HOUR, default: 20 * HOUR, most: 50 * HOUR }
}

interface Kind {
  readonly runs: number
  readonly missing?: () => string | null
  /** @returns opens a storage, which may find there what the one before has left */
  start (t: Test): Promise<() => Storage>
}

/** What differs between the databases is their SQL, which few histories show: the same code decides. */
const STORAGES: Record<string, Kind> = {
  'memory storage': { runs: 60, start: async () => memoryStorage },
  'SQLite in memory': { runs: 10, start: async () => () => kyselyStorage({ file: ':memory:' }) },
  'a SQLite file': {
    runs: 4,
    async start (t) {
      const file = join(t.testdir(), 'keys.db')
      return () => kyselyStorage({ file })
    }
  },
  Postgres: {
    runs: 4,
    async start (t) {
      const { db } = whyNoPostgres() === null ? { db: (await startPostgres(t)).db() } : await pglite(t)
      return () => kyselyStorage({ db, type: 'postgres', migrate: 'start' })
    }
  },
  MariaDB: {
    runs: 4,
    missing: whyNoMysql,
    async start (t) {
      const db = (await startMysql(t)).db()
      return () => kyselyStorage({ db, type: 'mysql', migrate: 'start' })
    }
  }
}

for (const [kind, { runs, missing, start }] of Object.entries(STORAGES)) {
  t.test(`on ${kind} random histories go as the model says`, leftOut(missing?.() ?? null), async (t) => {
    const open = await start(t)
    for (const [name, lifetimes] of Object.entries(LIFETIMES)) {
      await t.test(name, async (t) => { await play(t, open(), runs, name, lifetimes, seen) })
    }
  })
}

t.test('every change, every way to be refused and every status was met: what was never tried shows nothing', { skip: SEED !== DEFAULT_SEED && 'of the usual seed alone' }, async (t) => {
  const done = ['issueDefault', 'issue', 'rotate', 'renew', 'update', 'revoke', 'revokeAll'].flatMap((op) => ['owner', 'host', 'key'].map((who) => `${op} ${who}`))
  const refused = Object.entries({
    issueDefault: ['IDEMPOTENCY_KEY_REUSED', 'API_KEY_NOT_ACTIVE', 'KEY_LIMIT_REACHED', 'FORBIDDEN', 'INVALID_API_KEY'],
    issue: ['IDEMPOTENCY_KEY_REUSED', 'INVALID_REQUEST', 'KEY_LIMIT_REACHED', 'FORBIDDEN', 'INVALID_API_KEY'],
    rotate: ['IDEMPOTENCY_KEY_REUSED', 'API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'FORBIDDEN', 'INVALID_API_KEY'],
    renew: ['API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'INVALID_REQUEST', 'KEY_LIMIT_REACHED', 'FORBIDDEN', 'INVALID_API_KEY'],
    update: ['API_KEY_NOT_ACTIVE', 'API_KEY_NOT_FOUND', 'INVALID_REQUEST', 'FORBIDDEN', 'INVALID_API_KEY'],
    revoke: ['API_KEY_NOT_FOUND', 'FORBIDDEN', 'INVALID_API_KEY'],
    revokeAll: ['INVALID_API_KEY']
  }).flatMap(([op, codes]) => codes.map((code) => `${op} ${code}`))
  const replayed = ['issueDefault', 'issue', 'rotate'].map((op) => `${op} replayed`)
  t.strictSame([...done, ...replayed, ...refused, ...STATUSES].filter((claim) => !seen.has(claim)), [])
})
