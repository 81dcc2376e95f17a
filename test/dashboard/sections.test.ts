// What the usage section and the audit log work out before they draw.
import t from 'tap'
import { firstShown, withPage, type AuditStart } from '../../lib/dashboard/page/audit/audit-pages.js'
import { barsOf, busySlots, columnsOf, edgesOf, rateText, tickTexts } from '../../lib/dashboard/page/usage/figures.js'
import { DAY, HOUR, MINUTE, toIso } from '../../lib/time.js'

const START = Date.UTC(2025, 2, 29, 23)
const timelineOf = (requests: readonly number[], slot = HOUR) =>
  requests.map((requests, place) => ({ start: toIso(START + place * slot), requests, failures: Math.floor(requests / 2) }))

t.test('the chart\'s columns', async (t) => {
  t.test('are the middles of the slots, their requests and their failures', async (t) => {
    t.same(columnsOf(timelineOf([4, 0, 3])), [[START + 30 * MINUTE, START + 90 * MINUTE, START + 150 * MINUTE], [4, 0, 3], [2, 0, 1]])
  })

  t.test('reach from the start of the first slot to the end of the last, whatever a slot\'s length', async (t) => {
    for (const slot of [MINUTE, HOUR, DAY]) {
      const [middles] = columnsOf(timelineOf([0, 0, 0, 0], slot))
      t.same(edgesOf(middles), [START, START + 4 * slot])
    }
  })
})

t.test('the table beside the chart has every slot in which something happened, in their order, and no other', async (t) => {
  const timeline = timelineOf([0, 4, 0, 1, 0])
  t.same(busySlots(timeline), [timeline[1], timeline[3]])
  t.same(busySlots(timelineOf([0, 0])), [])
})

t.test('bars', async (t) => {
  t.test('are as wide as the key\'s part of the most that any has; failures are a part of their own bar', async (t) => {
    t.same(barsOf([{ requests: 200, failures: 50 }, { requests: 50, failures: 50 }, { requests: 100, failures: 0 }]), [
      { width: 100, failed: 25 }, { width: 25, failed: 100 }, { width: 50, failed: 0 }
    ])
  })

  t.test('can be seen, however little they stand for, and not where they stand for nothing', async (t) => {
    t.same(barsOf([{ requests: 1_000_000, failures: 1 }, { requests: 1, failures: 0 }, { requests: 0, failures: 0 }]), [
      { width: 100, failed: 1 }, { width: 1, failed: 0 }, { width: 0, failed: 0 }
    ])
  })

  t.test('of no keys are none', async (t) => { t.same(barsOf([]), []) })
})

t.test('a failure rate', async (t) => {
  t.test('is written in the reader\'s language, to a tenth', async (t) => {
    t.equal(rateText(1, 8, 'en'), '12.5%')
    t.equal(rateText(1, 3, 'en'), '33.3%')
    t.equal(rateText(1, 8, 'de'), '12,5\u00a0%')
    t.equal(rateText(0, 8, 'en'), '0%')
    t.equal(rateText(8, 8, 'en'), '100%')
  })

  t.test('is not none where one failed, and not all where one did not', async (t) => {
    t.equal(rateText(1, 1_000_000, 'en'), '< 0.1%')
    t.equal(rateText(999_999, 1_000_000, 'en'), '> 99.9%')
    t.equal(rateText(1, 1000, 'en'), '0.1%')
    t.equal(rateText(999, 1000, 'en'), '99.9%')
  })

  t.test('of no requests is none', async (t) => { t.equal(rateText(0, 0, 'en'), null) })
})

t.test('ticks are hours of the reader\'s time zone, and days where one begins or steps are days', async (t) => {
  const texts = tickTexts('en')
  const local = (day: number, hour: number, minute = 0): number => new Date(2025, 6, day, hour, minute).getTime()
  const written = texts([local(1, 22), local(2, 0), local(2, 0, 30), local(2, 13, 5)], HOUR).map((text) => text.replace('\u202f', ' '))
  t.same(written, ['10:00 PM', 'Jul 2', '12:30 AM', '1:05 PM'])
  t.same(texts([local(1, 0), local(2, 1)], DAY), ['Jul 1', 'Jul 2'])
  t.same(tickTexts('de')([local(1, 22)], HOUR), ['22:00'])
})

t.test('the audit log\'s pages', async (t) => {
  const entries = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, place) => ({
    id: from - place, time: toIso(START), action: 'login', actor: null, credential: 'host' as const, targetType: null, targetId: null, detail: '', ip: null, requestId: null
  }))
  const start: AuditStart = { search: '', logs: entries(120, 71), total: 120, limit: 50, offset: 0 }
  const idsOf = ({ logs }: { logs: ReadonlyArray<{ id: number }> }): number[] => logs.map(({ id }) => id)
  const down = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, place) => from - place)

  t.test('follow each other until all is shown', async (t) => {
    const first = firstShown(start)
    t.same([idsOf(first), first.next], [down(120, 71), 50])
    const second = withPage(first, { ...start, logs: entries(70, 21), offset: 50 })
    t.same([idsOf(second), second.next, second.start], [down(120, 21), 100, start])
    const third = withPage(second, { ...start, logs: entries(20, 1), offset: 100 })
    t.same([idsOf(third), third.next], [down(120, 1), null])
    t.same(idsOf(first), down(120, 71), 'what was shown before is as it was')
  })

  t.test('show no entry twice and leave none out where entries came meanwhile', async (t) => {
    // Three more since: the page at offset 50 begins with three that are shown.
    const second = withPage(firstShown(start), { ...start, logs: entries(73, 24), offset: 50, total: 123 })
    t.same([idsOf(second), second.next], [down(120, 24), 100])
    const third = withPage(second, { ...start, logs: entries(23, 1), offset: 100, total: 123 })
    t.same([idsOf(third), third.next], [down(120, 1), null])
  })

  t.test('go on where a whole page came meanwhile', async (t) => {
    const second = withPage(firstShown(start), { ...start, logs: entries(120, 71), offset: 50, total: 170 })
    t.same([idsOf(second), second.next], [down(120, 71), 100])
  })

  t.test('end where there is nothing more, whatever the total was', async (t) => {
    const second = withPage(firstShown(start), { ...start, logs: [], offset: 50 })
    t.same([idsOf(second), second.next], [down(120, 71), null])
    t.equal(firstShown({ ...start, logs: [], total: 0 }).next, null)
    t.equal(firstShown({ ...start, logs: entries(50, 1), total: 50 }).next, null)
  })
})
