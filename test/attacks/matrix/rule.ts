// What is expected in each cell, in plain words and of the documented contract alone: nothing here asks the library.
import { factsOf, PAGE_ORIGIN, type KeyFacts, type KeyName, type ScopeName, type Who } from './accounts.js'
import { LISTED_ORIGIN, type Facts } from './credentials.js'
import type { AccountTarget, Act, HostTarget, Method, Target } from './targets.js'

/** What the host chose. */
export interface HostKind { readonly keysOpenAccountRoutes: boolean, readonly cookiesMayChange: boolean }

/** `word`: what the table shows. `changes`: the account that is not the same afterwards. */
export interface Expected { readonly word: string, readonly changes: Who | null }

type Caller = { readonly by: 'session', readonly who: Who } | { readonly by: 'key', readonly who: Who, readonly key: KeyFacts }
/** Who a request is of, nobody where that is allowed, or the word of the refusal. */
type Identified = Caller | 'nobody' | { readonly refused: string }

const NOT_THERE: Expected = { word: '404', changes: null }
const isSafe = (method: Method): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(method)
const refused = (word: string): { refused: string } => ({ refused: word })

export function expectedOf (host: HostKind, target: Target, method: Method, facts: Facts): Expected {
  if (target.lane === 'account') return onAccountRoute(host, target, method, facts)
  if (target.lane === 'host') return onHostRoute(host, target, method, facts)
  if (method !== 'GET' && method !== 'HEAD') return NOT_THERE
  if (target.lane === 'page') return { word: '200', changes: null }
  // The token: to pages of this origin, of whoever the cookie signs in; no other credential is looked at.
  if (facts.origin !== undefined) return { word: '403 forbidden', changes: null }
  return { word: facts.cookie === undefined ? '401 session' : `200 ${facts.cookie}`, changes: null }
}

/** A bearer decides alone. A cookie only reads, unless the host lets cookies change things and the browser vouches for the page. */
function bySession (host: HostKind, method: Method, { bearer, cookie, authorizations, origin, sameOrigin }: Facts): Identified {
  if (authorizations === 2 || bearer === 'nobody') return refused('401 token')
  if (bearer !== undefined) return { by: 'session', who: bearer }
  if (cookie === undefined) return 'nobody'
  const vouchedFor = host.cookiesMayChange && (sameOrigin === true || origin === LISTED_ORIGIN)
  return isSafe(method) || vouchedFor ? { by: 'session', who: cookie } : refused('403 bearer')
}

/** A key that works at all. */
function byKey (name: KeyName | 'unknown' | 'two different'): Identified {
  if (name === 'two different') return refused('400 request')
  if (name === 'unknown') return refused('401 key')
  const key = factsOf(name)
  const ended = key.state !== undefined && key.state !== 'retiring'
  return ended ? refused('401 key') : { by: 'key', who: key.of ?? 'A', key }
}

function lacks ({ scopes }: KeyFacts, wanted: readonly ScopeName[]): boolean {
  return scopes !== undefined && !wanted.every((scope) => scopes.includes(scope))
}

function onHostRoute (host: HostKind, { rule, only }: HostTarget, method: Method, facts: Facts): Expected {
  const cell = (word: string): Expected => ({ word, changes: null })
  // The other methods of that path are a route of their own, which the scope guards.
  if (only !== undefined && !only.includes(method)) return method === 'GET' || method === 'HEAD' ? onHostRoute(host, GUARDED, method, facts) : NOT_THERE
  if (rule === null) return cell('200 nobody')
  if (rule === 'malformed') return cell('403 forbidden')
  let caller: Identified
  // A presented key decides alone.
  if (facts.key !== undefined) caller = byKey(facts.key)
  else if (rule.session === true) caller = bySession(host, method, facts)
  else caller = facts.bearer === undefined ? 'nobody' : refused('401 key')

  if (caller === 'nobody') return cell(rule.optional === true ? '200 nobody' : '401 no key')
  if ('refused' in caller) return cell(caller.refused)
  if (caller.by === 'session') return cell(`200 session ${caller.who}`)
  const { key, who } = caller
  if (key.access === 'publishable') {
    if (rule.allowPublishable !== true || (method !== 'GET' && method !== 'HEAD')) return cell('403 forbidden')
    return cell(facts.origin === PAGE_ORIGIN ? `200 key ${who}` : '403 origin')
  }
  if (rule.environments?.includes(key.environment ?? 'live') === false) return cell('403 forbidden')
  if (rule.scopes !== undefined && lacks(key, rule.scopes)) return cell(`403 lacks ${rule.scopes.join(' ')}`)
  const { anyOfScopes } = rule
  if (anyOfScopes?.every((scope) => lacks(key, [scope as ScopeName])) === true) return cell(`403 lacks ${anyOfScopes.join(' ')}`)
  return cell(`200 key ${who}`)
}

const GUARDED: HostTarget = { lane: 'host', name: '', url: '', rule: { scopes: ['data:read'] } }

function onAccountRoute (host: HostKind, { acts, thing }: AccountTarget, method: Method, facts: Facts): Expected {
  const act = method === 'HEAD' ? acts.GET : acts[method]
  if (act === undefined && method !== 'OPTIONS') return NOT_THERE
  const caller = callerOfAccountRoute(host, method, facts)
  if (caller === 'nobody') return { word: host.keysOpenAccountRoutes ? '401 no key' : '401 session', changes: null }
  if ('refused' in caller) return { word: caller.refused, changes: null }
  if (act === undefined) return { word: '204', changes: null }

  const mine = thing === null || thing.of === caller.who
  // A test key manages no sites, whatever there is of them.
  if (thing?.kind === 'site') {
    if (isTestKey(caller)) return { word: '403 forbidden', changes: null }
    return mine ? { word: `204 ${caller.who}`, changes: caller.who } : { word: '404 no such site', changes: null }
  }
  if (!mine) return { word: '404 no such key', changes: null }
  const ended = thing?.ended === true
  if (act === 'profile') return caller.by === 'session' ? { word: `200 ${caller.who}`, changes: null } : NOT_THERE
  if (act === 'read') return { word: `200 ${caller.who}`, changes: null }
  if (caller.by === 'key' && !mayGive(caller.key, act, ended)) return { word: '403 forbidden', changes: null }
  if (ended) return act === 'revoke' ? { word: `200 ${caller.who}`, changes: null } : { word: '409 ended', changes: null }
  const makes = ['issue default', 'issue named', 'rotate', 'add site'].includes(act)
  return { word: `${makes ? 201 : 200} ${caller.who}`, changes: caller.who }
}

/** Keys mean nothing here unless the host opened these routes to them; as a bearer they are then a token that names nobody. */
function callerOfAccountRoute (host: HostKind, method: Method, facts: Facts): Identified {
  const { key: name, keyIn, bearer } = facts
  if (!host.keysOpenAccountRoutes) return name !== undefined && keyIn === 'authorization' ? refused('401 token') : bySession(host, method, facts)
  if (name === undefined) return bySession(host, method, facts)
  // A key and a session token contradict each other.
  if (bearer !== undefined) return refused('400 request')
  const caller = byKey(name)
  if (caller === 'nobody' || !('key' in caller)) return caller
  if (caller.key.access === 'publishable') return refused('403 forbidden')
  const wanted = isSafe(method) ? 'account:read' : 'account:write'
  return lacks(caller.key, [wanted]) ? refused(`403 lacks ${wanted}`) : caller
}

function isTestKey (caller: Caller): boolean {
  return caller.by === 'key' && caller.key.environment === 'test'
}

/** What each act gives away, or touches: a live key with these scopes and this end; it must be within the key that asks. */
const GIVES: Partial<Record<Act, { readonly scopes: readonly ScopeName[], readonly endless: boolean }>> = {
  // Nobody chose when these end: that is cut to the end of the key that asks.
  'issue default': { scopes: ['account:read', 'data:read'], endless: false },
  'issue named': { scopes: ['data:read'], endless: false },
  rotate: { scopes: ['data:write'], endless: true },
  renew: { scopes: ['data:write'], endless: true },
  rename: { scopes: ['data:write'], endless: true }
}

/** @param ended is it about the key that was revoked, whose end is before that of any that asks? */
function mayGive (key: KeyFacts, act: Act, ended: boolean): boolean {
  if (key.environment === 'test') return false
  const given = GIVES[act]
  return given === undefined || !(lacks(key, given.scopes) || (given.endless && !ended && key.state === 'retiring'))
}
