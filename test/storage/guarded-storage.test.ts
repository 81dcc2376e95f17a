// A guarded storage answers as the one behind it does, and turns its every failure into STORAGE_UNAVAILABLE.
import t from 'tap'
import { RETRY_AFTER } from '../../lib/errors.js'
import { guardedStorage } from '../../lib/storage/guarded-storage.js'
import type { Storage } from '../../lib/storage/storage.js'
import { memoryStorage } from '../../lib/storage/memory-storage.js'
import { storageContract } from '../../lib/storage/storage-contract.js'
import {
  ACCOUNT, adding, importing, issuing, newEntry, NOW, removing, renewing, revoking, revokingAll, rotating, updating
} from '../helpers/keys.js'

const unavailable = { code: 'STORAGE_UNAVAILABLE', statusCode: 503, details: { part: 'storage', retryAfter: RETRY_AFTER } }

const one = { accountId: ACCOUNT, publicId: 'key_1' }

/** Calls every method but open() and those that not every storage has. */
const calls: Record<Exclude<keyof Storage, 'open' | 'server' | 'keysVersion'>, (storage: Storage) => unknown> = {
  close: (storage) => storage.close(),
  findKeyByHash: (storage) => storage.findKeyByHash([{ hash: 'f00d', pepperId: null }]),
  findKey: (storage) => storage.findKey('key_1'),
  getKey: (storage) => storage.getKey(ACCOUNT, 'key_1'),
  listKeys: (storage) => storage.listKeys({ accountId: ACCOUNT, now: NOW, limit: 1 }),
  countKeys: (storage) => storage.countKeys(ACCOUNT, NOW),
  issueKey: (storage) => storage.issueKey(issuing()),
  rotateKey: (storage) => storage.rotateKey(rotating(one)),
  renewKey: (storage) => storage.renewKey(renewing(one)),
  updateKey: (storage) => storage.updateKey(updating(one, {})),
  revokeKey: (storage) => storage.revokeKey(revoking(one)),
  revokeKeys: (storage) => storage.revokeKeys(revokingAll()),
  importKey: (storage) => storage.importKey(importing()),
  rehashKeys: (storage) => storage.rehashKeys([]),
  pruneKeys: (storage) => storage.pruneKeys(NOW, 1),
  pruneRequests: (storage) => storage.pruneRequests(NOW, 1),
  addSite: (storage) => storage.addSite(adding('https://a.example')),
  removeSite: (storage) => storage.removeSite(removing({ accountId: ACCOUNT, siteId: 'site_1' })),
  listSites: (storage) => storage.listSites(ACCOUNT, 1),
  recordAudit: (storage) => storage.recordAudit(ACCOUNT, newEntry()),
  listAudit: (storage) => storage.listAudit({ accountId: ACCOUNT, limit: 1, offset: 0 }),
  pruneAudit: (storage) => storage.pruneAudit(NOW, 1),
  eraseAccount: (storage) => storage.eraseAccount(ACCOUNT, 1),
  recordUsage: (storage) => storage.recordUsage({ id: '1', sealedAt: NOW, events: [] }),
  readUsage: (storage) => storage.readUsage({ accountId: ACCOUNT, start: 0, end: NOW, unit: 'hour', perKeyLimit: 1, recentLimit: 1 }),
  readKeyUsage: (storage) => storage.readKeyUsage({ ...one, start: 0, end: NOW }),
  pruneUsage: (storage) => storage.pruneUsage(0, 1)
}

/** A storage whose every method is `method`. */
function storageOf (method: () => unknown): Storage {
  return Object.fromEntries(['open', ...Object.keys(calls)].map((name) => [name, method])) as unknown as Storage
}

t.test('the storage contract holds behind the guard', async (t) => {
  for (const { name, run } of storageContract(() => guardedStorage(memoryStorage(), 10_000))) await t.test(name, run)
})

t.test('an answer that is there at once is handed on at once', async (t) => {
  const key = {}
  t.equal(guardedStorage(storageOf(() => key), 1000).findKeyByHash([]), key)
  t.equal(await guardedStorage(storageOf(async () => key), 1000).findKeyByHash([]), key)
})

t.test('a failure, thrown or rejected or late, is never an answer', async (t) => {
  const broken = new Error('the disk is gone')
  const failures: Record<string, [() => unknown, RegExp]> = {
    thrown: [() => { throw broken }, /the disk is gone/],
    rejected: [async () => { throw broken }, /the disk is gone/],
    late: [async () => await new Promise(() => {}), /no answer in 20 ms/]
  }
  for (const [name, [method, cause]] of Object.entries(failures)) {
    const storage = guardedStorage(storageOf(method), 20)
    await Promise.all(Object.entries(calls).map(async ([call, work]) => {
      await t.rejects(async () => await work(storage), { ...unavailable, cause: { message: cause } }, `${call} ${name}`)
    }))
  }
})

t.test('the version of the keys is a number, or the storage is not available', async (t) => {
  const versionOf = (keysVersion: () => unknown): unknown => guardedStorage({ ...memoryStorage(), keysVersion: keysVersion as () => number }, 20).keysVersion!()
  t.equal(versionOf(() => 7), 7)
  t.throws(() => versionOf(() => { throw new Error('the disk is gone') }), { ...unavailable, cause: { message: 'the disk is gone' } })
  // Two that are the same and mean nothing would hold a revoked key for good.
  for (const answer of [undefined, null, '7', Promise.resolve(7)]) t.throws(() => versionOf(() => answer), unavailable)
  t.equal(guardedStorage(memoryStorage(), 20).keysVersion, undefined, 'a storage that has none is asked for each key')
})

t.test('what goes wrong while opening is told as it is: it is for the host, at start-up', async (t) => {
  const error = new Error('The database lacks a step.')
  await t.rejects(guardedStorage(storageOf(async () => { throw error }), 20).open({ log: console, timeout: 20 }), error)
})
