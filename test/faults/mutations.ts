// Every change that a customer or a host may make to an account, and how an account looks, whatever ids it was given.
import type { FastifyInstance } from 'fastify'
import { isSelfServeKeysError, type Actor, type Storage } from '../../lib/index.js'
import { sha256 } from '../../lib/crypto.js'
import { statusOf, type StoredKey } from '../../lib/keys/api-key.js'
import { DAY, toIso } from '../../lib/time.js'
import { asking, KEYS, madeBy, makeKey, SITES, type Answer, type Ask, type Made } from '../helpers/account.js'
import { auditOf, keysOf, NOW } from '../helpers/keys.js'

/** Where keys are presented. */
export const PROTECTED = '/v1/blocks'
/** Scopes that the account routes ask keys for. */
export const KEY_SCOPES = { read: 'keys:read', write: 'keys:write' } as const

/** An account, and who asks for it: its session, or the host in process. */
export class Subject {
  readonly by: Actor
  /** What it has, in the order it was made. */
  readonly keys: Made[] = []
  readonly sites: string[] = []

  constructor (readonly accountId: string) {
    this.by = { accountId, credential: 'host' }
  }

  session (app: FastifyInstance): Ask {
    return asking(app, { authorization: `Bearer token-${this.accountId}` })
  }

  /** Asks by its first key. */
  key (app: FastifyInstance): Ask {
    return asking(app, this.keys[0]!.credential)
  }

  /** Keeps the key that an answer hands out. */
  remember (answer: Answer): void {
    if (answer.status === 201 && typeof answer.json.plaintextKey === 'string') this.keys.push(madeBy(answer))
  }

  async make (app: FastifyInstance, input?: Parameters<typeof makeKey>[1]): Promise<void> {
    this.keys.push(await makeKey(app, input, this.accountId))
  }
}

export interface Mutation {
  /** What is there before. */
  readonly before?: (subject: Subject, app: FastifyInstance) => Promise<void>
  readonly act: (subject: Subject, app: FastifyInstance) => Promise<Answer>
}

const IDEMPOTENT = { 'idempotency-key': 'once' }
const named = { label: 'Server', scopes: ['blocks:read'], allowedOrigins: ['https://a.example'], allowedIps: ['127.0.0.0/8'], expiresAt: toIso(NOW + DAY) }
/** May do what it is to hand on. */
const acting = { label: 'Acting', scopes: ['blocks:read', KEY_SCOPES.read, KEY_SCOPES.write] }

async function withKey (subject: Subject, app: FastifyInstance): Promise<void> { await subject.make(app) }

async function withDefault (subject: Subject, app: FastifyInstance): Promise<void> {
  subject.remember(await subject.session(app)('POST', KEYS))
}

async function withActing (subject: Subject, app: FastifyInstance): Promise<void> {
  await subject.make(app, acting)
  await subject.make(app, { scopes: ['blocks:read'] })
}

async function repeatable (ask: Ask, url: string, body: object | undefined, headers: Record<string, string>): Promise<Answer> {
  return await ask('POST', url, body, { ...headers, ...IDEMPOTENT })
}

const bearer = ({ accountId }: Subject): Record<string, string> => ({ authorization: `Bearer token-${accountId}` })

/** What was asked for in process, answered as it would be over HTTP. */
export async function answerOf (work: () => Promise<unknown>): Promise<Answer> {
  try {
    const json = await work() ?? null
    return { status: 200, headers: {}, text: JSON.stringify(json), json }
  } catch (error) {
    if (!isSelfServeKeysError(error)) throw error
    const { statusCode: status, code, message, details } = error
    const json = { statusCode: status, code, error: 'Service Unavailable', message }
    return { status, headers: { ...'retryAfter' in details && { 'retry-after': String(details.retryAfter) } }, text: JSON.stringify(json), json }
  }
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'issue the first default key': { act: async (subject, app) => await subject.session(app)('POST', KEYS) },
  'issue the first default key, once': { act: async (subject, app) => await repeatable(subject.session(app), KEYS, undefined, bearer(subject)) },
  'rotate the default key': { before: withDefault, act: async (subject, app) => await subject.session(app)('POST', KEYS) },
  'rotate the default key, once': { before: withDefault, act: async (subject, app) => await repeatable(subject.session(app), KEYS, undefined, bearer(subject)) },
  'issue a named key': { before: withDefault, act: async (subject, app) => await subject.session(app)('POST', KEYS, named) },
  'issue a named key, once': { act: async (subject, app) => await repeatable(subject.session(app), KEYS, named, bearer(subject)) },
  'rotate a key': { before: withKey, act: async (subject, app) => await subject.session(app)('POST', `${subject.keys[0]!.url}/rotate`) },
  'rotate a key with an overlap, once': {
    before: withKey,
    act: async (subject, app) => await repeatable(subject.session(app), `${subject.keys[0]!.url}/rotate`, { overlapSeconds: 600 }, bearer(subject))
  },
  'rotate a key whose predecessor is retiring': {
    async before (subject, app) {
      await subject.make(app)
      subject.remember(await subject.session(app)('POST', `${subject.keys[0]!.url}/rotate`, { overlapSeconds: 600 }))
    },
    act: async (subject, app) => await subject.session(app)('POST', `${subject.keys[1]!.url}/rotate`)
  },
  'renew a key': { before: withKey, act: async (subject, app) => await subject.session(app)('POST', `${subject.keys[0]!.url}/renew`, { expiresAt: toIso(NOW + 2 * DAY) }) },
  'rename a key and change what it may do': {
    before: withKey,
    act: async (subject, app) => await subject.session(app)('PATCH', subject.keys[0]!.url, { label: 'Renamed', scopes: ['transactions:write'], allowedIps: ['127.0.0.0/8'] })
  },
  'disable a key': { before: withKey, act: async (subject, app) => await subject.session(app)('PATCH', subject.keys[0]!.url, { enabled: false }) },
  'enable a key': {
    async before (subject, app) {
      await subject.make(app)
      await subject.session(app)('PATCH', subject.keys[0]!.url, { enabled: false })
    },
    act: async (subject, app) => await subject.session(app)('PATCH', subject.keys[0]!.url, { enabled: true })
  },
  'revoke a key': { before: withKey, act: async (subject, app) => await subject.session(app)('DELETE', subject.keys[0]!.url) },
  'add a site': { before: withKey, act: async (subject, app) => await subject.session(app)('POST', SITES, { name: 'https://a.example' }) },
  'remove a site': {
    async before (subject, app) {
      subject.sites.push((await subject.session(app)('POST', SITES, { name: 'https://a.example' })).json.siteId)
    },
    act: async (subject, app) => await subject.session(app)('DELETE', `${SITES}/${subject.sites[0]!}`)
  },
  'issue a key by a key, once': { before: withActing, act: async (subject, app) => await repeatable(subject.key(app), KEYS, { label: 'Made', scopes: ['blocks:read'] }, subject.keys[0]!.credential) },
  'rotate a key by a key': { before: withActing, act: async (subject, app) => await subject.key(app)('POST', `${subject.keys[1]!.url}/rotate`) },
  'revoke a key by a key': { before: withActing, act: async (subject, app) => await subject.key(app)('DELETE', subject.keys[1]!.url) },
  'add a site by a key': { before: withActing, act: async (subject, app) => await subject.key(app)('POST', SITES, { name: 'https://a.example' }) },
  'revoke all keys, by the host': {
    async before (subject, app) {
      await subject.make(app)
      await withDefault(subject, app)
    },
    act: async ({ by }, { selfServeKeys }) => await answerOf(async () => await selfServeKeys.keys.revokeAll(by))
  },
  'import a key, by the host': {
    act: async ({ by }, { selfServeKeys }) => await answerOf(async () => await selfServeKeys.keys.importHashed(by, { hash: sha256(by.accountId), label: 'Imported' }))
  },
  'record an entry, by the host': {
    before: withKey, act: async ({ by }, { selfServeKeys }) => await answerOf(async () => await selfServeKeys.audit.record(by, { action: 'login' }))
  }
}

export interface View {
  readonly keys: ReadonlyArray<Pick<StoredKey, 'isDefault' | 'environment' | 'revokedReason'> & { readonly rotatedFrom: number | null, readonly [member: string]: unknown }>
  readonly audit: ReadonlyArray<{ readonly id: number, readonly action: string, readonly target: number | null }>
  readonly sites: readonly string[]
}

/** All that is stored of an account but its usage, with places for ids: where the same was done, it looks the same. */
export async function viewOf (storage: Storage, accountId: string): Promise<View> {
  const keys = (await keysOf(storage, accountId)).toReversed()
  const sites = (await storage.listSites(accountId, 100)).toReversed()
  const ids = [...keys.map(({ publicId }) => publicId), ...sites.map(({ siteId }) => siteId)]
  return {
    keys: keys.map((key) => {
      const { label, environment, access, scopes, allowedOrigins, allowedIps, isDefault, disabledBy, createdAt, expiresAt, retiresAt, revokedAt, revokedReason, sequence, ref } = key
      return {
        label,
        environment,
        access,
        scopes,
        allowedOrigins,
        allowedIps,
        isDefault,
        disabledBy,
        createdAt,
        expiresAt,
        retiresAt,
        revokedAt,
        revokedReason,
        sequence,
        version: ref.version,
        status: statusOf(key, NOW),
        rotatedFrom: key.rotatedFrom === null ? null : ids.indexOf(key.rotatedFrom)
      }
    }),
    audit: (await auditOf(storage, accountId)).toReversed().map(({ id, action, credential, targetId }) => ({ id, action, credential, target: targetId === null ? null : ids.indexOf(targetId) })),
    sites: sites.map(({ origin }) => origin)
  }
}

/** Which of the keys a host takes, by their public ids, and which stored ones it must. */
export async function acceptance (app: FastifyInstance, storage: Storage, { accountId, keys }: Subject): Promise<{ accepted: string[], expected: string[] }> {
  const stored = await keysOf(storage, accountId)
  const works = new Set(stored.filter((key) => ['active', 'retiring'].includes(statusOf(key, NOW))).map(({ publicId }) => publicId))
  const accepted: string[] = []
  for (const { publicId, credential } of keys) {
    const { status, text } = await asking(app, credential)('GET', PROTECTED)
    if (status === 200) accepted.push(publicId)
    else if (status !== 401) throw new Error(text)
  }
  return { accepted, expected: keys.map(({ publicId }) => publicId).filter((publicId) => works.has(publicId)) }
}
