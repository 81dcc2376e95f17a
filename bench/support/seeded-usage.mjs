// Millions of usage events in a database, written by SQL in the order in which it keeps them, with the totals that belong to them.
import { accountRows, keyRows, numbers } from './key-rows.mjs'

export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** Account 1 has thousands of keys and a tenth of all events; account 2 has 4 keys and 8 %; the rest have 4 keys each, and a few of them most of what is left. */
export const BIG = 1
const BIG_KEYS = 5000
export const ACCOUNTS = 1251
export const KEYS = BIG_KEYS + 4 * (ACCOUNTS - 1)
export const DAYS = 30
const FAILURES = 0.03
const ROUTES = 20
/** As the library seals and numbers batches. */
const BATCH = 1000
const BATCH_SPACE = 1024

/** An event as the storage port takes it, of a key that is drawn as the seed draws them. */
export function drawnEvent (time) {
  const failed = Math.random() < FAILURES
  return {
    key: drawnKey(Math.random()),
    time,
    method: 'GET',
    route: `/v1/resource-${1 + Math.floor(Math.random() * ROUTES)}/:id`,
    status: failed ? 429 : 200,
    durationMs: Math.random() * 100,
    failureCode: failed ? 'RATE_LIMITED' : null,
    requestId: failed ? `req-${time}` : null
  }
}

function drawnKey (which) {
  const place = Math.random()
  const key = which < 0.1
    ? 1 + Math.floor(place * BIG_KEYS)
    : which < 0.18 ? 1 + BIG_KEYS + Math.floor(place * 4) : 1 + BIG_KEYS + 4 * Math.floor((ACCOUNTS - 1) ** place) + Math.floor(Math.random() * 4)
  return { account: key <= BIG_KEYS ? BIG : 2 + Math.floor((key - BIG_KEYS - 1) / 4), key, version: 1 }
}

/** `count` events of the 30 days before `end`, evenly over time. */
export async function seedUsage ({ random, newestFirst, run, seeding, seeded }, count, end) {
  const start = end - DAYS * DAY
  const step = (end - start) / count
  const hours = []
  for (let hour = Math.floor(start / HOUR); hour <= Math.floor(end / HOUR); hour++) {
    const first = Math.max(0, Math.ceil((hour * HOUR - start) / step))
    const last = Math.min(count, Math.ceil(((hour + 1) * HOUR - start) / step)) - 1
    if (last >= first) hours.push(eventsOf({ hour, first, last, start, step, random, order: newestFirst ? 'account_number, "offset" desc, i desc' : 'i' }))
  }
  const direction = newestFirst ? 'desc' : 'asc'
  const lastHours = `usage_events where hour >= ${Math.floor(end / HOUR) - 1}`
  await run([
    accountRows(ACCOUNTS),
    ...keyRows({ first: 1, last: KEYS, account: accountOf('i'), createdAt: end - 60 * DAY, lastUsedAt: end }),
    `insert into self_serve_usage_routes (method, route) with recursive ${numbers(1, ROUTES)} select 'GET', '/v1/resource-' || i || '/:id' from numbers order by i`,
    ...seeding,
    ...(newestFirst ? hours.reverse() : hours),
    totals('hour', 'hour', 'count(*)', failures, 'usage_events', direction),
    totals('day', 'hour / 24', 'sum(requests)', 'sum(failures)', 'usage_hours', direction),
    totals('minute', 'hour * 60 + "offset" / 60000', 'count(*)', failures, lastHours, direction),
    ...seeded(Math.ceil(count / BATCH) + 1, end)
  ])
}

function accountOf (key) {
  return `(case when ${key} <= ${BIG_KEYS} then ${BIG} else 2 + (${key} - ${BIG_KEYS + 1}) / 4 end)`
}

/** Events `first` to `last`, all of one hour. What is drawn is drawn once: `materialized`. */
function eventsOf ({ hour, first, last, start, step, random, order }) {
  const whole = (expression) => `cast(floor(${expression}) as bigint)`
  return `insert into self_serve_usage_events (hour, account_number, "offset", sequence, key_number, key_version, route_number, status, duration_us, failure_code, request_id)
    with recursive ${numbers(first, last)},
    drawn as materialized (select i, ${random} as which, ${random} as place, ${random} as spot, ${random} as outcome, ${random} as took from numbers),
    used as materialized (select i, outcome, took, case when which < 0.1 then 1 + ${whole(`place * ${BIG_KEYS}`)}
        when which < 0.18 then ${1 + BIG_KEYS} + ${whole('place * 4')}
        else ${1 + BIG_KEYS} + 4 * ${whole(`power(${ACCOUNTS - 1}, place)`)} + ${whole('spot * 4')} end as key_number from drawn)
    select ${hour}, ${accountOf('key_number')} as account_number, ${whole(`i * cast(${step} as double precision)`)} + ${start - hour * HOUR} as "offset",
      (1 + i / ${BATCH}) * ${BATCH_SPACE} + i % ${BATCH}, key_number, 1, 1 + i % ${ROUTES},
      case when outcome < ${FAILURES} then 429 else 200 end, ${whole('took * 100000')},
      case when outcome < ${FAILURES} then 'RATE_LIMITED' end, case when outcome < ${FAILURES} then 'req-' || i end
    from used order by ${order}`
}

const failures = 'sum(case when status >= 400 then 1 else 0 end)'

function totals (unit, slot, requests, failures, from, direction) {
  return `insert into self_serve_usage_${unit}s (${unit}, account_number, key_number, requests, failures)
    select ${slot}, account_number, key_number, ${requests}, ${failures} from self_serve_${from}
    group by ${slot}, account_number, key_number order by ${slot} ${direction}, account_number, key_number`
}
