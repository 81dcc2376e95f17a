// The limit on failed verifications: who counts as one client, for how long, and how much is remembered.
import t from 'tap'
import { failedVerifications, type FailedVerifications } from '../../lib/rate-limit/failed-verifications.js'
import type { RateLimit } from '../../lib/rate-limit/rate-limit.js'
import { MINUTE } from '../../lib/time.js'
import { testClock } from '../helpers/app.js'

const TWO: RateLimit = { name: 'failed-verifications', max: 2, windowMs: MINUTE }

/** Does the second address find the limit used up that the first one used up? */
function areOne (a: string | undefined, b: string | undefined): boolean {
  const failures = failedVerifications(TWO, testClock())
  for (let i = 0; i < 3; i++) failures.note(a)
  return failures.note(b) !== null
}

t.test('so many failures of an address are let through in a window, and told of the limit after that', async (t) => {
  const clock = testClock()
  const failures = failedVerifications(TWO, clock)
  t.same([failures.note('192.0.2.1'), failures.note('192.0.2.1')], [null, null])
  clock.pass(20_000)
  t.strictSame(failures.note('192.0.2.1'), { limit: TWO, remaining: 0, resetMs: 40_000 })
  t.equal(failures.note('192.0.2.2'), null, 'another address is not held up')
  clock.wall += 10 * MINUTE
  clock.pass(39_999)
  t.strictSame(failures.note('192.0.2.1'), { limit: TWO, remaining: 0, resetMs: 1 }, 'trying again, or a wall clock that jumps, moves no end')
  clock.pass(1)
  t.same([failures.note('192.0.2.1'), failures.note('192.0.2.1')], [null, null])
  t.not(failures.note('192.0.2.1'), null)
})

t.test('there is none where the host asks for none', async (t) => {
  const failures = failedVerifications(null, testClock())
  t.same(Array.from({ length: 1000 }, () => failures.note('192.0.2.1')).filter((limit) => limit !== null), [])
})

t.test('one client is', async (t) => {
  const same: Record<string, Array<[string | undefined, string | undefined]>> = {
    'an IPv4 address, also where it is mapped into IPv6, however that is written': [
      ['192.0.2.1', '192.0.2.1'], ['192.0.2.1', '::ffff:192.0.2.1'], ['::FFFF:192.0.2.1', '192.0.2.1'], ['192.0.2.1', '::ffff:c000:201'],
      ['192.0.2.1', '0:0:0:0:0:ffff:192.0.2.1'], ['::ffff:192.0.2.1%eth0', '192.0.2.1']
    ],
    'the 64 bits of an IPv6 network, however they are written': [
      ['2001:db8::1', '2001:db8::1'], ['2001:db8::1', '2001:db8::2'], ['2001:db8::1', '2001:DB8:0:0:ffff:ffff:ffff:ffff'],
      ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::'], ['2001:db8::192.0.2.1', '2001:db8::1'], ['::192.0.2.1', '::1']
    ],
    'an address of IPv6 whatever its zone': [['fe80::1%eth0', 'fe80::1'], ['fe80::1%eth0', 'fe80::2%eth1']],
    'an address whatever port stands behind it': [['192.0.2.1:443', '192.0.2.1:5'], ['192.0.2.1:443', '192.0.2.1'], ['[2001:db8::1]:443', '2001:db8::2'], ['[::ffff:192.0.2.1]:1', '192.0.2.1'], ['[2001:db8::1]', '2001:db8::']],
    'whoever has no address': [[undefined, undefined], [undefined, '']]
  }
  for (const [name, pairs] of Object.entries(same)) {
    await t.test(name, async (t) => { for (const [a, b] of pairs) t.equal(areOne(a, b), true, `${a} and ${b}`) })
  }
})

t.test('two clients are', async (t) => {
  const different: Array<[string | undefined, string | undefined]> = [
    ['192.0.2.1', '192.0.2.2'], ['192.0.2.1', '::ffff:192.0.2.2'], ['2001:db8::1', '2001:db8:0:1::1'], ['::1', '0:0:0:1::1'],
    ['192.0.2.1', '::192.0.2.1'], ['192.0.2.1', '64:ff9b::192.0.2.1'], ['192.0.2.1', undefined], ['192.0.2.1', 'garbage']
  ]
  for (const [a, b] of different) t.equal(areOne(a, b), false, `${a} and ${b}`)
})

t.test('text that is no address counts for itself, whatever it is', async (t) => {
  const texts = ['garbage', '192.0.2.1%x', '[::1', '::ffff:999.0.0.1', '%', ':', '::1.2.3.4.5', '1'.repeat(10_000), '\0', '用户', '__proto__', 'constructor']
  for (const text of texts) {
    t.equal(areOne(text, text), true, text.slice(0, 40))
    t.equal(areOne(text, `${text}2`), false, text.slice(0, 40))
  }
})

t.test('fifty thousand addresses are remembered at most: of more, those that failed first are forgotten', async (t) => {
  const failures = failedVerifications(TWO, testClock())
  const refusals = (count: number, from: number): number => {
    let refused = 0
    for (let i = from; i < from + count; i++) {
      const ip = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
      for (let j = 0; j < 2; j++) if (failures.note(ip) !== null) refused++
    }
    return refused
  }
  t.equal(refusals(50_000, 0), 0)
  t.equal(refusals(1, 0), 2, 'all are remembered')
  t.equal(refusals(10, 50_000), 0)
  t.equal(refusals(1, 10), 2, 'those that came after are')
  t.equal(refusals(1, 9), 0, 'the ten that came first are not')
})

t.test('two plugins count apart', async (t) => {
  const clock = testClock()
  const [one, other]: FailedVerifications[] = [failedVerifications(TWO, clock), failedVerifications(TWO, clock)]
  for (let i = 0; i < 3; i++) one!.note('192.0.2.1')
  t.equal(other!.note('192.0.2.1'), null)
})
