// A model of what may happen to the keys of one account: statuses, slots, ends, refusals and the audit log, in the plainest words. It never asks the library.
import type { Access, Environment, KeyStatus } from '../../lib/index.js'
import { DAY, HOUR } from '../../lib/time.js'

const READ = ['a:read', 'b:read']
/** What the host of the account is set to. */
export const SCOPES = { 'a:read': 'A', 'b:read': 'B', 'c:write': 'C' }
export const MAX_KEYS = 3

/** ms; null: none. */
export interface Lifetimes { readonly named: number | null, readonly default: number | null, readonly most: number | null }

/** Who asks: a key by its name, which is a place for the model and a public id for the library. */
export type Who<K = number> = 'owner' | 'host' | { key: K }
/** ms since the epoch; null: never; undefined: not said. */
export type End = number | null | undefined
/** An idempotency key; undefined: none. */
export type Name = number | undefined
export type Scopes = string[] | null | undefined
/** A change that is asked for. */
export type Ask<K = number> =
  | { op: 'issueDefault', by: Who<K>, environment: Environment, idempotency: Name }
  | { op: 'issue', by: Who<K>, environment: Environment, access: Access, scopes: Scopes, end: End, idempotency: Name }
  /** `overlap`: hours. */
  | { op: 'rotate', by: Who<K>, key: K, overlap: number, idempotency: Name }
  | { op: 'renew', by: Who<K>, key: K, end: End }
  | { op: 'update', by: Who<K>, key: K, label: string | undefined, scopes: Scopes, enabled: boolean | undefined }
  | { op: 'revoke', by: Who<K>, key: K }
  | { op: 'revokeAll', by: Who<K> }
type Asked<O extends Ask['op']> = Extract<Ask, { op: O }>

export interface Key {
  label: string
  environment: Environment
  access: Access
  scopes: string[] | null
  isDefault: boolean
  disabledBy: 'account' | 'host' | null
  createdAt: number
  expiresAt: number | null
  retiresAt: number | null
  revokedAt: number | null
  revokedReason: string | null
  rotatedFrom: number | null
}

/** What an accepted change did: the key it is about, what it made and ended. */
export interface Done { key: number, issued?: { action: 'issued' | 'rotated', ended: number[], replayed?: true }, all?: number[] }

export class Model {
  /** A key's place is the number of those before it. */
  keys: Key[] = []
  /** Newest first: the change, and the key it was made to. */
  audit: Array<readonly [change: string, key: number]> = []
  /** By idempotency key. */
  requests = new Map<number, { request: string, done: Done, until: number }>()

  constructor (public now: number, readonly lifetimes: Lifetimes) {}

  /** Another one, which goes on by itself from here. */
  fork (): Model {
    const fork = new Model(this.now, this.lifetimes)
    fork.keys = this.keys.map((key) => ({ ...key }))
    fork.audit = [...this.audit]
    fork.requests = new Map(this.requests)
    return fork
  }

  statusOf ({ revokedAt, retiresAt, expiresAt, disabledBy }: Key, now = this.now): KeyStatus {
    if (revokedAt !== null || (retiresAt !== null && retiresAt <= now)) return 'revoked'
    if (expiresAt !== null && expiresAt <= now) return 'expired'
    if (disabledBy !== null) return 'disabled'
    return retiresAt === null ? 'active' : 'retiring'
  }

  works (key: Key): boolean { return ['active', 'retiring'].includes(this.statusOf(key)) }
  /** Keys that take one of the places an account has. */
  countedAt (now: number): number { return this.keys.filter((key) => ['active', 'disabled', 'retiring'].includes(this.statusOf(key, now))).length }
  get counted (): number { return this.countedAt(this.now) }
  defaultOf (environment: Environment): number { return this.keys.findIndex((key) => key.isDefault && key.environment === environment) }

  /** What is asked for is refused for one of the reasons collected, or done. */
  step (step: Ask): { refusals: Set<string> } | Done {
    const refusals = new Set<string>()
    const acting = typeof step.by === 'object' ? this.keys[step.by.key]! : null
    if (acting !== null && !this.works(acting)) refusals.add('INVALID_API_KEY')
    const target = 'key' in step ? this.keys[step.key] : undefined
    if ('key' in step && target === undefined) return { refusals: refusals.add('API_KEY_NOT_FOUND') }
    const facts = { refusals, acting, target: target!, self: 'key' in step ? step.key : -1 }
    const name = 'idempotency' in step ? step.idempotency : undefined
    const request = JSON.stringify(step)
    const before = this.requests.get(name ?? -1)
    if (before !== undefined && this.now < before.until) return this.again(step, request, facts, before)
    const change = this[step.op](step as never, facts)
    if (refusals.size > 0) return { refusals }
    const done = change()
    if (name !== undefined) this.requests.set(name, { request, done, until: this.now + DAY })
    return done
  }

  /** What the request itself is refused for, and whoever asks, comes first; it changes nothing in any case. */
  again (step: Ask, request: string, facts: Facts, { request: first, done: { key, issued } }: { request: string, done: Done }): { refusals: Set<string> } | Done {
    const { refusals, acting, target } = facts
    const asNew = new Set<string>()
    this[step.op](step as never, { ...facts, refusals: asNew })
    if (asNew.has('INVALID_REQUEST')) refusals.add('INVALID_REQUEST')
    if (request !== first) refusals.add('IDEMPOTENCY_KEY_REUSED')
    if (this.beyond(acting, this.keys[key]!) || (step.op === 'rotate' && this.beyond(acting, target))) refusals.add('FORBIDDEN')
    return refusals.size > 0 ? { refusals } : { key, issued: { ...issued!, replayed: true } }
  }

  /** Is it more than the acting key has? */
  beyond (acting: Key | null, { environment, scopes: own, access = 'secret' }: Pick<Key, 'environment' | 'scopes'> & { access?: Access }): boolean {
    if (acting === null) return false
    // A publishable key is asked for no scope, where it may be used.
    const scopes = access === 'publishable' ? null : own
    const tooLive = acting.environment === 'test' && environment === 'live'
    return tooLive || (acting.scopes !== null && (scopes === null || scopes.some((scope) => !acting.scopes!.includes(scope))))
  }

  /** What a key handed out by the acting one may live to; Infinity for ever. */
  latest (acting: Key | null): number {
    if (acting === null) return Infinity
    const { retiresAt, expiresAt } = acting
    const own = Math.min(retiresAt ?? Infinity, expiresAt ?? Infinity)
    return retiresAt === null && this.lifetimes.most !== null ? Math.max(own, this.now + this.lifetimes.most) : own
  }

  /** The end that was asked for, or the one that such a key has: cut to what is allowed, and to what the acting key may give. */
  end ({ refusals, acting }: Facts, asked: End, lifetime: number | null, keeps: (end: number) => boolean = () => true): number | null {
    const most = this.lifetimes.most === null ? Infinity : this.now + this.lifetimes.most
    if (asked === undefined) {
      const usual = Math.min(lifetime === null ? Infinity : this.now + lifetime, most)
      const end = Math.min(usual, this.latest(acting))
      if (end < usual && !keeps(end)) refusals.add('FORBIDDEN')
      return end === Infinity ? null : end
    }
    if ((asked ?? Infinity) > most || (asked ?? Infinity) <= this.now) refusals.add('INVALID_REQUEST')
    return asked
  }

  outlives (acting: Key | null, expiresAt: number | null): boolean { return (expiresAt ?? Infinity) > this.latest(acting) }

  add (key: Partial<Key> & Pick<Key, 'environment'>): number {
    return this.keys.push({
      label: 'Default',
      access: 'secret',
      scopes: READ,
      isDefault: false,
      disabledBy: null,
      createdAt: this.now,
      expiresAt: null,
      retiresAt: null,
      revokedAt: null,
      revokedReason: null,
      rotatedFrom: null,
      ...key
    }) - 1
  }

  revoked (key: Key, reason: string): void { Object.assign(key, { revokedAt: this.now, revokedReason: reason, isDefault: false }) }

  /** @returns the successor */
  replace (old: number, expiresAt: number | null, overlap: number): Done {
    const key = this.keys[old]!
    const { label, environment, access, scopes, isDefault, rotatedFrom } = key
    const ended = rotatedFrom === null || this.statusOf(this.keys[rotatedFrom]!) !== 'retiring' ? [] : [rotatedFrom]
    for (const predecessor of ended) this.revoked(this.keys[predecessor]!, 'rotated')
    if (overlap === 0) {
      this.revoked(key, 'rotated')
      ended.push(old)
    } else {
      Object.assign(key, { isDefault: false, retiresAt: Math.min(this.now + overlap, key.expiresAt ?? Infinity) })
    }
    const next = this.add({ label, environment, access, scopes, isDefault, expiresAt, rotatedFrom: old })
    this.audit.unshift(['api_key.rotated', old])
    return { key: next, issued: { action: 'rotated', ended } }
  }

  issueDefault ({ environment }: Asked<'issueDefault'>, facts: Facts): () => Done {
    const { refusals, acting } = facts
    const place = this.defaultOf(environment)
    const holder = this.keys[place]
    if (holder?.disabledBy === 'host') refusals.add('API_KEY_NOT_ACTIVE')
    const rotates = holder !== undefined && this.statusOf(holder) !== 'expired'
    const expiresAt = this.end(facts, undefined, this.lifetimes.default, (end) => !rotates || end >= (holder.expiresAt ?? Infinity))
    if (this.beyond(acting, { environment, scopes: rotates ? holder.scopes : READ })) refusals.add('FORBIDDEN')
    if (!rotates && this.counted >= MAX_KEYS) refusals.add('KEY_LIMIT_REACHED')
    return () => {
      if (rotates) return this.replace(place, expiresAt, 0)
      if (holder !== undefined) holder.isDefault = false
      const key = this.add({ environment, isDefault: true, expiresAt })
      this.audit.unshift(['api_key.issued', key])
      return { key, issued: { action: 'issued', ended: [] } }
    }
  }

  issue ({ environment, access, scopes: asked, end }: Asked<'issue'>, facts: Facts): () => Done {
    const { refusals, acting } = facts
    if (access === 'publishable' && asked !== undefined) refusals.add('INVALID_REQUEST')
    const scopes = access === 'publishable' ? [] : asked === undefined ? READ : asked
    const expiresAt = this.end(facts, end, this.lifetimes.named)
    if (this.beyond(acting, { environment, scopes, access }) || this.outlives(acting, expiresAt)) refusals.add('FORBIDDEN')
    if (this.counted >= MAX_KEYS) refusals.add('KEY_LIMIT_REACHED')
    return () => {
      const key = this.add({ label: 'Named', environment, access, scopes, expiresAt })
      this.audit.unshift(['api_key.issued', key])
      return { key, issued: { action: 'issued', ended: [] } }
    }
  }

  rotate ({ overlap }: Asked<'rotate'>, facts: Facts): () => Done {
    const { refusals, acting, target, self } = facts
    if (this.statusOf(target) !== 'active') refusals.add('API_KEY_NOT_ACTIVE')
    const expiresAt = target.isDefault ? this.end(facts, undefined, this.lifetimes.default, (end) => end >= (target.expiresAt ?? Infinity)) : target.expiresAt
    if (this.beyond(acting, target) || this.outlives(acting, expiresAt)) refusals.add('FORBIDDEN')
    return () => this.replace(self, expiresAt, overlap * HOUR)
  }

  renew ({ by, end: asked }: Asked<'renew'>, facts: Facts): () => Done {
    const { refusals, acting, target, self } = facts
    const status = this.statusOf(target)
    if (!['active', 'disabled', 'expired'].includes(status) || (target.disabledBy === 'host' && by !== 'host')) refusals.add('API_KEY_NOT_ACTIVE')
    const expiresAt = this.end(facts, asked, target.isDefault ? this.lifetimes.default : this.lifetimes.named, (end) => end > (target.expiresAt ?? Infinity))
    if (this.beyond(acting, target) || this.outlives(acting, expiresAt)) refusals.add('FORBIDDEN')
    if (status === 'expired' && this.counted >= MAX_KEYS) refusals.add('KEY_LIMIT_REACHED')
    return () => {
      if (target.expiresAt !== expiresAt) this.audit.unshift(['api_key.renewed', self])
      target.expiresAt = expiresAt
      return { key: self }
    }
  }

  update ({ by, label, scopes, enabled }: Asked<'update'>, facts: Facts): () => Done {
    const { refusals, acting, target, self } = facts
    const status = this.statusOf(target)
    const hosts = target.disabledBy === 'host' && by !== 'host'
    if (status === 'revoked') refusals.add('API_KEY_NOT_ACTIVE')
    if (enabled !== undefined && status !== 'active' && status !== 'disabled') refusals.add('API_KEY_NOT_ACTIVE')
    if (enabled === true && hosts) refusals.add('API_KEY_NOT_ACTIVE')
    if (target.access === 'publishable' && scopes !== undefined) refusals.add('INVALID_REQUEST')
    const after = { ...target, ...(label !== undefined && { label }), ...(scopes !== undefined && { scopes }) }
    if (enabled !== undefined && !hosts) after.disabledBy = enabled ? null : by === 'host' ? 'host' : 'account'
    const stops = enabled === false && label === undefined && scopes === undefined
    // A key that may revoke another may also stop it.
    if (stops ? this.beyond(acting, stopped(target)) : this.beyond(acting, target) || this.beyond(acting, after) || this.outlives(acting, target.expiresAt)) refusals.add('FORBIDDEN')
    return () => {
      if (after.disabledBy !== target.disabledBy) this.audit.unshift([`api_key.${after.disabledBy === null ? 'enabled' : 'disabled'}`, self])
      else if (JSON.stringify(after) !== JSON.stringify(target)) this.audit.unshift(['api_key.updated', self])
      this.keys[self] = after
      return { key: self }
    }
  }

  revoke (_step: Asked<'revoke'>, { refusals, acting, target, self }: Facts): () => Done {
    if (this.beyond(acting, stopped(target))) refusals.add('FORBIDDEN')
    return () => {
      if (this.statusOf(target) !== 'revoked') {
        this.revoked(target, 'revoked')
        this.audit.unshift(['api_key.revoked', self])
      }
      return { key: self }
    }
  }

  revokeAll (_step: Asked<'revokeAll'>, { acting }: Facts): () => Done {
    return () => {
      const all = this.keys.map((_key, place) => place).filter((place) => {
        const key = this.keys[place]!
        return !['revoked', 'expired'].includes(this.statusOf(key)) && !this.beyond(acting, stopped(key))
      }).reverse()
      for (const place of all) {
        this.revoked(this.keys[place]!, 'revoked')
        this.audit.unshift(['api_key.revoked', place])
      }
      return { key: -1, all }
    }
  }
}

/** To stop a key, what it may do does not matter. */
function stopped (key: Key): Pick<Key, 'environment' | 'scopes'> {
  return { environment: key.environment, scopes: [] }
}

interface Facts { refusals: Set<string>, acting: Key | null, target: Key, self: number }
