// A SQLite file with accounts that have a key each, made once for a run and copied for each server.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
// Keys by the hundred thousand are not issued one by one: their text and digest are made by the library's own code.
import { generateKey } from '../../dist/lib/keys/key-format.js'
import { keyHasher } from '../../dist/lib/keys/key-hash.js'
import { options } from './servers.mjs'

/** What wrk sends in turn: `values` in this header. */
export function credentialsOf (folder, name, values, header = 'x-api-key') {
  const file = join(folder, `${name}.txt`)
  writeFileSync(file, values.join('\n'))
  return { header, file }
}

/** @returns the file, and the credentials: keys in plain text, in an order that has nothing to do with that of the rows */
export async function seedKeys (folder, count) {
  const file = join(folder, `keys-${count}.db`)
  await seedOne(file)
  const hasher = keyHasher(options.keys.peppers)
  const plaintexts = Array.from({ length: count }, () => generateKey('sk_live_'))
  // By digest, so that the unique index grows at its end.
  const keys = plaintexts.map((plaintext) => ({ plaintext, hash: hasher.current(plaintext).hash })).sort((a, b) => a.hash < b.hash ? -1 : 1)
  insertLike(file, keys)
  return { file, credentials: credentialsOf(folder, `keys-${count}`, plaintexts) }
}

/** An account with a key as the library itself makes them: what the other rows are like. */
async function seedOne (file) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, storage: kyselyStorage({ file }), usage: false })
  await app.selfServeKeys.keys.issue({ accountId: 'account_0', credential: 'host' }, { label: 'bench' })
  // Closing also brings everything into the one file.
  await app.close()
}

function insertLike (file, keys) {
  const database = new Database(file)
  database.pragma('synchronous = off')
  database.pragma('cache_size = -262144')
  const addAccount = likeTheFirst(database, 'self_serve_accounts', ['number', 'id'])
  const addKey = likeTheFirst(database, 'self_serve_api_keys', ['number', 'account_number', 'public_id', 'key_hash', 'first8', 'last4'])
  const addVersion = likeTheFirst(database, 'self_serve_api_key_versions', ['key_number'])
  database.transaction(() => {
    keys.forEach(({ plaintext, hash }, i) => {
      const number = i + 2
      addAccount(number, `account_${number}`)
      addKey(number, number, `key_${String(number).padStart(26, '0')}`, hash, plaintext.slice(8, 16), plaintext.slice(-4))
      addVersion(number)
    })
  })()
  database.pragma('wal_checkpoint(truncate)')
  database.close()
}

/** @returns inserts a row that is like the table's first but for these columns */
function likeTheFirst (database, table, own) {
  const first = database.prepare(`select * from ${table}`).get()
  const others = Object.keys(first).filter((column) => !own.includes(column))
  const same = others.map((column) => first[column])
  const columns = [...own, ...others]
  const insert = database.prepare(`insert into ${table} (${columns}) values (${columns.map(() => '?')})`)
  return (...values) => { insert.run(...values, ...same) }
}

/** Storage on a copy of the file that is this process's own. */
export function storageOf (file) {
  const copy = `${file}-${process.pid}`
  copyFileSync(file, copy)
  return kyselyStorage({ file: copy })
}
