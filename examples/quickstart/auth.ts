// The login this host already has: Better Auth with email and password, in a SQLite file of its own.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { betterAuth, type Auth, type BetterAuthOptions } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { fromNodeHeaders } from 'better-auth/node'
import { bearer } from 'better-auth/plugins/bearer'
import Database from 'better-sqlite3'
import type { FastifyPluginAsync } from 'fastify'

/** Better Auth on `auth.db` in a folder, with the secret that signs its cookies kept beside it. */
export async function openAuth (dataDir: string): Promise<{ auth: Auth, close: () => void }> {
  const database = new Database(join(dataDir, 'auth.db'))
  const options: BetterAuthOptions = {
    database,
    secret: keptSecret(join(dataDir, 'secret')),
    emailAndPassword: { enabled: true },
    // Makes `Authorization: Bearer <session token>` a session, which changes on the account routes need.
    plugins: [bearer()],
    // A host that is deployed sets baseURL here. This one may listen on any port, and authRoutes names the origin.
    // In a browser the same server goes by two names, and a sign-in from a page of either is this host's own.
    trustedOrigins: (request) => request === undefined ? [] : ['127.0.0.1', 'localhost'].map((name) => `http://${name}:${new URL(request.url).port}`),
    logger: { level: 'error' }
  }
  await (await getMigrations(options)).runMigrations()
  return { auth: betterAuth(options), close: () => { database.close() } }
}

/** Better Auth's own routes, with the body as it came: in a scope of their own, so that no other route's parsers change. */
export function authRoutes (auth: Auth): FastifyPluginAsync {
  return async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
    scope.route({
      method: ['GET', 'POST'],
      url: '/*',
      schema: { hide: true } as object,
      handler: async (request, reply) => {
        // The origin is ours, never the Host header: Better Auth trusts the origin of the URL it is given.
        const answer = await auth.handler(new Request(new URL(request.url, scope.listeningOrigin), {
          method: request.method,
          headers: fromNodeHeaders(request.headers),
          ...(request.method === 'POST' && { body: request.body as Buffer<ArrayBuffer> })
        }))
        reply.code(answer.status)
        for (const [name, value] of answer.headers) reply.header(name, value) // set-cookie comes once for each cookie
        return await reply.send(Buffer.from(await answer.arrayBuffer()))
      }
    })
  }
}

/** The secret in a file, made at the first start: with a new one every session cookie would be void after a restart. */
function keptSecret (file: string): string {
  try {
    writeFileSync(file, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8')
}
