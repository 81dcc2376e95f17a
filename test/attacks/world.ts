// Who is there before the attack: accounts that attack, one that nobody may touch, and what all of them have. All of it follows from a seed.
import { join } from 'node:path'
import { BASE62, sha256 } from '../../lib/crypto.js'
import { crc32 } from '../../lib/keys/crc32.js'
import { displayParts } from '../../lib/keys/key-format.js'
import type { NewKey } from '../../lib/keys/api-key.js'
import type { Storage } from '../../lib/storage/storage.js'
import { adding, changed, issue, revoke } from '../helpers/keys.js'
import { randomFrom, type Random } from './random.js'

/** An account that attacks with what is its own. */
export interface Attacker {
  readonly accountId: string
  readonly token: string
  /** May do everything. */
  readonly key: string
  /** Its public id, which nothing in the attack names. */
  readonly ownId: string
  /** Of keys and sites that the attack may do anything to. */
  readonly keyIds: readonly string[]
  readonly siteIds: readonly string[]
}

export interface World {
  readonly attackers: readonly Attacker[]
  /** Has all that an attacker has, and no part in the attack. */
  readonly untouched: Attacker & { readonly label: string }
  /** Keys that are no good everywhere, each with what is the matter with it. */
  readonly poorKeys: Readonly<Record<'publishable' | 'revoked' | 'suspended' | 'test' | 'imported' | 'elsewhere' | 'unknown', string>>
  readonly pepper: string
  /** What no answer may hold. */
  readonly secrets: readonly string[]
}

const ATTACKERS = 16
const KEYS_EACH = 12
const SITES_EACH = 4
const SUSPENDED = 'suspended'
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export function worldOf (seed: string): World {
  const random = randomFrom(`world ${seed}`)
  const untouched = { ...attacker(random, 'untouched'), label: `label of nobody else ${text(random, BASE62, 12)}` }
  const world = {
    attackers: Array.from({ length: ATTACKERS }, (_none, number) => attacker(random, `attacker-${number}`)),
    untouched,
    poorKeys: {
      publishable: keyText(random, 'acme_pk_live_'),
      revoked: keyText(random, 'acme_sk_live_'),
      suspended: keyText(random, 'acme_sk_live_'),
      test: keyText(random, 'acme_sk_test_'),
      imported: `old-${text(random, BASE62, 20).toLowerCase()}`,
      elsewhere: keyText(random, 'acme_sk_live_'),
      unknown: keyText(random, 'acme_sk_live_')
    },
    pepper: text(random, BASE62, 40)
  }
  const plaintexts = [...world.attackers.map(({ key }) => key), untouched.key, ...Object.values(world.poorKeys)]
  const hashes = plaintexts.map(sha256)
  return {
    ...world,
    secrets: [
      untouched.key, untouched.token, untouched.label, ...untouched.keyIds, ...untouched.siteIds, world.pepper,
      ...hashes, ...hashes.map((hash) => Buffer.from(hash, 'hex').toString('base64').slice(0, 40)),
      join(import.meta.dirname, '..', '..'), 'node_modules', 'node:internal'
    ]
  }
}

/** What the host is told: who is signed in by what. */
export function sessionsOf ({ attackers, untouched }: World): { tokens: Array<[string, string]>, suspended: string } {
  return { tokens: [...attackers, untouched].map(({ token, accountId }) => [token, accountId]), suspended: SUSPENDED }
}

/** Stores what everybody has. */
export async function furnish (storage: Storage, { attackers, untouched, poorKeys }: World): Promise<void> {
  const now = Date.now()
  const store = async (plaintext: string, overrides: Partial<NewKey>): ReturnType<typeof issue> =>
    await issue(storage, { ...displayParts(plaintext), hash: sha256(plaintext), createdAt: now, scopes: null, ...overrides }, now)
  for (const { accountId, key, ownId, keyIds, siteIds } of [...attackers, untouched]) {
    await store(key, { accountId, publicId: ownId, label: 'The account\'s own' })
    for (const [place, publicId] of keyIds.entries()) {
      const label = accountId === untouched.accountId ? untouched.label : `Key ${place}`
      await issue(storage, { accountId, publicId, label, createdAt: now, allowedIps: place % 3 === 0 ? ['203.0.113.0/24'] : [] }, now)
    }
    for (const [place, siteId] of siteIds.entries()) {
      changed(await storage.addSite(adding(`https://${place}.example.com`, { site: { siteId, accountId, origin: `https://${place}.example.com`, createdAt: now } })))
    }
  }
  const { accountId } = attackers[0]!
  await store(poorKeys.publishable, { accountId, access: 'publishable' })
  await revoke(storage, await store(poorKeys.revoked, { accountId }), now)
  await store(poorKeys.suspended, { accountId: SUSPENDED })
  await store(poorKeys.test, { accountId, environment: 'test' })
  await issue(storage, { accountId, hash: sha256(poorKeys.imported), createdAt: now }, now)
  await store(poorKeys.elsewhere, { accountId, allowedIps: ['203.0.113.7/32'] })
}

function attacker (random: Random, accountId: string): Attacker {
  return {
    accountId,
    token: `session-${text(random, BASE62, 24)}`,
    key: keyText(random, 'acme_sk_live_'),
    ownId: `key_1${text(random, CROCKFORD, 25)}`,
    keyIds: Array.from({ length: KEYS_EACH }, () => `key_0${text(random, CROCKFORD, 25)}`),
    siteIds: Array.from({ length: SITES_EACH }, () => `site_0${text(random, CROCKFORD, 25)}`)
  }
}

/** A key that the host could have made. */
function keyText (random: Random, prefix: string): string {
  const body = prefix + text(random, BASE62, 36)
  let rest = crc32(body, body.length)
  let checksum = ''
  for (let place = 0; place < 6; place++) {
    checksum = BASE62[rest % 62]! + checksum
    rest = Math.floor(rest / 62)
  }
  return body + checksum
}

function text (random: Random, characters: string, length: number): string {
  return Array.from({ length }, () => characters[random.below(characters.length)]).join('')
}
