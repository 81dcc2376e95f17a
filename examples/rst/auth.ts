// Who may sign in: Better Auth with user names and passwords, and JWTs that it signs, in a SQLite file of its own.
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { betterAuth, type BetterAuthOptions } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { jwt } from 'better-auth/plugins/jwt'
import { username } from 'better-auth/plugins/username'
import Database from 'better-sqlite3'
import type { FastifyBaseLogger } from 'fastify'

/** What a good token says, for whoever signs one and whoever verifies it. */
export const JWT = { issuer: 'rst', audience: 'rst', algorithms: ['EdDSA'] }

type Options = BetterAuthOptions & { plugins: [ReturnType<typeof username>, ReturnType<typeof jwt>] }
export type Auth = ReturnType<typeof betterAuth<Options>>

/** Better Auth on `auth.db` in a folder, with the secret that its keys are encrypted with kept beside it. */
export async function openAuth (dataDir: string, log: FastifyBaseLogger): Promise<{ auth: Auth, close: () => void }> {
  const database = new Database(join(dataDir, 'auth.db'))
  const options: Options = {
    database,
    secret: keptSecret(join(dataDir, 'secret')),
    // The routes judge lengths in characters; Better Auth counts UTF-16 units, two for some.
    emailAndPassword: { enabled: true, minPasswordLength: 8, maxPasswordLength: 256 },
    plugins: [
      username({ minUsernameLength: 3, maxUsernameLength: 50, usernameValidator: (name) => /^[A-Za-z0-9]+$/.test(name) }),
      // Its key pair is made at the first login and kept in the database.
      jwt({ jwt: { issuer: JWT.issuer, audience: JWT.audience, expirationTime: '1h' } })
    ],
    advanced: { database: { generateId: 'uuid' } },
    // Into the host's own log.
    logger: { level: 'error', log: (_level, message, ...details) => { log.error({ details }, message) } }
  }
  await (await getMigrations(options)).runMigrations()
  return { auth: betterAuth(options), close: () => { database.close() } }
}

/** The secret in a file, made at the first start: with a new one the JWTs' private key could not be read again. */
function keptSecret (file: string): string {
  try {
    writeFileSync(file, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8')
}
