// Database drivers, each statement of which may go wrong: it is not sent, its answer is lost, or the connection breaks around it.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Database as Handle } from 'better-sqlite3'
import type { Pool as MysqlPool } from 'mysql2'
import type pg from 'pg'
import { pass } from './nth-call.js'

/** A statement by its first words, which are the same each time. */
const named = (sql: string): string => sql.replace(/\s+/g, ' ').replace(/\d+/g, '#').slice(0, 60)

/** Who listened before has heard of it then. */
async function cut (stream: Socket): Promise<void> {
  if (stream.closed) return
  const closed = once(stream, 'close')
  stream.destroy()
  await closed
}

/** What Kysely's dialect uses of better-sqlite3, which answers at once: nothing can hang, and no connection breaks. */
export function breakableSqlite (handle: Handle): { close: () => void, prepare: (sql: string) => any } {
  return {
    close: () => { handle.close() },
    prepare (sql) {
      const statement = handle.prepare(sql)
      return {
        reader: statement.reader,
        all: (parameters: unknown[]) => pass(named(sql), () => statement.all(parameters)),
        run (parameters: unknown[]) {
          if (!sql.startsWith('begin')) return pass(named(sql), () => statement.run(parameters))
          // It never takes the lock and says that it did not.
          pass(named(sql), () => {})
          return statement.run(parameters)
        }
      }
    }
  }
}

/** Every connection that the pool makes from now on is breakable. */
export function breakPostgres (pool: pg.Pool): pg.Pool {
  return pool.on('connect', (client) => {
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<unknown>
    Object.assign(client, {
      query: async (text: string, values?: unknown[]) => await pass(named(text), async () => await query(text, values), async () => { await cut(stream) })
    })
  })
}

type Done = (error: unknown, result?: unknown) => void

/** Every connection that the pool makes from now on is breakable. */
export function breakMysql (pool: MysqlPool): void {
  pool.on('connection', (connection) => {
    const { stream } = connection as unknown as { stream: Socket }
    const query = connection.query.bind(connection) as unknown as (sql: string, values: unknown, done: Done) => void
    const promised = async (sql: string, values: unknown): Promise<unknown> => await new Promise((resolve, reject) => {
      query(sql, values, (error, result) => { if (error === null || error === undefined) resolve(result); else reject(error) })
    })
    Object.assign(connection, {
      query (sql: string, values: unknown, done: Done) {
        const answer = pass(named(sql), async () => await promised(sql, values), async () => { await cut(stream) })
        answer.then((result) => { done(null, result) }, done)
      }
    })
  })
}
