// Values that nobody meant: what a host's configuration, or a caller in its process, may hand in by mistake or out of malice.
import fc, { type Arbitrary } from 'fast-check'

/** Another seed, or more runs: `FUZZ_SEED=7 FUZZ_RUNS=2000`. A failure prints the seed and the smallest value that shows it. */
export const SEED = Number(process.env.FUZZ_SEED ?? 20260115)
export const runs = (usual: number): number => Number(process.env.FUZZ_RUNS ?? usual)

function throwing (): never {
  throw new TypeError('what was handed in throws')
}

/** Throws at whatever is asked of it. */
function hostile (target: object = {}): object {
  return new Proxy(target, { get: throwing, has: throwing, ownKeys: throwing, getPrototypeOf: throwing, getOwnPropertyDescriptor: throwing, apply: throwing })
}

function revoked (target: object = {}): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

class Settings { max = 1 }
/** Made text, a number or a key of, it throws. */
const UNSPEAKABLE = { toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing, toJSON: throwing }

/** What throws at whatever is asked of it: fast-check, which asks of everything whether it can be cloned, can do nothing with these. */
const HOSTILE: readonly unknown[] = [hostile(), hostile([]), hostile(() => {}), revoked(), revoked([]), revoked(() => {})]

const ODD: readonly unknown[] = [
  undefined, null, true, false, NaN, -1, 0, -0, 0.5, 1, 2, 5, 100, 1000, Infinity, -Infinity, 2 ** 31, 2 ** 53, Number.MAX_SAFE_INTEGER, 1e21, 5n, 2n ** 64n, Symbol('s'),
  '', ' ', '0', '5', ' 5', '5 ', '-1', '1e3', '0x10', '1e400', 'NaN', 'Infinity', 'true', 'false', 'null', 'undefined', '[object Object]', '__proto__', 'constructor',
  '1 fortnight', '1  day', ' 1 day', '1 day ', '1 Day', '1.5 days', '-1 day', '0 days', '1\u00a0day', '١ day', '1 day\n', '1,day', '1 day 2 hours', 'day', '1',
  '1 day', '30s', '90 days', '101 years', '\0', 'a\0b', '\ud800', 'é', 'a b', 'a\nb', '/', '/x', '//x', '/../x', 'x'.repeat(1e5), `/${'x'.repeat(300)}`,
  Object('5'), Object(5), Object(false), Object('x'), new Date(NaN), new Date(5), /x/g, new Error('x'), new URL('https://a.example'),
  [], [[]], [undefined], [null], [NaN], ['5'], [Symbol('s')], new Array(1), new Array(3), new Array(2 ** 32 - 1), Object.assign([], { max: 1 }), Object.freeze([0]),
  Object.defineProperty([1], 0, { get: throwing }), new Uint8Array(3), Buffer.from('x'),
  {}, Object.create(null), { unknown: 1 }, { max: 1, unknown: 1 }, JSON.parse('{"__proto__":{"max":1}}'), { toString: () => '5' }, { valueOf: () => 5 }, UNSPEAKABLE, [UNSPEAKABLE],
  Object.create({ max: 1 }), Object.defineProperty({}, 'max', { enumerable: true, get: throwing }), { get unknown () { return throwing() } }, { [Symbol('s')]: 1 },
  new Settings(), Settings, new Map([['max', 1]]), new Set([1]), new WeakMap(), Promise.resolve({}), new Proxy({}, {}),
  globalThis
]

/** Each of another kind. */
export const STRANGE: readonly unknown[] = [...ODD, ...HOSTILE]

/** Any value that fast-check can hold: of those above, and of what it makes itself. */
export const anything: Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...ODD) },
  {
    weight: 3,
    arbitrary: fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      maxDepth: 2
    })
  },
  { weight: 1, arbitrary: fc.func(fc.anything({ maxDepth: 1 })) }
)

/** In a message: short, and never by a method of the value's own. */
export function shown (value: unknown): string {
  try {
    return fc.stringify(value).slice(0, 200)
  } catch {
    const place = STRANGE.indexOf(value)
    return place === -1 ? `what cannot be shown, ${typeof value}` : `STRANGE[${place}]`
  }
}

/** Checks `check` with every strange value, then with random ones of `more` and of any kind. */
export async function withAnything (check: (value: unknown) => Promise<void> | void, more: Arbitrary<unknown> = anything, usual = 60): Promise<void> {
  for (const value of STRANGE) {
    try {
      await check(value)
    } catch (error) {
      throw new Error(`with ${shown(value)}`, { cause: error })
    }
  }
  await fc.assert(fc.asyncProperty(fc.oneof(more, anything), async (value) => { await check(value) }), { numRuns: runs(usual), seed: SEED })
}
