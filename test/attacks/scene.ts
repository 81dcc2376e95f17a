// Where the leak hunt takes place: a host in a folder of its own, with secrets that are looked for, and all it tells.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { randomBase62 } from '../../lib/crypto.js'
import { errorTable } from '../../lib/index.js'
import { startProgram, type DatabaseAddress, type HostProcess } from '../helpers/host-process.js'
import { Hunt } from '../helpers/hunt.js'
import { Asking, drawAnswers, drawFailures } from './every-answer.js'

/** What is found wherever one looks: the label of a key, which no place may hide from the hunt. */
export const CONTROL = 'control as it is'

/** A Redis with users. */
interface RedisAddress { readonly port: number, readonly username: string, readonly password: string }

export interface Scene {
  readonly t: Test
  readonly hunt: Hunt
  /** What is put everywhere, so that a search that does not find it is seen to be blind. */
  readonly control: string
  /** Where the host runs, and keeps what it does not know to put elsewhere. */
  readonly folder: string
  start (database: DatabaseAddress, redis?: RedisAddress): Promise<Asking>
}

/** A folder for a host, in which it runs, and secrets for it. */
export function scene (t: Test): Scene {
  const hunt = new Hunt()
  const folder = t.testdir({ run: { temporary: {} } })
  const made = (name: string): string => {
    const secret = randomBase62(40)
    hunt.add(name, secret)
    return secret
  }
  const control = made('control')
  const jwtSecret = made('JWT secret')
  const settings = { loginFolder: join(folder, 'login'), jwtSecret, peppers: { current: 'p2', keys: { p1: made('old pepper'), p2: made('pepper') } } }
  return {
    t,
    hunt,
    control,
    folder: join(folder, 'run'),
    async start (database, redis) {
      if ('password' in database) hunt.add('password of the database', database.password!)
      if (redis !== undefined) hunt.add('password of Redis', redis.password)
      const host = await startProgram(t, 'talkative-host.mjs', { database, redis, ...settings }, {
        cwd: join(folder, 'run'),
        env: { TMPDIR: join(folder, 'run', 'temporary') },
        node: ['--report-uncaught-exception', `--report-directory=${join(folder, 'run')}`]
      })
      return new Asking(host, hunt, jwtSecret)
    }
  }
}

/** Every byte in the files of a folder and the folders in it. */
export function bytesIn (folder: string, wanted = (_path: string): boolean => true): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Buffer.concat(files.map(({ parentPath, name }) => join(parentPath, name)).filter(wanted).map((path) => readFileSync(path)))
}

/** What the host wrote. An idempotency key opens nothing: a log that prints headers may show it. */
export function logOf ({ output }: HostProcess, hunt: Hunt): string[] {
  return hunt.found(output.join('\n')).filter((name) => !name.startsWith('Idempotency-Key'))
}

/** Does so while the database is away. */
export type Outage = (run: () => Promise<void>) => Promise<void>

/** Draws every answer, and searches what comes of it but the database. */
export async function searchHost ({ t, hunt, control, start }: Scene, database: DatabaseAddress, outage: Outage, redis?: RedisAddress): Promise<Asking> {
  const asking = await start(database, redis)
  // What a server is told does not depend on the header that a key comes in.
  const drawn = await drawAnswers(asking, { control, everyHeader: database.type === 'sqlite' })
  await outage(async () => { await drawFailures(asking, drawn) })
  const startup = ['INVALID_OPTION', 'INVALID_ROUTE_CONFIG', 'PLUGIN_MISSING', 'SCHEMA_OUTDATED', 'UNPROTECTED_ROUTE']
  t.same(errorTable.map(({ code }) => code).filter((code) => !asking.codes.has(code)), startup, 'every refusal that a request may meet was met')
  t.same([...asking.statuses].sort(), [200, 201, 400, 401, 403, 404, 409, 413, 415, 422, 429, 431, 500, 503])
  t.same(new Set(asking.answers.flatMap((answer) => hunt.found(answer))), new Set([CONTROL]), 'answers, but for the one of each key')
  await asking.own('leak', { text: control })
  while (!asking.host.output.some((line) => line.includes('on purpose'))) await sleep(5)
  t.same(logOf(asking.host, hunt), [CONTROL], 'the log at trace, with headers')
  t.same(hunt.found((await asking.own('witnessed')).text), [CONTROL], 'errors, events, batches of usage, figures, and what hangs on requests and the app')
  return asking
}
