// The people this host knows, in a SQLite table of its own. The library sees nothing of them but their id.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'

export interface User {
  /** `usr_…`: the account that the library knows. */
  id: string
  name: string
  email: string
  emailVerified: boolean
  plan: 'free' | 'paid'
  /** RFC 3339, UTC, to the second. */
  createdAt: string
}

export interface Users {
  find (id: string): User | undefined
  /** Adds nobody twice. */
  findOrAdd (user: Pick<User, 'name' | 'email' | 'plan'>): User
  close (): void
}

export function openUsers (dataDir: string): Users {
  const database = new Database(join(dataDir, 'users.db'))
  database.exec(`create table if not exists users (
    id text primary key, name text not null, email text not null unique, emailVerified integer not null, plan text not null, createdAt text not null
  )`)
  const byId = database.prepare<[string], User>('select * from users where id = ?')
  const byEmail = database.prepare<[string], User>('select * from users where email = ?')
  const insert = database.prepare('insert into users values (?, ?, ?, 1, ?, ?) on conflict do nothing')
  // SQLite has no booleans.
  const read = (row: User | undefined): User | undefined => row && { ...row, emailVerified: Boolean(row.emailVerified) }
  return {
    find: (id) => read(byId.get(id)),
    findOrAdd ({ name, email, plan }) {
      insert.run(`usr_${randomBytes(8).toString('hex')}`, name, email, plan, new Date().toISOString().replace(/\.\d+/, ''))
      return read(byEmail.get(email))!
    },
    close () { database.close() }
  }
}
