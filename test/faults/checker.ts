// Judges a run from outside: what its clients recorded and what its database holds in the end, against the invariants. Pure.
//
// I1 one default key · I2 what was acknowledged stands · I3 what was not is all or nothing · I4, I5 what has ended never passes
// and never changes · I6 usage never counts too much · I9 one audit entry a change · I10 closed and in time while the database is
// away · I12 no 5xx but a declared 503, no crash · I13 a process ends in time.
import type { StoredAuditEntry } from '../../lib/audit/audit-entry.js'
import type { StoredKey } from '../../lib/keys/api-key.js'

/** One request and what became of it. Times are ms of one monotonic clock for the whole history. */
export interface Operation {
  /** Which process was asked. */
  readonly process: string
  readonly account: string
  readonly action: 'issue default' | 'issue' | 'rotate' | 'revoke' | 'call'
  /** The key that was presented, rotated or revoked. */
  readonly publicId: string | null
  readonly start: number
  readonly end: number
  /** null: the connection broke; what became of the request is not known. */
  readonly status: number | null
  /** Of an error. */
  readonly code: string | null
  readonly retryAfter: string | null
  /** The key that was made. */
  readonly made: string | null
  /** The keys that ended with it. */
  readonly replaced: readonly string[]
  /** Of a revoked key, as it was answered. */
  readonly revokedAt: string | null
}

/** How a process ended. */
export interface ProcessEnd {
  readonly process: string
  /** Was it killed by the test? */
  readonly killedAt: number | null
  /** Usage of requests that ended from then on may be missing; null: none may. */
  readonly usageLostFrom: number | null
  /** Exit code, or the signal that ended it. */
  readonly code: number | string
  /** How long a graceful end took, and how long it may; both 0 after a kill. */
  readonly ms: number
  readonly allowed: number
}

export interface AccountState {
  readonly account: string
  readonly keys: readonly StoredKey[]
  readonly audit: readonly StoredAuditEntry[]
  /** By public id. */
  readonly requests: ReadonlyMap<string, number>
}

export interface Run {
  readonly operations: readonly Operation[]
  readonly processes: readonly ProcessEnd[]
  /** While the database could not be reached at all. */
  readonly outages: ReadonlyArray<{ readonly from: number, readonly to: number }>
  /** ms that an answer may take. */
  readonly limit: number
}

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I9' | 'I10' | 'I12' | 'I13'

/** @returns `I2: …` for each violation that is seen */
export function violations (run: Run, accounts: readonly AccountState[]): string[] {
  const found: string[] = []
  const expect = (invariant: Invariant, holds: boolean, what: () => string): void => {
    if (!holds) found.push(`${invariant}: ${what()}`)
  }
  const of = byKey(run.operations, ({ account }) => account)
  for (const state of accounts) {
    const operations = of.get(state.account) ?? []
    judgeKeys(operations, state, expect)
    judgeAudit(state, expect)
    judgeCalls(operations, expect)
    judgeUsage(operations, run.processes, state, expect)
  }
  judgeAnswers(run, expect)
  judgeEnds(run, expect)
  return found
}

/** `Map.groupBy`, which Node 20 does not have. */
function byKey<T> (items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return groups
}

type Expect = (invariant: Invariant, holds: boolean, what: () => string) => void

const acknowledged = ({ status }: Operation): boolean => status !== null && status >= 200 && status < 300
/** A 503 may come after a commit whose answer was lost. */
const mayHaveHappened = ({ status }: Operation): boolean => status === null || status === 503

/** I1, I2, I3, and of I5 that nothing changes an end. */
function judgeKeys (operations: readonly Operation[], { account, keys }: AccountState, expect: Expect): void {
  const stored = new Map(keys.map((key) => [key.publicId, key]))
  for (const environment of ['live', 'test']) {
    const holders = keys.filter((key) => key.isDefault && key.environment === environment)
    expect('I1', holders.length <= 1, () => `${account} has ${holders.length} default keys of ${environment}: ${holders.map(({ publicId }) => publicId).join()}`)
  }
  for (const operation of operations.filter(acknowledged)) {
    const { action, made, replaced, publicId, revokedAt } = operation
    if (made !== null) {
      const key = stored.get(made)
      expect('I2', key !== undefined, () => `${made} was answered to "${action}" and is not there`)
      expect('I2', key === undefined || key.rotatedFrom === (replaced[0] ?? null), () => `${made} was answered as the successor of ${replaced[0]} and is that of ${key!.rotatedFrom}`)
    }
    for (const old of replaced) expect('I2', typeof stored.get(old)?.revokedAt === 'number', () => `${old} was replaced, as was answered, and has not ended`)
    if (action === 'revoke') {
      const at = stored.get(publicId!)?.revokedAt ?? null
      expect('I2', at !== null, () => `${publicId} was revoked, as was answered, and has not ended`)
      expect('I5', at === null || Date.parse(revokedAt!) === at, () => `${publicId} was revoked at ${revokedAt}, as was answered, and is now at ${new Date(at!).toISOString()}`)
    }
  }
  const successors = byKey(keys.filter(({ rotatedFrom }) => rotatedFrom !== null), ({ rotatedFrom }) => rotatedFrom!)
  for (const [old, next] of successors) {
    expect('I3', next.length === 1, () => `${old} has ${next.length} successors: ${next.map(({ publicId }) => publicId).join()}`)
    expect('I3', stored.get(old)?.revokedReason === 'rotated', () => `${next[0]!.publicId} succeeds ${old}, which did not end so`)
  }
  for (const { publicId, revokedReason } of keys) {
    expect('I3', revokedReason !== 'rotated' || successors.has(publicId), () => `${publicId} was replaced by nothing`)
  }
  const answered = new Set(operations.map(({ made }) => made))
  const unanswered = keys.filter(({ publicId }) => !answered.has(publicId)).length
  const lost = operations.filter((operation) => /^(issue|rotate)/.test(operation.action) && mayHaveHappened(operation)).length
  expect('I3', unanswered <= lost, () => `${account} has ${unanswered} keys that nobody was told of, from ${lost} changes without an answer`)
}

/** I9: the log says what the rows say, entry for entry. */
function judgeAudit ({ account, keys, audit }: AccountState, expect: Expect): void {
  const ids = audit.map(({ id }) => id).sort((a, b) => a - b)
  expect('I9', ids.every((id, place) => id === place + 1), () => `the entries of ${account} do not count from 1 to ${ids.length}`)
  const count = byKey(audit, ({ action, targetId }) => `${action} ${targetId}`)
  const wanted = keys.flatMap(({ publicId, rotatedFrom, revokedReason }) => [
    rotatedFrom === null ? `api_key.issued ${publicId}` : `api_key.rotated ${rotatedFrom}`,
    ...revokedReason === null || revokedReason === 'rotated' ? [] : [`api_key.revoked ${publicId}`]
  ])
  for (const entry of wanted) {
    const entries = count.get(entry)?.length ?? 0
    expect('I9', entries === 1, () => `${account} has ${entries} entries "${entry}"`)
    count.delete(entry)
  }
  for (const entry of count.keys()) expect('I9', false, () => `${account} has an entry "${entry}" of a change that is not there`)
}

/** I4, I5: nothing passes that had ended before; I10: nothing good is called bad. */
function judgeCalls (operations: readonly Operation[], expect: Expect): void {
  /** When the end of a key was first answered, and when it was first asked for. */
  const endAnswered = new Map<string, number>()
  const endAsked = new Map<string, number>()
  const earliest = (times: Map<string, number>, publicId: string, time: number): void => { times.set(publicId, Math.min(time, times.get(publicId) ?? Infinity)) }
  /** A change of the default key may replace whichever it is. */
  let defaultsAsked = Infinity
  const defaults = new Set<string>()
  for (const operation of operations) {
    const { action, publicId, replaced, made, start, end } = operation
    if (action === 'call') continue
    if (action === 'issue default') {
      if (made !== null) defaults.add(made)
      if (mayHaveHappened(operation)) defaultsAsked = Math.min(defaultsAsked, start)
    } else if (publicId !== null) earliest(endAsked, publicId, start)
    if (!acknowledged(operation)) continue
    for (const old of action === 'revoke' ? [publicId!] : replaced) {
      earliest(endAnswered, old, end)
      earliest(endAsked, old, start)
    }
  }
  for (const { publicId, start, end, status } of operations.filter(({ action }) => action === 'call')) {
    if (status === 200) {
      const ended = endAnswered.get(publicId!) ?? Infinity
      expect('I4', start < ended, () => `${publicId} passed in a request that began ${(start - ended).toFixed(1)} ms after its end was answered`)
    }
    if (status === 401) {
      const asked = Math.min(endAsked.get(publicId!) ?? Infinity, defaults.has(publicId!) ? defaultsAsked : Infinity)
      expect('I10', asked < end, () => `${publicId} was refused at ${end.toFixed(1)}, and nobody had asked for its end`)
    }
  }
}

/** I6: at most what was sent, at least what was answered by processes that ended well, or long before they were killed. */
function judgeUsage (operations: readonly Operation[], processes: readonly ProcessEnd[], { requests }: AccountState, expect: Expect): void {
  const lostFrom = new Map(processes.map(({ process, usageLostFrom }) => [process, usageLostFrom ?? Infinity]))
  const sent = new Map<string, number>()
  const kept = new Map<string, number>()
  const add = (counts: Map<string, number>, publicId: string): void => { counts.set(publicId, 1 + (counts.get(publicId) ?? 0)) }
  for (const { action, process, publicId, status, end } of operations) {
    // A key that could not be looked up is not identified.
    if (action !== 'call' || status === 503) continue
    add(sent, publicId!)
    if (status !== null && end < lostFrom.get(process)!) add(kept, publicId!)
  }
  for (const publicId of new Set([...sent.keys(), ...requests.keys()])) {
    const recorded = requests.get(publicId) ?? 0
    expect('I6', recorded <= (sent.get(publicId) ?? 0), () => `${publicId} has ${recorded} requests recorded of ${sent.get(publicId) ?? 0} that were sent`)
    expect('I6', recorded >= (kept.get(publicId) ?? 0), () => `${publicId} has ${recorded} requests recorded of ${kept.get(publicId)} that must be`)
  }
}

/** I10, I12: how every single answer must look. */
function judgeAnswers ({ operations, processes, outages, limit }: Run, expect: Expect): void {
  const killedAt = new Map(processes.map(({ process, killedAt }) => [process, killedAt]))
  for (const operation of operations) {
    const { action, process, start, end, status, code, retryAfter } = operation
    const named = (): string => `"${action}" to ${process}, ${start.toFixed(1)} to ${end.toFixed(1)}, answered ${status} ${code ?? ''}`
    expect('I10', end - start <= limit, () => `${named()} after more than ${limit} ms`)
    if (status === null) {
      const killed = killedAt.get(process) ?? null
      expect('I12', killed !== null && end >= killed, () => `${named()}: the connection broke, and nobody had killed the process`)
    } else if (status >= 500) {
      expect('I12', status === 503 && code === 'STORAGE_UNAVAILABLE' && retryAfter !== null, () => `${named()}, Retry-After: ${retryAfter}`)
    }
    const away = outages.some(({ from, to }) => start > from && end < to)
    expect('I10', !away || status === null || status === 503, () => `${named()} while the database was away`)
  }
}

/** I12, I13: processes end when they are told to, cleanly and in time. */
function judgeEnds ({ processes }: Run, expect: Expect): void {
  for (const { process, killedAt, code, ms, allowed } of processes) {
    const wanted = killedAt === null ? 0 : 'SIGKILL'
    expect('I12', code === wanted, () => `${process} ended with ${code}, not ${wanted}`)
    expect('I13', ms <= allowed, () => `${process} took ${ms.toFixed(0)} ms to end, of ${allowed}`)
  }
}
