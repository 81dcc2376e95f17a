// Any value for any option of what a host makes by itself: storages, stores, channels, sessions. Taken as it is, or refused by name when it is made.
import { Kysely, SqliteDialect } from 'kysely'
import fc, { type Arbitrary } from 'fast-check'
import t from 'tap'
import { isSelfServeKeysError, memoryRateLimitStore, memoryStorage } from '../../lib/index.js'
import { postgresChannel } from '../../lib/postgres.js'
import { redisChannel, redisRateLimitStore } from '../../lib/redis.js'
import { betterAuthSession } from '../../lib/sessions/better-auth.js'
import { jwtSession } from '../../lib/sessions/jwt.js'
import { kyselyStorage } from '../../lib/storage/kysely/index.js'
import { shown, withAnything } from '../helpers/strange-values.js'

type Is = (value: unknown) => boolean
interface Part {
  readonly make: (options: never) => object
  /** Options that it takes. */
  readonly good: Readonly<Record<string, unknown>>
  /** Which of any values each option takes; `undefined` is left to `optional`. */
  readonly takes: Readonly<Record<string, Is>>
  readonly optional: readonly string[]
  readonly near: Arbitrary<unknown>
}

const called: string[] = []
/** An object with methods that must not be called yet. */
const idle = <T>(...names: string[]): T => ({ status: 'ready', ...Object.fromEntries(names.map((name) => [name, () => { called.push(name) }])) }) as T
const isText: Is = (value) => typeof value === 'string'
const isFunction: Is = (value) => typeof value === 'function'
const never: Is = () => false
const whole = (min: number, max: number): Is => (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
const like = (pattern: RegExp): Is => (value) => typeof value === 'string' && pattern.test(value)
const dialect = new SqliteDialect({ database: async () => { throw new Error('The database was opened.') } })
const db = new Kysely<unknown>({ dialect })
const SECRET = 'a secret of more than 32 characters'
const jwt = { issuer: 'https://login.example', audience: 'api', algorithms: ['HS256'] }
const claims = { issuer: like(/[^]/), audience: like(/[^]/), account: isFunction, cookie: like(/^[\w!#$%&'*+.^`|~-]+$/) }
const isSchema: Is = (value) => typeof value === 'string' && value.isWellFormed() && /^\P{Cc}+$/u.test(value) && Buffer.byteLength(value) < 64
const words = fc.constantFrom('sqlite', 'postgres', 'mysql', 'start', 'never', 'HS256', 'none', 'keys_', 'Keys', 'https://a.example/jwks', '50', ':memory:', SECRET)

const PARTS: Record<string, Part> = {
  'kyselyStorage of a file': {
    make: kyselyStorage,
    good: { file: ':memory:', tablePrefix: 'keys_', migrate: 'start' },
    takes: { file: (value) => typeof value === 'string' && value !== '' && !value.includes('\0'), tablePrefix: like(/^[a-z_][a-z0-9_]{0,30}$/), migrate: like(/^(start|never)$/), type: never, schema: never },
    optional: ['tablePrefix', 'migrate', 'type', 'schema'],
    near: words
  },
  'kyselyStorage of a dialect': {
    make: kyselyStorage, good: { dialect, type: 'postgres', schema: 'keys' }, takes: { dialect: never, type: like(/^(postgres|mysql)$/), schema: isSchema }, optional: ['schema'], near: words
  },
  'kyselyStorage of an instance': { make: kyselyStorage, good: { db, type: 'sqlite' }, takes: { db: never, type: like(/^(sqlite|postgres|mysql)$/) }, optional: [], near: words },
  memoryRateLimitStore: { make: memoryRateLimitStore, good: { maxBuckets: 5, clock: idle('monotonic') }, takes: { maxBuckets: whole(1, Infinity), clock: never }, optional: ['maxBuckets', 'clock'], near: fc.integer() },
  redisRateLimitStore: { make: redisRateLimitStore, good: { client: idle('evalsha', 'eval', 'del'), prefix: 'x:' }, takes: { client: never, prefix: isText }, optional: ['prefix'], near: words },
  redisChannel: {
    make: redisChannel, good: { client: idle('publish', 'duplicate'), name: 'x', heartbeat: 50 }, takes: { client: never, name: like(/[^]/), heartbeat: whole(10, 3_600_000) }, optional: ['name', 'heartbeat'], near: fc.integer({ min: 0, max: 4_000_000 })
  },
  postgresChannel: {
    make: postgresChannel, good: { pool: idle('connect', 'query'), name: 'x', heartbeat: 50 }, takes: { pool: never, name: like(/^[a-z_][a-z0-9_]{0,62}$/), heartbeat: whole(10, 3_600_000) }, optional: ['name', 'heartbeat'], near: fc.oneof(words, fc.integer())
  },
  betterAuthSession: { make: (options) => betterAuthSession({ api: idle('getSession') }, options), good: { account: () => null }, takes: { account: isFunction }, optional: ['account'], near: fc.func(fc.anything()) },
  'jwtSession with a secret': {
    make: jwtSession, good: { ...jwt, secret: SECRET }, takes: { ...claims, secret: like(/^[^]{32}/), algorithms: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'HS256' }, optional: ['account', 'cookie'], near: fc.oneof(words, fc.array(words, { maxLength: 2 }))
  },
  'jwtSession with keys': {
    make: jwtSession, good: { ...jwt, jwks: 'https://login.example/jwks', algorithms: ['RS256'] }, takes: { ...claims, jwks: (value) => typeof value === 'function' || value instanceof URL || (typeof value === 'string' && URL.canParse(value)), algorithms: never }, optional: ['account', 'cookie'], near: words
  }
}

/** The option that was refused, null if all were taken. */
function refusedBy (name: string, { make }: Part, options: unknown): string | null {
  try {
    make(options as never)
    return null
  } catch (error) {
    if (!isSelfServeKeysError(error, 'INVALID_OPTION')) throw error
    const { option } = error.details
    if (!error.message.startsWith(`${name.split(' ')[0]!}: "${option}" `)) throw new Error(`it says: ${error.message}`, { cause: error })
    return option
  }
}

function takes (is: Is, value: unknown): boolean {
  try {
    return is(value)
  } catch {
    return false
  }
}

for (const [name, part] of Object.entries(PARTS)) {
  t.test(`${name} takes what is good of each option, and refuses any other value by the option's name`, async (t) => {
    t.equal(refusedBy(name, part, part.good), null)
    for (const option of Object.keys(part.takes)) {
      let refused = 0
      await withAnything((value) => {
        // The same object may be right in many ways: those are in `good`.
        const right = value === part.good[option] || (value === undefined ? part.optional.includes(option) : takes(part.takes[option]!, value))
        const fault = refusedBy(name, part, { ...part.good, [option]: value })
        if (fault !== (right ? null : option)) {
          // Without its secret a session has neither; beside a database there is no file.
          if (right || value !== undefined || !['secret', 'jwks'].includes(option)) throw new Error(`${option} = ${shown(value)}: ${String(fault)}`)
        }
        if (fault !== null) refused++
      }, part.near, 30)
      t.ok(refused > 30, `${option}: ${refused} values were refused`)
    }
  })

  t.test(`${name} refuses what is no object of options, and every member that is no option`, async (t) => {
    await withAnything((value) => {
      if (value !== undefined && refusedBy(name, part, value) === null && Object.keys(value as object).length > 0) throw new Error(`${shown(value)} was taken`)
      const fault = refusedBy(name, part, { ...part.good, nothing: value })
      if (fault !== 'nothing') throw new Error(`nothing = ${shown(value)}: ${String(fault)}`)
    })
  })
}

t.test('betterAuthSession takes nothing but what has api.getSession() for a Better Auth', async () => {
  await withAnything((auth) => {
    const fault = refusedBy('betterAuthSession', { make: () => betterAuthSession(auth as never) } as unknown as Part, {})
    if (fault !== 'auth') throw new Error(`${shown(auth)}: ${String(fault)}`)
  })
})

t.test('memoryStorage takes no options, and whatever it is given it is the same', async (t) => {
  await withAnything((value) => {
    t.same(Object.keys((memoryStorage as (value: unknown) => object)(value)), Object.keys(memoryStorage()))
  }, fc.anything(), 5)
})

t.test('making a part asks nothing of what it was given', async (t) => {
  t.same(called, [])
})
