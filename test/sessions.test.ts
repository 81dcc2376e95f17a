// Session resolvers on the real thing: Better Auth on a database, JSON Web Tokens with keys served over HTTP.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { bearer } from 'better-auth/plugins'
import Database, { type Database as Handle } from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import { errors, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWK, type JWTPayload } from 'jose'
import t, { type Test } from 'tap'
import { isSelfServeKeysError, type Account, type SessionAsk, type SessionResolver } from '../lib/index.js'
import { betterAuthSession, type BetterAuthSession, type BetterAuthSessionOptions } from '../lib/sessions/better-auth.js'
import { jwtSession, type JwtSessionOptions } from '../lib/sessions/jwt.js'
import { isAccountId } from '../lib/keys/actor.js'
import { isAccount, isToken } from '../lib/sessions/session.js'
import { hostOf } from './helpers/app.js'

const list = async (app: FastifyInstance, headers: Record<string, string>): Promise<{ status: number, code: string | undefined }> => {
  const answer = await app.inject({ url: '/v1/me/api-keys', headers })
  return { status: answer.statusCode, code: answer.json().code }
}
const PASSES = { status: 200, code: undefined }
const NOBODY = { status: 401, code: 'SESSION_REQUIRED' }
const FAILS = { status: 503, code: 'STORAGE_UNAVAILABLE' }

t.test('an account id is well-formed text of 1 to 255 bytes, without control characters or white space at its ends', async (t) => {
  for (const good of ['a', 'user_1', 'a b', 'é', '🔑', 'x'.repeat(255), 'é'.repeat(127), '0', '__proto__', 'null']) t.equal(isAccountId(good), true, good)
  for (const bad of [
    '', ' ', ' a', 'a ', 'a\n', '\ta', '\u00a0a', 'a\u0000b', 'a\u007fb', 'a\u0085b', 'a\nb', '\ud800', 'a\udc00', 'x'.repeat(256), 'é'.repeat(128),
    null, undefined, 1, 1n, true, {}, ['a'], Object('a')
  ]) t.equal(isAccountId(bad), false, JSON.stringify(String(bad)))
})

t.test('an answer is an account only in every part', async (t) => {
  for (const good of [
    { id: 'a' }, { id: 'a', actor: undefined, profile: undefined }, { id: 'a', actor: { id: 'u' } }, { id: 'a', actor: { id: 'u', name: 'N' } },
    { id: 'a', actor: { id: 'u', name: undefined } }, { id: 'a', profile: {} }, { id: 'a', more: 1 }
  ]) t.equal(isAccount(good), true, JSON.stringify(good))
  for (const bad of [
    null, undefined, true, 'a', 1, [], [{ id: 'a' }], {}, { id: 1 }, { id: '' }, { id: 'a ' }, { id: 'a', actor: null }, { id: 'a', actor: 'u' },
    { id: 'a', actor: [] }, { id: 'a', actor: {} }, { id: 'a', actor: { id: 1 } }, { id: 'a', actor: { id: 'u', name: null } }, { id: 'a', actor: { id: 'u', name: 1 } },
    { id: 'a', profile: null }, { id: 'a', profile: 'p' }, { id: 'a', profile: [] }, { account: { id: 'a' } }, () => ({ id: 'a' })
  ]) t.equal(isAccount(bad), false, JSON.stringify(bad))
})

t.test('a token is 1 to 4096 characters of visible ASCII', async (t) => {
  for (const good of ['a', '!~', 'x'.repeat(4096), 'a.b/c+d=']) t.equal(isToken(good), true, good.slice(0, 20))
  for (const bad of ['', ' ', 'a b', 'a\n', 'a\r\nx: y', 'é', '\u007f', 'x'.repeat(4097), null, undefined, 1, {}, ['a'], Object('a')]) t.equal(isToken(bad), false, String(bad).slice(0, 20))
})

interface SignedIn { readonly userId: string, readonly token: string, readonly signed: string, readonly cookie: string }

/** Better Auth on a database in memory, with a way to sign a new user in. */
async function login (t: Test, { cookieCache = false } = {}) {
  const database = new Database(':memory:')
  t.teardown(() => { database.close() })
  const options = {
    database,
    secret: 'a secret of the tests, which is long enough',
    baseURL: 'http://127.0.0.1:3000',
    emailAndPassword: { enabled: true },
    plugins: [bearer()],
    session: { cookieCache: { enabled: cookieCache, maxAge: 300 }, updateAge: 0 },
    rateLimit: { enabled: false },
    logger: { disabled: true },
    telemetry: { enabled: false }
  }
  const auth = betterAuth(options)
  const { runMigrations } = await getMigrations(options)
  await runMigrations()
  let users = 0
  const signIn = async (): Promise<SignedIn> => {
    const { headers, response } = await auth.api.signUpEmail({
      body: { email: `user${++users}@example.com`, password: 'a long password', name: 'Ada Example' }, returnHeaders: true
    })
    return {
      userId: response.user.id,
      token: response.token!,
      signed: headers.get('set-auth-token')!,
      cookie: headers.getSetCookie().map((cookie) => cookie.split(';')[0]).join('; ')
    }
  }
  return { auth, database, signIn }
}

const sessionRows = (database: Handle): unknown[] => database.prepare('select * from session order by id').all()

t.test('betterAuthSession', async (t) => {
  t.test('takes the cookie for reads and the bearer token, raw or signed, for everything', async (t) => {
    const { auth, signIn } = await login(t)
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    const user = await signIn()
    t.same(await list(app, { cookie: user.cookie }), PASSES)
    t.same(await list(app, { cookie: `theme=dark; ${user.cookie}; x=1` }), PASSES)
    t.same(await list(app, { authorization: `Bearer ${user.token}` }), PASSES)
    t.same(await list(app, { authorization: `Bearer ${user.signed}` }), PASSES)
    t.match(user.signed, /\./, 'the signed form is another one')
    t.same(await list(app, {}), NOBODY)
    const issue = async (headers: Record<string, string>): Promise<unknown> => {
      const answer = await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers })
      return [answer.statusCode, answer.json().code ?? answer.json().apiKey.createdBy]
    }
    t.same(await issue({ cookie: user.cookie }), [403, 'BEARER_REQUIRED'])
    t.same(await issue({ authorization: `Bearer ${user.token}` }), [201, 'Ada Example'])
    t.same(await app.selfServeKeys.keys.count(user.userId), { total: 1, active: 1 })
  })

  t.test('answers with the user as account, actor and profile', async (t) => {
    const { auth, signIn } = await login(t)
    const { userId, token, cookie } = await signIn()
    const resolver = betterAuthSession(auth)
    const expected = {
      id: userId,
      actor: { id: userId, name: 'Ada Example' },
      profile: { name: 'Ada Example', email: 'user1@example.com', emailVerified: false, createdAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ }
    }
    const account = await resolver.bearer(token, ask())
    t.match(account, expected)
    t.equal(isAccount(account), true)
    t.match(await resolver.cookie!({ ...ask({ cookie }), cookies: {} }), expected)
    t.equal(await resolver.cookie!({ ...ask(), cookies: {} }), null)
  })

  t.test('refuses sessions that are signed out, expired, of a deleted user, made up or of another secret', async (t) => {
    const { auth, database, signIn } = await login(t)
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    const [out, expired, deleted, good] = [await signIn(), await signIn(), await signIn(), await signIn()]
    const all = async (user: SignedIn): Promise<unknown[]> => [
      await list(app, { cookie: user.cookie }), await list(app, { authorization: `Bearer ${user.token}` }), await list(app, { authorization: `Bearer ${user.signed}` })
    ]
    for (const user of [out, expired, deleted, good]) t.same(await all(user), [PASSES, PASSES, PASSES])
    await auth.api.signOut({ headers: new Headers({ cookie: out.cookie }) })
    database.prepare('update session set expiresAt = ? where token = ?').run(new Date(Date.now() - 1000).toISOString(), expired.token)
    database.pragma('foreign_keys = off')
    database.prepare('delete from user where id = ?').run(deleted.userId)
    for (const user of [out, expired, deleted]) t.same(await all(user), [NOBODY, NOBODY, NOBODY])
    t.same(await all(good), [PASSES, PASSES, PASSES])
    const forged = good.signed.replace(/\.(.)/, (_match, first: string) => `.${first === 'A' ? 'B' : 'A'}`)
    for (const token of [forged, 'made-up', 'a.b', good.token.slice(1), `${good.token}x`]) t.same(await list(app, { authorization: `Bearer ${token}` }), NOBODY, token)
    t.same(await list(app, { cookie: good.cookie.replace(/=(.)/, (_match, first: string) => `=${first === 'A' ? 'B' : 'A'}`) }), NOBODY)
    t.same(await list(app, { cookie: `better-auth.session_token=${good.token}` }), NOBODY, 'an unsigned cookie')
    t.same((await all(await (await login(t)).signIn())), [NOBODY, NOBODY, NOBODY], 'the session of another instance')
  })

  t.test('a good cookie never rescues a bad bearer, in any of the forms in which Better Auth would let it', async (t) => {
    const { auth, signIn } = await login(t)
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    const { cookie } = await signIn()
    const getSession = async (authorization: string): Promise<unknown> => await auth.api.getSession({ headers: new Headers({ authorization, cookie }) })
    let rescued = 0
    for (const authorization of ['Bearer a.b', 'Bearer ', 'Bearer', 'Bearer made-up', 'bearer a.b', 'Bearer a.b c.d', 'Bearer %20', 'Bearer é']) {
      t.same(await list(app, { authorization, cookie }), NOBODY, authorization)
      if (/^[\x20-\x7e]+$/.test(authorization) && await getSession(authorization) !== null) rescued++
    }
    t.ok(rescued > 0, 'Better Auth itself rescues some: this test can fail')
    t.same(await list(app, { authorization: 'Basic YTpi', cookie }), PASSES, 'another scheme is no bearer')
  })

  t.test('with the cookie cache on, a revoked session is refused at once', async (t) => {
    const { auth, database, signIn } = await login(t, { cookieCache: true })
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    const { cookie, token } = await signIn()
    t.match(cookie, 'session_data', 'the cache is in the cookie')
    t.same(await list(app, { cookie }), PASSES)
    database.prepare('delete from session where token = ?').run(token)
    t.not(await auth.api.getSession({ headers: new Headers({ cookie }) }), null, 'Better Auth itself still takes it')
    t.same(await list(app, { cookie }), NOBODY)
  })

  t.test('writes nothing on read: the session is not extended', async (t) => {
    const { auth, database, signIn } = await login(t)
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    const { cookie, token, signed } = await signIn()
    // Half through its life, where Better Auth extends by itself.
    database.prepare('update session set expiresAt = ?, updatedAt = ?').run(new Date(Date.now() + 3 * 86_400_000).toISOString(), new Date(Date.now() - 4 * 86_400_000).toISOString())
    const before = sessionRows(database)
    for (const headers of [{ cookie }, { authorization: `Bearer ${token}` }, { authorization: `Bearer ${signed}` }]) t.same(await list(app, headers), PASSES)
    t.same(sessionRows(database), before)
    await auth.api.getSession({ headers: new Headers({ cookie }) })
    t.notSame(sessionRows(database), before, 'Better Auth itself would have written: this test can fail')
  })

  t.test('may be mapped to another account, with what the request asks, or to nobody', async (t) => {
    const { auth, signIn } = await login(t)
    const asked: Array<[string, SessionAsk]> = []
    const account: BetterAuthSessionOptions<BetterAuthSession>['account'] = async ({ user, session }, ask) => {
      asked.push([session.userId, ask])
      return user.email === 'user1@example.com' ? { id: 'workspace_1', actor: { id: user.id, name: user.name } } : null
    }
    const { app } = await hostOf(t, { session: betterAuthSession(auth, { account }) })
    const [member, stranger] = [await signIn(), await signIn()]
    t.equal((await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: { authorization: `Bearer ${member.token}` } })).statusCode, 201)
    t.same(await app.selfServeKeys.keys.count('workspace_1'), { total: 1, active: 1 })
    t.same(await list(app, { cookie: stranger.cookie }), NOBODY)
    t.match(asked, [[member.userId, { fresh: true, method: 'POST' }], [stranger.userId, { fresh: false, method: 'GET' }]])
  })

  t.test('gives the bearer token of whoever the cookie signs in, null for nobody, and writes nothing', async (t) => {
    const { auth, database, signIn } = await login(t, { cookieCache: true })
    const resolver = betterAuthSession(auth)
    const [user, other] = [await signIn(), await signIn()]
    const before = sessionRows(database)
    const tokenOf = async (headers: Record<string, string>): Promise<unknown> => await resolver.token!({ ...ask(headers), cookies: {} })
    t.equal(await tokenOf({ cookie: user.cookie }), user.token)
    t.equal(await tokenOf({ cookie: user.cookie, authorization: `Bearer ${other.token}` }), user.token, 'the cookie alone is asked about')
    t.equal(await tokenOf({}), null)
    t.equal(await tokenOf({ cookie: `better-auth.session_token=${user.token}` }), null, 'an unsigned cookie')
    t.same(sessionRows(database), before)
    t.match(await resolver.bearer(await tokenOf({ cookie: user.cookie }) as string, ask()), { id: user.userId })

    const { app } = await hostOf(t, { session: resolver, dashboard: true })
    const given = await app.inject({ url: '/api-key/token', headers: { cookie: user.cookie } })
    const issued = await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: { authorization: `Bearer ${given.json().token}` } })
    t.equal(issued.statusCode, 201, 'the page changes things with it')
    t.same(await app.selfServeKeys.keys.count(user.userId), { total: 1, active: 1 })
    database.prepare('delete from session where token = ?').run(user.token)
    t.equal(await tokenOf({ cookie: user.cookie }), null, 'signed out, whatever the cookie cache has')
    t.equal(await tokenOf({ cookie: other.cookie }), other.token)
    t.equal(await betterAuthSession(auth, { account: () => null }).token!({ ...ask({ cookie: other.cookie }), cookies: {} }), null, 'a session that is mapped to nobody')
    database.close()
    await t.rejects(async () => { await tokenOf({ cookie: other.cookie }) })
  })

  t.test('rejects when its database fails, and so does a mapper that throws: 503, never a pass or "nobody"', async (t) => {
    const { auth, database, signIn } = await login(t)
    const { cookie, token } = await signIn()
    const throwing = await hostOf(t, { session: betterAuthSession(auth, { account () { throw new Error('no') } }) })
    t.same(await list(throwing.app, { cookie }), FAILS)
    const { app } = await hostOf(t, { session: betterAuthSession(auth) })
    database.close()
    t.same(await list(app, { cookie }), FAILS)
    t.same(await list(app, { authorization: `Bearer ${token}` }), FAILS)
    await t.rejects(async () => { await betterAuthSession(auth).bearer(token, ask()) })
  })
})

function ask (headers: Record<string, string> = {}): SessionAsk {
  const log = { debug () {}, info () {}, warn () {}, error () {} } as unknown as SessionAsk['log']
  return { headers: new Headers(headers), method: 'GET', params: {}, ip: '127.0.0.1', log, fresh: false, signal: new AbortController().signal }
}

const ISSUER = 'https://login.example.com'
const AUDIENCE = 'https://api.example.com'
const SECRET = 'a shared secret of the tests, 32+'
const bytes = (secret: string): Uint8Array => new TextEncoder().encode(secret)

interface TokenParts { alg?: string, kid?: string, claims?: JWTPayload, issuer?: string, audience?: string | string[], expires?: string | number | null, notBefore?: string }
type SigningKey = Parameters<SignJWT['sign']>[0]

async function tokenOf (key: SigningKey, { alg = 'HS256', kid, claims = { sub: 'u1', name: 'Ada Example' }, issuer = ISSUER, audience = AUDIENCE, expires = '5m', notBefore }: TokenParts = {}): Promise<string> {
  const token = new SignJWT(claims).setProtectedHeader({ alg, ...(kid !== undefined && { kid }) }).setIssuer(issuer).setAudience(audience).setIssuedAt()
  if (expires !== null) token.setExpirationTime(expires)
  if (notBefore !== undefined) token.setNotBefore(notBefore)
  return await token.sign(key)
}

/** A server of a JSON Web Key Set: what it serves can be changed. */
async function keyServer (t: Test, keys: JWK[]) {
  const state = { keys, status: 200, requests: 0 }
  const server = createServer((_request, response) => {
    state.requests++
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: state.keys }))
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }
  t.teardown(close)
  return { state, close, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` }
}

t.test('jwtSession', async (t) => {
  const shared = { secret: SECRET, issuer: ISSUER, audience: AUDIENCE, algorithms: ['HS256'] }

  t.test('takes a good token of a shared secret and names its subject', async (t) => {
    const { app } = await hostOf(t, { session: jwtSession(shared) })
    t.same(await list(app, { authorization: `Bearer ${await tokenOf(bytes(SECRET))}` }), PASSES)
    t.same(await list(app, { authorization: `Bearer ${await tokenOf(bytes(SECRET), { audience: ['other', AUDIENCE] })}` }), PASSES)
    const resolver = jwtSession(shared)
    t.same(await resolver.bearer(await tokenOf(bytes(SECRET)), ask()), { id: 'u1', actor: { id: 'u1', name: 'Ada Example' } })
    t.same(await resolver.bearer(await tokenOf(bytes(SECRET), { claims: { sub: 'u1', name: 5 } }), ask()), { id: 'u1', actor: { id: 'u1', name: undefined } })
    t.equal(await resolver.bearer(await tokenOf(bytes(SECRET), { claims: {} }), ask()), null, 'without a subject it is nobody')
  })

  t.test('refuses every bad token', async (t) => {
    const { app } = await hostOf(t, { session: jwtSession(shared) })
    const good = await tokenOf(bytes(SECRET))
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'u1', exp: Math.floor(Date.now() / 1000) + 300 }
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { privateKey } = await generateKeyPair('RS256')
    const bad: Record<string, string> = {
      'another secret': await tokenOf(bytes('another secret of the tests, 32+ chars')),
      'another algorithm of the same secret': await tokenOf(bytes(`${SECRET}${SECRET}`), { alg: 'HS512' }),
      'an algorithm of key pairs': await tokenOf(privateKey, { alg: 'RS256' }),
      'alg none': new UnsecuredJWT(claims).encode(),
      'alg none, in capitals': `${part({ alg: 'NONE' })}.${part(claims)}.`,
      'alg none with a signature': `${part({ alg: 'none' })}.${part(claims)}.${signature}`,
      'no exp': await tokenOf(bytes(SECRET), { expires: null }),
      expired: await tokenOf(bytes(SECRET), { expires: '-1s' }),
      'not valid yet': await tokenOf(bytes(SECRET), { notBefore: '5m' }),
      'another issuer': await tokenOf(bytes(SECRET), { issuer: 'https://evil.example' }),
      'another audience': await tokenOf(bytes(SECRET), { audience: 'https://other.example' }),
      'another payload': `${header}.${part({ ...claims, sub: 'admin' })}.${signature}`,
      'an unknown critical header': `${part({ alg: 'HS256', crit: ['x'], x: 1 })}.${payload}.${signature}`,
      'no signature': `${header}.${payload}.`,
      'two parts': `${header}.${payload}`,
      'five parts': `${good}.a.b`,
      'not a token': 'nonsense',
      'exp as text': await new SignJWT({ ...claims, exp: '2999' as unknown as number }).setProtectedHeader({ alg: 'HS256' }).sign(bytes(SECRET)),
      'a payload that is no object': `${header}.${part([])}.${signature}`
    }
    for (const [name, token] of Object.entries(bad)) t.same(await list(app, { authorization: `Bearer ${token}` }), NOBODY, name)
    t.same(await list(app, { cookie: `token=${good}` }), NOBODY, 'no cookie is read unless one is named')
    t.same(await list(app, { authorization: `Bearer ${good}` }), PASSES)
  })

  for (const alg of ['RS256', 'ES256']) {
    t.test(`takes ${alg} by the issuer's key set, keeps it, and refuses unknown keys and kinds`, async (t) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
      const { privateKey: stranger } = await generateKeyPair(alg)
      const jwk = { ...await exportJWK(publicKey), kid: 'k1', alg, use: 'sig' }
      const { url, state } = await keyServer(t, [jwk])
      const options: JwtSessionOptions = { jwks: url, issuer: ISSUER, audience: AUDIENCE, algorithms: [alg] }
      const { app } = await hostOf(t, { session: jwtSession(options) })
      const good = await tokenOf(privateKey, { alg, kid: 'k1' })
      for (let i = 0; i < 3; i++) t.same(await list(app, { authorization: `Bearer ${good}` }), PASSES)
      t.same(await list(app, { authorization: `Bearer ${await tokenOf(privateKey, { alg })}` }), PASSES, 'the one key that fits needs no name')
      t.equal(state.requests, 1)
      t.same(await list(app, { authorization: `Bearer ${await tokenOf(stranger, { alg, kid: 'k1' })}` }), NOBODY)
      t.same(await list(app, { authorization: `Bearer ${await tokenOf(privateKey, { alg, kid: 'k2' })}` }), NOBODY)
      t.same(await list(app, { authorization: `Bearer ${await tokenOf(bytes(JSON.stringify(jwk)), { kid: 'k1' })}` }), NOBODY, 'the public key is no secret')
      t.same(await list(app, { authorization: `Bearer ${new UnsecuredJWT({ sub: 'u1' }).setIssuer(ISSUER).setAudience(AUDIENCE).setExpirationTime('5m').encode()}` }), NOBODY)
      t.ok(state.requests <= 2, 'unknown kids do not make it fetch each time')
    })
  }

  t.test('refuses a token without kid where two keys fit', async (t) => {
    const [one, two] = [await generateKeyPair('ES256', { extractable: true }), await generateKeyPair('ES256', { extractable: true })]
    const { url } = await keyServer(t, [{ ...await exportJWK(one.publicKey), kid: 'k1' }, { ...await exportJWK(two.publicKey), kid: 'k2' }])
    const { app } = await hostOf(t, { session: jwtSession({ jwks: new URL(url), issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'] }) })
    t.same(await list(app, { authorization: `Bearer ${await tokenOf(two.privateKey, { alg: 'ES256', kid: 'k2' })}` }), PASSES)
    t.same(await list(app, { authorization: `Bearer ${await tokenOf(two.privateKey, { alg: 'ES256' })}` }), NOBODY)
  })

  t.test('rejects while the key set cannot be had, and recovers', async (t) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const server = await keyServer(t, [{ ...await exportJWK(publicKey), kid: 'k1' }])
    server.state.status = 500
    const options: JwtSessionOptions = { jwks: server.url, issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'] }
    const { app } = await hostOf(t, { session: jwtSession(options) })
    const authorization = `Bearer ${await tokenOf(privateKey, { alg: 'ES256', kid: 'k1' })}`
    t.same(await list(app, { authorization }), FAILS, 'an answer that is none')
    t.same(await list(app, { authorization: 'Bearer nonsense' }), NOBODY, 'what is no token at all needs no key')
    server.state.status = 200
    server.state.keys = 'nonsense' as unknown as JWK[]
    t.same(await list(app, { authorization }), FAILS, 'a key set that is none')
    server.state.keys = [{ ...await exportJWK(publicKey), kid: 'k1' }]
    t.same(await list(app, { authorization }), PASSES)
    await server.close()
    t.same(await list(app, { authorization }), PASSES, 'keys that are known outlive the server')
    const { app: later } = await hostOf(t, { session: jwtSession(options) })
    t.same(await list(later, { authorization }), FAILS, 'a server that is down')
  })

  t.test('takes the key set from a host that is its own issuer, anew for each token', async (t) => {
    const [one, two] = [await generateKeyPair('ES256', { extractable: true }), await generateKeyPair('ES256', { extractable: true })]
    const state: { keys: JWK[], fault: Error | null } = { keys: [{ ...await exportJWK(one.publicKey), kid: 'k1' }], fault: null }
    const jwks = async (): Promise<{ keys: JWK[] }> => {
      if (state.fault !== null) throw state.fault
      return { keys: state.keys }
    }
    const { app } = await hostOf(t, { session: jwtSession({ jwks, issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'] }) })
    const [first, second] = [await tokenOf(one.privateKey, { alg: 'ES256', kid: 'k1' }), await tokenOf(two.privateKey, { alg: 'ES256', kid: 'k2' })]
    const answers = async (): Promise<unknown[]> => [await list(app, { authorization: `Bearer ${first}` }), await list(app, { authorization: `Bearer ${second}` })]
    t.same(await answers(), [PASSES, NOBODY])
    state.keys = [{ ...await exportJWK(two.publicKey), kid: 'k2' }]
    t.same(await answers(), [NOBODY, PASSES], 'a key that was replaced, and its successor')
    t.same(await list(app, { authorization: `Bearer ${await tokenOf(bytes(JSON.stringify(state.keys[0])), { kid: 'k2' })}` }), NOBODY, 'the public key is no secret')
    t.same(await list(app, { authorization: 'Bearer nonsense' }), NOBODY)
    // A failure of the host's own is no fault of the token, not even in jose's own words.
    for (const fault of [new Error('no database'), new errors.JWTInvalid('of another token')]) {
      state.fault = fault
      t.same(await answers(), [FAILS, FAILS])
    }
    state.fault = null
    state.keys = 'nonsense' as unknown as JWK[]
    t.same(await answers(), [FAILS, FAILS], 'a key set that is none')
    t.throws(() => jwtSession({ jwks, issuer: ISSUER, audience: AUDIENCE, algorithms: ['HS256'] }), { message: /"algorithms"/ })
  })

  t.test('takes the token from a cookie where one is named, for reads only', async (t) => {
    const { app } = await hostOf(t, { session: jwtSession({ ...shared, cookie: 'sid' }) })
    const token = await tokenOf(bytes(SECRET))
    t.same(await list(app, { cookie: `sid=${token}` }), PASSES)
    t.same(await list(app, { cookie: `other=${token}` }), NOBODY)
    t.same(await list(app, { cookie: 'sid=nonsense' }), NOBODY)
    t.same(await list(app, { cookie: `sid=${token}`, authorization: 'Bearer nonsense' }), NOBODY)
    const answer = await app.inject({ method: 'POST', url: '/v1/me/api-keys', headers: { cookie: `sid=${token}` } })
    t.equal(answer.json().code, 'BEARER_REQUIRED')
    t.equal(jwtSession(shared).cookie, undefined)
  })

  t.test('gives the token of its cookie to the page if it is a good one', async (t) => {
    const resolver = jwtSession({ ...shared, cookie: 'sid' })
    const tokenIn = async (cookies: Record<string, string>): Promise<unknown> => await resolver.token!({ ...ask(), cookies })
    const good = await tokenOf(bytes(SECRET))
    t.equal(await tokenIn({ sid: good, other: 'x' }), good)
    t.equal(await tokenIn({}), null)
    t.equal(await tokenIn({ other: good }), null)
    for (const bad of ['', 'nonsense', await tokenOf(bytes(SECRET), { expires: '-1s' }), await tokenOf(bytes('another secret of the tests, 32+ chars'))]) t.equal(await tokenIn({ sid: bad }), null, bad)
    t.equal(await jwtSession({ ...shared, cookie: 'sid', account: () => null }).token!({ ...ask(), cookies: { sid: good } }), null, 'one that is mapped to nobody')
    t.equal(jwtSession(shared).token, undefined, 'no cookie, no token')
    const failing = jwtSession({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], cookie: 'sid', jwks () { throw new Error('no database') } })
    const { privateKey } = await generateKeyPair('ES256')
    const token = await tokenOf(privateKey, { alg: 'ES256', kid: 'k1' })
    await t.rejects(async () => { await failing.token!({ ...ask(), cookies: { sid: token } }) }, 'a failure is not "nobody"')
  })

  t.test('may be mapped to another account or to nobody; a mapper that fails is a failure', async (t) => {
    const asked: SessionAsk[] = []
    const account = async (claims: JWTPayload, ask: SessionAsk): Promise<Account | null> => {
      asked.push(ask)
      // What it threw itself is no fault of the token, not even in jose's own words.
      if (claims.org === 'broken') throw new errors.JWTInvalid('of another token')
      return typeof claims.org === 'string' ? { id: claims.org } : null
    }
    const resolver: SessionResolver = jwtSession({ ...shared, account })
    const { app } = await hostOf(t, { session: resolver })
    const of = async (claims: JWTPayload): Promise<unknown> => await list(app, { authorization: `Bearer ${await tokenOf(bytes(SECRET), { claims })}` })
    t.same(await of({ sub: 'u1', org: 'org_1' }), PASSES)
    t.same(await of({ sub: 'u1' }), NOBODY)
    t.same(await of({ sub: 'u1', org: ' ' }), FAILS, 'what it answers is judged')
    t.same(await of({ sub: 'u1', org: 'broken' }), FAILS)
    t.match(asked[0], { method: 'GET', fresh: false })
  })

  t.test('says at the start what its options leave open', async (t) => {
    const EITHER = 'jwtSession: "jwks" or "secret" must be given, and not both.'
    const LENGTH = 'jwtSession: "secret" must be text of at least 32 characters.'
    const ALGORITHMS = 'jwtSession: "algorithms" must name what is allowed: HS256 and the like for "secret", RS256 and the like for "jwks".'
    const jwks = { jwks: 'https://login.example.com/jwks', issuer: ISSUER, audience: AUDIENCE, algorithms: ['RS256'] }
    const table: Array<[Record<string, unknown>, string]> = [
      [{ ...shared, secret: undefined }, EITHER],
      [{ ...shared, ...jwks }, EITHER],
      [{ ...shared, secret: SECRET.slice(0, 31) }, LENGTH],
      [{ ...shared, secret: 12345 }, LENGTH],
      [{ ...shared, algorithms: [] }, ALGORITHMS],
      [{ ...shared, algorithms: undefined }, ALGORITHMS],
      [{ ...shared, algorithms: 'HS256' }, ALGORITHMS],
      [{ ...shared, algorithms: ['HS256', 'none'] }, ALGORITHMS],
      [{ ...shared, algorithms: ['HS256', 'RS256'] }, ALGORITHMS],
      [{ ...shared, algorithms: [1] }, ALGORITHMS],
      [{ ...shared, algorithms: ['HS256 '] }, ALGORITHMS],
      [{ ...jwks, algorithms: ['RS256', 'rs256'] }, ALGORITHMS],
      [{ ...jwks, algorithms: ['none'] }, ALGORITHMS],
      [{ ...jwks, algorithms: ['RS256', 'HS256'] }, ALGORITHMS],
      [{ ...shared, issuer: undefined }, 'jwtSession: "issuer" must be a string.'],
      [{ ...shared, issuer: '' }, 'jwtSession: "issuer" must be a string.'],
      [{ ...shared, audience: ['a'] }, 'jwtSession: "audience" must be a string.'],
      [{ ...shared, algorithms: new Array(1) }, ALGORITHMS],
      ...['not a url', '/jwks', 5, null, {}].map((url): [Record<string, unknown>, string] => [{ ...jwks, jwks: url }, 'jwtSession: "jwks" must be a URL or a function.']),
      ...['', 'a b', 'a=b', 'a;b', 5, null].map((cookie): [Record<string, unknown>, string] => [{ ...shared, cookie }, 'jwtSession: "cookie" must be the name of a cookie.']),
      [{ ...shared, account: 'u1' }, 'jwtSession: "account" must be a function.'],
      [{ ...shared, jwksUri: 'https://login.example.com/jwks' }, 'jwtSession: "jwksUri" is not an option.']
    ]
    for (const [options, message] of table) {
      t.throws(() => jwtSession(options as unknown as JwtSessionOptions), { message }, JSON.stringify(options))
      try { jwtSession(options as unknown as JwtSessionOptions) } catch (error) {
        t.ok(isSelfServeKeysError(error, 'INVALID_OPTION'))
        t.notMatch((error as Error).message, SECRET.slice(0, 31))
      }
    }
  })
})
