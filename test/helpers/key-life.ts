// One account's life beside the model's: what the library is asked, and whether its answers are what the model says.
import { isSelfServeKeysError, type Actor, type ApiKey, type Issued, type KeyStatus, type SelfServeKeys, type SelfServeKeysError } from '../../lib/index.js'
import { toIso } from '../../lib/time.js'
import type { Ask, Done, Model } from './key-model.js'

/** What is looked at, and changes nothing. */
export type Look<K> = { op: 'verify', key: K } | { op: 'list' | 'count' | 'audit' }
/** What the library is asked: keys are public ids. */
export type Question = Ask<string> | Look<string>
export type Answer = SelfServeKeysError | Issued | ApiKey | { revokedPublicIds: string[] } | Seen
/** What a look shows. */
interface Seen { seen: unknown }
/** What was answered, and what the model says instead, or too. */
export type Compared = readonly [answered: unknown, expected: unknown]

/** Where an account is asked about, and the secrets that it was given, by public id. */
export interface Place { readonly host: SelfServeKeys, readonly accountId: string, readonly secrets: Map<string, string> }

const REFUSED: Partial<Record<KeyStatus, string>> = { revoked: 'was revoked', expired: 'has expired', disabled: 'is disabled' }

export function isLook (asked: Question): asked is Look<string> {
  return ['verify', 'list', 'count', 'audit'].includes(asked.op)
}

/** Asks the library. A refusal is an answer. */
export async function ask (place: Place, asked: Question): Promise<Answer> {
  try {
    return isLook(asked) ? { seen: await look(place, asked) } : await change(place, asked)
  } catch (error) {
    if (!isSelfServeKeysError(error)) throw error
    return error
  }
}

async function change ({ host: { keys }, accountId, secrets }: Place, asked: Ask<string>): Promise<Issued | ApiKey | { revokedPublicIds: string[] }> {
  const by: Actor = { accountId, ...(typeof asked.by === 'object' ? { credential: 'api_key', apiKey: asked.by.key } : { credential: asked.by === 'host' ? 'host' : 'bearer' }) }
  const expiry = 'end' in asked && asked.end !== undefined ? { expiresAt: asked.end === null ? null : toIso(asked.end) } : {}
  const idempotencyKey = 'idempotency' in asked && asked.idempotency !== undefined ? `request-${asked.idempotency}` : undefined
  const made = (issued: Issued): Issued => {
    if (issued.plaintextKey !== null) secrets.set(issued.apiKey.publicId, issued.plaintextKey)
    return issued
  }
  switch (asked.op) {
    case 'issueDefault': return made(await keys.issueDefault(by, { environment: asked.environment, idempotencyKey }))
    case 'issue': {
      const { environment, access, scopes } = asked
      return made(await keys.issue(by, { label: 'Named', environment, access, ...(scopes !== undefined && { scopes }), ...expiry }, { idempotencyKey }))
    }
    case 'rotate': return made(await keys.rotate(by, asked.key, { overlapSeconds: asked.overlap * 3600, idempotencyKey }))
    case 'renew': return await keys.renew(by, asked.key, expiry)
    case 'update': return await keys.update(by, asked.key, { label: asked.label, scopes: asked.scopes, enabled: asked.enabled })
    case 'revoke': return await keys.revoke(by, asked.key)
    case 'revokeAll': return await keys.revokeAll(by)
  }
}

async function look ({ host, accountId, secrets }: Place, asked: Look<string>): Promise<unknown> {
  switch (asked.op) {
    case 'verify': {
      const result = await host.verify(secrets.get(asked.key)!, { allowPublishable: true, sameOrigin: true })
      return result.ok ? { publicId: result.apiKey.publicId, scopes: result.apiKey.scopes } : `${result.code} ${result.message}`
    }
    case 'list': {
      const { apiKeys, truncated } = await host.keys.list(accountId)
      return { keys: apiKeys.map(shown), truncated }
    }
    case 'count': return await host.keys.count(accountId)
    case 'audit': {
      const { logs, total } = await host.audit.list(accountId, { limit: 100 })
      return { total, entries: logs.map(({ id, action, targetId }) => [id, action, targetId]) }
    }
  }
}

/** What a test says that it has met: the change and who made it, or why it was refused. */
export function claimOf (asked: Ask<string>, answer: Answer): string {
  if (answer instanceof Error) return `${asked.op} ${answer.code}`
  const replayed = 'replayed' in answer && answer.replayed
  return `${asked.op} ${replayed ? 'replayed' : typeof asked.by === 'object' ? 'key' : asked.by}`
}

/** What of a key the model has an opinion on. */
function shown (key: ApiKey): object {
  const { publicId, label, environment, access, scopes, status, isDefault, disabledBy, createdAt, expiresAt, retiresAt, revokedAt, revokedReason, rotatedFrom } = key
  return { publicId, label, environment, access, scopes, status, isDefault, disabledBy, createdAt, expiresAt, retiresAt, revokedAt, revokedReason, rotatedFrom }
}

export class Life {
  /** @param ids the public ids of the model's keys, by their places */
  constructor (readonly model: Model, readonly ids: string[] = []) {}

  /** Another one, which goes on by itself from here. */
  fork (): Life { return new Life(this.model.fork(), [...this.ids]) }

  /**
   * Does what was asked for, at the model's time, too.
   * @param shownAt when the answer was written: a status is that of this time
   */
  compare (asked: Question, answer: Answer, shownAt = this.model.now): Compared {
    if (answer instanceof Error && isLook(asked)) return [`refused: ${answer.message}`, 'seen']
    return isLook(asked) ? [(answer as Seen).seen, this.#look(asked, shownAt)] : this.#change(asked, answer, shownAt)
  }

  #change (asked: Ask<string>, answer: Answer, shownAt: number): Compared {
    const expected = this.model.step(this.#named(asked))
    if ('refusals' in expected) {
      const codes = [...expected.refusals]
      if (!(answer instanceof Error)) return ['done', `refused: ${codes.join(' or ')}`]
      return codes.includes(answer.code) ? [answer.code, answer.code] : [`${answer.code}: ${answer.message}`, codes.join(' or ')]
    }
    if (answer instanceof Error) return [`${answer.code}: ${answer.message}`, 'done']
    return this.#done(answer, expected, shownAt)
  }

  #named (asked: Ask<string>): Ask {
    return {
      ...asked,
      ...('key' in asked && { key: this.ids.indexOf(asked.key) }),
      ...(typeof asked.by === 'object' && { by: { key: this.ids.indexOf(asked.by.key) } })
    } as Ask
  }

  #done (answer: Answer, { key, issued, all }: Done, shownAt: number): Compared {
    const idsOf = (places: readonly number[]): string[] => places.map((place) => this.ids[place]!).sort()
    if (all !== undefined) return [(answer as { revokedPublicIds: string[] }).revokedPublicIds.sort(), idsOf(all)]
    if (issued === undefined) return [shown(answer as ApiKey), this.key(key, shownAt)]
    const { plaintextKey, apiKey, action, replayed, revokedPublicIds } = answer as Issued
    const known = this.ids.includes(apiKey.publicId)
    if (issued.replayed !== true) this.ids.push(apiKey.publicId)
    return [
      { action, replayed, known, secret: plaintextKey !== null, ended: revokedPublicIds.sort(), apiKey: shown(apiKey) },
      { action: issued.action, replayed: issued.replayed === true, known: issued.replayed === true, secret: issued.replayed !== true, ended: idsOf(issued.ended), apiKey: this.key(key, shownAt) }
    ]
  }

  #look (asked: Look<string>, now: number): unknown {
    const { model, ids } = this
    switch (asked.op) {
      case 'verify': {
        const place = ids.indexOf(asked.key)
        const status = model.statusOf(model.keys[place]!, now)
        const refused = REFUSED[status]
        return refused === undefined ? { publicId: asked.key, scopes: model.keys[place]!.scopes } : `INVALID_API_KEY The API key ${refused}.`
      }
      case 'list': return { keys: ids.map((_id, place) => this.key(place, now)).reverse(), truncated: false }
      case 'count': return { total: ids.length, active: model.countedAt(now) }
      case 'audit': return { total: model.audit.length, entries: model.audit.map(([change, key], back) => [model.audit.length - back, change, ids[key]]).slice(0, 100) }
    }
  }

  /** As the library would show it. */
  key (place: number, now: number): object {
    const key = this.model.keys[place]!
    const time = (ms: number | null): string | null => ms === null ? null : toIso(ms)
    const retired = key.revokedAt === null && key.retiresAt !== null && key.retiresAt <= now
    return {
      publicId: this.ids[place],
      label: key.label,
      environment: key.environment,
      access: key.access,
      scopes: key.scopes,
      status: this.model.statusOf(key, now),
      isDefault: key.isDefault,
      disabledBy: key.disabledBy,
      createdAt: time(key.createdAt),
      expiresAt: time(key.expiresAt),
      retiresAt: time(key.retiresAt),
      revokedAt: time(retired ? key.retiresAt : key.revokedAt),
      revokedReason: retired ? 'rotated' : key.revokedReason,
      rotatedFrom: key.rotatedFrom === null ? null : this.ids[key.rotatedFrom]
    }
  }
}
