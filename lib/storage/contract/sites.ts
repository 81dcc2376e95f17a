// The storage contract on sites: unique, bounded, newest first, each account's own.
import assert from 'node:assert/strict'
import { ulid } from '../../crypto.js'
import type { StoredKey } from '../../keys/api-key.js'
import { ACCOUNT, adding, NOW, OTHER_ACCOUNT, removing, STRANGE_TEXTS } from './samples.js'
import { auditOf, besideOthers, changed, issue, issueIn, verdict, withoutTrace, type ContractCases } from './steps.js'

export const siteCases: ContractCases = {
  'a site comes back as it went in, byte for byte, newest first, no more than asked': besideOthers(async (storage) => {
    assert.deepEqual(await storage.listSites(ACCOUNT, 100), [])
    const sites = []
    for (const [index, text] of ['https://a.example', 'https://*.b.example', ...STRANGE_TEXTS].entries()) {
      const input = adding(text, { now: NOW + index })
      const site = { ...input.site, createdAt: NOW - index }
      const result = changed(await storage.addSite({ ...input, site }))
      assert.deepEqual([verdict(result), result.site], ['site.added', site])
      sites.unshift(site)
    }
    for (const limit of [0, 1, 5, 100]) assert.deepEqual(await storage.listSites(ACCOUNT, limit), sites.slice(0, limit))
    assert.deepEqual(await storage.listSites('nobody', 100), [])
  }),

  'a site that the account has already is answered as it is, at the limit too': async (storage) => {
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    for (const maxSites of [1000, 1, 0]) {
      const again = await withoutTrace(storage, async () => await storage.addSite(adding('https://a.example', { maxSites })))
      assert.deepEqual(again, { outcome: 'unchanged', site })
    }
    // Bytes are compared, and another account has its own.
    assert.equal(verdict(await storage.addSite(adding('https://A.example'))), 'site.added')
    assert.equal(verdict(await storage.addSite(adding('https://a.example', { accountId: OTHER_ACCOUNT }))), 'site.added')
  },

  'exactly maxSites sites are added; one more is refused and stores nothing, until one is removed': besideOthers(async (storage) => {
    const attempt = async (origin: string): Promise<string> => verdict(await storage.addSite(adding(origin, { maxSites: 2 })))
    assert.equal(verdict(await storage.addSite(adding('https://a.example', { maxSites: 0 }))), 'limit')
    assert.deepEqual([await attempt('https://a.example'), await attempt('https://b.example')], ['site.added', 'site.added'])
    assert.equal(await withoutTrace(storage, async () => await attempt('https://c.example')), 'limit')
    const [newest] = await storage.listSites(ACCOUNT, 1)
    changed(await storage.removeSite(removing(newest!)))
    assert.deepEqual([await attempt('https://c.example'), await attempt('https://b.example')], ['site.added', 'limit'])
  }),

  'of twenty sites added at once no more than maxSites are stored, and each once': besideOthers(async (storage) => {
    const verdicts = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      verdict(await storage.addSite(adding(`https://${index}.example`, { maxSites: 7 })))))
    assert.equal(verdicts.filter((one) => one === 'site.added').length, 7)
    assert.equal(verdicts.filter((one) => one === 'limit').length, 13)
    assert.equal((await storage.listSites(ACCOUNT, 100)).length, 7)
    const same = await Promise.all(Array.from({ length: 20 }, async () => await storage.addSite(adding('https://same.example'))))
    assert.equal(same.filter(({ outcome }) => outcome === 'changed').length, 1)
    const [newest, ...rest] = await storage.listSites(ACCOUNT, 100)
    for (const result of same) assert.deepEqual('site' in result && result.site, newest)
    assert.equal(rest.length, 7)
    assert.equal((await auditOf(storage)).length, 8)
  }),

  'a removed site is gone, the others stay, and what is not there is null': besideOthers(async (storage) => {
    const [a, b, c] = [
      changed(await storage.addSite(adding('https://a.example'))).site, changed(await storage.addSite(adding('https://b.example'))).site,
      changed(await storage.addSite(adding('https://c.example'))).site
    ]
    const result = changed(await storage.removeSite(removing(b)))
    assert.deepEqual([verdict(result), result.site], ['site.removed', b])
    assert.deepEqual(await storage.listSites(ACCOUNT, 100), [c, a])
    await withoutTrace(storage, async () => {
      for (const siteId of [b.siteId, '', '%', a.siteId.toLowerCase(), `${a.siteId} `]) {
        assert.equal(await storage.removeSite(removing({ accountId: ACCOUNT, siteId })), null)
      }
      for (const accountId of ['nobody', OTHER_ACCOUNT, 'USER_A']) assert.equal(await storage.removeSite(removing({ ...a, accountId })), null)
    })
  }),

  'of twenty removals of one site at once one is made': async (storage) => {
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    const verdicts = await Promise.all(Array.from({ length: 20 }, async () => verdict(await storage.removeSite(removing(site)))))
    assert.equal(verdicts.filter((one) => one === 'site.removed').length, 1)
    assert.equal(verdicts.filter((one) => one === 'null').length, 19)
    assert.equal((await auditOf(storage)).length, 2)
  },

  'a key that has ended, is another account\'s, or is for tests changes no site; one that works does': besideOthers(async (storage) => {
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    const refusals = [
      [await issueIn(storage, 'revoked'), 'acting_key_ended'], [await issueIn(storage, 'disabled'), 'acting_key_ended'], [{ publicId: 'key_gone' }, 'acting_key_ended'],
      [await issue(storage, { accountId: 'user_c' }), 'acting_key_ended'], [await issue(storage, { environment: 'test' }), 'environment']
    ] as const
    for (const [acting, reason] of refusals) {
      for (const change of [
        async () => await storage.addSite(adding('https://b.example', { acting })), async () => await storage.addSite(adding('https://a.example', { acting })),
        async () => await storage.removeSite({ ...removing(site), acting })
      ]) assert.deepEqual(await withoutTrace(storage, change), { outcome: 'refused', refusal: { reason } })
    }
    const gone = { ...removing({ ...site, accountId: 'nobody' }), acting: { publicId: 'key_gone' } }
    assert.deepEqual(await storage.removeSite(gone), { outcome: 'refused', refusal: { reason: 'acting_key_ended' } })
    const acting = await issueIn(storage, 'retiring')
    assert.equal(verdict(await storage.addSite(adding('https://b.example', { acting }))), 'site.added')
    assert.equal(verdict(await storage.removeSite({ ...removing(site), acting })), 'site.removed')
  }),

  'the sites of its account are found with a publishable key that has no origins of its own, and with no other': async (storage) => {
    const follower = await issue(storage, { access: 'publishable', scopes: [] })
    const others = [
      await issue(storage, { access: 'publishable', scopes: [], allowedOrigins: ['https://own.example'] }), await issue(storage),
      await issue(storage, { access: 'publishable', scopes: [], accountId: OTHER_ACCOUNT })
    ]
    const originsOf = async (...keys: readonly StoredKey[]): Promise<readonly string[]> => {
      const found = await storage.findKeyByHash(keys.map(({ hash, pepperId }) => ({ hash, pepperId })))
      assert.deepEqual(found?.key, keys[0])
      return found!.siteOrigins.toSorted()
    }
    assert.deepEqual(await originsOf(follower), [])
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    changed(await storage.addSite(adding('https://b.example')))
    assert.deepEqual(await originsOf(follower), ['https://a.example', 'https://b.example'])
    // Among several keys too, each has its own.
    assert.deepEqual(await originsOf(follower, ...others), ['https://a.example', 'https://b.example'])
    for (const other of others) assert.deepEqual(await originsOf(other, follower), [])
    changed(await storage.removeSite(removing(site)))
    assert.deepEqual(await originsOf(follower), ['https://b.example'])
  },

  'a site id that is taken rejects, and nothing happened': async (storage) => {
    const { site } = changed(await storage.addSite(adding('https://a.example')))
    await issue(storage, { accountId: OTHER_ACCOUNT })
    for (const accountId of [ACCOUNT, OTHER_ACCOUNT]) {
      const taken = { ...site, accountId, origin: 'https://b.example' }
      await withoutTrace(storage, async () => { await assert.rejects(storage.addSite({ ...adding(''), site: taken })) }, accountId)
    }
    assert.equal(verdict(await storage.addSite({ ...adding(''), site: { ...site, siteId: `site_${ulid(NOW)}`, origin: 'https://b.example' } })), 'site.added')
  }
}
