// The pure decisions of storages, and what a key's three ends mean.
import t from 'tap'
import {
  endOf, statusOf, STATUSES, toApiKey, toVerifiedApiKey, type KeyStatus, type StoredKey
} from '../../lib/keys/api-key.js'
import { assemblePage, decideIssue, decideRevoke, firstState, hasEnded } from '../../lib/storage/decide.js'
import { SLOT_MS, slotNumber, slotStart } from '../../lib/storage/slots.js'
import { toIso } from '../../lib/time.js'
import { IN_STATUS, newKey, NOW, storedKey } from '../helpers/keys.js'

t.test('decideIssue: what becomes of the holder of the slot and of the new key', async (t) => {
  const holder = (overrides: Partial<StoredKey>): StoredKey => storedKey({ isDefault: true, ...overrides })
  const cases: Array<[string, StoredKey | null, { current: number, maxKeys: number }, string]> = [
    ['an empty slot', null, { current: 0, maxKeys: 1 }, 'issued'],
    ['an empty slot, one below the limit', null, { current: 4, maxKeys: 5 }, 'issued'],
    ['an empty slot, at the limit', null, { current: 5, maxKeys: 5 }, 'limit'],
    ['an empty slot, above a limit that was lowered', null, { current: 9, maxKeys: 5 }, 'limit'],
    ['an active holder', holder({}), { current: 1, maxKeys: 5 }, 'rotated'],
    ['an active holder, at the limit', holder({}), { current: 5, maxKeys: 5 }, 'rotated'],
    ['an active holder, no keys allowed any more', holder({}), { current: 5, maxKeys: 0 }, 'rotated'],
    ['a holder that expires a moment later', holder({ expiresAt: NOW + 1 }), { current: 5, maxKeys: 5 }, 'rotated'],
    ['an expired holder', holder({ expiresAt: NOW }), { current: 0, maxKeys: 1 }, 'issued'],
    ['an expired holder, at the limit', holder({ expiresAt: NOW }), { current: 1, maxKeys: 1 }, 'limit'],
    ['a holder its owner disabled', holder({ disabledBy: 'account' }), { current: 5, maxKeys: 5 }, 'rotated'],
    ['an expired holder its owner disabled', holder({ disabledBy: 'account', expiresAt: NOW }), { current: 0, maxKeys: 1 }, 'issued'],
    ['a holder the host disabled', holder({ disabledBy: 'host' }), { current: 1, maxKeys: 5 }, 'disabled_by_host'],
    ['a holder the host disabled, at the limit', holder({ disabledBy: 'host' }), { current: 5, maxKeys: 5 }, 'disabled_by_host'],
    ['an expired holder the host disabled', holder({ disabledBy: 'host', expiresAt: NOW }), { current: 0, maxKeys: 5 }, 'disabled_by_host']
  ]
  for (const [name, key, counts, outcome] of cases) {
    const decision = decideIssue({ holder: key, ...counts, now: NOW })
    t.equal(decision.outcome, outcome, name)
    if (decision.outcome === 'issued') t.equal(decision.vacates, key, `${name}: gives up the slot`)
    if (decision.outcome === 'rotated') t.equal(decision.revokes, key, `${name}: ends`)
  }
})

t.test('decideRevoke: every key but a revoked one ends now and leaves the slot', async (t) => {
  for (const status of STATUSES) {
    const key = storedKey({ isDefault: true, ...IN_STATUS[status] })
    const expected = status === 'revoked' ? null : { revokedAt: NOW, revokedReason: 'leaked', isDefault: false }
    t.strictSame(decideRevoke(key, 'leaked', NOW), expected, status)
  }
  t.equal(decideRevoke(storedKey({ retiresAt: NOW }), 'leaked', NOW), null, 'a key that has retired is revoked already')
  t.equal(decideRevoke(storedKey({ revokedAt: NOW }), 'leaked', NOW - 1), null, 'a clock set back revives nothing')
})

t.test('firstState: a key begins unused and without an end of its own but the expiry', async (t) => {
  const key = newKey({ isDefault: true, expiresAt: NOW + 1 })
  t.strictSame(firstState(key),
    { ...key, lastUsedAt: null, retiresAt: null, revokedAt: null, revokedReason: null, disabledBy: null })
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

t.test('toVerifiedApiKey: what a route is told of the key', async (t) => {
  const { publicId, accountId, ...key } = storedKey({ metadata: { plan: 'gold' }, scopes: null })
  t.strictSame(toVerifiedApiKey({ publicId, accountId, ...key }), {
    publicId, accountId, label: 'Server', environment: 'live', access: 'secret', scopes: null, metadata: { plan: 'gold' }
  })
})
