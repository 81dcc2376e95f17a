// Errors: one table of codes, the details each carries, and documentation that says the same.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { errorTable, isSelfServeKeysError, type ErrorCode, type ErrorDetails } from '../lib/index.js'
import { makeError, type ErrorDetailsByCode } from '../lib/errors.js'

const root = join(import.meta.dirname, '..')

/** Details for each code that has some; the compiler asks for every one of them. */
const DETAILS: ErrorDetailsByCode = {
  INVALID_OPTION: { option: 'keys.prefix' },
  INVALID_ROUTE_CONFIG: { method: 'GET', url: '/v1/blocks' },
  INVALID_API_KEY: { reason: 'revoked' },
  INSUFFICIENT_SCOPE: { requiredScopes: ['blocks:read'] },
  RATE_LIMITED: { name: 'default', max: 120, windowSeconds: 60, retryAfter: 7 },
  INVALID_REQUEST: { field: 'label' },
  SESSION_REQUIRED: { presented: true },
  API_KEY_NOT_ACTIVE: { status: 'disabled' },
  KEY_LIMIT_REACHED: { maxKeys: 100 },
  SITE_LIMIT_REACHED: { maxSites: 100 },
  STORAGE_UNAVAILABLE: { part: 'storage', retryAfter: 1 }
}

/** What DESIGN's table of errors says of those that can be sent now. */
const SENT: Partial<Record<ErrorCode, number>> = {
  MISSING_API_KEY: 401,
  INVALID_API_KEY: 401,
  INSUFFICIENT_SCOPE: 403,
  FORBIDDEN: 403,
  ORIGIN_NOT_ALLOWED: 403,
  IP_NOT_ALLOWED: 403,
  ACCOUNT_SUSPENDED: 403,
  RATE_LIMITED: 429,
  SESSION_REQUIRED: 401,
  BEARER_REQUIRED: 403,
  API_KEY_NOT_FOUND: 404,
  API_KEY_NOT_ACTIVE: 409,
  KEY_LIMIT_REACHED: 409,
  IDEMPOTENCY_KEY_REUSED: 422,
  SITE_NOT_FOUND: 404,
  SITE_LIMIT_REACHED: 409,
  INVALID_REQUEST: 400,
  STORAGE_UNAVAILABLE: 503
}

const make = (code: ErrorCode) => makeError(code, { details: DETAILS[code as keyof ErrorDetailsByCode] ?? {} } as Parameters<typeof makeError<'INVALID_OPTION'>>[1])

t.test('every code of the table makes an error of that code, status, message and details', async (t) => {
  for (const { code, statusCode, message } of errorTable) {
    const error = make(code)
    t.ok(error instanceof Error)
    t.match(error, { code, statusCode, message, name: 'FastifyError', details: DETAILS[code as keyof ErrorDetailsByCode] ?? {} })
    t.match(error.stack, 'errors.test.ts', 'it says where it was made')
    t.match(code, /^[A-Z]+(_[A-Z]+)*$/)
    t.notMatch(code, /^FST_/, 'Fastify\'s own namespace')
    t.match(message, /^\S.*\.$/)
  }
  t.equal(new Set(errorTable.map(({ code }) => code)).size, errorTable.length)
})

t.test('what the routes send has the documented 4xx or 503; what starting throws has 500', async (t) => {
  for (const { code, statusCode } of errorTable) t.equal(statusCode, SENT[code] ?? 500, code)
})

t.test('every code of the table is made somewhere in lib/, and no other code is', async (t) => {
  const made = new Set<string>()
  for (const name of readdirSync(join(root, 'lib'), { recursive: true }).map(String).filter((name) => name.endsWith('.ts') && name !== 'errors.ts')) {
    for (const [, code] of readFileSync(join(root, 'lib', name), 'utf8').matchAll(/(?:makeError|refusalOf)\(\s*'([A-Z_]+)'/g)) made.add(code!)
  }
  t.same([...made].sort(), errorTable.map(({ code }) => code).sort())
})

t.test('a message and a cause can be given; the table is not touched', async (t) => {
  const cause = new Error('disk full')
  const error = makeError('STORAGE_UNAVAILABLE', { message: 'Later.', cause, details: { part: 'session', retryAfter: 2 } })
  t.match(error, { message: 'Later.', cause, details: { part: 'session', retryAfter: 2 }, code: 'STORAGE_UNAVAILABLE', statusCode: 503 })
  t.match(make('STORAGE_UNAVAILABLE'), { message: 'A part that this request needs is not available. Try again shortly.', details: { part: 'storage' } })
  t.equal('cause' in make('STORAGE_UNAVAILABLE'), false)
  t.not(make('FORBIDDEN').details, make('FORBIDDEN').details)
})

t.test('isSelfServeKeysError knows ours and nobody else\'s', async (t) => {
  const error: unknown = makeError('INSUFFICIENT_SCOPE', { details: { requiredScopes: ['a:b'] } })
  t.equal(isSelfServeKeysError(error), true)
  t.equal(isSelfServeKeysError(error, 'INSUFFICIENT_SCOPE'), true)
  t.equal(isSelfServeKeysError(error, 'FORBIDDEN'), false)
  const lookalike = Object.assign(new Error('no'), { code: 'FORBIDDEN', statusCode: 403, details: {} })
  for (const other of [null, undefined, 'FORBIDDEN', 403, {}, lookalike, new Error('no'), () => {}]) {
    t.equal(isSelfServeKeysError(other), false)
    t.equal(isSelfServeKeysError(other, 'FORBIDDEN'), false)
  }
  const branded = Object.create(null) as object
  Object.defineProperty(branded, Symbol.for('fastify-self-serve-keys.error'), { value: true })
  t.equal(isSelfServeKeysError(branded, 'FORBIDDEN'), false, 'without a code it is none of any code')
})

t.test('isSelfServeKeysError holds across two copies of the package, also after serializers took the brand for a member', async (t) => {
  const copy = await import(`../lib/errors.js?${'copy'}`) as typeof import('../lib/errors.js')
  const error: unknown = copy.makeError('RATE_LIMITED', { details: { name: 'default', max: 120, windowSeconds: 60, retryAfter: 3 } })
  t.not(copy.makeError, makeError)
  t.equal(isSelfServeKeysError(error, 'RATE_LIMITED'), true)
  t.equal(copy.isSelfServeKeysError(make('FORBIDDEN')), true)
  t.same(Object.keys(error as object).filter((name) => name.includes('brand')), [])
  t.equal(Object.getOwnPropertySymbols({ ...error as object }).length, 0, 'the brand is not enumerable')
})

t.test('details are typed by code', async (t) => {
  const error: unknown = make('RATE_LIMITED')
  if (!isSelfServeKeysError(error, 'RATE_LIMITED')) return t.fail('not ours')
  const retryAfter: number = error.details.retryAfter
  t.equal(retryAfter, 7)
  const none: ErrorDetails<'FORBIDDEN'> = make('FORBIDDEN').details as ErrorDetails<'FORBIDDEN'>
  t.same(none, {})
  // @ts-expect-error -- RATE_LIMITED carries no scopes
  t.equal(error.details.requiredScopes, undefined)
  // @ts-expect-error -- its details may not be left out
  const missing = () => makeError('RATE_LIMITED', {})
  // @ts-expect-error -- FORBIDDEN carries none
  const tooMuch = () => makeError('FORBIDDEN', { details: { name: 'x' } })
  // @ts-expect-error -- no such code
  const unknown = () => isSelfServeKeysError(error, 'NO_SUCH_CODE')
  t.same([missing, tooMuch, unknown].map((call) => typeof call), ['function', 'function', 'function'])
})

t.test('docs/errors.md names every code with its status, and no other code', async (t) => {
  const file = join(root, 'docs', 'errors.md')
  if (!existsSync(file)) return t.fail('docs/errors.md is missing')
  const page = readFileSync(file, 'utf8')
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \|(.*)$/gm)].map(([, code, rest]) => ({ code: code!, rest: rest! }))
  t.same(rows.map(({ code }) => code).sort(), errorTable.map(({ code }) => code).sort())
  for (const { code, statusCode } of errorTable) {
    t.match(rows.find((row) => row.code === code)?.rest, new RegExp(`\\b${statusCode}\\b`), code)
    for (const name of Object.keys(DETAILS[code as keyof ErrorDetailsByCode] ?? {})) {
      t.match(page, new RegExp(`\\b${name}\\b`), `${name}, a detail of ${code}`)
    }
  }
})
