// The storage contract on the audit log: one entry a change, ids, lists and their search, pruning.
import assert from 'node:assert/strict'
import type { Wording } from '../../audit/audit-entry.js'
import { DAY } from '../../time.js'
import type { AuditQuery, Storage } from '../storage.js'
import {
  ACCOUNT, adding, context, CUSTOMER, HOST, hostContext, importing, issuing, newEntry, NOW, OTHER_ACCOUNT, removing, renewing, revoking, revokingAll,
  rotating, STRANGE_TEXTS, updating, WORDING
} from './samples.js'
import { auditOf, besideOthers, changed, issue, stateOf, verdict, withoutTrace, type ContractCases } from './steps.js'

const list = async (storage: Storage, query: Partial<AuditQuery>): ReturnType<Storage['listAudit']> =>
  await storage.listAudit({ accountId: ACCOUNT, limit: 100, offset: 0, ...query })
const idsOf = async (storage: Storage, accountId = ACCOUNT): Promise<number[]> => (await auditOf(storage, accountId)).map(({ id }) => id)
const record = async (storage: Storage, details: readonly string[], accountId = ACCOUNT): Promise<void> => {
  for (const detail of details) await storage.recordAudit(accountId, newEntry({ detail }))
}

export const auditCases: ContractCases = {
  'each change is answered with its entry, who made it and how, and the log holds it': besideOthers(async (storage) => {
    const now = NOW + 5
    const { key } = changed(await storage.issueKey(issuing({ label: 'CI' })))
    const rotation = rotating(key, { now })
    const successor = rotation.secret.publicId
    const one = { accountId: ACCOUNT, publicId: successor }
    const site = adding('https://a.example', { now })
    const imported = importing({ label: 'Old' }, hostContext({ now }))
    const made: Array<[{ readonly outcome: string } | null, string, string, string]> = [
      [await storage.rotateKey(rotation), 'api_key.rotated', key.publicId, `Rotated API key "CI", its successor is ${successor}`],
      [await storage.renewKey(renewing(one, { now, expiresAt: NOW + DAY })), 'api_key.renewed', successor, 'Renewed API key "CI"'],
      [await storage.updateKey(updating(one, { label: 'New', scopes: ['a'] }, { now })), 'api_key.updated', successor, 'Updated API key "New": label, scopes'],
      [await storage.updateKey(updating(one, {}, { now, enabled: false })), 'api_key.disabled', successor, 'Disabled API key "New"'],
      [await storage.updateKey(updating(one, {}, { now, enabled: true })), 'api_key.enabled', successor, 'Enabled API key "New"'],
      [await storage.revokeKey(revoking(one, { now })), 'api_key.revoked', successor, 'Revoked API key "New"'],
      [await storage.importKey(imported), 'api_key.imported', imported.key.publicId, 'Imported API key "Old"'],
      [await storage.addSite(site), 'site.added', site.site.siteId, 'Added site https://a.example'],
      [await storage.removeSite({ ...removing(site.site), now }), 'site.removed', site.site.siteId, 'Removed site https://a.example']
    ]
    const [first, ...entries] = (await auditOf(storage)).toReversed()
    assert.deepEqual(first, {
      id: 1, time: NOW, action: 'api_key.issued', targetType: 'api_key', targetId: key.publicId, detail: 'Issued API key "CI"', ...CUSTOMER
    })
    for (const [index, [outcome, change, targetId, detail]] of made.entries()) {
      const entry = {
        ...(change === 'api_key.imported' ? HOST : CUSTOMER), id: index + 2, time: now, action: change, targetType: change.split('.')[0], targetId, detail
      }
      assert.deepEqual(changed(outcome as Awaited<ReturnType<Storage['issueKey']>>).entries, [{ change, entry }])
      assert.deepEqual(entries[index], entry)
    }
  }),

  'an entry is named and worded as the host says, and keeps what it was made of byte for byte': async (storage) => {
    const wording: Wording = { ...WORDING, 'api_key.issued': { action: 'api_key.created', detail: '{name} ({id}){successor}{fields} {other}' } }
    for (const text of ['{id}', '$& $1', ...STRANGE_TEXTS]) {
      const by = { credential: 'cookie', actorId: text, actorName: text, ip: text, requestId: text } as const
      const { key, entries } = changed(await storage.issueKey(issuing({ label: text }, { audit: { by, wording } })))
      assert.equal(entries[0]!.change, 'api_key.issued')
      const { id: _id, ...entry } = entries[0]!.entry
      assert.deepEqual(entry, {
        ...by, time: NOW, action: 'api_key.created', targetType: 'api_key', targetId: key.publicId, detail: `${text} (${key.publicId}) {other}`
      })
      assert.deepEqual((await auditOf(storage))[0], entries[0]!.entry)
    }
  },

  'an entry of the host\'s own comes back as it went in, byte for byte': besideOthers(async (storage) => {
    const recorded = []
    for (const text of STRANGE_TEXTS) {
      const entries = [newEntry({ detail: text }), newEntry({
        ...HOST, time: NOW - DAY, action: text, targetType: text, targetId: text, detail: '', actorId: text, actorName: text, ip: text, requestId: text
      })]
      for (const entry of entries) {
        const stored = await storage.recordAudit(ACCOUNT, entry)
        recorded.unshift(stored)
        assert.deepEqual(stored, { ...entry, id: recorded.length })
      }
    }
    assert.deepEqual(await auditOf(storage), recorded)
    assert.deepEqual(await storage.countKeys(ACCOUNT, NOW), { total: 0, active: 0 })
  }),

  'a change that fails leaves no entry and no gap': async (storage) => {
    const { hash } = await issue(storage)
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    await withoutTrace(storage, async () => {
      await assert.rejects(storage.issueKey(issuing({ hash, isDefault: true })))
      await assert.rejects(storage.addSite({ ...adding(''), site: { ...site, origin: 'https://b.example' } }))
      assert.equal(verdict(await storage.issueKey(issuing({}, { maxKeys: 0 }))), 'limit')
      assert.equal(verdict(await storage.addSite(adding('https://c.example', { maxSites: 0 }))), 'limit')
    })
    assert.equal((await storage.recordAudit(ACCOUNT, newEntry())).id, 3)
  },

  'ids ascend from 1 in each account without a gap, whatever happens at once': async (storage) => {
    await Promise.all(Array.from({ length: 30 }, async (_, index) => {
      const accountId = index % 3 === 0 ? OTHER_ACCOUNT : ACCOUNT
      if (index % 4 === 0) await storage.recordAudit(accountId, newEntry({ time: NOW - index }))
      else if (index % 4 === 1) changed(await storage.addSite(adding(`https://${index}.example`, { accountId })))
      else await issue(storage, { accountId, isDefault: index % 2 === 0 })
    }))
    const { entries } = changed(await storage.revokeKeys(revokingAll()))
    const ids = await idsOf(storage)
    assert.deepEqual(ids, Array.from({ length: 20 + entries.length }, (_, index) => 20 + entries.length - index))
    assert.deepEqual(entries.map(({ entry }) => entry.id), ids.slice(0, entries.length).reverse())
    assert.deepEqual(await idsOf(storage, OTHER_ACCOUNT), Array.from({ length: 10 }, (_, index) => 10 - index))
  },

  'a page holds the newest first, no more than asked, with the number of all': besideOthers(async (storage) => {
    assert.deepEqual(await list(storage, {}), { entries: [], total: 0 })
    await record(storage, Array.from({ length: 10 }, (_, index) => `number ${index}`))
    await storage.recordAudit(ACCOUNT, newEntry({ action: 'logout' }))
    const all = await auditOf(storage)
    for (const [limit, offset] of [[1, 0], [4, 0], [4, 4], [4, 8], [4, 11], [4, 99], [11, 0], [0, 0]] as const) {
      assert.deepEqual(await list(storage, { limit, offset }), { entries: all.slice(offset, offset + limit), total: 11 })
      assert.deepEqual(await list(storage, { limit, offset, action: 'login', search: 'NUMBER' }), { entries: all.slice(1).slice(offset, offset + limit), total: 10 })
    }
    assert.deepEqual(await list(storage, { accountId: 'USER_A' }), { entries: [], total: 0 })
  }),

  'an action is filtered by exactly': async (storage) => {
    for (const action of ['login', 'Login', 'login.failed', 'log%', 'login ']) await storage.recordAudit(ACCOUNT, newEntry({ action }))
    for (const [action, total] of [['login', 1], ['Login', 1], ['log%', 1], ['login ', 1], ['log', 0], ['log_n', 0], ['', 0]] as const) {
      const found = await list(storage, { action })
      assert.deepEqual([found.total, found.entries.every((entry) => entry.action === action)], [total, true], action)
    }
  },

  'a search is literal, over action, target and detail, and minds the case of no ASCII letter': async (storage) => {
    await storage.recordAudit(ACCOUNT, newEntry({ action: 'xAcTiOn' }))
    await storage.recordAudit(ACCOUNT, newEntry({ targetType: 'xTyPe' }))
    await storage.recordAudit(ACCOUNT, newEntry({ targetId: 'xId-Ä' }))
    const details = ['100%', '100', 'a_b', 'aXb', 'it\'s', 'its', 'back\\slash', 'backslash', 'Äöü', 'äöü', '[a-z]', '', 'İı']
    await record(storage, details)
    // Who made it is not searched.
    await storage.recordAudit(ACCOUNT, newEntry({ actorName: 'Grace Example', actorId: 'grace', ip: '198.51.100.1', requestId: 'req-grace', detail: 'other' }))
    const cases: Array<[string, string[]]> = [
      ['%', ['100%']], ['0%', ['100%']], ['_', ['a_b']], ['A_B', ['a_b']], ['\'', ['it\'s']], ['\\', ['back\\slash']], ['K\\S', ['back\\slash']], ['BACKS', ['backslash']],
      ['Ä', ['Äöü', 'xId-Ä']], ['ä', ['äöü']], ['öü', ['äöü', 'Äöü']], ['[a', ['[a-z]']], ['*', []], ['i', []], ['GRACE', []], ['198.51', []], ['xaCt', ['xAcTiOn']], ['Xtype', ['xTyPe']],
      ['XID', ['xId-Ä']], ['100%%', []], ['null', []], ['\u0000', []]
    ]
    for (const [search, expected] of cases) {
      const { entries, total } = await list(storage, { search, ...search === 'i' && { action: 'none' } })
      const found = entries.map(({ detail, action, targetType, targetId }) => detail !== 'Signed in' ? detail : [action, targetType, targetId].find((text) => text?.startsWith('x')))
      assert.deepEqual([found, total], [expected, expected.length], search)
    }
    assert.equal((await list(storage, { search: '' })).total, details.length + 4)
  },

  'pruning removes entries from before the given time, no more than it is told, and their ids are never given again': async (storage) => {
    const before = NOW - DAY
    for (const accountId of [ACCOUNT, OTHER_ACCOUNT]) {
      for (const time of [before - 1, before, before - 2 * DAY, NOW]) await storage.recordAudit(accountId, newEntry({ time }))
    }
    assert.equal(await storage.pruneAudit(before, 0), 0)
    assert.deepEqual([await storage.pruneAudit(before, 3), await storage.pruneAudit(before, 3), await storage.pruneAudit(before, 3)], [3, 1, 0])
    for (const accountId of [ACCOUNT, OTHER_ACCOUNT]) assert.deepEqual(await idsOf(storage, accountId), [4, 2])
    assert.equal(await storage.pruneAudit(NOW + 1, 99), 4)
    assert.deepEqual(await idsOf(storage), [])
    assert.equal(changed(await storage.issueKey(issuing())).entries[0]!.entry.id, 5)
    const { publicId } = await issue(storage)
    changed(await storage.revokeKey({ ...context({ now: NOW - 9 * DAY }), ...revoking({ accountId: ACCOUNT, publicId }, { now: NOW - 9 * DAY }) }))
    // Order is that of the ids, whatever the clock says.
    assert.deepEqual(await idsOf(storage), [7, 6, 5])
  },

  'pruning keys leaves the log, and pruning the log leaves the keys': async (storage) => {
    const key = await issue(storage, { expiresAt: NOW - DAY })
    changed(await storage.addSite(adding('https://a.example')))
    const entries = await auditOf(storage)
    assert.equal(await storage.pruneKeys(NOW, 9), 1)
    assert.deepEqual(await auditOf(storage), entries)
    const other = await issue(storage)
    const [keys, counts, sites] = await stateOf(storage) as unknown[]
    assert.equal(await storage.pruneAudit(NOW + 1, 99), 3)
    assert.deepEqual(await stateOf(storage), [keys, counts, sites, []])
    assert.deepEqual([await storage.findKey(key.publicId), await storage.findKey(other.publicId)], [null, other])
  }
}
