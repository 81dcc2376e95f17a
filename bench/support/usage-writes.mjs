// What writing usage costs where millions of events are: events a second, stops of the event loop, bytes, and removing a day.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, quantile, spread } from './quantiles.mjs'
import { DAY, DAYS, drawnEvent, HOUR } from './seeded-usage.mjs'

const ROUNDS = 7
/** Events of a flush at 1 000 requests a second. */
const BATCH = 1000
/** Events of a flush at load: the most that the library seals. */
const FULL = 8000
/** Full batches of a round of ingest. */
const INGEST = 8
/** Batches whose stops of the event loop are looked at, and ms between them. */
const FLUSHES = 50
const PAUSE = 20
/** As the library prunes. */
const PRUNE_STEP = 2000
const TABLES = ['self_serve_usage_events', 'self_serve_usage_hours', 'self_serve_usage_days']
/** ms between two looks at the event loop, which are no delay. */
const RESOLUTION = 1

let batches = 0

function batchOf (times, sealedAt) {
  return { id: `bench-${++batches}`, sealedAt, events: times.map(drawnEvent) }
}

/** A batch of requests of the last moment: as long as so many take to come. */
function batchOfNow (events, perMs) {
  const now = Date.now()
  return batchOf(Array.from({ length: events }, (_none, place) => now - Math.ceil((events - place) / perMs)), now)
}

/** As fast as it goes, by as many instances as a host has: a SQLite file has one, a server two. */
export async function measureIngest (databases, { rounds = ROUNDS, note }) {
  const variants = []
  for (const { name, storage } of databases) {
    for (const instances of name === 'SQLite' ? [1] : [1, 2]) {
      const storages = await Promise.all(Array.from({ length: instances }, () => opened(storage())))
      variants.push({ name, title: `${name}, ${instances === 1 ? 'one instance' : `${instances} instances`}`, storages, perSecond: [], cpu: [] })
    }
  }
  const round = async ({ storages, perSecond, cpu }) => {
    const work = storages.map(() => Array.from({ length: INGEST / storages.length }, () => batchOfNow(FULL, 80)))
    const [begun, used] = [performance.now(), process.cpuUsage()]
    await Promise.all(storages.map(async (storage, place) => {
      for (const batch of work[place]) await storage.recordUsage(batch)
    }))
    const { user, system } = process.cpuUsage(used)
    perSecond.push(INGEST * FULL / (performance.now() - begun) * 1000)
    cpu.push((user + system) / INGEST / FULL)
  }
  for (const variant of variants) await round(variant)
  for (const variant of variants) variant.perSecond.length = variant.cpu.length = 0
  for (let number = 0; number < rounds; number++) {
    note(`ingest, round ${number + 1} of ${rounds}`)
    for (const variant of number % 2 === 0 ? variants : variants.toReversed()) await round(variant)
  }
  for (const { storages } of variants) for (const storage of storages) await storage.close()
  const best = (name) => Math.max(...variants.filter((variant) => variant.name === name).map(({ perSecond }) => median(perSecond)))
  return {
    tables: [
      { title: 'Sustained ingest, events/s', columns: ['median', 'min', 'max'], rows: variants.map(({ title, perSecond }) => [title, spread(perSecond, 0)]) },
      { title: 'CPU of this process, µs an event', columns: ['median', 'min', 'max'], rows: variants.map(({ title, cpu }) => [title, spread(cpu, 2)]) }
    ],
    bars: databases.map(({ name }) => ({ bar: `sustained ingest at 10 M events, ${name}`, value: best(name), unit: 'events/s', least: 80_000 }))
  }
}

/** Batch after batch with pauses between, and how long the event loop stood still meanwhile. */
export async function measureFlushes (databases, { note }) {
  const rows = []
  const bars = []
  for (const { name, storage: create } of databases) {
    note(`flushes, ${name}`)
    const storage = await opened(create())
    const [took, stops] = [[], []]
    for (let number = 0; number < FLUSHES; number++) {
      const batch = batchOfNow(BATCH, 1)
      const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
      // Made batches are no part of it.
      await sleep(PAUSE)
      delay.enable()
      const begun = performance.now()
      await storage.recordUsage(batch)
      took.push(performance.now() - begun)
      await sleep(2 * RESOLUTION)
      delay.disable()
      stops.push(Math.max(0, delay.max / 1e6 - RESOLUTION))
    }
    await storage.close()
    rows.push([`${name}, until it is written`, spread(took, 1)], [`${name}, longest stop of the event loop`, spread(stops, 1)])
    bars.push({ bar: `flush of 1 000 events at 10 M events: longest event-loop delay, ${name}`, value: Math.max(...stops), unit: 'ms', most: 10 })
  }
  return { tables: [{ title: `A batch of ${BATCH}, ms`, columns: ['median', 'min', 'max'], rows }], bars }
}

/** The day after the seed, at its pace, written by the storage: what that adds to the tables and their indexes. */
export async function measureDisk (databases, events, end, { note }) {
  const count = events / DAYS
  const rows = []
  const bars = []
  for (const { name, storage: create, size } of databases) {
    note(`a day, ${name}`)
    const seeded = await size(TABLES)
    const storage = await opened(create())
    for (let first = 0; first < count; first += BATCH) {
      const times = Array.from({ length: Math.min(BATCH, count - first) }, (_none, place) => end + Math.floor((first + place) * DAY / count))
      await storage.recordUsage(batchOf(times, times.at(-1)))
    }
    await storage.close()
    const bytes = (await size(TABLES) - seeded) / count
    rows.push([name, [bytes.toFixed(1), (seeded / events).toFixed(1)]])
    bars.push({ bar: `disk per event with totals, ${name}`, value: bytes, unit: 'B', most: name === 'SQLite' ? 70 : 200 })
  }
  return { tables: [{ title: 'Disk, bytes an event', columns: ['written', 'seeded'], rows }], bars }
}

/** The first day of the seed is removed, step by step. */
export async function measurePruning (databases, end, { note }) {
  const before = Math.floor((end - DAYS * DAY) / HOUR) * HOUR + DAY
  const rows = []
  const bars = []
  for (const { name, storage: create } of databases) {
    note(`pruning, ${name}`)
    const storage = await opened(create())
    const steps = []
    let [removed, last] = [0, -1]
    while (last !== 0) {
      const begun = performance.now()
      last = await storage.pruneUsage(before, PRUNE_STEP)
      steps.push(performance.now() - begun)
      removed += last
    }
    await storage.close()
    rows.push([`${name}, ${removed} rows in ${steps.length} steps`, [median(steps), quantile(steps, 0.99), Math.max(...steps)].map((ms) => ms.toFixed(1))])
    bars.push({ bar: `prune of one day among 10 M events: longest step, ${name}`, value: Math.max(...steps), unit: 'ms', most: 20 })
  }
  return { tables: [{ title: `A step of pruning, ${PRUNE_STEP} rows, ms`, columns: ['median', 'p99', 'max'], rows }], bars }
}

async function opened (storage) {
  await storage.open({ log: console, timeout: 10_000 })
  return storage
}
