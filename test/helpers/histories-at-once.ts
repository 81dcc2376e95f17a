// What clients of one account do at once: histories that chance makes, those that it seldom would, and some that are played every time.
import fc from 'fast-check'
import type { Stall } from './gates.js'
import { CHANGES, PASSES, type Change, type Pass } from './key-histories.js'
import type { Look } from './key-life.js'

export type Move = Change | Pass | Look<number>

/** What happens to an account: first one thing after the other, then what its clients and those of a neighbour do at once. */
export interface History {
  readonly before: ReadonlyArray<Change | Pass>
  readonly clients: ReadonlyArray<readonly Move[]>
  readonly neighbour: readonly Change[]
  /** Have the instances verified the keys before, so that those which hold keys in memory do? */
  readonly warm: boolean
  readonly stalls: readonly Stall[]
  /** Which messages between the instances are lost; beyond these, none. */
  readonly lost: readonly boolean[]
}

const LOOKS: fc.Arbitrary<Look<number>> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('verify' as const), key: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('list' as const, 'count' as const, 'audit' as const) }) }
)
const MOVES: fc.Arbitrary<Move> = fc.oneof({ weight: 12, arbitrary: CHANGES }, { weight: 5, arbitrary: LOOKS }, { weight: 1, arbitrary: PASSES })
const moves = (maxLength: number): fc.Arbitrary<Move[]> => fc.array(MOVES, { minLength: 1, maxLength, size: 'max' })
/** The first stops in the middle of what it does until the others are done. */
const stopping = (gate: number): Stall[] => [{ client: 1, gate: 0 }, { client: 2, gate: 0 }, { client: 0, gate }]
const gateNumber = fc.nat({ max: 24 })
const EITHER = {
  stalls: fc.oneof(
    fc.array(fc.record({ client: fc.nat({ max: 2 }), gate: fc.oneof(fc.constant(0), gateNumber) }), { maxLength: 4, size: 'max' }),
    gateNumber.map(stopping)
  ),
  warm: fc.boolean(),
  lost: fc.array(fc.boolean(), { maxLength: 6 })
}
const CHANCE: fc.Arbitrary<History> = fc.record({
  before: fc.array(fc.oneof({ weight: 6, arbitrary: CHANGES }, { weight: 1, arbitrary: PASSES }), { maxLength: 8, size: 'max' }),
  clients: fc.oneof(fc.tuple(moves(3), moves(3)), fc.tuple(moves(2), moves(2), moves(2))),
  neighbour: fc.array(CHANGES, { maxLength: 2 }),
  ...EITHER
})

const asked = { by: 'owner', environment: 'live', idempotency: undefined } as const
const NAMED: Change = { ...asked, op: 'issue', access: 'secret', scopes: null, hours: 20 }
const DEFAULT: Change = { ...asked, op: 'issueDefault' }
const rotate = (key: number, overlap = 0): Change => ({ ...asked, op: 'rotate', key, overlap })
const renew = (key: number): Change => ({ op: 'renew', by: 'owner', key, hours: undefined })
const revoke = (key: number): Change => ({ op: 'revoke', by: 'owner', key })
const LIST: Move = { op: 'list' }
const rename = (key: number): Change => ({ op: 'update', by: 'owner', key, label: 'x', scopes: undefined, enabled: undefined })
const verify = (key: number): Move => ({ op: 'verify', key })
const pass = (hours: number): Pass => ({ op: 'pass', hours })

/** What chance seldom brings: first what there is, then what each client does. */
const SELDOM: ReadonlyArray<readonly [before: History['before'], ...clients: Move[][]]> = [
  // The first keys of an account that is not there yet.
  [[], [DEFAULT, DEFAULT], [DEFAULT]],
  [[], [{ ...DEFAULT, idempotency: 0 }], [{ ...DEFAULT, idempotency: 0 }, { ...NAMED, idempotency: 0 }]],
  [[], [{ ...NAMED, idempotency: 0 }], [{ ...NAMED, idempotency: 0 }, { op: 'again', back: 0 }], [{ ...NAMED, idempotency: 0 }]],
  // One place is left.
  [[NAMED, NAMED], [NAMED], [NAMED], [DEFAULT]],
  [[NAMED, NAMED, NAMED, pass(19), pass(1)], [NAMED, NAMED, NAMED], [renew(0), renew(1), renew(2)]],
  // A key that is no default key any more is renewed like a named one.
  [[DEFAULT, pass(30)], [renew(0), LIST], [DEFAULT, LIST]],
  [[DEFAULT, pass(19)], [renew(0), LIST], [pass(1), DEFAULT], [LIST]],
  // All at one key, and those who use it meanwhile.
  [[NAMED], [rotate(0), verify(1)], [renew(0), verify(0)], [revoke(0), verify(0)]],
  [[DEFAULT], [rotate(0, 5)], [DEFAULT, verify(0)], [rotate(0), verify(1)]],
  [[NAMED, rotate(0, 10)], [rotate(0, 5)], [verify(0), verify(1)], [LIST, { op: 'audit' }]],
  [[NAMED], [verify(0), verify(0)], [revoke(0), verify(0)], [verify(0), verify(0)]],
  // Each at another key.
  [[NAMED, NAMED], [rotate(0), renew(1)], [rotate(1), renew(0)], [rename(0), rename(1)]],
  [[NAMED, DEFAULT], [revoke(1), renew(0)], [DEFAULT, renew(0)]],
  [[NAMED, NAMED, DEFAULT], [revoke(2)], [rotate(1)], [DEFAULT, LIST]],
  [[NAMED, DEFAULT], [{ op: 'revokeAll', by: 'owner' }], [DEFAULT, verify(0)]],
  // Two keys end at one moment.
  [[NAMED, NAMED], [{ op: 'revokeAll', by: 'owner' }], [verify(0), verify(1)], [verify(1), verify(0)]],
  // Somebody acts with a key that ends.
  [[NAMED], [{ ...NAMED, by: { key: 0 } }, { op: 'audit' }], [{ op: 'update', by: 'host', key: 0, label: undefined, scopes: undefined, enabled: false }], [{ op: 'count' }]],
  [[NAMED, DEFAULT], [{ op: 'revokeAll', by: 'owner' }, { op: 'count' }], [{ ...DEFAULT, by: { key: 1 } }], [{ op: 'count' }, { op: 'audit' }]]
]

export const HISTORIES: fc.Arbitrary<History> = fc.oneof(
  { weight: 1, arbitrary: CHANCE },
  {
    weight: 1,
    arbitrary: fc.record({ course: fc.constantFrom(...SELDOM), ...EITHER })
      .map(({ course: [before, ...clients], ...either }) => ({ before, clients, neighbour: [DEFAULT], ...either }))
  }
)

/** Not left to chance. */
export const FIXED: readonly History[] = [
  // A rotation that ends two keys stops at each of its steps, while others look at both: they have ended, or they have not.
  ...Array.from({ length: 24 }, (_none, gate) => ({
    before: [NAMED, rotate(0, 10)],
    clients: [[rotate(0)], [verify(0), verify(1), LIST], [verify(1), verify(0), { op: 'count' as const }, { op: 'audit' as const }]],
    neighbour: [],
    warm: true,
    stalls: stopping(gate),
    lost: []
  })),
  // What was found before a revocation comes after it: nothing that comes later may be answered by it.
  ...Array.from({ length: 6 }, (_none, gate) => ({
    before: [NAMED], clients: [[verify(0), verify(0)], [revoke(0)]], neighbour: [], warm: false, stalls: stopping(gate), lost: []
  })),
  // No instance gets a message of a revocation.
  { before: [NAMED], clients: [[revoke(0)], [verify(0)]], neighbour: [], warm: true, stalls: [{ client: 1, gate: 0 }], lost: [true, true] }
]
