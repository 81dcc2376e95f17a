// The pure decisions about keys: what each change does to a key in each status, what an acting key may do, what a key's ends mean.
import t from 'tap'
import { beyondActing, boundTo, latestEnd } from '../lib/keys/acting-key.js'
import {
  endOf, hasEnded, statusOf, STATUSES, toApiKey, toVerifiedApiKey, type KeyStatus, type StoredKey
} from '../lib/keys/api-key.js'
import type { ChangeContext, KeyDecision, KeyIntention, KeyRows } from '../lib/keys/key-changes.js'
import { firstState, keyIntentions } from '../lib/keys/key-lifecycle.js'
import { updatesOfRotation } from '../lib/keys/key-rotation.js'
import { assemblePage } from '../lib/storage/key-page.js'
import { SLOT_MS, slotNumber, slotStart } from '../lib/storage/slots.js'
import { DAY, toIso } from '../lib/time.js'
import {
  ACCOUNT, context, CUSTOMER, importing, IN_STATUS, issuing, newKey, NOW, renewing, revoking, revokingAll, rotating, storedKey, updating, WORDING
} from './helpers/keys.js'

const { issueKey, rotateKey, renewKey, updateKey, revokeKey, revokeKeys, importKey } = keyIntentions
type Credential = ChangeContext['audit']['by']['credential']

function rows (found: Partial<KeyRows> = {}): KeyRows {
  return { target: null, predecessor: null, acting: null, sameHash: null, all: [], current: 1, remembered: null, ...found }
}

function asked (credential: Credential, more: Partial<ChangeContext> = {}): ChangeContext {
  return context({ audit: { by: { ...CUSTOMER, credential }, wording: WORDING }, ...more })
}

/** What a decision says, in a word: the change it makes, or why it makes none. */
function word (decision: KeyDecision): string {
  if (decision.outcome === 'changed') return decision.entries.map(({ change }) => change.replace('api_key.', '')).join(' ')
  return decision.outcome === 'refused' ? decision.refusal.reason : decision.outcome
}

/** The fields that a decision writes, key by key. */
const written = (decision: KeyDecision): unknown => decision.outcome === 'changed' && decision.updates.map(({ set }) => set)

const none = 'not_active'
const same = 'unchanged'
const CHANGES: Record<string, (key: StoredKey, by: ChangeContext) => KeyDecision> = {
  rotate: (key, by) => rotateKey.decide(rotating(key, by), rows({ target: key })),
  renew: (key, by) => renewKey.decide(renewing(key, { ...by, expiresAt: NOW + DAY }), rows({ target: key })),
  enable: (key, by) => updateKey.decide(updating(key, {}, { ...by, enabled: true }), rows({ target: key })),
  disable: (key, by) => updateKey.decide(updating(key, {}, { ...by, enabled: false }), rows({ target: key })),
  rename: (key, by) => updateKey.decide(updating(key, { label: 'New' }, by), rows({ target: key })),
  revoke: (key, by) => revokeKey.decide(revoking(key, by), rows({ target: key }))
}

/** One line a status and who disabled the key, one column a change; `customer / host` where they differ. */
const STATUS_TABLE: Array<[KeyStatus, StoredKey['disabledBy'], ...string[]]> = [
  // status, disabledBy     rotate     renew               enable               disable                rename     revoke
  ['active', null, 'rotated', 'renewed', same, 'disabled', 'updated', 'revoked'],
  ['retiring', null, none, none, none, none, 'updated', 'revoked'],
  ['disabled', 'account', none, 'renewed', 'enabled', `${same} / disabled`, 'updated', 'revoked'],
  ['disabled', 'host', none, `${none} / renewed`, `${none} / enabled`, same, 'updated', 'revoked'],
  ['expired', null, none, 'renewed', none, none, 'updated', 'revoked'],
  ['expired', 'account', none, 'renewed', none, none, 'updated', 'revoked'],
  ['expired', 'host', none, `${none} / renewed`, none, none, 'updated', 'revoked'],
  ['revoked', null, none, none, none, none, none, same],
  ['revoked', 'account', none, none, none, none, none, same],
  ['revoked', 'host', none, none, none, none, none, same]
]

t.test('the table of statuses: what each change does to a key in each of them, whoever disabled it and whoever asks', async (t) => {
  t.strictSame([...new Set(STATUS_TABLE.map(([status]) => status))], [...STATUSES], 'every status has its line')
  for (const [status, disabledBy, ...cells] of STATUS_TABLE) {
    const ends: Array<Partial<StoredKey>> = status === 'revoked' ? [IN_STATUS.revoked, { retiresAt: NOW }, { revokedAt: NOW + 1, expiresAt: NOW }] : [IN_STATUS[status]]
    for (const overrides of ends) {
      for (const isDefault of [false, true]) {
        const key = storedKey({ ...overrides, disabledBy, isDefault })
        t.equal(statusOf(key, NOW), status)
        for (const [index, [name, decide]] of Object.entries(CHANGES).entries()) {
          const [customer, host = customer] = cells[index]!.split(' / ')
          for (const credential of ['bearer', 'cookie', 'api_key', 'host'] as const) {
            const decision = decide(key, asked(credential))
            const claim = `${name} ${JSON.stringify({ ...overrides, disabledBy, isDefault })} by ${credential}`
            t.equal(word(decision), credential === 'host' ? host : customer, claim)
            if (decision.outcome === 'refused') t.strictSame(decision.refusal, { reason: none, status, byHost: disabledBy === 'host' }, claim)
            if (decision.outcome === 'unchanged') t.equal(decision.key, key, claim)
          }
        }
      }
    }
  }
})

t.test('a key that is not there is not found by any change, whoever asks', async (t) => {
  const one = storedKey()
  const changes: Array<KeyDecision> = [
    rotateKey.decide(rotating(one), rows()), renewKey.decide(renewing(one), rows()), updateKey.decide(updating(one, {}), rows()),
    revokeKey.decide(revoking(one, asked('host')), rows())
  ]
  for (const decision of changes) t.strictSame(decision, { outcome: 'refused', refusal: { reason: 'not_found' } })
})

t.test('wants: the rows that each decision is made on, and no others', async (t) => {
  const one = { accountId: ACCOUNT, publicId: 'key_1' }
  const wanted = <I extends ChangeContext>({ wants }: KeyIntention<I>, input: I): unknown =>
    // As a storage sees it: what is undefined is not asked for.
    JSON.parse(JSON.stringify([wants(input), wants({ ...input, acting: { publicId: 'key_2', maxLifetime: null } })]))
  const both = (rows: object): unknown => [rows, { ...rows, actingId: 'key_2' }]
  t.strictSame(wanted(issueKey, issuing()), both({ accountId: ACCOUNT }))
  t.strictSame(wanted(issueKey, issuing({ isDefault: true, environment: 'test' })), both({ accountId: ACCOUNT, slot: 'test' }))
  t.strictSame(wanted(rotateKey, rotating(one)), both(one))
  t.strictSame(wanted(renewKey, renewing(one)), both(one))
  t.strictSame(wanted(updateKey, updating(one, {})), both(one))
  t.strictSame(wanted(revokeKey, revoking(one)), both(one))
  t.strictSame(wanted(revokeKeys, revokingAll()), both({ accountId: ACCOUNT, all: true }))
  t.strictSame(wanted(importKey, importing({ hash: 'f00d' })), both({ accountId: ACCOUNT, hash: 'f00d' }))
})

t.test('issueKey: what becomes of the holder of the slot and of the new key', async (t) => {
  const holder = (overrides: Partial<StoredKey>): StoredKey => storedKey({ isDefault: true, label: 'Holder', ...overrides })
  const cases: Array<[string, StoredKey | null, number, number, string]> = [
    ['an empty slot', null, 0, 1, 'issued'],
    ['an empty slot, one below the limit', null, 4, 5, 'issued'],
    ['an empty slot, at the limit', null, 5, 5, 'limit'],
    ['an empty slot, above a limit that was lowered', null, 9, 5, 'limit'],
    ['an active holder', holder({}), 1, 5, 'rotated'],
    ['an active holder, at the limit', holder({}), 5, 5, 'rotated'],
    ['an active holder, no keys allowed any more', holder({}), 5, 0, 'rotated'],
    ['a holder that expires a moment later', holder({ expiresAt: NOW + 1 }), 5, 5, 'rotated'],
    ['an expired holder', holder({ expiresAt: NOW }), 0, 1, 'issued'],
    ['an expired holder, at the limit', holder({ expiresAt: NOW }), 1, 1, 'limit'],
    ['a holder its owner disabled', holder({ disabledBy: 'account' }), 5, 5, 'rotated'],
    ['an expired holder its owner disabled', holder({ disabledBy: 'account', expiresAt: NOW }), 0, 1, 'issued'],
    ['a holder the host disabled', holder({ disabledBy: 'host' }), 1, 5, none],
    ['a holder the host disabled, at the limit', holder({ disabledBy: 'host' }), 5, 5, none],
    ['an expired holder the host disabled', holder({ disabledBy: 'host', expiresAt: NOW }), 0, 5, none]
  ]
  for (const [name, target, current, maxKeys, expected] of cases) {
    for (const credential of ['bearer', 'host'] as const) {
      const input = issuing({ isDefault: true, label: 'New' }, { ...asked(credential), maxKeys })
      const decision = issueKey.decide(input, rows({ target, current }))
      t.equal(word(decision), expected, name)
      if (decision.outcome === 'refused' && expected === none) t.match(decision.refusal, { status: statusOf(target!, NOW), byHost: true }, name)
      if (decision.outcome !== 'changed') continue
      const rotates = expected === 'rotated'
      t.strictSame(decision.updates, target === null
        ? []
        : [{ key: target, set: rotates ? { revokedAt: NOW, revokedReason: 'rotated', isDefault: false } : { isDefault: false } }], name)
      t.strictSame(decision.insert, rotates ? { ...input.key, label: 'Holder', rotatedFrom: target!.publicId } : input.key, name)
    }
  }
})

t.test('renewKey: the number of keys counts where an expired one comes back, and the same expiry is no change', async (t) => {
  const cases: Array<[Partial<StoredKey>, number | null, number, number, string]> = [
    [IN_STATUS.expired, NOW + 1, 4, 5, 'renewed'],
    [IN_STATUS.expired, NOW + 1, 5, 5, 'limit'],
    [IN_STATUS.expired, null, 9, 5, 'limit'],
    [IN_STATUS.disabled, NOW + 1, 9, 5, 'renewed'],
    [{}, NOW + 1, 9, 0, 'renewed'],
    [{}, null, 9, 0, same],
    [{ expiresAt: NOW + 1 }, NOW + 1, 1, 5, same],
    [{ expiresAt: NOW + 1 }, null, 1, 5, 'renewed'],
    [{ expiresAt: NOW }, NOW, 5, 5, 'limit']
  ]
  for (const [overrides, expiresAt, current, maxKeys, expected] of cases) {
    const target = storedKey(overrides)
    const decision = renewKey.decide(renewing(target, { expiresAt, maxKeys }), rows({ target, current }))
    t.equal(word(decision), expected, JSON.stringify([overrides, expiresAt, current, maxKeys]))
    if (expected === 'renewed') t.match(decision, { updates: [{ key: target, set: { expiresAt } }], insert: null })
  }
})

t.test('updateKey: what differs is written, and the entry names it', async (t) => {
  const target = storedKey({ metadata: { plan: 'gold' }, allowedIps: ['10.0.0.0/8'] })
  const { label, scopes, metadata } = target
  const cases: Array<[Parameters<typeof updating>[1], boolean | undefined, Credential, object | null, string]> = [
    [{}, undefined, 'bearer', null, ''],
    [{ label, scopes: [...scopes!], metadata: { ...metadata } }, undefined, 'bearer', null, ''],
    [{ label: 'New' }, undefined, 'bearer', { label: 'New' }, 'Updated API key "New": label'],
    [{ label: 'New', scopes: null, metadata }, undefined, 'bearer', { label: 'New', scopes: null }, 'Updated API key "New": label, scopes'],
    [{ scopes: ['b', 'blocks:read'] }, undefined, 'bearer', { scopes: ['b', 'blocks:read'] }, 'Updated API key "Server": scopes'],
    [{ metadata: null, allowedIps: [] }, true, 'host', { metadata: null, allowedIps: [] }, 'Updated API key "Server": metadata, allowedIps'],
    [{}, false, 'cookie', { disabledBy: 'account' }, 'Disabled API key "Server"'],
    [{}, false, 'host', { disabledBy: 'host' }, 'Disabled API key "Server"'],
    [{ label: 'New' }, false, 'bearer', { label: 'New', disabledBy: 'account' }, 'Disabled API key "New"']
  ]
  for (const [set, enabled, credential, expected, detail] of cases) {
    const decision = updateKey.decide(updating(target, set, { ...asked(credential), enabled }), rows({ target }))
    const claim = JSON.stringify([set, enabled, credential])
    if (expected === null) t.strictSame(decision, { outcome: 'unchanged', key: target }, claim)
    else {
      t.strictSame(written(decision), [expected], claim)
      t.match(decision, { insert: null, entries: [{ entry: { detail, targetId: target.publicId } }] }, claim)
    }
  }
})

t.test('revokeKeys: every key of the account, or those of one person, newest first', async (t) => {
  const all = [storedKey({ creatorId: 'ada' }), storedKey({ creatorId: null }), storedKey({ creatorId: 'bob', disabledBy: 'host' })]
  for (const [creatorId, indices] of [[null, [0, 1, 2]], ['ada', [0]], ['bob', [2]]] as const) {
    const decision = revokeKeys.decide(revokingAll({ creatorId, reason: 'left' }), rows({ all }))
    t.match(decision, {
      insert: null,
      updates: indices.map((index) => ({ key: all[index], set: { revokedAt: NOW, revokedReason: 'left', isDefault: false } })),
      entries: indices.map((index) => ({ change: 'api_key.revoked', entry: { targetId: all[index]!.publicId } }))
    }, String(creatorId))
  }
  t.strictSame(revokeKeys.decide(revokingAll({ creatorId: 'nobody' }), rows({ all })), { outcome: 'unchanged', key: null })
})

t.test('importKey: a hash that is known changes nothing in its account and is refused to another', async (t) => {
  const input = importing()
  const [mine, theirs] = [storedKey(), storedKey({ accountId: 'user_b' })]
  t.match(importKey.decide(input, rows({ current: 999 })), { outcome: 'changed', updates: [], insert: input.key, entries: [{ change: 'api_key.imported' }] })
  t.strictSame(importKey.decide(input, rows({ sameHash: mine })), { outcome: 'unchanged', key: mine })
  t.strictSame(importKey.decide(input, rows({ sameHash: theirs })), { outcome: 'refused', refusal: { reason: 'hash_taken' } })
})

t.test('updatesOfRotation: the old key ends now or with the overlap, and an overlap under way ends', async (t) => {
  const ended = { revokedAt: NOW, revokedReason: 'rotated', isDefault: false }
  const cases: Array<[Partial<StoredKey>, Partial<StoredKey> | null, number, object[]]> = [
    [{}, null, 0, [ended]],
    [{ expiresAt: NOW + 5 }, null, 0, [ended]],
    [{}, null, 9, [{ isDefault: false, retiresAt: NOW + 9 }]],
    [{ expiresAt: NOW + 8 }, null, 9, [{ isDefault: false, retiresAt: NOW + 8 }]],
    [{ expiresAt: NOW + 10 }, null, 9, [{ isDefault: false, retiresAt: NOW + 9 }]],
    [{}, {}, 9, [{ isDefault: false, retiresAt: NOW + 9 }]],
    [{}, { retiresAt: NOW + 1 }, 9, [{ isDefault: false, retiresAt: NOW + 9 }, ended]],
    [{}, { retiresAt: NOW + 1 }, 0, [ended, ended]],
    [{}, { retiresAt: NOW + 1, disabledBy: 'host' }, 0, [ended, ended]],
    [{}, { retiresAt: NOW }, 0, [ended]],
    [{}, { retiresAt: NOW + 5, expiresAt: NOW }, 0, [ended]],
    [{}, { retiresAt: NOW + 5, revokedAt: NOW - 5 }, 0, [ended]],
    [{}, { revokedAt: NOW - 5 }, 0, [ended]]
  ]
  for (const [overrides, before, overlap, expected] of cases) {
    const [key, predecessor] = [storedKey(overrides), before === null ? null : storedKey(before)]
    const updates = updatesOfRotation(key, predecessor, overlap, NOW)
    t.strictSame(updates.map(({ set }) => set), expected, JSON.stringify([overrides, before, overlap]))
    t.strictSame(updates.map(({ key }) => key), [key, predecessor].slice(0, expected.length))
  }
})

t.test('rotateKey: the successor is like the key but for its secret; a default key\'s has a lifetime of its own', async (t) => {
  for (const isDefault of [false, true]) {
    const target = storedKey({ isDefault, label: 'CI', access: 'publishable', environment: 'test', scopes: null, allowedOrigins: ['https://a.example'], allowedIps: ['10.0.0.0/8'], metadata: { plan: 'gold' }, expiresAt: NOW + 5 })
    const input = rotating(target, { overlap: DAY, defaultExpiresAt: NOW + 9 })
    const { publicId, accountId, label, access, environment, scopes, allowedOrigins, allowedIps, metadata } = target
    t.strictSame(written(rotateKey.decide(input, rows({ target }))), [{ isDefault: false, retiresAt: NOW + 5 }])
    t.match(rotateKey.decide(input, rows({ target })), {
      insert: {
        ...input.secret, accountId, label, access, environment, scopes, allowedOrigins, allowedIps, metadata, isDefault, disabledBy: null, expiresAt: isDefault ? NOW + 9 : NOW + 5, rotatedFrom: publicId
      },
      entries: [{ entry: { targetId: publicId, detail: `Rotated API key "CI", its successor is ${input.secret.publicId}` } }]
    })
  }
})

t.test('beyondActing: what of a key is more than the acting key has', async (t) => {
  const range = (...allowedIps: string[]): Partial<StoredKey> => ({ allowedIps })
  const cases: Array<[Partial<StoredKey>, Partial<StoredKey>, number | null, string | null]> = [
    [{ environment: 'live' }, { environment: 'live' }, null, null],
    [{ environment: 'live' }, { environment: 'test' }, null, null],
    [{ environment: 'test' }, { environment: 'test' }, null, null],
    [{ environment: 'test' }, { environment: 'live' }, null, 'environment'],
    [{ scopes: null }, { scopes: null }, null, null],
    [{ scopes: null }, { scopes: ['a'] }, null, null],
    [{ scopes: ['a', 'b'] }, { scopes: ['b'] }, null, null],
    [{ scopes: ['a'] }, { scopes: [] }, null, null],
    [{ scopes: ['a'] }, { scopes: ['a', 'b'] }, null, 'scopes'],
    [{ scopes: ['a'] }, { scopes: ['A'] }, null, 'scopes'],
    [{ scopes: ['a'] }, { scopes: null }, null, 'scopes'],
    [{ scopes: [] }, { scopes: ['a'] }, null, 'scopes'],
    [range(), range('0.0.0.0/0'), null, null],
    [range('10.0.0.0/8'), range('10.0.0.0/8'), null, null],
    [range('10.0.0.0/8', '2001:db8::/32'), range('10.1.0.0/16', '2001:db8:1::/48', '10.2.3.4/32'), null, null],
    [range('10.0.0.0/8'), range(), null, 'allowedIps'],
    [range('10.0.0.0/8'), range('10.0.0.0/7'), null, 'allowedIps'],
    [range('10.0.0.0/8'), range('10.1.0.0/16', '11.0.0.0/8'), null, 'allowedIps'],
    [range('10.0.0.0/9', '10.128.0.0/9'), range('10.0.0.0/8'), null, 'allowedIps'],
    [{}, { expiresAt: null }, null, null],
    [{}, { expiresAt: NOW }, NOW, null],
    [{}, { expiresAt: NOW + 1 }, NOW, 'expiresAt'],
    [{}, { expiresAt: null }, NOW, 'expiresAt'],
    // The first that holds.
    [{ environment: 'test', scopes: [], ...range('10.0.0.0/8') }, { scopes: null }, NOW, 'environment'],
    [{ scopes: [], ...range('10.0.0.0/8') }, { scopes: null }, NOW, 'scopes'],
    [{ scopes: null, ...range('10.0.0.0/8') }, { scopes: null }, NOW, 'allowedIps']
  ]
  for (const [acting, key, latest, field] of cases) {
    const claim = JSON.stringify([acting, key, latest])
    t.equal(beyondActing(storedKey(acting), storedKey(key), latest), field, claim)
    t.equal(beyondActing(null, storedKey(key), latest), null, `${claim}, and no key acts`)
  }
  t.equal(beyondActing(storedKey(), storedKey({ expiresAt: null })), null, 'where no end is named none is asked for')
})

t.test('latestEnd: with the acting key, or as late as any key of the account may end', async (t) => {
  const cases: Array<[Partial<StoredKey> | null, number | null | undefined, number | null]> = [
    [null, undefined, null],
    [{}, null, null],
    [{}, 10, null],
    [{ expiresAt: NOW + 5 }, undefined, NOW + 5],
    [{ expiresAt: NOW + 5 }, null, NOW + 5],
    [{ expiresAt: NOW + 5 }, 10, NOW + 10],
    [{ expiresAt: NOW + 5 }, 3, NOW + 5],
    [{ retiresAt: NOW + 5 }, null, NOW + 5],
    [{ retiresAt: NOW + 5 }, 10, NOW + 5],
    [{ retiresAt: NOW + 5, expiresAt: NOW + 9 }, 10, NOW + 5]
  ]
  for (const [acting, maxLifetime, expected] of cases) {
    const settings = maxLifetime === undefined ? null : { publicId: 'key_1', maxLifetime }
    t.equal(latestEnd(acting === null ? null : storedKey(acting), settings, NOW), expected, JSON.stringify([acting, maxLifetime]))
  }
})

t.test('boundTo: what nobody chose is cut to what the acting key has, what was chosen is left as it is', async (t) => {
  const by = { acting: { publicId: 'key_1', maxLifetime: null }, now: NOW }
  const acting = storedKey({ allowedIps: ['10.0.0.0/8'], expiresAt: NOW + 5 })
  const cases: Array<[boolean, number | null, string[], number | null, string[]]> = [
    [true, null, [], null, ['10.0.0.0/8']],
    [true, NOW + 9, ['11.0.0.0/8'], NOW + 9, ['11.0.0.0/8']],
    [false, null, [], NOW + 5, ['10.0.0.0/8']],
    [false, NOW + 9, [], NOW + 5, ['10.0.0.0/8']],
    [false, NOW + 4, ['10.1.0.0/16'], NOW + 4, ['10.1.0.0/16']]
  ]
  for (const [given, expiresAt, allowedIps, end, ips] of cases) {
    const key = newKey({ expiresAt, allowedIps })
    t.strictSame(boundTo(by, acting, given, key), { ...key, expiresAt: end, allowedIps: ips }, JSON.stringify([given, expiresAt, allowedIps]))
    t.strictSame(boundTo({ acting: null, now: NOW }, null, given, key), key, 'no key acts')
  }
})

const BY_KEY = asked('api_key', { acting: { publicId: 'key_1', maxLifetime: null } })

/** Every change of `target` that `acting` asks for. */
function decisionsBy (acting: StoredKey | null, target: StoredKey, more: Partial<ChangeContext> = {}): Record<string, KeyDecision> {
  const by = { ...BY_KEY, ...more }
  const found = rows({ target, acting, all: [target] })
  const { environment, scopes, allowedIps, expiresAt } = target
  const like = { environment, scopes, allowedIps, expiresAt }
  return {
    issue: issueKey.decide(issuing(like, by), rows({ acting })),
    replace: issueKey.decide(issuing({ ...like, isDefault: true }, by), found),
    rotate: rotateKey.decide(rotating(target, by), found),
    renew: renewKey.decide(renewing(target, { ...by, expiresAt: NOW + DAY }), found),
    rename: updateKey.decide(updating(target, { label: 'New' }, by), found),
    enable: updateKey.decide(updating(target, {}, { ...by, enabled: true }), found),
    import: importKey.decide(importing(like, by), rows({ acting })),
    // These take away alone.
    disable: updateKey.decide(updating(target, {}, { ...by, enabled: false }), found),
    revoke: revokeKey.decide(revoking(target, by), found),
    'revoke all': revokeKeys.decide(revokingAll(by), found)
  }
}
const TAKE_AWAY = ['disable', 'revoke', 'revoke all']
const words = (decisions: Record<string, KeyDecision>): Record<string, string> =>
  Object.fromEntries(Object.entries(decisions).map(([name, decision]) => [name, word(decision)]))
const MADE = {
  issue: 'issued',
  replace: 'rotated',
  rotate: 'rotated',
  renew: 'renewed',
  rename: 'updated',
  enable: same,
  import: 'imported',
  disable: 'disabled',
  revoke: 'revoked',
  'revoke all': 'revoked'
}

t.test('an acting key works while it is active or retiring, and changes nothing otherwise', async (t) => {
  const target = storedKey()
  for (const acting of [storedKey(), storedKey({ scopes: null }), storedKey({ expiresAt: null, environment: 'live' })]) t.strictSame(words(decisionsBy(acting, target)), MADE)
  for (const acting of [null, ...(['disabled', 'expired', 'revoked'] as const).map((status) => storedKey({ scopes: null, ...IN_STATUS[status] })), storedKey({ retiresAt: NOW })]) {
    for (const [name, decision] of Object.entries(decisionsBy(acting, target))) {
      t.strictSame(decision, { outcome: 'refused', refusal: { reason: 'acting_key_ended' } }, name)
    }
  }
  const retiring = storedKey(IN_STATUS.retiring)
  t.match(words(decisionsBy(retiring, storedKey({ expiresAt: NOW + 1 }))), { issue: 'issued', rotate: 'rotated', rename: 'updated', revoke: 'revoked' })
})

t.test('an acting key makes no change of a key that has more than it, but to take away from it', async (t) => {
  const cases: Array<[Partial<StoredKey>, Partial<StoredKey>, 'scopes' | 'allowedIps']> = [
    [{}, { scopes: ['other:read'] }, 'scopes'],
    [{}, { scopes: null }, 'scopes'],
    [{ allowedIps: ['10.0.0.0/8'] }, { allowedIps: ['11.0.0.0/8'] }, 'allowedIps']
  ]
  for (const [acting, key, field] of cases) {
    for (const [name, decision] of Object.entries(decisionsBy(storedKey(acting), storedKey(key)))) {
      if (TAKE_AWAY.includes(name)) t.equal(word(decision), MADE[name as keyof typeof MADE])
      else t.strictSame(decision, { outcome: 'refused', refusal: { reason: 'beyond_acting_key', field } }, `${name} ${JSON.stringify(key)}`)
    }
  }
  const wide = storedKey({ scopes: null })
  const alsoRenames = updateKey.decide(updating(wide, { label: 'Off' }, { ...BY_KEY, enabled: false }), rows({ target: wide, acting: storedKey() }))
  t.equal(word(alsoRenames), 'beyond_acting_key', 'to disable and to rename is more than to disable')
  const replaced = issueKey.decide(issuing({ isDefault: true, access: 'publishable', scopes: [] }, BY_KEY), rows({ target: wide, acting: storedKey() }))
  t.equal(word(replaced), 'beyond_acting_key', 'what is replaced counts, not only what replaces it')
  const live = decisionsBy(storedKey({ environment: 'test' }), storedKey())
  for (const [name, decision] of Object.entries(live)) {
    const refused = { outcome: 'refused', refusal: { reason: 'beyond_acting_key', field: 'environment' } }
    t.strictSame(decision, name === 'revoke all' ? { outcome: 'unchanged', key: null } : refused, name)
  }
  t.strictSame(words(decisionsBy(storedKey(), storedKey({ environment: 'test' }))), MADE)
})

t.test('an acting key that ends hands out nothing that outlives it, unless the lifetime of keys is limited', async (t) => {
  const acting = storedKey({ expiresAt: NOW + DAY })
  const outlives = words(decisionsBy(acting, storedKey({ expiresAt: NOW + DAY + 1 })))
  t.strictSame(outlives, { ...Object.fromEntries(Object.keys(MADE).map((name) => [name, 'beyond_acting_key'])), renew: 'renewed', disable: 'disabled', revoke: 'revoked', 'revoke all': 'revoked' })
  t.strictSame(words(decisionsBy(acting, storedKey({ expiresAt: NOW + DAY }))), { ...MADE, renew: same })
  const limited = { acting: { publicId: 'key_1', maxLifetime: 2 * DAY } }
  t.strictSame(words(decisionsBy(acting, storedKey({ expiresAt: NOW + 2 * DAY }), limited)), MADE)
  t.match(words(decisionsBy(acting, storedKey({ expiresAt: NOW + 2 * DAY + 1 }), limited)), { issue: 'beyond_acting_key', rotate: 'beyond_acting_key' })

  const target = storedKey({ isDefault: true, expiresAt: NOW + DAY })
  const found = rows({ target, acting })
  t.match(rotateKey.decide(rotating(target, BY_KEY), found), { insert: { expiresAt: NOW + DAY } }, 'a default key\'s expiry was chosen by nobody')
  t.match(issueKey.decide(issuing({ isDefault: true }, { ...BY_KEY, expiryGiven: false }), found), { insert: { expiresAt: NOW + DAY } })
  t.equal(word(issueKey.decide(issuing({ isDefault: true }, BY_KEY), found)), 'beyond_acting_key')
  for (const expiresAt of [null, NOW + DAY + 1]) {
    const longer = rows({ target: { ...target, expiresAt }, acting })
    for (const decision of [
      rotateKey.decide(rotating(target, BY_KEY), longer), issueKey.decide(issuing({ isDefault: true }, { ...BY_KEY, expiryGiven: false }), longer),
      renewKey.decide(renewing(target, { ...BY_KEY, expiryGiven: false }), longer)
    ]) t.match(decision, { refusal: { reason: 'beyond_acting_key', field: 'expiresAt' } }, 'and is no way to end a key earlier')
  }
  t.equal(word(renewKey.decide(renewing(target, { ...BY_KEY, expiryGiven: false }), found)), 'beyond_acting_key', 'to renew is to put off the end')
  const sooner = rows({ target: { ...target, expiresAt: NOW + DAY - 1 }, acting })
  t.strictSame(written(renewKey.decide(renewing(target, { ...BY_KEY, expiryGiven: false }), sooner)), [{ expiresAt: NOW + DAY }])
  t.equal(word(renewKey.decide(renewing(target, BY_KEY), found)), 'beyond_acting_key')
})

t.test('firstState: a key begins unused and without an end of its own but the expiry', async (t) => {
  const key = newKey({ isDefault: true, expiresAt: NOW + 1, disabledBy: 'host' })
  t.strictSame(firstState(key), { ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null })
})

t.test('statusOf: the first that holds of revoked, expired, disabled, retiring, active', async (t) => {
  for (const status of STATUSES) t.equal(statusOf(storedKey(IN_STATUS[status]), NOW), status)
  const cases: Array<[Partial<StoredKey>, KeyStatus]> = [
    [{ revokedAt: NOW, expiresAt: NOW, disabledBy: 'host', retiresAt: NOW }, 'revoked'],
    [{ revokedAt: NOW + 1 }, 'revoked'],
    [{ retiresAt: NOW, expiresAt: NOW, disabledBy: 'host' }, 'revoked'],
    [{ retiresAt: NOW + 1, expiresAt: NOW, disabledBy: 'host' }, 'expired'],
    [{ retiresAt: NOW + 1, expiresAt: NOW + 1, disabledBy: 'host' }, 'disabled'],
    [{ retiresAt: NOW + 1, expiresAt: NOW + 1 }, 'retiring'],
    [{ expiresAt: NOW + 1 }, 'active']
  ]
  for (const [overrides, status] of cases) t.equal(statusOf(storedKey(overrides), NOW), status, JSON.stringify(overrides))
})

t.test('endOf and hasEnded: the earliest of the three ends, and revocation whatever the clock says', async (t) => {
  const cases: Array<[Partial<StoredKey>, number | null, boolean]> = [
    [{}, null, false],
    [{ expiresAt: NOW + 1 }, NOW + 1, false],
    [{ expiresAt: NOW }, NOW, true],
    [{ retiresAt: NOW + 1 }, NOW + 1, false],
    [{ retiresAt: NOW }, NOW, true],
    [{ disabledBy: 'host' }, null, false],
    [{ revokedAt: NOW }, NOW, true],
    [{ revokedAt: NOW + 5 }, NOW + 5, true],
    [{ revokedAt: NOW + 5, retiresAt: NOW + 3, expiresAt: NOW + 4 }, NOW + 3, true],
    [{ retiresAt: NOW + 3, expiresAt: NOW + 2 }, NOW + 2, false]
  ]
  for (const [overrides, end, ended] of cases) {
    t.equal(endOf(storedKey(overrides)), end, JSON.stringify(overrides))
    t.equal(hasEnded(storedKey(overrides), NOW), ended, JSON.stringify(overrides))
  }
  for (const status of STATUSES) {
    t.equal(hasEnded(storedKey(IN_STATUS[status]), NOW), status === 'expired' || status === 'revoked', status)
  }
})

t.test('assemblePage: current keys first counted, ended ones fill up, the page is in order', async (t) => {
  const keys = (...sequences: number[]): StoredKey[] => sequences.map((sequence) => storedKey({ sequence, publicId: `key_${sequence}` }))
  const cases: Array<[number, number[], number[], number[], string | null]> = [
    [3, [], [], [], null],
    [3, [9, 8], [], [9, 8], null],
    [3, [9, 8, 7, 6], [], [9, 8, 7, 6], null],
    [3, [9, 8, 7, 6], [5], [9, 8, 7, 6], 'start'],
    [3, [9, 8, 7], [10], [9, 8, 7], 'start'],
    [3, [9, 5], [7], [9, 7, 5], null],
    [3, [9, 5], [7, 6], [9, 7, 5], 'key_7'],
    [3, [], [7, 6, 5], [7, 6, 5], null],
    [3, [], [7, 6, 5, 4], [7, 6, 5], 'key_5']
  ]
  for (const [limit, current, ended, shown, before] of cases) {
    const page = assemblePage({ accountId: 'user_a', now: NOW, limit }, keys(...current), keys(...ended))
    t.strictSame([page.keys.map(({ sequence }) => sequence), page.before], [shown, before], JSON.stringify([limit, current, ended]))
  }
})

t.test('slots are whole minutes, hours and days of UTC', async (t) => {
  const expected = { minute: '2026-01-15T12:34:00.000Z', hour: '2026-01-15T12:00:00.000Z', day: '2026-01-15T00:00:00.000Z' }
  for (const unit of ['minute', 'hour', 'day'] as const) {
    const start = slotStart(NOW, unit)
    t.equal(toIso(start), expected[unit])
    t.equal(slotStart(start, unit), start, 'a slot begins with its start')
    t.equal(slotStart(start + SLOT_MS[unit] - 1, unit), start)
    t.equal(slotNumber(start - 1, unit), slotNumber(start, unit) - 1)
  }
})

t.test('toApiKey: the owner\'s view holds no hash, no account and no metadata, and times are UTC', async (t) => {
  const key = storedKey({
    hash: 'f00d', pepperId: 'p1', accountId: 'user_secret', metadata: { plan: 'gold' }, expiresAt: NOW + 1, lastUsedAt: NOW
  })
  const limits = [{ name: 'default', max: 1, windowSeconds: 60, remaining: 1, resetSeconds: 0 }]
  const view = toApiKey(key, limits, NOW)
  t.notMatch(JSON.stringify(view), /f00d|p1|user_secret|gold/)
  t.match(view, {
    publicId: key.publicId,
    status: 'active',
    scopes: ['blocks:read'],
    maskedKey: 'sk_live_…9z8a',
    rateLimits: limits,
    createdAt: '2026-01-15T12:34:56.789Z',
    lastUsedAt: '2026-01-15T12:34:56.789Z',
    expiresAt: '2026-01-15T12:34:56.790Z',
    retiresAt: null,
    revokedAt: null,
    revokedReason: null
  })
  t.equal(toApiKey(storedKey({ scopes: null }), [], NOW).scopes, null)
  for (const status of STATUSES) t.equal(toApiKey(storedKey(IN_STATUS[status]), [], NOW).status, status)
})

t.test('toApiKey: a key that has retired reads revoked since then, by time alone', async (t) => {
  const key = storedKey({ retiresAt: NOW })
  t.match(toApiKey(key, [], NOW - 1), { status: 'retiring', revokedAt: null, revokedReason: null, retiresAt: toIso(NOW) })
  t.match(toApiKey(key, [], NOW), { status: 'revoked', revokedAt: toIso(NOW), revokedReason: 'rotated', retiresAt: toIso(NOW) })
  const revoked = storedKey({ retiresAt: NOW, revokedAt: NOW - 5, revokedReason: 'leaked' })
  t.match(toApiKey(revoked, [], NOW), { status: 'revoked', revokedAt: toIso(NOW - 5), revokedReason: 'leaked' })
})

t.test('toVerifiedApiKey: what a route is told of the key, in copies', async (t) => {
  const key = storedKey({ metadata: { plan: 'gold' }, scopes: null })
  const { publicId, accountId } = key
  for (const granted of [null, ['a'], []]) {
    const verified = toVerifiedApiKey(key, granted)
    t.strictSame(verified, {
      publicId, accountId, label: 'Server', environment: 'live', access: 'secret', scopes: granted, metadata: { plan: 'gold' }
    })
    t.not(verified.metadata, key.metadata)
    if (granted !== null) t.not(verified.scopes, granted)
  }
  t.equal(toVerifiedApiKey(storedKey(), []).metadata, null)
})
